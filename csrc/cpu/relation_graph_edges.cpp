#include "cpu/relation_graph_edges.h"

#include <cmath>
#include <limits>

#include "common/relation_graph.h"
#include "cpu/simd.h"

namespace videostr {
namespace {

// atan2 to 2 ulp, NaN where both are 0 or one is not finite. atan t / t on |t| <= tan(π/8), interpolated in t² at 12
// Chebyshev nodes (error 1.3e-18); what lies outside is turned by π/4 first.
VIDEOSTR_INLINE double angle_of(double y, double x) {
  const double ax = std::abs(x), ay = std::abs(y);
  const double low = ax < ay ? ax : ay, high = ax < ay ? ay : ax;
  const bool steep = low > 0.41421356237309503 * high;
  const double t = (steep ? low - high : low) / (steep ? low + high : high);  // 0 / 0 where there is no direction
  const double u = t * t;
  double p = -0.01780302457037242619;
  p = p * u + 0.037963116386953387223;
  p = p * u - 0.050350191994002929161;
  p = p * u + 0.058468600441315983776;
  p = p * u - 0.066629493351301593788;
  p = p * u + 0.076920451153294513251;
  p = p * u - 0.090908967970609632089;
  p = p * u + 0.11111110744504494066;
  p = p * u - 0.14285714279241901438;
  p = p * u + 0.19999999999940805859;
  p = p * u - 0.33333333333333120823;
  double angle = t + t * u * p + (steep ? kPi / 4 : 0.0);
  angle = ax < ay ? kPi / 2 - angle : angle;
  angle = x < 0.0 ? kPi - angle : angle;
  return y < 0.0 ? -angle : angle;
}

}  // namespace

VIDEOSTR_CLONES EdgeSums compare_edges(const Layout& layout, int64_t i, double unit, double inverse_scale, bool with_angles,
                                       double* turned) {
  const double *tx = layout.true_x, *ty = layout.true_y, *tz = layout.true_z;
  const double *sx = layout.seen_x, *sy = layout.seen_y, *sz = layout.seen_z;
  const double x = tx[i], y = ty[i], z = tz[i], u = sx[i], v = sy[i], w = sz[i];
  double close = 0.0;
#pragma omp simd reduction(+ : close)
  for (int64_t j = 0; j < layout.nodes; ++j) {
    const double a = tx[j] - x, b = ty[j] - y, c = tz[j] - z, d = sx[j] - u, e = sy[j] - v, f = sz[j] - w;
    const double gap = std::abs(std::sqrt(a * a + b * b + c * c) - unit * std::sqrt(d * d + e * e + f * f));
    close += closeness(gap, inverse_scale);
  }
  if (!with_angles) return {close, 0};
  double directed = 0.0;
#pragma omp simd reduction(+ : directed)
  for (int64_t j = 0; j < layout.nodes; ++j) {
    const double a = tx[j] - x, b = ty[j] - y, d = sx[j] - u, e = sy[j] - v;
    const bool there = (a != 0.0) | (b != 0.0), seen = (d != 0.0) | (e != 0.0);
    directed += there ? 1.0 : 0.0;
    const double angle = angle_of(a * e - b * d, a * d + b * e);
    turned[j] = there & seen ? angle : std::numeric_limits<double>::quiet_NaN();
  }
  return {close, static_cast<int64_t>(directed)};
}

VIDEOSTR_CLONES void add_lengths(const Layout& layout, int64_t i, double* true_length, double* seen_length) {
  const double *tx = layout.true_x, *ty = layout.true_y, *tz = layout.true_z;
  const double *sx = layout.seen_x, *sy = layout.seen_y, *sz = layout.seen_z;
  const double x = tx[i], y = ty[i], z = tz[i], u = sx[i], v = sy[i], w = sz[i];
  double of_truth = 0.0, of_seen = 0.0;
#pragma omp simd reduction(+ : of_truth, of_seen)
  for (int64_t j = i + 1; j < layout.nodes; ++j) {
    const double a = tx[j] - x, b = ty[j] - y, c = tz[j] - z, d = sx[j] - u, e = sy[j] - v, f = sz[j] - w;
    const double seen = std::sqrt(d * d + e * e + f * f);
    of_truth += seen == seen ? std::sqrt(a * a + b * b + c * c) : 0.0;
    of_seen += seen == seen ? seen : 0.0;
  }
  *true_length += of_truth;
  *seen_length += of_seen;
}

VIDEOSTR_CLONES double sum_of_turns(const double* angle, int64_t count) {
  double total = 0.0;
  for (int64_t j = 0; j + 1 < count; ++j) {
    const double from = angle[j];
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = j + 1; k < count; ++k) {
      const double apart = std::abs(angle[k] - from);
      sum += apart > kPi ? 2 * kPi - apart : apart;
    }
    total += sum;
  }
  return total;
}

}  // namespace videostr
