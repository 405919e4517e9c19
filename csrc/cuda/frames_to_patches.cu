// The kernel of frames_to_patches.cuh as a torch operator.
#include "common/patch_videos.h"
#include "cuda/device_axis.h"
#include "cuda/frames_to_patches.cuh"
#include "cuda/stream.h"

namespace videostr {
namespace {

template <typename T, typename W>
void run(const std::vector<PatchVideo>& videos, const std::vector<Tensor>& planes, FrameFormat format,
         const std::optional<Tensor>& table, Tensor& out, cudaStream_t stream) {
  const FrameLayout form = layout_of(format);
  const T* values = table ? static_cast<const T*>(table->const_data_ptr()) : nullptr;
  for (const PatchVideo& video : videos) {
    const PatchLayout& layout = video.layout;
    const int64_t block = layout.patch * layout.merge;
    const auto x = cuda::uploaded_axis<W>(video.in_width, layout.width, out, stream);
    const auto y = cuda::uploaded_axis<W>(video.in_height, layout.height, out, stream);
    const int window_x = x->window(block);
    int64_t rows = block;  // output rows of a block: fewer where the frame shrinks so much that its window is too tall
    const auto shared = [&] {
      return cuda::patch_shared_bytes(window_x, y->window(rows), block, sizeof(cuda::Between<W>));
    };
    while (rows > 1 && (layout.height % rows != 0 || shared() > cuda::kAnyShared)) --rows;
    STD_TORCH_CHECK(shared() <= cuda::kMostShared, "frames_to_patches_: a frame of ", video.in_height, " x ",
                    video.in_width, " pixels shrinks too much for this kernel");
    T* to = static_cast<T*>(out.mutable_data_ptr()) + video.first_row * layout.columns();
    const Colour& c = video.colour;
    for (int64_t i = 0; i < video.frames; ++i) {
      const Tensor* plane = planes.data() + video.first_plane + i * form.planes;
      const auto pointer = [&](int k) { return static_cast<const uint8_t*>(plane[k].const_data_ptr()); };
      const uint8_t* u = form.planes > 1 ? pointer(1) : nullptr;
      const uint8_t* v = form.interleaved ? u + form.bytes : form.planes > 2 ? pointer(2) : nullptr;
      STD_TORCH_CHECK(form.planes < 3 || plane[1].stride(0) == plane[2].stride(0),
                      "frames_to_patches_: U and V with different strides");
      cuda::patches<T, W>(pointer(0), u, v, plane[0].stride(0) * form.bytes,
                          form.planes > 1 ? plane[1].stride(0) * form.bytes : 0, form.interleaved ? 2 : 1, form.down,
                          format == FrameFormat::p010 ? 6 : 0, form.chroma(video.in_height, true),
                          static_cast<int>(format), c.y_scale, c.v_to_r, c.u_to_b, c.v_to_g, c.u_to_g, c.y_offset,
                          x->first(), x->count(), x->weight(), x->taps(), x->precision(), window_x, y->first(),
                          y->count(), y->weight(), y->taps(), y->precision(), y->window(rows), layout.height,
                          layout.width, layout.patch, layout.merge, layout.temporal, static_cast<int>(rows), values,
                          video.first_frame + i, to, stream);
    }
  }
}

// See csrc/cpu/frames_to_patches.cpp for the arguments.
void frames_to_patches_(Tensor& out, const std::vector<Tensor>& planes, const std::optional<Tensor>& table,
                        const std::string& format_name, const std::string& resize, const std::vector<int64_t>& colours,
                        const std::vector<int64_t>& videos_in, int64_t patch, int64_t merge, int64_t temporal, bool,
                        const std::string&) {
  const FrameFormat format = parse_format(format_name);
  const bool floats = parse_resize(resize);
  const auto videos = parse_videos(out, planes, format, colours, videos_in, patch, merge, temporal);
  if (videos.empty()) return;
  const cuda::OnDevice device(out);
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    floats ? run<T, float>(videos, planes, format, table, out, device.stream())
           : run<T, int16_t>(videos, planes, format, table, out, device.stream());
  };
  switch (out.element_size()) {
    case 4: go(uint32_t{}); break;
    case 2: go(uint16_t{}); break;
    default: go(uint8_t{});
  }
  device.check_launch();
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) { m.impl("frames_to_patches_", TORCH_BOX(&frames_to_patches_)); }

}  // namespace videostr
