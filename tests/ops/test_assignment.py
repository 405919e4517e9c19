"""assignment against scipy's linear_sum_assignment: the same least total, whatever the sizes, ties and magnitudes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from videostr import ops

SIZES = [
    (1, 1),
    (1, 7),
    (7, 1),
    (2, 2),
    (3, 5),
    (8, 8),
    (9, 8),
    (8, 9),
    (16, 16),
    (17, 3),
    (31, 33),
    (32, 32),
    (33, 32),
]
LARGE = [(63, 64), (64, 64), (64, 65), (65, 65), (100, 70), (70, 100), (150, 150), (3, 400)]
KINDS = {
    "uniform": lambda random, shape: random.random(shape),
    "normal": lambda random, shape: random.standard_normal(shape),
    "two values": lambda random, shape: random.integers(0, 2, shape).astype(float),
    "small integers": lambda random, shape: random.integers(-3, 9, shape).astype(float),
    "all equal": lambda random, shape: np.full(shape, -2.5),
    "mostly one": lambda random, shape: np.where(random.random(shape) < 0.8, 1.0, random.random(shape)),
    "ranks": lambda random, shape: (
        np.multiply.outer(np.arange(1.0, shape[-2] + 1), np.arange(1.0, shape[-1] + 1)) + np.zeros(shape)
    ),
    "wide": lambda random, shape: np.exp(random.uniform(-30, 30, shape)) * random.choice([-1, 1], shape),
    "tiny": lambda random, shape: random.random(shape) * 1e-30,
    "large": lambda random, shape: random.standard_normal(shape) * 1e34,
}


def check(cost: np.ndarray, result, maximize=False):
    """One problem: a valid pairing of the whole shorter side, whose total is scipy's."""
    column, row = result.column.numpy(), result.row.numpy()
    pairs = [(r, c) for r, c in enumerate(column) if c >= 0]
    assert len(pairs) == min(cost.shape) and len({c for _, c in pairs}) == len(pairs)
    assert [(row[c], c) for c in sorted(row_c for _, row_c in pairs)] == sorted(pairs, key=lambda p: p[1])
    assert (row >= 0).sum() == len(pairs)
    wide = cost.astype(np.float64)
    mine, best = sum(wide[r, c] for r, c in pairs), wide[linear_sum_assignment(wide, maximize)].sum()
    largest = np.abs(wide).max(initial=0.0)
    assert abs(mine - best) <= 1e-14 * len(pairs) * largest + 1e-300, (mine, best)
    tolerance = np.finfo(cost.dtype).eps + len(pairs) * np.finfo(np.float64).eps  # one rounding, and the sum's
    assert math.isclose(float(result.cost), mine, rel_tol=tolerance, abs_tol=tolerance * largest)


def problem(result, b, rows, columns):
    return type(result)(result.cost[b], result.column[b, :rows], result.row[b, :columns])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_total_is_the_least(kind, dtype):
    random = np.random.default_rng(0)
    for rows, columns in SIZES + LARGE:
        count = 30 if rows * columns <= 300 else 3
        cost = KINDS[kind](random, (count, rows, columns)).astype(dtype)
        for maximize in (False, True):
            result = ops.assignment(torch.from_numpy(cost), maximize=maximize)
            assert result.cost.dtype == result.cost.new_tensor(cost[0, 0, 0]).dtype
            for b in range(count):
                check(cost[b], problem(result, b, rows, columns), maximize)


def test_thousands_of_small_problems():
    random = np.random.default_rng(1)
    for seed in range(40):
        rows, columns = random.integers(1, 13, 2)
        kind = list(KINDS)[seed % len(KINDS)]
        cost = KINDS[kind](random, (100, rows, columns)).astype([np.float32, np.float64][seed % 2])
        result = ops.assignment(torch.from_numpy(cost))
        for b in range(100):
            check(cost[b], problem(result, b, rows, columns))


def test_ends_of_the_range():
    random = np.random.default_rng(2)
    for factor in (1e-320, 1e-300, 1e300, 1.7e308):
        for rows, columns in ((5, 5), (3, 8), (40, 40)):
            cost = (random.random((rows, columns)) * 2 - 1) * factor
            column = ops.assignment(torch.from_numpy(cost)[None]).column[0].tolist()
            scaled = cost / factor  # scipy overflows on the largest
            best = scaled[linear_sum_assignment(scaled)].sum()
            assert math.isclose(
                sum(scaled[r, c] for r, c in enumerate(column)), best, rel_tol=1e-3 if factor < 1e-310 else 1e-12
            )
    cost = torch.full((1, 3, 3), torch.finfo(torch.float32).max) * torch.tensor([1.0, -1.0, 1.0])
    assert sorted(ops.assignment(cost).column[0].tolist()) == [0, 1, 2]


def specification(cost, maximize):
    sizes = (torch.full(cost.shape[:1], size) for size in cost.shape[1:])
    return ops.reference.assignment(cost, *sizes, maximize)


SIZE, SEED, SHARE = st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9, 1])


@settings(max_examples=300, deadline=None)
@given(SIZE, SIZE, SEED, SHARE, st.booleans())
def test_forbidden_pairs(rows, columns, seed, share, maximize):
    random = np.random.default_rng(seed)
    cost = random.integers(-5, 6, (rows, columns)).astype(np.float64)
    allowed = random.random((rows, columns)) >= share
    cost[~allowed] = random.choice([np.inf, -np.inf, np.nan], (~allowed).sum())
    # whole numbers, so that a million a forbidden pair is exact
    padded = np.where(allowed, -cost if maximize else cost, 1e6)
    chosen = linear_sum_assignment(padded)
    kept = allowed[chosen]
    for function in (ops.assignment, specification):
        result = function(torch.from_numpy(cost)[None], maximize=maximize)
        column = result.column[0].numpy()
        assert (column >= 0).sum() == (result.row[0] >= 0).sum() == kept.sum()
        assert all(allowed[r, c] for r, c in enumerate(column) if c >= 0)
        assert result.cost.item() == cost[chosen][kept].sum()
    assert kept.sum() == (maximum_bipartite_matching(csr_matrix(allowed.astype(int)), perm_type="column") >= 0).sum()


def test_forbidden_beside_large_and_small_costs():
    inf = math.inf
    for factor in (1e-30, 1.0, 1e300):
        cost = torch.tensor([[1.0, 2.0, inf], [inf, 1.0, inf], [3.0, inf, inf]], dtype=torch.float64) * factor
        result = ops.assignment(cost[None])
        # two pairs at most without column 2; of the three ways to have two the cheapest
        assert result.column.tolist() == [[0, 1, -1]] and result.row.tolist() == [[0, 1, -1]]
        assert result.cost.item() == 2 * factor
    nothing = ops.assignment(torch.full((2, 3, 4), inf))
    assert nothing.cost.tolist() == [0, 0] and (nothing.column == -1).all() and (nothing.row == -1).all()
    large = torch.full((1, 70, 80), inf)
    large[0, 5, 7] = -2.0
    result = ops.assignment(large)
    assert result.cost.item() == -2 and result.column[0, 5] == 7 and (result.column >= 0).sum() == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset_dtype", [torch.int32, torch.int64])
def test_ragged_is_the_same(dtype, offset_dtype, rng):
    shapes = [(3, 4), (0, 5), (1, 1), (5, 0), (9, 9), (0, 0), (70, 66), (2, 40)]
    matrices = [torch.rand(shape, generator=rng, dtype=dtype) for shape in shapes]
    padded = torch.full((len(shapes), 70, 70), math.nan, dtype=dtype)
    for b, matrix in enumerate(matrices):
        padded[b, : matrix.shape[0], : matrix.shape[1]] = matrix
    rows, columns = (torch.tensor([s[k] for s in shapes], dtype=offset_dtype) for k in (0, 1))
    dense = ops.assignment(padded, rows, columns)
    bounds = [torch.cat([x.new_zeros(1), x.cumsum(0)]).to(offset_dtype) for x in (rows, columns)]
    flat = torch.cat([m.flatten() for m in matrices])
    for function in (ops.assignment_ragged, ops.reference.assignment_ragged):
        ragged = function(flat, *bounds)
        assert ragged.column.shape == (sum(s[0] for s in shapes),) and ragged.column.dtype == torch.int64
        torch.testing.assert_close(ragged.cost, dense.cost)
        for b, (r, c) in enumerate(shapes):
            assert torch.equal(ragged.column[bounds[0][b] : bounds[0][b + 1]], dense.column[b, :r])
            assert torch.equal(ragged.row[bounds[1][b] : bounds[1][b + 1]], dense.row[b, :c])
            assert (dense.column[b, r:] == -1).all() and (dense.row[b, c:] == -1).all()
            if r and c:
                check(matrices[b].numpy(), problem(dense, b, r, c))


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3), (2, 3, 0), (0, 0, 0)])
def test_nothing_to_assign(shape):
    result = ops.assignment(torch.empty(shape))
    assert result.cost.tolist() == [0.0] * shape[0]
    assert result.column.tolist() == [[-1] * shape[1]] * shape[0]
    assert result.row.tolist() == [[-1] * shape[2]] * shape[0]


def test_ties_do_not_depend_on_threads_or_neighbours(rng):
    cost = torch.randint(0, 3, (3000, 12, 10), generator=rng).float()
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            results.append(ops.assignment(cost))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
    alone = ops.assignment(cost[1234:1235])
    assert torch.equal(alone.column[0], results[0].column[1234])


def test_views(rng):
    cost = torch.rand(9, 6, 5, generator=rng)
    turned = ops.assignment(cost.transpose(1, 2))
    torch.testing.assert_close(turned.cost, ops.assignment(cost).cost)
    assert torch.equal(turned.row, ops.assignment(cost).column)


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"cost_BRC": torch.zeros(3, 2)}, ValueError, "cost must have 3 dimension"),
        ({"cost_BRC": torch.zeros(2, 3, 2, dtype=torch.long)}, TypeError, "cost must be floating point"),
        ({"cost_BRC": torch.zeros(2, 3, 2).half()}, TypeError, "cost must be float32 or float64, got torch.float16"),
        ({"rows_B": torch.tensor([1, 4])}, ValueError, r"rows must lie in \[0, 3\], got \[1, 4\]"),
        ({"columns_B": torch.tensor([-1, 2])}, ValueError, r"columns must lie in \[0, 2\]"),
        ({"columns_B": torch.tensor([1])}, ValueError, r"columns must have shape \(2,\)"),
        ({"rows_B": torch.tensor([1.0, 2.0])}, TypeError, "rows must hold integers"),
    ],
)
def test_wrong_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ops.assignment(**{"cost_BRC": torch.zeros(2, 3, 2), **change})


@pytest.mark.parametrize(
    "rows,columns,message",
    [
        ([0, 2], [0, 2], r"cost must have shape \(4,\)"),
        ([0, 2], [1, 3], "column_offsets must run from 0 to 3"),
        ([0, 3, 2], [0, 1, 3], "row_offsets must run from 0 to 2 without falling"),
        ([0, 2], [0, 1, 3], "column_offsets must have shape"),
        ([], [0, 3], "row_offsets must have at least one entry"),
    ],
)
def test_wrong_offsets(rows, columns, message):
    offsets = [torch.tensor(x, dtype=torch.long) for x in (rows, columns)]
    with pytest.raises(ValueError, match=message):
        ops.assignment_ragged(torch.zeros(6), *offsets)


def test_wrong_counts():
    with pytest.raises(ValueError, match="num_rows must be a finite number >= 0, got -1"):
        ops.assignment_ragged(torch.zeros(6), torch.tensor([0, 2]), torch.tensor([0, 3]), num_rows=-1)
    with pytest.raises(ValueError, match="column_offsets must run from 0 to 4"):
        ops.assignment_ragged(torch.zeros(6), torch.tensor([0, 2]), torch.tensor([0, 3]), num_columns=4)
