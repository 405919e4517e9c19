#include "cpu/assignment_workspace.h"

#include <algorithm>
#include <cmath>

#include "cpu/simd.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // no vector crosses a call: the solver is inlined into its entries
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of gcc 12's own headers
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace videostr::lap {
namespace {

// Function clones come too late for vector types: the compiler has split them into the smallest by then. So the solver is
// compiled once a level, and the processor asked once.
typedef void (*Solver)(const Problem&, const Scratch&);
struct Solvers {
  Solver of_8, of_16, of_32, of_any;  // by the columns that a row has room for
};

namespace plain {
#define VIDEOSTR_LEVEL 0
#include "cpu/assignment_solver.h"
#undef VIDEOSTR_LEVEL
}
#if defined(VIDEOSTR_LEVELS)
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
namespace level_3 {
#define VIDEOSTR_LEVEL 3
#include "cpu/assignment_solver.h"
#undef VIDEOSTR_LEVEL
}
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
namespace level_4 {
#define VIDEOSTR_LEVEL 4
#include "cpu/assignment_solver.h"
#undef VIDEOSTR_LEVEL
}
#pragma GCC pop_options
#endif

Solvers solvers() {
#if defined(VIDEOSTR_LEVELS)
  if (VIDEOSTR_HAS_LEVEL_4) return level_4::kSolvers;
  if (VIDEOSTR_HAS_LEVEL_3) return level_3::kSolvers;
#endif
  return plain::kSolvers;
}

constexpr double kTame = 0x1p900;  // up to here no sum of costs and prices overflows

// Rows of double, padded with infinity; whether every cost is finite and tame.
template <typename T>
VIDEOSTR_INLINE bool copy_costs(const T* from, int64_t row_step, int64_t column_step, int rows, int columns, double sign,
                                double* to, int padded) {
  int wild = 0;
  for (int i = 0; i < rows; ++i, from += row_step, to += padded) {
    if (column_step == 1) {
      for (int j = 0; j < columns; ++j) {
        to[j] = sign * static_cast<double>(from[j]);
        wild |= !(std::abs(to[j]) <= kTame);
      }
    } else {
      for (int j = 0; j < columns; ++j) {
        to[j] = sign * static_cast<double>(from[j * column_step]);
        wild |= !(std::abs(to[j]) <= kTame);
      }
    }
    for (int j = columns; j < padded; ++j) to[j] = kInfinity;
  }
  return wild == 0;
}

VIDEOSTR_CLONES bool copy(const float* from, int64_t row_step, int64_t column_step, int rows, int columns, double sign,
                          double* to, int padded) {
  return copy_costs(from, row_step, column_step, rows, columns, sign, to, padded);
}
VIDEOSTR_CLONES bool copy(const double* from, int64_t row_step, int64_t column_step, int rows, int columns, double sign,
                          double* to, int padded) {
  return copy_costs(from, row_step, column_step, rows, columns, sign, to, padded);
}

// Forbidden pairs get a cost that no exchange of allowed ones can make up for, so that as few as can be are taken; costs
// near the end of double's range are brought down, all by one power of two.
void tame(double* cost, int rows, int columns, int padded) {
  double low = kInfinity, high = -kInfinity;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      const double c = cost[i * padded + j];
      if (!std::isfinite(c)) continue;
      low = std::min(low, c);
      high = std::max(high, c);
    }
  }
  if (low > high) low = high = 0.0;
  const double factor = std::max(-low, high) > kTame ? 0x1p-200 : 1.0;
  low *= factor;
  high *= factor;
  double forbidden = low + std::max((rows + 1) * (high - low), std::abs(low));
  if (forbidden == low) forbidden = low + 1.0;  // every allowed cost is 0
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      double& c = cost[i * padded + j];
      c = std::isfinite(c) ? c * factor : forbidden;
    }
  }
}

}  // namespace

Workspace::Room Workspace::room(int rows, int padded) {
  Line* lines = lines_;
  int* indices = indices_;
  int most = kMost;
  if (padded > kMost) {
    most = padded;
    const size_t line_count = static_cast<size_t>(rows + kLines) * padded / kPadding;
    const size_t index_count = 3 * static_cast<size_t>(padded);
    if (large_lines_.size() < line_count) large_lines_.resize(line_count);
    if (large_indices_.size() < index_count) large_indices_.resize(index_count);
    lines = large_lines_.data();
    indices = large_indices_.data();
  }
  const auto at = [&](int k) { return lines[static_cast<size_t>(k) * most / kPadding].numbers; };
  auto* words = reinterpret_cast<uint64_t*>(at(6));  // one in 64 of it for each set
  return {at(kLines),
          {at(0), at(1), at(2), at(3), words, words + most / 2, at(4), reinterpret_cast<int64_t*>(at(5)), indices, indices + most,
           indices + 2 * most}};
}

template <typename T>
const int* Workspace::solve(const T* cost, int64_t rows, int64_t columns, int64_t stride, bool maximize) {
  const bool transposed = rows > columns;
  const int few = static_cast<int>(transposed ? columns : rows), many = static_cast<int>(transposed ? rows : columns);
  const int padded = many <= 8 ? 8 : many <= 16 ? 16 : many <= 32 ? 32 : (many + kPadding - 1) / kPadding * kPadding;
  const Room here = room(few, padded);
  const double sign = maximize ? -1.0 : 1.0;
  if (!copy(cost, transposed ? 1 : stride, transposed ? stride : 1, few, many, sign, here.cost, padded)) {
    tame(here.cost, few, many, padded);
  }
  const Problem problem{here.cost, few, many, padded};
  static const Solvers solver = solvers();
  const Solver solve = padded == 8 ? solver.of_8 : padded == 16 ? solver.of_16 : padded == 32 ? solver.of_32 : solver.of_any;
  solve(problem, here.scratch);
  return here.scratch.column_of;
}

template const int* Workspace::solve(const float*, int64_t, int64_t, int64_t, bool);
template const int* Workspace::solve(const double*, int64_t, int64_t, int64_t, bool);

}  // namespace videostr::lap
