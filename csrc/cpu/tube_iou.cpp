// vIoU of tubes, boxes by frame, a problem at a time. Arithmetic in double.
#include <algorithm>
#include <numeric>

#include "common/box.h"
#include "common/dtype.h"
#include "common/stable.h"
#include "cpu/ragged.h"

namespace videostr {
namespace {

constexpr const char* kOp = "tube_iou";

template <typename T>
Box box_at(const T* v, int64_t i) {
  return {static_cast<double>(v[4 * i]), static_cast<double>(v[4 * i + 1]), static_cast<double>(v[4 * i + 2]),
          static_cast<double>(v[4 * i + 3])};
}

// Rows of a problem by frame, one a frame: the last one written.
void by_frame(const int64_t* frame, int64_t begin, int64_t end, std::vector<int64_t>& rows) {
  rows.resize(static_cast<size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  if (!std::is_sorted(frame + begin, frame + end))
    std::stable_sort(rows.begin(), rows.end(), [&](int64_t i, int64_t j) { return frame[i] < frame[j]; });
  size_t kept = 0;
  for (const int64_t row : rows) {
    if (kept > 0 && frame[rows[kept - 1]] == frame[row])
      rows[kept - 1] = row;
    else
      rows[kept++] = row;
  }
  rows.resize(kept);
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
      std::vector<int64_t> mine, truth;
      for (int64_t b = from; b < to; ++b) {
        by_frame(p_frame, p_rows.begin(b), p_rows.end(b), mine);
        by_frame(t_frame, t_rows.begin(b), t_rows.end(b), truth);
        double sum = 0.0;
        size_t shared = 0;
        for (size_t i = 0, j = 0; i < mine.size() && j < truth.size();) {
          const int64_t mine_frame = p_frame[mine[i]], true_frame = t_frame[truth[j]];
          if (mine_frame == true_frame) {
            sum += box_score<false>(box_at(p, mine[i]), box_at(t, truth[j]));
            ++shared;
          }
          i += mine_frame <= true_frame;
          j += true_frame <= mine_frame;
        }
        const size_t frames = over_target ? truth.size() : mine.size() + truth.size() - shared;
        o[b] = frames > 0 ? static_cast<T>(sum / static_cast<double>(frames)) : T(0);
      }
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) { m.impl("tube_iou", TORCH_BOX(&tube_iou)); }

}  // namespace videostr
