// vIoU of tubes on the GPU, a warp an answer, of any number of frames in any order.
#pragma once

#include "common/box.h"
#include "cuda/warp.cuh"

namespace videostr::cuda {

template <typename T>
__device__ __forceinline__ Box tube_box(const T* values, int64_t i) {
  const T* v = values + 4 * i;
  return {static_cast<double>(v[0]), static_cast<double>(v[1]), static_cast<double>(v[2]), static_cast<double>(v[3])};
}

// The last of the rows [from, to) that lies in this frame; -1: none.
__device__ __forceinline__ int64_t last_of(const int64_t* frames, int64_t frame, int64_t from, int64_t to) {
  int64_t found = -1;
  for (int64_t i = from; i < to; ++i) found = frames[i] == frame ? i : found;
  return found;
}

// pred [K, 4], pred_frame [K], target [J, 4], target_frame [J], offsets [answers + 1] -> out [answers]
template <typename T, bool over_target>
__global__ void __launch_bounds__(kWarpThreads)
    tube_kernel(const T* pred, const int64_t* pred_frame, const int64_t* pred_offsets, const T* target,
                const int64_t* target_frame, const int64_t* target_offsets, T* out, int64_t answers) {
  const int64_t b = warp_problem();
  if (b >= answers) return;
  const int64_t first = pred_offsets[b], end = pred_offsets[b + 1];
  const int64_t true_first = target_offsets[b], true_end = target_offsets[b + 1];
  double sum = 0.0;
  int frames = 0;  // that count in the mean
  for (int64_t j = true_first + lane(); j < true_end; j += kWarp) {
    const int64_t frame = target_frame[j];
    if (last_of(target_frame, frame, j + 1, true_end) >= 0) continue;
    ++frames;
    const int64_t mine = last_of(pred_frame, frame, first, end);
    if (mine >= 0) sum += box_score<false>(tube_box(pred, mine), tube_box(target, j));
  }
  if constexpr (!over_target) {
    for (int64_t i = first + lane(); i < end; i += kWarp) {
      const int64_t frame = pred_frame[i];
      frames += last_of(pred_frame, frame, i + 1, end) < 0 && last_of(target_frame, frame, true_first, true_end) < 0;
    }
  }
  sum = warp_sum(sum);
  frames = warp_sum(frames);
  if (lane() == 0) out[b] = frames > 0 ? static_cast<T>(sum / static_cast<double>(frames)) : static_cast<T>(0);
}

template <typename T, bool over_target>
void tube(const T* pred, const int64_t* pred_frame, const int64_t* pred_offsets, const T* target,
          const int64_t* target_frame, const int64_t* target_offsets, T* out, int64_t answers, cudaStream_t stream) {
  if (answers == 0) return;
  VIDEOSTR_LAUNCH((tube_kernel<T, over_target>), warp_grid(answers), dim3(kWarpThreads), 0, stream, pred, pred_frame,
                  pred_offsets, target, target_frame, target_offsets, out, answers);
}

}  // namespace videostr::cuda
