// What g++ calls for undefined behaviour (-fsanitize=alignment,bounds,shift,signed-integer-overflow): undefined in CUDA
// too, and there it is silent. The layouts are those of GCC's and Clang's runtime.
#include "memory.h"

namespace {

struct Location {
  const char* file;
  uint32_t line, column;
};
struct Type {
  uint16_t kind, info;
  char name[1];
};
struct Mismatch {
  Location location;
  const Type* type;
  unsigned char log_alignment, check;
};
struct OutOfBounds {
  Location location;
  const Type *array, *index;
};
struct Overflow {
  Location location;
  const Type* type;
};

using cuda_sim::fail;
using cuda_sim::machine;

std::string who() { return name_of(*machine.current); }
std::vector<uintptr_t> code(void* address) { return {reinterpret_cast<uintptr_t>(address)}; }

void overflow(const Overflow* at, const char* what, void* address) {
  if (!machine.current) return;
  fail("integer overflow", who() + " " + what + " beyond " + at->type->name, code(address));
}

}  // namespace

#define HERE __builtin_return_address(0)

extern "C" {

void __ubsan_handle_type_mismatch_v1(const Mismatch* at, uintptr_t pointer) {
  const cuda_sim::Thread* self = machine.current;
  const uintptr_t alignment = uintptr_t{1} << at->log_alignment;
  if (!self || pointer % alignment == 0) return;
  fail("misaligned",
       who() + " accesses " + at->type->name + " at an address that is no multiple of " + std::to_string(alignment),
       code(HERE));
}

void __ubsan_handle_out_of_bounds(const OutOfBounds* at, uintptr_t index) {
  if (!machine.current) return;
  fail("out of bounds", who() + " takes element " + std::to_string(static_cast<intptr_t>(index)) + " of " +
                            at->array->name, code(HERE));
}

void __ubsan_handle_add_overflow(const Overflow* at, uintptr_t, uintptr_t) { overflow(at, "adds", HERE); }
void __ubsan_handle_sub_overflow(const Overflow* at, uintptr_t, uintptr_t) { overflow(at, "subtracts", HERE); }
void __ubsan_handle_mul_overflow(const Overflow* at, uintptr_t, uintptr_t) { overflow(at, "multiplies", HERE); }
void __ubsan_handle_divrem_overflow(const Overflow* at, uintptr_t, uintptr_t) { overflow(at, "divides", HERE); }
void __ubsan_handle_negate_overflow(const Overflow* at, uintptr_t) { overflow(at, "negates", HERE); }

void __ubsan_handle_shift_out_of_bounds(const OutOfBounds* at, uintptr_t, uintptr_t) {
  if (!machine.current) return;
  fail("integer overflow", who() + " shifts " + at->array->name + " too far", code(HERE));
}

}  // extern "C"
