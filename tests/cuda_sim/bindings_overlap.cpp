// Kernels of the overlap operators but temporal_iou, one line each; run by test_overlap.py.
#include "cuda/box3d_iou.cuh"
#include "cuda/box_iou.cuh"
#include "cuda/temporal_nms.cuh"
#include "cuda/temporal_set_scores.cuh"
#include "cuda/tube_iou.cuh"
#include "cuda_sim/bind.h"

using namespace videostr;
using cuda_sim::bind;

template <typename T>
void bind_overlap(const std::string& dtype) {
  const std::string sets = "pred pred_offsets target target_offsets edge iou precision recall f1 matching answers";
  bind<&cuda::set_scores<T, Pairing::written>>("set_scores_" + dtype + "_written", sets);
  bind<&cuda::set_scores<T, Pairing::ordered>>("set_scores_" + dtype + "_ordered", sets);
  bind<&cuda::nms<T>>("nms_" + dtype + "_hard", "span scores offsets threshold keep problems");
  bind<&cuda::box_matched<T, false>>("box_matched_" + dtype + "_iou", "pred target out n");
  bind<&cuda::box_matched<T, true>>("box_matched_" + dtype + "_giou", "pred target out n");
  bind<&cuda::box_pairwise<T, false>>("box_pairwise_" + dtype + "_iou", "pred target out rows columns");
  bind<&cuda::box_pairwise<T, true>>("box_pairwise_" + dtype + "_giou", "pred target out rows columns");
  bind<&cuda::box3d_matched<T, false>>("box3d_matched_" + dtype + "_iou", "pred target out n");
  bind<&cuda::box3d_matched<T, true>>("box3d_matched_" + dtype + "_bev", "pred target out n");
  bind<&cuda::box3d_pairwise<T, false>>("box3d_pairwise_" + dtype + "_iou", "pred target out rows columns");
  bind<&cuda::box3d_pairwise<T, true>>("box3d_pairwise_" + dtype + "_bev", "pred target out rows columns");
  const std::string tubes = "pred pred_frame pred_offsets target target_frame target_offsets out answers";
  bind<&cuda::tube<T, true>>("tube_" + dtype + "_target", tubes);
  bind<&cuda::tube<T, false>>("tube_" + dtype + "_union", tubes);
}

void cuda_sim::bind_all() {
  bind_overlap<float>("float32");
#if !defined(VIDEOSTR_SLIPS)
  bind_overlap<double>("float64");
#endif
}
