// A warp's way through one graph: matching, node, edge and displacement scores. relation_graph.cuh starts it.
#pragma once

#include "common/relation_graph.h"
#include "cuda/assignment_solver.cuh"

namespace videostr::cuda {

// Room for every node of every graph: doubles [3 (preds + truths) + 8 truths], ints [3 (preds + truths) + preds + 3 truths].
struct GraphScratch {
  AssignmentScratch assignment;
  double* turned;  // by true node: what compare_directions says of an edge to it
  Anchor* anchors;  // in the places of their frame's true nodes
  int *partner, *edge_partner;  // by true node: its predicted node or -1, for the nodes' score and for the edges
  int *rows, *columns;  // the predicted and true nodes of one class, in the places of their frame
};

inline int64_t graph_doubles(int64_t preds, int64_t truths) { return 3 * preds + 11 * truths; }
inline int64_t graph_ints(int64_t preds, int64_t truths) { return 4 * preds + 6 * truths; }

template <typename T>
__device__ __forceinline__ Point point_at(const Nodes<T>& nodes, int dimensions, int64_t i) {
  const T* p = nodes.position + i * dimensions;
  return {static_cast<double>(p[0]), static_cast<double>(p[1]), dimensions > 2 ? static_cast<double>(p[2]) : 0.0};
}

template <typename V>
__device__ __forceinline__ V warp_sum(V value) {
  for (int away = kWarp / 2; away > 0; away /= 2) value += __shfl_xor_sync(kAllLanes, value, away);
  return value;
}

// A lane's share of the cells of a table, row by row, without a division.
struct Cells {
  int64_t columns, row, column;

  __device__ __forceinline__ Cells(int64_t columns, int lane) : columns(columns), row(0), column(lane) { wrap(); }
  __device__ __forceinline__ void next() {
    column += kWarp;
    wrap();
  }
  __device__ __forceinline__ void wrap() {
    while (columns > 0 && column >= columns) {
      column -= columns;
      ++row;
    }
  }
};

// Costs of pairs of one class for the assignment; rows <= columns, by swapped sides where need be.
template <typename T>
struct ClassCosts {
  const Graphs<T>& in;
  const int *short_side, *long_side;
  bool swapped;
  int rows, columns;
  double inverse;

  __device__ __forceinline__ double at(int i, int j) const {
    const int p = swapped ? long_side[j] : short_side[i], t = swapped ? short_side[i] : long_side[j];
    const double gap = distance(point_at(in.pred, in.dimensions, p), point_at(in.truth, in.dimensions, t));
    return pair_cost(match_cost(gap, inverse), pair_iou(in, p, t));
  }
};

// The same for the matching by shape.
template <typename T>
struct ShapeCosts {
  const Graphs<T>& in;
  const int *short_side, *long_side;
  bool swapped;
  int rows, columns;
  const Anchor* anchor;
  int anchors;
  double unit, inverse;

  __device__ __forceinline__ double at(int i, int j) const {
    const int p = swapped ? long_side[j] : short_side[i], t = swapped ? short_side[i] : long_side[j];
    return shape_cost(point_at(in.pred, in.dimensions, p), point_at(in.truth, in.dimensions, t), anchor, anchors, unit, inverse);
  }
};

// One graph's walk; every member is called by all lanes together.
template <typename T>
struct GraphWalk {
  const Graphs<T>& in;
  const GraphScratch& s;
  int lane;
  double inverse;  // of the scale
  double unit;     // what predicted lengths are multiplied by

  __device__ __forceinline__ Point truth(int64_t j) const { return point_at(in.truth, in.dimensions, j); }
  __device__ __forceinline__ Point seen(int64_t j) const { return point_at(in.pred, in.dimensions, s.partner[j]); }
  __device__ __forceinline__ Point edge_seen(int64_t j) const {
    return point_at(in.pred, in.dimensions, s.edge_partner[j]);
  }

  // The nodes of class c in a frame, finite ones only where asked, as a list; returns {listed, of the class}.
  __device__ __forceinline__ int2 list(const Nodes<T>& nodes, int64_t begin, int64_t end, int64_t c, bool only_finite, int* to) const {
    int listed = 0, all = 0;
    for (int64_t first = begin; first < end; first += kWarp) {
      const int64_t i = first + lane;
      const bool same = i < end && nodes.object_class[i] == c;
      bool kept = same;
      if (same && only_finite) {
        const Point p = point_at(nodes, in.dimensions, i);
        kept = finite(p.x) && finite(p.y) && finite(p.z);
      }
      const unsigned votes = __ballot_sync(kAllLanes, kept);
      if (kept) to[listed + __popc(votes & ((1u << lane) - 1))] = static_cast<int>(i);
      listed += __popc(votes);
      all += __popc(__ballot_sync(kAllLanes, same));
    }
    __syncwarp();
    return {listed, all};
  }

  __device__ __forceinline__ void take(int p, int t) const {
    in.match[p] = t;
    s.partner[t] = p;
  }

  __device__ __forceinline__ void match_optimally(const int* rows, int count, const int* columns, int truths) const {
    const bool swapped = count > truths;
    const ClassCosts<T> costs{in,    swapped ? columns : rows, swapped ? rows : columns, swapped, swapped ? truths : count,
                              swapped ? count : truths, inverse};
    solve_assignment(costs, s.assignment, lane);
    for (int i = lane; i < costs.rows; i += kWarp) {
      const int j = s.assignment.column_of[i];
      take(swapped ? rows[j] : rows[i], swapped ? columns[i] : columns[j]);
    }
  }

  // The closest pair with both ends free, again and again; of equals the first. With boxes: the most alike, then closest.
  __device__ __forceinline__ void match_greedily(const int* rows, int count, const int* columns, int truths) const {
    const int pairs = count < truths ? count : truths;
    for (int taken = 0; taken < pairs; ++taken) {
      double cost = kInfinity, gap = kInfinity;  // cost: 0 throughout without boxes
      int best = 0x7fffffff;
      for (Cells pair(truths, lane); pair.row < count; pair.next()) {
        const int p = rows[pair.row], t = columns[pair.column];
        if (in.match[p] >= 0 || s.partner[t] >= 0) continue;
        const double here = distance(point_at(in.pred, in.dimensions, p), truth(t));
        const double costs = in.truth.box ? pair_cost(match_cost(here, inverse), pair_iou(in, p, t)) : 0.0;
        if (costs < cost || (costs == cost && here < gap) || best == 0x7fffffff) {
          cost = costs;
          gap = here;
          best = static_cast<int>(pair.row * truths + pair.column);
        }
      }
      for (int away = kWarp / 2; away > 0; away /= 2) {
        const double other_cost = __shfl_xor_sync(kAllLanes, cost, away), other = __shfl_xor_sync(kAllLanes, gap, away);
        const int other_best = __shfl_xor_sync(kAllLanes, best, away);
        const bool nearer = other < gap || (other == gap && other_best < best);
        if (other_cost < cost || (other_cost == cost && nearer)) {
          cost = other_cost;
          gap = other;
          best = other_best;
        }
      }
      const unsigned pair = best, width = truths;
      if (lane == 0) take(rows[pair / width], columns[pair % width]);
      __syncwarp();
    }
  }

  // visit(rows, {finite predicted nodes, all of them}, columns, true nodes) for each class that a frame's truth has.
  template <typename Visit>
  __device__ __forceinline__ void for_each_class(int64_t f, Visit visit) const {
    const int64_t pred = in.pred.offset[f], first = in.truth.offset[f], end = in.truth.offset[f + 1];
    for (int64_t j = first; j < end; ++j) {
      const int64_t c = in.truth.object_class[j];
      bool before = false;
      for (int64_t i = first + lane; i < j; i += kWarp) before |= in.truth.object_class[i] == c;
      if (__any_sync(kAllLanes, before)) continue;  // its class is done
      int *rows = s.rows + pred, *columns = s.columns + first;
      const int2 preds = list(in.pred, pred, in.pred.offset[f + 1], c, true, rows);
      const int truths = list(in.truth, first, end, c, false, columns).x;
      visit(rows, preds, columns, truths);
      __syncwarp();  // before the lists are written again
    }
  }

  // Matches a frame; returns its node score times weight, and the weight.
  __device__ __forceinline__ double2 match_frame(int64_t f) const {
    const int64_t pred = in.pred.offset[f], pred_end = in.pred.offset[f + 1];
    const int64_t first = in.truth.offset[f], end = in.truth.offset[f + 1];
    for (int64_t i = pred + lane; i < pred_end; i += kWarp) in.match[i] = -1;
    for (int64_t j = first + lane; j < end; j += kWarp) s.partner[j] = -1;
    __syncwarp();
    double score = 0.0;
    int known = 0;
    for_each_class(f, [&](const int* rows, int2 preds, const int* columns, int truths) {
      if (preds.x > 0) in.greedy ? match_greedily(rows, preds.x, columns, truths) : match_optimally(rows, preds.x, columns, truths);
      __syncwarp();
      double close = 0.0;
      for (int k = lane; k < truths; k += kWarp) {
        const int t = columns[k];
        if (s.partner[t] >= 0) {
          close += similarity(closeness(distance(truth(t), seen(t)), inverse), pair_iou(in, s.partner[t], t));
        }
      }
      score += truths * warp_sum(close) / (preds.y > truths ? preds.y : truths);
      known += preds.y;
    });
    if (in.match_shapes) match_shapes(f);
    const double extra = in.count_extra ? static_cast<double>(pred_end - pred - known) : 0.0;
    return {score, static_cast<double>(end - first) + extra};
  }

  // The sum of a list's positions.
  __device__ __forceinline__ Point sum_of(const Nodes<T>& nodes, const int* list, int count) const {
    Point sum{0.0, 0.0, 0.0};
    for (int k = lane; k < count; k += kWarp) {
      const Point p = point_at(nodes, in.dimensions, list[k]);
      sum = {sum.x + p.x, sum.y + p.y, sum.z + p.z};
    }
    return {warp_sum(sum.x), warp_sum(sum.y), warp_sum(sum.z)};
  }

  // A frame's edge_partner: twice an assignment within each class, first by the classes' centres, then by what that
  // matched.
  __device__ __forceinline__ void match_shapes(int64_t f) const {
    const int64_t first = in.truth.offset[f], end = in.truth.offset[f + 1];
    Anchor* anchor = s.anchors + first;
    int anchors = 0;
    Point pred_sum{0.0, 0.0, 0.0}, true_sum{0.0, 0.0, 0.0};
    double pred_count = 0.0, true_count = 0.0;
    for_each_class(f, [&](const int* rows, int2 preds, const int* columns, int truths) {
      if (preds.x == 0) return;
      const Point p = sum_of(in.pred, rows, preds.x), t = sum_of(in.truth, columns, truths);
      const double n = preds.x, m = truths;
      if (lane == 0) anchor[anchors] = {{p.x / n, p.y / n, p.z / n}, {t.x / m, t.y / m, t.z / m}, n < m ? n : m};
      ++anchors;
      pred_sum = {pred_sum.x + p.x, pred_sum.y + p.y, pred_sum.z + p.z};
      true_sum = {true_sum.x + t.x, true_sum.y + t.y, true_sum.z + t.z};
      pred_count += n;
      true_count += m;
    });
    double frame_unit = 1.0;
    if (in.scale_invariant) {
      const Point p{pred_sum.x / pred_count, pred_sum.y / pred_count, pred_sum.z / pred_count};
      const Point t{true_sum.x / true_count, true_sum.y / true_count, true_sum.z / true_count};
      double of_pred = 0.0, of_truth = 0.0;
      for_each_class(f, [&](const int* rows, int2 preds, const int* columns, int truths) {
        if (preds.x == 0) return;
        for (int k = lane; k < preds.x; k += kWarp) of_pred += distance(point_at(in.pred, in.dimensions, rows[k]), p);
        for (int k = lane; k < truths; k += kWarp) of_truth += distance(truth(columns[k]), t);
      });
      of_pred = warp_sum(of_pred) / pred_count;
      if (of_pred > 0.0) frame_unit = warp_sum(of_truth) / true_count / of_pred;
    }
    const bool unique = pred_count == anchors && true_count == anchors;  // there is nothing to choose
    for (int round = 0; round < (unique ? 1 : 2); ++round) {
      if (round > 0) anchors = list_matched(first, end);
      __syncwarp();
      for (int64_t j = first + lane; j < end; j += kWarp) s.edge_partner[j] = -1;
      __syncwarp();
      for_each_class(f, [&](const int* rows, int2 preds, const int* columns, int truths) {
        if (preds.x == 0) return;
        if (preds.x == 1 && truths == 1) {
          if (lane == 0) s.edge_partner[columns[0]] = rows[0];
          return;
        }
        const bool swapped = preds.x > truths;
        const ShapeCosts<T> costs{in,     swapped ? columns : rows, swapped ? rows : columns, swapped, swapped ? truths : preds.x,
                                  swapped ? preds.x : truths, anchor, anchors, frame_unit, inverse};
        solve_assignment(costs, s.assignment, lane);
        for (int i = lane; i < costs.rows; i += kWarp) {
          const int j = s.assignment.column_of[i];
          s.edge_partner[swapped ? columns[i] : columns[j]] = swapped ? rows[j] : rows[i];
        }
      });
    }
  }

  // The frame's matched nodes as anchors; how many they are.
  __device__ __forceinline__ int list_matched(int64_t first, int64_t end) const {
    int listed = 0;
    for (int64_t from = first; from < end; from += kWarp) {
      const int64_t j = from + lane;
      const bool kept = j < end && s.edge_partner[j] >= 0;
      const unsigned votes = __ballot_sync(kAllLanes, kept);
      if (kept) s.anchors[first + listed + __popc(votes & ((1u << lane) - 1))] = {edge_seen(j), truth(j), 1.0};
      listed += __popc(votes);
    }
    return listed;
  }

  __device__ __forceinline__ double unit_of_length(int64_t begin, int64_t finish) const {
    double of_truth = 0.0, of_seen = 0.0;
    for (int64_t f = begin; f < finish; ++f) {
      const int64_t first = in.truth.offset[f], nodes = in.truth.offset[f + 1] - first;
      for (Cells pair(nodes, lane); pair.row < nodes; pair.next()) {
        const int64_t i = first + pair.row, j = first + pair.column;
        if (i >= j || s.edge_partner[i] < 0 || s.edge_partner[j] < 0) continue;
        of_truth += distance(truth(i), truth(j));
        of_seen += distance(edge_seen(i), edge_seen(j));
      }
    }
    of_truth = warp_sum(of_truth);
    of_seen = warp_sum(of_seen);
    return of_seen > 0.0 ? of_truth / of_seen : 1.0;
  }

  // From the true to the predicted direction of an edge, in [-π, π]; infinite where the prediction has none, NaN where the
  // truth has none.
  __device__ __forceinline__ double compare_directions(int64_t i, int64_t j) const {
    const Point a = truth(i), b = truth(j);
    const double x = b.x - a.x, y = b.y - a.y;
    if (x == 0.0 && y == 0.0) return kInfinity - kInfinity;
    if (s.edge_partner[i] < 0 || s.edge_partner[j] < 0) return kInfinity;
    const Point c = edge_seen(i), d = edge_seen(j);
    const double u = d.x - c.x, v = d.y - c.y;
    if (u == 0.0 && v == 0.0) return kInfinity;
    const double angle = atan2(x * v - y * u, x * u + y * v);
    return finite(angle) ? angle : kInfinity;
  }

  __device__ __forceinline__ void score_frame(int64_t f, double2 node, PartSums& parts) const {
    const int64_t first = in.truth.offset[f], nodes = in.truth.offset[f + 1] - first, edges = nodes * (nodes - 1) / 2;
    double close = 0.0, same_angle = 0.0;
    long long angles = 0;
    for (int64_t i = first; i < first + nodes; ++i) {
      for (int64_t j = first + lane; j < first + nodes; j += kWarp) {
        if (j > i && s.edge_partner[i] >= 0 && s.edge_partner[j] >= 0) {
          const double gap = distance(truth(i), truth(j)) - unit * distance(edge_seen(i), edge_seen(j));
          close += closeness(fabs(gap), inverse);
        }
        if (in.angle == Angle::none) continue;
        const double turned = compare_directions(i, j);
        if (in.angle == Angle::turn) {
          s.turned[j] = turned;
        } else if (turned == turned) {
          ++angles;
          if (finite(turned)) same_angle += 1.0 - fabs(turned) / kPi;
        }
      }
      if (in.angle != Angle::turn) continue;
      __syncwarp();
      for (Cells pair(nodes, lane); pair.row < nodes; pair.next()) {
        if (pair.row >= pair.column) continue;
        const double a = s.turned[first + pair.row], b = s.turned[first + pair.column];
        if (a != a || b != b) continue;
        ++angles;
        if (!finite(a) || !finite(b)) continue;
        const double apart = fabs(a - b);
        same_angle += 1.0 - (apart > kPi ? 2 * kPi - apart : apart) / kPi;
      }
      __syncwarp();  // before the next node's are written
    }
    close = warp_sum(close);
    same_angle = warp_sum(same_angle);
    angles = warp_sum(angles);
    parts.add_frame(node.y > 0 ? node.x / node.y : 0.0, node.y > 0, edges > 0 ? close / static_cast<double>(edges) : 0.0,
                    edges > 0, angles > 0 ? same_angle / static_cast<double>(angles) : 0.0, angles > 0);
  }

  __device__ __forceinline__ void score_displacement(int64_t f, double reach, PartSums& parts) const {
    const int64_t before = in.truth.offset[f - 1], now = in.truth.offset[f], end = in.truth.offset[f + 1];
    double close = 0.0;
    int count = 0;
    for (int64_t j = now + lane; j < end; j += kWarp) {
      int64_t i = before;
      while (i < now && in.truth.object[i] != in.truth.object[j]) ++i;
      if (i == now) continue;
      ++count;
      const int p = s.partner[i], q = s.partner[j];
      if (p < 0 || q < 0 || (in.pred.object && in.pred.object[p] != in.pred.object[q])) continue;
      close += closeness(fabs(distance(truth(j), truth(i)) - unit * distance(seen(j), seen(i))), reach);
    }
    close = warp_sum(close);
    count = warp_sum(count);
    if (count > 0) parts.add(kDisplacement, close / count);
  }

  __device__ __forceinline__ double diagonal(int64_t begin, int64_t end) const {
    double low[3] = {kInfinity, kInfinity, kInfinity}, high[3] = {-kInfinity, -kInfinity, -kInfinity}, square = 0.0;
    for (int64_t j = begin + lane; j < end; j += kWarp) {
      const Point p = truth(j);
      const double at[3] = {p.x, p.y, p.z};
#pragma unroll
      for (int axis = 0; axis < 3; ++axis) {
        low[axis] = at[axis] < low[axis] ? at[axis] : low[axis];
        high[axis] = at[axis] > high[axis] ? at[axis] : high[axis];
      }
    }
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
      for (int away = kWarp / 2; away > 0; away /= 2) {
        const double l = __shfl_xor_sync(kAllLanes, low[axis], away), h = __shfl_xor_sync(kAllLanes, high[axis], away);
        low[axis] = l < low[axis] ? l : low[axis];
        high[axis] = h > high[axis] ? h : high[axis];
      }
      if (high[axis] > low[axis]) square += (high[axis] - low[axis]) * (high[axis] - low[axis]);
    }
    return sqrt(square);
  }
};

}  // namespace videostr::cuda
