// frames_to_patches on the GPU: the integers of the CPU kernel, one pass, no picture in memory. A block makes `rows` output
// rows of one column of merged patches: its warps convert and resize source rows along x, each into a line of its own and
// then into the tile; the tile is resized along y and looked up straight into the rows of patches.
#pragma once

#include "common/colour.h"
#include "common/patch_layout.h"
#include "cuda/launch.h"

namespace videostr::cuda {

constexpr int kPatchThreads = 256;
constexpr int kPatchWarps = kPatchThreads / 32;

// Samples of a frame: chroma `step` bytes apart; RGB in y, `y_stride` bytes a row, without u and v.
struct FramePlanes {
  const uint8_t *y, *u, *v;
  int64_t y_stride, uv_stride;
  int step;
};

// An axis' weights (common/resize_weights.h); `window`: most input samples that the outputs of a block need.
struct DeviceAxis {
  const int32_t *first, *count;
  const int16_t* weight;
  int taps, precision, window;
};

__device__ __forceinline__ int window_of(const DeviceAxis& axis, int64_t begin, int64_t end) {
  return axis.first[end - 1] + axis.count[end - 1] - axis.first[begin];
}

// Sum of an output's taps over samples `step` bytes apart, the first of which is input `from`.
__device__ __forceinline__ uint8_t resample(const DeviceAxis& axis, int64_t output, int from, const uint8_t* samples,
                                            int step) {
  const int16_t* weight = axis.weight + output * axis.taps;
  const uint8_t* sample = samples + (axis.first[output] - from) * step;
  int sum = 1 << (axis.precision - 1);
  for (int k = 0; k < axis.count[output]; ++k) sum += weight[k] * sample[k * step];
  return clip8(sum >> axis.precision);
}

// T: how an element of table and out is stored; without a table the bytes are.
template <typename T, bool kRgb>
__global__ void __launch_bounds__(kPatchThreads)
    patches_kernel(FramePlanes in, Colour colour, DeviceAxis along_x, DeviceAxis along_y, PatchLayout layout, int rows,
                   const T* table, int64_t frame, T* out) {
  VIDEOSTR_DYNAMIC_SHARED(uint8_t, shared);
  const int width = static_cast<int>(layout.patch * layout.merge);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  uint8_t* line = shared + warp * 3 * along_x.window;
  uint8_t* tile = shared + kPatchWarps * 3 * along_x.window;  // [source row, channel, width]
  const int64_t x0 = static_cast<int64_t>(blockIdx.x) * width, y0 = static_cast<int64_t>(blockIdx.y) * rows;
  const int left = along_x.first[x0], columns = window_of(along_x, x0, x0 + width);
  const int top = along_y.first[y0], lines = window_of(along_y, y0, y0 + rows);

  for (int row = warp; row < lines; row += kPatchWarps) {
    const int64_t source = top + row;
    const uint8_t* luma = in.y + source * in.y_stride;
    for (int i = lane; i < columns; i += 32) {
      const int x = left + i;
      if (kRgb) {
        for (int c = 0; c < 3; ++c) line[c * along_x.window + i] = luma[3 * x + c];
      } else {
        const int64_t at = source / 2 * in.uv_stride + x / 2 * in.step;
        const Chroma chroma = chroma_terms(in.u[at], in.v[at], colour);
        const int y = luma_term(luma[x], colour);
        line[i] = clip8(y + chroma.r);
        line[along_x.window + i] = clip8(y + chroma.g);
        line[2 * along_x.window + i] = clip8(y + chroma.b);
      }
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
    const uint8_t* column = tile + c * width + beside * patch + x;
    const uint8_t value = resample(along_y, y0 + y, top, column, 3 * width);
    const int64_t to_row = layout.row(frame, (y0 + y) / patch, x0 / patch + beside);
    const int64_t to_column = layout.column(frame, c) + (y0 + y) % patch * patch + x;
    out[to_row * layout.columns() + to_column] = table != nullptr ? table[c * 256 + value] : static_cast<T>(value);
  }
}

// ---- launch

constexpr int64_t kMostShared = 48 * 1024;  // what every device gives without being asked

inline int64_t patch_shared_bytes(int window_x, int window_y, int64_t width) {
  return kPatchWarps * 3 * static_cast<int64_t>(window_x) + 3 * window_y * width;
}

// One frame. window_x: of patch * merge outputs along x; window_y: of `rows` outputs along y; rows divides the height.
template <typename T, bool kRgb>
void patches(const uint8_t* y, const uint8_t* u, const uint8_t* v, int64_t y_stride, int64_t uv_stride, int step,
             int y_scale, int v_to_r, int u_to_b, int v_to_g, int u_to_g, int y_offset, const int32_t* first_x,
             const int32_t* count_x, const int16_t* weight_x, int taps_x, int precision_x, int window_x,
             const int32_t* first_y, const int32_t* count_y, const int16_t* weight_y, int taps_y, int precision_y,
             int window_y, int64_t height, int64_t width, int64_t patch, int64_t merge, int64_t temporal, int rows,
             const T* table, int64_t frame, T* out, cudaStream_t stream) {
  const FramePlanes in{y, u, v, y_stride, uv_stride, step};
  const Colour colour{y_scale, v_to_r, u_to_b, v_to_g, u_to_g, y_offset};
  const DeviceAxis along_x{first_x, count_x, weight_x, taps_x, precision_x, window_x};
  const DeviceAxis along_y{first_y, count_y, weight_y, taps_y, precision_y, window_y};
  const PatchLayout layout{height, width, patch, merge, temporal};
  const dim3 grid(static_cast<unsigned>(width / (patch * merge)), static_cast<unsigned>(height / rows));
  VIDEOSTR_LAUNCH((patches_kernel<T, kRgb>), grid, dim3(kPatchThreads),
                  static_cast<size_t>(patch_shared_bytes(window_x, window_y, patch * merge)), stream, in, colour, along_x,
                  along_y, layout, rows, table, frame, out);
}

}  // namespace videostr::cuda
