"""Linear assignment by shortest augmenting paths, one problem and one path at a time, in Python's own float64."""

import math
from typing import NamedTuple

from torch import Tensor


class Assignment(NamedTuple):
    """cost: of the pairs, per problem. column: of each row, -1 unmatched. row: of each column, -1 unmatched."""

    cost: Tensor
    column: Tensor
    row: Tensor


def solve(cost_RC: list[list[float]], maximize: bool = False) -> list[int]:
    """Column of each row: of the matchings with the most pairs of finite cost, one of least (greatest) total cost."""
    rows, columns = len(cost_RC), len(cost_RC[0]) if cost_RC else 0
    if rows > columns:
        row_C = solve([list(line) for line in zip(*cost_RC, strict=True)], maximize)
        return [row_C.index(r) if r in row_C else -1 for r in range(rows)]
    sign = -1.0 if maximize else 1.0
    finite = [sign * c for line in cost_RC for c in line if math.isfinite(c)]
    if not finite:
        return [-1] * rows
    # a forbidden pair costs more than any exchange of allowed ones can save, so that it is taken only where it must be
    low, high = min(finite), max(finite)
    forbidden = low + (max((rows + 1) * (high - low), abs(low)) or 1.0)
    padded = [[sign * c if math.isfinite(c) else forbidden for c in line] for line in cost_RC]
    column_R = _solve_complete(padded, rows, columns)
    return [c if math.isfinite(cost_RC[r][c]) else -1 for r, c in enumerate(column_R)]


def _solve_complete(cost: list[list[float]], rows: int, columns: int) -> list[int]:
    """rows <= columns, every pair allowed: Dijkstra from each row in turn, over reduced costs."""
    u, v, row_of = [0.0] * rows, [0.0] * columns, [-1] * columns
    for start in range(rows):
        length, parent, done = [math.inf] * columns, [start] * columns, [False] * columns
        row, reached, end = start, 0.0, -1
        seen = [start]
        while end < 0:
            best = -1
            for c in range(columns):
                if done[c]:
                    continue
                through = reached + cost[row][c] - u[row] - v[c]
                if through < length[c]:
                    length[c], parent[c] = through, row
                if best < 0 or length[c] < length[best]:
                    best = c
            reached, done[best] = length[best], True
            if row_of[best] < 0:
                end = best
            else:
                row = row_of[best]
                seen.append(row)
        u[start] += reached
        for c in range(columns):
            if done[c] and c != end:
                u[row_of[c]] += reached - length[c]
                v[c] -= reached - length[c]
        while True:
            row = parent[end]
            previous = next((c for c in range(columns) if row_of[c] == row), -1)
            row_of[end] = row
            if row == start:
                break
            end = previous
    return [row_of.index(r) for r in range(rows)]


def assignment(cost_BRC: Tensor, rows_B: Tensor, columns_B: Tensor, maximize: bool = False) -> Assignment:
    B, R, C = cost_BRC.shape
    result = Assignment(
        cost_BRC.new_zeros(B), rows_B.new_full((B, R), -1).long(), columns_B.new_full((B, C), -1).long()
    )
    for b, (rows, columns) in enumerate(zip(rows_B.tolist(), columns_B.tolist(), strict=True)):
        _fill(result.cost[b], result.column[b], result.row[b], cost_BRC[b, :rows, :columns], maximize)
    return result


def assignment_ragged(
    cost_K: Tensor, row_offsets_B1: Tensor, column_offsets_B1: Tensor, maximize: bool = False
) -> Assignment:
    row_offsets, column_offsets = row_offsets_B1.tolist(), column_offsets_B1.tolist()
    problems, done = len(row_offsets) - 1, 0
    result = Assignment(
        cost_K.new_zeros(problems),
        row_offsets_B1.new_full((row_offsets[-1],), -1).long(),
        column_offsets_B1.new_full((column_offsets[-1],), -1).long(),
    )
    for b in range(problems):
        row = slice(row_offsets[b], row_offsets[b + 1])
        column = slice(column_offsets[b], column_offsets[b + 1])
        rows, columns = row.stop - row.start, column.stop - column.start
        cost_RC = cost_K[done : done + rows * columns].view(rows, columns)
        _fill(result.cost[b], result.column[row], result.row[column], cost_RC, maximize)
        done += rows * columns
    return result


def _fill(cost: Tensor, column_R: Tensor, row_C: Tensor, cost_RC: Tensor, maximize: bool) -> None:
    if cost_RC.numel() == 0:
        return
    total = 0.0
    for r, c in enumerate(solve(cost_RC.double().tolist(), maximize)):
        if c >= 0:
            column_R[r], row_C[c] = c, r
            total += float(cost_RC[r, c])
    cost.fill_(total)
