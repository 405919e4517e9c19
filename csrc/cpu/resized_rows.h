// The rows of a resized frame as bytes, top to bottom. No picture is kept: each source row is converted and resized along x once,
// and as many are held as an output row needs.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "cpu/float_rows.h"
#include "cpu/frame_source.h"

namespace videostr {

// What the two resizes differ in. Weights: one axis'; Sample: what lies between the axes.
struct ByteResize {
  using Weights = AxisWeights;
  using Packed = PackedAxis;
  using Sample = uint8_t;
  static Weights weights(int64_t in, int64_t out) { return axis_weights(in, out); }
};

struct FloatResize {
  using Weights = FloatAxisWeights;
  using Packed = PackedFloatAxis;
  using Sample = float;
  static Weights weights(int64_t in, int64_t out) { return float_axis_weights(in, out); }
};

struct Kernels {
  const RowKernels& bytes;
  const FloatRowKernels& floats;
};

template <typename Resize>
class ResizedRows {
 public:
  using Sample = typename Resize::Sample;

  ResizedRows(const Kernels& kernels, FrameFormat format, const Colour& colour, int64_t in_height, int64_t in_width,
              const typename Resize::Weights& horizontal, const typename Resize::Packed& packed,
              const typename Resize::Weights& vertical)
      : kernels_(kernels), source_(kernels.bytes, format, colour, in_height, in_width), width_(in_width),
        vertical_(vertical), resize_(horizontal.outputs != in_width), packed_(packed),
        slots_(*std::max_element(vertical.count.begin(), vertical.count.end())),
        pitch_((horizontal.outputs + kRowPadding - 1) / kRowPadding * kRowPadding) {
    const int64_t padded = in_width + 2 * horizontal.taps + kRowPadding;
    full_.resize(3 * padded);
    for (int c = 0; c < 3; ++c) full_rgb_[c] = full_.data() + c * padded;
    ring_.resize(slots_ * 3 * pitch_ + kRowPadding);
    taps_.resize(slots_);
  }

  void start(const Frame& frame) {
    frame_ = &frame;
    next_ = 0;
  }

  // Output row y: R, G and B, `pitch()` bytes apart. For one frame y must not fall.
  void row(int64_t y, uint8_t* out) {
    const int64_t first = vertical_.first[y], count = vertical_.count[y];
    for (next_ = std::max(next_, first); next_ < first + count; ++next_) make(next_);
    for (int64_t k = 0; k < count; ++k) taps_[k] = slot(first + k);
    const auto* weight = vertical_.weight.data() + y * vertical_.taps;
    if constexpr (std::is_same_v<Sample, float>) {
      kernels_.floats.vertical(taps_.data(), weight, static_cast<int>(count), 3 * pitch_, out);
    } else if (vertical_.taps == 1) {
      std::memcpy(out, slot(first), 3 * pitch_);
    } else {
      kernels_.bytes.vertical(taps_.data(), weight, static_cast<int>(count), vertical_.precision, 3 * pitch_, out);
    }
  }

  int64_t pitch() const { return pitch_; }

 private:
  Sample* slot(int64_t source) { return ring_.data() + source % slots_ * 3 * pitch_; }

  void make(int64_t source) {
    Sample* into = slot(source);
    Sample* const resized[3] = {into, into + pitch_, into + 2 * pitch_};
    if constexpr (std::is_same_v<Sample, float>) {
      source_.row(*frame_, source, full_rgb_);
      if (resize_) return kernels_.floats.horizontal(full_rgb_, packed_, resized);
      for (int c = 0; c < 3; ++c) std::copy(full_rgb_[c], full_rgb_[c] + width_, resized[c]);
    } else {
      source_.row(*frame_, source, resize_ ? full_rgb_ : resized);
      if (resize_) kernels_.bytes.horizontal(full_rgb_, packed_, resized);
    }
  }

  const Kernels& kernels_;
  FrameSource source_;
  const int64_t width_;
  const typename Resize::Weights& vertical_;
  const bool resize_;
  const typename Resize::Packed& packed_;
  const int64_t slots_, pitch_;
  const Frame* frame_ = nullptr;
  int64_t next_ = 0;
  std::vector<uint8_t> full_;
  std::vector<Sample> ring_;
  uint8_t* full_rgb_[3];
  std::vector<const Sample*> taps_;
};

}  // namespace videostr
