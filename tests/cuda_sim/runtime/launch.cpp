// Runs a grid: block by block in an order that the seed shuffles, its threads in an order shuffled at every step.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "machine.h"
#include "memory.h"

namespace cuda_sim {

Machine machine;

namespace {

void* host_stack_pointer;
void (*call)(void*);
void* closure;
size_t dynamic_limit = 48 << 10;  // a kernel asks for more with cudaFuncSetAttribute
constexpr uint64_t kMostIdleYields = 5'000'000;

void to_host() {
  void* unused;
  cuda_sim_switch(&unused, host_stack_pointer);
}

void fiber_main() {
  call(closure);
  Thread& self = *machine.current;
  self.state = State::done;
  ++machine.done;
  progressed();
  barrier_exit(self);
  warp_exit(self);
  schedule();
}

std::string waiting_threads() {
  std::string list;
  int listed = 0;
  for (int i = 0; i < machine.count; ++i) {
    const Thread& thread = machine.threads[i];
    if (thread.state == State::done || ++listed > 8) continue;
    list += (listed > 1 ? ", " : "") + name_of(thread) + " in " + (thread.waits_in ? thread.waits_in : "the kernel") +
            (thread.waits_in ? " at line " + std::to_string(thread.place.line) : "");
  }
  return list + (listed > 8 ? ", and " + std::to_string(listed - 8) + " more" : "");
}

void check_limits(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  std::string wrong;
  if (threads == 0 || threads > kMostThreads || block.z > 64) {
    wrong = "a block has 1 to 1024 threads, at most 64 along z";
  } else if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
    wrong = "a grid has at least 1 block along each axis, at most 2147483647, 65535 and 65535";
  } else if (shared_bytes > dynamic_limit) {
    wrong = "dynamic shared memory is limited to " + std::to_string(dynamic_limit) + " bytes";
  }
  if (wrong.empty()) return;
  wrong += "; got grid " + name_of(uint3{grid.x, grid.y, grid.z}) + ", block " +
           name_of(uint3{block.x, block.y, block.z}) + ", " + std::to_string(shared_bytes) + " bytes";
  throw Error(Report{"launch", kernel, wrong, {}, {}, {}});
}

void run_block() {
  ++machine.block_serial;
  machine.epoch = 0;
  machine.done = 0;
  start_warps();
  start_barrier();
  start_shared();
  machine.ready.clear();
  const dim3& block = machine.block;
  for (int i = 0; i < machine.count; ++i) {
    Thread& thread = machine.threads[i];
    const auto n = static_cast<unsigned>(i);
    thread.index = {n % block.x, n / block.x % block.y, n / (block.x * block.y)};
    thread.id = i;
    thread.warp = i / kWarp;
    thread.lane = i % kWarp;
    thread.depth = 0;
    thread.waits_in = nullptr;
    start_fiber(thread, fiber_main);
    make_ready(thread);
  }
  progressed();
  // the first fiber is chosen here, all others by one another
  const uint64_t first = random_below(machine.ready.size());
  std::swap(machine.ready[first], machine.ready.back());
  machine.current = machine.ready.back();
  machine.ready.pop_back();
  cuda_sim_switch(&host_stack_pointer, machine.current->stack_pointer);
  machine.current = nullptr;
}

uint3 block_at(uint64_t i) {
  const dim3& grid = machine.grid;
  return {static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
          static_cast<unsigned>(i / grid.x / grid.y)};
}

}  // namespace

uint64_t random_below(uint64_t bound) {  // xorshift64*
  uint64_t& x = machine.random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  return ((x * 0x2545f4914f6cdd1dull) >> 32) * bound >> 32;
}

void make_ready(Thread& thread) {
  thread.state = State::ready;
  machine.ready.push_back(&thread);
}

void progressed() { machine.idle_yields = 0; }

void schedule() {
  Thread* self = machine.current;
  auto& ready = machine.ready;
  if (ready.empty()) {
    if (machine.done == machine.count) to_host();
    for (int i = machine.count - 1; i >= 0; --i) {  // the report is the first waiting thread's
      if (machine.threads[i].state != State::done) machine.current = &machine.threads[i];
    }
    fail("deadlock", "no thread can go on: " + waiting_threads());
  }
  const uint64_t chosen = random_below(ready.size());
  std::swap(ready[chosen], ready.back());
  machine.current = ready.back();
  ready.pop_back();
  if (machine.current != self) cuda_sim_switch(&self->stack_pointer, machine.current->stack_pointer);
}

void yield() {
  if (++machine.idle_yields > kMostIdleYields) {
    fail("deadlock", "threads wait in a loop for what never comes: " + waiting_threads());
  }
  make_ready(*machine.current);
  schedule();
}

void fail(const char* kind, const std::string& message, std::vector<uintptr_t> code) {
  machine.report = {kind, machine.kernel, message, machine.block_index, machine.current->index, std::move(code)};
  machine.failed = true;
  to_host();
  __builtin_unreachable();
}

void allow_dynamic_shared(size_t bytes) { dynamic_limit = std::min<size_t>(bytes, 227 << 10); }

void launch_closure(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, void (*call_it)(void*), void* it) {
  std::string name = kernel;  // of a kernel with commas without its parentheses
  if (name.front() == '(') name = name.substr(1, name.size() - 2);
  check_limits(name.c_str(), grid, block, shared_bytes);
  dynamic_limit = 48 << 10;
  call = call_it;
  closure = it;
  machine.kernel = name.c_str();
  machine.grid = grid;
  machine.block = block;
  machine.count = static_cast<int>(block.x * block.y * block.z);
  machine.failed = false;
  prepare_stacks(machine.count);
  prepare_shared(shared_bytes);
  set_host_stack(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  std::vector<uint64_t> order(uint64_t{grid.x} * grid.y * grid.z);
  std::iota(order.begin(), order.end(), 0);
  for (uint64_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_below(i)]);
  for (const uint64_t i : order) {
    machine.block_index = block_at(i);
    run_block();
    if (machine.failed) break;
  }
  machine.kernel = "";
  if (machine.failed) throw Error(machine.report);
  check_guards(name);
}

uint3 thread_index() { return machine.current->index; }
uint3 block_index() { return machine.block_index; }
dim3 block_dim() { return machine.block; }
dim3 grid_dim() { return machine.grid; }

std::string name_of(uint3 index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}
std::string name_of(const Thread& thread) { return "thread " + name_of(thread.index); }

}  // namespace cuda_sim
