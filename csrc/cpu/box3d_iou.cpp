// Overlap of upright boxes with a heading, matched and every pair. Arithmetic in double.
#include "common/box3d.h"
#include "common/dtype.h"
#include "common/stable.h"

namespace videostr {
namespace {

struct Polygon {
  double corner[kPolygon][2];
  double& at(int i, int axis) { return corner[i][axis]; }
  double at(int i, int axis) const { return corner[i][axis]; }
};

bool is_bev(const std::string& kind) {
  STD_TORCH_CHECK(kind == "iou" || kind == "bev", "box3d_iou: kind must be iou or bev, got ", kind);
  return kind == "bev";
}

Tensor box3d_iou(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  std::vector<int64_t> shape;
  for (int64_t i = 0; i + 1 < pred.dim(); ++i) shape.push_back(pred.size(i));
  Tensor out = torch::stable::new_empty(pred, shape);
  dispatch(pred, is_bev(kind), [&](auto zero, auto bev) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, out.numel(), grain(128), [&](int64_t from, int64_t to) {
      Polygon one, two;
      for (int64_t i = from; i < to; ++i)
        o[i] = static_cast<T>(box3d_score<bev>(read_box3d(p + 7 * i), read_box3d(t + 7 * i), one, two));
    });
  });
  return out;
}

Tensor box3d_iou_pairwise(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const int64_t rows = pred.size(0), columns = target.size(0);
  Tensor out = torch::stable::new_empty(pred, {rows, columns});
  dispatch(pred, is_bev(kind), [&](auto zero, auto bev) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    std::vector<Box3d> boxes;  // with sine and cosine
    boxes.reserve(static_cast<size_t>(columns));
    for (int64_t j = 0; j < columns; ++j) boxes.push_back(read_box3d(t + 7 * j));
    torch::stable::parallel_for(0, rows, grain(64 * columns), [&](int64_t from, int64_t to) {
      Polygon one, two;
      for (int64_t i = from; i < to; ++i) {
        const Box3d box = read_box3d(p + 7 * i);
        for (int64_t j = 0; j < columns; ++j)
          o[i * columns + j] = static_cast<T>(box3d_score<bev>(box, boxes[static_cast<size_t>(j)], one, two));
      }
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) {
  m.impl("box3d_iou", TORCH_BOX(&box3d_iou));
  m.impl("box3d_iou_pairwise", TORCH_BOX(&box3d_iou_pairwise));
}

}  // namespace videostr
