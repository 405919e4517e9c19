// One assignment problem: shortest augmenting paths after a column reduction and an augmenting row reduction
// (R. Jonker, A. Volgenant, Computing 38, 1987), with rows of 8 costs a vector and nothing allocated.
//
// Costs and prices are double whatever the input, so the answer is optimal for the numbers that came. Rows have no price
// of their own: that of a matched row is its cost less its column's price. Prices of columns that stay free are 0.
//
// No include guard: included once an instruction set, each time inside a namespace (assignment_workspace.cpp).

struct Best {
  double value, second;
  int column;
};

VIDEOSTR_INLINE Doubles all(double x) { return Doubles{} + x; }
VIDEOSTR_INLINE Ints lanes() { return Ints{0, 1, 2, 3, 4, 5, 6, 7}; }

#if defined(__clang__)
#define VIDEOSTR_SHUFFLE(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
#define VIDEOSTR_SHUFFLE(v, ...) __builtin_shuffle(v, Ints{__VA_ARGS__})  // before gcc 12 the only one
#endif
// One halving of a vector of (value, column, second): each lane takes the better of itself and the lane it looks at.
#define VIDEOSTR_HALVE(...)                                               \
  {                                                                       \
    const Doubles other = VIDEOSTR_SHUFFLE(value, __VA_ARGS__);           \
    const Ints other_column = VIDEOSTR_SHUFFLE(column, __VA_ARGS__);      \
    const Ints less = other < value;                                      \
    if (with_second) {                                                    \
      const Doubles other_second = VIDEOSTR_SHUFFLE(second, __VA_ARGS__); \
      const Doubles worse = less ? value : other;                         \
      second = other_second < second ? other_second : second;             \
      second = worse < second ? worse : second;                           \
    }                                                                     \
    column = less ? other_column : column;                                \
    value = less ? other : value;                                         \
  }

template <bool with_second>
VIDEOSTR_INLINE Best best_lane(Doubles value, Ints column, Doubles second) {
  VIDEOSTR_HALVE(4, 5, 6, 7, 0, 1, 2, 3)
  VIDEOSTR_HALVE(2, 3, 0, 1, 6, 7, 4, 5)
  VIDEOSTR_HALVE(1, 0, 3, 2, 5, 4, 7, 6)
  return {value[0], second[0], static_cast<int>(column[0])};
}
#undef VIDEOSTR_HALVE
#undef VIDEOSTR_SHUFFLE

// Smallest of width vectors, where it stands, and the second smallest.
template <int W, bool with_second, typename Value>
VIDEOSTR_INLINE Best best(int width, Value&& at) {
  Doubles value = at(0), second = all(kInfinity);
  Ints column = lanes();
  for (int k = 1; k < (W > 0 ? W : width); ++k) {
    const Doubles other = at(k);
    const Ints less = other < value;
    if (with_second) {
      const Doubles worse = less ? value : other;
      second = worse < second ? worse : second;
    }
    column = less ? lanes() + k * kLanes : column;
    value = less ? other : value;
  }
  return best_lane<with_second>(value, column, second);
}

template <typename Vector, typename Scalar>
VIDEOSTR_INLINE void set_lane(Vector* vectors, int column, Scalar to) {
  // the whole vector is written, so that a load right behind it need not wait
  Vector& v = vectors[column / kLanes];
  v = (lanes() == Ints{} + column % kLanes) ? Vector{} + to : v;
}

VIDEOSTR_INLINE double lane(const Doubles* vectors, int column) {
  return reinterpret_cast<const double*>(vectors)[column];
}

template <int W>
VIDEOSTR_INLINE void match(const Scratch& s, int row, int column) {
  s.column_of[row] = column;
  s.row_of[column] = row;
  set_lane(s.taken, column, int64_t{-1});
}

// Every column takes its cheapest row, if that is still free, and its price falls until another column would do as well.
// For square problems: in others a column that stays free must keep the price 0.
template <int W>
VIDEOSTR_INLINE void reduce_columns(const Problem& p, const Scratch& s, int width) {
  for (int k = 0; k < width; ++k) {
    Doubles low = p.cost[k];
    Ints row = {};
    for (int i = 1; i < p.rows; ++i) {
      const Doubles c = p.cost[i * width + k];
      const Ints less = c < low;
      low = less ? c : low;
      row = less ? Ints{} + i : row;
    }
    s.price[k] = low < kInfinity ? low : Doubles{};  // behind the last column there is nothing
    s.parent[k] = row;
  }
  const auto* cheapest = reinterpret_cast<const int64_t*>(s.parent);
  for (int j = p.columns - 1; j >= 0; --j) {
    const int i = static_cast<int>(cheapest[j]);
    if (s.column_of[i] < 0) match<W>(s, i, j);
  }
}

// Rows without a column bid for their best one by as much as it beats the second best. Returns how many are left.
template <int W>
VIDEOSTR_INLINE int bid(const Problem& p, const Scratch& s, int width, int waiting) {
  for (int pass = 0; pass < 2 && waiting > 0; ++pass) {
    int next = 0, left = 0;
    int steps = 4 * p.rows;  // rounding can make a bid too small to end a contest
    while (next < waiting) {
      const int i = s.queue[next++];
      const Doubles* row = p.cost + i * width;
      Best b = best<W, true>(width, [&](int k) { return row[k] - s.price[k]; });
      const bool clear = b.value < b.second;
      if (!clear) {  // of equals a free one
        const Best f = best<W, false>(
            width, [&](int k) { return s.taken[k] ? all(kInfinity) : row[k] - s.price[k]; });
        if (f.value == b.value) b.column = f.column;
      } else {
        set_lane(s.price, b.column, lane(s.price, b.column) - (b.second - b.value));
      }
      const int out = s.row_of[b.column];
      match<W>(s, i, b.column);
      if (out < 0) continue;
      s.column_of[out] = -1;
      if (clear && --steps > 0) {
        s.queue[--next] = out;
      } else {
        s.queue[left++] = out;
      }
    }
    waiting = left;
  }
  return waiting;
}

// The cheapest way for a row to a free column, over rows that move to another; then they move.
template <int W>
VIDEOSTR_INLINE void augment(const Problem& p, const Scratch& s, int width, int start) {
  const Doubles* row = p.cost + start * width;
  for (int k = 0; k < width; ++k) {
    s.open[k] = row[k] - s.price[k];
    s.parent[k] = Ints{} + start;
    s.settled[k] = all(kInfinity);
  }
  int end;
  double reached;
  for (;;) {
    const Best f = best<W, false>(width, [&](int k) { return s.taken[k] ? all(kInfinity) : s.open[k]; });
    const Best b =
        best<W, false>(width, [&](int k) { return s.settled[k] < kInfinity ? all(kInfinity) : s.open[k]; });
    reached = b.value;
    if (f.value <= b.value) {
      end = f.column;
      break;
    }
    set_lane(s.settled, b.column, reached);
    const int i = s.row_of[b.column];
    row = p.cost + i * width;
    const Doubles offset = all(reached - (lane(row, b.column) - lane(s.price, b.column)));
    for (int k = 0; k < width; ++k) {
      const Doubles through = row[k] - s.price[k] + offset;
      const Ints less = through < s.open[k];
      s.open[k] = less ? through : s.open[k];
      s.parent[k] = (less & (s.settled[k] == kInfinity)) ? Ints{} + i : s.parent[k];
    }
  }
  for (int k = 0; k < width; ++k) {
    const Doubles fall = s.settled[k] - reached;
    s.price[k] += fall < 0.0 ? fall : Doubles{};
  }
  const auto* parent = reinterpret_cast<const int64_t*>(s.parent);
  set_lane(s.taken, end, int64_t{-1});
  for (int j = end;;) {
    const int i = static_cast<int>(parent[j]), next = s.column_of[i];
    s.row_of[j] = i;
    s.column_of[i] = j;
    if (i == start) break;
    j = next;
  }
}

// column_of and row_of: of each row, of each column (-1: free). W: the width where it is known, else 0.
template <int W>
VIDEOSTR_INLINE void solve(const Problem& p, const Scratch& s) {
  const int width = W > 0 ? W : p.width;
  for (int k = 0; k < width; ++k) {
    s.price[k] = Doubles{};
    s.taken[k] = Ints{};
  }
  for (int j = 0; j < p.columns; ++j) s.row_of[j] = -1;
  for (int i = 0; i < p.rows; ++i) s.column_of[i] = -1;
  if (p.rows == p.columns) reduce_columns<W>(p, s, width);
  int waiting = 0;
  for (int i = 0; i < p.rows; ++i) {
    if (s.column_of[i] < 0) s.queue[waiting++] = i;
  }
  waiting = bid<W>(p, s, width, waiting);
  for (int k = 0; k < waiting; ++k) augment<W>(p, s, width, s.queue[k]);
}

inline void solve_8(const Problem& p, const Scratch& s) { solve<1>(p, s); }
inline void solve_16(const Problem& p, const Scratch& s) { solve<2>(p, s); }
inline void solve_32(const Problem& p, const Scratch& s) { solve<4>(p, s); }
inline void solve_any(const Problem& p, const Scratch& s) { solve<0>(p, s); }
constexpr Solvers kSolvers{solve_8, solve_16, solve_32, solve_any};
