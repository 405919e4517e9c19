// Ragged batches: problem b owns rows offsets[b] up to offsets[b + 1].
#pragma once

#include "common/stable.h"

namespace videostr {

// Offsets as they are read: contiguous, [problems + 1], from 0 to rows, never falling.
class Offsets {
 public:
  Offsets(const char* op, const char* name, const Tensor& offsets, int64_t rows)
      : held_(torch::stable::contiguous(offsets)), at_(held_.const_data_ptr<int64_t>()), count_(held_.numel() - 1) {
    STD_TORCH_CHECK(count_ >= 0, op, ": ", name, " must have at least one entry");
    STD_TORCH_CHECK(at_[0] == 0 && at_[count_] == rows, op, ": ", name, " must run from 0 to ", rows);
    for (int64_t b = 0; b < count_; ++b)
      STD_TORCH_CHECK(at_[b] <= at_[b + 1], op, ": ", name, " must not fall");
  }

  int64_t count() const { return count_; }
  int64_t begin(int64_t b) const { return at_[b]; }
  int64_t end(int64_t b) const { return at_[b + 1]; }

 private:
  Tensor held_;
  const int64_t* at_;
  int64_t count_;
};

inline void check_same_count(const char* op, const Offsets& a, const Offsets& b) {
  STD_TORCH_CHECK(a.count() == b.count(), op, ": both offsets must have the same length");
}

}  // namespace videostr
