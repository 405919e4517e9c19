// Average precision of scored intervals at several IoU thresholds, a problem at a time.
#include <algorithm>
#include <limits>
#include <numeric>

#include "common/dtype.h"
#include "common/interval.h"
#include "common/stable.h"
#include "cpu/ragged.h"

namespace videostr {
namespace {

constexpr const char* kOp = "temporal_average_precision";

template <typename T>
struct Predictions {
  const T *span, *score;
  const int64_t* video;  // null: all of one
};

struct Candidate {
  double iou;
  int64_t target;
};

template <typename T>
Span span_at(const T* values, int64_t i) {
  return {static_cast<double>(values[2 * i]), static_cast<double>(values[2 * i + 1])};
}

// Area under the interpolated precision: each true positive adds the best precision at its recall or beyond.
double area(const std::vector<uint8_t>& positive, int64_t targets) {
  std::vector<double> precision(positive.size());
  double found = 0.0;
  for (size_t k = 0; k < positive.size(); ++k) {
    found += positive[k];
    precision[k] = found / static_cast<double>(k + 1);
  }
  double best = 0.0, sum = 0.0;
  for (size_t k = positive.size(); k-- > 0;) {
    best = std::max(best, precision[k]);
    if (positive[k]) sum += best;
  }
  return targets > 0 ? sum / static_cast<double>(targets) : 0.0;
}

template <typename T>
class Problem {
 public:
  Problem(const Predictions<T>& pred, const T* target, const int64_t* target_video)
      : pred_(pred), target_(target), target_video_(target_video) {}

  // Rows of the predictions and of the true intervals -> out, one value a threshold.
  void solve(int64_t p_begin, int64_t p_end, int64_t t_begin, int64_t t_end, const std::vector<double>& thresholds,
             T* out) {
    rank_predictions(p_begin, p_end);
    group_targets(t_begin, t_end);
    std::vector<std::vector<uint8_t>> positive(thresholds.size(), std::vector<uint8_t>(order_.size(), 0));
    std::vector<std::vector<uint8_t>> taken(thresholds.size(), std::vector<uint8_t>(by_video_.size(), 0));
    for (size_t k = 0; k < order_.size(); ++k) {
      find_candidates(order_[k]);
      for (size_t h = 0; h < thresholds.size(); ++h) {
        for (const Candidate& candidate : candidates_) {  // the best that is free; below the threshold none counts
          if (candidate.iou < thresholds[h]) break;
          uint8_t& used = taken[h][static_cast<size_t>(candidate.target - t_begin)];
          if (used) continue;
          used = positive[h][k] = 1;
          break;
        }
      }
    }
    for (size_t h = 0; h < thresholds.size(); ++h) out[h] = static_cast<T>(area(positive[h], t_end - t_begin));
  }

 private:
  void rank_predictions(int64_t begin, int64_t end) {
    order_.resize(static_cast<size_t>(end - begin));
    std::iota(order_.begin(), order_.end(), begin);
    const auto rank = [&](int64_t i) {  // NaN would be no order
      return pred_.score[i] == pred_.score[i] ? pred_.score[i] : -std::numeric_limits<T>::infinity();
    };
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t i, int64_t j) { return rank(i) > rank(j); });
  }

  void group_targets(int64_t begin, int64_t end) {
    by_video_.resize(static_cast<size_t>(end - begin));
    std::iota(by_video_.begin(), by_video_.end(), begin);
    if (target_video_ != nullptr)
      std::stable_sort(by_video_.begin(), by_video_.end(),
                       [&](int64_t i, int64_t j) { return target_video_[i] < target_video_[j]; });
  }

  void find_candidates(int64_t prediction) {
    auto first = by_video_.begin(), last = by_video_.end();
    if (target_video_ != nullptr) {
      const int64_t video = pred_.video[prediction];
      first = std::lower_bound(first, last, video, [&](int64_t i, int64_t v) { return target_video_[i] < v; });
      last = std::upper_bound(first, last, video, [&](int64_t v, int64_t i) { return v < target_video_[i]; });
    }
    candidates_.clear();
    for (auto at = first; at != last; ++at)
      candidates_.push_back({score<Kind::iou>(span_at(pred_.span, prediction), span_at(target_, *at)), *at});
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
      return a.iou != b.iou ? a.iou > b.iou : a.target > b.target;  // the last of equals, as the released code
    });
  }

  Predictions<T> pred_;
  const T* target_;
  const int64_t* target_video_;
  std::vector<int64_t> order_, by_video_;
  std::vector<Candidate> candidates_;
};

Tensor temporal_average_precision(const Tensor& pred_in, const Tensor& score_in, const Tensor& pred_offsets,
                                  const Tensor& target_in, const Tensor& target_offsets,
                                  const std::vector<double>& thresholds, const std::optional<Tensor>& pred_video_in,
                                  const std::optional<Tensor>& target_video_in) {
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Tensor scores = torch::stable::contiguous(score_in);
  STD_TORCH_CHECK(pred_video_in.has_value() == target_video_in.has_value(), kOp,
                  ": pred_video and target_video come together");
  std::optional<Tensor> pred_video, target_video;
  if (pred_video_in.has_value()) {
    pred_video = torch::stable::contiguous(*pred_video_in);
    target_video = torch::stable::contiguous(*target_video_in);
  }
  const Offsets p_rows(kOp, "pred_offsets", pred_offsets, pred.size(0));
  const Offsets t_rows(kOp, "target_offsets", target_offsets, target.size(0));
  check_same_count(kOp, p_rows, t_rows);
  const int64_t count = p_rows.count(), columns = static_cast<int64_t>(thresholds.size());
  Tensor out = torch::stable::new_empty(pred, {count, columns});
  dispatch(pred, [&](auto zero) {
    using T = decltype(zero);
    const Predictions<T> predictions{pred.const_data_ptr<T>(), scores.const_data_ptr<T>(),
                                     pred_video ? pred_video->const_data_ptr<int64_t>() : nullptr};
    const T* t = target.const_data_ptr<T>();
    const int64_t* videos = target_video ? target_video->const_data_ptr<int64_t>() : nullptr;
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, count, grain(2048), [&](int64_t from, int64_t to) {
      Problem<T> problem(predictions, t, videos);
      for (int64_t b = from; b < to; ++b)
        problem.solve(p_rows.begin(b), p_rows.end(b), t_rows.begin(b), t_rows.end(b), thresholds, o + b * columns);
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) {
  m.impl("temporal_average_precision", TORCH_BOX(&temporal_average_precision));
}

}  // namespace videostr
