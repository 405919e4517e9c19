// How a frame's samples lie in memory; names and layouts are FFmpeg's (rgbp: the channels of RGB24 as three planes).
#pragma once

#include <cstdint>

namespace videostr {

enum class FrameFormat : int { rgb24, rgbp, nv12, yuv420p, yuv422p, yuv444p, yuv420p10, p010 };

struct FrameLayout {
  int planes;
  int bytes;             // of a sample
  int across, down;      // log2 of pixels per chroma sample
  bool interleaved;      // U and V in one plane
  bool pixels_together;  // R, G and B in one plane

  int64_t chroma(int64_t pixels, bool vertical) const {
    const int shift = vertical ? down : across;
    return (pixels + (1 << shift) - 1) >> shift;
  }
};

inline FrameLayout layout_of(FrameFormat format) {
  switch (format) {
    case FrameFormat::rgb24: return {1, 1, 0, 0, false, true};
    case FrameFormat::rgbp: return {3, 1, 0, 0, false, false};
    case FrameFormat::nv12: return {2, 1, 1, 1, true, false};
    case FrameFormat::yuv420p: return {3, 1, 1, 1, false, false};
    case FrameFormat::yuv422p: return {3, 1, 1, 0, false, false};
    case FrameFormat::yuv444p: return {3, 1, 0, 0, false, false};
    case FrameFormat::yuv420p10: return {3, 2, 1, 1, false, false};
    default: return {2, 2, 1, 1, true, false};
  }
}

}  // namespace videostr
