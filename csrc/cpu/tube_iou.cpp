// vIoU of tubes, boxes by frame, a problem at a time. Arithmetic in double.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "common/box.h"
#include "common/dtype.h"
#include "common/stable.h"
#include "cpu/ragged.h"
#include "cpu/simd.h"

namespace videostr {
namespace {

constexpr const char* kOp = "tube_iou";

template <typename T>
VIDEOSTR_INLINE Box box_at(const T* v, int64_t i) {
  return {static_cast<double>(v[4 * i]), static_cast<double>(v[4 * i + 1]), static_cast<double>(v[4 * i + 2]),
          static_cast<double>(v[4 * i + 3])};
}

// Rows of a problem by frame, one a frame: the last one written. Frames that rise already, the usual case, make no list.
struct Rows {
  std::vector<int64_t> list;
  int64_t first = 0;
  size_t count = 0;
  bool rising = true;

  int64_t operator[](size_t i) const { return rising ? first + static_cast<int64_t>(i) : list[i]; }
};

void by_frame(const int64_t* frame, int64_t begin, int64_t end, Rows& found) {
  found.first = begin;
  found.count = static_cast<size_t>(end - begin);
  found.rising = true;
  for (int64_t i = begin + 1; i < end; ++i) found.rising &= frame[i - 1] < frame[i];
  if (found.rising) return;
  std::vector<int64_t>& rows = found.list;
  rows.resize(found.count);
  std::iota(rows.begin(), rows.end(), begin);
  std::stable_sort(rows.begin(), rows.end(), [&](int64_t i, int64_t j) { return frame[i] < frame[j]; });
  size_t kept = 0;
  for (const int64_t row : rows) {
    if (kept > 0 && frame[rows[kept - 1]] == frame[row])
      rows[kept - 1] = row;
    else
      rows[kept++] = row;
  }
  found.count = kept;
}

// Boxes of the frames that both have, side by side.
template <typename T>
struct Pairs {
  std::vector<T> pred, target;
  std::vector<double> score;
  int64_t count = 0;

  // Without branches: which list is ahead is not to be foreseen.
  void find(const T* p, const int64_t* p_frame, const Rows& p_rows, const T* t, const int64_t* t_frame,
            const Rows& t_rows) {
    const size_t most = std::min(p_rows.count, t_rows.count) + 1;  // one is written beyond the last
    if (score.size() < most) {
      pred.resize(4 * most);
      target.resize(4 * most);
      score.resize(most);
    }
    count = 0;
    for (size_t i = 0, j = 0; i < p_rows.count && j < t_rows.count;) {
      const int64_t p_row = p_rows[i], t_row = t_rows[j], mine = p_frame[p_row], truth = t_frame[t_row];
      std::memcpy(&pred[static_cast<size_t>(4 * count)], p + 4 * p_row, 4 * sizeof(T));
      std::memcpy(&target[static_cast<size_t>(4 * count)], t + 4 * t_row, 4 * sizeof(T));
      count += mine == truth;
      i += mine <= truth;
      j += truth <= mine;
    }
  }
};

template <typename T>
VIDEOSTR_CLONES void score_pairs(const T* __restrict p, const T* __restrict t, double* __restrict score, int64_t n) {
  for (int64_t i = 0; i < n; ++i) score[i] = box_score<false>(box_at(p, i), box_at(t, i));
}

Tensor tube_iou(const Tensor& pred_in, const Tensor& pred_frame_in, const Tensor& pred_offsets,
                const Tensor& target_in, const Tensor& target_frame_in, const Tensor& target_offsets,
                const std::string& over) {
  STD_TORCH_CHECK(over == "target" || over == "union", kOp, ": over must be target or union, got ", over);
  const Tensor pred = torch::stable::contiguous(pred_in), target = torch::stable::contiguous(target_in);
  const Tensor pred_frame = torch::stable::contiguous(pred_frame_in);
  const Tensor target_frame = torch::stable::contiguous(target_frame_in);
  const Offsets p_rows(kOp, "pred_offsets", pred_offsets, pred.size(0));
  const Offsets t_rows(kOp, "target_offsets", target_offsets, target.size(0));
  check_same_count(kOp, p_rows, t_rows);
  const auto *p_frame = pred_frame.const_data_ptr<int64_t>(), *t_frame = target_frame.const_data_ptr<int64_t>();
  const bool over_target = over == "target";
  Tensor out = torch::stable::new_empty(pred, {p_rows.count()});
  dispatch(pred, [&](auto zero) {
    using T = decltype(zero);
    const T *p = pred.const_data_ptr<T>(), *t = target.const_data_ptr<T>();
    T* o = out.mutable_data_ptr<T>();
    torch::stable::parallel_for(0, p_rows.count(), grain(512), [&](int64_t from, int64_t to) {
      Rows mine, truth;
      Pairs<T> pairs;
      for (int64_t b = from; b < to; ++b) {
        by_frame(p_frame, p_rows.begin(b), p_rows.end(b), mine);
        by_frame(t_frame, t_rows.begin(b), t_rows.end(b), truth);
        pairs.find(p, p_frame, mine, t, t_frame, truth);
        score_pairs(pairs.pred.data(), pairs.target.data(), pairs.score.data(), pairs.count);
        double sum = 0.0;
        for (int64_t k = 0; k < pairs.count; ++k) sum += pairs.score[static_cast<size_t>(k)];
        const size_t frames = over_target ? truth.count : mine.count + truth.count - static_cast<size_t>(pairs.count);
        o[b] = frames > 0 ? static_cast<T>(sum / static_cast<double>(frames)) : T(0);
      }
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("tube_iou", TORCH_BOX(&tube_iou)); }

}  // namespace videostr
