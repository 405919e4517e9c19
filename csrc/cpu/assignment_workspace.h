// Room for one assignment problem at a time: its own up to 64 columns, on the heap beyond and kept for the next.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace videostr::lap {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Rows of `padded` costs, a multiple of kPadding, behind the last column infinity; rows <= columns.
struct Problem {
  const double* cost;
  int rows, columns, padded;
};

constexpr int kPadding = 8;
constexpr int kAlignment = 8 * kPadding;

// Room for what the search works with: `padded` of each, of the sets a bit a column. The first six are for rows that are
// too wide for registers.
struct Scratch {
  double *now, *open, *live, *settled;
  uint64_t *free, *ties;
  double* price;
  int64_t* parent;
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
  static constexpr int kMost = 64, kLines = 7;

  struct Room {
    double* cost;
    Scratch scratch;
  };
  Room room(int rows, int padded);

  struct alignas(kAlignment) Line {
    double numbers[kPadding];
  };
  Line lines_[(kMost + kLines) * kMost / kPadding];
  int indices_[3 * kMost];
  std::vector<Line> large_lines_;
  std::vector<int> large_indices_;
};

extern template const int* Workspace::solve(const float*, int64_t, int64_t, int64_t, bool);
extern template const int* Workspace::solve(const double*, int64_t, int64_t, int64_t, bool);

}  // namespace videostr::lap
