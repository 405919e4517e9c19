"""assignment: batched linear assignment, optimal, of problems that differ in size."""

import torch
from torch import Tensor

from . import reference
from ._library import any_device, check_device, check_number, check_offsets, check_shape, check_tensor, readable
from .reference import Assignment


def assignment(
    cost_BRC: Tensor, rows_B: Tensor | None = None, columns_B: Tensor | None = None, *, maximize: bool = False
) -> Assignment:
    """The cheapest one-to-one pairing of the rows of each of B cost matrices with its columns.

    A pair whose cost is not finite (+inf, -inf, NaN) is forbidden. Of the pairings with the most allowed pairs — all
    of the shorter side where that can be — the result is one of least total cost; what cannot be paired stays
    unmatched. (scipy's linear_sum_assignment raises there.) Which of several optimal pairings comes is fixed by the
    costs and their order, whatever the number of threads.

    Args:
        cost_BRC: (B, R, C) float32 or float64. Sums and prices are float64.
        rows_B, columns_B: (B,) integers, problem b is the first rows[b] x columns[b] costs; default R and C.
        maximize: the greatest total instead of the least.

    Returns:
        Assignment(cost, column, row), (B,), (B, R), (B, C): total of the pairs, in the dtype of cost, 0 for none; int64
        column of each row and row of each column, -1 for what is unmatched or behind the problem's size. Not
        differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (sizes' values are checked on the CPU only).
    """
    _check_cost(cost_BRC, 3)
    sizes = []
    for name, value, most in (("rows", rows_B, cost_BRC.shape[1]), ("columns", columns_B, cost_BRC.shape[2])):
        if value is not None:
            check_tensor(name, value, ndim=1, floating=False)
            check_shape(name, value, (cost_BRC.shape[0],), "one a problem")
            check_device(name, value, cost_BRC.device, "cost")
            if readable(value) and value.numel() and (int(value.min()) < 0 or int(value.max()) > most):
                raise ValueError(f"{name} must lie in [0, {most}], got {value.tolist()}")
            value = value.long()
        sizes.append(value)
    return Assignment(*torch.ops.videostr.assignment(cost_BRC.detach(), *sizes, bool(maximize)))


def assignment_ragged(
    cost_K: Tensor,
    row_offsets_B1: Tensor,
    column_offsets_B1: Tensor,
    *,
    maximize: bool = False,
    num_rows: int | None = None,
    num_columns: int | None = None,
) -> Assignment:
    """`assignment` of matrices of any sizes that lie one behind the other.

    Args:
        cost_K: (K,) float32 or float64: the problems' matrices, each by rows.
        row_offsets_B1, column_offsets_B1: (B + 1,) integers from 0 that do not fall: problem b has the rows from
            row_offsets[b] to row_offsets[b + 1] and likewise columns, K = Σ_b rows_b columns_b.
        maximize: as there.
        num_rows, num_columns: the offsets' last entries. Without them they are read, which on a GPU waits for the
            device and breaks a compiled graph.

    Returns:
        Assignment(cost, column, row), (B,), (N,), (M,): as there; one problem behind the other, N and M the
        offsets' last entries, and counted within the problem.

    Raises:
        TypeError, ValueError: an argument is not as above (offsets' values are checked on the CPU only).
    """
    _check_cost(cost_K, 1)
    ends, offsets = [], []
    given = {"row_offsets": (row_offsets_B1, num_rows), "column_offsets": (column_offsets_B1, num_columns)}
    for name, (value, end) in given.items():
        if end is None:
            check_tensor(name, value, ndim=1, floating=False)
            end = int(value[-1]) if value.numel() else 0
        check_number(f"num_{name.partition('_')[0]}s", end, at_least=0)
        if not isinstance(end, int | torch.SymInt):
            raise TypeError(f"num_{name.partition('_')[0]}s must be an int, got {type(end).__name__}")
        offsets.append(check_offsets(name, value, end, cost_K.device, "cost"))
        ends.append(end)
    check_shape("column_offsets", column_offsets_B1, tuple(row_offsets_B1.shape), "as row_offsets")
    sizes_B = offsets[0].diff() * offsets[1].diff()
    cost_offsets_B1 = torch.cat([sizes_B.new_zeros(1), sizes_B.cumsum(0)])
    if readable(*offsets) and int(cost_offsets_B1[-1]) != cost_K.shape[0]:
        raise ValueError(
            f"cost must have shape ({int(cost_offsets_B1[-1])},), Σ rows x columns, got {tuple(cost_K.shape)}"
        )
    arguments = (cost_K.detach(), cost_offsets_B1, *offsets, *ends, bool(maximize))
    return Assignment(*torch.ops.videostr.assignment_ragged(*arguments))


def _check_cost(cost: Tensor, ndim: int) -> None:
    check_tensor("cost", cost, ndim=ndim, floating=True)
    if cost.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"cost must be float32 or float64, got {cost.dtype}")


@torch.library.register_fake("videostr::assignment")
def _fake(cost, rows, columns, maximize):
    B, R, C = cost.shape
    return cost.new_empty(B), cost.new_empty(B, R, dtype=torch.int64), cost.new_empty(B, C, dtype=torch.int64)


@torch.library.register_fake("videostr::assignment_ragged")
def _fake_ragged(cost, cost_offsets, row_offsets, column_offsets, num_rows, num_columns, maximize):
    return (
        cost.new_empty(row_offsets.shape[0] - 1),
        cost.new_empty(num_rows, dtype=torch.int64),
        cost.new_empty(num_columns, dtype=torch.int64),
    )


@any_device("assignment")
def _torch(cost, rows, columns, maximize):
    B, R, C = cost.shape
    rows = torch.full((B,), R) if rows is None else rows.cpu()
    columns = torch.full((B,), C) if columns is None else columns.cpu()
    return tuple(x.to(cost.device) for x in reference.assignment(cost.cpu(), rows, columns, maximize))


@any_device("assignment_ragged")
def _torch_ragged(cost, cost_offsets, row_offsets, column_offsets, num_rows, num_columns, maximize):
    result = reference.assignment_ragged(cost.cpu(), row_offsets.cpu(), column_offsets.cpu(), maximize)
    return tuple(x.to(cost.device) for x in result)
