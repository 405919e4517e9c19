// Warp operations, and the clocks that __syncwarp joins. Shuffles and votes exchange values but order no memory.
#include <algorithm>
#include <bit>

#include "cuda_sim/warp.h"
#include "machine.h"

namespace cuda_sim {

namespace {

constexpr const char* kNames[] = {"__syncwarp",        "__ballot_sync",     "__shfl_sync",       "__shfl_up_sync",
                                  "__shfl_down_sync",  "__shfl_xor_sync",   "__match_any_sync",  "__match_all_sync",
                                  "__reduce_add_sync", "__reduce_min_sync", "__reduce_min_sync", "__reduce_max_sync",
                                  "__reduce_max_sync", "__reduce_and_sync", "__reduce_or_sync",  "__reduce_xor_sync"};

struct Lane {
  WarpOp op;
  uint64_t value, result;
  int by, width;
  uint32_t clock[kWarp];
};
struct Warp {
  Lane lane[kWarp];
  uint32_t present, waiting, ended;
  bool clocks_used;
};
Warp warps[kMostThreads / kWarp];

Thread& thread_at(int warp, int lane) { return machine.threads[warp * kWarp + lane]; }

std::string hex(uint32_t mask) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += digits[mask >> shift & 15];
  return text;
}

std::string call_of(const Thread& thread) {
  return std::string(thread.waits_in) + " with mask " + hex(thread.mask) + " at line " +
         std::to_string(thread.place.line);
}

// Which lane a shuffle reads: PTX's shfl, with the segments that `width` makes.
int source(const Lane& at, int lane) {
  const int low = lane & ~(at.width - 1), high = low + at.width - 1;
  int from = lane;
  switch (at.op) {
    case WarpOp::shuffle: return low | (at.by & (at.width - 1));
    case WarpOp::shuffle_up: from = lane - at.by; return from >= low ? from : lane;
    case WarpOp::shuffle_down: from = lane + at.by; return from <= high ? from : lane;
    default: from = lane ^ at.by; return from <= high ? from : lane;
  }
}

template <typename T, typename F>
uint64_t fold(const Warp& warp, uint32_t lanes, F&& combine) {
  T total = from_bits<T>(warp.lane[std::countr_zero(lanes)].value);
  for (uint32_t rest = lanes & (lanes - 1); rest; rest &= rest - 1) {
    total = combine(total, from_bits<T>(warp.lane[std::countr_zero(rest)].value));
  }
  return to_bits(total);
}

void join_clocks(Warp& warp, uint32_t lanes) {
  uint32_t joined[kWarp] = {};
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    const auto& clock = warp.lane[std::countr_zero(rest)].clock;
    for (int i = 0; i < kWarp; ++i) joined[i] = std::max(joined[i], clock[i]);
  }
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    std::copy(joined, joined + kWarp, warp.lane[lane].clock);
    ++warp.lane[lane].clock[lane];
  }
  warp.clocks_used = true;
}

uint64_t shared_result(const Warp& warp, WarpOp op, uint32_t lanes) {  // of the operations where every lane gets one
  uint32_t ballot = 0;
  switch (op) {
    case WarpOp::ballot:
      for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        const int lane = std::countr_zero(rest);
        if (warp.lane[lane].value) ballot |= 1u << lane;
      }
      return ballot;
    case WarpOp::match_all: {
      const uint64_t value = warp.lane[std::countr_zero(lanes)].value;
      for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        if (warp.lane[std::countr_zero(rest)].value != value) return 0;
      }
      return lanes;
    }
    case WarpOp::add: return fold<uint32_t>(warp, lanes, [](uint32_t a, uint32_t b) { return a + b; });
    case WarpOp::min_signed: return fold<int>(warp, lanes, [](int a, int b) { return std::min(a, b); });
    case WarpOp::min_unsigned: return fold<uint32_t>(warp, lanes, [](uint32_t a, uint32_t b) { return std::min(a, b); });
    case WarpOp::max_signed: return fold<int>(warp, lanes, [](int a, int b) { return std::max(a, b); });
    case WarpOp::max_unsigned: return fold<uint32_t>(warp, lanes, [](uint32_t a, uint32_t b) { return std::max(a, b); });
    case WarpOp::bit_and: return fold<uint32_t>(warp, lanes, [](uint32_t a, uint32_t b) { return a & b; });
    case WarpOp::bit_or: return fold<uint32_t>(warp, lanes, [](uint32_t a, uint32_t b) { return a | b; });
    case WarpOp::bit_xor: return fold<uint32_t>(warp, lanes, [](uint32_t a, uint32_t b) { return a ^ b; });
    default: return 0;
  }
}

// Every result is worked out when the last lane arrives: none of the values can change under a slower lane.
void complete(Warp& warp, const Thread& self, WarpOp op, uint32_t lanes) {
  if (op == WarpOp::sync) join_clocks(warp, lanes);
  const uint64_t common = shared_result(warp, op, lanes);
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    Lane& at = warp.lane[lane];
    at.result = common;
    if (op >= WarpOp::shuffle && op <= WarpOp::shuffle_xor) {
      const int from = source(at, lane);
      if (!(lanes >> from & 1)) {
        const Thread& reader = thread_at(self.warp, lane);
        machine.current = &thread_at(self.warp, lane);  // the report is that lane's
        fail("inactive lane", name_of(reader) + " reads lane " + std::to_string(from) + ", which takes no part, in " +
                                  call_of(reader));
      }
      at.result = warp.lane[from].value;
    } else if (op == WarpOp::match_any) {
      uint32_t same = 0;
      for (uint32_t others = lanes; others; others &= others - 1) {
        const int other = std::countr_zero(others);
        if (warp.lane[other].value == at.value) same |= 1u << other;
      }
      at.result = same;
    }
  }
}

}  // namespace

void start_warps() {
  for (int i = 0; i * kWarp < machine.count; ++i) {
    Warp& warp = warps[i];
    const int lanes = std::min(kWarp, machine.count - i * kWarp);
    warp.present = lanes == kWarp ? ~0u : (1u << lanes) - 1;
    warp.waiting = warp.ended = 0;
    if (warp.clocks_used || warp.lane[0].clock[0] == 0) {
      for (int a = 0; a < kWarp; ++a) {
        for (int b = 0; b < kWarp; ++b) warp.lane[a].clock[b] = a == b;
      }
      warp.clocks_used = false;
    }
  }
}

void warp_exit(const Thread& thread) {
  Warp& warp = warps[thread.warp];
  warp.ended |= 1u << thread.lane;
  for (uint32_t rest = warp.waiting; rest; rest &= rest - 1) {
    const Thread& other = thread_at(thread.warp, std::countr_zero(rest));
    if (other.mask >> thread.lane & 1) {
      fail("inactive lane", name_of(thread) + " has ended; " + name_of(other) + " waits for it in " + call_of(other));
    }
  }
}

uint64_t warp_operation(WarpOp op, unsigned mask, uint64_t value, int by, int width, Place place) {
  Thread& self = *machine.current;
  Warp& warp = warps[self.warp];
  self.waits_in = kNames[static_cast<int>(op)];
  self.place = place;
  self.mask = mask;
  if (!(mask >> self.lane & 1)) fail("inactive lane", name_of(self) + " is not in its own mask: " + call_of(self));
  if (width < 1 || width > kWarp || (width & (width - 1))) {
    fail("inactive lane", "a shuffle's width is a power of two up to 32, got " + std::to_string(width));
  }
  const uint32_t lanes = mask & warp.present;  // the lanes that a last, partial warp lacks are nobody to wait for
  if (const uint32_t gone = lanes & warp.ended) {
    fail("inactive lane", name_of(thread_at(self.warp, std::countr_zero(gone))) + " has ended; " + name_of(self) +
                              " waits for it in " + call_of(self));
  }
  for (uint32_t rest = warp.waiting; rest; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const Thread& other = thread_at(self.warp, lane);
    const bool meets = (lanes >> lane & 1) || (other.mask >> self.lane & 1);
    if (meets && ((other.mask & warp.present) != lanes || warp.lane[lane].op != op)) {
      fail("inactive lane", name_of(self) + " is in " + call_of(self) + ", " + name_of(other) + " in " + call_of(other));
    }
  }
  Lane& lane = warp.lane[self.lane];
  lane.op = op;
  lane.value = value;
  lane.by = by;
  lane.width = width;
  warp.waiting |= 1u << self.lane;
  if ((warp.waiting & lanes) == lanes) {
    complete(warp, self, op, lanes);
    warp.waiting &= ~lanes;
    progressed();
    for (uint32_t rest = lanes; rest; rest &= rest - 1) make_ready(thread_at(self.warp, std::countr_zero(rest)));
  } else {
    self.state = State::in_warp;
  }
  schedule();
  self.waits_in = nullptr;
  return lane.result;
}

// The lanes that run: here, those that have not ended. Real hardware may give any part of them, the caller included.
unsigned active_mask() {
  const Thread& self = *machine.current;
  const Warp& warp = warps[self.warp];
  return warp.present & ~warp.ended;
}

uint32_t clock_of(const Thread& thread) { return warps[thread.warp].lane[thread.lane].clock[thread.lane]; }
bool has_seen(const Thread& thread, int other_lane, uint32_t clock) {
  return clock <= warps[thread.warp].lane[thread.lane].clock[other_lane];
}

}  // namespace cuda_sim
