// Non-maximum suppression of intervals on the GPU, a warp a problem, of any number of intervals.
#pragma once

#include <cmath>

#include "common/interval.h"
#include "cuda/warp.cuh"

namespace videostr::cuda {

constexpr uint8_t kDropped = 0, kKept = 1, kOpen = 2;

// The best interval that is open, by score and then by place; place < 0: none is.
template <typename T>
struct Best {
  T score;
  int64_t place;

  __device__ __forceinline__ void offer(T other, int64_t at) {
    if (at >= 0 && (place < 0 || other > score || (other == score && at < place))) *this = {other, at};
  }
};

template <typename T>
__device__ __forceinline__ int64_t warp_best(Best<T> best) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, best.score, step);
    best.offer(other, __shfl_xor_sync(kAllLanes, best.place, step));
  }
  return best.place;
}

// span [K, 2], score [K], offsets [problems + 1] -> keep [K], 0 or 1. A round keeps the best open interval, closes what
// it suppresses, and looks for the next best on the way. Every lane touches its own places of `keep` alone.
template <typename T>
__global__ void __launch_bounds__(kWarpThreads)
    nms_kernel(const T* span, const T* scores, const int64_t* offsets, double threshold, uint8_t* keep,
               int64_t problems) {
  const int64_t b = warp_problem();
  if (b >= problems) return;
  const int64_t first = offsets[b] + lane(), end = offsets[b + 1];
  const auto span_of = [&](int64_t i) {
    return Span{static_cast<double>(span[2 * i]), static_cast<double>(span[2 * i + 1])};
  };
  const T lowest = static_cast<T>(-INFINITY);  // for NaN
  const auto rank = [&](int64_t i) { return scores[i] == scores[i] ? scores[i] : lowest; };

  Best<T> best{lowest, -1};
  for (int64_t i = first; i < end; i += kWarp) {
    const bool valid = span_of(i).valid();
    keep[i] = valid ? kOpen : kDropped;
    if (valid) best.offer(rank(i), i);
  }
  for (int64_t chosen = warp_best(best); chosen >= 0; chosen = warp_best(best)) {
    const Span kept = span_of(chosen);
    best = {lowest, -1};
    for (int64_t i = first; i < end; i += kWarp) {
      if (i == chosen) {
        keep[i] = kKept;
      } else if (keep[i] == kOpen) {
        if (score<Kind::iou>(kept, span_of(i)) > threshold) {
          keep[i] = kDropped;
        } else {
          best.offer(rank(i), i);
        }
      }
    }
  }
}

template <typename T>
void nms(const T* span, const T* scores, const int64_t* offsets, double threshold, uint8_t* keep, int64_t problems,
         cudaStream_t stream) {
  if (problems == 0) return;
  VIDEOSTR_LAUNCH((nms_kernel<T>), warp_grid(problems), dim3(kWarpThreads), 0, stream, span, scores, offsets, threshold,
                  keep, problems);
}

}  // namespace videostr::cuda
