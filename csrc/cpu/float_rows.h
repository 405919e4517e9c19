// The row kernels of the float resize (common/resize_float.h): every version gives the same bits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/resize_float.h"

namespace videostr {

// An axis' weights for vector code: 8 outputs side by side.
struct PackedFloatAxis {
  int64_t outputs = 0, groups = 0;
  int taps = 0;                      // the most of any output
  std::vector<int32_t> first, fuse;  // [8 groups] where an output's taps begin; the tap from which they are fused
  std::vector<float> weight;         // [groups, taps, 8]
};

PackedFloatAxis pack(const FloatAxisWeights& axis);

struct FloatRowKernels {
  // Three rows of bytes resized along x; `in` is padded by 4 bytes and the taps, `out` by 8 floats.
  void (*horizontal)(const uint8_t* const in[3], const PackedFloatAxis& axis, float* const out[3]);
  // One output row of n bytes (a multiple of 32) from `taps` rows, clamped and rounded half to even.
  void (*vertical)(const float* const* rows, const float* weight, int taps, int64_t n, uint8_t* out);
};

// See row_kernels in frame_rows.h; "avx512" runs the AVX2 code.
const FloatRowKernels& float_row_kernels(const std::string& instructions);

}  // namespace videostr
