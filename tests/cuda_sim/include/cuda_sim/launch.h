// How csrc/cuda/launch.h starts a kernel here.
#pragma once

#include <type_traits>

#include "cuda_sim/types.h"

namespace cuda_sim {

void launch_closure(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, void (*call)(void*), void* closure);
void* dynamic_shared();  // shared_bytes of the running block, 16-byte aligned

// Not instrumented and never inlined, so that the closure is the first instrumented function of a thread and the
// kernel the second: the closure alone may read the launcher's variables.
template <typename F>
__attribute__((noinline, no_sanitize("thread", "alignment"))) void call_closure(void* closure) {
  (*static_cast<F*>(closure))();
}

// By a template and not std::function, which might move the closure to the heap.
template <typename F>
void launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, F&& body) {
  using Body = std::remove_reference_t<F>;
  launch_closure(kernel, grid, block, shared_bytes, &call_closure<Body>, const_cast<std::remove_const_t<Body>*>(&body));
}

void allow_dynamic_shared(size_t bytes);  // for the next launch

}  // namespace cuda_sim

template <typename Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int bytes) {
  ::cuda_sim::allow_dynamic_shared(static_cast<size_t>(bytes));
  return cudaSuccess;
}
