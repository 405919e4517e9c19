// Frame formats by name.
#pragma once

#include <string>

#include "common/frame_layout.h"
#include "common/stable.h"

namespace videostr {

inline FrameFormat parse_format(const std::string& name) {
  const char* const names[] = {"rgb24", "rgbp", "nv12", "yuv420p", "yuv422p", "yuv444p", "yuv420p10", "p010"};
  for (int i = 0; i < 8; ++i)
    if (name == names[i]) return static_cast<FrameFormat>(i);
  STD_TORCH_CHECK(false, "unknown frame format ", name);
}

}  // namespace videostr
