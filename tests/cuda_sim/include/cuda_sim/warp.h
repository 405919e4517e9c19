// Warp operations: a rendezvous of the lanes in the mask. Values travel as 64 bits; the runtime does the rest.
#pragma once

#include <cstring>
#include <type_traits>

#include "cuda_sim/thread.h"

namespace cuda_sim {

enum class WarpOp {
  sync,
  ballot,
  shuffle,
  shuffle_up,
  shuffle_down,
  shuffle_xor,
  match_any,
  match_all,
  add,
  min_signed,
  min_unsigned,
  max_signed,
  max_unsigned,
  bit_and,
  bit_or,
  bit_xor
};

// What lane `value` gets of `op` among the lanes of `mask`; `by` and `width` are the shuffles'.
uint64_t warp_operation(WarpOp op, unsigned mask, uint64_t value, int by, int width, Place place);
unsigned active_mask();

template <typename T>
uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <typename T>
T from_bits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace cuda_sim

inline void __syncwarp(unsigned mask = 0xffffffffu, CUDA_SIM_PLACE) {
  ::cuda_sim::warp_operation(::cuda_sim::WarpOp::sync, mask, 0, 0, 32, {file, line});
}
inline unsigned __activemask() { return ::cuda_sim::active_mask(); }

#define CUDA_SIM_SHUFFLE(name, op, By)                                                                              \
  template <typename T>                                                                                             \
  T name(unsigned mask, T value, By by, int width = 32, CUDA_SIM_PLACE) {                                           \
    return ::cuda_sim::from_bits<T>(::cuda_sim::warp_operation(::cuda_sim::WarpOp::op, mask,                        \
                                                               ::cuda_sim::to_bits(value), static_cast<int>(by),    \
                                                               width, {file, line}));                               \
  }
CUDA_SIM_SHUFFLE(__shfl_sync, shuffle, int)
CUDA_SIM_SHUFFLE(__shfl_up_sync, shuffle_up, unsigned)
CUDA_SIM_SHUFFLE(__shfl_down_sync, shuffle_down, unsigned)
CUDA_SIM_SHUFFLE(__shfl_xor_sync, shuffle_xor, int)
#undef CUDA_SIM_SHUFFLE

inline unsigned __ballot_sync(unsigned mask, int p, CUDA_SIM_PLACE) {
  return static_cast<unsigned>(
      ::cuda_sim::warp_operation(::cuda_sim::WarpOp::ballot, mask, p != 0, 0, 32, {file, line}));
}
inline int __any_sync(unsigned mask, int p, CUDA_SIM_PLACE) { return __ballot_sync(mask, p, file, line) != 0; }
inline int __all_sync(unsigned mask, int p, CUDA_SIM_PLACE) { return __ballot_sync(mask, !p, file, line) == 0; }

template <typename T>
unsigned __match_any_sync(unsigned mask, T value, CUDA_SIM_PLACE) {
  return static_cast<unsigned>(::cuda_sim::warp_operation(::cuda_sim::WarpOp::match_any, mask,
                                                          ::cuda_sim::to_bits(value), 0, 32, {file, line}));
}
template <typename T>
unsigned __match_all_sync(unsigned mask, T value, int* all, CUDA_SIM_PLACE) {
  const auto found = static_cast<unsigned>(::cuda_sim::warp_operation(
      ::cuda_sim::WarpOp::match_all, mask, ::cuda_sim::to_bits(value), 0, 32, {file, line}));
  *all = found != 0;
  return found;
}

#define CUDA_SIM_REDUCE(name, T, op)                                                                             \
  inline T name(unsigned mask, T value, CUDA_SIM_PLACE) {                                                        \
    return ::cuda_sim::from_bits<T>(                                                                             \
        ::cuda_sim::warp_operation(::cuda_sim::WarpOp::op, mask, ::cuda_sim::to_bits(value), 0, 32, {file, line})); \
  }
CUDA_SIM_REDUCE(__reduce_add_sync, int, add)
CUDA_SIM_REDUCE(__reduce_add_sync, unsigned, add)
CUDA_SIM_REDUCE(__reduce_min_sync, int, min_signed)
CUDA_SIM_REDUCE(__reduce_min_sync, unsigned, min_unsigned)
CUDA_SIM_REDUCE(__reduce_max_sync, int, max_signed)
CUDA_SIM_REDUCE(__reduce_max_sync, unsigned, max_unsigned)
CUDA_SIM_REDUCE(__reduce_and_sync, unsigned, bit_and)
CUDA_SIM_REDUCE(__reduce_or_sync, unsigned, bit_or)
CUDA_SIM_REDUCE(__reduce_xor_sync, unsigned, bit_xor)
#undef CUDA_SIM_REDUCE
