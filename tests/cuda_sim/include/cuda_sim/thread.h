// Where a thread is, and the block's barrier. The place of a call comes along by default arguments, for the reports.
#pragma once

#include "cuda_sim/types.h"

namespace cuda_sim {

// A thread's place never changes while it runs, whichever threads run in between: hence const.
__attribute__((const)) uint3 thread_index();
__attribute__((const)) uint3 block_index();
__attribute__((const)) dim3 block_dim();
__attribute__((const)) dim3 grid_dim();

struct Place {
  const char* file;
  int line;
};

enum class Vote { none, all, any, count };
int block_barrier(Vote vote, bool predicate, Place place);
void yield();  // other threads may go first

}  // namespace cuda_sim

#define threadIdx (::cuda_sim::thread_index())
#define blockIdx (::cuda_sim::block_index())
#define blockDim (::cuda_sim::block_dim())
#define gridDim (::cuda_sim::grid_dim())
constexpr int warpSize = 32;

#define CUDA_SIM_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CUDA_SIM_PLACE) {
  ::cuda_sim::block_barrier(::cuda_sim::Vote::none, false, {file, line});
}
inline int __syncthreads_and(int p, CUDA_SIM_PLACE) {
  return ::cuda_sim::block_barrier(::cuda_sim::Vote::all, p != 0, {file, line});
}
inline int __syncthreads_or(int p, CUDA_SIM_PLACE) {
  return ::cuda_sim::block_barrier(::cuda_sim::Vote::any, p != 0, {file, line});
}
inline int __syncthreads_count(int p, CUDA_SIM_PLACE) {
  return ::cuda_sim::block_barrier(::cuda_sim::Vote::count, p != 0, {file, line});
}

// Memory here is sequentially consistent already; the race check knows barriers only.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) { ::cuda_sim::yield(); }
