#include "cpu/shape_matching.h"

#include <algorithm>
#include <numeric>

namespace videostr {
namespace {

Point mean(const Point* begin, const Point* end) {
  Point sum{0.0, 0.0, 0.0};
  for (const Point* p = begin; p != end; ++p) sum = {sum.x + p->x, sum.y + p->y, sum.z + p->z};
  const double count = static_cast<double>(end - begin);
  return {sum.x / count, sum.y / count, sum.z / count};
}

double mean_radius(const std::vector<Point>& points) {
  const Point centre = mean(points.data(), points.data() + points.size());
  double sum = 0.0;
  for (const Point& p : points) sum += distance(p, centre);
  return sum / static_cast<double>(points.size());
}

}  // namespace

void ShapeMatcher::clear() {
  pred_.clear();
  truth_.clear();
  at_.clear();
  ends_.clear();
}

void ShapeMatcher::match(double inverse_scale, bool scale_invariant, std::vector<double> (&seen)[3]) {
  if (ends_.empty()) return;
  if (pred_.size() == ends_.size() && truth_.size() == ends_.size()) {  // there is nothing to choose
    partner_.resize(truth_.size());
    std::iota(partner_.begin(), partner_.end(), int64_t{0});
  } else {
    double unit = 1.0;
    if (scale_invariant) {
      const double of_seen = mean_radius(pred_);
      if (of_seen > 0.0) unit = mean_radius(truth_) / of_seen;
    }
    set_centres();
    assign(unit, inverse_scale);
    set_matched();
    assign(unit, inverse_scale);
  }
  for (size_t t = 0; t < truth_.size(); ++t) {
    if (partner_[t] < 0) continue;
    const Point p = pred_[partner_[t]];
    seen[0][at_[t]] = p.x;
    seen[1][at_[t]] = p.y;
    seen[2][at_[t]] = p.z;
  }
}

void ShapeMatcher::set_centres() {
  anchors_.clear();
  End begin{0, 0};
  for (const End& end : ends_) {
    anchors_.add({mean(pred_.data() + begin.pred, pred_.data() + end.pred),
                        mean(truth_.data() + begin.truth, truth_.data() + end.truth),
                        static_cast<double>(std::min(end.pred - begin.pred, end.truth - begin.truth))});
    begin = end;
  }
  anchors_.pad();
}

void ShapeMatcher::set_matched() {
  anchors_.clear();
  for (size_t t = 0; t < truth_.size(); ++t) {
    if (partner_[t] >= 0) anchors_.add({pred_[partner_[t]], truth_[t], 1.0});
  }
  anchors_.pad();
}

void ShapeMatcher::assign(double unit, double inverse_scale) {
  partner_.assign(truth_.size(), -1);
  End begin{0, 0};
  for (const End& end : ends_) {
    const int64_t rows = end.pred - begin.pred, columns = end.truth - begin.truth;
    if (rows == 1 && columns == 1) {
      partner_[begin.truth] = begin.pred;
    } else {
      set_costs(begin, end, unit, inverse_scale);
      const int* other = workspace_.solve(cost_.data(), rows, columns, columns, false);
      for (int64_t k = 0; k < std::min(rows, columns); ++k) {
        const int64_t r = rows > columns ? other[k] : k, column = rows > columns ? k : other[k];
        partner_[begin.truth + column] = begin.pred + r;
      }
    }
    begin = end;
  }
}

void ShapeMatcher::set_costs(End begin, End end, double unit, double inverse_scale) {
  const int64_t rows = end.pred - begin.pred, columns = end.truth - begin.truth, anchors = anchors_.padded();
  seen_.resize(rows * anchors);
  true_.resize(columns * anchors);
  cost_.resize(rows * columns);
  for (int64_t r = 0; r < rows; ++r) anchors_.measure_pred(pred_[begin.pred + r], unit, &seen_[r * anchors]);
  for (int64_t k = 0; k < columns; ++k) anchors_.measure_truth(truth_[begin.truth + k], &true_[k * anchors]);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < columns; ++k) {
      const double nearer = match_cost(distance(pred_[begin.pred + r], truth_[begin.truth + k]), inverse_scale);
      cost_[r * columns + k] = kNearer * nearer + anchors_.compare(&seen_[r * anchors], &true_[k * anchors], inverse_scale);
    }
  }
}

}  // namespace videostr
