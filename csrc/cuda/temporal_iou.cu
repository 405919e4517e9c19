// The kernels of temporal_iou.cuh as torch operators.
#include "common/interval_kind.h"
#include "cuda/stream.h"
#include "cuda/temporal_iou.cuh"

namespace videostr {
namespace {

Tensor temporal_iou(const Tensor& pred_in, const Tensor& target_in, const std::string& kind_name,
                    const std::optional<Tensor>& duration_in) {
  const cuda::OnDevice device(pred_in);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Kind kind = parse_kind(kind_name);
  const Tensor duration = contiguous_duration(duration_in, kind, pred);
  std::vector<int64_t> shape;
  for (int64_t i = 0; i + 1 < pred.dim(); ++i) shape.push_back(pred.size(i));
  Tensor out = torch::stable::new_empty(pred, shape);
  dispatch(pred, kind, [&](auto zero, auto k) {
    using T = decltype(zero);
    const T* whole = kind == Kind::time_r1 ? duration.const_data_ptr<T>() : nullptr;
    cuda::matched<T, decltype(k)::value>(pred.const_data_ptr<T>(), target.const_data_ptr<T>(), whole,
                                         out.mutable_data_ptr<T>(), out.numel(), device.stream());
  });
  device.check_launch();
  return out;
}

Tensor temporal_iou_pairwise(const Tensor& pred_in, const Tensor& target_in, const std::string& kind_name,
                             const std::optional<Tensor>& duration_in) {
  const cuda::OnDevice device(pred_in);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Kind kind = parse_kind(kind_name);
  const Tensor duration = contiguous_duration(duration_in, kind, pred);
  const int64_t rows = pred.size(0), columns = target.size(0);
  Tensor out = torch::stable::new_empty(pred, {rows, columns});
  dispatch(pred, kind, [&](auto zero, auto k) {
    using T = decltype(zero);
    const T* whole = kind == Kind::time_r1 ? duration.const_data_ptr<T>() : nullptr;
    cuda::pairwise<T, decltype(k)::value>(pred.const_data_ptr<T>(), target.const_data_ptr<T>(), whole,
                                          out.mutable_data_ptr<T>(), rows, columns, device.stream());
  });
  device.check_launch();
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) {
  m.impl("temporal_iou", TORCH_BOX(&temporal_iou));
  m.impl("temporal_iou_pairwise", TORCH_BOX(&temporal_iou_pairwise));
}

}  // namespace videostr
