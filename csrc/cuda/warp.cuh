// A warp works on one problem of a ragged batch: what its lanes do together.
#pragma once

#include "cuda/launch.h"

namespace videostr::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarpThreads = 128;  // of a block of warps that have nothing to do with one another

// The problem of this warp; all lanes of a warp have the same.
__device__ __forceinline__ int64_t warp_problem() {
  return static_cast<int64_t>(blockIdx.x) * (kWarpThreads / kWarp) + threadIdx.x / kWarp;
}
__device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x % kWarp); }

// The sum over lanes, in every lane, always in the same order.
template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

inline dim3 warp_grid(int64_t problems) { return dim3(static_cast<unsigned>(blocks(problems, kWarpThreads / kWarp))); }

}  // namespace videostr::cuda
