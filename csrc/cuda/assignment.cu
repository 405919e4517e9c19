// The kernels of assignment.cuh as torch operators.
#include "cuda/assignment.cuh"
#include "cuda/stream.h"

namespace videostr {
namespace {

using Result = std::tuple<Tensor, Tensor, Tensor>;

// Three doubles and three ints for each element of scratch.
struct Workspace {
  Workspace(const Tensor& like, int64_t elements)
      : doubles(torch::stable::new_empty(like, {3 * elements}, ScalarType::Double)),
        ints(torch::stable::new_empty(like, {3 * elements}, ScalarType::Int)) {}
  Tensor doubles, ints;
};

Result assignment(const Tensor& cost_in, const std::optional<Tensor>& rows_in, const std::optional<Tensor>& columns_in,
                  bool maximize) {
  const cuda::OnDevice device(cost_in);
  const Tensor cost = torch::stable::contiguous(cost_in);
  const int64_t problems = cost.size(0), rows = cost.size(1), columns = cost.size(2), side = rows > columns ? rows : columns;
  Result result{torch::stable::new_empty(cost, {problems}), torch::stable::new_empty(cost, {problems, rows}, ScalarType::Long),
                torch::stable::new_empty(cost, {problems, columns}, ScalarType::Long)};
  std::optional<Tensor> row_count, column_count;
  if (rows_in) row_count = torch::stable::contiguous(*rows_in);
  if (columns_in) column_count = torch::stable::contiguous(*columns_in);
  Workspace work(cost, side > cuda::kMostSideShared ? problems * side : 0);
  auto run = [&](auto zero) {
    using T = decltype(zero);
    cuda::assignment<T>(cost.const_data_ptr<T>(), row_count ? row_count->const_data_ptr<int64_t>() : nullptr,
                        column_count ? column_count->const_data_ptr<int64_t>() : nullptr,
                        std::get<0>(result).mutable_data_ptr<T>(), std::get<1>(result).mutable_data_ptr<int64_t>(),
                        std::get<2>(result).mutable_data_ptr<int64_t>(), work.doubles.mutable_data_ptr<double>(),
                        work.ints.mutable_data_ptr<int>(), problems, rows, columns, maximize, device.stream());
  };
  cost.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
  device.check_launch();
  return result;
}

Result assignment_ragged(const Tensor& cost_in, const Tensor& cost_offsets_in, const Tensor& row_offsets_in,
                         const Tensor& column_offsets_in, int64_t rows, int64_t columns, bool maximize) {
  const cuda::OnDevice device(cost_in);
  const Tensor cost = torch::stable::contiguous(cost_in), cost_offsets = torch::stable::contiguous(cost_offsets_in);
  const Tensor row_offsets = torch::stable::contiguous(row_offsets_in);
  const Tensor column_offsets = torch::stable::contiguous(column_offsets_in);
  const int64_t problems = row_offsets.numel() - 1;
  Result result{torch::stable::new_empty(cost, {problems}), torch::stable::new_empty(cost, {rows}, ScalarType::Long),
                torch::stable::new_empty(cost, {columns}, ScalarType::Long)};
  Workspace work(cost, rows + columns);
  auto run = [&](auto zero) {
    using T = decltype(zero);
    cuda::assignment_ragged<T>(
        cost.const_data_ptr<T>(), cost_offsets.const_data_ptr<int64_t>(), row_offsets.const_data_ptr<int64_t>(),
        column_offsets.const_data_ptr<int64_t>(), std::get<0>(result).mutable_data_ptr<T>(),
        std::get<1>(result).mutable_data_ptr<int64_t>(), std::get<2>(result).mutable_data_ptr<int64_t>(),
        work.doubles.mutable_data_ptr<double>(), work.ints.mutable_data_ptr<int>(), problems, maximize, device.stream());
  };
  cost.scalar_type() == ScalarType::Double ? run(double{}) : run(float{});
  device.check_launch();
  return result;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(videostr, CUDA, m) {
  m.impl("assignment", TORCH_BOX(&assignment));
  m.impl("assignment_ragged", TORCH_BOX(&assignment_ragged));
}

}  // namespace videostr
