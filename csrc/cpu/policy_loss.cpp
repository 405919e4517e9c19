// The GRPO family's loss: value, gradient and logged numbers in one pass over the tokens. Answers run in parallel and leave
// partial sums, which are added in their order: the same bits whatever the number of threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/stable.h"
#include "cpu/simd.h"

namespace videostr {
namespace {

constexpr double kLogRatioLimit = 20.0;                // reference.LOG_RATIO_LIMIT
constexpr double kLogTiny = -18.420680743952367;       // log(1e-8): reference.LOG_TINY
constexpr int64_t kBlock = 256;                        // tokens at a time: their terms stay in the first-level cache
enum Stat { kPolicy, kKl, kEntropy, kRatioMean, kRatioMax, kClipLow, kClipHigh, kOldKl, kImportance, kMismatchMean,
            kMismatchMax, kWeightMean, kWeightSquareMean, kTokens, kStats };  // reference.STATS
enum class Objective { clip, sequence, cispo, sapo, vespo };
enum class KlType { k1, k2, k3 };

// ---- e^x and e^x - 1 - x: of float in code that becomes vectors, of double by libm

VIDEOSTR_INLINE float exp_of(float x) { return fast_exp(x); }
VIDEOSTR_INLINE double exp_of(double x) { return std::exp(x); }
VIDEOSTR_INLINE float exp_minus_1_minus_x(float x) {
  float series = 1.0f / 3628800.0f;  // near 0 the difference would cancel: x^2 / 2! + ... + x^10 / 10!
  series = series * x + 1.0f / 362880.0f;
  series = series * x + 1.0f / 40320.0f;
  series = series * x + 1.0f / 5040.0f;
  series = series * x + 1.0f / 720.0f;
  series = series * x + 1.0f / 120.0f;
  series = series * x + 1.0f / 24.0f;
  series = series * x + 1.0f / 6.0f;
  series = series * x + 0.5f;
  const float away = fast_exp(x) - 1.0f - x;
  return std::abs(x) < 1.0f ? series * x * x : away;
}
VIDEOSTR_INLINE double exp_minus_1_minus_x(double x) { return std::expm1(x) - x; }
template <typename A>
VIDEOSTR_INLINE A limit(A x) {
  return std::min(std::max(x, A(-kLogRatioLimit)), A(kLogRatioLimit));
}

template <typename A>
struct Options {
  Objective objective;
  A low, high, cap;                          // of the ratio
  A sapo_temperature[2], vespo_k[2], vespo_lambda[2];  // for advantages above 0, for the others
  A kl_coef, kl_clamp, entropy_coef;
  KlType kl_type;
  bool kl_bias_correction;
  bool importance, importance_of_answer, importance_masks;
  A importance_min, importance_max;

  A weigh(A ratio) const {
    if (importance_masks) return ratio < importance_min || ratio > importance_max ? A(0) : ratio;
    return ratio < importance_min ? importance_min : ratio > importance_max ? importance_max : ratio;
  }
};

template <typename A>
struct Inputs {  // each [N, L]; null where absent
  const A *logprob, *old_logprob, *ref_logprob, *entropy, *sampler_logprob;
  const bool* mask;

  Inputs from(int64_t token) const {
    const auto at = [&](const A* p) { return p == nullptr ? p : p + token; };
    return {at(logprob), at(old_logprob), at(ref_logprob), at(entropy), at(sampler_logprob), mask + token};
  }
};

template <typename A>
struct Answer {  // what all tokens of one share
  A advantage, weight;
  A log_ratio;   // of the whole, for Objective::sequence
  A importance;  // of the whole, where it is the answer's
  A phi;         // Objective::vespo
};

// n <= kBlock tokens of one answer. grad_logprob: without what `shared` gets, the part that every token of the answer
// receives alike (Objective::sequence). sums: of the tokens, without the answer's weight.
// Loops do one thing each, load without a condition and read options from locals: so the compiler makes vectors of them.
template <typename A>
VIDEOSTR_INLINE void one_block(const Inputs<A>& in, const Options<A>& o, const Answer<A>& answer, int64_t n,
                               A* __restrict grad_logprob, A* __restrict grad_entropy, A* __restrict sums,
                               A* __restrict shared) {
  A logprob[kBlock], old_logprob[kBlock], keep[kBlock], ratio[kBlock], ratio_slope[kBlock], policy[kBlock], grad[kBlock];
  A weight[kBlock];
  const bool sequence = o.objective == Objective::sequence;
  const A advantage = answer.advantage, zero(0), one(1), low = o.low, high = o.high;
  const auto* mask = reinterpret_cast<const uint8_t*>(in.mask);
  for (int64_t i = 0; i < n; ++i) keep[i] = static_cast<A>(mask[i]);
  const auto load = [&](const A* __restrict from, A* __restrict to) VIDEOSTR_ALWAYS {
    for (int64_t i = 0; i < n; ++i) {
      const A x = from[i];
      to[i] = keep[i] != zero ? x : zero;  // padding may hold anything, NaN included
    }
  };
  load(in.logprob, logprob);
  load(in.old_logprob, old_logprob);

  A ratio_sum(0), ratio_max(0), old_kl(0), clip_low(0), clip_high(0);
  const A below = advantage < zero ? one : zero, above = advantage > zero ? one : zero, whole = answer.log_ratio;
#pragma omp simd reduction(+ : ratio_sum, old_kl, clip_low, clip_high) reduction(max : ratio_max)
  for (int64_t i = 0; i < n; ++i) {
    const A delta = logprob[i] - old_logprob[i], log_ratio = sequence ? whole : delta;
    const A limited = limit(log_ratio), r = exp_of(limited), kept = keep[i] * r;
    ratio[i] = r;
    ratio_slope[i] = limited == log_ratio ? r : zero;
    weight[i] = r;
    ratio_sum += kept;
    ratio_max = kept > ratio_max ? kept : ratio_max;
    old_kl -= delta;
    clip_low += r < low ? keep[i] : zero;
    clip_high += r > high ? keep[i] : zero;
  }
  sums[kRatioMean] += ratio_sum;
  sums[kRatioMax] = std::max(sums[kRatioMax], ratio_max);
  sums[kOldKl] += old_kl;
  sums[kClipLow] += below * clip_low;
  sums[kClipHigh] += above * clip_high;

  if (o.objective == Objective::clip || sequence) {
    const A cap = o.cap;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const A r = ratio[i], plain = std::min(r, cap) * advantage;
      const A clipped = std::min(std::max(r, low), high) * advantage;
      const A slope = r <= cap ? -ratio_slope[i] * advantage : zero;
      policy[i] = -std::min(plain, clipped);
      grad[i] = plain <= clipped ? slope : zero;
    }
  } else if (o.objective == Objective::sapo) {
    const A temperature = o.sapo_temperature[advantage > zero ? 0 : 1];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const A gate = one / (one + exp_of(-temperature * (ratio[i] - one)));
      policy[i] = -gate * (A(4) / temperature) * advantage;
      grad[i] = -A(4) * gate * (one - gate) * ratio_slope[i] * advantage;
    }
  } else {
    const bool vespo = o.objective == Objective::vespo;
    const A phi = answer.phi;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const A constant = vespo ? phi : std::min(ratio[i], high);
      policy[i] = -constant * advantage * logprob[i];
      grad[i] = -constant * advantage;
    }
  }

  if (in.sampler_logprob != nullptr) {
    A gap[kBlock], mismatch(0), mismatch_max(0), importance_sum(0);
    load(in.sampler_logprob, gap);
#pragma omp simd reduction(+ : mismatch) reduction(max : mismatch_max)
    for (int64_t i = 0; i < n; ++i) {
      gap[i] = old_logprob[i] - gap[i];
      const A size = std::abs(gap[i]);
      mismatch += size;
      mismatch_max = size > mismatch_max ? size : mismatch_max;
    }
    sums[kMismatchMean] += mismatch;
    sums[kMismatchMax] = std::max(sums[kMismatchMax], mismatch_max);
    if (o.importance) {
      const A of_answer = answer.importance, least = o.importance_min, most = o.importance_max;
      const bool by_answer = o.importance_of_answer, masks = o.importance_masks;
      const bool apply = o.objective != Objective::vespo;  // its phi has the weight already
#pragma omp simd reduction(+ : importance_sum)
      for (int64_t i = 0; i < n; ++i) {
        const A q = exp_of(limit(gap[i])), truncated = std::min(std::max(q, least), most);
        const A masked = truncated == q ? q : zero, of_token = masks ? masked : truncated;
        const A importance = by_answer ? of_answer : of_token, factor = apply ? importance : one;
        policy[i] *= factor;
        grad[i] *= factor;
        weight[i] *= importance;
        importance_sum += keep[i] * importance;
      }
      sums[kImportance] += importance_sum;
    }
  }

  A policy_sum(0), grad_sum(0), weight_sum(0), square_sum(0);
#pragma omp simd reduction(+ : policy_sum, grad_sum, weight_sum, square_sum)
  for (int64_t i = 0; i < n; ++i) {
    policy_sum += keep[i] * policy[i];
    grad_sum += keep[i] * grad[i];
    weight_sum += keep[i] * weight[i];
    square_sum += keep[i] * weight[i] * weight[i];
  }
  sums[kPolicy] += policy_sum;
  sums[kWeightMean] += weight_sum;
  sums[kWeightSquareMean] += square_sum;
  if (sequence) {
    *shared += grad_sum;
    for (int64_t i = 0; i < n; ++i) grad[i] = zero;
  }

  if (in.ref_logprob != nullptr) {
    A gap[kBlock], kl[kBlock], slope[kBlock], kl_sum(0), shared_sum(0);
    const A clamp = o.kl_clamp, kl_coef = o.kl_coef;
    load(in.ref_logprob, gap);
    for (int64_t i = 0; i < n; ++i) gap[i] -= logprob[i];
    if (o.kl_type == KlType::k1) {
      for (int64_t i = 0; i < n; ++i) {
        kl[i] = -gap[i];
        slope[i] = one;
      }
    } else if (o.kl_type == KlType::k2) {
      for (int64_t i = 0; i < n; ++i) {
        kl[i] = A(0.5) * gap[i] * gap[i];
        slope[i] = -gap[i];
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) {
        const A limited = limit(gap[i]), value = exp_minus_1_minus_x(limited), falling = -(value + limited);
        kl[i] = value;
        slope[i] = limited == gap[i] ? falling : zero;
      }
    }
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const A inside = std::min(std::max(kl[i], -clamp), clamp), rising = slope[i];
      slope[i] = inside == kl[i] ? rising : zero;
      kl[i] = inside;
    }
    if (o.kl_bias_correction) {
      const A alone = sequence ? zero : one;
#pragma omp simd reduction(+ : shared_sum)
      for (int64_t i = 0; i < n; ++i) {
        const A by_ratio = kl[i] * ratio_slope[i];
        slope[i] = slope[i] * ratio[i] + alone * by_ratio;
        shared_sum += keep[i] * by_ratio;
        kl[i] *= ratio[i];
      }
      if (sequence) *shared += kl_coef * shared_sum;
    }
#pragma omp simd reduction(+ : kl_sum)
    for (int64_t i = 0; i < n; ++i) {
      kl_sum += keep[i] * kl[i];
      grad[i] += kl_coef * slope[i];
    }
    sums[kKl] += kl_sum;
  }
  const A of_token = answer.weight;
  for (int64_t i = 0; i < n; ++i) grad_logprob[i] = keep[i] * grad[i] * of_token;

  if (in.entropy != nullptr) {
    A entropy[kBlock], entropy_sum(0);
    const A slope = -o.entropy_coef * of_token;
    load(in.entropy, entropy);
#pragma omp simd reduction(+ : entropy_sum)
    for (int64_t i = 0; i < n; ++i) entropy_sum += entropy[i];
    for (int64_t i = 0; i < n; ++i) grad_entropy[i] = slope * keep[i];
    sums[kEntropy] += entropy_sum;
  }
}

VIDEOSTR_CLONES void block(const Inputs<float>& in, const Options<float>& o, const Answer<float>& answer, int64_t n,
                           float* grad_logprob, float* grad_entropy, float* sums, float* shared) {
  one_block(in, o, answer, n, grad_logprob, grad_entropy, sums, shared);
}
void block(const Inputs<double>& in, const Options<double>& o, const Answer<double>& answer, int64_t n,
           double* grad_logprob, double* grad_entropy, double* sums, double* shared) {
  one_block(in, o, answer, n, grad_logprob, grad_entropy, sums, shared);
}

// Sums over the kept tokens of n <= kBlock: log-ratio, log-ratio within its limits.
template <typename A>
VIDEOSTR_INLINE void sum_log_ratios(const Inputs<A>& in, int64_t n, A* __restrict sums) {
  const auto* mask = reinterpret_cast<const uint8_t*>(in.mask);
  const A *logprob = in.logprob, *old_logprob = in.old_logprob;
  A plain(0), limited(0);
#pragma omp simd reduction(+ : plain, limited)
  for (int64_t i = 0; i < n; ++i) {
    const A delta = mask[i] != 0 ? logprob[i] - old_logprob[i] : A(0);
    plain += delta;
    limited += limit(delta);
  }
  sums[0] = plain;
  sums[1] = limited;
}
VIDEOSTR_CLONES void log_ratios(const Inputs<float>& in, int64_t n, float* sums) { sum_log_ratios(in, n, sums); }
void log_ratios(const Inputs<double>& in, int64_t n, double* sums) { sum_log_ratios(in, n, sums); }

// grad += share where the token is kept.
template <typename A>
VIDEOSTR_INLINE void add_to_kept(const bool* kept, int64_t n, A share, A* __restrict grad) {
  const auto* mask = reinterpret_cast<const uint8_t*>(kept);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) grad[i] += static_cast<A>(mask[i]) * share;
}
VIDEOSTR_CLONES void spread(const bool* kept, int64_t n, float share, float* grad) { add_to_kept(kept, n, share, grad); }
void spread(const bool* kept, int64_t n, double share, double* grad) { add_to_kept(kept, n, share, grad); }

// What the tokens of an answer share, where it takes a look at all of them first.
template <typename A>
void look_ahead(const Inputs<A>& in, const Options<A>& o, int64_t length, int64_t tokens, Answer<A>* answer) {
  double delta_sum = 0.0, limited_sum = 0.0, gap_sum = 0.0, log_importance = 0.0;
  for (int64_t begin = 0; begin < length; begin += kBlock) {
    A part[2];
    log_ratios(in.from(begin), std::min(kBlock, length - begin), part);
    delta_sum += part[0];
    limited_sum += part[1];
  }
  for (int64_t i = 0; o.importance && i < length; ++i) {
    if (!in.mask[i]) continue;
    const A gap = in.old_logprob[i] - in.sampler_logprob[i];
    gap_sum += gap;
    log_importance += std::clamp(std::log(o.weigh(std::exp(limit(gap)))), A(kLogTiny), A(kLogRatioLimit));
  }
  answer->log_ratio = static_cast<A>(delta_sum / static_cast<double>(std::max<int64_t>(tokens, 1)));
  if (o.importance_of_answer) answer->importance = o.weigh(std::exp(limit(static_cast<A>(gap_sum))));
  if (o.objective == Objective::vespo) {
    const int side = answer->advantage >= 0 ? 0 : 1;
    const double k = o.vespo_k[side], lambda = o.vespo_lambda[side];
    const double log_w = std::clamp(limited_sum + log_importance, kLogTiny, kLogRatioLimit);
    answer->phi = static_cast<A>(std::exp(lambda + k * log_w - lambda * std::exp(log_w)));
  }
}

template <typename A>
void one_answer(const Inputs<A>& in, const Options<A>& o, int64_t length, int64_t tokens, Answer<A> answer,
                A* grad_logprob, A* grad_entropy, double* sums) {
  const bool sequence = o.objective == Objective::sequence;
  if (sequence || o.objective == Objective::vespo || o.importance_of_answer)
    look_ahead(in, o, length, tokens, &answer);
  double shared = 0.0;
  for (int64_t begin = 0; begin < length; begin += kBlock) {
    A part[kStats] = {}, shared_part(0);
    block(in.from(begin), o, answer, std::min(kBlock, length - begin), grad_logprob + begin, grad_entropy + begin, part,
          &shared_part);
    shared += shared_part;
    for (int k = 0; k < kStats; ++k)
      sums[k] = k == kRatioMax || k == kMismatchMax ? std::max(sums[k], static_cast<double>(part[k])) : sums[k] + part[k];
  }
  for (const int k : {kPolicy, kKl, kEntropy})
    if (sums[k] != 0) sums[k] *= answer.weight;
  if (sequence && tokens > 0) {
    const A share = static_cast<A>(shared * answer.weight / static_cast<double>(tokens));
    spread(in.mask, length, share, grad_logprob);
  }
}

std::tuple<Tensor, Tensor, Tensor, Tensor> policy_loss(
    const Tensor& logprob_in, const Tensor& old_logprob_in, const Tensor& advantage_in, const Tensor& mask_in,
    const Tensor& weight_in, const std::optional<Tensor>& ref_logprob_in, const std::optional<Tensor>& entropy_in,
    const std::optional<Tensor>& sampler_logprob_in, const std::string& objective, double clip_low, double clip_high,
    std::optional<double> ratio_cap, const std::vector<double>& sapo_temperature, const std::vector<double>& vespo_k,
    const std::vector<double>& vespo_lambda, double kl_coef, const std::string& kl_type, std::optional<double> kl_clamp,
    bool kl_bias_correction, double entropy_coef, const std::optional<std::string>& importance, double importance_min,
    double importance_max) {
  const auto dense = [](const std::optional<Tensor>& x) { return x ? torch::stable::contiguous(*x) : Tensor(); };
  const Tensor logprob = dense(logprob_in), old_logprob = dense(old_logprob_in), advantage = dense(advantage_in);
  const Tensor mask = dense(mask_in), weight = dense(weight_in), ref_logprob = dense(ref_logprob_in);
  const Tensor entropy = dense(entropy_in), sampler_logprob = dense(sampler_logprob_in);
  const int64_t rows = logprob.size(0), length = logprob.size(1);
  Tensor loss = torch::stable::new_empty(logprob, {});
  Tensor stats = torch::stable::new_empty(logprob, {kStats});
  Tensor grad_logprob = torch::stable::new_empty(logprob, {rows, length});
  Tensor grad_entropy = entropy_in ? torch::stable::new_empty(logprob, {rows, length})
                                   : torch::stable::new_empty(logprob, {0, 0});

  auto run = [&](auto number) {
    using A = decltype(number);
    const Options<A> options{
        objective == "clip"       ? Objective::clip
        : objective == "sequence" ? Objective::sequence
        : objective == "cispo"    ? Objective::cispo
        : objective == "sapo"     ? Objective::sapo
                                  : Objective::vespo,
        A(1.0 - clip_low),
        A(1.0 + clip_high),
        A(ratio_cap.value_or(INFINITY)),
        {A(sapo_temperature[0]), A(sapo_temperature[1])},
        {A(vespo_k[0]), A(vespo_k[1])},
        {A(vespo_lambda[0]), A(vespo_lambda[1])},
        A(kl_coef),
        A(kl_clamp.value_or(INFINITY)),
        A(entropy_coef),
        kl_type == "k1" ? KlType::k1 : kl_type == "k2" ? KlType::k2 : KlType::k3,
        kl_bias_correction,
        importance.has_value(),
        importance == "sequence_truncate" || importance == "sequence_mask",
        importance == "token_mask" || importance == "sequence_mask",
        A(importance_min),
        A(importance_max)};
    const auto data = [](const std::optional<Tensor>& given, const Tensor& x) {
      return given ? x.template const_data_ptr<A>() : nullptr;
    };
    const Inputs<A> in{logprob.const_data_ptr<A>(),   old_logprob.const_data_ptr<A>(),
                       data(ref_logprob_in, ref_logprob), data(entropy_in, entropy),
                       data(sampler_logprob_in, sampler_logprob), mask.const_data_ptr<bool>()};
    const A *row_advantage = advantage.const_data_ptr<A>(), *row_weight = weight.const_data_ptr<A>();
    A *out_grad = grad_logprob.mutable_data_ptr<A>(), *out_grad_entropy = grad_entropy.mutable_data_ptr<A>();
    std::vector<double> partial(rows * kStats, 0.0);
    torch::stable::parallel_for(0, rows, grain(16 * length), [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to; ++row) {
        const int64_t first = row * length;
        const int64_t tokens = std::count(in.mask + first, in.mask + first + length, true);
        double* sums = partial.data() + row * kStats;
        one_answer<A>(in.from(first), options, length, tokens, {row_advantage[row], row_weight[row]}, out_grad + first,
                      entropy_in ? out_grad_entropy + first : nullptr, sums);
        sums[kTokens] = static_cast<double>(tokens);
      }
    });
    double total[kStats] = {};
    for (int64_t row = 0; row < rows; ++row)
      for (int k = 0; k < kStats; ++k) {
        const double x = partial[row * kStats + k];
        total[k] = k == kRatioMax || k == kMismatchMax ? std::max(total[k], x) : total[k] + x;
      }
    for (const int k : {kRatioMean, kClipLow, kClipHigh, kOldKl, kImportance, kMismatchMean, kWeightMean, kWeightSquareMean})
      total[k] /= std::max(total[kTokens], 1.0);
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
