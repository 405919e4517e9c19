// Relation graphs from their nodes to every part of the score, parallel over graphs. Arithmetic in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/relation_graph.h"
#include "common/stable.h"
#include "cpu/assignment_workspace.h"
#include "cpu/relation_graph_edges.h"
#include "cpu/shape_matching.h"

namespace videostr {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// One graph after another, with room that is kept for the next.
template <typename T>
class Scorer {
 public:
  explicit Scorer(const Graphs<T>& graphs) : in_(graphs) {}

  void score(int64_t b) {
    first_ = in_.frame_offset[b];
    last_ = in_.frame_offset[b + 1];
    read_truth();
    const double scale = in_.scale ? in_.scale[b] : diagonal();
    inverse_scale_ = 1.0 / scale;
    PartSums parts;
    node_.assign(2 * (last_ - first_), 0.0);
    for (int64_t f = first_; f < last_; ++f) match_frame(f, &node_[2 * (f - first_)]);
    const double unit = in_.scale_invariant ? unit_of_length() : 1.0;
    for (int64_t f = first_; f < last_; ++f) score_frame(f, unit, &node_[2 * (f - first_)], parts);
    if (in_.truth.object) {
      const double inverse = in_.displacement_scale ? 1.0 / in_.displacement_scale[b] : inverse_scale_;
      for (int64_t f = first_ + 1; f < last_; ++f) score_displacement(f, unit, inverse, parts);
    }
    parts.store(in_.score + b * kParts, in_.frames + b * kParts);
  }

 private:
  int64_t truth_at(int64_t f) const { return in_.truth.offset[f] - in_.truth.offset[first_]; }

  double coordinate(const Nodes<T>& nodes, int64_t i, int axis) const {
    return axis < in_.dimensions ? static_cast<double>(nodes.position[i * in_.dimensions + axis]) : 0.0;
  }

  void read_truth() {
    const int64_t begin = in_.truth.offset[first_], count = in_.truth.offset[last_] - begin;
    for (int axis = 0; axis < 3; ++axis) {
      true_[axis].resize(count);
      seen_[axis].assign(count, kNaN);
      if (in_.match_shapes) edge_seen_[axis].assign(count, kNaN);
      for (int64_t j = 0; j < count; ++j) true_[axis][j] = coordinate(in_.truth, begin + j, axis);
    }
    seen_object_.assign(in_.pred.object ? count : 0, 0);
    turned_.resize(count);
  }

  double diagonal() const {
    double square = 0.0;
    for (int axis = 0; axis < 3; ++axis) {
      double low = lap::kInfinity, high = -lap::kInfinity;
      for (const double x : true_[axis]) {
        low = std::min(low, x);
        high = std::max(high, x);
      }
      if (high > low) square += (high - low) * (high - low);
    }
    return std::sqrt(square);
  }

  Layout layout(int64_t f) const {
    const int64_t at = truth_at(f);
    const auto& seen = in_.match_shapes ? edge_seen_ : seen_;
    return {&true_[0][at], &true_[1][at], &true_[2][at], &seen[0][at], &seen[1][at], &seen[2][at],
            in_.truth.offset[f + 1] - in_.truth.offset[f]};
  }

  // Nodes of a frame by class, in their order within each.
  static void sort_by_class(const Nodes<T>& nodes, int64_t f, std::vector<std::pair<int64_t, int64_t>>& order) {
    order.clear();
    for (int64_t i = nodes.offset[f]; i < nodes.offset[f + 1]; ++i) order.emplace_back(nodes.object_class[i], i);
    std::sort(order.begin(), order.end());
  }

  // Writes match, seen_ and edge_seen_; node: score times weight, weight.
  void match_frame(int64_t f, double* node) {
    std::fill(in_.match + in_.pred.offset[f], in_.match + in_.pred.offset[f + 1], -1);
    sort_by_class(in_.pred, f, pred_order_);
    sort_by_class(in_.truth, f, true_order_);
    shapes_.clear();
    auto p = pred_order_.begin();
    int64_t known = 0;
    for (auto t = true_order_.begin(); t != true_order_.end();) {
      const int64_t c = t->first;
      const auto same = [c](const auto& entry) { return entry.first == c; };
      const auto p_begin = std::find_if(p, pred_order_.end(), [c](const auto& entry) { return entry.first >= c; });
      const auto p_end = std::find_if_not(p_begin, pred_order_.end(), same);
      const auto t_end = std::find_if_not(t, true_order_.end(), same);
      const int64_t preds = p_end - p_begin, truths = t_end - t;
      rows_.clear();
      for (auto q = p_begin; q != p_end; ++q) {
        bool there = true;
        for (int axis = 0; axis < 3; ++axis) there &= finite(coordinate(in_.pred, q->second, axis));
        if (there) rows_.push_back(q->second);
      }
      columns_.clear();
      for (; t != t_end; ++t) columns_.push_back(t->second);
      if (!rows_.empty()) {
        node[0] += static_cast<double>(truths) * match_class() / static_cast<double>(std::max(preds, truths));
        if (in_.match_shapes) add_shapes();
      }
      node[1] += static_cast<double>(truths);
      known += preds;
      p = p_end;
    }
    if (in_.match_shapes) shapes_.match(inverse_scale_, in_.scale_invariant, edge_seen_);
    if (in_.count_extra) node[1] += static_cast<double>(static_cast<int64_t>(pred_order_.size()) - known);
  }

  void add_shapes() {
    for (const int64_t i : rows_) {
      shapes_.add_pred({coordinate(in_.pred, i, 0), coordinate(in_.pred, i, 1), coordinate(in_.pred, i, 2)});
    }
    for (const int64_t i : columns_) {
      const int64_t j = i - in_.truth.offset[first_];
      shapes_.add_truth({true_[0][j], true_[1][j], true_[2][j]}, j);
    }
    shapes_.end_class();
  }

  // rows_ with columns_; the sum of closeness.
  double match_class() {
    const int64_t rows = rows_.size(), columns = columns_.size();
    gap_.resize(rows * columns);
    for (int64_t r = 0; r < rows; ++r) {
      const double x = coordinate(in_.pred, rows_[r], 0), y = coordinate(in_.pred, rows_[r], 1),
                   z = coordinate(in_.pred, rows_[r], 2);
      for (int64_t k = 0; k < columns; ++k) {
        const int64_t j = columns_[k] - in_.truth.offset[first_];
        const double a = x - true_[0][j], b = y - true_[1][j], c = z - true_[2][j];
        gap_[r * columns + k] = std::sqrt(a * a + b * b + c * c);
      }
    }
    if (in_.truth.box) compare_boxes();
    if (rows == 1 && columns == 1) return take(0, 0);
    return in_.greedy ? match_greedily() : match_optimally();
  }

  void compare_boxes() {
    const int64_t rows = rows_.size(), columns = columns_.size();
    iou_.resize(rows * columns);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = 0; k < columns; ++k) iou_[r * columns + k] = pair_iou(in_, rows_[r], columns_[k]);
    }
  }

  double take(int64_t r, int64_t k) {
    const int64_t i = rows_[r], j = columns_[k] - in_.truth.offset[first_];
    in_.match[i] = columns_[k];
    for (int axis = 0; axis < 3; ++axis) seen_[axis][j] = coordinate(in_.pred, i, axis);
    if (in_.pred.object) seen_object_[j] = in_.pred.object[i];
    const int64_t pair = r * static_cast<int64_t>(columns_.size()) + k;
    const double close = closeness(gap_[pair], inverse_scale_);
    return in_.truth.box ? similarity(close, iou_[pair]) : close;
  }

  void cost_pairs() {
    const int64_t pairs = gap_.size();
    cost_.resize(pairs);
    for (int64_t k = 0; k < pairs; ++k) cost_[k] = match_cost(gap_[k], inverse_scale_);
    if (!in_.truth.box) return;
    for (int64_t k = 0; k < pairs; ++k) cost_[k] = pair_cost(cost_[k], iou_[k]);
  }

  double match_optimally() {
    const int64_t rows = rows_.size(), columns = columns_.size();
    cost_pairs();
    const int* column_of = workspace_.solve(cost_.data(), rows, columns, columns, false);
    double sum = 0.0;
    for (int64_t k = 0; k < std::min(rows, columns); ++k) {
      sum += rows > columns ? take(column_of[k], k) : take(k, column_of[k]);
    }
    return sum;
  }

  // The closest pair with both ends free, again and again; of equals the first. With boxes: the most alike, then closest.
  double match_greedily() {
    const int64_t rows = rows_.size(), columns = columns_.size();
    closest_.resize(rows * columns);
    std::iota(closest_.begin(), closest_.end(), int64_t{0});
    const bool boxes = in_.truth.box != nullptr;
    if (boxes) cost_pairs();
    std::sort(closest_.begin(), closest_.end(), [&](int64_t a, int64_t b) {
      if (boxes && cost_[a] != cost_[b]) return cost_[a] < cost_[b];
      return gap_[a] != gap_[b] ? gap_[a] < gap_[b] : a < b;
    });
    free_.assign(rows + columns, true);
    double sum = 0.0;
    for (const int64_t pair : closest_) {
      const int64_t r = pair / columns, k = pair % columns;
      if (!free_[r] || !free_[rows + k]) continue;
      free_[r] = free_[rows + k] = false;
      sum += take(r, k);
    }
    return sum;
  }

  double unit_of_length() const {
    double of_truth = 0.0, of_seen = 0.0;
    for (int64_t f = first_; f < last_; ++f) {
      const Layout l = layout(f);
      for (int64_t i = 0; i < l.nodes; ++i) add_lengths(l, i, &of_truth, &of_seen);
    }
    return of_seen > 0.0 ? of_truth / of_seen : 1.0;
  }

  void score_frame(int64_t f, double unit, const double* node, PartSums& parts) {
    const Layout l = layout(f);
    double close = 0.0, same_angle = 0.0;
    int64_t angles = 0;
    for (int64_t i = 0; i < l.nodes; ++i) {
      const EdgeSums edges = compare_edges(l, i, unit, inverse_scale_, in_.angle != Angle::none, turned_.data());
      close += edges.close - (l.seen_x[i] == l.seen_x[i] ? 1.0 : 0.0);  // less the node's edge to itself
      if (in_.angle == Angle::none) continue;
      int64_t known = 0;
      for (int64_t j = 0; j < l.nodes; ++j) {
        if (turned_[j] == turned_[j]) turned_[known++] = turned_[j];
      }
      if (in_.angle == Angle::turn) {
        angles += edges.directed * (edges.directed - 1) / 2;
        same_angle += static_cast<double>(known * (known - 1) / 2) - sum_of_turns(turned_.data(), known) / kPi;
      } else {
        angles += edges.directed;
        for (int64_t j = 0; j < known; ++j) same_angle += 1.0 - std::abs(turned_[j]) / kPi;
      }
    }
    const int64_t ordered = l.nodes * (l.nodes - 1);
    parts.add_frame(node[1] > 0 ? node[0] / node[1] : 0.0, node[1] > 0, ordered > 0 ? close / static_cast<double>(ordered) : 0.0,
                    ordered > 0, angles > 0 ? same_angle / static_cast<double>(angles) : 0.0, angles > 0);
  }

  void score_displacement(int64_t f, double unit, double inverse, PartSums& parts) {
    const int64_t *object = in_.truth.object + in_.truth.offset[first_], before = truth_at(f - 1), now = truth_at(f),
                  end = truth_at(f + 1);
    double close = 0.0;
    int64_t count = 0;
    for (int64_t j = now; j < end; ++j) {
      const int64_t i = std::find(object + before, object + now, object[j]) - object;
      if (i == now) continue;
      ++count;
      if (in_.pred.object && seen_object_[i] != seen_object_[j]) continue;
      double moved = 0.0, seen_moved = 0.0;
      for (int axis = 0; axis < 3; ++axis) {
        const double a = true_[axis][j] - true_[axis][i], b = seen_[axis][j] - seen_[axis][i];
        moved += a * a;
        seen_moved += b * b;
      }
      close += closeness(std::abs(std::sqrt(moved) - unit * std::sqrt(seen_moved)), inverse);
    }
    if (count > 0) parts.add(kDisplacement, close / static_cast<double>(count));
  }

  const Graphs<T>& in_;
  int64_t first_ = 0, last_ = 0;
  double inverse_scale_ = 1.0;
  std::vector<double> true_[3], seen_[3], edge_seen_[3], turned_, node_, gap_, iou_, cost_;
  std::vector<int64_t> seen_object_, rows_, columns_, closest_;
  std::vector<std::pair<int64_t, int64_t>> pred_order_, true_order_;
  std::vector<bool> free_;
  lap::Workspace workspace_;
  ShapeMatcher shapes_;
};

void check_offsets(const char* name, const Tensor& offsets, int64_t end) {
  const int64_t *offset = offsets.const_data_ptr<int64_t>(), count = offsets.numel();
  STD_TORCH_CHECK(count > 0 && offset[0] == 0 && offset[count - 1] == end, "relation_graph: ", name, " must run from 0 to ",
                  end);
  for (int64_t k = 0; k + 1 < count; ++k)
    STD_TORCH_CHECK(offset[k] <= offset[k + 1], "relation_graph: ", name, " must not fall");
}

using OptionalTensor = std::optional<Tensor>;

std::tuple<Tensor, Tensor, Tensor> relation_graph(
    const Tensor& pred_class_in, const Tensor& pred_position_in, const OptionalTensor& pred_object_in,
    const OptionalTensor& pred_box_in, const Tensor& pred_offsets_in, const Tensor& true_class_in,
    const Tensor& true_position_in, const OptionalTensor& true_object_in, const OptionalTensor& true_box_in,
    const Tensor& true_offsets_in, const Tensor& frame_offsets_in, const OptionalTensor& scale_in,
    const OptionalTensor& displacement_scale_in, const std::string& angle, const std::string& matching, bool count_extra,
    bool scale_invariant, const std::string& edge_matching) {
  std::vector<Tensor> kept;  // contiguous copies live as long as their pointers
  kept.reserve(18);
  auto contiguous = [&](const Tensor& x) -> const Tensor& {
    return kept.emplace_back(torch::stable::contiguous(x));
  };
  auto integers = [&](const Tensor& x) { return contiguous(x).const_data_ptr<int64_t>(); };
  auto optional = [&](const OptionalTensor& x, auto get) { return x ? get(*x) : nullptr; };
  auto doubles = [&](const Tensor& x) { return contiguous(x).const_data_ptr<double>(); };
  const int64_t graphs = frame_offsets_in.numel() - 1, frames = pred_offsets_in.numel() - 1;
  const int64_t preds = pred_class_in.numel(), truths = true_class_in.numel();
  const Tensor pred_position = contiguous(pred_position_in), true_position = contiguous(true_position_in);
  STD_TORCH_CHECK(true_offsets_in.numel() == frames + 1, "relation_graph: true_offsets must have as many entries as pred_offsets");
  STD_TORCH_CHECK(pred_box_in.has_value() == true_box_in.has_value(), "relation_graph: boxes must be given on both sides or neither");
  check_offsets("pred_offsets", contiguous(pred_offsets_in), preds);
  check_offsets("true_offsets", contiguous(true_offsets_in), truths);
  check_offsets("frame_offsets", contiguous(frame_offsets_in), frames);
  Tensor score = torch::stable::new_empty(pred_position, {graphs, kParts});
  Tensor match = torch::stable::new_empty(pred_position, {preds}, ScalarType::Long);
  Tensor counts = torch::stable::new_empty(pred_position, {graphs, kParts}, ScalarType::Long);
  auto run = [&](auto zero) {
    using T = decltype(zero);
    auto values = [&](const Tensor& x) { return contiguous(x).const_data_ptr<T>(); };
    const Graphs<T> in{
        {integers(pred_class_in), pred_position.const_data_ptr<T>(), optional(pred_object_in, integers), optional(pred_box_in, values),
         integers(pred_offsets_in)},
        {integers(true_class_in), true_position.const_data_ptr<T>(), optional(true_object_in, integers), optional(true_box_in, values),
         integers(true_offsets_in)},
        integers(frame_offsets_in),
        optional(scale_in, doubles),
        optional(displacement_scale_in, doubles),
        static_cast<int>(pred_position.size(1)),
        angle == "turn" ? Angle::turn : angle == "direction" ? Angle::direction : Angle::none,
        matching == "greedy",
        count_extra,
        scale_invariant,
        edge_matching == "shape",
        score.mutable_data_ptr<T>(),
        match.mutable_data_ptr<int64_t>(),
        counts.mutable_data_ptr<int64_t>()};
    const int64_t nodes = graphs > 0 ? (preds + truths) / graphs : 0;
    torch::stable::parallel_for(0, graphs, grain(256 * nodes), [&](int64_t from, int64_t to) {
      Scorer<T> scorer(in);
      for (int64_t b = from; b < to; ++b) scorer.score(b);
    });
  };
  pred_position.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
  return {score, match, counts};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("relation_graph", TORCH_BOX(&relation_graph)); }

}  // namespace videostr
