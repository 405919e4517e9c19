// How a .cuh starts its kernels: on a GPU, or on the CPU in tests/cuda_sim, which compiles the same files with g++.
//
//   VIDEOSTR_LAUNCH(kernel, grid, block, shared_bytes, stream, arguments…)   a kernel with commas goes in parentheses
//   VIDEOSTR_DYNAMIC_SHARED(T, name)                                         T* name: the launch's shared_bytes
#pragma once

#if defined(VIDEOSTR_CUDA_SIM)
#include "cuda_sim.h"

#define VIDEOSTR_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  ::cuda_sim::launch(#kernel, grid, block, shared_bytes, [&] { (kernel)(__VA_ARGS__); })
#define VIDEOSTR_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(::cuda_sim::dynamic_shared())
#else
#include <cuda_runtime.h>

#define VIDEOSTR_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  (kernel)<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)
#define VIDEOSTR_DYNAMIC_SHARED(T, name)                         \
  extern __shared__ __align__(16) unsigned char dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(dynamic_shared)
#endif

#include <cstdint>

namespace videostr::cuda {

// 16 bytes, moved by one instruction: the widest that a thread can load or store before Blackwell.
template <typename T>
struct alignas(16) Pack {
  static constexpr int size = 16 / sizeof(T);
  T value[size];
};

// A plain assignment, but whole: nvcc splits `*to = pack` into narrower stores where registers are short.
template <typename T>
__device__ __forceinline__ void store(T* to, const Pack<T>& pack) {
#if defined(VIDEOSTR_CUDA_SIM)
  *reinterpret_cast<Pack<T>*>(to) = pack;
#else
  __stwb(reinterpret_cast<int4*>(to), *reinterpret_cast<const int4*>(&pack));
#endif
}

inline bool aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

inline int64_t blocks(int64_t work, int64_t per_block) { return (work + per_block - 1) / per_block; }

}  // namespace videostr::cuda
