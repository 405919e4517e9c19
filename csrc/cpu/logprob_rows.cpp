// One pass over rows of logits: log-prob of the target, entropy and logsumexp; and, once the gradients of the first two are
// known, the logits turned into their own gradient in place:
//   dZ_j = (1/T) [g (δ_j - p_j) - h p_j (z_j - lse + H)],  g = dL/dlogprob, h = dL/dentropy.
// The matrix products around it are torch's (videostr/ops/linear_logprob.py).
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/stable.h"
#include "cpu/simd.h"

namespace videostr {
namespace {

using torch::headeronly::BFloat16;
using torch::headeronly::Half;

constexpr int64_t kBlock = 1024;  // logits at a time: both buffers stay in the first-level cache

// ---- loads and stores: any dtype <-> the wide one

VIDEOSTR_CLONES void load(const BFloat16* from, float* to, int64_t n) {
  const auto* bits = reinterpret_cast<const uint16_t*>(from);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t wide = static_cast<uint32_t>(bits[i]) << 16;
    std::memcpy(&to[i], &wide, sizeof(float));
  }
}
VIDEOSTR_CLONES void store(const float* from, BFloat16* to, int64_t n) {
  auto* bits = reinterpret_cast<uint16_t*>(to);
  for (int64_t i = 0; i < n; ++i) {  // round to nearest even; NaN stays NaN
    uint32_t wide;
    std::memcpy(&wide, &from[i], sizeof(float));
    const uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
    bits[i] = static_cast<uint16_t>((wide & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
  }
}
void load(const Half* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]);
}
void store(const float* from, Half* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<Half>(from[i]);
}
template <typename T>
void load(const T* from, T* to, int64_t n) {
  std::memcpy(to, from, n * sizeof(T));
}
template <typename T>
void store(const T* from, T* to, int64_t n) {
  std::memcpy(to, from, n * sizeof(T));
}

// ---- float blocks: vectorised by hand-written clones; double: the same sums with libm

VIDEOSTR_CLONES void scale_block(float* z, const float* bias, float inv_t, int64_t n) {
  if (bias != nullptr) {
    for (int64_t i = 0; i < n; ++i) z[i] = (z[i] + bias[i]) * inv_t;
  } else if (inv_t != 1.0f) {
    for (int64_t i = 0; i < n; ++i) z[i] *= inv_t;
  }
}
VIDEOSTR_CLONES float max_block(const float* z, int64_t n) {
  float m = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : m)
  for (int64_t i = 0; i < n; ++i) m = z[i] > m ? z[i] : m;
  return m;
}
// sum of e^t and of t e^t, t = z - m <= 0
VIDEOSTR_CLONES void sum_block(const float* z, float m, int64_t n, float* sum, float* weighted) {
  float s = 0.0f, w = 0.0f;
#pragma omp simd reduction(+ : s, w)
  for (int64_t i = 0; i < n; ++i) {
    const float t = z[i] - m;
    const float e = fast_exp(t);
    s += e;
    w += e * (t < -1e4f ? -1e4f : t);  // -inf * 0 would be NaN
  }
  *sum = s;
  *weighted = w;
}
// z -> -(g p + h p (z - lse + H)) / T; the target's g is added by the caller
VIDEOSTR_CLONES void grad_block(float* z, float lse, float entropy, float g, float h, float inv_t, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float logp = z[i] - lse;
    const float p = fast_exp(logp);
    z[i] = -p * (g + h * ((logp < -1e4f ? -1e4f : logp) + entropy)) * inv_t;
  }
}

void scale_block(double* z, const double* bias, double inv_t, int64_t n) {
  for (int64_t i = 0; i < n; ++i) z[i] = (bias == nullptr ? z[i] : z[i] + bias[i]) * inv_t;
}
double max_block(const double* z, int64_t n) {
  double m = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < n; ++i) m = std::max(m, z[i]);
  return m;
}
void sum_block(const double* z, double m, int64_t n, double* sum, double* weighted) {
  double s = 0.0, w = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    const double t = z[i] - m, e = std::exp(t);
    s += e;
    if (e > 0) w += e * t;
  }
  *sum = s;
  *weighted = w;
}
void grad_block(double* z, double lse, double entropy, double g, double h, double inv_t, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double logp = z[i] - lse, p = std::exp(logp);
    z[i] = p > 0 ? -p * (g + h * (logp + entropy)) * inv_t : 0.0;
  }
}

// ---- one row

template <typename A>
struct Head {  // what stands between the product hidden · weight and the softmax
  const A* bias;
  A scale;  // of the raw logits
  A cap;    // 0: no soft-cap
  A inv_t;

  // d(scaled)/d(raw), a soft-cap's slope aside.
  A factor() const { return scale * inv_t; }
  Head at(A temperature) const { return {bias, scale, cap, A(1) / temperature}; }

  // Raw products -> scaled logits. With a soft-cap, slope gets d(capped)/d(raw).
  void apply(A* z, A* slope, int64_t begin, int64_t n) const {
    const A* b = bias == nullptr ? nullptr : bias + begin;
    if (cap == A(0)) return scale_block(z, b, factor(), n);
    for (int64_t i = 0; i < n; ++i) {
      const A raw = (b == nullptr ? z[i] : z[i] + b[i]) * scale;
      const A t = std::tanh(raw / cap);
      const bool excluded = raw == -std::numeric_limits<A>::infinity();
      z[i] = excluded ? raw : cap * t * inv_t;
      if (slope != nullptr) slope[i] = excluded ? A(0) : A(1) - t * t;
    }
  }
};

template <typename T, typename A>
void forward_row(const T* logits, int64_t v, int64_t target, const Head<A>& head, A* logprob, A* entropy, A* lse) {
  A z[kBlock];
  A m = -std::numeric_limits<A>::infinity(), at_target = m;
  double sum = 0.0, weighted = 0.0;  // of e^(z - m) and (z - m) e^(z - m)
  for (int64_t begin = 0; begin < v; begin += kBlock) {
    const int64_t n = std::min(kBlock, v - begin);
    load(logits + begin, z, n);
    head.apply(z, nullptr, begin, n);
    if (target >= begin && target < begin + n) at_target = z[target - begin];
    const A block_max = max_block(z, n);
    if (block_max > m) {
      if (sum > 0) {
        const double shift = static_cast<double>(m) - block_max, rescale = std::exp(shift);
        weighted = rescale * (weighted + shift * sum);
        sum *= rescale;
      }
      m = block_max;
    }
    if (m == -std::numeric_limits<A>::infinity() && block_max == m) {
      // nothing but excluded ids so far, or NaN, which must not pass for them
      for (int64_t i = 0; i < n; ++i)
        if (z[i] != z[i]) sum = z[i];
      continue;
    }
    A s, w;
    sum_block(z, m, n, &s, &w);
    sum += s;
    weighted += w;
  }
  if (sum == 0.0) {  // every id is excluded; NaN is not 0
    *lse = *logprob = m;
    *entropy = A(0);
    return;
  }
  const double log_sum = std::log(sum);
  *lse = static_cast<A>(m + log_sum);
  *logprob = static_cast<A>(static_cast<double>(at_target) - m - log_sum);
  *entropy = static_cast<A>(log_sum - weighted / sum);
}

template <typename T, typename A>
void backward_row(T* logits, int64_t v, int64_t target, const Head<A>& head, A g, A h, A lse, A entropy) {
  A z[kBlock], slope[kBlock];
  for (int64_t begin = 0; begin < v; begin += kBlock) {
    const int64_t n = std::min(kBlock, v - begin);
    load(logits + begin, z, n);
    head.apply(z, slope, begin, n);
    const bool here = target >= begin && target < begin + n;
    const bool reachable = here && z[target - begin] != -std::numeric_limits<A>::infinity();
    grad_block(z, lse, entropy, g, h, head.factor(), n);
    if (reachable) z[target - begin] += g * head.factor();
    if (head.cap != A(0))
      for (int64_t i = 0; i < n; ++i) z[i] *= slope[i];
    store(z, logits + begin, n);
  }
}

template <typename F>
auto by_dtype(const Tensor& x, F&& f) {
  switch (x.scalar_type()) {
    case ScalarType::Float:
      return f(float{}, float{});
    case ScalarType::Double:
      return f(double{}, double{});
    case ScalarType::BFloat16:
      return f(BFloat16{}, float{});
    case ScalarType::Half:
      return f(Half{}, float{});
    default:
      STD_TORCH_CHECK(false, "logprob_rows: logits must be float32, float64, bfloat16 or float16");
  }
}

std::tuple<Tensor, Tensor, Tensor> logprob_rows(const Tensor& logits_in, const Tensor& target_in,
                                                const std::optional<Tensor>& bias_in, const Tensor& temperature_in,
                                                std::optional<double> softcap, double logit_scale) {
  const Tensor temperature = torch::stable::contiguous(temperature_in);
  const Tensor logits = torch::stable::contiguous(logits_in), target = torch::stable::contiguous(target_in);
  const Tensor bias = bias_in ? torch::stable::contiguous(*bias_in) : Tensor();
  const int64_t rows = logits.size(0), v = logits.size(1);
  const auto wide = wide_dtype(logits);
  Tensor logprob = torch::stable::new_empty(logits, {rows}, wide);
  Tensor entropy = torch::stable::new_empty(logits, {rows}, wide);
  Tensor lse = torch::stable::new_empty(logits, {rows}, wide);
  by_dtype(logits, [&](auto x, auto a) {
    using T = decltype(x);
    using A = decltype(a);
    const Head<A> head{bias_in ? bias.const_data_ptr<A>() : nullptr, A(logit_scale), A(softcap.value_or(0.0)), A(1)};
    const A* t = temperature.const_data_ptr<A>();
    const auto* id = target.const_data_ptr<int64_t>();
    const T* z = logits.const_data_ptr<T>();
    A *out_logprob = logprob.mutable_data_ptr<A>(), *out_entropy = entropy.mutable_data_ptr<A>();
    A* out_lse = lse.mutable_data_ptr<A>();
    torch::stable::parallel_for(0, rows, grain(v), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i)
        forward_row<T, A>(z + i * v, v, id[i], head.at(t[i]), out_logprob + i, out_entropy + i, out_lse + i);
    });
  });
  return {logprob, entropy, lse};
}

void logprob_rows_backward_(Tensor logits, const Tensor& grad_logprob_in, const Tensor& grad_entropy_in,
                            const Tensor& entropy_in, const Tensor& lse_in, const Tensor& target_in,
                            const std::optional<Tensor>& bias_in, const Tensor& temperature_in,
                            std::optional<double> softcap, double logit_scale) {
  const Tensor temperature = torch::stable::contiguous(temperature_in);
  STD_TORCH_CHECK(logits.is_contiguous(), "logprob_rows_backward_: logits must be contiguous");
  const Tensor target = torch::stable::contiguous(target_in);
  const Tensor grad_logprob = torch::stable::contiguous(grad_logprob_in);
  const Tensor grad_entropy = torch::stable::contiguous(grad_entropy_in);
  const Tensor entropy = torch::stable::contiguous(entropy_in), lse = torch::stable::contiguous(lse_in);
  const Tensor bias = bias_in ? torch::stable::contiguous(*bias_in) : Tensor();
  const int64_t rows = logits.size(0), v = logits.size(1);
  by_dtype(logits, [&](auto x, auto a) {
    using T = decltype(x);
    using A = decltype(a);
    const Head<A> head{bias_in ? bias.const_data_ptr<A>() : nullptr, A(logit_scale), A(softcap.value_or(0.0)), A(1)};
    const A* t = temperature.const_data_ptr<A>();
    const auto* id = target.const_data_ptr<int64_t>();
    T* z = logits.mutable_data_ptr<T>();
    const A *g = grad_logprob.const_data_ptr<A>(), *h = grad_entropy.const_data_ptr<A>();
    const A *row_entropy = entropy.const_data_ptr<A>(), *row_lse = lse.const_data_ptr<A>();
    torch::stable::parallel_for(0, rows, grain(v), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i)
        backward_row<T, A>(z + i * v, v, id[i], head.at(t[i]), g[i], h[i], row_lse[i], row_entropy[i]);
    });
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) {
  m.impl("logprob_rows", TORCH_BOX(&logprob_rows));
  m.impl("logprob_rows_backward_", TORCH_BOX(&logprob_rows_backward_));
}

}  // namespace videostr
