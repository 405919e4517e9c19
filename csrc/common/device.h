// Functions that the CPU and the GPU share.
#pragma once

#if defined(__CUDACC__)
#define VIDEOSTR_HD __host__ __device__ __forceinline__
#else
#define VIDEOSTR_HD inline
#endif
