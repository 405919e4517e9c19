// assignment on the GPU: a warp a problem.
#pragma once

#include "cuda/assignment_solver.cuh"

namespace videostr::cuda {

constexpr int kAssignmentThreads = 128;
constexpr int kAssignmentWarps = kAssignmentThreads / kWarp, kAssignmentBlocks = 4;  // blocks an SM: 128 registers a thread
constexpr int kMostSideShared = 256;  // of the longer side: its scratch then fits into 48 KiB for every warp of a block

// Where one problem's numbers lie. `scratch`: its place in a workspace for all problems.
struct AssignmentPlace {
  int64_t rows, columns, stride, cost, row, column, scratch;
};

template <typename T>
__device__ __forceinline__ void assign(const T* cost, T* total, int64_t* column, int64_t* row, const AssignmentPlace& place, bool maximize,
                       const AssignmentScratch& s, int lane) {
  for (int64_t i = lane; i < place.rows; i += kWarp) column[place.row + i] = -1;
  for (int64_t j = lane; j < place.columns; j += kWarp) row[place.column + j] = -1;
  __syncwarp();
  const bool swapped = place.rows > place.columns;
  AssignmentCosts<T> costs{cost + place.cost,
                           swapped ? 1 : place.stride,
                           swapped ? place.stride : 1,
                           static_cast<int>(swapped ? place.columns : place.rows),
                           static_cast<int>(swapped ? place.rows : place.columns),
                           maximize ? -1.0 : 1.0,
                           1.0,
                           0.0};
  double sum = 0.0;
  if (costs.rows > 0) {
    costs.find_forbidden(lane);
    solve_assignment(costs, s, lane);
    for (int i = lane; i < costs.rows; i += kWarp) {
      const int j = s.column_of[i];
      const double c = costs.given(i, j);
      if (!is_finite(c)) continue;
      column[place.row + (swapped ? j : i)] = swapped ? i : j;
      row[place.column + (swapped ? i : j)] = swapped ? j : i;
      sum += c;
    }
  }
  for (int away = kWarp / 2; away > 0; away /= 2) sum += __shfl_xor_sync(kAllLanes, sum, away);
  if (lane == 0) *total = static_cast<T>(sum);
}

// cost [problems, rows, columns], row_count and column_count [problems] or null -> total [problems], column [problems, rows],
// row [problems, columns]. Scratch in dynamic shared memory, or, `large`, in workspace.
template <typename T, bool large>
__global__ void __launch_bounds__(kAssignmentThreads, kAssignmentBlocks)
    assignment_kernel(const T* cost, const int64_t* row_count, const int64_t* column_count, T* total, int64_t* column,
                      int64_t* row, double* doubles, int* ints, int64_t problems, int64_t rows, int64_t columns,
                      bool maximize) {
  VIDEOSTR_DYNAMIC_SHARED(double, shared);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kAssignmentWarps + warp;
  if (b >= problems) return;
  const int64_t side = rows > columns ? rows : columns, here = large ? b : warp, room = large ? problems : kAssignmentWarps;
  if (!large) {
    doubles = shared;
    ints = reinterpret_cast<int*>(shared + 3 * kAssignmentWarps * side);
  }
  const AssignmentPlace place{row_count ? row_count[b] : rows,
                              column_count ? column_count[b] : columns,
                              columns,
                              b * rows * columns,
                              b * rows,
                              b * columns,
                              here * side};
  for (int64_t i = place.rows + lane; i < rows; i += kWarp) column[place.row + i] = -1;
  for (int64_t j = place.columns + lane; j < columns; j += kWarp) row[place.column + j] = -1;
  assign(cost, total + b, column, row, place, maximize, scratch_at(doubles, ints, room * side, place.scratch), lane);
}

// The same of matrices one behind the other; offsets [problems + 1]. Scratch in a workspace for all rows and columns.
template <typename T>
__global__ void __launch_bounds__(kAssignmentThreads, kAssignmentBlocks)
    assignment_ragged_kernel(const T* cost, const int64_t* cost_offset, const int64_t* row_offset,
                             const int64_t* column_offset, T* total, int64_t* column, int64_t* row, double* doubles,
                             int* ints, int64_t problems, bool maximize) {
  const int lane = threadIdx.x % kWarp;
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kAssignmentWarps + threadIdx.x / kWarp;
  if (b >= problems) return;
  const int64_t first_row = row_offset[b], first_column = column_offset[b], columns = column_offset[b + 1] - first_column;
  const AssignmentPlace place{row_offset[b + 1] - first_row, columns,      columns, cost_offset[b], first_row,
                              first_column,                  first_row + first_column};
  assign(cost, total + b, column, row, place, maximize,
         scratch_at(doubles, ints, row_offset[problems] + column_offset[problems], place.scratch), lane);
}

// ---- launches; doubles and ints: three of each for every element of scratch, none where it fits into shared memory

template <typename T>
void assignment(const T* cost, const int64_t* row_count, const int64_t* column_count, T* total, int64_t* column, int64_t* row,
                double* doubles, int* ints, int64_t problems, int64_t rows, int64_t columns, bool maximize,
                cudaStream_t stream) {
  if (problems == 0) return;
  const int64_t side = rows > columns ? rows : columns;
  const dim3 grid(static_cast<unsigned>(blocks(problems, kAssignmentWarps))), block(kAssignmentThreads);
  if (side <= kMostSideShared) {
    const int bytes = static_cast<int>(kAssignmentWarps * side * kScratchBytes);
    VIDEOSTR_LAUNCH((assignment_kernel<T, false>), grid, block, bytes, stream, cost, row_count, column_count, total, column,
                    row, doubles, ints, problems, rows, columns, maximize);
  } else {
    VIDEOSTR_LAUNCH((assignment_kernel<T, true>), grid, block, 0, stream, cost, row_count, column_count, total, column, row,
                    doubles, ints, problems, rows, columns, maximize);
  }
}

template <typename T>
void assignment_ragged(const T* cost, const int64_t* cost_offset, const int64_t* row_offset, const int64_t* column_offset,
                       T* total, int64_t* column, int64_t* row, double* doubles, int* ints, int64_t problems, bool maximize,
                       cudaStream_t stream) {
  if (problems == 0) return;
  const dim3 grid(static_cast<unsigned>(blocks(problems, kAssignmentWarps))), block(kAssignmentThreads);
  VIDEOSTR_LAUNCH((assignment_ragged_kernel<T>), grid, block, 0, stream, cost, cost_offset, row_offset, column_offset, total,
                  column, row, doubles, ints, problems, maximize);
}

}  // namespace videostr::cuda
