// 8-bit YUV to RGB in the integers of swscale's fast path (docs/video.md): the same pixel on CPU and GPU.
#pragma once

#include <cstdint>

#include "common/device.h"

namespace videostr {

// Fixed point with 13 bits, so that each fits int16 and a product's upper half is the term.
struct Colour {
  int y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset;
};

VIDEOSTR_HD uint8_t clip8(int x) { return static_cast<uint8_t>(x < 0 ? 0 : (x > 255 ? 255 : x)); }

// What chroma adds to each channel; one value for a block of 2 x 2 pixels.
struct Chroma {
  int r, g, b;
};

VIDEOSTR_HD Chroma chroma_terms(int u, int v, const Colour& c) {
  const int du = 8 * u - 1024, dv = 8 * v - 1024;
  return {(dv * c.v_to_r) >> 16, ((du * c.u_to_g) >> 16) + ((dv * c.v_to_g) >> 16), (du * c.u_to_b) >> 16};
}

VIDEOSTR_HD int luma_term(int y, const Colour& c) { return ((8 * y - c.y_offset) * c.y_scale) >> 16; }

}  // namespace videostr
