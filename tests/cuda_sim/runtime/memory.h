// What a kernel may touch: shared memory, the arrays of the call, constants, its own stack.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine.h"

namespace cuda_sim {

enum class Kind : uint8_t { read, write, atomic };
struct Access {
  uintptr_t address;
  size_t bytes;
  Kind kind;
  uintptr_t code;  // where in the module
};
const char* verb(Kind kind);

[[noreturn]] void out_of_bounds(const Access& access, const std::string& where);

// shared memory
struct SharedVariable {
  std::string name;
  uintptr_t address;
  size_t bytes;
};
void set_shared_variables(std::vector<SharedVariable> variables);
void prepare_shared(size_t dynamic_bytes);
void start_shared();
bool check_shared(const Access& access);  // false: not shared memory at all

// global memory: the arrays of one call, guarded on both sides
constexpr size_t kGuardBytes = 4096;
struct Array {
  std::string name;
  uintptr_t address;
  size_t bytes, item;
  bool writable;
};
class Arena {  // lives as long as the call
 public:
  struct Request {
    std::string name;
    size_t bytes, item, offset_bytes;  // offset_bytes: from the 256-byte boundary where cudaMalloc would put it
    bool writable;
  };
  explicit Arena(const std::vector<Request>& requests);
  ~Arena();
  void* address(size_t i) const;
};
bool check_global(const Access& access);
void check_guards(const std::string& kernel);

// the module itself and the host's stack
void find_module();
uintptr_t module_base();
bool is_constant(uintptr_t address);
bool is_module_data(uintptr_t address);
void set_host_stack(uintptr_t low);
bool is_host_stack(uintptr_t address);

}  // namespace cuda_sim
