// Scores of ragged sets of intervals on the GPU, a warp an answer, of any number of segments.
#pragma once

#include "common/pairing.h"
#include "cuda/warp.cuh"

namespace videostr::cuda {

template <typename T>
__device__ __forceinline__ Span segment(const T* values, int i) {
  return {static_cast<double>(values[2 * i]), static_cast<double>(values[2 * i + 1])};
}

__device__ __forceinline__ bool counts(Span s) { return s.valid() && s.end > s.start; }

struct Lengths {
  double pred, target, shared;
};

// Lengths of the unions without sorting: each lane takes end points, and what lies between one and the next is covered
// by a set or is not.
template <typename T>
__device__ __forceinline__ Lengths union_lengths(const T* pred, int n, const T* target, int m) {
  Lengths sum{0.0, 0.0, 0.0};
  for (int own = lane(); own < 2 * (n + m); own += kWarp) {
    const Span mine = own < 2 * n ? segment(pred, own / 2) : segment(target, own / 2 - n);
    if (!counts(mine)) continue;
    const double at = own % 2 == 0 ? mine.start : mine.end;
    double next = 0.0;
    bool in_pred = false, in_target = false, later = false, repeated = false;
    for (int k = 0; k < n + m; ++k) {
      const Span other = k < n ? segment(pred, k) : segment(target, k - n);
      if (!counts(other)) continue;
      if (other.start <= at && at < other.end) (k < n ? in_pred : in_target) = true;
      repeated |= (other.start == at && 2 * k < own) || (other.end == at && 2 * k + 1 < own);
      const double after = other.start > at ? other.start : other.end;
      if (after > at) {
        next = later ? smaller(next, after) : after;
        later = true;
      }
    }
    const double piece = later && !repeated ? next - at : 0.0;
    sum.pred += in_pred ? piece : 0.0;
    sum.target += in_target ? piece : 0.0;
    sum.shared += in_pred && in_target ? piece : 0.0;
  }
  return {warp_sum(sum.pred), warp_sum(sum.target), warp_sum(sum.shared)};
}

template <typename T>
__device__ __forceinline__ double written_pairs(const T* pred, int n, const T* target, int m) {
  double sum = 0.0;
  for (int i = lane(); i < n && i < m; i += kWarp) sum += pair_score(segment(pred, i), segment(target, i));
  return warp_sum(sum);
}

// best[i][j]: of the pairings of the first i segments with the first j true ones in which no two pairs cross. A lane holds
// one true segment and its column of `best`, row after row; more than 32 of them go in strips, and `edge` [n] keeps the
// last column of a strip for the next.
template <typename T>
__device__ __forceinline__ double ordered_pairs(const T* pred, int n, const T* target, int m, double* edge) {
  double best = 0.0;
  for (int strip = 0; strip < m; strip += kWarp) {
    const int column = strip + lane();
    const Span mine = column < m ? segment(target, column) : Span{0.0, -1.0};  // no interval: worth nothing
    double left_above = 0.0;
    best = 0.0;
    for (int i = 0; i < n; ++i) {
      const double left = strip > 0 ? edge[i] : 0.0;
      const double above_left = __shfl_up_sync(kAllLanes, best, 1);
      const double paired = (lane() > 0 ? above_left : left_above) + pair_score(segment(pred, i), mine);
      best = larger(larger(best, paired), left);
#pragma unroll
      for (int step = 1; step < kWarp; step *= 2) {
        const double before = __shfl_up_sync(kAllLanes, best, static_cast<unsigned>(step));
        if (lane() >= step) best = larger(best, before);
      }
      left_above = left;
      __syncwarp();  // everyone has read edge[i]
      if (strip + kWarp < m && lane() == kWarp - 1) edge[i] = best;
    }
    __syncwarp();  // the next strip reads it
  }
  return __shfl_sync(kAllLanes, best, kWarp - 1);
}

__device__ __forceinline__ double part_of(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

// pred [K, 2], target [J, 2], offsets [answers + 1], edge [K] (of ordered pairs alone) -> five of [answers].
template <typename T, Pairing pairing>
__global__ void __launch_bounds__(kWarpThreads)
    set_scores_kernel(const T* pred, const int64_t* pred_offsets, const T* target, const int64_t* target_offsets,
                      double* edge, T* iou, T* precision, T* recall, T* f1, T* matching, int64_t answers) {
  const int64_t b = warp_problem();
  if (b >= answers) return;
  const int64_t first = pred_offsets[b], true_first = target_offsets[b];
  const int n = static_cast<int>(pred_offsets[b + 1] - first);  // an answer has fewer than 2^29 segments
  const int m = static_cast<int>(target_offsets[b + 1] - true_first);
  const T *mine = pred + 2 * first, *truth = target + 2 * true_first;
  const Lengths length = union_lengths(mine, n, truth, m);
  double pairs;
  if constexpr (pairing == Pairing::written) {
    pairs = written_pairs(mine, n, truth, m);
  } else {
    pairs = ordered_pairs(mine, n, truth, m, edge + first);
  }
  if (lane() == 0) {
    iou[b] = static_cast<T>(part_of(length.shared, length.pred + length.target - length.shared));
    precision[b] = static_cast<T>(part_of(length.shared, length.pred));
    recall[b] = static_cast<T>(part_of(length.shared, length.target));
    f1[b] = static_cast<T>(part_of(2.0 * length.shared, length.pred + length.target));
    matching[b] = static_cast<T>(part_of(pairs, static_cast<double>(n > m ? n : m)));
  }
}

template <typename T, Pairing pairing>
void set_scores(const T* pred, const int64_t* pred_offsets, const T* target, const int64_t* target_offsets, double* edge,
                T* iou, T* precision, T* recall, T* f1, T* matching, int64_t answers, cudaStream_t stream) {
  if (answers == 0) return;
  VIDEOSTR_LAUNCH((set_scores_kernel<T, pairing>), warp_grid(answers), dim3(kWarpThreads), 0, stream, pred, pred_offsets,
                  target, target_offsets, edge, iou, precision, recall, f1, matching, answers);
}

}  // namespace videostr::cuda
