// Qualifiers, vector types and the few runtime types that launchers name.
#pragma once

#include <cstddef>
#include <cstdint>

#define __host__
#define __device__
#define __global__ __attribute__((noinline))  // a kernel stays a call: the checks tell it from the launcher's closure
#define __shared__ static                     // one block runs at a time, so one copy is enough
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

using cudaStream_t = struct CUstream_st*;
enum cudaError_t { cudaSuccess = 0 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define CUDA_SIM_VECTORS(T, name, align2, align4)                                     \
  struct alignas(align2) name##2 {                                                    \
    T x, y;                                                                           \
  };                                                                                  \
  struct name##3 {                                                                    \
    T x, y, z;                                                                        \
  };                                                                                  \
  struct alignas(align4) name##4 {                                                    \
    T x, y, z, w;                                                                     \
  };                                                                                  \
  constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }                       \
  constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }               \
  constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

CUDA_SIM_VECTORS(signed char, char, 2, 4)
CUDA_SIM_VECTORS(unsigned char, uchar, 2, 4)
CUDA_SIM_VECTORS(short, short, 4, 8)
CUDA_SIM_VECTORS(unsigned short, ushort, 4, 8)
CUDA_SIM_VECTORS(int, int, 8, 16)
CUDA_SIM_VECTORS(float, float, 8, 16)
CUDA_SIM_VECTORS(long long, longlong, 16, 16)
CUDA_SIM_VECTORS(double, double, 16, 16)
#undef CUDA_SIM_VECTORS

struct alignas(8) uint2 {  // by hand: uint3 is also the type of threadIdx
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
constexpr uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
constexpr uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
