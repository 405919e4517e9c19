// Decoded frames -> rows of patches in one pass: colour, resize along x, along y, table, patch order. No picture is kept: a
// thread holds the few resized source rows that the next output row needs, and one row of patches as bytes.
#include <algorithm>
#include <cstring>

#include "common/frame_format.h"
#include "common/patch_layout.h"
#include "common/resize_weights.h"
#include "common/stable.h"
#include "cpu/frame_rows.h"

namespace videostr {
namespace {

struct Frame {
  const uint8_t* plane[3];
  int64_t stride[3];
};

// The source rows of one frame, converted to RGB and resized along x, each made once while the output rows ascend.
class ResizedRows {
 public:
  ResizedRows(const RowKernels& kernels, FrameFormat format, const Colour& colour, int64_t width,
              const AxisWeights& horizontal, const AxisWeights& vertical)
      : kernels_(kernels), format_(format), colour_(colour), width_(width), vertical_(vertical),
        resize_(horizontal.outputs != width), packed_(pack(horizontal)),
        slots_(*std::max_element(vertical.count.begin(), vertical.count.end())),
        pitch_((horizontal.outputs + kRowPadding - 1) / kRowPadding * kRowPadding) {
    const int64_t padded = width + 2 * packed_.pairs + kRowPadding;
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
    if (count == 1 && vertical_.taps == 1) {
      std::memcpy(out, slot(first), 3 * pitch_);
      return;
    }
    for (int64_t k = 0; k < count; ++k) taps_[k] = slot(first + k);
    kernels_.vertical(taps_.data(), vertical_.weight.data() + y * vertical_.taps, static_cast<int>(count),
                      vertical_.precision, 3 * pitch_, out);
  }

  int64_t pitch() const { return pitch_; }

 private:
  uint8_t* slot(int64_t source) { return ring_.data() + source % slots_ * 3 * pitch_; }

  void make(int64_t source) {
    uint8_t* into = slot(source);
    uint8_t* const resized[3] = {into, into + pitch_, into + 2 * pitch_};
    uint8_t* const* rgb = resize_ ? full_rgb_ : resized;
    const auto at = [&](int plane, int64_t y) { return frame_->plane[plane] + y * frame_->stride[plane]; };
    if (format_ == FrameFormat::rgb24) {
      kernels_.rgb(at(0, source), width_, rgb);
    } else {
      const bool interleaved = format_ == FrameFormat::nv12;
      const uint8_t* u = at(1, source / 2);
      kernels_.yuv(at(0, source), u, interleaved ? u + 1 : at(2, source / 2), interleaved ? 2 : 1, width_, colour_, rgb);
    }
    if (resize_) kernels_.horizontal(full_rgb_, packed_, resized);
  }

  const RowKernels& kernels_;
  const FrameFormat format_;
  const Colour colour_;
  const int64_t width_;
  const AxisWeights& vertical_;
  const bool resize_;
  const PackedAxis packed_;
  const int64_t slots_, pitch_;
  const Frame* frame_ = nullptr;
  int64_t next_ = 0;
  std::vector<uint8_t> full_, ring_;
  uint8_t* full_rgb_[3];
  std::vector<const uint8_t*> taps_;
};

// One row of patches as bytes, in the order of the output: [patch_x, channel, y, x].
template <int kPatch>  // 0: any
void cut(const uint8_t* row, int64_t pitch, int64_t y, int64_t patch, int64_t patches, uint8_t* tiles) {
  const int64_t p = kPatch > 0 ? kPatch : patch;
  for (int64_t i = 0; i < patches; ++i)
    for (int64_t c = 0; c < 3; ++c)
      std::memcpy(tiles + (i * 3 + c) * p * p + y * p, row + c * pitch + i * p, kPatch > 0 ? kPatch : p);
}

template <typename T>
void emit(const uint8_t* bytes, const T* table, int64_t n, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = table[bytes[i]];
}

// T: what an element of the output and of the table is stored as; a table of nullptr leaves the bytes.
template <typename T>
void run(const std::vector<Frame>& frames, FrameFormat format, const Colour& colour, int64_t in_height, int64_t in_width,
         const PatchLayout& layout, int64_t first_frame, const T* table, const RowKernels& kernels, T* out) {
  const AxisWeights horizontal = axis_weights(in_width, layout.width), vertical = axis_weights(in_height, layout.height);
  const int64_t p = layout.patch, area = layout.area(), bands = layout.height / p, patches = layout.width / p;
  const auto cut_row = p == 14 ? cut<14> : p == 16 ? cut<16> : cut<0>;
  constexpr int64_t kBands = 4;  // a task's first rows need source rows that the task before has made as well
  torch::stable::parallel_for(0, static_cast<int64_t>(frames.size()) * bands, kBands, [&](int64_t from, int64_t to) {
    ResizedRows rows(kernels, format, colour, in_width, horizontal, vertical);
    std::vector<uint8_t> row(3 * rows.pitch() + kRowPadding), tiles(patches * 3 * area);
    for (int64_t task = from; task < to; ++task) {
      const int64_t frame = first_frame + task / bands, band = task % bands;
      if (task == from || band == 0) rows.start(frames[task / bands]);
      for (int64_t y = 0; y < p; ++y) {
        rows.row(band * p + y, row.data());
        cut_row(row.data(), rows.pitch(), y, p, patches, tiles.data());
      }
      for (int64_t x = 0; x < patches; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          const uint8_t* bytes = tiles.data() + (x * 3 + c) * area;
          T* to_row = out + layout.row(frame, band, x) * layout.columns() + layout.column(frame, c);
          if (table != nullptr)
            emit(bytes, table + 256 * c, area, to_row);
          else
            std::memcpy(to_row, bytes, area);
        }
    }
  });
}

// Planes [frames * planes_of(format)] uint8: rgb24 [H, W, 3]; nv12 [H, W], [H', W', 2]; i420 [H, W], [H', W'] twice, with H' and
// W' half, rounded up. Rows may be apart, their bytes not. Writes frames first_frame, ... of out.
void frames_to_patches_(Tensor& out, const std::vector<Tensor>& planes, const std::optional<Tensor>& table,
                        const std::string& format_name, const std::vector<int64_t>& colour_in, int64_t height, int64_t width,
                        int64_t patch, int64_t merge, int64_t temporal, int64_t first_frame,
                        const std::string& instructions) {
  const FrameFormat format = parse_format(format_name);
  const PatchLayout layout{height, width, patch, merge, temporal};
  const int64_t each = planes_of(format), count = static_cast<int64_t>(planes.size()) / each;
  STD_TORCH_CHECK(colour_in.size() == 6, "frames_to_patches_: colour has 6 numbers");
  STD_TORCH_CHECK(first_frame >= 0 && out.dim() == 2 && out.size(1) == layout.columns() && out.is_contiguous() &&
                      (first_frame + count + temporal - 1) / temporal * layout.rows_per_step() <= out.size(0),
                  "frames_to_patches_: out is not contiguous, or the frames do not fit");
  const RowKernels* kernels = row_kernels(instructions);
  STD_TORCH_CHECK(kernels != nullptr, "frames_to_patches_: this processor cannot run ", instructions);
  const auto coefficient = [&](int i) { return static_cast<int>(colour_in[i]); };
  const Colour colour{coefficient(0), coefficient(1), coefficient(2), coefficient(3), coefficient(4), coefficient(5)};
  if (count == 0) return;
  std::vector<Frame> frames(count);
  const int64_t in_height = planes[0].size(0), in_width = planes[0].size(1);
  for (int64_t i = 0; i < count * each; ++i) {
    const Tensor& plane = planes[i];
    const int64_t k = i % each;
    STD_TORCH_CHECK(plane.size(0) == (k == 0 ? in_height : (in_height + 1) / 2) &&
                        plane.size(1) == (k == 0 ? in_width : (in_width + 1) / 2),
                    "frames_to_patches_: planes of different sizes");
    frames[i / each].plane[k] = plane.const_data_ptr<uint8_t>();
    frames[i / each].stride[k] = plane.stride(0);
  }
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    const T* values = table ? static_cast<const T*>(table->data_ptr()) : nullptr;
    run(frames, format, colour, in_height, in_width, layout, first_frame, values, *kernels, static_cast<T*>(out.data_ptr()));
  };
  switch (out.element_size()) {  // what the table's entries mean is its own affair
    case 4: return go(uint32_t{});
    case 2: return go(uint16_t{});
    default: return go(uint8_t{});
  }
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("frames_to_patches_", TORCH_BOX(&frames_to_patches_)); }

}  // namespace videostr
