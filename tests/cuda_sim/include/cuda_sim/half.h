// __half and __nv_bfloat16: stored in 16 bits, computed in float and rounded to nearest even, as CUDA defines them.
#pragma once

#include <cstdint>

#include "cuda_sim/types.h"

namespace cuda_sim {

struct Half {
  static constexpr int exponent = 5, mantissa = 10;
};
struct BFloat16 {
  static constexpr int exponent = 8, mantissa = 7;
};

uint16_t narrow(double value, int exponent, int mantissa);  // NaN: 0x7fff, CUDA's own
double widen(uint16_t bits, int exponent, int mantissa);

template <typename Format>
struct Narrow {
  uint16_t bits;
  Narrow() = default;  // trivial: __shared__ arrays of it have no constructor to run
  Narrow(float value) : bits(narrow(value, Format::exponent, Format::mantissa)) {}
  explicit Narrow(double value) : bits(narrow(value, Format::exponent, Format::mantissa)) {}
  explicit Narrow(int value) : bits(narrow(value, Format::exponent, Format::mantissa)) {}
  operator float() const { return static_cast<float>(widen(bits, Format::exponent, Format::mantissa)); }
  Narrow& operator+=(Narrow other) { return *this = *this + other; }
  Narrow& operator*=(Narrow other) { return *this = *this * other; }
  // exact in double, then rounded once, as the hardware's own operations are
  friend Narrow operator+(Narrow a, Narrow b) { return Narrow(double{a} + double{b}); }
  friend Narrow operator-(Narrow a, Narrow b) { return Narrow(double{a} - double{b}); }
  friend Narrow operator*(Narrow a, Narrow b) { return Narrow(double{a} * double{b}); }
  friend Narrow operator/(Narrow a, Narrow b) { return Narrow(static_cast<float>(a) / static_cast<float>(b)); }
  friend Narrow operator-(Narrow a) { return Narrow(-static_cast<float>(a)); }
  explicit operator double() const { return widen(bits, Format::exponent, Format::mantissa); }
};

template <typename Format>
struct alignas(4) Narrow2 {
  Narrow<Format> x, y;
};

}  // namespace cuda_sim

using __half = ::cuda_sim::Narrow<::cuda_sim::Half>;
using __half2 = ::cuda_sim::Narrow2<::cuda_sim::Half>;
using half = __half;
using half2 = __half2;
using __nv_bfloat16 = ::cuda_sim::Narrow<::cuda_sim::BFloat16>;
using __nv_bfloat162 = ::cuda_sim::Narrow2<::cuda_sim::BFloat16>;

inline float __half2float(__half x) { return x; }
inline __half __float2half(float x) { return x; }
inline __half __float2half_rn(float x) { return x; }
inline __half __double2half(double x) { return __half(x); }
inline float __bfloat162float(__nv_bfloat16 x) { return x; }
inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
inline __nv_bfloat16 __double2bfloat16(double x) { return __nv_bfloat16(x); }

inline float2 __half22float2(__half2 v) { return {v.x, v.y}; }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {v.x, v.y}; }
inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
inline __half2 __float22half2_rn(float2 v) { return {v.x, v.y}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {v.x, v.y}; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __half __ushort_as_half(unsigned short bits) {
  __half x;
  x.bits = bits;
  return x;
}
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
  __nv_bfloat16 x;
  x.bits = bits;
  return x;
}
