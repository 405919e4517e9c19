// CUDA C++ as g++ sees it: what a kernel may use when it runs on the CPU. Nothing here needs a GPU or CUDA's headers.
#pragma once

#include "cuda_sim/atomics.h"
#include "cuda_sim/half.h"
#include "cuda_sim/launch.h"
#include "cuda_sim/maths.h"
#include "cuda_sim/thread.h"
#include "cuda_sim/types.h"
#include "cuda_sim/warp.h"
