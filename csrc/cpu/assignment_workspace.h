// Room for one assignment problem at a time: its own up to 64 columns, on the heap beyond and kept for the next.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/simd.h"

namespace videostr::lap {

constexpr int kLanes = 8;
constexpr int kAlignment = 8 * kLanes;  // said aloud: without AVX-512 gcc would align vectors to less than its own code for it asks
typedef double Doubles __attribute__((vector_size(8 * kLanes), aligned(kAlignment)));
typedef int64_t Ints __attribute__((vector_size(8 * kLanes), aligned(kAlignment)));

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Rows of `width` vectors, padded with infinity; rows <= columns.
struct Problem {
  const Doubles* cost;
  int rows, columns, width;
};

// width vectors each, what the search works with; columns and rows integers each.
struct Scratch {
  Doubles *price, *open, *settled;
  Ints *parent, *taken;  // taken: -1 for a column that is matched
  int *column_of, *row_of, *queue;
};

class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;

  // Column of each row, or row of each column where there are more rows than columns: a pairing of all of the shorter side,
  // with as few pairs as can be that are not finite and of those one of least (greatest) total. rows, columns >= 1;
  // costs: a row every `stride`.
  template <typename T>
  const int* solve(const T* cost, int64_t rows, int64_t columns, int64_t stride, bool maximize);

 private:
  static constexpr int kMost = 64, kWidth = kMost / kLanes;

  struct Room {
    Doubles* cost;
    Scratch scratch;
  };
  Room room(int rows, int width);

  struct alignas(kAlignment) Line {  // a vector's own type would lose its alignment as an argument of a template
    double numbers[kLanes];
  };
  Line lines_[(kMost + 5) * kWidth];
  int indices_[3 * kMost];
  std::vector<Line> large_lines_;
  std::vector<int> large_indices_;
};

extern template const int* Workspace::solve(const float*, int64_t, int64_t, int64_t, bool);
extern template const int* Workspace::solve(const double*, int64_t, int64_t, int64_t, bool);

}  // namespace videostr::lap
