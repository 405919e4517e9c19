// Device maths. The fast versions are exact here: a test's tolerance has to leave room for the GPU's own error.
#pragma once

#include <math.h>

#include <bit>
#include <cmath>
#include <cstdint>

#define CUDA_SIM_MIN_MAX(T)                                    \
  inline T min(T a, T b) { return b < a ? b : a; }             \
  inline T max(T a, T b) { return a < b ? b : a; }
CUDA_SIM_MIN_MAX(int)
CUDA_SIM_MIN_MAX(unsigned)
CUDA_SIM_MIN_MAX(long)
CUDA_SIM_MIN_MAX(unsigned long)
CUDA_SIM_MIN_MAX(long long)
CUDA_SIM_MIN_MAX(unsigned long long)
#undef CUDA_SIM_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }  // CUDA's: the other one where one is NaN
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float rsqrtf(float x) { return static_cast<float>(1.0 / sqrt(static_cast<double>(x))); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }  // NaN: 0

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1u) << (31 - i);
  return reversed;
}
inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned>(uint64_t{x} * y >> 32); }
inline int __mulhi(int x, int y) { return static_cast<int>(int64_t{x} * y >> 32); }

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

// Conversions as the hardware does them: NaN gives 0, what does not fit the nearest end.
namespace cuda_sim {
int to_int(double rounded);
unsigned to_uint(double rounded);
}  // namespace cuda_sim
inline int __float2int_rn(float x) { return ::cuda_sim::to_int(nearbyint(x)); }
inline int __float2int_rz(float x) { return ::cuda_sim::to_int(trunc(x)); }
inline int __float2int_rd(float x) { return ::cuda_sim::to_int(floor(x)); }
inline int __float2int_ru(float x) { return ::cuda_sim::to_int(ceil(x)); }
inline unsigned __float2uint_rn(float x) { return ::cuda_sim::to_uint(nearbyint(x)); }
inline int __double2int_rn(double x) { return ::cuda_sim::to_int(nearbyint(x)); }

// Loads and stores with a cache hint are loads and stores.
#define CUDA_SIM_LOAD(name)     \
  template <typename T>         \
  T name(const T* address) {    \
    return *address;            \
  }
#define CUDA_SIM_STORE(name)            \
  template <typename T>                 \
  void name(T* address, T value) {      \
    *address = value;                   \
  }
CUDA_SIM_LOAD(__ldg)
CUDA_SIM_LOAD(__ldcs)
CUDA_SIM_LOAD(__ldcg)
CUDA_SIM_LOAD(__ldca)
CUDA_SIM_STORE(__stcs)
CUDA_SIM_STORE(__stcg)
CUDA_SIM_STORE(__stwb)
#undef CUDA_SIM_LOAD
#undef CUDA_SIM_STORE
