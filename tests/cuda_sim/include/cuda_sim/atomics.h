// Atomics in shared and global memory: checked like any access, and other threads may run before each.
#pragma once

#include <type_traits>

#include "cuda_sim/types.h"

namespace cuda_sim {

void before_atomic(const void* address, size_t bytes);  // the checks, and a chance for other threads

// The access itself is not instrumented: an atomic is no plain access.
template <typename T, typename F>
__attribute__((noinline, no_sanitize("thread"))) T atomic(T* address, F&& update) {
  before_atomic(address, sizeof(T));
  const T old = *address;
  *address = update(old);
  return old;
}

}  // namespace cuda_sim

// second arguments are not deduced, as in CUDA's own overloads: atomicAdd(&float, 1) is a float's
#define CUDA_SIM_ATOMIC(name, expression)                                            \
  template <typename T>                                                              \
  T name(T* address, std::type_identity_t<T> value) {                                \
    return ::cuda_sim::atomic(address, [value](T old) -> T { return expression; });  \
  }
CUDA_SIM_ATOMIC(atomicExch, (static_cast<void>(old), value))
CUDA_SIM_ATOMIC(atomicMax, old < value ? value : old)
CUDA_SIM_ATOMIC(atomicMin, value < old ? value : old)
CUDA_SIM_ATOMIC(atomicAnd, old & value)
CUDA_SIM_ATOMIC(atomicOr, old | value)
CUDA_SIM_ATOMIC(atomicXor, old ^ value)
CUDA_SIM_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
CUDA_SIM_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)
#undef CUDA_SIM_ATOMIC

template <typename T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return ::cuda_sim::atomic(address, [value](T old) -> T {
    if constexpr (std::is_integral_v<T>) {  // whole numbers wrap around
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(old) + static_cast<U>(value));
    } else {
      return old + value;
    }
  });
}
template <typename T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>);
  using U = std::make_unsigned_t<T>;
  return atomicAdd(address, static_cast<T>(U{0} - static_cast<U>(value)));
}
template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return ::cuda_sim::atomic(address, [=](T old) -> T { return old == expected ? value : old; });
}
