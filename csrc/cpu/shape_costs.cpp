#include "cpu/shape_costs.h"

#include <cmath>
#include <limits>

#include "cpu/simd.h"

namespace videostr {
namespace {

constexpr int64_t kPadding = 8;

VIDEOSTR_CLONES void measure(const double* x, const double* y, const double* z, int64_t count, double u, double v, double w,
                             double unit, double* to) {
#pragma omp simd
  for (int64_t a = 0; a < count; ++a) {
    const double d = x[a] - u, e = y[a] - v, f = z[a] - w;
    to[a] = unit * std::sqrt(d * d + e * e + f * f);
  }
}

// Without a division: NaN where a gap is past the scale.
VIDEOSTR_CLONES double compare_near(const double* pred, const double* truth, const double* weight, int64_t count,
                                    double inverse) {
  double cost = 0.0, beyond = 0.0;
#pragma omp simd reduction(+ : cost, beyond)
  for (int64_t a = 0; a < count; ++a) {
    const double gap = std::abs(pred[a] - truth[a]);
    const double far = gap == 0.0 ? 0.0 : gap * inverse;
    beyond += far <= 1.0 ? 0.0 : 1.0;
    cost += weight[a] * far * far;
  }
  return beyond == 0.0 ? cost : std::numeric_limits<double>::quiet_NaN();
}

void push(std::vector<double> (&side)[3], Point p) {
  side[0].push_back(p.x);
  side[1].push_back(p.y);
  side[2].push_back(p.z);
}

}  // namespace

void Anchors::clear() {
  count_ = 0;
  for (int axis = 0; axis < 3; ++axis) {
    pred_[axis].clear();
    truth_[axis].clear();
  }
  weight_.clear();
}

void Anchors::add(const Anchor& anchor) {
  push(pred_, anchor.pred);
  push(truth_, anchor.truth);
  weight_.push_back(anchor.weight);
  ++count_;
}

void Anchors::pad() {
  while (count_ > 0 && padded() % kPadding != 0) {  // the last one again, which is no farther than itself
    push(pred_, {pred_[0].back(), pred_[1].back(), pred_[2].back()});
    push(truth_, {truth_[0].back(), truth_[1].back(), truth_[2].back()});
    weight_.push_back(0.0);
  }
}

void Anchors::measure_pred(Point p, double unit, double* to) const {
  measure(pred_[0].data(), pred_[1].data(), pred_[2].data(), padded(), p.x, p.y, p.z, unit, to);
}

void Anchors::measure_truth(Point p, double* to) const {
  measure(truth_[0].data(), truth_[1].data(), truth_[2].data(), padded(), p.x, p.y, p.z, 1.0, to);
}

double Anchors::compare(const double* pred, const double* truth, double inverse) const {
  const double near = compare_near(pred, truth, weight_.data(), padded(), inverse);
  if (near == near) return near;
  double cost = 0.0;
  for (int64_t a = 0; a < count_; ++a) {
    const double far = match_cost(std::abs(pred[a] - truth[a]), inverse);
    cost += weight_[a] * far * far;
  }
  return cost;
}

}  // namespace videostr
