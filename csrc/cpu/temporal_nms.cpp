// Non-maximum suppression of intervals, a problem at a time: the best score first, equal ones in the order given.
#include <algorithm>
#include <limits>
#include <numeric>

#include "common/dtype.h"
#include "common/interval.h"
#include "common/stable.h"
#include "cpu/ragged.h"

namespace videostr {
namespace {

constexpr const char* kOp = "temporal_nms";

Tensor temporal_nms(const Tensor& span_in, const Tensor& score_in, const Tensor& offsets, double threshold) {
  const Tensor span = torch::stable::contiguous(span_in), scores = torch::stable::contiguous(score_in);
  const Offsets rows(kOp, "offsets", offsets, span.size(0));
  Tensor keep = torch::stable::new_empty(span, {span.size(0)}, ScalarType::Bool);
  const int64_t mean_rows = rows.count() > 0 ? span.size(0) / rows.count() : 0;
  dispatch(span, [&](auto zero) {
    using T = decltype(zero);
    const T *s = span.const_data_ptr<T>(), *score_K = scores.const_data_ptr<T>();
    bool* kept = keep.mutable_data_ptr<bool>();
    torch::stable::parallel_for(0, rows.count(), grain(16 * mean_rows), [&](int64_t from, int64_t to) {
      std::vector<int64_t> order;
      std::vector<Span> chosen;
      for (int64_t b = from; b < to; ++b) {
        order.resize(static_cast<size_t>(rows.end(b) - rows.begin(b)));
        std::iota(order.begin(), order.end(), rows.begin(b));
        const auto rank = [&](int64_t i) {  // NaN would be no order
          return score_K[i] == score_K[i] ? score_K[i] : -std::numeric_limits<T>::infinity();
        };
        std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return rank(i) > rank(j); });
        chosen.clear();
        for (const int64_t i : order) {
          const Span mine{static_cast<double>(s[2 * i]), static_cast<double>(s[2 * i + 1])};
          kept[i] = mine.valid() && std::none_of(chosen.begin(), chosen.end(), [&](Span other) {
                      return score<Kind::iou>(other, mine) > threshold;
                    });
          if (kept[i]) chosen.push_back(mine);
        }
      }
    });
  });
  return keep;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("temporal_nms", TORCH_BOX(&temporal_nms)); }

}  // namespace videostr
