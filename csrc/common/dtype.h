// float32 or float64 as a compile-time type.
#pragma once

#include "common/stable.h"

namespace videostr {

// f(a value of the dtype of x, float or double)
template <typename F>
void dispatch(const Tensor& x, F&& f) {
  x.scalar_type() == ScalarType::Double ? f(double{}) : f(float{});
}

// f(…, std::true_type or std::false_type)
template <typename F>
void dispatch(const Tensor& x, bool flag, F&& f) {
  dispatch(x, [&](auto zero) { flag ? f(zero, std::true_type{}) : f(zero, std::false_type{}); });
}

}  // namespace videostr
