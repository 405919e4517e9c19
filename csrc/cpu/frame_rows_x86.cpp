// The row kernels for AVX2 and for AVX-512 with VBMI (Ice Lake, Zen 4 and later). No flags: each function names its target.
#if defined(__x86_64__)
#include <immintrin.h>

#include "cpu/frame_rows.h"

#define VIDEOSTR_AVX2 __attribute__((target("avx2")))
#define VIDEOSTR_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))

namespace videostr {
namespace {

// ---- colour

VIDEOSTR_AVX2 inline __m128i every_second(const uint8_t* from) {  // 16 bytes of 32
  const __m256i low = _mm256_set1_epi16(0xff);
  const __m256i pairs = _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)), low);
  return _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

VIDEOSTR_AVX2 inline __m128i load16(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

VIDEOSTR_AVX2 inline __m256i centred(__m128i samples) {  // 8 s - 1024
  return _mm256_sub_epi16(_mm256_slli_epi16(_mm256_cvtepu8_epi16(samples), 3), _mm256_set1_epi16(1024));
}

VIDEOSTR_AVX2 inline __m256i all(int x) { return _mm256_set1_epi16(static_cast<short>(x)); }

// 32 pixels: luma of pixels 0-7, 16-23 in `low`, 8-15, 24-31 in `high`, so that unpacking within lanes doubles the chroma.
VIDEOSTR_AVX2 inline void add_chroma(__m256i low, __m256i high, __m256i chroma, uint8_t* out) {
  low = _mm256_add_epi16(low, _mm256_unpacklo_epi16(chroma, chroma));
  high = _mm256_add_epi16(high, _mm256_unpackhi_epi16(chroma, chroma));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_packus_epi16(low, high));
}

VIDEOSTR_AVX2 void yuv_row(const uint8_t* y, const uint8_t* u, const uint8_t* v, int step, int64_t width,
                           const Colour& colour, uint8_t* const rgb[3]) {
  const __m256i scale = all(colour.y_scale), offset = all(colour.y_offset), zero = _mm256_setzero_si256();
  const __m256i vr = all(colour.v_to_r), ub = all(colour.u_to_b), vg = all(colour.v_to_g), ug = all(colour.u_to_g);
  int64_t x = 0;
  for (; x + 32 <= width; x += 32) {
    __m128i us, vs;
    if (step == 1) {
      us = load16(u + x / 2);
      vs = load16(v + x / 2);
    } else if (x + 64 <= width) {  // u and v lie in one plane; v's last load would end a byte behind it
      us = every_second(u + x);
      vs = every_second(v + x);
    } else {
      break;
    }
    const __m256i du = centred(us), dv = centred(vs);
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(y + x));
    const auto luma = [&](__m256i wide) VIDEOSTR_AVX2 {
      return _mm256_mulhi_epi16(_mm256_sub_epi16(_mm256_slli_epi16(wide, 3), offset), scale);
    };
    const __m256i low = luma(_mm256_unpacklo_epi8(bytes, zero)), high = luma(_mm256_unpackhi_epi8(bytes, zero));
    add_chroma(low, high, _mm256_mulhi_epi16(dv, vr), rgb[0] + x);
    add_chroma(low, high, _mm256_add_epi16(_mm256_mulhi_epi16(du, ug), _mm256_mulhi_epi16(dv, vg)), rgb[1] + x);
    add_chroma(low, high, _mm256_mulhi_epi16(du, ub), rgb[2] + x);
  }
  uint8_t* const rest[3] = {rgb[0] + x, rgb[1] + x, rgb[2] + x};
  kPortableRows.yuv(y + x, u + x / 2 * step, v + x / 2 * step, step, width - x, colour, rest);
}

VIDEOSTR_AVX2 void rgb_row(const uint8_t* packed, int64_t width, uint8_t* const rgb[3]) {
  // pixel i's channel c is byte 3 i + c of 48: of which of three vectors, and where
  alignas(16) int8_t where[3][3][16];
  for (int c = 0; c < 3; ++c)
    for (int part = 0; part < 3; ++part)
      for (int i = 0; i < 16; ++i) {
        const int at = 3 * i + c - 16 * part;
        where[c][part][i] = static_cast<int8_t>(at >= 0 && at < 16 ? at : -1);
      }
  int64_t x = 0;
  for (; x + 16 <= width; x += 16) {
    const __m128i part[3] = {load16(packed + 3 * x), load16(packed + 3 * x + 16), load16(packed + 3 * x + 32)};
    for (int c = 0; c < 3; ++c) {
      const auto pick = [&](int i) VIDEOSTR_AVX2 {
        return _mm_shuffle_epi8(part[i], *reinterpret_cast<const __m128i*>(where[c][i]));
      };
      const __m128i both = _mm_or_si128(_mm_or_si128(pick(0), pick(1)), pick(2));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(rgb[c] + x), both);
    }
  }
  uint8_t* const rest[3] = {rgb[0] + x, rgb[1] + x, rgb[2] + x};
  kPortableRows.rgb(packed + 3 * x, width - x, rest);
}

// ---- horizontal: a shuffle gives 8 (16) outputs two taps each, as pairs of int16 for one multiply-add

VIDEOSTR_AVX2 void horizontal_avx2(const uint8_t* const in[3], const PackedAxis& axis, uint8_t* const out[3]) {
  if (!axis.fits16) return kPortableRows.horizontal(in, axis, out);
  const __m256i half = _mm256_set1_epi32(1 << (axis.precision - 1));
  const __m128i shift = _mm_cvtsi32_si128(axis.precision);
  for (int64_t group = 0; group < axis.groups; ++group) {
    const int32_t* first = axis.first.data() + group * 16;
    const auto* shuffle = reinterpret_cast<const __m256i*>(axis.shuffle16.data() + group * 64);
    const __m256i shuffles[2] = {_mm256_loadu_si256(shuffle), _mm256_loadu_si256(shuffle + 1)};
    const auto* weight = reinterpret_cast<const __m256i*>(axis.weight.data() + group * axis.pairs * 32);
    __m256i sum[3][2] = {{half, half}, {half, half}, {half, half}};
    for (int pair = 0; pair < axis.pairs; ++pair)
      for (int part = 0; part < 2; ++part) {
        const __m256i w = _mm256_loadu_si256(weight + 2 * pair + part);
        for (int c = 0; c < 3; ++c) {
          const uint8_t* from = in[c] + 2 * pair;
          const __m256i bytes =
              _mm256_inserti128_si256(_mm256_castsi128_si256(load16(from + first[8 * part])), load16(from + first[8 * part + 4]), 1);
          const __m256i taps = _mm256_shuffle_epi8(bytes, shuffles[part]);
          sum[c][part] = _mm256_add_epi32(sum[c][part], _mm256_madd_epi16(taps, w));
        }
      }
    for (int c = 0; c < 3; ++c) {
      const __m256i both = _mm256_packs_epi32(_mm256_sra_epi32(sum[c][0], shift), _mm256_sra_epi32(sum[c][1], shift));
      const __m256i ordered = _mm256_permute4x64_epi64(both, 0xd8);
      const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out[c] + group * 16), bytes);
    }
  }
}

VIDEOSTR_AVX512 void horizontal_avx512(const uint8_t* const in[3], const PackedAxis& axis, uint8_t* const out[3]) {
  if (!axis.fits64) return horizontal_avx2(in, axis, out);
  const __m512i half = _mm512_set1_epi32(1 << (axis.precision - 1)), zero = _mm512_setzero_si512();
  const __m128i shift = _mm_cvtsi32_si128(axis.precision);
  for (int64_t group = 0; group < axis.groups; ++group) {
    const int64_t first = axis.first[group * 16];
    const __m512i shuffle = _mm512_loadu_si512(axis.shuffle64.data() + group * 64);
    const int16_t* weight = axis.weight.data() + group * axis.pairs * 32;
    __m512i sum[3] = {half, half, half};
    for (int pair = 0; pair < axis.pairs; ++pair) {
      const __m512i w = _mm512_loadu_si512(weight + pair * 32);
      for (int c = 0; c < 3; ++c) {
        const __m512i bytes = _mm512_loadu_si512(in[c] + first + 2 * pair);
        const __m512i taps = _mm512_maskz_permutexvar_epi8(0x5555555555555555ull, shuffle, bytes);
        sum[c] = _mm512_add_epi32(sum[c], _mm512_madd_epi16(taps, w));
      }
    }
    for (int c = 0; c < 3; ++c) {
      const __m512i shifted = _mm512_max_epi32(_mm512_sra_epi32(sum[c], shift), zero);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out[c] + group * 16), _mm512_cvtusepi32_epi8(shifted));
    }
  }
}

// ---- vertical: two rows at a time, bytes interleaved and widened

int two_weights(int16_t even, int16_t odd) {
  return static_cast<int>(static_cast<uint16_t>(even) | static_cast<uint32_t>(static_cast<uint16_t>(odd)) << 16);
}

VIDEOSTR_AVX2 void vertical_avx2(const uint8_t* const* rows, const int16_t* weight, int taps, int precision, int64_t n,
                                 uint8_t* out) {
  const __m256i half = _mm256_set1_epi32(1 << (precision - 1)), zero = _mm256_setzero_si256();
  const __m128i shift = _mm_cvtsi32_si128(precision);
  for (int64_t x = 0; x < n; x += 32) {
    __m256i sum[4] = {half, half, half, half};
    for (int k = 0; k < taps; k += 2) {
      const bool two = k + 1 < taps;
      const __m256i w = _mm256_set1_epi32(two_weights(weight[k], two ? weight[k + 1] : 0));
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[k] + x));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[k + two] + x));
      const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
      sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), w));
      sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), w));
      sum[2] = _mm256_add_epi32(sum[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), w));
      sum[3] = _mm256_add_epi32(sum[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), w));
    }
    for (auto& s : sum) s = _mm256_sra_epi32(s, shift);
    const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(sum[0], sum[1]), _mm256_packs_epi32(sum[2], sum[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x), bytes);
  }
}

VIDEOSTR_AVX512 void vertical_avx512(const uint8_t* const* rows, const int16_t* weight, int taps, int precision,
                                     int64_t n, uint8_t* out) {
  const __m512i half = _mm512_set1_epi32(1 << (precision - 1)), zero = _mm512_setzero_si512();
  const __m128i shift = _mm_cvtsi32_si128(precision);
  for (int64_t x = 0; x < n; x += 64) {
    __m512i sum[4] = {half, half, half, half};
    for (int k = 0; k < taps; k += 2) {
      const bool two = k + 1 < taps;
      const __m512i w = _mm512_set1_epi32(two_weights(weight[k], two ? weight[k + 1] : 0));
      const __m512i a = _mm512_loadu_si512(rows[k] + x), b = _mm512_loadu_si512(rows[k + two] + x);
      const __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
      sum[0] = _mm512_add_epi32(sum[0], _mm512_madd_epi16(_mm512_unpacklo_epi8(low, zero), w));
      sum[1] = _mm512_add_epi32(sum[1], _mm512_madd_epi16(_mm512_unpackhi_epi8(low, zero), w));
      sum[2] = _mm512_add_epi32(sum[2], _mm512_madd_epi16(_mm512_unpacklo_epi8(high, zero), w));
      sum[3] = _mm512_add_epi32(sum[3], _mm512_madd_epi16(_mm512_unpackhi_epi8(high, zero), w));
    }
    for (auto& s : sum) s = _mm512_sra_epi32(s, shift);
    const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(sum[0], sum[1]), _mm512_packs_epi32(sum[2], sum[3]));
    _mm512_storeu_si512(out + x, bytes);
  }
}

}  // namespace

const RowKernels kAvx2Rows = {yuv_row, rgb_row, horizontal_avx2, vertical_avx2};
const RowKernels kAvx512Rows = {yuv_row, rgb_row, horizontal_avx512, vertical_avx512};

}  // namespace videostr
#endif
