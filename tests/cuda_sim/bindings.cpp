// Kernels, one line each. A row of test_kernels.py's table runs what is bound here; bindings_overlap.cpp has the others.
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

void cuda_sim::bind_all() {
  bind_kinds<float>("float32");
  bind_kinds<double>("float64");
}
