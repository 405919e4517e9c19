// Where a pixel goes in the rows of pixel_values_videos, as transformers' Qwen2-VL and Qwen3-VL processors order them.
#pragma once

#include <cstdint>

#include "common/device.h"

namespace videostr {

// Frames of height x width pixels (multiples of patch * merge); a row of patches holds `temporal` frames of a patch.
struct PatchLayout {
  int64_t height, width, patch, merge, temporal;

  VIDEOSTR_HD int64_t area() const { return patch * patch; }
  VIDEOSTR_HD int64_t columns() const { return 3 * temporal * area(); }
  VIDEOSTR_HD int64_t rows_per_step() const { return (height / patch) * (width / patch); }

  // Row of the patch at (patch_y, patch_x) of the frame: blocks of merge x merge patches lie together.
  VIDEOSTR_HD int64_t row(int64_t frame, int64_t patch_y, int64_t patch_x) const {
    const int64_t blocks = width / (patch * merge);
    const int64_t block = (patch_y / merge) * blocks + patch_x / merge;
    return (frame / temporal) * rows_per_step() + (block * merge + patch_y % merge) * merge + patch_x % merge;
  }
  // Column where the patch's area of a channel begins.
  VIDEOSTR_HD int64_t column(int64_t frame, int64_t channel) const {
    return (channel * temporal + frame % temporal) * area();
  }
};

}  // namespace videostr
