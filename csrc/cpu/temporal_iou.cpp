// Overlap of intervals [start, end], matched and every pair. Arithmetic in double, in vectors.
#include "common/interval.h"
#include "common/interval_kind.h"
#include "common/stable.h"
#include "cpu/simd.h"

namespace videostr {
namespace {

template <typename T>
VIDEOSTR_INLINE Span span_at(const T* values, int64_t i) {
  return {static_cast<double>(values[2 * i]), static_cast<double>(values[2 * i + 1])};
}

// duration: null but for time_r1
template <typename T, Kind kind>
VIDEOSTR_CLONES void matched(const T* __restrict p, const T* __restrict t, const T* __restrict duration,
                             T* __restrict o, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double whole = kind == Kind::time_r1 ? static_cast<double>(duration[i]) : 1.0;
    o[i] = static_cast<T>(score<kind>(span_at(p, i), span_at(t, i), whole));
  }
}

template <typename T, Kind kind>
VIDEOSTR_CLONES void row(Span p, double duration, const T* __restrict t, T* __restrict o, int64_t n) {
  for (int64_t j = 0; j < n; ++j) o[j] = static_cast<T>(score<kind>(p, span_at(t, j), duration));
}

Tensor temporal_iou(const Tensor& pred_in, const Tensor& target_in, const std::string& kind_name,
                    const std::optional<Tensor>& duration_in) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Kind kind = parse_kind(kind_name);
  const Tensor duration = contiguous_duration(duration_in, kind, pred);
  std::vector<int64_t> shape;
  for (int64_t i = 0; i + 1 < pred.dim(); ++i) shape.push_back(pred.size(i));
  Tensor out = torch::stable::new_empty(pred, shape);
  dispatch(pred, kind, [&](auto zero, auto k) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    const T* d = kind == Kind::time_r1 ? duration.const_data_ptr<T>() : nullptr;
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, out.numel(), grain(2), [&](int64_t from, int64_t to) {
      matched<T, decltype(k)::value>(p + 2 * from, t + 2 * from, d ? d + from : d, o + from, to - from);
    });
  });
  return out;
}

Tensor temporal_iou_pairwise(const Tensor& pred_in, const Tensor& target_in, const std::string& kind_name,
                             const std::optional<Tensor>& duration_in) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Kind kind = parse_kind(kind_name);
  const Tensor duration = contiguous_duration(duration_in, kind, pred);
  const int64_t rows = pred.size(0), columns = target.size(0);
  Tensor out = torch::stable::new_empty(pred, {rows, columns});
  dispatch(pred, kind, [&](auto zero, auto k) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    const T* d = kind == Kind::time_r1 ? duration.const_data_ptr<T>() : nullptr;
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, rows, grain(2 * columns), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i)
        row<T, decltype(k)::value>(span_at(p, i), d ? static_cast<double>(d[i]) : 1.0, t, o + i * columns, columns);
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) {
  m.impl("temporal_iou", TORCH_BOX(&temporal_iou));
  m.impl("temporal_iou_pairwise", TORCH_BOX(&temporal_iou_pairwise));
}

}  // namespace videostr
