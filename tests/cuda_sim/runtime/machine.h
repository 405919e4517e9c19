// The state of the machine: one block at a time, a fiber a thread, the scheduler between them.
#pragma once

#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_sim/launch.h"
#include "cuda_sim/thread.h"

namespace cuda_sim {

constexpr int kWarp = 32;
constexpr size_t kStackBytes = 64 << 10;
constexpr int kMostThreads = 1024;

enum class State : uint8_t { ready, at_barrier, in_warp, done };

struct Thread {
  void* stack_pointer;
  uintptr_t stack;  // its lowest address
  uint3 index;
  int id, warp, lane;
  State state;
  int depth;             // instrumented functions that it is inside: 1 the launch's closure, 2 and more the kernel
  const char* waits_in;  // an operation's name, while it waits
  Place place;
  uint32_t mask;  // of the warp operation it waits in
};

struct Report {
  std::string kind, kernel, message;
  uint3 block, thread;
  std::vector<uintptr_t> code;  // addresses in the module: the access, then the one that it meets
};

struct Error : std::runtime_error {
  explicit Error(Report report) : std::runtime_error(report.message), report(std::move(report)) {}
  Report report;
};

struct Machine {
  const char* kernel = "";
  dim3 grid, block;
  uint3 block_index{};
  int count = 0;  // threads of a block
  std::vector<Thread> threads;
  Thread* current = nullptr;  // null while the host runs
  std::vector<Thread*> ready;
  int done = 0;
  uint64_t block_serial = 0;  // of every block ever run: memory that another block wrote looks untouched
  uint32_t epoch = 0;         // barriers that the block has passed
  uint64_t random = 0;
  uint64_t idle_yields = 0;  // since a thread last got anywhere
  Report report;
  bool failed = false;
};
extern Machine machine;

uint64_t random_below(uint64_t bound);
void schedule();  // leaves the running fiber for another that is ready; comes back when this one is chosen
void make_ready(Thread& thread);
void progressed();

// Ends the launch: never returns, and never unwinds a kernel.
[[noreturn]] void fail(const char* kind, const std::string& message, std::vector<uintptr_t> code = {});

std::string name_of(const Thread& thread);
std::string name_of(uint3 index);

// fibers
void prepare_stacks(int count);
void start_fiber(Thread& thread, void (*entry)());
extern "C" void cuda_sim_switch(void** save, void* load);

// what happens in warps and at barriers when a block starts and when a thread ends
void start_warps();
void warp_exit(const Thread& thread);
void start_barrier();
void barrier_exit(const Thread& thread);

// the lanes' clocks: what a lane has seen of the others, through __syncwarp
uint32_t clock_of(const Thread& thread);
bool has_seen(const Thread& thread, int other_lane, uint32_t clock);

}  // namespace cuda_sim
