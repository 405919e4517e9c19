// Ragged sets of intervals: overlap of their unions, and the mean score of paired segments. Arithmetic in double.
#include <algorithm>

#include "common/dtype.h"
#include "common/pairing.h"
#include "common/stable.h"
#include "cpu/ragged.h"

namespace videostr {
namespace {

constexpr const char* kOp = "temporal_set_scores";

// The segments of one problem as they were written.
template <typename T>
void read(const T* values, int64_t begin, int64_t end, std::vector<Span>& spans) {
  spans.resize(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i)
    spans[static_cast<size_t>(i - begin)] = {static_cast<double>(values[2 * i]), static_cast<double>(values[2 * i + 1])};
}

// ---- unions

// Disjoint intervals in order of time; what is invalid or empty is left out.
void unite(const std::vector<Span>& spans, std::vector<Span>& merged) {
  merged.clear();
  for (const Span s : spans)
    if (s.valid() && s.end > s.start) merged.push_back(s);
  const auto before = [](Span a, Span b) { return a.start < b.start; };
  if (!std::is_sorted(merged.begin(), merged.end(), before)) std::sort(merged.begin(), merged.end(), before);
  size_t kept = 0;
  for (const Span s : merged) {
    if (kept > 0 && s.start <= merged[kept - 1].end)
      merged[kept - 1].end = std::max(merged[kept - 1].end, s.end);
    else
      merged[kept++] = s;
  }
  merged.resize(kept);
}

double length(const std::vector<Span>& merged) {
  double sum = 0.0;
  for (const Span s : merged) sum += s.end - s.start;
  return sum;
}

double overlap(const std::vector<Span>& a, const std::vector<Span>& b) {
  double sum = 0.0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    sum += std::max(0.0, std::min(a[i].end, b[j].end) - std::max(a[i].start, b[j].start));
    a[i].end < b[j].end ? ++i : ++j;
  }
  return sum;
}

// ---- pairs

double written(const std::vector<Span>& p, const std::vector<Span>& t) {
  double sum = 0.0;
  for (size_t i = 0; i < std::min(p.size(), t.size()); ++i) sum += pair_score(p[i], t[i]);
  return sum;
}

// best[j]: of the pairings of the segments so far with the first j true ones, in which no two pairs cross.
double ordered(const std::vector<Span>& p, const std::vector<Span>& t, std::vector<double>& best) {
  best.assign(t.size() + 1, 0.0);
  for (const Span segment : p) {
    double before = 0.0;  // best[j] without this segment
    for (size_t j = 0; j < t.size(); ++j) {
      const double paired = before + pair_score(segment, t[j]);
      before = best[j + 1];
      best[j + 1] = std::max({before, best[j], paired});
    }
  }
  return best.back();
}

double quotient(double top, double bottom) { return bottom > 0.0 ? top / bottom : 0.0; }

using Scores = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

Scores temporal_set_scores(const Tensor& pred_in, const Tensor& pred_offsets, const Tensor& target_in,
                           const Tensor& target_offsets, const std::string& pairing) {
  STD_TORCH_CHECK(pairing == "written" || pairing == "ordered", kOp, ": pairing must be written or ordered, got ",
                  pairing);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Offsets p_rows(kOp, "pred_offsets", pred_offsets, pred.size(0));
  const Offsets t_rows(kOp, "target_offsets", target_offsets, target.size(0));
  check_same_count(kOp, p_rows, t_rows);
  const int64_t count = p_rows.count();
  const auto make = [&] { return torch::stable::new_empty(pred, {count}); };
  Tensor iou = make(), precision = make(), recall = make(), f1 = make(), matching = make();
  dispatch(pred, [&](auto zero) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T *o_iou = iou.mutable_data_ptr<T>(), *o_precision = precision.mutable_data_ptr<T>();
    T *o_recall = recall.mutable_data_ptr<T>(), *o_f1 = f1.mutable_data_ptr<T>();
    T* o_matching = matching.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, count, grain(256), [&](int64_t from, int64_t to) {
      std::vector<Span> p_spans, t_spans, p_union, t_union;
      std::vector<double> best;
      for (int64_t b = from; b < to; ++b) {
        read(p, p_rows.begin(b), p_rows.end(b), p_spans);
        read(t, t_rows.begin(b), t_rows.end(b), t_spans);
        unite(p_spans, p_union);
        unite(t_spans, t_union);
        const double p_length = length(p_union), t_length = length(t_union), shared = overlap(p_union, t_union);
        o_iou[b] = static_cast<T>(quotient(shared, p_length + t_length - shared));
        o_precision[b] = static_cast<T>(quotient(shared, p_length));
        o_recall[b] = static_cast<T>(quotient(shared, t_length));
        o_f1[b] = static_cast<T>(quotient(2.0 * shared, p_length + t_length));
        const double sum = pairing == "written" ? written(p_spans, t_spans) : ordered(p_spans, t_spans, best);
        o_matching[b] = static_cast<T>(quotient(sum, static_cast<double>(std::max(p_spans.size(), t_spans.size()))));
      }
    });
  });
  return {iou, precision, recall, f1, matching};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("temporal_set_scores", TORCH_BOX(&temporal_set_scores)); }

}  // namespace videostr
