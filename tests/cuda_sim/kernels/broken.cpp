// One kernel for each fault that a check must find, and its mended twin. 2 blocks of 64 threads over 128 elements; what is
// wrong is wrong in block 1 only, in thread 37 where it is one thread's doing.
#include <cstring>

#include "cuda/launch.h"
#include "cuda_sim/bind.h"

namespace {

constexpr int kThreads = 64;

#define AT static_cast<int>(blockIdx.x * kThreads + threadIdx.x)
#define LANE static_cast<int>(threadIdx.x % 32)
#define BAD (!mended && blockIdx.x == 1)
#define BAD_THREAD (BAD && threadIdx.x == 37)

// `shared` bytes of dynamic shared memory
#define KERNEL(name, shared)                                                                               \
  template <bool mended>                                                                                   \
  __global__ void name(const float* in, float* out, int n);                                                \
  template <bool mended>                                                                                   \
  void name##_launch(const float* in, float* out, int n, cudaStream_t stream) {                            \
    VIDEOSTR_LAUNCH(name<mended>, dim3(2), dim3(kThreads), shared, stream, in, out, n);                    \
  }                                                                                                        \
  template <bool mended>                                                                                   \
  __global__ void name([[maybe_unused]] const float* in, [[maybe_unused]] float* out, [[maybe_unused]] int n)

KERNEL(read_past_the_end, 0) { out[AT] = in[BAD && AT == n - 1 ? n : AT]; }
KERNEL(write_before_the_start, 0) { out[BAD_THREAD ? -1 : AT] = in[AT]; }
KERNEL(far_out, 0) { out[AT] = in[BAD_THREAD ? int64_t{1} << 40 : AT]; }
KERNEL(null_pointer, 0) { out[AT] = *(BAD_THREAD ? nullptr : in + AT); }
KERNEL(write_to_const, 0) { *(BAD_THREAD ? const_cast<float*>(in) + AT : out + AT) = 1; }
KERNEL(update_const, 0) { atomicAdd(BAD_THREAD ? const_cast<float*>(in) + AT : out + AT, 1.0f); }
KERNEL(copy_past_the_end, 0) {
  const int count = BAD_THREAD ? n + 1 : 1;
  std::memcpy(BAD_THREAD ? out : out + AT, BAD_THREAD ? in : in + AT, static_cast<size_t>(count) * sizeof(float));
}
KERNEL(local_index, 0) {
  float pair[2] = {in[AT], 0};
  out[AT] = pair[BAD_THREAD ? 2 : 0];
}

KERNEL(shared_overrun, 0) {
  __shared__ float first[kThreads], second[kThreads];
  float* to = first;  // not an index into an array of known size
  second[threadIdx.x] = 0;
  to[BAD_THREAD ? kThreads : static_cast<int>(threadIdx.x)] = in[AT];
  out[AT] = first[threadIdx.x] + second[threadIdx.x];
}
KERNEL(dynamic_overrun, kThreads * sizeof(float)) {
  VIDEOSTR_DYNAMIC_SHARED(float, tile);
  tile[BAD_THREAD ? kThreads : static_cast<int>(threadIdx.x)] = in[AT];
  out[AT] = tile[threadIdx.x];
}
KERNEL(another_threads_local, 0) {
  __shared__ const float* where[kThreads];
  float mine = in[AT];
  asm volatile("" : : "r"(&mine) : "memory");
  where[threadIdx.x] = &mine;
  __syncthreads();
  out[AT] = *where[BAD_THREAD ? 38 : threadIdx.x];
  __syncthreads();
}
KERNEL(unwritten_shared, 0) {
  __shared__ float tile[kThreads];
  if (!BAD_THREAD) tile[threadIdx.x] = in[AT];
  out[AT] = tile[threadIdx.x];
}
KERNEL(another_blocks_shared, 0) {  // block 0 leaves what block 1 reads
  __shared__ float tile[kThreads];
  if (mended || blockIdx.x == 0) tile[threadIdx.x] = in[AT];
  if (!BAD || threadIdx.x == 37) out[AT] = tile[threadIdx.x];
}
KERNEL(misaligned, 0) {
  if (threadIdx.x != 37) return;
  const float4 four = *reinterpret_cast<const float4*>(in + (BAD ? 1 : 4));
  out[AT] = four.x + four.w;
}

KERNEL(race_without_barrier, 0) {  // of two warps
  __shared__ float tile[kThreads];
  if (threadIdx.x == 5) tile[5] = in[AT];
  if (!BAD) __syncthreads();
  __syncwarp();  // joins one warp's lanes only
  if (threadIdx.x == 37) {
    out[AT] = tile[5];
  }
}
KERNEL(race_of_writes, 0) {
  __shared__ float total;
  if (threadIdx.x == 37 || (BAD && threadIdx.x == 5)) total = in[AT];
  __syncthreads();
  out[AT] = total;
}
KERNEL(race_in_a_warp, 0) {  // a shuffle orders no memory
  __shared__ float tile[kThreads];
  if (threadIdx.x == 36) tile[36] = in[AT];
  out[AT] = __shfl_xor_sync(~0u, in[AT], 1);
  if (!BAD) __syncwarp();
  if (threadIdx.x == 37) out[AT] = tile[36];
}
KERNEL(race_across_masks, 0) {  // the lanes that wait for each other are not the ones that exchange
  __shared__ float tile[kThreads];
  if (threadIdx.x == 53) tile[53] = in[AT];
  __syncwarp(BAD ? (LANE < 16 ? 0x0000ffffu : 0xffff0000u) : ~0u);
  out[AT] = threadIdx.x == 37 ? tile[53] : 0;
}
KERNEL(race_with_an_atomic, 0) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  atomicAdd(&count, 1);
  if (!BAD) __syncthreads();
  if (threadIdx.x == 37) out[AT] = static_cast<float>(count);
}
KERNEL(tile_replaced_too_early, 0) {
  __shared__ float tile[kThreads];
  float sum = 0;
  for (int round = 0; round < 2; ++round) {
    tile[threadIdx.x] = in[AT] + static_cast<float>(round);
    __syncthreads();
    sum += tile[kThreads - 1 - threadIdx.x];
    if (!BAD) __syncthreads();
  }
  out[AT] = sum;
}

KERNEL(barrier_in_a_branch, 0) {
  if (BAD && threadIdx.x == 37) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[AT] = in[AT];
}
KERNEL(barrier_after_exit, 0) {
  if (BAD_THREAD) return;
  __syncthreads();
  out[AT] = in[AT];
}
KERNEL(not_in_its_mask, 0) {
  if (threadIdx.x != 37) return;
  out[AT] = static_cast<float>(__ballot_sync(BAD ? 1u << 4 : 1u << 5, 1));
}
KERNEL(lane_has_exited, 0) {
  if (BAD_THREAD) return;
  out[AT] = __shfl_sync(~0u, in[AT], 0);
}
KERNEL(masks_differ, 0) { out[AT] = __shfl_sync(BAD_THREAD ? 0x3fu : ~0u, in[AT], 0); }
KERNEL(operations_differ, 0) {
  if (BAD_THREAD) {
    out[AT] = static_cast<float>(__any_sync(~0u, 1));
  } else {
    out[AT] = __shfl_sync(~0u, in[AT], 0);
  }
}
KERNEL(reads_an_absent_lane, 0) {
  if (threadIdx.x != 37) return;
  out[AT] = __shfl_sync(1u << 5, in[AT], BAD ? 6 : 5);
}
__device__ void meet() { __syncthreads(); }
KERNEL(barrier_against_warp, 0) {  // lane 5 waits for the block, its warp waits for lane 5
  if (BAD_THREAD) meet();
  out[AT] = __shfl_sync(~0u, in[AT], 0);
  if (!BAD_THREAD) meet();
}
KERNEL(waits_forever, 0) {
  __shared__ int turn;
  if (threadIdx.x == 0) turn = 0;
  __syncthreads();
  if (threadIdx.x == 0 && !BAD) atomicExch(&turn, 1);
  if (threadIdx.x == 37) {
    while (atomicCAS(&turn, 1, 1) != 1) {
    }
  }
  out[AT] = in[AT];
}
KERNEL(index_overflow, 0) {
  if (threadIdx.x != 37) return;
  const int row = BAD ? 70000 : 1;
  out[AT] = static_cast<float>(row * row * (n / 128));
}

__global__ void copy(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x]; }

void host_pointer_launch(const float*, float* out, int, cudaStream_t stream) {
  const float here[kThreads] = {};
  VIDEOSTR_LAUNCH(copy, dim3(1), dim3(kThreads), 0, stream, here, out);
}
void any_launch(const float* in, float* out, unsigned grid_y, unsigned threads, int64_t shared, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(copy, dim3(1, grid_y), dim3(threads), static_cast<size_t>(shared), stream, in, out);
}
void large_shared_launch(const float* in, float* out, int64_t shared, cudaStream_t stream) {
  cudaFuncSetAttribute(copy, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
  VIDEOSTR_LAUNCH(copy, dim3(1), dim3(kThreads), static_cast<size_t>(shared), stream, in, out);
}

}  // namespace

#define BIND(name)                                                  \
  cuda_sim::bind<&name##_launch<false>>(#name, "in out n");         \
  cuda_sim::bind<&name##_launch<true>>(#name "_mended", "in out n")

void cuda_sim::bind_all() {
  BIND(read_past_the_end);
  BIND(write_before_the_start);
  BIND(far_out);
  BIND(null_pointer);
  BIND(write_to_const);
  BIND(update_const);
  BIND(copy_past_the_end);
  BIND(local_index);
  BIND(shared_overrun);
  BIND(dynamic_overrun);
  BIND(another_threads_local);
  BIND(unwritten_shared);
  BIND(another_blocks_shared);
  BIND(misaligned);
  BIND(race_without_barrier);
  BIND(race_of_writes);
  BIND(race_in_a_warp);
  BIND(race_across_masks);
  BIND(race_with_an_atomic);
  BIND(tile_replaced_too_early);
  BIND(barrier_in_a_branch);
  BIND(barrier_after_exit);
  BIND(not_in_its_mask);
  BIND(lane_has_exited);
  BIND(masks_differ);
  BIND(operations_differ);
  BIND(reads_an_absent_lane);
  BIND(barrier_against_warp);
  BIND(waits_forever);
  BIND(index_overflow);
  bind<&host_pointer_launch>("host_pointer", "in out n");
  bind<&any_launch>("any", "in out grid_y threads shared");
  bind<&large_shared_launch>("large_shared", "in out shared");
}
