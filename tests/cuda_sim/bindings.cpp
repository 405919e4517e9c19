// Kernels, one line each. A row of test_kernels.py's table runs what is bound here; bindings_overlap.cpp has the others.
#include "cuda/assignment.cuh"
#include "cuda/relation_graph.cuh"
#include "cuda/frames_to_patches.cuh"
#include "cuda/temporal_iou.cuh"
#include "cuda_sim/bind.h"

using namespace videostr;

template <typename T, Kind kind>
void bind_temporal_iou(const std::string& suffix) {
  cuda_sim::bind<&cuda::matched<T, kind>>("matched_" + suffix, "pred target duration out n");
  cuda_sim::bind<&cuda::pairwise<T, kind>>("pairwise_" + suffix, "pred target duration out rows columns");
}

template <typename T>
void bind_kinds(const std::string& dtype) {
  bind_temporal_iou<T, Kind::iou>(dtype + "_iou");
  bind_temporal_iou<T, Kind::giou>(dtype + "_giou");
  bind_temporal_iou<T, Kind::diou>(dtype + "_diou");
  bind_temporal_iou<T, Kind::hull>(dtype + "_hull");
  bind_temporal_iou<T, Kind::iop>(dtype + "_iop");
  bind_temporal_iou<T, Kind::time_r1>(dtype + "_time_r1");
}

template <typename T>
void bind_matching(const std::string& dtype) {
  cuda_sim::bind<&cuda::assignment<T>>(
      "assignment_" + dtype, "cost rows columns total column row doubles ints problems most_rows most_columns maximize");
  cuda_sim::bind<&cuda::assignment_ragged<T>>(
      "assignment_ragged_" + dtype,
      "cost cost_offset row_offset column_offset total column row doubles ints problems maximize");
  cuda_sim::bind<&cuda::relation_graph<T>>(
      "relation_graph_" + dtype,
      "pred_class pred_position pred_object pred_offset true_class true_position true_object true_offset frame_offset "
      "scale displacement_scale score match frames doubles ints graphs preds truths dimensions present angle greedy "
      "count_extra scale_invariant match_shapes");
}

template <typename T>
void bind_patches(const std::string& element) {
  const std::string names =
      "y u v y_stride uv_stride step down shift chroma_rows format y_scale v_to_r u_to_b v_to_g u_to_g y_offset first_x"
      " count_x weight_x taps_x precision_x window_x first_y count_y weight_y taps_y precision_y window_y height width"
      " patch merge temporal rows table frame out";
  cuda_sim::bind<&cuda::patches<T, int16_t>>("patches_u8_" + element, names);
  cuda_sim::bind<&cuda::patches<T, float>>("patches_f32_" + element, names);
}

void cuda_sim::bind_all() {
  bind_matching<float>("float32");
  bind_matching<double>("float64");
  bind_patches<uint32_t>("4");
  bind_patches<uint16_t>("2");
  bind_patches<uint8_t>("1");
  bind_kinds<float>("float32");
  bind_kinds<double>("float64");
}
