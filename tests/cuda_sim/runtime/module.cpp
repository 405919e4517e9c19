// The Python side: the bound launchers by name, numpy arrays in and out.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "cuda_sim/bind.h"
#include "memory.h"

namespace py = pybind11;

namespace cuda_sim {

namespace {
std::vector<Binding> all_bindings;
}
std::vector<Binding>& bindings() { return all_bindings; }

std::vector<std::string> split(const std::string& words) {
  std::istringstream stream(words);
  std::vector<std::string> list;
  for (std::string word; stream >> word;) list.push_back(word);
  return list;
}

namespace {

py::object* error_type = nullptr;

void store_scalar(char code, py::handle value, void* to) {
  auto put = [&](auto x) { std::memcpy(to, &x, sizeof x); };
  switch (code) {
    case '?': return put(value.cast<bool>());
    case 'b': return put(value.cast<int8_t>());
    case 'B': return put(value.cast<uint8_t>());
    case 'h': return put(value.cast<int16_t>());
    case 'H': return put(value.cast<uint16_t>());
    case 'i': return put(value.cast<int32_t>());
    case 'I': return put(value.cast<uint32_t>());
    case 'q': return put(value.cast<int64_t>());
    case 'Q': return put(value.cast<uint64_t>());
    case 'f': return put(value.cast<float>());
    case 'd': return put(value.cast<double>());
    default: throw py::type_error("a 16-bit float cannot be passed by value");
  }
}

py::array array_of(const Argument& argument, py::handle value) {
  const py::dtype wanted(std::string(1, argument.code));
  if (!py::isinstance<py::array>(value)) throw py::type_error("`" + argument.name + "` must be a numpy array or None");
  auto array = py::reinterpret_borrow<py::array>(value);
  const bool packed = (array.flags() & py::array::c_style) != 0;
  const bool same = array.dtype().kind() == wanted.kind() && array.dtype().itemsize() == wanted.itemsize();
  if (!packed || !same) {
    throw py::type_error("`" + argument.name + "` must be a contiguous array of " + py::str(wanted).cast<std::string>() +
                         ", got " + py::str(array.dtype()).cast<std::string>());
  }
  return array;
}

// {name: elements} by which an array starts after a 256-byte boundary
size_t offset_of(const py::dict& offsets, const Argument& argument) {
  return offsets.contains(argument.name) ? offsets[argument.name.c_str()].cast<size_t>() * argument.bytes : 0;
}

[[noreturn]] void raise(const Report& r) {
  auto triple = [](uint3 i) { return py::make_tuple(i.x, i.y, i.z); };
  py::list code;
  for (const uintptr_t address : r.code) code.append(address - module_base() - 1);  // the call, not what follows it
  const py::object error = (*error_type)(r.kind, r.kernel, triple(r.block), triple(r.thread), r.message, code);
  PyErr_SetObject(error_type->ptr(), error.ptr());
  throw py::error_already_set();
}

void call(const Binding& binding, const py::tuple& values, uint64_t seed, const py::dict& offsets) {
  const auto& arguments = binding.arguments;
  if (values.size() != arguments.size()) {
    throw py::type_error(binding.name + " takes " + std::to_string(arguments.size()) + " arguments, got " +
                         std::to_string(values.size()));
  }
  for (const auto& offset : offsets) {
    const auto name = offset.first.cast<std::string>();
    const bool known = std::any_of(arguments.begin(), arguments.end(),
                                   [&](const Argument& a) { return a.role != Role::scalar && a.name == name; });
    if (!known) throw py::type_error(binding.name + " has no array `" + name + "`");
  }
  std::vector<py::array> arrays;
  std::vector<Arena::Request> requests;
  std::vector<uint64_t> scalars(arguments.size());
  std::vector<void*> pointers(arguments.size(), nullptr);
  std::vector<size_t> owner;  // the argument of a request
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument& argument = arguments[i];
    if (argument.role == Role::scalar) {
      store_scalar(argument.code, values[i], &scalars[i]);
      pointers[i] = &scalars[i];
    } else if (!values[i].is_none()) {
      arrays.push_back(array_of(argument, values[i]));
      requests.push_back({argument.name, static_cast<size_t>(arrays.back().nbytes()), argument.bytes,
                          offset_of(offsets, argument), argument.role == Role::output});
      owner.push_back(i);
    }
  }
  const Arena arena(requests);
  for (size_t k = 0; k < arrays.size(); ++k) {
    pointers[owner[k]] = arena.address(k);
    std::memcpy(arena.address(k), arrays[k].data(), requests[k].bytes);
  }
  machine.random = seed * 0x9e3779b97f4a7c15ull + 0x2545f4914f6cdd1dull;
  if (!machine.random) machine.random = 1;
  find_module();  // the host's stack is the calling thread's
  try {
    binding.call(pointers.data());
  } catch (const Error& error) {
    raise(error.report);
  }
  for (size_t k = 0; k < arrays.size(); ++k) {
    if (requests[k].writable) std::memcpy(arrays[k].mutable_data(), arena.address(k), requests[k].bytes);
  }
}

}  // namespace

PYBIND11_MODULE(simulation, m) {
  bind_all();
  find_module();
  for (const Binding& binding : bindings()) {
    m.def(binding.name.c_str(), [&binding](const py::args& values, uint64_t seed, const py::dict& offset_elements) {
      call(binding, values, seed, offset_elements);
    }, py::arg("seed") = 0, py::arg("offset_elements") = py::dict());
  }
  // [(name, offset in the module, bytes)] of the shared variables, and the class of what is raised
  m.def("_configure", [](const std::vector<std::tuple<std::string, uintptr_t, size_t>>& shared, py::object type) {
    std::vector<SharedVariable> variables;
    for (const auto& [name, offset, bytes] : shared) variables.push_back({name, module_base() + offset, bytes});
    set_shared_variables(std::move(variables));
    error_type = new py::object(std::move(type));  // never destroyed: the interpreter may end first
  });
}

}  // namespace cuda_sim
