// Patches kept as bytes -> what the model takes: a table of 256 entries a channel, in one pass.
#include "common/stable.h"

namespace videostr {
namespace {

template <typename T>
void run(const uint8_t* bytes, const T* table, int64_t rows, int64_t columns, T* out) {
  torch::stable::parallel_for(0, rows, grain(columns), [&](int64_t from, int64_t to) {
    const int64_t of_channel = columns / 3;
    for (int64_t part = 3 * from; part < 3 * to; ++part) {
      const T* values = table + part % 3 * 256;
      const uint8_t* in = bytes + part * of_channel;
      T* to_part = out + part * of_channel;
      for (int64_t i = 0; i < of_channel; ++i) to_part[i] = values[in[i]];
    }
  });
}

Tensor normalise_patches(const Tensor& patches_in, const Tensor& table_in) {
  STD_TORCH_CHECK(patches_in.dim() == 2 && patches_in.scalar_type() == ScalarType::Byte && patches_in.size(1) % 3 == 0,
                  "normalise_patches: patches are uint8 [rows, columns of three channels]");
  STD_TORCH_CHECK(table_in.dim() == 2 && table_in.size(0) == 3 && table_in.size(1) == 256,
                  "normalise_patches: the table is [3, 256]");
  const Tensor patches = torch::stable::contiguous(patches_in), table = torch::stable::contiguous(table_in);
  const int64_t rows = patches.size(0), columns = patches.size(1);
  Tensor out = torch::stable::new_empty(patches, {rows, columns}, table.scalar_type());
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    run(patches.const_data_ptr<uint8_t>(), static_cast<const T*>(table.const_data_ptr()), rows, columns,
        static_cast<T*>(out.mutable_data_ptr()));
  };
  table.element_size() == 4 ? go(uint32_t{}) : go(uint16_t{});
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("normalise_patches", TORCH_BOX(&normalise_patches)); }

}  // namespace videostr
