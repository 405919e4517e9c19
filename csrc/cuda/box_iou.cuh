// Overlap of boxes on the GPU: matched pairs, and every pair of two lists. Memory-bound: each value is read once.
#pragma once

#include "common/box.h"
#include "cuda/launch.h"

namespace videostr::cuda {

constexpr int kBoxThreads = 256;
constexpr int kBoxRows = 32;  // of a tile

// `wide`: the boxes are 16-byte aligned.
template <bool wide, typename T>
__device__ __forceinline__ Box box_from(const T* values, int64_t i) {
  const T* v = values + 4 * i;
  if constexpr (wide && sizeof(T) == 4) {
    const Pack<T> all = *reinterpret_cast<const Pack<T>*>(v);
    return {static_cast<double>(all.value[0]), static_cast<double>(all.value[1]), static_cast<double>(all.value[2]),
            static_cast<double>(all.value[3])};
  } else if constexpr (wide) {
    const Pack<T> low = *reinterpret_cast<const Pack<T>*>(v), high = *reinterpret_cast<const Pack<T>*>(v + 2);
    return {low.value[0], low.value[1], high.value[0], high.value[1]};
  } else {
    return {static_cast<double>(v[0]), static_cast<double>(v[1]), static_cast<double>(v[2]), static_cast<double>(v[3])};
  }
}

// pred, target [n, 4] -> out [n]
template <typename T, bool giou, bool wide>
__global__ void __launch_bounds__(kBoxThreads) box_matched_kernel(const T* pred, const T* target, T* out, int64_t n) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBoxThreads + threadIdx.x;
  if (i < n) out[i] = static_cast<T>(box_score<giou>(box_from<wide>(pred, i), box_from<wide>(target, i)));
}

// pred [rows, 4], target [columns, 4] -> out [rows, columns]. A block keeps a tile of pred in shared memory and each
// thread its target in registers.
template <typename T, bool giou, bool wide>
__global__ void __launch_bounds__(kBoxThreads)
    box_pairwise_kernel(const T* pred, const T* target, T* out, int64_t rows, int64_t columns) {
  __shared__ Box tile[kBoxRows];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kBoxThreads + threadIdx.x;
  const Box mine = column < columns ? box_from<wide>(target, column) : Box{0.0, 0.0, 0.0, 0.0};
  for (int64_t top = static_cast<int64_t>(blockIdx.y) * kBoxRows; top < rows;
       top += static_cast<int64_t>(gridDim.y) * kBoxRows) {
    const int count = static_cast<int>(rows - top < kBoxRows ? rows - top : kBoxRows);
    if (threadIdx.x < count) tile[threadIdx.x] = box_from<wide>(pred, top + threadIdx.x);
    __syncthreads();
    if (column < columns) {
      for (int row = 0; row < count; ++row) {
        const Box other = tile[row];
        out[(top + row) * columns + column] = static_cast<T>(box_score<giou>(other, mine));
      }
    }
    __syncthreads();  // before the next tile replaces this one
  }
}

template <typename T, bool giou>
void box_matched(const T* pred, const T* target, T* out, int64_t n, cudaStream_t stream) {
  if (n == 0) return;
  const dim3 grid(static_cast<unsigned>(blocks(n, kBoxThreads)));
  if (aligned(pred) && aligned(target)) {
    VIDEOSTR_LAUNCH((box_matched_kernel<T, giou, true>), grid, dim3(kBoxThreads), 0, stream, pred, target, out, n);
  } else {
    VIDEOSTR_LAUNCH((box_matched_kernel<T, giou, false>), grid, dim3(kBoxThreads), 0, stream, pred, target, out, n);
  }
}

template <typename T, bool giou>
void box_pairwise(const T* pred, const T* target, T* out, int64_t rows, int64_t columns, cudaStream_t stream) {
  if (rows == 0 || columns == 0) return;
  constexpr int64_t kMostRowBlocks = 65535;
  const int64_t row_blocks = blocks(rows, kBoxRows);
  const dim3 grid(static_cast<unsigned>(blocks(columns, kBoxThreads)),
                  static_cast<unsigned>(row_blocks < kMostRowBlocks ? row_blocks : kMostRowBlocks));
  if (aligned(pred) && aligned(target)) {
    VIDEOSTR_LAUNCH((box_pairwise_kernel<T, giou, true>), grid, dim3(kBoxThreads), 0, stream, pred, target, out, rows,
                    columns);
  } else {
    VIDEOSTR_LAUNCH((box_pairwise_kernel<T, giou, false>), grid, dim3(kBoxThreads), 0, stream, pred, target, out, rows,
                    columns);
  }
}

}  // namespace videostr::cuda
