// Weights of an antialiased bicubic resize along one axis, in the int16 of torch's kernel for uint8 images.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace videostr {

// Output i is clip8((2^(precision - 1) + sum_k weight[i * taps + k] * input[first[i] + k]) >> precision); weights beyond an
// output's own taps are 0. An axis that keeps its size has the one weight 2^precision / 1 and changes nothing.
struct AxisWeights {
  int64_t outputs = 0;
  int taps = 0, precision = 0;
  std::vector<int32_t> first, count;
  std::vector<int16_t> weight;
};

inline double bicubic(double x) {  // Keys' kernel, a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

inline AxisWeights axis_weights(int64_t in, int64_t out) {
  AxisWeights axis;
  axis.outputs = out;
  axis.first.resize(out);
  axis.count.resize(out);
  if (in == out) {
    axis.taps = 1;
    axis.precision = 14;
    axis.weight.assign(out, 1 << 14);
    for (int64_t i = 0; i < out; ++i) axis.first[i] = static_cast<int32_t>(i), axis.count[i] = 1;
    return axis;
  }
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0), support = 2.0 * stretch;
  axis.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  std::vector<double> weight(out * axis.taps, 0.0);
  double largest = 0.0;
  for (int64_t i = 0; i < out; ++i) {
    const double centre = scale * (static_cast<double>(i) + 0.5);
    const int64_t begin = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    const int64_t end = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), in);
    double* w = weight.data() + i * axis.taps;
    double total = 0.0;
    for (int64_t k = begin; k < end; ++k) {
      w[k - begin] = bicubic((static_cast<double>(k) - centre + 0.5) * (1.0 / stretch));
      total += w[k - begin];
    }
    for (int64_t k = 0; k < end - begin; ++k) {
      w[k] /= total;
      largest = std::max(largest, w[k]);
    }
    axis.first[i] = static_cast<int32_t>(begin);
    axis.count[i] = static_cast<int32_t>(end - begin);
  }
  while (axis.precision < 22 && static_cast<int>(0.5 + largest * (1 << (axis.precision + 1))) < (1 << 15)) ++axis.precision;
  axis.weight.resize(weight.size());
  for (size_t i = 0; i < weight.size(); ++i) {
    const double scaled = weight[i] * (1 << axis.precision);
    axis.weight[i] = static_cast<int16_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  }
  return axis;
}

}  // namespace videostr
