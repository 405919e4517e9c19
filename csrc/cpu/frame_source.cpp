#include "cpu/frame_source.h"

#include <cstring>

#include "cpu/simd.h"

namespace videostr {
namespace {

// Bytes may alias anything: without __restrict none of these loops would become vectors.
VIDEOSTR_CLONES void row444(const uint8_t* __restrict y, const uint8_t* __restrict u, const uint8_t* __restrict v,
                            int64_t width, const Colour colour, uint8_t* __restrict r, uint8_t* __restrict g,
                            uint8_t* __restrict b) {
  for (int64_t x = 0; x < width; ++x) {
    const Chroma chroma = full_chroma_terms(u[x], v[x], colour);
    const int luma = full_luma_term(y[x], colour);
    r[x] = full_value(luma, chroma.r);
    g[x] = full_value(luma, chroma.g);
    b[x] = full_value(luma, chroma.b);
  }
}

// Samples `step` apart, their value above `shift` bits.
VIDEOSTR_CLONES void terms10(const uint16_t* near_u, const uint16_t* far_u, const uint16_t* near_v, const uint16_t* far_v,
                             int step, int shift, int64_t n, const Colour colour, int32_t* __restrict r,
                             int32_t* __restrict g, int32_t* __restrict b) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = i * step;
    const int u = mixed_chroma(near_u[at] >> shift, far_u[at] >> shift);
    const int v = mixed_chroma(near_v[at] >> shift, far_v[at] >> shift);
    const Chroma chroma = indexed_chroma_terms(u, v, colour);
    r[i] = chroma.r;
    g[i] = chroma.g;
    b[i] = chroma.b;
  }
}

VIDEOSTR_CLONES void values10(const uint16_t* __restrict y, const int32_t* __restrict term, int shift, int64_t width,
                              const Colour colour, uint8_t* __restrict out) {
  for (int64_t i = 0; i < width / 2; ++i) {
    out[2 * i] = indexed_value(indexed_luma(y[2 * i] >> shift), term[i], colour);
    out[2 * i + 1] = indexed_value(indexed_luma(y[2 * i + 1] >> shift), term[i], colour);
  }
  if (width % 2) out[width - 1] = indexed_value(indexed_luma(y[width - 1] >> shift), term[width / 2], colour);
}

}  // namespace

FrameSource::FrameSource(const RowKernels& kernels, FrameFormat format, const Colour& colour, int64_t height,
                         int64_t width)
    : kernels_(kernels), format_(format), layout_(layout_of(format)), colour_(colour), height_(height), width_(width) {
  if (layout_.bytes == 2)
    for (auto& term : term_) term.resize((width + 1) / 2);
}

void FrameSource::row(const Frame& frame, int64_t y, uint8_t* const rgb[3]) {
  const auto at = [&](int plane, int64_t row) { return frame.plane[plane] + row * frame.stride[plane]; };
  switch (format_) {
    case FrameFormat::rgb24: return kernels_.rgb(at(0, y), width_, rgb);
    case FrameFormat::rgbp:
      for (int c = 0; c < 3; ++c) std::memcpy(rgb[c], at(c, y), width_);
      return;
    case FrameFormat::yuv444p:
      return row444(at(0, y), at(1, y), at(2, y), width_, colour_, rgb[0], rgb[1], rgb[2]);
    case FrameFormat::yuv420p10:
    case FrameFormat::p010: return row10(frame, y, rgb);
    default: {
      const uint8_t* u = at(1, y >> layout_.down);
      const uint8_t* v = layout_.interleaved ? u + 1 : at(2, y >> layout_.down);
      return kernels_.yuv(at(0, y), u, v, layout_.interleaved ? 2 : 1, width_, colour_, rgb);
    }
  }
}

void FrameSource::row10(const Frame& frame, int64_t y, uint8_t* const rgb[3]) {
  const auto at = [&](int plane, int64_t row) {
    return reinterpret_cast<const uint16_t*>(frame.plane[plane] + row * frame.stride[plane]);
  };
  const int64_t near = y / 2, far = far_chroma_row(y, layout_.chroma(height_, true));
  const int shift = format_ == FrameFormat::p010 ? 6 : 0;  // P010 keeps its bits at the top
  int32_t* const term[3] = {term_[0].data(), term_[1].data(), term_[2].data()};
  const bool together = layout_.interleaved;
  terms10(at(1, near), at(1, far), together ? at(1, near) + 1 : at(2, near), together ? at(1, far) + 1 : at(2, far),
          together ? 2 : 1, shift, (width_ + 1) / 2, colour_, term[0], term[1], term[2]);
  for (int c = 0; c < 3; ++c) values10(at(0, y), term[c], shift, width_, colour_, rgb[c]);
}

}  // namespace videostr
