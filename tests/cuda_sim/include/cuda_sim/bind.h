// Makes a launcher callable from Python: bind<matched<float, Kind::iou>>("matched_float_iou", "pred target out n").
// A `const T*` becomes an input array, a `T*` an array that is written in place, anything else a number.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda_sim/half.h"
#include "cuda_sim/types.h"

namespace cuda_sim {

enum class Role { input, output, scalar };
struct Argument {
  Role role;
  char code;  // numpy's type character
  size_t bytes;
  std::string name;
};
struct Binding {
  std::string name;
  std::vector<Argument> arguments;
  void (*call)(void* const* values);  // values[i]: the pointer itself, or where the number lies
};

std::vector<Binding>& bindings();
std::vector<std::string> split(const std::string& words);
void bind_all();  // written by the file that binds

// numpy's characters go by width: long and long long are both 'q'
template <typename T>
constexpr char type_code() {
  if constexpr (std::is_enum_v<T>) {
    return type_code<std::underlying_type_t<T>>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return '?';
  } else if constexpr (std::is_same_v<T, float>) {
    return 'f';
  } else if constexpr (std::is_same_v<T, double>) {
    return 'd';
  } else if constexpr (std::is_same_v<T, __half>) {
    return 'e';
  } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return 'H';  // numpy has none: the bits
  } else {
    static_assert(std::is_integral_v<T>, "a launcher takes pointers, numbers and a stream");
    constexpr const char* codes = std::is_signed_v<T> ? "bhiq" : "BHIQ";
    return codes[sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3];
  }
}

template <typename T>
Argument describe() {
  if constexpr (std::is_pointer_v<T>) {
    using Pointed = std::remove_pointer_t<T>;
    using Value = std::remove_const_t<Pointed>;
    return {std::is_const_v<Pointed> ? Role::input : Role::output, type_code<Value>(), sizeof(Value), ""};
  } else {
    return {Role::scalar, type_code<T>(), sizeof(T), ""};
  }
}

template <typename T>
T argument(void* value) {
  if constexpr (std::is_same_v<T, cudaStream_t>) {
    return nullptr;
  } else if constexpr (std::is_pointer_v<T>) {
    return static_cast<T>(value);
  } else {
    return *static_cast<T*>(value);
  }
}

template <auto launcher, typename... Args, size_t... i>
void call_launcher(void* const* values, void (*)(Args...), std::index_sequence<i...>) {
  launcher(argument<std::remove_const_t<Args>>(std::is_same_v<Args, cudaStream_t> ? nullptr : values[i])...);
}

template <auto launcher, typename... Args>
void bind_as(const std::string& name, const std::string& argument_names, void (*)(Args...)) {
  Binding binding{name, {}, [](void* const* values) {
                    call_launcher<launcher>(values, launcher, std::index_sequence_for<Args...>{});
                  }};
  const std::vector<std::string> names = split(argument_names);
  auto add = [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, cudaStream_t>) {
      binding.arguments.push_back(describe<T>());
      const size_t i = binding.arguments.size() - 1;
      binding.arguments.back().name = i < names.size() ? names[i] : "argument " + std::to_string(i);
    }
  };
  (add(std::type_identity<std::remove_const_t<Args>>{}), ...);
  bindings().push_back(std::move(binding));
}

template <auto launcher>
void bind(const std::string& name, const std::string& argument_names = "") {
  bind_as<launcher>(name, argument_names, launcher);
}

}  // namespace cuda_sim
