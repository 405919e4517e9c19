// A frame's rows as R, G and B bytes, whatever its format.
#pragma once

#include <vector>

#include "common/colour.h"
#include "common/frame_format.h"
#include "cpu/frame_rows.h"

namespace videostr {

struct Frame {
  const uint8_t* plane[3];
  int64_t stride[3];  // bytes
};

class FrameSource {
 public:
  FrameSource(const RowKernels& kernels, FrameFormat format, const Colour& colour, int64_t height, int64_t width);

  // Row `y` of the frame; each of rgb has room for the width and kRowPadding.
  void row(const Frame& frame, int64_t y, uint8_t* const rgb[3]);

 private:
  void row10(const Frame& frame, int64_t y, uint8_t* const rgb[3]);

  const RowKernels& kernels_;
  const FrameFormat format_;
  const FrameLayout layout_;
  const Colour colour_;
  const int64_t height_, width_;
  std::vector<int32_t> term_[3];  // of chroma, one for two pixels
};

}  // namespace videostr
