// A pixel of a frame of any format as R, G and B bytes: the integers of common/colour.h.
#pragma once

#include "common/colour.h"
#include "common/frame_layout.h"
#include "cuda/launch.h"

namespace videostr::cuda {

// Planes as bytes; strides in bytes. RGB in y (rgb24) or in y, u and v (rgbp). Chroma samples are `step` samples apart, `down` rows of
// pixels (log2) share a row of them, of which there are chroma_rows; the value of a 16-bit sample lies above `shift` bits.
struct FramePlanes {
  const uint8_t *y, *u, *v;
  int64_t y_stride, uv_stride;
  int step, down, shift;
  int64_t chroma_rows;
  FrameFormat format;
};

struct Pixel {
  uint8_t r, g, b;
};

__device__ __forceinline__ int sample10(const uint8_t* row, int64_t at, int shift) {
  return reinterpret_cast<const uint16_t*>(row)[at] >> shift;
}

__device__ __forceinline__ Pixel pixel10(const FramePlanes& in, const Colour& colour, int64_t y, int x) {
  const int64_t near = y / 2 * in.uv_stride, far = far_chroma_row(y, in.chroma_rows) * in.uv_stride;
  const int64_t at = static_cast<int64_t>(x / 2) * in.step;
  const int u = mixed_chroma(sample10(in.u + near, at, in.shift), sample10(in.u + far, at, in.shift));
  const int v = mixed_chroma(sample10(in.v + near, at, in.shift), sample10(in.v + far, at, in.shift));
  const Chroma chroma = indexed_chroma_terms(u, v, colour);
  const int luma = indexed_luma(sample10(in.y + y * in.y_stride, x, in.shift));
  return {indexed_value(luma, chroma.r, colour), indexed_value(luma, chroma.g, colour),
          indexed_value(luma, chroma.b, colour)};
}

// 8-bit 4:2:0 and 4:2:2, what nearly every video is.
__device__ __forceinline__ Pixel usual_pixel(const FramePlanes& in, const Colour& colour, int64_t y, int x) {
  const int64_t at = (y >> in.down) * in.uv_stride + x / 2 * in.step;
  const Chroma chroma = chroma_terms(in.u[at], in.v[at], colour);
  const int luma = luma_term(in.y[y * in.y_stride + x], colour);
  return {clip8(luma + chroma.r), clip8(luma + chroma.g), clip8(luma + chroma.b)};
}

inline bool is_usual(FrameFormat format) {
  return format == FrameFormat::nv12 || format == FrameFormat::yuv420p || format == FrameFormat::yuv422p;
}

__device__ __forceinline__ Pixel other_pixel(const FramePlanes& in, const Colour& colour, int64_t y, int x) {
  const uint8_t* luma_row = in.y + y * in.y_stride;
  switch (in.format) {  // the same for every thread of a launch
    case FrameFormat::rgb24: return {luma_row[3 * x], luma_row[3 * x + 1], luma_row[3 * x + 2]};
    case FrameFormat::rgbp: return {luma_row[x], in.u[y * in.uv_stride + x], in.v[y * in.uv_stride + x]};
    case FrameFormat::yuv444p: {
      const Chroma chroma = full_chroma_terms(in.u[y * in.uv_stride + x], in.v[y * in.uv_stride + x], colour);
      const int luma = full_luma_term(luma_row[x], colour);
      return {full_value(luma, chroma.r), full_value(luma, chroma.g), full_value(luma, chroma.b)};
    }
    default: return pixel10(in, colour, y, x);
  }
}

}  // namespace videostr::cuda
