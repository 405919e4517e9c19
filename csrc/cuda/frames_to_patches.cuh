// frames_to_patches on the GPU: the arithmetic of the CPU kernel, one pass, no picture in memory. A block makes `rows` output
// rows of one column of merged patches: its warps convert and resize source rows along x, each into a line of its own and
// then into the tile; the tile is resized along y and looked up straight into the rows of patches.
#pragma once

#include <type_traits>

#include "common/patch_layout.h"
#include "common/resize_float.h"
#include "cuda/frame_pixel.cuh"

namespace videostr::cuda {

constexpr int kPatchThreads = 256;
constexpr int kPatchWarps = kPatchThreads / 32;

// An axis' weights, int16 (common/resize_weights.h) or float (common/resize_float.h; no precision). `window`: most input samples that
// the outputs of a block need.
template <typename W>
struct DeviceAxis {
  const int32_t *first, *count;
  const W* weight;
  int taps, precision, window;
};

template <typename W>
__device__ __forceinline__ int window_of(const DeviceAxis<W>& axis, int64_t begin, int64_t end) {
  return axis.first[end - 1] + axis.count[end - 1] - axis.first[begin];
}

// What lies between the axes: bytes, or floats.
template <typename W>
using Between = std::conditional_t<std::is_same_v<W, float>, float, uint8_t>;

// Sum of an output's taps over samples `step` apart, the first of which is input `from`.
__device__ __forceinline__ uint8_t resample(const DeviceAxis<int16_t>& axis, int64_t output, int from,
                                            const uint8_t* samples, int step) {
  const int16_t* weight = axis.weight + output * axis.taps;
  const uint8_t* sample = samples + (axis.first[output] - from) * step;
  int sum = 1 << (axis.precision - 1);
  for (int k = 0; k < axis.count[output]; ++k) sum += weight[k] * sample[k * step];
  return clip8(sum >> axis.precision);
}

template <typename S>
__device__ __forceinline__ float resample(const DeviceAxis<float>& axis, int64_t output, int from, const S* samples,
                                          int step) {
  const float* weight = axis.weight + output * axis.taps;
  const S* sample = samples + (axis.first[output] - from) * step;
  const int count = axis.count[output], fuse = fused_from(count);
  float sum = __fmul_rn(static_cast<float>(sample[0]), weight[0]);
  for (int k = 1; k < count; ++k) {
    const float x = static_cast<float>(sample[k * step]);
    sum = k < fuse ? __fadd_rn(sum, __fmul_rn(x, weight[k])) : __fmaf_rn(x, weight[k], sum);
  }
  return sum;
}

__device__ __forceinline__ uint8_t to_byte(uint8_t x) { return x; }
__device__ __forceinline__ uint8_t to_byte(float x) {  // half to even
  return static_cast<uint8_t>(__float2int_rn(fminf(fmaxf(x, 0.0f), 255.0f)));
}

// T: how an element of table and out is stored; without a table the bytes are. W: of the weights. The rarer formats are kernels of
// their own: their arithmetic would take registers from the usual ones.
template <typename T, typename W, bool kUsual>
__global__ void __launch_bounds__(kPatchThreads)
    patches_kernel(FramePlanes in, Colour colour, DeviceAxis<W> along_x, DeviceAxis<W> along_y, PatchLayout layout,
                   int rows, const T* table, int64_t frame, T* out) {
  VIDEOSTR_DYNAMIC_SHARED(uint8_t, shared);
  using S = Between<W>;
  const int width = static_cast<int>(layout.patch * layout.merge);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  uint8_t* line = shared + warp * 3 * along_x.window;
  S* tile = reinterpret_cast<S*>(shared + kPatchWarps * 3 * along_x.window);  // [source row, channel, width]
  const int64_t x0 = static_cast<int64_t>(blockIdx.x) * width, y0 = static_cast<int64_t>(blockIdx.y) * rows;
  const int left = along_x.first[x0], columns = window_of(along_x, x0, x0 + width);
  const int top = along_y.first[y0], lines = window_of(along_y, y0, y0 + rows);

  for (int row = warp; row < lines; row += kPatchWarps) {
    for (int i = lane; i < columns; i += 32) {
      const Pixel pixel =
          kUsual ? usual_pixel(in, colour, top + row, left + i) : other_pixel(in, colour, top + row, left + i);
      line[i] = pixel.r;
      line[along_x.window + i] = pixel.g;
      line[2 * along_x.window + i] = pixel.b;
    }
    __syncwarp();
    for (int i = lane; i < 3 * width; i += 32) {
      const int c = i / width, x = i % width;
      tile[(row * 3 + c) * width + x] = resample(along_x, x0 + x, left, line + c * along_x.window, 1);
    }
    __syncwarp();
  }
  __syncthreads();

  const int patch = static_cast<int>(layout.patch);
  for (int i = threadIdx.x; i < 3 * rows * width; i += kPatchThreads) {
    const int x = i % patch, y = i / patch % rows, c = i / (patch * rows) % 3, beside = i / (patch * rows * 3);
    const S* column = tile + c * width + beside * patch + x;
    const uint8_t value = to_byte(resample(along_y, y0 + y, top, column, 3 * width));
    const int64_t to_row = layout.row(frame, (y0 + y) / patch, x0 / patch + beside);
    const int64_t to_column = layout.column(frame, c) + (y0 + y) % patch * patch + x;
    out[to_row * layout.columns() + to_column] = table != nullptr ? table[c * 256 + value] : static_cast<T>(value);
  }
}

// ---- launch

constexpr int64_t kAnyShared = 48 * 1024, kMostShared = 96 * 1024;  // without asking; what sm_80 and later give when asked

inline int64_t patch_shared_bytes(int window_x, int window_y, int64_t width, int64_t between) {
  return kPatchWarps * 3 * static_cast<int64_t>(window_x) + 3 * window_y * width * between;
}

// One frame. window_x: of patch * merge outputs along x; window_y: of `rows` outputs along y; rows divides the height.
template <typename T, typename W>
void patches(const uint8_t* y, const uint8_t* u, const uint8_t* v, int64_t y_stride, int64_t uv_stride, int step, int down,
             int shift, int64_t chroma_rows, int format, int y_scale, int v_to_r, int u_to_b, int v_to_g, int u_to_g,
             int y_offset, const int32_t* first_x, const int32_t* count_x, const W* weight_x, int taps_x, int precision_x,
             int window_x, const int32_t* first_y, const int32_t* count_y, const W* weight_y, int taps_y, int precision_y,
             int window_y, int64_t height, int64_t width, int64_t patch, int64_t merge, int64_t temporal, int rows,
             const T* table, int64_t frame, T* out, cudaStream_t stream) {
  const FramePlanes in{y, u, v, y_stride, uv_stride, step, down, shift, chroma_rows, static_cast<FrameFormat>(format)};
  const Colour colour{y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset};
  const DeviceAxis<W> along_x{first_x, count_x, weight_x, taps_x, precision_x, window_x};
  const DeviceAxis<W> along_y{first_y, count_y, weight_y, taps_y, precision_y, window_y};
  const PatchLayout layout{height, width, patch, merge, temporal};
  const dim3 grid(static_cast<unsigned>(width / (patch * merge)), static_cast<unsigned>(height / rows));
  const int64_t shared = patch_shared_bytes(window_x, window_y, patch * merge, sizeof(Between<W>));
  const auto start = [&](auto usual) {
    constexpr bool kUsual = decltype(usual)::value;
#if !defined(VIDEOSTR_CUDA_SIM)
    if (shared > kAnyShared)
      cudaFuncSetAttribute(patches_kernel<T, W, kUsual>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                           static_cast<int>(shared));
#endif
    VIDEOSTR_LAUNCH((patches_kernel<T, W, kUsual>), grid, dim3(kPatchThreads), static_cast<size_t>(shared), stream, in,
                    colour, along_x, along_y, layout, rows, table, frame, out);
  };
  is_usual(in.format) ? start(std::true_type{}) : start(std::false_type{});
}

}  // namespace videostr::cuda
