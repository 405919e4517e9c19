// The arguments of frames_to_patches_, checked; the same for every device.
#pragma once

#include <string>
#include <vector>

#include "common/colour.h"
#include "common/frame_format.h"
#include "common/patch_layout.h"
#include "common/stable.h"

namespace videostr {

struct PatchVideo {
  int64_t frames, first_plane;    // of the list of planes
  int64_t in_height, in_width;
  PatchLayout layout;
  int64_t first_row, first_frame;  // of the output: where the video begins, and which of its places the first frame takes
  Colour colour;
};

inline bool parse_resize(const std::string& name) {  // whether by floats
  STD_TORCH_CHECK(name == "u8" || name == "f32", "frames_to_patches_: resize must be u8 or f32, got ", name);
  return name == "f32";
}

// videos: frames, height, width, first_row, first_frame of each; colours: the six of each. planes: all videos' frames' planes in
// order, uint8 or 16-bit: luma or RGB [H, W] (rgb24 [H, W, 3]), chroma by the format's layout ([h, w], together [h, w, 2]).
inline std::vector<PatchVideo> parse_videos(const Tensor& out, const std::vector<Tensor>& planes, FrameFormat format,
                                            const std::vector<int64_t>& colours, const std::vector<int64_t>& videos,
                                            int64_t patch, int64_t merge, int64_t temporal) {
  const FrameLayout form = layout_of(format);
  const int64_t count = static_cast<int64_t>(videos.size()) / 5;
  STD_TORCH_CHECK(static_cast<int64_t>(videos.size()) == 5 * count && static_cast<int64_t>(colours.size()) == 6 * count,
                  "frames_to_patches_: five numbers and six of colour a video");
  STD_TORCH_CHECK(out.dim() == 2 && out.is_contiguous() && out.size(1) == 3 * temporal * patch * patch,
                  "frames_to_patches_: out is not contiguous or has not 3 * temporal * patch^2 columns");
  std::vector<PatchVideo> parsed;
  int64_t plane = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t* v = videos.data() + 5 * i;
    const int64_t* c = colours.data() + 6 * i;
    PatchVideo video{v[0], plane, 0, 0, {v[1], v[2], patch, merge, temporal}, v[3], v[4], {}};
    STD_TORCH_CHECK(video.frames >= 0 && plane + video.frames * form.planes <= static_cast<int64_t>(planes.size()),
                    "frames_to_patches_: more frames than planes");
    if (video.frames == 0) continue;
    const int64_t steps = (video.first_frame + video.frames + temporal - 1) / temporal;
    STD_TORCH_CHECK(video.first_row >= 0 && video.first_frame >= 0 && v[1] % (patch * merge) == 0 &&
                        v[2] % (patch * merge) == 0 &&
                        video.first_row + steps * video.layout.rows_per_step() <= out.size(0),
                    "frames_to_patches_: the frames do not fit");
    const auto narrow = [&](int k) { return static_cast<int>(c[k]); };
    video.colour = {narrow(0), narrow(1), narrow(2), narrow(3), narrow(4), narrow(5)};
    video.in_height = planes[plane].size(0);
    video.in_width = planes[plane].size(1);
    for (int64_t k = 0; k < video.frames * form.planes; ++k) {
      const Tensor& one = planes[plane + k];
      const bool chroma = k % form.planes != 0;
      STD_TORCH_CHECK(static_cast<int>(one.element_size()) == form.bytes &&
                          one.size(0) == (chroma ? form.chroma(video.in_height, true) : video.in_height) &&
                          one.size(1) == (chroma ? form.chroma(video.in_width, false) : video.in_width),
                      "frames_to_patches_: planes of different sizes");
    }
    plane += video.frames * form.planes;
    parsed.push_back(video);
  }
  return parsed;
}

}  // namespace videostr
