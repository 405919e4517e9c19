// The kernel of relation_graph.cuh as a torch operator.
#include "cuda/relation_graph.cuh"
#include "cuda/stream.h"

namespace videostr {
namespace {

using OptionalTensor = std::optional<Tensor>;

template <typename T>
const T* data(const OptionalTensor& x) {
  return x ? x->const_data_ptr<T>() : nullptr;
}

OptionalTensor contiguous_or_none(const OptionalTensor& x) {
  return x ? OptionalTensor(torch::stable::contiguous(*x)) : OptionalTensor();
}

std::tuple<Tensor, Tensor, Tensor> relation_graph(
    const Tensor& pred_class_in, const Tensor& pred_position_in, const OptionalTensor& pred_object_in,
    const OptionalTensor& pred_box_in, const Tensor& pred_offsets_in, const Tensor& true_class_in,
    const Tensor& true_position_in, const OptionalTensor& true_object_in, const OptionalTensor& true_box_in,
    const Tensor& true_offsets_in, const Tensor& frame_offsets_in, const OptionalTensor& scale_in,
    const OptionalTensor& displacement_scale_in, const std::string& angle, const std::string& matching, bool count_extra,
    bool scale_invariant, const std::string& edge_matching) {
  const cuda::OnDevice device(pred_position_in);
  using torch::stable::contiguous;
  const Tensor pred_class = contiguous(pred_class_in), pred_position = contiguous(pred_position_in);
  const Tensor pred_offsets = contiguous(pred_offsets_in), true_class = contiguous(true_class_in);
  const Tensor true_position = contiguous(true_position_in), true_offsets = contiguous(true_offsets_in);
  const Tensor frame_offsets = contiguous(frame_offsets_in);
  const OptionalTensor pred_object = contiguous_or_none(pred_object_in), true_object = contiguous_or_none(true_object_in);
  const OptionalTensor pred_box = contiguous_or_none(pred_box_in), true_box = contiguous_or_none(true_box_in);
  STD_TORCH_CHECK(pred_box.has_value() == true_box.has_value(), "relation_graph: boxes must be given on both sides or neither");
  const OptionalTensor scale = contiguous_or_none(scale_in), reach = contiguous_or_none(displacement_scale_in);
  const int64_t graphs = frame_offsets.numel() - 1, preds = pred_class.numel(), truths = true_class.numel();
  Tensor score = torch::stable::new_empty(pred_position, {graphs, kParts});
  Tensor match = torch::stable::new_empty(pred_position, {preds}, ScalarType::Long);
  Tensor frames = torch::stable::new_empty(pred_position, {graphs, kParts}, ScalarType::Long);
  Tensor doubles = torch::stable::new_empty(pred_position, {cuda::graph_doubles(preds, truths)}, ScalarType::Double);
  Tensor ints = torch::stable::new_empty(pred_position, {cuda::graph_ints(preds, truths)}, ScalarType::Int);
  const int present = (scale ? cuda::kHasScale : 0) | (reach ? cuda::kHasDisplacementScale : 0) |
                      (true_object ? cuda::kHasTrueObject : 0) | (pred_object ? cuda::kHasPredObject : 0) |
                      (true_box ? cuda::kHasBoxes : 0);
  const Angle kind = angle == "turn" ? Angle::turn : angle == "direction" ? Angle::direction : Angle::none;
  auto run = [&](auto zero) {
    using T = decltype(zero);
    cuda::relation_graph<T>(pred_class.const_data_ptr<int64_t>(), pred_position.const_data_ptr<T>(),
                            data<int64_t>(pred_object), data<T>(pred_box), pred_offsets.const_data_ptr<int64_t>(),
                            true_class.const_data_ptr<int64_t>(), true_position.const_data_ptr<T>(),
                            data<int64_t>(true_object), data<T>(true_box), true_offsets.const_data_ptr<int64_t>(),
                            frame_offsets.const_data_ptr<int64_t>(), data<double>(scale), data<double>(reach),
                            score.mutable_data_ptr<T>(), match.mutable_data_ptr<int64_t>(),
                            frames.mutable_data_ptr<int64_t>(), doubles.mutable_data_ptr<double>(),
                            ints.mutable_data_ptr<int>(), graphs, preds, truths, static_cast<int>(pred_position.size(1)),
                            present, static_cast<int>(kind), matching == "greedy", count_extra, scale_invariant,
                            edge_matching == "shape", device.stream());
  };
  pred_position.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
  device.check_launch();
  return {score, match, frames};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) { m.impl("relation_graph", TORCH_BOX(&relation_graph)); }

}  // namespace videostr
