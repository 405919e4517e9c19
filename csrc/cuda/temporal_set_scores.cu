// The kernel of temporal_set_scores.cuh as a torch operator.
#include "common/dtype.h"
#include "cuda/stream.h"
#include "cuda/temporal_set_scores.cuh"

namespace videostr {
namespace {

using Scores = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

Scores temporal_set_scores(const Tensor& pred_in, const Tensor& pred_offsets_in, const Tensor& target_in,
                           const Tensor& target_offsets_in, const std::string& pairing) {
  STD_TORCH_CHECK(pairing == "written" || pairing == "ordered",
                  "temporal_set_scores: pairing must be written or ordered, got ", pairing);
  const cuda::OnDevice device(pred_in);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Tensor pred_offsets = torch::stable::contiguous(pred_offsets_in);
  const Tensor target_offsets = torch::stable::contiguous(target_offsets_in);
  const int64_t answers = pred_offsets.numel() - 1;
  STD_TORCH_CHECK(answers >= 0 && target_offsets.numel() == answers + 1,
                  "temporal_set_scores: both offsets must have the same length, at least 1");
  const auto make = [&] { return torch::stable::new_empty(pred, {answers}); };
  Tensor iou = make(), precision = make(), recall = make(), f1 = make(), matching = make();
  const bool ordered = pairing == "ordered";
  Tensor edge = torch::stable::new_empty(pred, {ordered ? pred.size(0) : 0}, ScalarType::Double);
  dispatch(pred, ordered, [&](auto zero, auto is_ordered) {
    using T = decltype(zero);
    constexpr Pairing kPairing = decltype(is_ordered)::value ? Pairing::ordered : Pairing::written;
    cuda::set_scores<T, kPairing>(
        pred.const_data_ptr<T>(), pred_offsets.const_data_ptr<int64_t>(), target.const_data_ptr<T>(),
        target_offsets.const_data_ptr<int64_t>(), edge.mutable_data_ptr<double>(), iou.mutable_data_ptr<T>(),
        precision.mutable_data_ptr<T>(), recall.mutable_data_ptr<T>(), f1.mutable_data_ptr<T>(),
        matching.mutable_data_ptr<T>(), answers, device.stream());
  });
  device.check_launch();
  return {iou, precision, recall, f1, matching};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) { m.impl("temporal_set_scores", TORCH_BOX(&temporal_set_scores)); }

}  // namespace videostr
