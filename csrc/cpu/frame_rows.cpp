// The portable row kernels, plain loops for any compiler's vectoriser, and the choice between the versions.
#include "cpu/frame_rows.h"

#include <algorithm>

namespace videostr {

PackedAxis pack(const AxisWeights& axis) {
  PackedAxis packed;
  packed.outputs = axis.outputs;
  packed.groups = (axis.outputs + 15) / 16;
  packed.precision = axis.precision;
  const int longest = *std::max_element(axis.count.begin(), axis.count.end());
  packed.pairs = (longest + 1) / 2;
  packed.first.resize(packed.groups * 16);
  packed.weight.assign(packed.groups * packed.pairs * 32, 0);
  packed.shuffle16.assign(packed.groups * 64, 0x80);
  packed.shuffle64.assign(packed.groups * 64, 0);
  for (int64_t i = 0; i < packed.groups * 16; ++i) packed.first[i] = axis.first[std::min(i, axis.outputs - 1)];
  for (int64_t i = 0; i < axis.outputs; ++i) {
    const int64_t group = i / 16, lane = i % 16;
    for (int k = 0; k < axis.count[i]; ++k)
      packed.weight[((group * packed.pairs + k / 2) * 16 + lane) * 2 + k % 2] = axis.weight[i * axis.taps + k];
    const int near = packed.first[i] - packed.first[i / 4 * 4], far = packed.first[i] - packed.first[group * 16];
    packed.fits16 &= near + 1 < 16;
    packed.fits64 &= far + 1 < 64;
    for (int k = 0; k < 2; ++k) {
      packed.shuffle16[group * 64 + lane * 4 + 2 * k] = static_cast<uint8_t>(near + k);
      packed.shuffle64[group * 64 + lane * 4 + 2 * k] = static_cast<uint8_t>(far + k);
    }
  }
  return packed;
}

namespace {

void yuv_row(const uint8_t* y, const uint8_t* u, const uint8_t* v, int step, int64_t width, const Colour& colour,
             uint8_t* const rgb[3]) {
  for (int64_t x = 0; x < width; ++x) {
    const Chroma chroma = chroma_terms(u[x / 2 * step], v[x / 2 * step], colour);
    const int luma = luma_term(y[x], colour);
    rgb[0][x] = clip8(luma + chroma.r);
    rgb[1][x] = clip8(luma + chroma.g);
    rgb[2][x] = clip8(luma + chroma.b);
  }
}

void rgb_row(const uint8_t* packed, int64_t width, uint8_t* const rgb[3]) {
  for (int64_t x = 0; x < width; ++x)
    for (int c = 0; c < 3; ++c) rgb[c][x] = packed[3 * x + c];
}

void horizontal(const uint8_t* const in[3], const PackedAxis& axis, uint8_t* const out[3]) {
  for (int c = 0; c < 3; ++c)
    for (int64_t group = 0; group < axis.groups; ++group) {
      const int32_t* first = axis.first.data() + group * 16;
      int32_t sum[16];
      for (int i = 0; i < 16; ++i) sum[i] = 1 << (axis.precision - 1);
      for (int pair = 0; pair < axis.pairs; ++pair) {
        const int16_t* weight = axis.weight.data() + (group * axis.pairs + pair) * 32;
        for (int i = 0; i < 16; ++i) {
          const uint8_t* from = in[c] + first[i] + 2 * pair;
          sum[i] += from[0] * weight[2 * i] + from[1] * weight[2 * i + 1];
        }
      }
      for (int i = 0; i < 16; ++i) out[c][group * 16 + i] = clip8(sum[i] >> axis.precision);
    }
}

void vertical(const uint8_t* const* rows, const int16_t* weight, int taps, int precision, int64_t n, uint8_t* out) {
  constexpr int64_t kBlock = 64;
  for (int64_t begin = 0; begin < n; begin += kBlock) {  // the rows' padding takes the last block's rest
    int32_t sum[kBlock];
    for (int64_t i = 0; i < kBlock; ++i) sum[i] = 1 << (precision - 1);
    for (int k = 0; k < taps; ++k)
      for (int64_t i = 0; i < kBlock; ++i) sum[i] += rows[k][begin + i] * weight[k];
    for (int64_t i = 0; i < kBlock; ++i) out[begin + i] = clip8(sum[i] >> precision);
  }
}

}  // namespace

const RowKernels kPortableRows = {yuv_row, rgb_row, horizontal, vertical};

const RowKernels* row_kernels(const std::string& instructions) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
  if (instructions == "avx512" || (instructions == "auto" && avx512)) return avx512 ? &kAvx512Rows : nullptr;
  if (instructions == "avx2" || (instructions == "auto" && avx2)) return avx2 ? &kAvx2Rows : nullptr;
#endif
  return instructions == "auto" || instructions == "portable" ? &kPortableRows : nullptr;
}

}  // namespace videostr
