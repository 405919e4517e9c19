// The same resize with float weights and a float picture between the axes, as torch's kernel for float images on x86-64 does it:
// torchvision's first API and qwen-vl-utils turn bytes into floats, resize, clamp, round half to even and store bytes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/device.h"

namespace videostr {

// Output i is the sum of weight[i * taps + k] * input[first[i] + k] over k < count[i], in the order of `fused_from`.
struct FloatAxisWeights {
  int64_t outputs = 0;
  int taps = 0;
  std::vector<int32_t> first, count;
  std::vector<float> weight;
};

// torch's compiled loop multiplies the first tap, then in whole groups of four multiplies and adds with two roundings, then fuses
// what is left. Found by comparing (docs/video.md); the tests hold it to torch's bits.
VIDEOSTR_HD int fused_from(int count) { return 1 + (count - 1) / 4 * 4; }

inline float bicubic_float(float x) {  // Keys' kernel, a = -0.5, in Horner's form, fused
  x = std::abs(x);
  if (x < 1.0f) return std::fma(std::fma(1.5f, x, -2.5f) * x, x, 1.0f);
  if (x < 2.0f) return std::fma(std::fma(std::fma(-0.5f, x, 2.5f), x, -4.0f), x, 2.0f);
  return 0.0f;
}

inline FloatAxisWeights float_axis_weights(int64_t in, int64_t out) {
  FloatAxisWeights axis;
  axis.outputs = out;
  axis.first.resize(out);
  axis.count.resize(out);
  if (in == out) {
    axis.taps = 1;
    axis.weight.assign(out, 1.0f);
    for (int64_t i = 0; i < out; ++i) axis.first[i] = static_cast<int32_t>(i), axis.count[i] = 1;
    return axis;
  }
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float support = scale >= 1.0f ? 2.0f * scale : 2.0f, shrink = scale >= 1.0f ? 1.0f / scale : 1.0f;
  axis.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  axis.weight.assign(out * axis.taps, 0.0f);
  for (int64_t i = 0; i < out; ++i) {
    const float centre = static_cast<float>(static_cast<double>(scale) * (static_cast<double>(i) + 0.5));
    const float low = centre - support, high = centre + support;
    const int64_t begin = std::max<int64_t>(static_cast<int64_t>(static_cast<double>(low) + 0.5), 0);
    const int64_t end = std::min<int64_t>(static_cast<int64_t>(static_cast<double>(high) + 0.5), in);
    float* w = axis.weight.data() + i * axis.taps;
    float total = 0.0f;
    for (int64_t k = begin; k < end; ++k) {
      const float offset = static_cast<float>(k) - centre;
      w[k - begin] = bicubic_float(static_cast<float>((static_cast<double>(offset) + 0.5) * static_cast<double>(shrink)));
      total += w[k - begin];
    }
    for (int64_t k = 0; k < end - begin; ++k) w[k] /= total;
    axis.first[i] = static_cast<int32_t>(begin);
    axis.count[i] = static_cast<int32_t>(end - begin);
  }
  return axis;
}

}  // namespace videostr
