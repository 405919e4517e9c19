// Resize weights on a device: uploaded once for each pair of sizes, then kept.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <type_traits>
#include <vector>

#include "common/resize_float.h"
#include "common/resize_weights.h"
#include "cuda/stream.h"

namespace videostr::cuda {

// W: int16_t or float. In one tensor: first, count, weight.
template <typename W>
class UploadedAxis {
 public:
  UploadedAxis(int64_t in, int64_t out, const Tensor& like, cudaStream_t stream) : axis_(weights(in, out)) {
    std::vector<uint8_t> packed(offset(2) + axis_.weight.size() * sizeof(W));
    std::memcpy(packed.data(), axis_.first.data(), offset(1));
    std::memcpy(packed.data() + offset(1), axis_.count.data(), offset(1));
    std::memcpy(packed.data() + offset(2), axis_.weight.data(), axis_.weight.size() * sizeof(W));
    bytes_ = torch::stable::new_empty(like, {static_cast<int64_t>(packed.size())}, ScalarType::Byte);
    cudaError_t error =
        cudaMemcpyAsync(bytes_.mutable_data_ptr(), packed.data(), packed.size(), cudaMemcpyHostToDevice, stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream);  // once: later calls may come on other streams
    STD_TORCH_CHECK(error == cudaSuccess, "frames_to_patches_: ", cudaGetErrorString(error));
  }

  const int32_t* first() const { return reinterpret_cast<const int32_t*>(at(0)); }
  const int32_t* count() const { return reinterpret_cast<const int32_t*>(at(1)); }
  const W* weight() const { return reinterpret_cast<const W*>(at(2)); }
  int taps() const { return axis_.taps; }
  int precision() const {
    if constexpr (std::is_same_v<W, float>)
      return 0;
    else
      return axis_.precision;
  }

  // Most input samples that `outputs` neighbours need, which begin at a multiple of it.
  int window(int64_t outputs) const {
    int most = 0;
    for (int64_t i = 0; i < axis_.outputs; i += outputs) {
      const int64_t last = i + outputs - 1;
      most = std::max(most, axis_.first[last] + axis_.count[last] - axis_.first[i]);
    }
    return most;
  }

 private:
  static auto weights(int64_t in, int64_t out) {
    if constexpr (std::is_same_v<W, float>)
      return float_axis_weights(in, out);
    else
      return axis_weights(in, out);
  }
  size_t offset(size_t k) const { return k * axis_.outputs * sizeof(int32_t); }
  const uint8_t* at(size_t k) const { return static_cast<const uint8_t*>(bytes_.const_data_ptr()) + offset(k); }

  decltype(weights(1, 1)) axis_;
  Tensor bytes_;
};

// The axis, uploaded at its first use. The kept ones outlive the process' end, when CUDA may be gone before destructors run.
template <typename W>
std::shared_ptr<const UploadedAxis<W>> uploaded_axis(int64_t in, int64_t out, const Tensor& like, cudaStream_t stream) {
  using Key = std::tuple<int64_t, int64_t, int32_t>;
  constexpr size_t kMost = 512;  // pairs of sizes; a data set has a few
  static std::mutex mutex;
  static auto* kept = new std::map<Key, std::shared_ptr<const UploadedAxis<W>>>;
  const std::lock_guard<std::mutex> lock(mutex);
  const Key key{in, out, like.get_device_index()};
  if (const auto found = kept->find(key); found != kept->end()) return found->second;
  if (kept->size() >= kMost) {
    cudaDeviceSynchronize();  // a kernel on some stream may still read one of them
    kept->clear();
  }
  return (*kept)[key] = std::make_shared<const UploadedAxis<W>>(in, out, like, stream);
}

}  // namespace videostr::cuda
