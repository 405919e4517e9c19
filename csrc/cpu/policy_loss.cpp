// The GRPO family's loss: value, gradient and logged numbers in one pass over the tokens. Rows run in parallel and leave
// partial sums, which are added in row order: the same bits whatever the number of threads.
#include <algorithm>
#include <cmath>

#include "common/stable.h"

namespace videostr {
namespace {

constexpr double kLogRatioLimit = 20.0;  // reference.LOG_RATIO_LIMIT
enum Stat { kPolicy, kKl, kEntropy, kRatioMean, kRatioMax, kClipLow, kClipHigh, kOldKl, kImportance, kMismatchMean,
            kMismatchMax, kTokens, kStats };  // reference.STATS
enum class KlType { k1, k2, k3 };

struct Options {
  bool sequence;
  double clip_low, clip_high, kl_coef, kl_clamp, entropy_coef, importance_cap;
  KlType kl_type;
  bool has_importance;
};

template <typename A>
struct Inputs {  // each [N, L] but advantage; null where absent
  const A *logprob, *old_logprob, *advantage, *ref_logprob, *entropy, *sampler_logprob;
  const bool* mask;
};

// Value of the KL estimate and its derivative by the policy's log-prob.
template <typename A>
void kl_term(A gap, const Options& o, A* value, A* slope) {  // gap = reference - policy
  if (o.kl_type == KlType::k1) {
    *value = -gap;
    *slope = 1;
  } else if (o.kl_type == KlType::k2) {
    *value = A(0.5) * gap * gap;
    *slope = -gap;
  } else {
    const A limited = std::clamp(gap, A(-kLogRatioLimit), A(kLogRatioLimit)), e = std::expm1(limited);
    *value = e - limited;
    *slope = limited == gap ? -e : A(0);
  }
  if (std::abs(*value) > A(o.kl_clamp)) {
    *value = std::copysign(A(o.kl_clamp), *value);
    *slope = 0;
  }
}

// One answer. weight: of each of its tokens in the loss. sums: its share of every statistic.
template <typename A>
void one_row(const Inputs<A>& in, const Options& o, int64_t row, int64_t length, A weight, int64_t tokens,
             A* grad_logprob, A* grad_entropy, double* sums) {
  const int64_t offset = row * length;
  const bool* mask = in.mask + offset;
  const A *logprob = in.logprob + offset, *old_logprob = in.old_logprob + offset, advantage = in.advantage[row];
  const A low = A(1.0 - o.clip_low), high = A(1.0 + o.clip_high);
  A sequence_log_ratio = 0;
  if (o.sequence) {
    double sum = 0.0;
    for (int64_t i = 0; i < length; ++i)
      if (mask[i]) sum += logprob[i] - old_logprob[i];
    sequence_log_ratio = static_cast<A>(sum / static_cast<double>(std::max<int64_t>(tokens, 1)));
  }
  double sequence_grad = 0.0;
  for (int64_t i = 0; i < length; ++i) {
    grad_logprob[offset + i] = 0;
    if (in.entropy != nullptr) grad_entropy[offset + i] = 0;
    if (!mask[i]) continue;  // padding may hold anything, NaN included
    const A delta = logprob[i] - old_logprob[i];
    const A log_ratio = o.sequence ? sequence_log_ratio : delta;
    const A limited = std::clamp(log_ratio, A(-kLogRatioLimit), A(kLogRatioLimit)), ratio = std::exp(limited);
    const A plain = ratio * advantage, clipped = std::clamp(ratio, low, high) * advantage;
    A policy = -std::min(plain, clipped);
    A grad = plain <= clipped && limited == log_ratio ? -plain : A(0);
    if (in.sampler_logprob != nullptr) {
      const A gap = old_logprob[i] - in.sampler_logprob[offset + i];
      sums[kMismatchMean] += std::abs(gap);
      sums[kMismatchMax] = std::max(sums[kMismatchMax], static_cast<double>(std::abs(gap)));
      if (o.has_importance) {
        const A importance =
            std::min(std::exp(std::clamp(gap, A(-kLogRatioLimit), A(kLogRatioLimit))), A(o.importance_cap));
        policy *= importance;
        grad *= importance;
        sums[kImportance] += importance;
      }
    }
    sums[kPolicy] += static_cast<double>(policy) * weight;
    if (o.sequence)
      sequence_grad += static_cast<double>(grad) * weight;
    else
      grad_logprob[offset + i] = grad * weight;
    if (in.ref_logprob != nullptr) {
      A kl, slope;
      kl_term(static_cast<A>(in.ref_logprob[offset + i] - logprob[i]), o, &kl, &slope);
      sums[kKl] += static_cast<double>(kl) * weight;
      grad_logprob[offset + i] += static_cast<A>(o.kl_coef) * slope * weight;
    }
    if (in.entropy != nullptr) {
      sums[kEntropy] += static_cast<double>(in.entropy[offset + i]) * weight;
      grad_entropy[offset + i] = static_cast<A>(-o.entropy_coef) * weight;
    }
    sums[kRatioMean] += ratio;
    sums[kRatioMax] = std::max(sums[kRatioMax], static_cast<double>(ratio));
    sums[kClipLow] += ratio < low && advantage < 0;
    sums[kClipHigh] += ratio > high && advantage > 0;
    sums[kOldKl] -= delta;
  }
  if (o.sequence && tokens > 0) {
    const A share = static_cast<A>(sequence_grad / static_cast<double>(tokens));
    for (int64_t i = 0; i < length; ++i)
      if (mask[i]) grad_logprob[offset + i] += share;
  }
}

std::tuple<Tensor, Tensor, Tensor, Tensor> policy_loss(
    const Tensor& logprob_in, const Tensor& old_logprob_in, const Tensor& advantage_in, const Tensor& mask_in,
    const Tensor& weight_in, const std::optional<Tensor>& ref_logprob_in, const std::optional<Tensor>& entropy_in,
    const std::optional<Tensor>& sampler_logprob_in, const std::string& ratio_level, double clip_low, double clip_high,
    double kl_coef, const std::string& kl_type, std::optional<double> kl_clamp, double entropy_coef,
    std::optional<double> importance_cap) {
  const auto dense = [](const std::optional<Tensor>& x) { return x ? torch::stable::contiguous(*x) : Tensor(); };
  const Tensor logprob = dense(logprob_in), old_logprob = dense(old_logprob_in), advantage = dense(advantage_in);
  const Tensor mask = dense(mask_in), weight = dense(weight_in), ref_logprob = dense(ref_logprob_in), entropy = dense(entropy_in);
  const Tensor sampler_logprob = dense(sampler_logprob_in);
  const int64_t rows = logprob.size(0), length = logprob.size(1);
  const Options options{ratio_level == "sequence", clip_low, clip_high, kl_coef, kl_clamp.value_or(INFINITY),
                        entropy_coef, importance_cap.value_or(0.0),
                        kl_type == "k1" ? KlType::k1 : kl_type == "k2" ? KlType::k2 : KlType::k3,
                        importance_cap.has_value()};
  Tensor loss = torch::stable::new_empty(logprob, {});
  Tensor stats = torch::stable::new_empty(logprob, {kStats});
  Tensor grad_logprob = torch::stable::new_empty(logprob, {rows, length});
  Tensor grad_entropy = entropy_in ? torch::stable::new_empty(logprob, {rows, length})
                                   : torch::stable::new_empty(logprob, {0, 0});

  const bool* valid = mask.const_data_ptr<bool>();
  std::vector<int64_t> row_tokens(rows);
  torch::stable::parallel_for(0, rows, grain(length), [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; ++row)
      row_tokens[row] = std::count(valid + row * length, valid + (row + 1) * length, true);
  });
  int64_t tokens = 0;
  for (const int64_t n : row_tokens) tokens += n;

  auto run = [&](auto zero) {
    using A = decltype(zero);
    const auto data = [](const std::optional<Tensor>& given, const Tensor& x) {
      return given ? x.template const_data_ptr<A>() : nullptr;
    };
    const Inputs<A> in{logprob.const_data_ptr<A>(), old_logprob.const_data_ptr<A>(), advantage.const_data_ptr<A>(),
                       data(ref_logprob_in, ref_logprob), data(entropy_in, entropy),
                       data(sampler_logprob_in, sampler_logprob), valid};
    A *out_grad = grad_logprob.mutable_data_ptr<A>(), *out_grad_entropy = grad_entropy.mutable_data_ptr<A>();
    const A* row_weight = weight.const_data_ptr<A>();
    std::vector<double> partial(rows * kStats, 0.0);
    torch::stable::parallel_for(0, rows, grain(16 * length), [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to; ++row) {
        one_row<A>(in, options, row, length, row_weight[row], row_tokens[row], out_grad, out_grad_entropy,
                   partial.data() + row * kStats);
      }
    });
    double total[kStats] = {};
    for (int64_t row = 0; row < rows; ++row)
      for (int k = 0; k < kStats; ++k) {
        const double x = partial[row * kStats + k];
        total[k] = k == kRatioMax || k == kMismatchMax ? std::max(total[k], x) : total[k] + x;
      }
    for (const int k : {kRatioMean, kClipLow, kClipHigh, kOldKl, kImportance, kMismatchMean})
      total[k] /= static_cast<double>(std::max<int64_t>(tokens, 1));
    total[kTokens] = static_cast<double>(tokens);
    A* out_stats = stats.mutable_data_ptr<A>();
    for (int k = 0; k < kStats; ++k) out_stats[k] = static_cast<A>(total[k]);
    *loss.mutable_data_ptr<A>() =
        static_cast<A>(total[kPolicy] + kl_coef * total[kKl] - entropy_coef * total[kEntropy]);
  };
  logprob.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
  return {loss, stats, grad_logprob, grad_entropy};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("policy_loss", TORCH_BOX(&policy_loss)); }

}  // namespace videostr
