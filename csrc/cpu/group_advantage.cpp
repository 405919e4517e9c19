// Rewards and groups -> advantages and the groups' statistics. Ids become offsets and an order of the rows by a counting
// sort; then groups run in parallel, each over its own rows in their order: the same bits whatever the number of threads,
// and whether groups come as ids or as offsets.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/stable.h"

namespace videostr {
namespace {

struct Spread {
  double mean = 0.0, std = 0.0, low = 0.0, high = 0.0;
};

// std: unbiased; exactly 0 for fewer than two values and for equal ones, whatever the rounding of their mean.
Spread spread(const double* value, int64_t count) {
  if (count == 0) return {};
  double sum = 0.0, squares = 0.0, low = value[0], high = value[0];
  for (int64_t i = 0; i < count; ++i) {
    sum += value[i];
    low = std::min(low, value[i]);
    high = std::max(high, value[i]);
  }
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) squares += (value[i] - mean) * (value[i] - mean);
  return {mean, low == high ? 0.0 : std::sqrt(squares / static_cast<double>(count - 1)), low, high};
}

template <typename T>
void check_finite(const char* name, const T* value, int64_t count, int64_t columns) {
  bool bad = false;
  for (int64_t i = 0; i < count; ++i) bad |= !(std::abs(value[i]) <= std::numeric_limits<T>::max());
  for (int64_t i = 0; bad && i < count; ++i)
    STD_TORCH_CHECK(std::isfinite(value[i]), "group_advantage: ", name, " must be finite, got ", value[i], " at index ",
                    i / columns, columns > 1 ? ", column " + std::to_string(i % columns) : "");
}

void check_offsets(const int64_t* offset, int64_t groups, int64_t rows) {
  for (int64_t b = 0; b <= groups; ++b) {
    const bool good = offset[b] >= (b == 0 ? 0 : offset[b - 1]) && (b > 0 || offset[b] == 0) && offset[b] <= rows &&
                      (b < groups || offset[b] == rows);
    STD_TORCH_CHECK(good, "group_advantage: offsets must run from 0 to ", rows, " without falling, got ", offset[b],
                    " at index ", b);
  }
}

// Rows by group, in their order within each.
void sort_rows(const int64_t* id, int64_t rows, int64_t groups, std::vector<int64_t>& offset,
               std::vector<int64_t>& order) {
  offset.assign(groups + 1, 0);
  for (int64_t i = 0; i < rows; ++i) {
    STD_TORCH_CHECK(id[i] >= 0 && id[i] < groups, "group_advantage: group must hold ids in [0, ", groups, "), got ", id[i],
                    " at index ", i);
    ++offset[id[i] + 1];
  }
  for (int64_t b = 0; b < groups; ++b) offset[b + 1] += offset[b];
  std::vector<int64_t> next(offset.begin(), offset.end() - 1);
  order.resize(rows);
  for (int64_t i = 0; i < rows; ++i) order[next[id[i]]++] = i;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> group_advantage(
    const Tensor& reward_in, const std::optional<Tensor>& group_in, const std::optional<Tensor>& offsets_in,
    const std::optional<Tensor>& weights_in, const std::optional<Tensor>& task_reward_in, int64_t groups,
    const std::string& scale, double eps, double min_std) {
  STD_TORCH_CHECK(group_in.has_value() != offsets_in.has_value(), "group_advantage: either group or offsets");
  auto contiguous = [](const std::optional<Tensor>& x) { return x ? torch::stable::contiguous(*x) : Tensor(); };
  const Tensor reward = torch::stable::contiguous(reward_in), index = contiguous(group_in ? group_in : offsets_in);
  const Tensor weights = contiguous(weights_in), task_reward = contiguous(task_reward_in);
  const int64_t rows = reward.size(0), columns = reward.size(1);
  STD_TORCH_CHECK(index.numel() == (group_in ? rows : groups + 1), "group_advantage: ", group_in ? "group" : "offsets",
                  " must have shape (", group_in ? rows : groups + 1, ",)");

  std::vector<int64_t> sorted_offset, sorted_order;
  const int64_t *offset = index.const_data_ptr<int64_t>(), *order = nullptr;
  if (group_in) {
    sort_rows(offset, rows, groups, sorted_offset, sorted_order);
    offset = sorted_offset.data(), order = sorted_order.data();
  } else {
    check_offsets(offset, groups, rows);
  }
  Tensor advantage = torch::stable::new_empty(reward, {rows});
  Tensor mean = torch::stable::new_empty(reward, {groups}), std = torch::stable::new_empty(reward, {groups});
  Tensor min = torch::stable::new_empty(reward, {groups}), max = torch::stable::new_empty(reward, {groups});
  Tensor count = torch::stable::new_empty(reward, {groups}, ScalarType::Long);
  Tensor informative = torch::stable::new_empty(reward, {groups}, ScalarType::Bool);

  auto run = [&](auto zero) {
    using T = decltype(zero);
    const T* r = reward.const_data_ptr<T>();
    const T* weight = weights_in ? weights.const_data_ptr<T>() : nullptr;
    const T* task = task_reward_in ? task_reward.const_data_ptr<T>() : nullptr;
    check_finite("reward", r, rows * columns, columns);
    if (weight != nullptr) check_finite("weights", weight, columns, 1);
    if (task != nullptr) check_finite("task_reward", task, rows, 1);
    auto row = [&](int64_t j) { return order != nullptr ? order[j] : j; };
    auto weight_of = [&](int64_t k) { return weight != nullptr ? static_cast<double>(weight[k]) : 1.0; };

    std::vector<double> value(rows);  // weighted sums, by group
    std::vector<Spread> compared(groups);
    T *out_mean = mean.mutable_data_ptr<T>(), *out_std = std.mutable_data_ptr<T>();
    T *out_min = min.mutable_data_ptr<T>(), *out_max = max.mutable_data_ptr<T>();
    int64_t* out_count = count.mutable_data_ptr<int64_t>();
    bool* out_informative = informative.mutable_data_ptr<bool>();
    const int64_t work = 8 * (rows / std::max<int64_t>(groups, 1) + 1) * (columns + (task != nullptr));
    torch::stable::parallel_for(0, groups, grain(work), [&](int64_t first, int64_t last) {
      std::vector<double> column;
      for (int64_t b = first; b < last; ++b) {
        const int64_t start = offset[b], n = offset[b + 1] - start;
        double* y = value.data() + start;
        for (int64_t j = 0; j < n; ++j) {
          const T* terms = r + row(start + j) * columns;
          y[j] = 0.0;
          for (int64_t k = 0; k < columns; ++k) y[j] += weight_of(k) * terms[k];
        }
        const Spread sum = compared[b] = spread(y, n);
        double gate = compared[b].std;
        if (task != nullptr) {
          column.resize(n);
          for (int64_t j = 0; j < n; ++j) column[j] = task[row(start + j)];
          gate = spread(column.data(), n).std;
        }
        out_mean[b] = static_cast<T>(sum.mean);
        out_std[b] = static_cast<T>(sum.std);
        out_min[b] = static_cast<T>(sum.low);
        out_max[b] = static_cast<T>(sum.high);
        out_count[b] = n;
        out_informative[b] = gate > min_std;
      }
    });
    const double batch_std = scale == "batch" ? spread(value.data(), rows).std : 0.0;
    T* out = advantage.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, groups, grain(work), [&](int64_t first, int64_t last) {
      for (int64_t b = first; b < last; ++b) {
        const double spread = compared[b].std, n = static_cast<double>(out_count[b]);
        const double factor = !out_informative[b] || spread == 0.0 ? 0.0
                              : scale == "std"                     ? 1.0 / (spread + eps)
                              : scale == "batch"                   ? 1.0 / (batch_std + eps)
                              : scale == "loo"                     ? n / (n - 1.0)
                                                                   : 1.0;
        for (int64_t j = offset[b]; j < offset[b + 1]; ++j)
          out[row(j)] = factor == 0.0 ? T(0) : static_cast<T>((value[j] - compared[b].mean) * factor);
      }
    });
  };
  reward.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
  return {advantage, mean, std, min, max, count, informative};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("group_advantage", TORCH_BOX(&group_advantage)); }

}  // namespace videostr
