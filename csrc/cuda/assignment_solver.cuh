// One assignment problem by one warp: shortest augmenting paths, a row at a time. Lane l has the columns l, l + 32, …
#pragma once

#include "cuda/launch.h"

namespace videostr::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr double kInfinity = __builtin_huge_val();

__device__ __forceinline__ bool is_finite(double x) { return x - x == 0.0; }

// A number for each column (column_of: each row), in shared memory, or in global memory where there are too many.
struct AssignmentScratch {
  double *price, *open, *settled;
  int *parent, *row_of, *column_of;
};
constexpr int kScratchBytes = 3 * 8 + 3 * 4;  // for each of the longer side

__device__ __forceinline__ AssignmentScratch scratch_at(double* doubles, int* ints, int64_t total, int64_t at) {
  return {doubles + at, doubles + total + at, doubles + 2 * total + at, ints + at, ints + total + at, ints + 2 * total + at};
}

// Costs as the solver sees them: negated to maximise; what is not finite costs more than any exchange can make up for; all
// brought down by a power of two where sums could overflow. rows <= columns, by swapped steps where need be.
template <typename T>
struct AssignmentCosts {
  const T* cost;
  int64_t row_step, column_step;
  int rows, columns;
  double sign, factor, forbidden;

  __device__ __forceinline__ double given(int i, int j) const {
    return static_cast<double>(cost[i * row_step + j * column_step]);
  }
  __device__ __forceinline__ double at(int i, int j) const {
    const double c = sign * given(i, j);
    return is_finite(c) ? c * factor : forbidden;
  }

  __device__ __forceinline__ void find_forbidden(int lane) {
    double low = kInfinity, high = -kInfinity;
    for (int i = 0; i < rows; ++i) {
      for (int j = lane; j < columns; j += kWarp) {
        const double c = sign * given(i, j);
        if (!is_finite(c)) continue;
        low = c < low ? c : low;
        high = c > high ? c : high;
      }
    }
    for (int away = kWarp / 2; away > 0; away /= 2) {
      const double other_low = __shfl_xor_sync(kAllLanes, low, away), other_high = __shfl_xor_sync(kAllLanes, high, away);
      low = other_low < low ? other_low : low;
      high = other_high > high ? other_high : high;
    }
    if (low > high) low = high = 0.0;
    const double largest = -low > high ? -low : high;
    factor = largest > 0x1p900 ? 0x1p-200 : 1.0;
    low *= factor;
    high *= factor;
    const double exchange = (rows + 1) * (high - low), magnitude = low < 0.0 ? -low : low;
    forbidden = low + (exchange > magnitude ? exchange : magnitude);
    if (forbidden == low) forbidden = low + 1.0;  // every allowed cost is 0
  }
};

// column_of and row_of are filled; every row gets a column. All lanes come in and leave together.
template <typename Costs>
__device__ __forceinline__ void solve_assignment(const Costs& costs, const AssignmentScratch& s, int lane) {
  constexpr int kTaken = 1 << 30;  // of equals a free column, then the first
  for (int j = lane; j < costs.columns; j += kWarp) {
    s.price[j] = 0.0;
    s.row_of[j] = -1;
  }
  for (int start = 0; start < costs.rows; ++start) {
    for (int j = lane; j < costs.columns; j += kWarp) {
      s.open[j] = costs.at(start, j) - s.price[j];
      s.parent[j] = start;
      s.settled[j] = kInfinity;
    }
    double reached;
    int end;
    for (;;) {
      reached = kInfinity;
      int best = 0x7fffffff;
      for (int j = lane; j < costs.columns; j += kWarp) {
        if (s.settled[j] < kInfinity) continue;
        const int key = s.row_of[j] < 0 ? j : j | kTaken;
        if (s.open[j] < reached || (s.open[j] == reached && key < best)) {
          reached = s.open[j];
          best = key;
        }
      }
      for (int away = kWarp / 2; away > 0; away /= 2) {
        const double other = __shfl_xor_sync(kAllLanes, reached, away);
        const int other_best = __shfl_xor_sync(kAllLanes, best, away);
        if (other < reached || (other == reached && other_best < best)) {
          reached = other;
          best = other_best;
        }
      }
      end = best & ~kTaken;
      if (best < kTaken) break;
      if (lane == end % kWarp) s.settled[end] = reached;
      const int row = s.row_of[end];
      const double offset = reached - (costs.at(row, end) - s.price[end]);
      for (int j = lane; j < costs.columns; j += kWarp) {
        const double through = costs.at(row, j) - s.price[j] + offset;
        if (s.settled[j] == kInfinity && through < s.open[j]) {
          s.open[j] = through;
          s.parent[j] = row;
        }
      }
    }
    __syncwarp();  // every lane has read the prices of others; parents are there for lane 0
    for (int j = lane; j < costs.columns; j += kWarp) {
      if (s.settled[j] < kInfinity) s.price[j] += s.settled[j] - reached;
    }
    if (lane == 0) {
      for (int j = end;;) {
        const int row = s.parent[j], next = row == start ? -1 : s.column_of[row];
        s.row_of[j] = row;
        s.column_of[row] = j;
        if (next < 0) break;
        j = next;
      }
    }
    __syncwarp();
  }
}

}  // namespace videostr::cuda
