// The kernel of frames_to_patches.cuh as a torch operator.
#include <algorithm>

#include "common/frame_format.h"
#include "common/resize_weights.h"
#include "cuda/frames_to_patches.cuh"
#include "cuda/stream.h"

namespace videostr {
namespace {

// An axis' weights on the device, in one tensor: first, count, weight.
struct Uploaded {
  AxisWeights axis;
  Tensor bytes;

  Uploaded(int64_t in, int64_t out, const Tensor& like, cudaStream_t stream) : axis(axis_weights(in, out)) {
    std::vector<uint8_t> packed(offset(2) + axis.weight.size() * sizeof(int16_t));
    std::copy(axis.first.begin(), axis.first.end(), reinterpret_cast<int32_t*>(packed.data()));
    std::copy(axis.count.begin(), axis.count.end(), reinterpret_cast<int32_t*>(packed.data() + offset(1)));
    std::copy(axis.weight.begin(), axis.weight.end(), reinterpret_cast<int16_t*>(packed.data() + offset(2)));
    bytes = torch::stable::new_empty(like, {static_cast<int64_t>(packed.size())}, ScalarType::Byte);
    // from pageable memory: `packed` may go when this returns
    const cudaError_t error = cudaMemcpyAsync(bytes.data_ptr(), packed.data(), packed.size(), cudaMemcpyHostToDevice, stream);
    STD_TORCH_CHECK(error == cudaSuccess, "frames_to_patches_: ", cudaGetErrorString(error));
  }

  size_t offset(size_t k) const { return k * axis.outputs * sizeof(int32_t); }
  const int32_t* first() const { return reinterpret_cast<const int32_t*>(at(0)); }
  const int32_t* count() const { return reinterpret_cast<const int32_t*>(at(1)); }
  const int16_t* weight() const { return reinterpret_cast<const int16_t*>(at(2)); }

  // Most input samples that `outputs` neighbours need, which begin at a multiple of it.
  int window(int64_t outputs) const {
    int most = 0;
    for (int64_t i = 0; i < axis.outputs; i += outputs) {
      const int64_t last = i + outputs - 1;
      most = std::max(most, axis.first[last] + axis.count[last] - axis.first[i]);
    }
    return most;
  }

 private:
  const uint8_t* at(size_t k) const { return static_cast<const uint8_t*>(bytes.data_ptr()) + offset(k); }
};

// See csrc/cpu/frames_to_patches.cpp for the arguments.
void frames_to_patches_(Tensor& out, const std::vector<Tensor>& planes, const std::optional<Tensor>& table,
                        const std::string& format_name, const std::vector<int64_t>& colour, int64_t height, int64_t width,
                        int64_t patch, int64_t merge, int64_t temporal, int64_t first_frame, const std::string&) {
  const FrameFormat format = parse_format(format_name);
  const int64_t each = planes_of(format), count = static_cast<int64_t>(planes.size()) / each, block = patch * merge;
  STD_TORCH_CHECK(colour.size() == 6, "frames_to_patches_: colour has 6 numbers");
  const PatchLayout layout{height, width, patch, merge, temporal};
  STD_TORCH_CHECK(first_frame >= 0 && out.dim() == 2 && out.size(1) == layout.columns() && out.is_contiguous() &&
                      (first_frame + count + temporal - 1) / temporal * layout.rows_per_step() <= out.size(0),
                  "frames_to_patches_: out is not contiguous, or the frames do not fit");
  if (count == 0) return;
  const cuda::OnDevice device(out);
  const Uploaded x(planes[0].size(1), width, out, device.stream()), y(planes[0].size(0), height, out, device.stream());
  const int window_x = x.window(block);
  int64_t rows = block;  // output rows of a block: fewer where the frame shrinks so much that its window is too tall
  const auto shared = [&] { return cuda::patch_shared_bytes(window_x, y.window(rows), block); };
  while (rows > 1 && (height % rows != 0 || shared() > cuda::kMostShared)) --rows;
  STD_TORCH_CHECK(shared() <= cuda::kMostShared, "frames_to_patches_: a frame of ", planes[0].size(0), " x ",
                  planes[0].size(1), " pixels shrinks too much for this kernel");
  const auto launch = [&](auto zero, auto rgb) {
    using T = decltype(zero);
    constexpr bool kRgb = decltype(rgb)::value;
    for (int64_t i = 0; i < count; ++i) {
      const Tensor* plane = planes.data() + i * each;
      const auto pointer = [&](int64_t k) { return plane[k].const_data_ptr<uint8_t>(); };
      const bool interleaved = format == FrameFormat::nv12;
      cuda::patches<T, kRgb>(
          pointer(0), kRgb ? nullptr : pointer(1), kRgb ? nullptr : interleaved ? pointer(1) + 1 : pointer(2),
          plane[0].stride(0), kRgb ? 0 : plane[1].stride(0), interleaved ? 2 : 1, static_cast<int>(colour[0]),
          static_cast<int>(colour[1]), static_cast<int>(colour[2]), static_cast<int>(colour[3]),
          static_cast<int>(colour[4]), static_cast<int>(colour[5]), x.first(), x.count(), x.weight(), x.axis.taps,
          x.axis.precision, window_x, y.first(), y.count(), y.weight(), y.axis.taps, y.axis.precision, y.window(rows),
          height, width, patch, merge, temporal, static_cast<int>(rows),
          table ? static_cast<const T*>(table->data_ptr()) : nullptr, first_frame + i, static_cast<T*>(out.data_ptr()),
          device.stream());
    }
  };
  const auto by_size = [&](auto rgb) {
    switch (out.element_size()) {
      case 4: return launch(uint32_t{}, rgb);
      case 2: return launch(uint16_t{}, rgb);
      default: return launch(uint8_t{}, rgb);
    }
  };
  format == FrameFormat::rgb24 ? by_size(std::true_type{}) : by_size(std::false_type{});
  device.check_launch();
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) { m.impl("frames_to_patches_", TORCH_BOX(&frames_to_patches_)); }

}  // namespace videostr
