// Rewards and group ids -> advantages and the groups' statistics. Three short sweeps in row order, on one thread: the
// batch is thousands of numbers, and the same order every time gives the same bits every time.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/stable.h"

namespace videostr {
namespace {

struct Spread {
  int64_t count = 0;
  double sum = 0.0, mean = 0.0, squares = 0.0;
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(double x) {
    ++count;
    sum += x;
    low = std::min(low, x);
    high = std::max(high, x);
  }
  void close() { mean = count > 0 ? sum / static_cast<double>(count) : 0.0; }
  void deviate(double x) { squares += (x - mean) * (x - mean); }
  // Unbiased; exactly 0 for fewer than two values and for equal ones, whatever the rounding of their mean.
  double std() const { return count < 2 || low == high ? 0.0 : std::sqrt(squares / static_cast<double>(count - 1)); }
};

template <typename T>
std::vector<Spread> spreads(const T* value, const int64_t* group, int64_t rows, int64_t groups) {
  std::vector<Spread> all(groups);
  for (int64_t i = 0; i < rows; ++i) all[group[i]].add(value[i]);
  for (auto& g : all) g.close();
  for (int64_t i = 0; i < rows; ++i) all[group[i]].deviate(value[i]);
  return all;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> group_advantage(
    const Tensor& reward_in, const Tensor& group_in, int64_t groups, const std::string& scale, double eps,
    double min_std, const std::optional<Tensor>& task_reward_in) {
  const Tensor reward = torch::stable::contiguous(reward_in), group = torch::stable::contiguous(group_in);
  const Tensor task_reward = task_reward_in ? torch::stable::contiguous(*task_reward_in) : Tensor();
  const int64_t rows = reward.numel();
  const auto* id = group.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i)
    STD_TORCH_CHECK(id[i] >= 0 && id[i] < groups, "group_advantage: group[", i, "] = ", id[i], " is not in [0, ",
                    groups, ")");
  Tensor advantage = torch::stable::empty_like(reward);
  Tensor mean = torch::stable::new_empty(reward, {groups}), std = torch::stable::new_empty(reward, {groups});
  Tensor informative = torch::stable::new_empty(reward, {groups}, ScalarType::Bool);

  auto run = [&](auto zero) {
    using T = decltype(zero);
    const T* r = reward.const_data_ptr<T>();
    const auto all = spreads(r, id, rows, groups);
    const auto gate = task_reward_in ? spreads(task_reward.const_data_ptr<T>(), id, rows, groups) : all;
    const std::vector<int64_t> one(scale == "batch" ? rows : 0, 0);
    const double batch_std = scale == "batch" && rows > 0 ? spreads(r, one.data(), rows, 1)[0].std() : 0.0;
    std::vector<double> factor(groups);
    T *out_mean = mean.mutable_data_ptr<T>(), *out_std = std.mutable_data_ptr<T>();
    bool* out_informative = informative.mutable_data_ptr<bool>();
    for (int64_t b = 0; b < groups; ++b) {
      const double spread = all[b].std(), n = static_cast<double>(all[b].count);
      out_mean[b] = static_cast<T>(all[b].mean);
      out_std[b] = static_cast<T>(spread);
      out_informative[b] = gate[b].std() > min_std;
      factor[b] = !out_informative[b] || spread == 0.0 ? 0.0
                  : scale == "std"                     ? 1.0 / (spread + eps)
                  : scale == "batch"                   ? 1.0 / (batch_std + eps)
                  : scale == "loo"                     ? n / (n - 1.0)
                                                       : 1.0;
    }
    T* out = advantage.mutable_data_ptr<T>();
    for (int64_t i = 0; i < rows; ++i) {
      const double f = factor[id[i]];
      out[i] = f == 0.0 ? T(0) : static_cast<T>((r[i] - all[id[i]].mean) * f);
    }
  };
  reward.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
  return {advantage, mean, std, informative};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("group_advantage", TORCH_BOX(&group_advantage)); }

}  // namespace videostr
