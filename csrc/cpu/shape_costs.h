// What it costs to match two nodes by how far they lie from every anchor: shape_cost of common/relation_graph.h but for its
// last term. Each distance is taken once, and all anchors are compared side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "common/relation_graph.h"

namespace videostr {

class Anchors {
 public:
  void clear();
  void add(const Anchor& anchor);
  void pad();  // after the last one
  int64_t padded() const { return static_cast<int64_t>(weight_.size()); }

  // [padded()] each: from every anchor to a predicted node, times unit; to a true one.
  void measure_pred(Point node, double unit, double* to) const;
  void measure_truth(Point node, double* to) const;
  // Of two nodes that are so far from the anchors.
  double compare(const double* pred, const double* truth, double inverse_scale) const;

 private:
  int64_t count_ = 0;
  std::vector<double> pred_[3], truth_[3], weight_;
};

}  // namespace videostr
