// One assignment problem: shortest augmenting paths after a column reduction and an augmenting row reduction
// (R. Jonker, A. Volgenant, Computing 38, 1987), in vectors of the processor's width and with nothing allocated. Columns
// that cost the same are searched together.
//
// Costs and prices are double whatever the input, so the answer is optimal for the numbers that came. Rows have no price
// of their own: that of a matched row is its cost less its column's price. Prices of columns that stay free are 0.
//
// No include guard: included once an instruction set, VIDEOSTR_LEVEL, each time inside a namespace
// (assignment_workspace.cpp). W: vectors a row has where that is known, else 0.

#if VIDEOSTR_LEVEL == 4
constexpr int kLanes = 8;
#elif VIDEOSTR_LEVEL == 3
constexpr int kLanes = 4;
#else
constexpr int kLanes = 2;
#endif
typedef double Doubles __attribute__((vector_size(8 * kLanes)));
typedef int64_t Ints __attribute__((vector_size(8 * kLanes)));

// What a comparison gives: a register of bits with AVX-512, else a vector of -1 and 0.
#if VIDEOSTR_LEVEL == 4
typedef __mmask8 Mask;
VIDEOSTR_INLINE Mask less(Doubles a, Doubles b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ); }
VIDEOSTR_INLINE Mask equal(Doubles a, Doubles b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ); }
VIDEOSTR_INLINE Mask at_most(Doubles a, Doubles b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LE_OQ); }
VIDEOSTR_INLINE Doubles choose(Mask m, Doubles a, Doubles b) {
  return (Doubles)_mm512_mask_blend_pd(m, (__m512d)b, (__m512d)a);
}
VIDEOSTR_INLINE Ints choose(Mask m, Ints a, Ints b) { return (Ints)_mm512_mask_blend_epi64(m, (__m512i)b, (__m512i)a); }
#else
typedef Ints Mask;
VIDEOSTR_INLINE Mask less(Doubles a, Doubles b) { return a < b; }
VIDEOSTR_INLINE Mask equal(Doubles a, Doubles b) { return a == b; }
VIDEOSTR_INLINE Mask at_most(Doubles a, Doubles b) { return a <= b; }
VIDEOSTR_INLINE Doubles choose(Mask m, Doubles a, Doubles b) { return m ? a : b; }
VIDEOSTR_INLINE Ints choose(Mask m, Ints a, Ints b) { return m ? a : b; }
#endif

VIDEOSTR_INLINE unsigned bits(Mask m) {
#if VIDEOSTR_LEVEL == 4
  return m;
#elif VIDEOSTR_LEVEL == 3
  return static_cast<unsigned>(_mm256_movemask_pd((__m256d)m));
#elif defined(__SSE2__)
  return static_cast<unsigned>(_mm_movemask_pd((__m128d)m));
#else
  return static_cast<unsigned>((m[0] & 1) | (m[1] & 2));
#endif
}

VIDEOSTR_INLINE Doubles all(double x) { return Doubles{} + x; }
VIDEOSTR_INLINE double lane(const Doubles* v, int k) { return reinterpret_cast<const double*>(v)[k]; }
// One instruction each, which compilers do not always find.
#if VIDEOSTR_LEVEL == 4
VIDEOSTR_INLINE Doubles lesser(Doubles a, Doubles b) { return (Doubles)_mm512_min_pd((__m512d)a, (__m512d)b); }
VIDEOSTR_INLINE Doubles greater(Doubles a, Doubles b) { return (Doubles)_mm512_max_pd((__m512d)a, (__m512d)b); }
#elif VIDEOSTR_LEVEL == 3
VIDEOSTR_INLINE Doubles lesser(Doubles a, Doubles b) { return (Doubles)_mm256_min_pd((__m256d)a, (__m256d)b); }
VIDEOSTR_INLINE Doubles greater(Doubles a, Doubles b) { return (Doubles)_mm256_max_pd((__m256d)a, (__m256d)b); }
#elif defined(__SSE2__)
VIDEOSTR_INLINE Doubles lesser(Doubles a, Doubles b) { return (Doubles)_mm_min_pd((__m128d)a, (__m128d)b); }
VIDEOSTR_INLINE Doubles greater(Doubles a, Doubles b) { return (Doubles)_mm_max_pd((__m128d)a, (__m128d)b); }
#else
VIDEOSTR_INLINE Doubles lesser(Doubles a, Doubles b) { return choose(less(a, b), a, b); }
VIDEOSTR_INLINE Doubles greater(Doubles a, Doubles b) { return choose(less(a, b), b, a); }
#endif

#if defined(__clang__)
#define VIDEOSTR_SHUFFLE(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
#define VIDEOSTR_SHUFFLE(v, ...) __builtin_shuffle(v, Ints{__VA_ARGS__})  // before gcc 12 the only one
#endif
#if VIDEOSTR_LEVEL == 4
#define VIDEOSTR_HALVINGS(HALVE) HALVE(4, 5, 6, 7, 0, 1, 2, 3) HALVE(2, 3, 0, 1, 6, 7, 4, 5) HALVE(1, 0, 3, 2, 5, 4, 7, 6)
#elif VIDEOSTR_LEVEL == 3
#define VIDEOSTR_HALVINGS(HALVE) HALVE(2, 3, 0, 1) HALVE(1, 0, 3, 2)
#else
#define VIDEOSTR_HALVINGS(HALVE) HALVE(1, 0)
#endif

// The least of the lanes, in every lane.
VIDEOSTR_INLINE Doubles least(Doubles v) {
#define VIDEOSTR_HALVE(...) v = lesser(v, VIDEOSTR_SHUFFLE(v, __VA_ARGS__));
  VIDEOSTR_HALVINGS(VIDEOSTR_HALVE)
#undef VIDEOSTR_HALVE
  return v;
}

// The least of the lanes of value, and the second least of those of both, where second is no less; in every lane.
VIDEOSTR_INLINE void least_two(Doubles& value, Doubles& second) {
#define VIDEOSTR_HALVE(...)                                                                            \
  {                                                                                                    \
    const Doubles other = VIDEOSTR_SHUFFLE(value, __VA_ARGS__);                                        \
    second = lesser(lesser(second, VIDEOSTR_SHUFFLE(second, __VA_ARGS__)), greater(value, other));     \
    value = lesser(value, other);                                                                      \
  }
  VIDEOSTR_HALVINGS(VIDEOSTR_HALVE)
#undef VIDEOSTR_HALVE
}
#undef VIDEOSTR_HALVINGS
#undef VIDEOSTR_SHUFFLE

// Columns as bits of words.
VIDEOSTR_INLINE int words(int width) { return (width * kLanes + 63) / 64; }
VIDEOSTR_INLINE void add_bits(uint64_t* set, int k, unsigned bits) {
  set[k * kLanes / 64] |= static_cast<uint64_t>(bits) << (k * kLanes % 64);
}
VIDEOSTR_INLINE void remove(uint64_t* set, int column) { set[column / 64] &= ~(uint64_t{1} << (column % 64)); }
// The first column of both, -1: there is none.
VIDEOSTR_INLINE int first_of_both(const uint64_t* a, const uint64_t* b, int count) {
  for (int w = 0; w < count; ++w) {
    if (a[w] & b[w]) return 64 * w + __builtin_ctzll(a[w] & b[w]);
  }
  return -1;
}

// What changes from step to step; the caller's own where W is known, so that it stays in registers.
struct State {
  Doubles* price;
  uint64_t *free, *ties;  // free columns; room
};

VIDEOSTR_INLINE void match(const Scratch& s, const State& now, int row, int column) {
  s.column_of[row] = column;
  s.row_of[column] = row;
  remove(now.free, column);
}

// Prices fall to the cheapest row of each column; rows take a column that they are the cheapest of, while there are any.
// For square problems: in others a column that stays free must keep the price 0.
template <int W>
VIDEOSTR_INLINE void reduce_columns(const Problem& p, const Scratch& s, const State& now, const Doubles* cost, int width) {
  for (int k = 0; k < width; ++k) now.price[k] = cost[k];
  for (int i = 1; i < p.rows; ++i) {
    for (int k = 0; k < width; ++k) now.price[k] = lesser(cost[i * width + k], now.price[k]);
  }
  for (int i = 0; i < p.rows; ++i) {
    for (int w = 0; w < words(width); ++w) now.ties[w] = 0;
    for (int k = 0; k < width; ++k) add_bits(now.ties, k, bits(equal(cost[i * width + k], now.price[k])));
    const int j = first_of_both(now.ties, now.free, words(width));
    if (j >= 0) match(s, now, i, j);
  }
  // behind the last column there is nothing
  for (int k = 0; k < width; ++k) now.price[k] = choose(less(now.price[k], all(kInfinity)), now.price[k], Doubles{});
}

// Rows without a column bid for their best one by as much as it beats the second best. Returns how many are left.
template <int W>
VIDEOSTR_INLINE int bid(const Problem& p, const Scratch& s, const State& now, const Doubles* cost, int width, int waiting) {
  for (int pass = 0; pass < 2 && waiting > 0; ++pass) {
    int next = 0, left = 0;
    int steps = 4 * p.rows;  // rounding can make a bid too small to end a contest
    while (next < waiting) {
      const int i = s.queue[next++];
      const Doubles* row = cost + i * width;
      Doubles value = row[0] - now.price[0], second = all(kInfinity);
      for (int k = 1; k < width; ++k) {
        const Doubles other = row[k] - now.price[k];
        second = lesser(second, greater(value, other));
        value = lesser(value, other);
      }
      least_two(value, second);
      for (int w = 0; w < words(width); ++w) now.ties[w] = 0;
      const bool clear = value[0] < second[0];
      const Doubles raise = clear ? second - value : Doubles{};
      for (int k = 0; k < width; ++k) {
        const Mask here = equal(row[k] - now.price[k], value);
        add_bits(now.ties, k, bits(here));
        now.price[k] = choose(here, now.price[k] - raise, now.price[k]);
      }
      int column = first_of_both(now.ties, now.free, words(width));  // of equals a free one
      if (column >= 0) {
        match(s, now, i, column);
        continue;
      }
      column = first_of_both(now.ties, now.ties, words(width));
      const int out = s.row_of[column];
      match(s, now, i, column);
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
VIDEOSTR_INLINE void augment(const Problem& p, const Scratch& s, const State& now, const Doubles* cost, int width, int start) {
  constexpr int kOwn = W > 0 ? W : 1;
  Doubles own_open[kOwn], own_live[kOwn], own_settled[kOwn];
  Ints own_parent[kOwn];
  // open: length of the cheapest way to a column, live: its price; both infinite once it is settled, at the length `settled`
  auto* open = W > 0 ? own_open : reinterpret_cast<Doubles*>(s.open);
  auto* live = W > 0 ? own_live : reinterpret_cast<Doubles*>(s.live);
  auto* settled = W > 0 ? own_settled : reinterpret_cast<Doubles*>(s.settled);
  auto* parent = W > 0 ? own_parent : reinterpret_cast<Ints*>(s.parent);
  auto* price = reinterpret_cast<Doubles*>(s.price);
  const Doubles* row = cost + start * width;
  for (int k = 0; k < width; ++k) {
    price[k] = live[k] = now.price[k];
    open[k] = row[k] - now.price[k];
    parent[k] = Ints{} + start;
    settled[k] = all(kInfinity);
  }
  Doubles reached;
  // all that are as near as `reached`; a free one, -1: there is none
  const auto settle = [&] {
    for (int k = 0; k < width; ++k) {
      const Mask here = at_most(open[k], reached);
      add_bits(now.ties, k, bits(here));
      open[k] = choose(here, all(kInfinity), open[k]);
      live[k] = choose(here, all(-kInfinity), live[k]);
      settled[k] = choose(here, reached, settled[k]);
    }
    return first_of_both(now.ties, now.free, words(width));
  };
  int end = -1;
  while (end < 0) {
    reached = open[0];
    for (int k = 1; k < width; ++k) reached = lesser(open[k], reached);
    reached = least(reached);
    for (int w = 0; w < words(width); ++w) now.ties[w] = 0;
    end = settle();
    for (int j; end < 0 && (j = first_of_both(now.ties, now.ties, words(width))) >= 0;) {
      remove(now.ties, j);
      const int i = s.row_of[j];
      row = cost + i * width;
      const Doubles offset = reached - all(lane(row, j) - s.price[j]);
      for (int k = 0; k < width; ++k) {
        const Doubles through = row[k] - live[k] + offset;
        const Mask nearer = less(through, open[k]);
        open[k] = choose(nearer, through, open[k]);
        parent[k] = choose(nearer, Ints{} + i, parent[k]);
      }
      end = settle();
    }
  }
  for (int k = 0; k < width; ++k) {
    now.price[k] += lesser(settled[k] - reached, Doubles{});
    if (W > 0) reinterpret_cast<Ints*>(s.parent)[k] = parent[k];
  }
  remove(now.free, end);
  for (int j = end;;) {
    const int i = static_cast<int>(s.parent[j]), next = s.column_of[i];
    s.row_of[j] = i;
    s.column_of[i] = j;
    if (i == start) break;
    j = next;
  }
}

// column_of and row_of: of each row, of each column (-1: free).
template <int W>
VIDEOSTR_INLINE void solve(const Problem& p, const Scratch& s) {
  const int width = W > 0 ? W : p.padded / kLanes;
  const auto* cost = reinterpret_cast<const Doubles*>(p.cost);
  Doubles own_price[W > 0 ? W : 1];
  uint64_t own_free, own_ties;
  const State now = W > 0 ? State{own_price, &own_free, &own_ties} : State{reinterpret_cast<Doubles*>(s.now), s.free, s.ties};
  for (int k = 0; k < width; ++k) now.price[k] = Doubles{};
  for (int w = 0; w < words(width); ++w) {
    const int here = p.columns - 64 * w;
    now.free[w] = here >= 64 ? ~uint64_t{0} : (uint64_t{1} << here) - 1;
  }
  for (int i = 0; i < p.rows; ++i) s.column_of[i] = -1;
  if (p.rows == p.columns) reduce_columns<W>(p, s, now, cost, width);
  int waiting = 0;
  for (int i = 0; i < p.rows; ++i) {
    if (s.column_of[i] < 0) s.queue[waiting++] = i;
  }
  waiting = bid<W>(p, s, now, cost, width, waiting);
  for (int k = 0; k < waiting; ++k) augment<W>(p, s, now, cost, width, s.queue[k]);
}

inline void solve_8(const Problem& p, const Scratch& s) { solve<8 / kLanes>(p, s); }
inline void solve_16(const Problem& p, const Scratch& s) { solve<16 / kLanes>(p, s); }
inline void solve_32(const Problem& p, const Scratch& s) { solve<32 / kLanes>(p, s); }
inline void solve_any(const Problem& p, const Scratch& s) { solve<0>(p, s); }
constexpr Solvers kSolvers{solve_8, solve_16, solve_32, solve_any};
