// __syncthreads and its votes: every thread of the block, at one and the same line.
#include <cstring>

#include "machine.h"

namespace cuda_sim {

namespace {

constexpr const char* kNames[] = {"__syncthreads", "__syncthreads_and", "__syncthreads_or", "__syncthreads_count"};

int arrived, passed;
const Thread* first;
int result;

std::string at(const Thread& thread) {
  return name_of(thread) + " waits in " + thread.waits_in + " at line " + std::to_string(thread.place.line);
}

}  // namespace

void start_barrier() {
  arrived = passed = 0;
  first = nullptr;
}

void barrier_exit(const Thread& thread) {
  if (arrived) fail("barrier divergence", name_of(thread) + " has ended; " + at(*first));
}

int block_barrier(Vote vote, bool predicate, Place place) {
  Thread& self = *machine.current;
  self.waits_in = kNames[static_cast<int>(vote)];
  self.place = place;
  if (machine.done) {
    for (int i = 0; i < machine.count; ++i) {
      const Thread& other = machine.threads[i];
      if (other.state == State::done) fail("barrier divergence", name_of(other) + " has ended; " + at(self));
    }
  }
  if (arrived == 0) {
    first = &self;
    passed = 0;
  } else if (self.waits_in != first->waits_in || place.line != first->place.line ||
             std::strcmp(place.file, first->place.file) != 0) {
    fail("barrier divergence", at(self) + "; " + at(*first));
  }
  ++arrived;
  passed += predicate;
  if (arrived < machine.count) {
    self.state = State::at_barrier;
    schedule();
  } else {
    result = vote == Vote::all ? passed == arrived : vote == Vote::any ? passed != 0 : passed;
    arrived = 0;
    ++machine.epoch;
    progressed();
    for (int i = 0; i < machine.count; ++i) {
      if (&machine.threads[i] != &self) make_ready(machine.threads[i]);
    }
    make_ready(self);
    schedule();
  }
  self.waits_in = nullptr;
  return result;  // the next barrier completes only after this one's last thread has gone on
}

}  // namespace cuda_sim
