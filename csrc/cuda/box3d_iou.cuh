// Overlap of upright boxes on the GPU: matched pairs, and every pair of two lists.
#pragma once

#include "common/box3d.h"
#include "cuda/launch.h"

namespace videostr::cuda {

constexpr int kBox3dThreads = 64;
constexpr int kBox3dRows = 16;  // of a tile

// A thread's polygon in shared memory, where an index need not be known to the compiler; neighbours lie side by side.
struct SharedPolygon {
  double* first;
  __device__ __forceinline__ double& at(int corner, int axis) const { return first[(2 * corner + axis) * kBox3dThreads]; }
};
constexpr int kPolygonValues = 2 * kPolygon * kBox3dThreads;  // of a block

// pred, target [n, 7] -> out [n]
template <typename T, bool bev>
__global__ void __launch_bounds__(kBox3dThreads) box3d_matched_kernel(const T* pred, const T* target, T* out, int64_t n) {
  __shared__ double corners[2 * kPolygonValues];
  SharedPolygon one{corners + threadIdx.x}, two{corners + kPolygonValues + threadIdx.x};
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBox3dThreads + threadIdx.x;
  if (i < n) out[i] = static_cast<T>(box3d_score<bev>(read_box3d(pred + 7 * i), read_box3d(target + 7 * i), one, two));
}

// pred [rows, 7], target [columns, 7] -> out [rows, columns]. A block keeps a tile of pred in shared memory and each
// thread its target in registers, sines and cosines made.
template <typename T, bool bev>
__global__ void __launch_bounds__(kBox3dThreads)
    box3d_pairwise_kernel(const T* pred, const T* target, T* out, int64_t rows, int64_t columns) {
  __shared__ double corners[2 * kPolygonValues];
  __shared__ Box3d tile[kBox3dRows];
  SharedPolygon one{corners + threadIdx.x}, two{corners + kPolygonValues + threadIdx.x};
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kBox3dThreads + threadIdx.x;
  Box3d mine{};
  if (column < columns) mine = read_box3d(target + 7 * column);
  for (int64_t top = static_cast<int64_t>(blockIdx.y) * kBox3dRows; top < rows;
       top += static_cast<int64_t>(gridDim.y) * kBox3dRows) {
    const int count = static_cast<int>(rows - top < kBox3dRows ? rows - top : kBox3dRows);
    if (threadIdx.x < count) tile[threadIdx.x] = read_box3d(pred + 7 * (top + threadIdx.x));
    __syncthreads();
    if (column < columns) {
      for (int row = 0; row < count; ++row) {
        out[(top + row) * columns + column] = static_cast<T>(box3d_score<bev>(tile[row], mine, one, two));
      }
    }
    __syncthreads();  // before the next tile replaces this one
  }
}

template <typename T, bool bev>
void box3d_matched(const T* pred, const T* target, T* out, int64_t n, cudaStream_t stream) {
  if (n == 0) return;
  const dim3 grid(static_cast<unsigned>(blocks(n, kBox3dThreads)));
  VIDEOSTR_LAUNCH((box3d_matched_kernel<T, bev>), grid, dim3(kBox3dThreads), 0, stream, pred, target, out, n);
}

template <typename T, bool bev>
void box3d_pairwise(const T* pred, const T* target, T* out, int64_t rows, int64_t columns, cudaStream_t stream) {
  if (rows == 0 || columns == 0) return;
  constexpr int64_t kMostRowBlocks = 65535;
  const int64_t row_blocks = blocks(rows, kBox3dRows);
  const dim3 grid(static_cast<unsigned>(blocks(columns, kBox3dThreads)),
                  static_cast<unsigned>(row_blocks < kMostRowBlocks ? row_blocks : kMostRowBlocks));
  VIDEOSTR_LAUNCH((box3d_pairwise_kernel<T, bev>), grid, dim3(kBox3dThreads), 0, stream, pred, target, out, rows,
                  columns);
}

}  // namespace videostr::cuda
