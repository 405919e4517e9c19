// The kernel of temporal_nms.cuh as a torch operator.
#include "common/dtype.h"
#include "cuda/stream.h"
#include "cuda/temporal_nms.cuh"

namespace videostr {
namespace {

Tensor temporal_nms(const Tensor& span_in, const Tensor& score_in, const Tensor& offsets_in, double threshold) {
  const cuda::OnDevice device(span_in);
  const Tensor span = torch::stable::contiguous(span_in), scores = torch::stable::contiguous(score_in);
  const Tensor offsets = torch::stable::contiguous(offsets_in);
  STD_TORCH_CHECK(offsets.numel() > 0, "temporal_nms: offsets must have at least one entry");
  Tensor keep = torch::stable::new_empty(span, {span.size(0)}, ScalarType::Bool);
  dispatch(span, [&](auto zero) {
    using T = decltype(zero);
    // bool and uint8_t are a byte each, and the kernel leaves 0 or 1
    cuda::nms<T>(span.const_data_ptr<T>(), scores.const_data_ptr<T>(), offsets.const_data_ptr<int64_t>(), threshold,
                 reinterpret_cast<uint8_t*>(keep.mutable_data_ptr<bool>()), offsets.numel() - 1, device.stream());
  });
  device.check_launch();
  return keep;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) { m.impl("temporal_nms", TORCH_BOX(&temporal_nms)); }

}  // namespace videostr
