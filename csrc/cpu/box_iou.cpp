// Overlap of boxes x0, y0, x1, y1, matched and every pair. Arithmetic in double, in vectors.
#include "common/box.h"
#include "common/dtype.h"
#include "common/stable.h"
#include "cpu/simd.h"

namespace videostr {
namespace {

template <typename T>
VIDEOSTR_INLINE Box box_at(const T* v, int64_t i) {
  return {static_cast<double>(v[4 * i]), static_cast<double>(v[4 * i + 1]), static_cast<double>(v[4 * i + 2]),
          static_cast<double>(v[4 * i + 3])};
}

template <typename T, bool giou>
VIDEOSTR_CLONES void matched(const T* __restrict p, const T* __restrict t, T* __restrict o, int64_t n) {
  for (int64_t i = 0; i < n; ++i) o[i] = static_cast<T>(box_score<giou>(box_at(p, i), box_at(t, i)));
}

template <typename T, bool giou>
VIDEOSTR_CLONES void row(const Box p, const T* __restrict t, T* __restrict o, int64_t n) {
  for (int64_t j = 0; j < n; ++j) o[j] = static_cast<T>(box_score<giou>(p, box_at(t, j)));
}

bool is_giou(const std::string& kind) {
  STD_TORCH_CHECK(kind == "iou" || kind == "giou", "box_iou: kind must be iou or giou, got ", kind);
  return kind == "giou";
}

Tensor box_iou(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  std::vector<int64_t> shape;
  for (int64_t i = 0; i + 1 < pred.dim(); ++i) shape.push_back(pred.size(i));
  Tensor out = torch::stable::new_empty(pred, shape);
  dispatch(pred, is_giou(kind), [&](auto zero, auto giou) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, out.numel(), grain(4), [&](int64_t from, int64_t to) {
      matched<T, giou>(p + 4 * from, t + 4 * from, o + from, to - from);
    });
  });
  return out;
}

Tensor box_iou_pairwise(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const int64_t rows = pred.size(0), columns = target.size(0);
  Tensor out = torch::stable::new_empty(pred, {rows, columns});
  dispatch(pred, is_giou(kind), [&](auto zero, auto giou) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, rows, grain(4 * columns), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) row<T, giou>(box_at(p, i), t, o + i * columns, columns);
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) {
  m.impl("box_iou", TORCH_BOX(&box_iou));
  m.impl("box_iou_pairwise", TORCH_BOX(&box_iou_pairwise));
}

}  // namespace videostr
