// What frames_to_patches does to a row of pixels, once per instruction set; every version gives the same bits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/colour.h"
#include "common/resize_weights.h"

namespace videostr {

constexpr int kRowPadding = 64;  // bytes a kernel may read or write beyond a row of its own buffers

// An axis' weights for vector code: 16 outputs side by side, two taps at a time.
struct PackedAxis {
  int64_t outputs = 0, groups = 0;
  int pairs = 0, precision = 0;
  std::vector<int32_t> first;        // [16 groups] where an output's taps begin
  std::vector<int16_t> weight;       // [groups, pairs, 16, 2]
  std::vector<uint8_t> shuffle16;    // [groups, 4, 16] pshufb: from 16 bytes at a quarter's first tap, its taps as uint16
  std::vector<uint8_t> shuffle64;    // [groups, 64] vpermb: the same from 64 bytes at a group's first tap
  bool fits16 = true, fits64 = true;  // whether those bytes hold the taps
};

PackedAxis pack(const AxisWeights& axis);

struct RowKernels {
  // Rows of luma and chroma (a sample every `step` bytes, half as many as pixels) -> R, G and B.
  void (*yuv)(const uint8_t* y, const uint8_t* u, const uint8_t* v, int step, int64_t width, const Colour& colour,
              uint8_t* const rgb[3]);
  void (*rgb)(const uint8_t* packed, int64_t width, uint8_t* const rgb[3]);
  // Three rows of bytes resized along x; `out` and `in` are padded by kRowPadding + 2 pairs.
  void (*horizontal)(const uint8_t* const in[3], const PackedAxis& axis, uint8_t* const out[3]);
  // One output row of n bytes from `taps` rows; all padded by kRowPadding.
  void (*vertical)(const uint8_t* const* rows, const int16_t* weight, int taps, int precision, int64_t n, uint8_t* out);
};

extern const RowKernels kPortableRows;
#if defined(__x86_64__)
extern const RowKernels kAvx2Rows, kAvx512Rows;
#endif

// "auto": the best this processor has; else "avx512", "avx2" or "portable", nullptr where it cannot run.
const RowKernels* row_kernels(const std::string& instructions);

}  // namespace videostr
