// The edges of one node to all others: how near their lengths are, and by how much their directions differ.
#pragma once

#include <cstdint>

namespace videostr {

// Coordinates apart, in the truth and in the prediction, where a node that was not matched is NaN.
struct Layout {
  const double *true_x, *true_y, *true_z, *seen_x, *seen_y, *seen_z;
  int64_t nodes;
};

struct EdgeSums {
  double close;       // of the lengths, over every node including i itself
  int64_t directed;   // true edges with a direction
};

// unit: what predicted lengths are multiplied by. turned [nodes]: the angle from the true to the predicted direction, in
// [-π, π], NaN where one of them has none; not written without with_angles.
EdgeSums compare_edges(const Layout& layout, int64_t i, double unit, double inverse_scale, bool with_angles, double* turned);

// Sums of the lengths of node i's edges to later nodes, over those with both ends matched.
void add_lengths(const Layout& layout, int64_t i, double* true_length, double* seen_length);

// Sum over pairs of angles in [-π, π] of how far apart they are on the circle.
double sum_of_turns(const double* angle, int64_t count);

}  // namespace videostr
