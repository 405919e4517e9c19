// How a frame's samples lie in memory.
#pragma once

#include <cstdint>
#include <string>

#include "common/stable.h"

namespace videostr {

enum class FrameFormat { rgb24, nv12, i420 };

inline FrameFormat parse_format(const std::string& name) {
  if (name == "rgb24") return FrameFormat::rgb24;
  if (name == "nv12") return FrameFormat::nv12;
  STD_TORCH_CHECK(name == "i420", "frame format must be rgb24, nv12 or i420, got ", name);
  return FrameFormat::i420;
}

inline int64_t planes_of(FrameFormat format) {
  return format == FrameFormat::rgb24 ? 1 : format == FrameFormat::nv12 ? 2 : 3;
}

}  // namespace videostr
