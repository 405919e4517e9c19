// The arrays of a call, copied between guards: an access is inside one of them or out of bounds.
#include <cstdlib>
#include <cstring>
#include <new>

#include "memory.h"

namespace cuda_sim {

namespace {

constexpr unsigned char kPoison = 0xa5;
constexpr size_t kAlign = 256;  // cudaMalloc's

std::vector<Array> arrays;
unsigned char* memory = nullptr;
size_t memory_bytes = 0;
size_t last_hit = 0;

bool inside(const Array& array, const Access& access) {
  return access.address >= array.address && access.address + access.bytes <= array.address + array.bytes;
}

std::string element(const Array& array, uintptr_t address) {
  const auto bytes = static_cast<intptr_t>(address - array.address);
  const auto item = static_cast<intptr_t>(array.item);
  const intptr_t index = bytes >= 0 ? bytes / item : -((-bytes + item - 1) / item);
  return "element " + std::to_string(index) + " of `" + array.name + "`, which has " +
         std::to_string(array.bytes / array.item) + " elements";
}

}  // namespace

Arena::Arena(const std::vector<Request>& requests) {
  memory_bytes = kGuardBytes;
  for (const auto& r : requests) memory_bytes += (r.bytes + r.offset_bytes + 2 * kAlign + kGuardBytes) / kAlign * kAlign;
  memory = static_cast<unsigned char*>(std::aligned_alloc(kAlign, memory_bytes));
  if (!memory) throw std::bad_alloc();
  std::memset(memory, kPoison, memory_bytes);
  uintptr_t next = reinterpret_cast<uintptr_t>(memory) + kGuardBytes;
  for (const auto& r : requests) {
    arrays.push_back({r.name, next + r.offset_bytes, r.bytes, r.item, r.writable});
    next += (r.offset_bytes + r.bytes + kGuardBytes + kAlign - 1) / kAlign * kAlign;
  }
  last_hit = 0;
}

Arena::~Arena() {
  arrays.clear();
  std::free(memory);
  memory = nullptr;
}

void* Arena::address(size_t i) const { return reinterpret_cast<void*>(arrays[i].address); }

bool check_global(const Access& access) {
  if (!memory || access.address - reinterpret_cast<uintptr_t>(memory) >= memory_bytes) return false;
  if (last_hit < arrays.size() && inside(arrays[last_hit], access)) {
    if (access.kind == Kind::read || arrays[last_hit].writable) return true;
  }
  const Array* nearest = nullptr;
  uintptr_t nearest_distance = ~uintptr_t{0};
  for (size_t i = 0; i < arrays.size(); ++i) {
    const Array& array = arrays[i];
    if (inside(array, access)) {
      if (access.kind != Kind::read && !array.writable) {
        fail("write to const", name_of(*machine.current) + " " + verb(access.kind) + " " + element(array, access.address),
             {access.code});
      }
      last_hit = i;
      return true;
    }
    const uintptr_t distance = access.address < array.address ? array.address - access.address
                                                              : access.address - (array.address + array.bytes) + 1;
    if (access.address >= array.address && access.address < array.address + array.bytes) {
      out_of_bounds(access, "across the end of " + element(array, access.address));
    }
    if (distance < nearest_distance) {
      nearest = &array;
      nearest_distance = distance;
    }
  }
  out_of_bounds(access, nearest ? "at " + element(*nearest, access.address) : "with no array in the call");
}

// What went past the checks, through a library's function say, still leaves its mark here.
void check_guards(const std::string& kernel) {
  auto* at = memory;
  auto verify = [&](const unsigned char* end) {
    for (; at < end; ++at) {
      if (*at != kPoison) {
        throw Error(Report{"out of bounds", kernel, "memory between the arrays of the call was written", {}, {}, {}});
      }
    }
  };
  if (!memory) return;
  for (const Array& array : arrays) {
    verify(reinterpret_cast<unsigned char*>(array.address));
    at += array.bytes;
  }
  verify(memory + memory_bytes);
}

}  // namespace cuda_sim
