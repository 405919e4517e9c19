// Right kernels that show what the execution model does; test_simulator.py holds each against numpy.
#include "cuda/launch.h"
#include "cuda_sim/bind.h"

namespace {

using cuda_sim::bind;

// ---- places: nine numbers a thread, in the order of the flat index

__global__ void places(int* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  int* at = out + 7 * (block * blockDim.x * blockDim.y * blockDim.z + thread);
  const unsigned place[] = {blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, block};
  for (int i = 0; i < 7; ++i) at[i] = static_cast<int>(place[i]);
}
void places_launch(int* out, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   cudaStream_t stream) {
  VIDEOSTR_LAUNCH(places, dim3(gx, gy, gz), dim3(bx, by, bz), 0, stream, out);
}

// ---- warps: one block of `threads`; every operation's result in a row of its own

template <typename T>
__global__ void shuffles(const T* in, T* out, int by, int width) {
  const unsigned i = threadIdx.x, n = blockDim.x;
  out[i] = __shfl_sync(~0u, in[i], by, width);
  out[n + i] = __shfl_up_sync(~0u, in[i], static_cast<unsigned>(by), width);
  out[2 * n + i] = __shfl_down_sync(~0u, in[i], static_cast<unsigned>(by), width);
  out[3 * n + i] = __shfl_xor_sync(~0u, in[i], by, width);
}
template <typename T>
void shuffles_launch(const T* in, T* out, int threads, int by, int width, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(shuffles<T>, dim3(1), dim3(static_cast<unsigned>(threads)), 0, stream, in, out, by, width);
}

// The lanes of `mask` and the other lanes, each by themselves.
__global__ void warp_wide(const int* in, int* out, unsigned mask) {
  const unsigned i = threadIdx.x, n = blockDim.x;
  const unsigned mine = mask >> i % 32 & 1 ? mask : ~mask;
  const int x = in[i];
  const unsigned u = static_cast<unsigned>(x);
  auto put = [&](int row, unsigned value) { out[static_cast<unsigned>(row) * n + i] = static_cast<int>(value); };
  put(0, __ballot_sync(mine, x & 1));
  put(1, static_cast<unsigned>(__any_sync(mine, x == 3)));
  put(2, static_cast<unsigned>(__all_sync(mine, x < 90)));
  put(3, __match_any_sync(mine, x % 5));
  put(4, static_cast<unsigned>(__reduce_add_sync(mine, x)));
  put(5, static_cast<unsigned>(__reduce_min_sync(mine, x)));
  put(6, static_cast<unsigned>(__reduce_max_sync(mine, x)));
  put(7, __reduce_min_sync(mine, u));
  put(8, __reduce_max_sync(mine, u));
  put(9, __reduce_and_sync(mine, u));
  put(10, __reduce_or_sync(mine, u));
  put(11, __reduce_xor_sync(mine, u));
  int all;
  put(12, __match_all_sync(mine, x / 1000, &all));
  put(13, static_cast<unsigned>(all));
}
void warp_wide_launch(const int* in, int* out, int threads, unsigned mask, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(warp_wide, dim3(1), dim3(static_cast<unsigned>(threads)), 0, stream, in, out, mask);
}

__global__ void block_votes(const int* in, int* out) {
  const unsigned i = threadIdx.x, n = blockDim.x;
  out[i] = __syncthreads_and(in[i] > 0);
  out[n + i] = __syncthreads_or(in[i] > 0);
  out[2 * n + i] = __syncthreads_count(in[i] > 0);
}
void block_votes_launch(const int* in, int* out, int threads, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(block_votes, dim3(1), dim3(static_cast<unsigned>(threads)), 0, stream, in, out);
}

// ---- memory

template <typename T>
__global__ void sums(const T* in, T* out, int n) {  // each block a sum: lanes by shuffles, warps through shared memory
  __shared__ T parts[32];
  T total = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n); i += gridDim.x * blockDim.x) {
    total += in[i];
  }
  for (int step = 16; step; step /= 2) total += __shfl_down_sync(~0u, total, static_cast<unsigned>(step));
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = total;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  total = threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : T(0);
  for (int step = 16; step; step /= 2) total += __shfl_down_sync(~0u, total, static_cast<unsigned>(step));
  if (threadIdx.x == 0) out[blockIdx.x] = total;
}
template <typename T>
void sums_launch(const T* in, T* out, int n, int blocks, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(sums<T>, dim3(static_cast<unsigned>(blocks)), dim3(256), 0, stream, in, out, n);
}

__global__ void reversed(const float* in, float* out) {  // a tile and its bytes in one dynamic buffer
  VIDEOSTR_DYNAMIC_SHARED(float, tile);
  auto* bytes = reinterpret_cast<unsigned char*>(tile + blockDim.x);
  const unsigned at = blockIdx.x * blockDim.x;
  tile[threadIdx.x] = in[at + threadIdx.x];
  bytes[threadIdx.x] = static_cast<unsigned char>(threadIdx.x);  // neighbours in a word: no race
  __syncthreads();
  const unsigned from = blockDim.x - 1 - threadIdx.x;
  out[at + threadIdx.x] = tile[bytes[from]];
}
void reversed_launch(const float* in, float* out, int blocks, int threads, cudaStream_t stream) {
  const auto n = static_cast<unsigned>(threads);
  VIDEOSTR_LAUNCH(reversed, dim3(static_cast<unsigned>(blocks)), dim3(n), n * 5, stream, in, out);
}

__global__ void histogram(const int* in, int* out, int n) {  // counts in shared memory, then added up
  __shared__ int count[16];
  if (threadIdx.x < 16) count[threadIdx.x] = 0;
  __syncthreads();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < static_cast<unsigned>(n)) atomicAdd(&count[in[i]], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&out[threadIdx.x], count[threadIdx.x]);
}
void histogram_launch(const int* in, int* out, int n, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(histogram, dim3(static_cast<unsigned>(videostr::cuda::blocks(n, 64))), dim3(64), 0, stream, in, out, n);
}

template <typename T>
__global__ void atomics(const T* in, T* out, T* old) {
  const unsigned i = threadIdx.x;
  old[i] = atomicAdd(&out[0], in[i]);
  atomicMax(&out[1], in[i]);
  atomicMin(&out[2], in[i]);
  atomicExch(&out[3], in[i]);
  T seen = out[4];  // a sum by compare-and-swap
  for (;;) {
    const T found = atomicCAS(&out[4], seen, static_cast<T>(seen + in[i]));
    if (found == seen) break;
    seen = found;
  }
}
template <typename T>
void atomics_launch(const T* in, T* out, T* old, int threads, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(atomics<T>, dim3(1), dim3(static_cast<unsigned>(threads)), 0, stream, in, out, old);
}

__global__ void bit_atomics(const unsigned* in, unsigned* out) {
  atomicAnd(&out[0], in[threadIdx.x]);
  atomicOr(&out[1], in[threadIdx.x]);
  atomicXor(&out[2], in[threadIdx.x]);
  atomicInc(&out[3], 9);
  atomicDec(&out[4], 9);
  atomicSub(&out[5], in[threadIdx.x]);
}
void bit_atomics_launch(const unsigned* in, unsigned* out, int threads, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(bit_atomics, dim3(1), dim3(static_cast<unsigned>(threads)), 0, stream, in, out);
}

// ---- order: what a kernel may not rely on

__global__ void arrivals(int* count, int* out) {
  out[atomicAdd(count, 1)] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}
void arrivals_launch(int* count, int* out, int blocks, int threads, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(arrivals, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0, stream, count,
                  out);
}

__global__ void locked(int* lock, float* total) {  // one thread a warp at a time: a spin lock that every order opens
  if (threadIdx.x % 32) return;
  while (atomicCAS(lock, 0, 1) != 0) {
  }
  *total += 1.0f;
  __threadfence();
  atomicExch(lock, 0);
}
void locked_launch(int* lock, float* total, int threads, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(locked, dim3(2), dim3(static_cast<unsigned>(threads)), 0, stream, lock, total);
}

__global__ void flagged(volatile int* flag, int* out) {  // thread 0 waits until the last thread has come by
  if (threadIdx.x == blockDim.x - 1) *flag = 1;
  if (threadIdx.x == 0) {
    while (*flag == 0) {
    }
    *out = 7;
  }
}
void flagged_launch(int* flag, int* out, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(flagged, dim3(1), dim3(64), 0, stream, flag, out);
}

// ---- numbers

template <typename Narrow>
__global__ void narrow(const float* in, const double* in_double, Narrow* out, Narrow* out_double, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  out[i] = in[i];
  out_double[i] = Narrow(in_double[i]);
}
template <typename Narrow>
void narrow_launch(const float* in, const double* in_double, Narrow* out, Narrow* out_double, int n,
                   cudaStream_t stream) {
  VIDEOSTR_LAUNCH(narrow<Narrow>, dim3(static_cast<unsigned>(videostr::cuda::blocks(n, 256))), dim3(256), 0, stream, in,
                  in_double, out, out_double, n);
}
template <typename Narrow>
__global__ void widen(const Narrow* in, float* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = in[i];
}
template <typename Narrow>
void widen_launch(const Narrow* in, float* out, int n, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(widen<Narrow>, dim3(static_cast<unsigned>(videostr::cuda::blocks(n, 256))), dim3(256), 0, stream, in,
                  out, n);
}

__global__ void numbers(const int* in, int* out) {
  const unsigned i = threadIdx.x, n = blockDim.x;
  const int x = in[i];
  const float f = __int_as_float(x);
  const int row[] = {__popc(static_cast<unsigned>(x)), __ffs(x), __clz(x), static_cast<int>(__brev(static_cast<unsigned>(x))),
                     __float_as_int(__saturatef(f)), __float2int_rn(f), __float2int_rz(f), __mulhi(x, 123456789)};
  for (unsigned k = 0; k < 8; ++k) out[k * n + i] = row[k];
}
void numbers_launch(const int* in, int* out, int threads, cudaStream_t stream) {
  VIDEOSTR_LAUNCH(numbers, dim3(1), dim3(static_cast<unsigned>(threads)), 0, stream, in, out);
}

}  // namespace

void cuda_sim::bind_all() {
  bind<&places_launch>("places");
  bind<&shuffles_launch<int>>("shuffles_int32");
  bind<&shuffles_launch<double>>("shuffles_float64");
  bind<&shuffles_launch<unsigned char>>("shuffles_uint8");
  bind<&warp_wide_launch>("warp_wide");
  bind<&block_votes_launch>("block_votes");
  bind<&sums_launch<float>>("sums_float32");
  bind<&sums_launch<double>>("sums_float64");
  bind<&reversed_launch>("reversed");
  bind<&histogram_launch>("histogram");
  bind<&atomics_launch<int>>("atomics_int32");
  bind<&atomics_launch<unsigned>>("atomics_uint32");
  bind<&atomics_launch<unsigned long long>>("atomics_uint64");
  bind<&atomics_launch<float>>("atomics_float32");
  bind<&atomics_launch<double>>("atomics_float64");
  bind<&bit_atomics_launch>("bit_atomics");
  bind<&arrivals_launch>("arrivals");
  bind<&locked_launch>("locked");
  bind<&flagged_launch>("flagged");
  bind<&narrow_launch<__half>>("narrow_half");
  bind<&narrow_launch<__nv_bfloat16>>("narrow_bfloat16");
  bind<&widen_launch<__half>>("widen_half");
  bind<&widen_launch<__nv_bfloat16>>("widen_bfloat16");
  bind<&numbers_launch>("numbers");
}
