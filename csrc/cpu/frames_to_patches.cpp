// Decoded frames -> rows of patches in one pass: colour, resize along x, along y, table, patch order. No picture is kept: a
// thread holds the few resized source rows that the next output row needs, and one row of patches as bytes.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "common/patch_videos.h"
#include "cpu/resized_rows.h"

namespace videostr {
namespace {

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

template <typename Resize>
struct Axis {
  typename Resize::Weights weights;
  typename Resize::Packed packed;

  Axis(int64_t in, int64_t out) : weights(Resize::weights(in, out)), packed(pack(weights)) {}
};

// A video with the work its rows of patches are: what threads share out, whatever the videos' sizes.
template <typename Resize>
struct Job {
  PatchVideo video;
  const Axis<Resize>*along_x, *along_y;
  int64_t bands, band_work, begin;  // rows of patches a frame, work of one, work before this video

  int64_t work() const { return video.frames * bands * band_work; }
};

// T: what an element of the output and of the table is stored as; a table of nullptr leaves the bytes.
template <typename T, typename Resize>
class Run {
 public:
  Run(const std::vector<PatchVideo>& videos, const std::vector<Tensor>& planes, FrameFormat format, const T* table,
      const Kernels& kernels, T* out)
      : format_(format), table_(table), kernels_(kernels), out_(out) {
    const FrameLayout form = layout_of(format);
    for (const Tensor& plane : planes) {
      const int k = static_cast<int>(planes_++) % form.planes;
      if (k == 0) frames_.emplace_back();
      frames_.back().plane[k] = static_cast<const uint8_t*>(plane.const_data_ptr());
      frames_.back().stride[k] = plane.stride(0) * form.bytes;
    }
    for (const PatchVideo& video : videos) {
      const int64_t bands = video.layout.height / video.layout.patch;
      const int64_t pixels = video.in_height * video.in_width + video.layout.height * video.layout.width;
      jobs_.push_back({video, axis(video.in_width, video.layout.width), axis(video.in_height, video.layout.height), bands,
                       std::max<int64_t>(pixels / bands, 1), total_});
      total_ += jobs_.back().work();
    }
  }

  void operator()(bool parallel) const {
    if (total_ == 0) return;
    constexpr int64_t kBands = 4;  // a task's first rows need source rows that the task before has made as well
    const int64_t grain = parallel ? kBands * jobs_[0].band_work : total_;
    torch::stable::parallel_for(0, total_, grain, [&](int64_t from, int64_t to) {
      for (const auto& job : jobs_) {
        // the rows of patches whose work begins within [from, to)
        const auto before = [&](int64_t work) {
          return std::clamp<int64_t>((work - job.begin + job.band_work - 1) / job.band_work, 0, job.video.frames * job.bands);
        };
        const int64_t first = from <= job.begin ? 0 : before(from), last = to <= job.begin ? 0 : before(to);
        if (first < last) rows_of(job, first, last);
      }
    });
  }

 private:
  const Axis<Resize>* axis(int64_t in, int64_t out) {
    auto& found = axes_[{in, out}];
    if (!found) found = std::make_unique<Axis<Resize>>(in, out);
    return found.get();
  }

  void rows_of(const Job<Resize>& job, int64_t from, int64_t to) const {
    const PatchVideo& video = job.video;
    const PatchLayout& layout = video.layout;
    const int64_t p = layout.patch, area = layout.area(), patches = layout.width / p;
    const auto cut_row = p == 14 ? cut<14> : p == 16 ? cut<16> : cut<0>;
    const Frame* frames = frames_.data() + video.first_plane / layout_of(format_).planes;
    ResizedRows<Resize> rows(kernels_, format_, video.colour, video.in_height, video.in_width, job.along_x->weights,
                             job.along_x->packed, job.along_y->weights);
    std::vector<uint8_t> row(3 * rows.pitch() + kRowPadding), tiles(patches * 3 * area);
    T* out = out_ + video.first_row * layout.columns();
    for (int64_t task = from; task < to; ++task) {
      const int64_t frame = video.first_frame + task / job.bands, band = task % job.bands;
      if (task == from || band == 0) rows.start(frames[task / job.bands]);
      for (int64_t y = 0; y < p; ++y) {
        rows.row(band * p + y, row.data());
        cut_row(row.data(), rows.pitch(), y, p, patches, tiles.data());
      }
      for (int64_t x = 0; x < patches; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          const uint8_t* bytes = tiles.data() + (x * 3 + c) * area;
          T* to_row = out + layout.row(frame, band, x) * layout.columns() + layout.column(frame, c);
          if (table_ != nullptr)
            emit(bytes, table_ + 256 * c, area, to_row);
          else
            std::memcpy(to_row, bytes, area);
        }
    }
  }

  const FrameFormat format_;
  const T* table_;
  const Kernels& kernels_;
  T* out_;
  int64_t planes_ = 0;
  std::vector<Frame> frames_;
  std::map<std::pair<int64_t, int64_t>, std::unique_ptr<Axis<Resize>>> axes_;
  std::vector<Job<Resize>> jobs_;
  int64_t total_ = 0;
};

void frames_to_patches_(Tensor& out, const std::vector<Tensor>& planes, const std::optional<Tensor>& table,
                        const std::string& format_name, const std::string& resize, const std::vector<int64_t>& colours,
                        const std::vector<int64_t>& videos_in, int64_t patch, int64_t merge, int64_t temporal,
                        bool parallel, const std::string& instructions) {
  const FrameFormat format = parse_format(format_name);
  const bool floats = parse_resize(resize);
  const auto videos = parse_videos(out, planes, format, colours, videos_in, patch, merge, temporal);
  const RowKernels* byte_rows = row_kernels(instructions);
  STD_TORCH_CHECK(byte_rows != nullptr, "frames_to_patches_: this processor cannot run ", instructions);
  const Kernels kernels{*byte_rows, float_row_kernels(instructions)};
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    const T* values = table ? static_cast<const T*>(table->const_data_ptr()) : nullptr;
    T* to = static_cast<T*>(out.mutable_data_ptr());
    floats ? Run<T, FloatResize>(videos, planes, format, values, kernels, to)(parallel)
           : Run<T, ByteResize>(videos, planes, format, values, kernels, to)(parallel);
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
