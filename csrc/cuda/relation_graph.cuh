// relation_graph on the GPU: a warp a graph, from its nodes to its scores in one launch.
#pragma once

#include "cuda/graph_walk.cuh"
#include "cuda/launch.h"

namespace videostr::cuda {

constexpr int kGraphThreads = 128;
constexpr int kGraphWarps = kGraphThreads / kWarp, kGraphBlocks = 2;  // blocks an SM: 255 registers a thread

template <typename T>
__global__ void __launch_bounds__(kGraphThreads, kGraphBlocks)
    relation_graph_kernel(Graphs<T> in, int64_t graphs, int64_t preds, int64_t truths, double* doubles, int* ints) {
  const int lane = threadIdx.x % kWarp;
  const int64_t b = static_cast<int64_t>(blockIdx.x) * kGraphWarps + threadIdx.x / kWarp;
  if (b >= graphs) return;
  const int64_t begin = in.frame_offset[b], finish = in.frame_offset[b + 1], all = preds + truths;
  const int64_t first = in.truth.offset[begin], end = in.truth.offset[finish];
  int* partner = ints + 3 * all;
  const GraphScratch scratch{scratch_at(doubles, ints, all, in.pred.offset[begin] + first),
                             doubles + 3 * all,
                             reinterpret_cast<Anchor*>(doubles + 3 * all + truths),
                             partner,
                             in.match_shapes ? partner + truths : partner,
                             partner + 2 * truths,
                             partner + 2 * truths + preds};
  GraphWalk<T> walk{in, scratch, lane, 0.0, 1.0};
  walk.inverse = 1.0 / (in.scale ? in.scale[b] : walk.diagonal(first, end));
  PartSums parts;
  // the unit of length needs every frame's matching first; they are then matched again rather than kept
  for (int pass = in.scale_invariant ? 0 : 1; pass < 2; ++pass) {
    for (int64_t f = begin; f < finish; ++f) {
      const double2 node = walk.match_frame(f);
      if (pass == 1) {
        walk.score_frame(f, node, parts);
        if (in.truth.object && f > begin) {
          walk.score_displacement(f, in.displacement_scale ? 1.0 / in.displacement_scale[b] : walk.inverse, parts);
        }
      }
      __syncwarp();
    }
    if (pass == 0) walk.unit = walk.unit_of_length(begin, finish);
  }
  if (lane == 0) parts.store(in.score + b * kParts, in.frames + b * kParts);
}

// `present`: which of the arguments that may be absent are there.
enum Present { kHasScale = 1, kHasDisplacementScale = 2, kHasTrueObject = 4, kHasPredObject = 8, kHasBoxes = 16 };

template <typename T>
void relation_graph(const int64_t* pred_class, const T* pred_position, const int64_t* pred_object, const T* pred_box,
                    const int64_t* pred_offset, const int64_t* true_class, const T* true_position, const int64_t* true_object,
                    const T* true_box, const int64_t* true_offset,
                    const int64_t* frame_offset, const double* scale, const double* displacement_scale, T* score,
                    int64_t* match, int64_t* frames, double* doubles, int* ints, int64_t graphs, int64_t preds, int64_t truths,
                    int dimensions, int present, int angle, bool greedy, bool count_extra, bool scale_invariant,
                    bool match_shapes, cudaStream_t stream) {
  if (graphs == 0) return;
  const Graphs<T> in{{pred_class, pred_position, present & kHasPredObject ? pred_object : nullptr,
                      present & kHasBoxes ? pred_box : nullptr, pred_offset},
                     {true_class, true_position, present & kHasTrueObject ? true_object : nullptr,
                      present & kHasBoxes ? true_box : nullptr, true_offset},
                     frame_offset,
                     present & kHasScale ? scale : nullptr,
                     present & kHasDisplacementScale ? displacement_scale : nullptr,
                     dimensions,
                     static_cast<Angle>(angle),
                     greedy,
                     count_extra,
                     scale_invariant,
                     match_shapes,
                     score,
                     match,
                     frames};
  const dim3 grid(static_cast<unsigned>(blocks(graphs, kGraphWarps))), block(kGraphThreads);
  VIDEOSTR_LAUNCH((relation_graph_kernel<T>), grid, block, 0, stream, in, graphs, preds, truths, doubles, ints);
}

}  // namespace videostr::cuda
