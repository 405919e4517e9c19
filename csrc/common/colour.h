// YUV to RGB in swscale's integers (docs/video.md): the same pixel on CPU and GPU. swscale has three ways to do it and picks by
// format; a `Colour` holds what its way needs (ops/reference/colour.py makes it).
#pragma once

#include <cstdint>

#include "common/device.h"

namespace videostr {

struct Colour {
  int y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset;
};

VIDEOSTR_HD uint8_t clip8(int x) { return static_cast<uint8_t>(x < 0 ? 0 : (x > 255 ? 255 : x)); }

// What chroma adds to each channel.
struct Chroma {
  int r, g, b;
};

// ---- 8-bit 4:2:0 and 4:2:2: 13 fractional bits, each coefficient an int16 and a product's upper half the term

VIDEOSTR_HD Chroma chroma_terms(int u, int v, const Colour& c) {
  const int du = 8 * u - 1024, dv = 8 * v - 1024;
  return {(dv * c.v_to_r) >> 16, ((du * c.u_to_g) >> 16) + ((dv * c.v_to_g) >> 16), (du * c.u_to_b) >> 16};
}

VIDEOSTR_HD int luma_term(int y, const Colour& c) { return ((8 * y - c.y_offset) * c.y_scale) >> 16; }

// ---- 8-bit 4:4:4: the same coefficients, summed in 22 fractional bits before the one rounding. The sum wraps in 32 bits, as
// swscale's does: colours far outside RGB can turn from white to black.

VIDEOSTR_HD int wrapping_sum(int a, int b) {
  return static_cast<int>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}

VIDEOSTR_HD Chroma full_chroma_terms(int u, int v, const Colour& c) {
  const int du = 512 * (u - 128), dv = 512 * (v - 128);
  return {dv * c.v_to_r, dv * c.v_to_g + du * c.u_to_g, du * c.u_to_b};
}

VIDEOSTR_HD int full_luma_term(int y, const Colour& c) { return (512 * y - 64 * c.y_offset) * c.y_scale + (1 << 21); }

VIDEOSTR_HD uint8_t full_value(int luma, int chroma) { return clip8(wrapping_sum(luma, chroma) >> 22); }

// ---- 10-bit 4:2:0: samples rounded to 8 bits, chroma moves an index into the luma's line. Chroma is interpolated between rows
// (3 : 1, so that a row of pixels lies a quarter off its row of samples) and repeated along them.

VIDEOSTR_HD int mixed_chroma(int near, int far) {
  const int x = (3 * near + far + 8) >> 4;
  return x > 255 ? 255 : x;
}

// The other row of chroma that a row of pixels looks at, of `rows`.
VIDEOSTR_HD int64_t far_chroma_row(int64_t pixel_row, int64_t rows) {
  const int64_t far = pixel_row / 2 + (pixel_row % 2 == 0 ? -1 : 1);
  return far < 0 ? 0 : (far >= rows ? rows - 1 : far);
}

VIDEOSTR_HD int shift_of(int sample, int coefficient) { return ((sample * coefficient) >> 16) - (coefficient >> 9); }

VIDEOSTR_HD Chroma indexed_chroma_terms(int u, int v, const Colour& c) {
  return {shift_of(v, c.v_to_r), shift_of(u, c.u_to_g) + shift_of(v, c.v_to_g), shift_of(u, c.u_to_b)};
}

VIDEOSTR_HD int indexed_luma(int y) { return (y + 2) >> 2; }

VIDEOSTR_HD uint8_t indexed_value(int luma, int chroma, const Colour& c) {
  return clip8(((luma + chroma) * c.y_scale + c.y_offset) >> 16);
}

}  // namespace videostr
