// The kernels of box_iou.cuh as torch operators.
#include "common/dtype.h"
#include "cuda/box_iou.cuh"
#include "cuda/stream.h"

namespace videostr {
namespace {

bool is_giou(const std::string& kind) {
  STD_TORCH_CHECK(kind == "iou" || kind == "giou", "box_iou: kind must be iou or giou, got ", kind);
  return kind == "giou";
}

Tensor box_iou(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const cuda::OnDevice device(pred_in);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  std::vector<int64_t> shape;
  for (int64_t i = 0; i + 1 < pred.dim(); ++i) shape.push_back(pred.size(i));
  Tensor out = torch::stable::new_empty(pred, shape);
  dispatch(pred, is_giou(kind), [&](auto zero, auto giou) {
    using T = decltype(zero);
    cuda::box_matched<T, decltype(giou)::value>(pred.const_data_ptr<T>(), target.const_data_ptr<T>(),
                                             out.mutable_data_ptr<T>(), out.numel(), device.stream());
  });
  device.check_launch();
  return out;
}

Tensor box_iou_pairwise(const Tensor& pred_in, const Tensor& target_in, const std::string& kind) {
  const cuda::OnDevice device(pred_in);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const int64_t rows = pred.size(0), columns = target.size(0);
  Tensor out = torch::stable::new_empty(pred, {rows, columns});
  dispatch(pred, is_giou(kind), [&](auto zero, auto giou) {
    using T = decltype(zero);
    cuda::box_pairwise<T, decltype(giou)::value>(pred.const_data_ptr<T>(), target.const_data_ptr<T>(),
                                              out.mutable_data_ptr<T>(), rows, columns, device.stream());
  });
  device.check_launch();
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) {
  m.impl("box_iou", TORCH_BOX(&box_iou));
  m.impl("box_iou_pairwise", TORCH_BOX(&box_iou_pairwise));
}

}  // namespace videostr
