// The project's kernels, one line each. A row of test_kernels.py's table runs what is bound here.
#include "cuda/frames_to_patches.cuh"
#include "cuda/temporal_iou.cuh"
#include "cuda_sim/bind.h"

using namespace videostr;

template <typename T, Kind kind>
void bind_temporal_iou(const std::string& suffix) {
  cuda_sim::bind<&cuda::matched<T, kind>>("matched_" + suffix, "pred target out n");
  cuda_sim::bind<&cuda::pairwise<T, kind>>("pairwise_" + suffix, "pred target out rows columns");
}

template <typename T>
void bind_kinds(const std::string& dtype) {
  bind_temporal_iou<T, Kind::iou>(dtype + "_iou");
  bind_temporal_iou<T, Kind::giou>(dtype + "_giou");
  bind_temporal_iou<T, Kind::diou>(dtype + "_diou");
  bind_temporal_iou<T, Kind::hull>(dtype + "_hull");
}

template <typename T>
void bind_patches(const std::string& element) {
  const std::string names =
      "y u v y_stride uv_stride step y_scale v_to_r u_to_b v_to_g u_to_g y_offset first_x count_x weight_x taps_x"
      " precision_x window_x first_y count_y weight_y taps_y precision_y window_y height width patch merge temporal rows"
      " table frame out";
  cuda_sim::bind<&cuda::patches<T, false>>("patches_yuv_" + element, names);
  cuda_sim::bind<&cuda::patches<T, true>>("patches_rgb_" + element, names);
}

void cuda_sim::bind_all() {
  bind_patches<uint32_t>("4");
  bind_patches<uint16_t>("2");
  bind_patches<uint8_t>("1");
  bind_kinds<float>("float32");
  bind_kinds<double>("float64");
}
