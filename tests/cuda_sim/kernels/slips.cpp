// One instance of each kernel: what test_kernels.py compiles against a changed header.
#include "cuda/temporal_iou.cuh"
#include "cuda_sim/bind.h"

void cuda_sim::bind_all() {
  using namespace videostr;
  bind<&cuda::matched<float, Kind::giou>>("matched_float32_giou", "pred target duration out n");
  bind<&cuda::pairwise<float, Kind::giou>>("pairwise_float32_giou", "pred target duration out rows columns");
}
