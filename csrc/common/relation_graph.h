// What the CPU's and the GPU's relation_graph share: the call, and how near two numbers are.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/box.h"
#include "common/device.h"

namespace videostr {

enum class Angle { none, turn, direction };

// The order of reference.PARTS.
enum Part { kNode, kDistance, kAngle, kEdge, kDisplacement, kGraph, kParts };

constexpr double kPi = 3.14159265358979323846;
constexpr double kBeyond = 1e-6;  // reference.shape_matching.BEYOND
constexpr double kNearer = 1e-12;  // reference.shape_matching.NEARER

template <typename T>
struct Nodes {
  const int64_t* object_class;
  const T* position;  // [nodes, dimensions]
  const int64_t* object;  // null: no identities
  const T* box;  // [nodes, 4]; null: no boxes, on either side
  const int64_t* offset;  // of the frames
};

template <typename T>
struct Graphs {
  Nodes<T> pred, truth;
  const int64_t* frame_offset;
  const double* scale;  // null: the diagonal around a graph's true nodes
  const double* displacement_scale;  // null: as scale
  int dimensions;
  Angle angle;
  bool greedy, count_extra, scale_invariant, match_shapes;
  T* score;         // [graphs, kParts]
  int64_t* match;   // [pred nodes]
  int64_t* frames;  // [graphs, kParts]
};

// 1 where gap is 0, 0 from the scale on and where gap is NaN. inverse = 1 / scale: infinite for a scale of 0.
VIDEOSTR_HD double closeness(double gap, double inverse) {
  const double far = gap * inverse;
  return gap == 0.0 ? 1.0 : far < 1.0 ? 1.0 - far : 0.0;
}

// What a pair costs a matching that wants the greatest sum of closeness: past the scale all cost 1, and a hair more the
// farther they are, which decides between equals. Never NaN.
VIDEOSTR_HD double match_cost(double gap, double inverse) {
  const double far = gap == 0.0 ? 0.0 : gap * inverse;
  return far <= 1.0 ? far : far > 1.0 ? 1.0 + kBeyond * (1.0 - 1.0 / far) : 2.0;
}

template <typename T>
VIDEOSTR_HD Box box_of(const Nodes<T>& nodes, int64_t i) {
  const T* v = nodes.box + 4 * i;
  return {static_cast<double>(v[0]), static_cast<double>(v[1]), static_cast<double>(v[2]), static_cast<double>(v[3])};
}

// The IoU of a pair's boxes, 0 where the predicted node has none; kNoBox where the true one has none (one with a NaN is
// none) and position alone counts.
constexpr double kNoBox = -1.0;

template <typename T>
VIDEOSTR_HD double pair_iou(const Graphs<T>& in, int64_t pred, int64_t truth) {
  if (!in.truth.box) return kNoBox;
  const Box t = box_of(in.truth, truth);
  const bool there = (t.x0 == t.x0) & (t.y0 == t.y0) & (t.x1 == t.x1) & (t.y1 == t.y1);
  return there ? box_score<false>(box_of(in.pred, pred), t) : kNoBox;
}

// How alike the nodes of a pair are, from closeness and pair_iou; what that costs the matching, from match_cost.
VIDEOSTR_HD double similarity(double close, double iou) { return iou == kNoBox ? close : (close + iou) / 2; }
VIDEOSTR_HD double pair_cost(double cost, double iou) { return iou == kNoBox ? cost : (cost + (1.0 - iou)) / 2; }

struct Point {
  double x, y, z;
};

VIDEOSTR_HD double distance(Point a, Point b) {
  const double x = a.x - b.x, y = a.y - b.y, z = a.z - b.z;
  return sqrt(x * x + y * y + z * z);
}

// What the matching by shape measures from: one place in the prediction and in the truth.
struct Anchor {
  Point pred, truth;
  double weight;
};

// What it costs to match two nodes by how far they lie from every anchor; positions decide between equals. Never NaN.
VIDEOSTR_HD double shape_cost(Point pred, Point truth, const Anchor* anchor, int anchors, double unit, double inverse) {
  double cost = kNearer * match_cost(distance(pred, truth), inverse);
  for (int a = 0; a < anchors; ++a) {
    const double gap = unit * distance(pred, anchor[a].pred) - distance(truth, anchor[a].truth);
    const double far = match_cost(gap < 0.0 ? -gap : gap, inverse);
    cost += anchor[a].weight * far * far;
  }
  return cost;
}

VIDEOSTR_HD bool finite(double x) { return x - x == 0.0; }

// Sums over the frames in which a part is defined; what edge and graph are made of.
struct PartSums {
  double sum[kParts] = {};
  int64_t frames[kParts] = {};

  VIDEOSTR_HD void add(Part part, double value) {
    sum[part] += value;
    ++frames[part];
  }
  // Scores of one frame; a count of 0: the part is not defined.
  VIDEOSTR_HD void add_frame(double node, bool has_node, double distance, bool has_edges, double angle, bool has_angles) {
    if (has_node) add(kNode, node);
    if (has_edges) add(kDistance, distance);
    if (has_angles) add(kAngle, angle);
    const double edge = has_angles ? (distance + angle) / 2 : distance;  // an angle needs an edge
    if (has_edges) add(kEdge, edge);
    if (has_node || has_edges) add(kGraph, !has_edges ? node : !has_node ? edge : (node + edge) / 2);
  }
  template <typename T>
  VIDEOSTR_HD void store(T* score, int64_t* count) const {
    for (int k = 0; k < kParts; ++k) {
      score[k] = static_cast<T>(frames[k] > 0 ? sum[k] / static_cast<double>(frames[k]) : 0.0);
      count[k] = frames[k];
    }
  }
};

}  // namespace videostr
