// Overlap of intervals [start, end]: matched, every pair, and unions of ragged sets. Arithmetic in double.
#include <algorithm>

#include "common/interval.h"
#include "common/interval_kind.h"
#include "common/stable.h"

namespace videostr {
namespace {

template <typename T>
Span span_at(const T* values, int64_t i) {
  return {static_cast<double>(values[2 * i]), static_cast<double>(values[2 * i + 1])};
}

Tensor temporal_iou(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  std::vector<int64_t> shape;
  for (int64_t i = 0; i + 1 < pred.dim(); ++i) shape.push_back(pred.size(i));
  Tensor out = torch::stable::new_empty(pred, shape);
  dispatch(pred, parse_kind(kind), [&](auto zero, auto k) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, out.numel(), grain(8), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) o[i] = static_cast<T>(score<decltype(k)::value>(span_at(p, i), span_at(t, i)));
    });
  });
  return out;
}

Tensor temporal_iou_pairwise(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const int64_t rows = pred.size(0), columns = target.size(0);
  Tensor out = torch::stable::new_empty(pred, {rows, columns});
  dispatch(pred, parse_kind(kind), [&](auto zero, auto k) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, rows, grain(8 * columns), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i)
        for (int64_t j = 0; j < columns; ++j)
          o[i * columns + j] = static_cast<T>(score<decltype(k)::value>(span_at(p, i), span_at(t, j)));
    });
  });
  return out;
}

// ---- unions

template <typename T>
void read_union(const T* values, int64_t begin, int64_t end, std::vector<Span>& merged) {
  merged.clear();
  for (int64_t i = begin; i < end; ++i) {
    const Span s = span_at(values, i);
    if (s.valid() && s.end > s.start) merged.push_back(s);
  }
  std::sort(merged.begin(), merged.end(), [](Span a, Span b) { return a.start < b.start; });
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

void check_offsets(const char* name, const int64_t* offsets, int64_t groups, int64_t rows) {
  STD_TORCH_CHECK(offsets[0] == 0 && offsets[groups] == rows, "temporal_iou_sets: ", name, " must run from 0 to ", rows);
  for (int64_t b = 0; b < groups; ++b)
    STD_TORCH_CHECK(offsets[b] <= offsets[b + 1], "temporal_iou_sets: ", name, " must not fall");
}

Tensor temporal_iou_sets(const Tensor& pred_in, const Tensor& pred_offsets_in, const Tensor& target_in,
                         const Tensor& target_offsets_in) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Tensor pred_offsets = torch::stable::contiguous(pred_offsets_in);
  const Tensor target_offsets = torch::stable::contiguous(target_offsets_in);
  const int64_t groups = pred_offsets.numel() - 1;
  STD_TORCH_CHECK(groups >= 0 && target_offsets.numel() == groups + 1,
                  "temporal_iou_sets: both offsets must have the same length, at least 1");
  const auto *p_off = pred_offsets.const_data_ptr<int64_t>(), *t_off = target_offsets.const_data_ptr<int64_t>();
  check_offsets("pred_offsets", p_off, groups, pred.size(0));
  check_offsets("target_offsets", t_off, groups, target.size(0));
  Tensor out = torch::stable::new_empty(pred, {groups});
  dispatch(pred, Kind::iou, [&](auto zero, auto) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, groups, grain(512), [&](int64_t from, int64_t to) {
      std::vector<Span> a, b;
      for (int64_t i = from; i < to; ++i) {
        read_union(p, p_off[i], p_off[i + 1], a);
        read_union(t, t_off[i], t_off[i + 1], b);
        const double shared = overlap(a, b), both = length(a) + length(b) - shared;
        o[i] = both > 0 ? static_cast<T>(shared / both) : T(0);
      }
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) {
  m.impl("temporal_iou", TORCH_BOX(&temporal_iou));
  m.impl("temporal_iou_pairwise", TORCH_BOX(&temporal_iou_pairwise));
  m.impl("temporal_iou_sets", TORCH_BOX(&temporal_iou_sets));
}

}  // namespace videostr
