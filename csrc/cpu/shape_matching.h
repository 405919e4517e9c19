// Matches the nodes of one frame within their classes by how they lie among the others: reference.shape_matching.
#pragma once

#include <cstdint>
#include <vector>

#include "common/relation_graph.h"
#include "cpu/assignment_workspace.h"
#include "cpu/shape_costs.h"

namespace videostr {

class ShapeMatcher {
 public:
  // The nodes of one class after another: finite predicted ones, then true ones with their place in `seen`; rows >= 1.
  void clear();
  void add_pred(Point position) { pred_.push_back(position); }
  void add_truth(Point position, int64_t at) {
    truth_.push_back(position);
    at_.push_back(at);
  }
  void end_class() { ends_.push_back({static_cast<int64_t>(pred_.size()), static_cast<int64_t>(truth_.size())}); }

  // Writes where each true node stands in the prediction, to seen[axis][its place]; those without a partner are left.
  void match(double inverse_scale, bool scale_invariant, std::vector<double> (&seen)[3]);

 private:
  struct End {
    int64_t pred, truth;
  };
  void set_centres();
  void set_matched();
  void assign(double unit, double inverse_scale);
  void set_costs(End begin, End end, double unit, double inverse_scale);

  std::vector<Point> pred_, truth_;
  std::vector<int64_t> at_, partner_;  // of true nodes; partner: -1 for none
  std::vector<End> ends_;              // of each class
  Anchors anchors_;
  std::vector<double> seen_, true_, cost_;  // seen_, true_: of each node of a class, its distance from every anchor
  lap::Workspace workspace_;
};

}  // namespace videostr
