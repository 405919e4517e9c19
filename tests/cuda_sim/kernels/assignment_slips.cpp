// One instance of the kernel: what test_assignment.py compiles against a changed header.
#include "cuda/assignment.cuh"
#include "cuda_sim/bind.h"

void cuda_sim::bind_all() {
  bind<&videostr::cuda::assignment<float>>("assignment_float32", "cost rows columns total column row doubles ints problems");
}
