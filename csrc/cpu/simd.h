// Vector code without -march=native: the compiler makes one clone of a function per instruction set, the loader picks.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
// Levels, not `arch=haswell` and the like: those name Intel's processors, and everyone else's would get the default.
#define VIDEOSTR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define VIDEOSTR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VIDEOSTR_CLONES
#endif
// The same levels by hand, for `#pragma GCC target` around code that clones do not help (vector types).
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define VIDEOSTR_LEVELS
#define VIDEOSTR_HAS_LEVEL_3 __builtin_cpu_supports("x86-64-v3")
#define VIDEOSTR_HAS_LEVEL_4 __builtin_cpu_supports("x86-64-v4")
#endif
#define VIDEOSTR_ALWAYS __attribute__((always_inline))
#define VIDEOSTR_INLINE static inline VIDEOSTR_ALWAYS

namespace videostr {

// e^x to 2 ulp for x <= 88, 0 below -87.3 (where a float would be denormal) and at -inf; NaN stays NaN.
// Cephes' reduction and polynomial: 2^n * e^r with n = round(x / ln 2), |r| <= ln(2) / 2.
VIDEOSTR_INLINE float fast_exp(float x) {
  const float clamped = x < -87.3f ? -87.3f : (x > 88.0f ? 88.0f : x);
  const float shifted = clamped * 1.44269504f + 12582912.0f;  // adding 1.5 * 2^23 rounds to an integer
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return x < -87.3f ? 0.0f : p * scale;
}

}  // namespace videostr
