#include "cpu/float_rows.h"

#include <algorithm>
#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// A product and a sum stay two roundings unless they are written as one.
#if defined(__clang__)
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

namespace videostr {

PackedFloatAxis pack(const FloatAxisWeights& axis) {
  PackedFloatAxis packed;
  packed.outputs = axis.outputs;
  packed.groups = (axis.outputs + 7) / 8;
  packed.taps = *std::max_element(axis.count.begin(), axis.count.end());
  packed.first.resize(packed.groups * 8);
  packed.fuse.resize(packed.groups * 8);
  packed.weight.assign(packed.groups * packed.taps * 8, 0.0f);
  for (int64_t i = 0; i < packed.groups * 8; ++i) {
    const int64_t from = std::min(i, axis.outputs - 1);
    packed.first[i] = axis.first[from];
    packed.fuse[i] = fused_from(axis.count[from]);
    for (int k = 0; k < axis.count[from]; ++k)
      packed.weight[(i / 8 * packed.taps + k) * 8 + i % 8] = axis.weight[from * axis.taps + k];
  }
  return packed;
}

namespace {

uint8_t rounded(float x) { return static_cast<uint8_t>(std::nearbyint(std::min(std::max(x, 0.0f), 255.0f))); }

void horizontal(const uint8_t* const in[3], const PackedFloatAxis& axis, float* const out[3]) {
  for (int c = 0; c < 3; ++c)
    for (int64_t i = 0; i < axis.outputs; ++i) {
      const uint8_t* from = in[c] + axis.first[i];
      const float* weight = axis.weight.data() + i / 8 * axis.taps * 8 + i % 8;
      float sum = static_cast<float>(from[0]) * weight[0];
      for (int k = 1; k < axis.taps; ++k) {
        const float x = static_cast<float>(from[k]), w = weight[8 * k];
        sum = k < axis.fuse[i] ? sum + x * w : std::fma(x, w, sum);
      }
      out[c][i] = sum;
    }
}

void vertical(const float* const* rows, const float* weight, int taps, int64_t n, uint8_t* out) {
  const int fuse = fused_from(taps);
  for (int64_t x = 0; x < n; ++x) {
    float sum = rows[0][x] * weight[0];
    for (int k = 1; k < taps; ++k)
      sum = k < fuse ? sum + rows[k][x] * weight[k] : std::fma(rows[k][x], weight[k], sum);
    out[x] = rounded(sum);
  }
}

const FloatRowKernels kPortable = {horizontal, vertical};

#if defined(__x86_64__)
#define VIDEOSTR_FMA __attribute__((target("avx2,fma")))

VIDEOSTR_FMA void horizontal_avx2(const uint8_t* const in[3], const PackedFloatAxis& axis, float* const out[3]) {
  const __m256i low = _mm256_set1_epi32(0xff);
  for (int64_t group = 0; group < axis.groups; ++group) {
    const auto at = [&](const std::vector<int32_t>& of) VIDEOSTR_FMA {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(of.data() + 8 * group));
    };
    const __m256i first = at(axis.first), fuse = at(axis.fuse);
    const float* weight = axis.weight.data() + group * axis.taps * 8;
    __m256 sum[3] = {};
    for (int begin = 0; begin < axis.taps; begin += 4) {
      const int end = std::min(begin + 4, axis.taps);
      __m256i four[3];  // taps of an output as the bytes of a lane
      for (int c = 0; c < 3; ++c) four[c] = _mm256_i32gather_epi32(reinterpret_cast<const int*>(in[c] + begin), first, 1);
      for (int k = begin; k < end; ++k) {
        const __m256 w = _mm256_loadu_ps(weight + 8 * k);
        const __m256 fused = _mm256_castsi256_ps(_mm256_cmpgt_epi32(fuse, _mm256_set1_epi32(k)));  // not yet: ones
        for (int c = 0; c < 3; ++c) {
          const __m256 x = _mm256_cvtepi32_ps(_mm256_and_si256(four[c], low));
          four[c] = _mm256_srli_epi32(four[c], 8);
          const __m256 product = _mm256_mul_ps(x, w);
          if (k == 0)
            sum[c] = product;
          else
            sum[c] = _mm256_blendv_ps(_mm256_fmadd_ps(x, w, sum[c]), _mm256_add_ps(sum[c], product), fused);
        }
      }
    }
    for (int c = 0; c < 3; ++c) _mm256_storeu_ps(out[c] + 8 * group, sum[c]);
  }
}

VIDEOSTR_FMA void vertical_avx2(const float* const* rows, const float* weight, int taps, int64_t n, uint8_t* out) {
  const int fuse = fused_from(taps);
  const __m256 zero = _mm256_setzero_ps(), most = _mm256_set1_ps(255.0f);
  for (int64_t x = 0; x < n; x += 32) {
    __m256 sum[4];
    const __m256 w0 = _mm256_set1_ps(weight[0]);
    for (int i = 0; i < 4; ++i) sum[i] = _mm256_mul_ps(_mm256_loadu_ps(rows[0] + x + 8 * i), w0);
    for (int k = 1; k < fuse; ++k) {
      const __m256 w = _mm256_set1_ps(weight[k]);
      for (int i = 0; i < 4; ++i)
        sum[i] = _mm256_add_ps(sum[i], _mm256_mul_ps(_mm256_loadu_ps(rows[k] + x + 8 * i), w));
    }
    for (int k = fuse; k < taps; ++k) {
      const __m256 w = _mm256_set1_ps(weight[k]);
      for (int i = 0; i < 4; ++i) sum[i] = _mm256_fmadd_ps(_mm256_loadu_ps(rows[k] + x + 8 * i), w, sum[i]);
    }
    __m256i whole[4];
    for (int i = 0; i < 4; ++i) whole[i] = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(sum[i], zero), most));
    const __m256i bytes =
        _mm256_packus_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing works within halves
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x), _mm256_permutevar8x32_epi32(bytes, order));
  }
}

const FloatRowKernels kAvx2 = {horizontal_avx2, vertical_avx2};
#endif

}  // namespace

const FloatRowKernels& float_row_kernels(const std::string& instructions) {
#if defined(__x86_64__)
  if (instructions != "portable" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return kAvx2;
#endif
  return kPortable;
}

}  // namespace videostr
