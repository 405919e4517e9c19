// temporal_iou on the GPU: matched pairs, and every pair of two lists. Memory-bound: each value is read once.
#pragma once

#include "common/interval.h"
#include "cuda/launch.h"

namespace videostr::cuda {

constexpr int kThreads = 256;
// Leave 80 and 128 registers a thread, which spills nothing on any architecture.
constexpr int kBlocksPerSm = 3, kPairBlocksPerSm = 2;

template <typename T>
__device__ __forceinline__ Span span_at(const Pack<T>* packs, int i) {  // the i-th interval of packs in registers
  constexpr int per_pack = Pack<T>::size / 2;
  const Pack<T>& pack = packs[i / per_pack];
  return {static_cast<double>(pack.value[i % per_pack * 2]), static_cast<double>(pack.value[i % per_pack * 2 + 1])};
}

template <typename T>
__device__ __forceinline__ Span span_from(const T* values, int64_t i) {
  return {static_cast<double>(values[2 * i]), static_cast<double>(values[2 * i + 1])};
}

// pred, target [n, 2], duration [n] (of time_r1 alone, else null) -> out [n]. A thread takes the intervals of one 16-byte
// store; `wide`: all of them are 16-byte aligned.
template <typename T, Kind kind, bool wide>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm)
    matched_kernel(const T* pred, const T* target, const T* duration, T* out, int64_t n) {
  constexpr int each = Pack<T>::size;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * each;
  if (wide && first + each <= n) {
    const auto* p = reinterpret_cast<const Pack<T>*>(pred + 2 * first);
    const auto* t = reinterpret_cast<const Pack<T>*>(target + 2 * first);
    const Pack<T> p_packs[2] = {p[0], p[1]}, t_packs[2] = {t[0], t[1]};
    Pack<T> scores, wholes;
    if constexpr (kind == Kind::time_r1) wholes = *reinterpret_cast<const Pack<T>*>(duration + first);
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const double seconds = kind == Kind::time_r1 ? static_cast<double>(wholes.value[i]) : 1.0;
      scores.value[i] = static_cast<T>(score<kind>(span_at(p_packs, i), span_at(t_packs, i), seconds));
    }
    store(out + first, scores);
  } else {
    for (int64_t i = first; i < first + each && i < n; ++i) {
      const double seconds = kind == Kind::time_r1 ? static_cast<double>(duration[i]) : 1.0;
      out[i] = static_cast<T>(score<kind>(span_from(pred, i), span_from(target, i), seconds));
    }
  }
}

// pred [rows, 2], target [columns, 2], duration [rows] (as above) -> out [rows, columns]. A block keeps a tile of pred in
// shared memory and each thread the targets of one 16-byte store in registers, so that only out is moved more than once
// a tile.
// `wide`: target and out are 16-byte aligned and columns is a multiple of what a store holds.
constexpr int kTileRows = 32;

template <typename T, Kind kind, bool wide>
__global__ void __launch_bounds__(kThreads, kPairBlocksPerSm)
    pairwise_kernel(const T* pred, const T* target, const T* duration, T* out, int64_t rows, int64_t columns) {
  constexpr int each = Pack<T>::size;
  __shared__ Span tile[kTileRows];
  __shared__ double wholes[kind == Kind::time_r1 ? kTileRows : 1];
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * each;
  const bool whole = wide && first + each <= columns;
  Pack<T> t_packs[2] = {};
  if (whole) {
    const auto* t = reinterpret_cast<const Pack<T>*>(target + 2 * first);
    t_packs[0] = t[0];
    t_packs[1] = t[1];
  }
  for (int64_t top = static_cast<int64_t>(blockIdx.y) * kTileRows; top < rows;
       top += static_cast<int64_t>(gridDim.y) * kTileRows) {
    const int count = static_cast<int>(rows - top < kTileRows ? rows - top : kTileRows);
    if (threadIdx.x < count) {
      tile[threadIdx.x] = span_from(pred, top + threadIdx.x);
      if constexpr (kind == Kind::time_r1) wholes[threadIdx.x] = static_cast<double>(duration[top + threadIdx.x]);
    }
    __syncthreads();
    for (int row = 0; row < count; ++row) {
      T* line = out + (top + row) * columns;
      const double seconds = kind == Kind::time_r1 ? wholes[row] : 1.0;
      if (whole) {
        Pack<T> scores;
#pragma unroll
        for (int i = 0; i < each; ++i) {
          scores.value[i] = static_cast<T>(score<kind>(tile[row], span_at(t_packs, i), seconds));
        }
        store(line + first, scores);
      } else {
        for (int64_t i = first; i < first + each && i < columns; ++i) {
          line[i] = static_cast<T>(score<kind>(tile[row], span_from(target, i), seconds));
        }
      }
    }
    __syncthreads();  // before the next tile replaces this one
  }
}

// ---- launches; an empty result starts nothing

template <typename T, Kind kind>
void matched(const T* pred, const T* target, const T* duration, T* out, int64_t n, cudaStream_t stream) {
  if (n == 0) return;
  const dim3 grid(static_cast<unsigned>(blocks(n, kThreads * Pack<T>::size)));
  if (aligned(pred) && aligned(target) && aligned(duration) && aligned(out)) {
    VIDEOSTR_LAUNCH((matched_kernel<T, kind, true>), grid, dim3(kThreads), 0, stream, pred, target, duration, out, n);
  } else {
    VIDEOSTR_LAUNCH((matched_kernel<T, kind, false>), grid, dim3(kThreads), 0, stream, pred, target, duration, out, n);
  }
}

template <typename T, Kind kind>
void pairwise(const T* pred, const T* target, const T* duration, T* out, int64_t rows, int64_t columns,
              cudaStream_t stream) {
  if (rows == 0 || columns == 0) return;
  constexpr int64_t kMostRowBlocks = 65535;
  const int64_t row_blocks = blocks(rows, kTileRows);
  const dim3 grid(static_cast<unsigned>(blocks(columns, kThreads * Pack<T>::size)),
                  static_cast<unsigned>(row_blocks < kMostRowBlocks ? row_blocks : kMostRowBlocks));
  if (aligned(target) && aligned(out) && columns % Pack<T>::size == 0) {
    VIDEOSTR_LAUNCH((pairwise_kernel<T, kind, true>), grid, dim3(kThreads), 0, stream, pred, target, duration, out, rows,
                    columns);
  } else {
    VIDEOSTR_LAUNCH((pairwise_kernel<T, kind, false>), grid, dim3(kThreads), 0, stream, pred, target, duration, out,
                    rows, columns);
  }
}

}  // namespace videostr::cuda
