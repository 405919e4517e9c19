// What g++ calls before every access of instrumented code (-fsanitize=thread,alignment,bounds,...). The sanitizers'
// libraries are not linked: these are the functions' only definitions.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <cstring>

#include "memory.h"

namespace cuda_sim {

namespace {

struct Segment {
  uintptr_t low, high;
  bool writable;
};
std::vector<Segment> segments;
uintptr_t base = 0, host_low = 0, host_high = 0;
constexpr int kInKernel = 2;  // instrumented calls deep: the launch's closure, then the kernel

void check(const void* pointer, size_t bytes, Kind kind, const void* code, bool aligned) {
  const Thread* self = machine.current;
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  if (!self || address - self->stack < kStackBytes || bytes == 0) return;
  const Access access{address, bytes, kind, reinterpret_cast<uintptr_t>(code)};
  if (kind == Kind::read && is_host_stack(address) && self->depth < kInKernel) return;  // the kernel's own arguments
  if (aligned && address % bytes) {
    fail("misaligned", name_of(*self) + " " + verb(kind) + " " + std::to_string(bytes) +
                           " bytes at an address that is no multiple of " + std::to_string(bytes),
         {access.code});
  }
  if (check_global(access) || check_shared(access)) return;
  if (kind == Kind::read && is_constant(address)) return;
  out_of_bounds(access, address < 4096 ? "at a null pointer" : "where the call has no memory");
}

}  // namespace

const char* verb(Kind kind) {
  return kind == Kind::read ? "reads" : kind == Kind::write ? "writes" : "updates atomically";
}

void out_of_bounds(const Access& access, const std::string& where) {
  fail("out of bounds",
       name_of(*machine.current) + " " + verb(access.kind) + " " + std::to_string(access.bytes) + " bytes " + where,
       {access.code});
}

void before_atomic(const void* address, size_t bytes) {
  check(address, bytes, Kind::atomic, __builtin_return_address(0), true);
  yield();
}

uintptr_t module_base() { return base; }

void find_module() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&find_module), &info);
  base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  segments.clear();
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void*) {
        if (object->dlpi_addr != base) return 0;
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& header = object->dlpi_phdr[i];
          if (header.p_type != PT_LOAD) continue;
          const uintptr_t low = base + header.p_vaddr;
          segments.push_back({low, low + header.p_memsz, (header.p_flags & PF_W) != 0});
        }
        return 1;
      },
      nullptr);
  pthread_attr_t attributes;
  void* low;
  size_t bytes;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  host_high = reinterpret_cast<uintptr_t>(low) + bytes;
}

bool is_constant(uintptr_t address) {
  for (const auto& segment : segments) {
    if (address >= segment.low && address < segment.high) return !segment.writable;
  }
  return false;
}
bool is_module_data(uintptr_t address) {
  for (const auto& segment : segments) {
    if (segment.writable && address >= segment.low && address < segment.high) return true;
  }
  return false;
}
void set_host_stack(uintptr_t low) { host_low = low; }
bool is_host_stack(uintptr_t address) { return address >= host_low && address < host_high; }

}  // namespace cuda_sim

using namespace cuda_sim;

#define HERE __builtin_return_address(0)
#define HOOKS(n)                                                                                    \
  void __tsan_read##n(void* p) { check(p, n, Kind::read, HERE, true); }                             \
  void __tsan_write##n(void* p) { check(p, n, Kind::write, HERE, true); }                           \
  void __tsan_unaligned_read##n(void* p) { check(p, n, Kind::read, HERE, false); }                  \
  void __tsan_unaligned_write##n(void* p) { check(p, n, Kind::write, HERE, false); }                \
  void __tsan_volatile_read##n(void* p) {                                                           \
    check(p, n, Kind::read, HERE, true);                                                            \
    if (machine.current) yield(); /* a loop that waits for another thread lets it run */            \
  }                                                                                                 \
  void __tsan_volatile_write##n(void* p) { check(p, n, Kind::write, HERE, true); }                  \
  void __tsan_unaligned_volatile_read##n(void* p) { check(p, n, Kind::read, HERE, false); }         \
  void __tsan_unaligned_volatile_write##n(void* p) { check(p, n, Kind::write, HERE, false); }

extern "C" {

HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_init() {}
void __tsan_func_entry(void*) {
  if (machine.current) ++machine.current->depth;
}
void __tsan_func_exit() {
  if (machine.current) --machine.current->depth;
}
void __tsan_read_range(void* p, size_t n) { check(p, n, Kind::read, HERE, false); }
void __tsan_write_range(void* p, size_t n) { check(p, n, Kind::write, HERE, false); }
void __tsan_vptr_update(void** p, void*) { check(p, 8, Kind::write, HERE, true); }

// The build renames the instrumented object's calls of the C library to these.
void* cuda_sim_memcpy(void* to, const void* from, size_t n) {
  check(from, n, Kind::read, HERE, false);
  check(to, n, Kind::write, HERE, false);
  return std::memmove(to, from, n);
}
void* cuda_sim_memmove(void* to, const void* from, size_t n) { return cuda_sim_memcpy(to, from, n); }
void* cuda_sim_memset(void* to, int value, size_t n) {
  check(to, n, Kind::write, HERE, false);
  return std::memset(to, value, n);
}

}  // extern "C"
