// Shared memory: bounds, what was written in this block, and races, exactly and per byte.
//
// A thread's accesses are ordered with another's by __syncthreads (the epoch) and, inside a warp, by __syncwarp (the
// lanes' clocks). Of each byte the last plain write is kept, and who has read it or updated it atomically since. Accesses
// by threads of two warps in one epoch are never ordered, so of all the readers it is enough to remember one warp's
// lanes and one thread of any other warp: whoever writes meets an unordered reader there if there is any.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "memory.h"

namespace cuda_sim {

namespace {

constexpr int16_t kNobody = -1;

struct Accessors {
  uint32_t lanes;  // of `warp`
  int16_t warp, other;
  uint32_t code;
};
struct Byte {
  uint64_t block;
  uint32_t epoch;
  bool written;
  int16_t writer;
  uint32_t write_clock, write_code;
  Accessors readers, atomics;
  uint32_t reader_clock[kWarp], atomic_clock[kWarp];
};

std::vector<SharedVariable> variables;  // by address; the last is the dynamic buffer
std::vector<size_t> first_byte;         // where a variable's bytes begin in `shadow`
Byte* shadow = nullptr;
size_t shadow_bytes = 0;
unsigned char* dynamic_memory = nullptr;
size_t dynamic_bytes = 0;
constexpr size_t kDynamicRoom = (227 << 10) + 2 * kGuardBytes;

int16_t conflict(const Accessors& set, const uint32_t* clocks, const Thread& self) {
  if (!set.lanes) return kNobody;
  for (uint32_t rest = set.lanes; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    const int id = set.warp * kWarp + lane;
    if (id != self.id && (set.warp != self.warp || !has_seen(self, lane, clocks[lane]))) return static_cast<int16_t>(id);
  }
  return set.warp == self.warp ? set.other : kNobody;  // `other` is of another warp than `warp`
}

void add(Accessors& set, uint32_t* clocks, const Thread& self, uint32_t code) {
  if (!set.lanes) set.warp = static_cast<int16_t>(self.warp);
  if (set.warp == self.warp) {
    set.lanes |= 1u << self.lane;
    clocks[self.lane] = clock_of(self);
  } else {
    set.other = static_cast<int16_t>(self.id);
  }
  set.code = code;
}

void forget(Accessors& set) {
  set.lanes = 0;
  set.other = kNobody;
}

std::string place(const SharedVariable& variable, uintptr_t address) {
  return "byte " + std::to_string(address - variable.address) + " of shared `" + variable.name + "` (" +
         std::to_string(variable.bytes) + " bytes)";
}

[[noreturn]] void race(const Access& access, uintptr_t address, const SharedVariable& variable, int16_t other,
                       Kind other_kind, uint32_t other_code) {
  fail("data race",
       name_of(*machine.current) + " " + verb(access.kind) + " " + place(variable, address) + ", which " +
           name_of(machine.threads[other]) + " " + verb(other_kind) + " with no barrier in between",
       {access.code, module_base() + other_code});
}

void check_byte(Byte& byte, const Access& access, uintptr_t address, const SharedVariable& variable) {
  const Thread& self = *machine.current;
  if (byte.block != machine.block_serial || byte.epoch != machine.epoch) {
    if (byte.block != machine.block_serial) byte.written = false;
    byte.block = machine.block_serial;
    byte.epoch = machine.epoch;
    byte.writer = kNobody;
    forget(byte.readers);
    forget(byte.atomics);
  }
  if (access.kind != Kind::write && !byte.written) {
    fail("uninitialised shared read",
         name_of(self) + " " + verb(access.kind) + " " + place(variable, address) + ", not written in this block",
         {access.code});
  }
  const auto code = static_cast<uint32_t>(access.code - module_base());
  const uint32_t bit = 1u << self.lane;
  const bool known = access.kind == Kind::read && byte.readers.warp == self.warp && (byte.readers.lanes & bit) &&
                     byte.reader_clock[self.lane] == clock_of(self) && !byte.atomics.lanes;
  if (known) return;  // the same read again, nothing written since
  if (byte.writer != kNobody && byte.writer != self.id &&
      (byte.writer / kWarp != self.warp || !has_seen(self, byte.writer % kWarp, byte.write_clock))) {
    race(access, address, variable, byte.writer, Kind::write, byte.write_code);
  }
  if (access.kind != Kind::atomic) {
    if (const int16_t other = conflict(byte.atomics, byte.atomic_clock, self); other != kNobody) {
      race(access, address, variable, other, Kind::atomic, byte.atomics.code);
    }
  }
  if (access.kind != Kind::read) {
    if (const int16_t other = conflict(byte.readers, byte.reader_clock, self); other != kNobody) {
      race(access, address, variable, other, Kind::read, byte.readers.code);
    }
  }
  if (access.kind == Kind::read) {
    add(byte.readers, byte.reader_clock, self, code);
  } else if (access.kind == Kind::atomic) {
    add(byte.atomics, byte.atomic_clock, self, code);
  } else {
    byte.written = true;
    byte.writer = static_cast<int16_t>(self.id);
    byte.write_clock = clock_of(self);
    byte.write_code = code;
    forget(byte.readers);
    forget(byte.atomics);
  }
}

}  // namespace

void set_shared_variables(std::vector<SharedVariable> found) {
  auto* memory = mmap(nullptr, kDynamicRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  dynamic_memory = static_cast<unsigned char*>(memory) + kGuardBytes;
  variables = std::move(found);
  std::sort(variables.begin(), variables.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  variables.push_back({"dynamic", reinterpret_cast<uintptr_t>(dynamic_memory), 0});
  size_t total = 0;
  for (const auto& variable : variables) {
    first_byte.push_back(total);
    total += variable.bytes;
  }
  shadow_bytes = (total + kDynamicRoom) * sizeof(Byte);  // zeros, and real only where touched
  memory = mmap(nullptr, shadow_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shadow = static_cast<Byte*>(memory);
}

void prepare_shared(size_t bytes) { dynamic_bytes = variables.back().bytes = bytes; }

// NaN in every float: what gets past the checks, through a library's function, does not pass for a result.
void start_shared() {
  for (const auto& variable : variables) std::memset(reinterpret_cast<void*>(variable.address), 0xff, variable.bytes);
}

void* dynamic_shared() { return dynamic_memory; }

bool check_shared(const Access& access) {
  const uintptr_t address = access.address;
  const uintptr_t dynamic = variables.back().address;
  size_t i;
  if (address >= dynamic - kGuardBytes && address < dynamic - kGuardBytes + kDynamicRoom) {
    i = variables.size() - 1;
  } else {
    const auto past = std::upper_bound(variables.begin(), variables.end() - 1, address,
                                       [](uintptr_t at, const SharedVariable& v) { return at < v.address; });
    if (past == variables.begin() || !is_module_data(address)) return false;
    i = static_cast<size_t>(past - variables.begin()) - 1;
  }
  const SharedVariable& variable = variables[i];
  if (address < variable.address || address + access.bytes > variable.address + variable.bytes) {
    const auto from = static_cast<intptr_t>(address - variable.address);
    out_of_bounds(access, "at byte " + std::to_string(from) + " of shared `" + variable.name + "`, which has " +
                              std::to_string(variable.bytes) + " bytes");
  }
  Byte* byte = shadow + first_byte[i] + (address - variable.address);
  for (size_t k = 0; k < access.bytes; ++k) check_byte(byte[k], access, address + k, variable);
  return true;
}

}  // namespace cuda_sim
