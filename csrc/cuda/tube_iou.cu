// The kernel of tube_iou.cuh as a torch operator.
#include "common/dtype.h"
#include "cuda/stream.h"
#include "cuda/tube_iou.cuh"

namespace videostr {
namespace {

Tensor tube_iou(const Tensor& pred_in, const Tensor& pred_frame_in, const Tensor& pred_offsets_in,
                const Tensor& target_in, const Tensor& target_frame_in, const Tensor& target_offsets_in,
                const std::string& over) {
  STD_TORCH_CHECK(over == "target" || over == "union", "tube_iou: over must be target or union, got ", over);
  const cuda::OnDevice device(pred_in);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Tensor pred_frame = torch::stable::contiguous(pred_frame_in);
  const Tensor target_frame = torch::stable::contiguous(target_frame_in);
  const Tensor pred_offsets = torch::stable::contiguous(pred_offsets_in);
  const Tensor target_offsets = torch::stable::contiguous(target_offsets_in);
  const int64_t answers = pred_offsets.numel() - 1;
  STD_TORCH_CHECK(answers >= 0 && target_offsets.numel() == answers + 1,
                  "tube_iou: both offsets must have the same length, at least 1");
  Tensor out = torch::stable::new_empty(pred, {answers});
  dispatch(pred, over == "target", [&](auto zero, auto over_target) {
    using T = decltype(zero);
    cuda::tube<T, decltype(over_target)::value>(
        pred.const_data_ptr<T>(), pred_frame.const_data_ptr<int64_t>(), pred_offsets.const_data_ptr<int64_t>(),
        target.const_data_ptr<T>(), target_frame.const_data_ptr<int64_t>(), target_offsets.const_data_ptr<int64_t>(),
        out.mutable_data_ptr<T>(), answers, device.stream());
  });
  device.check_launch();
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) { m.impl("tube_iou", TORCH_BOX(&tube_iou)); }

}  // namespace videostr
