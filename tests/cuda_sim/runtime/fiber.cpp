// Stacks and the switch between them: six registers and the stack pointer, which is all that x86-64's ABI keeps.
#include <sys/mman.h>

#include <new>

#include "machine.h"

asm(R"(
.text
.globl cuda_sim_switch
.hidden cuda_sim_switch
.type cuda_sim_switch, @function
cuda_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_sim_switch, .-cuda_sim_switch
)");

namespace cuda_sim {

constexpr size_t kGuard = 4096;

void prepare_stacks(int count) {
  auto& threads = machine.threads;
  while (static_cast<int>(threads.size()) < count) {
    void* memory = mmap(nullptr, kStackBytes + kGuard, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuard, PROT_NONE);  // a stack that overflows stops here
    threads.emplace_back().stack = reinterpret_cast<uintptr_t>(memory) + kGuard;
  }
}

void start_fiber(Thread& thread, void (*entry)()) {
  auto* top = reinterpret_cast<void**>(thread.stack + kStackBytes);
  *--top = nullptr;  // entry's return address: it never returns
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  thread.stack_pointer = top;
}

}  // namespace cuda_sim
