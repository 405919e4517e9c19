// The part of torch's stable ABI that the kernels use.
#pragma once

#include <torch/csrc/inductor/aoti_torch/generated/c_shim_cpu.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Exception.h>
#include <torch/headeronly/util/Half.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace videostr {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Sums and outputs are kept in float32, or in float64 for float64 inputs.
inline ScalarType wide_dtype(const Tensor& x) {
  return x.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// Many rows of little work: enough of them per task to pay for waking a thread.
inline int64_t grain(int64_t work_per_row) {
  constexpr int64_t kWork = 1 << 15;
  return work_per_row >= kWork ? 1 : kWork / (work_per_row > 0 ? work_per_row : 1);
}

}  // namespace videostr
