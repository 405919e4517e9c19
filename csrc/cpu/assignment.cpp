// Many linear assignments, parallel over problems. Costs are copied into padded rows of double, negated to maximise and
// transposed where there are more rows than columns; what is not finite is forbidden.
#include <algorithm>
#include <cmath>

#include "common/stable.h"
#include "cpu/assignment_workspace.h"

namespace videostr {
namespace {

using lap::Workspace;

// Of one problem: costs [rows, columns], a row every `stride`. column [rows] and row [columns] are filled, the total returned.
template <typename T>
double assign(const T* cost, int64_t rows, int64_t columns, int64_t stride, bool maximize, Workspace& work,
              int64_t* column, int64_t* row) {
  std::fill(column, column + rows, -1);
  std::fill(row, row + columns, -1);
  if (rows == 0 || columns == 0) return 0.0;
  const int* column_of = work.solve(cost, rows, columns, stride, maximize);
  const bool transposed = rows > columns;
  double total = 0.0;
  for (int64_t k = 0; k < std::min(rows, columns); ++k) {
    const int64_t i = transposed ? column_of[k] : k, j = transposed ? k : column_of[k];
    const double c = static_cast<double>(cost[i * stride + j]);
    if (!std::isfinite(c)) continue;
    column[i] = j;
    row[j] = i;
    total += c;
  }
  return total;
}

using Result = std::tuple<Tensor, Tensor, Tensor>;

// problem(b) -> {rows, columns, stride, offset of its costs, of its rows in `column`, of its columns in `row`}
struct Place {
  int64_t rows, columns, stride, cost, column, row;
};

template <typename PlaceOf>
void assign_all(const Tensor& cost, int64_t problems, bool maximize, Result& result, PlaceOf&& place_of) {
  auto* column = std::get<1>(result).mutable_data_ptr<int64_t>();
  auto* row = std::get<2>(result).mutable_data_ptr<int64_t>();
  auto run = [&](auto zero) {
    using T = decltype(zero);
    const T* costs = cost.const_data_ptr<T>();
    T* total = std::get<0>(result).mutable_data_ptr<T>();
    const int64_t each = problems > 0 ? cost.numel() / problems : 0;
    torch::stable::parallel_for(0, problems, grain(16 * each), [&](int64_t from, int64_t to) {
      Workspace work;
      for (int64_t b = from; b < to; ++b) {
        const Place p = place_of(b);
        total[b] = static_cast<T>(assign(costs + p.cost, p.rows, p.columns, p.stride, maximize, work, column + p.column,
                                         row + p.row));
      }
    });
  };
  cost.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
}

void check_sizes(const char* name, const int64_t* sizes, int64_t problems, int64_t most) {
  for (int64_t b = 0; b < problems; ++b)
    STD_TORCH_CHECK(sizes[b] >= 0 && sizes[b] <= most, "assignment: ", name, " must lie in [0, ", most, "], got ", sizes[b],
                    " at index ", b);
}

Result assignment(const Tensor& cost_in, const std::optional<Tensor>& rows_in, const std::optional<Tensor>& columns_in,
                  bool maximize) {
  const Tensor cost = torch::stable::contiguous(cost_in);
  const int64_t problems = cost.size(0), most_rows = cost.size(1), most_columns = cost.size(2);
  Result result{torch::stable::new_empty(cost, {problems}),
                torch::stable::new_empty(cost, {problems, most_rows}, ScalarType::Long),
                torch::stable::new_empty(cost, {problems, most_columns}, ScalarType::Long)};
  std::optional<Tensor> rows, columns;
  if (rows_in) rows = torch::stable::contiguous(*rows_in);
  if (columns_in) columns = torch::stable::contiguous(*columns_in);
  const int64_t* row_count = rows ? rows->const_data_ptr<int64_t>() : nullptr;
  const int64_t* column_count = columns ? columns->const_data_ptr<int64_t>() : nullptr;
  if (row_count) check_sizes("rows", row_count, problems, most_rows);
  if (column_count) check_sizes("columns", column_count, problems, most_columns);
  auto* column = std::get<1>(result).mutable_data_ptr<int64_t>();
  auto* row = std::get<2>(result).mutable_data_ptr<int64_t>();
  if (row_count) std::fill(column, column + problems * most_rows, -1);
  if (column_count) std::fill(row, row + problems * most_columns, -1);
  assign_all(cost, problems, maximize, result, [&](int64_t b) {
    return Place{row_count ? row_count[b] : most_rows, column_count ? column_count[b] : most_columns, most_columns,
                 b * most_rows * most_columns, b * most_rows, b * most_columns};
  });
  return result;
}

void check_offsets(const char* name, const int64_t* offsets, int64_t problems, int64_t end) {
  STD_TORCH_CHECK(offsets[0] == 0 && offsets[problems] == end, "assignment: ", name, " must run from 0 to ", end,
                  ", got ", offsets[0], " to ", offsets[problems]);
  for (int64_t b = 0; b < problems; ++b)
    STD_TORCH_CHECK(offsets[b] <= offsets[b + 1], "assignment: ", name, " must not fall");
}

Result assignment_ragged(const Tensor& cost_in, const Tensor& cost_offsets_in, const Tensor& row_offsets_in,
                         const Tensor& column_offsets_in, int64_t rows, int64_t columns, bool maximize) {
  const Tensor cost = torch::stable::contiguous(cost_in);
  const Tensor cost_offsets = torch::stable::contiguous(cost_offsets_in);
  const Tensor row_offsets = torch::stable::contiguous(row_offsets_in);
  const Tensor column_offsets = torch::stable::contiguous(column_offsets_in);
  const int64_t problems = row_offsets.numel() - 1;
  STD_TORCH_CHECK(problems >= 0 && column_offsets.numel() == problems + 1 && cost_offsets.numel() == problems + 1,
                  "assignment: all offsets must have the same length, at least 1");
  const auto *r = row_offsets.const_data_ptr<int64_t>(), *c = column_offsets.const_data_ptr<int64_t>();
  const auto* begin = cost_offsets.const_data_ptr<int64_t>();
  check_offsets("row_offsets", r, problems, rows);
  check_offsets("column_offsets", c, problems, columns);
  check_offsets("cost_offsets", begin, problems, cost.numel());
  for (int64_t b = 0; b < problems; ++b)
    STD_TORCH_CHECK(begin[b + 1] - begin[b] == (r[b + 1] - r[b]) * (c[b + 1] - c[b]),
                    "assignment: cost_offsets must rise by rows times columns of each problem, got ", begin[b + 1] - begin[b],
                    " for problem ", b);
  Result result{torch::stable::new_empty(cost, {problems}), torch::stable::new_empty(cost, {rows}, ScalarType::Long),
                torch::stable::new_empty(cost, {columns}, ScalarType::Long)};
  assign_all(cost, problems, maximize, result, [&](int64_t b) {
    return Place{r[b + 1] - r[b], c[b + 1] - c[b], c[b + 1] - c[b], begin[b], r[b], c[b]};
  });
  return result;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CPU, m) {
  m.impl("assignment", TORCH_BOX(&assignment));
  m.impl("assignment_ragged", TORCH_BOX(&assignment_ragged));
}

}  // namespace videostr
