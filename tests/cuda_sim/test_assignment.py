"""assignment's CUDA kernels, run by the simulator, against scipy: every shape class, without races or stray
accesses."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from cuda_sim.build import CSRC, HERE, CudaSimError, load, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

DTYPES = ["float32", "float64"]
NOWHERE = 99  # what a kernel leaves out stays


@pytest.fixture(scope="module")
def kernels():
    return load(HERE / "bindings.cpp")


def outputs(dtype, problems, rows, columns, scratch):
    total, column = np.full(problems, np.nan, dtype), np.full(rows, NOWHERE, np.int64)
    work = np.full(3 * scratch, np.nan), np.full(3 * scratch, -7, np.int32)
    return total, column, np.full(columns, NOWHERE, np.int64), *work


def check(cost, total, column, row, maximize=False):
    """The most allowed pairs at scipy's total; costs are whole numbers or plain uniform ones."""
    wide = cost.astype(np.float64)
    allowed = np.isfinite(wide)
    chosen = linear_sum_assignment(np.where(allowed, -wide if maximize else wide, 1e6))
    kept = allowed[chosen]
    pairs = [(r, c) for r, c in enumerate(column) if c >= 0]
    assert len(pairs) == kept.sum() == (row >= 0).sum() and all(row[c] == r for r, c in pairs)
    assert set(column) - {c for _, c in pairs} <= {-1} and all(allowed[pair] for pair in pairs)
    np.testing.assert_allclose(sum(wide[pair] for pair in pairs), wide[chosen][kept].sum(), rtol=1e-12, atol=1e-12)
    rounding = 1e-6 if cost.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(total, wide[chosen][kept].sum(), rtol=rounding, atol=1e-12)


def costs(random, kind, shape, dtype):
    if kind == "uniform":
        return random.random(shape).astype(dtype)
    whole = random.integers(-4, 5, shape).astype(dtype)
    if kind == "forbidden":
        whole[random.random(shape) < 0.4] = np.inf
        whole[random.random(shape) < 0.1] = np.nan
    return whole


def run_dense(kernels, dtype, kind, problems, rows, columns, seed, maximize=False, moved=None):
    random = np.random.default_rng(seed)
    cost = costs(random, kind, (problems, rows, columns), dtype)
    row_count = random.integers(0, rows + 1, problems)
    column_count = random.integers(0, columns + 1, problems)
    if seed % 2:
        row_count[:], column_count[:] = rows, columns
    side = max(rows, columns)
    given = outputs(dtype, problems, problems * rows, problems * columns, problems * side if side > 256 else 0)
    arguments = (cost, row_count, column_count, *given, problems, rows, columns, maximize)
    getattr(kernels, f"assignment_{dtype}")(*arguments, seed=seed, offset_elements=moved or {})
    total, column, row = given[0], given[1].reshape(problems, rows), given[2].reshape(problems, columns)
    for b, (r, c) in enumerate(zip(row_count, column_count, strict=True)):
        check(cost[b, :r, :c], total[b], column[b, :r], row[b, :c], maximize)
        assert (column[b, r:] == -1).all() and (row[b, c:] == -1).all()
    return b"".join(x.tobytes() for x in given[:3])


SHAPES = [(1, 1, 1), (5, 1, 3), (4, 8, 8), (3, 33, 31), (2, 31, 34), (2, 64, 64), (1, 70, 65), (1, 5, 257), (1, 260, 3)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["uniform", "ties", "forbidden"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dense(kernels, shape, kind, dtype):
    for seed, maximize in enumerate((False, True)):
        run_dense(kernels, dtype, kind, *shape, seed, maximize)


@pytest.mark.parametrize("shape", [(0, 3, 3), (5, 0, 4), (5, 4, 0)], ids=str)
def test_nothing_to_assign(kernels, shape):
    problems, rows, columns = shape
    given = outputs("float32", problems, problems * rows, problems * columns, 0)
    sizes = np.full(problems, rows), np.full(problems, columns)
    kernels.assignment_float32(np.zeros(shape, np.float32), *sizes, *given, problems, rows, columns, False)
    assert not given[0].any() and (given[1] == -1).all() and (given[2] == -1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["uniform", "ties", "forbidden"])
def test_ragged(kernels, kind, dtype):
    random = np.random.default_rng(0)
    shapes = [(3, 4), (0, 5), (1, 1), (5, 0), (9, 9), (0, 0), (40, 33), (2, 40), (8, 8)]
    matrices = [costs(random, kind, shape, dtype) for shape in shapes]
    bounds = [np.cumsum([0, *sizes]) for sizes in ([r * c for r, c in shapes], *zip(*shapes, strict=True))]
    given = outputs(dtype, len(shapes), bounds[1][-1], bounds[2][-1], bounds[1][-1] + bounds[2][-1])
    flat = np.concatenate([m.ravel() for m in matrices])
    getattr(kernels, f"assignment_ragged_{dtype}")(flat, *bounds, *given, len(shapes), False)
    for b, matrix in enumerate(matrices):
        row, column = (slice(bounds[k][b], bounds[k][b + 1]) for k in (1, 2))
        check(matrix, given[0][b], given[1][row], given[2][column])


def test_many_problems(kernels):
    run_dense(kernels, "float32", "ties", 9001, 2, 3, 1)


def test_bases_that_are_not_aligned_and_every_order(kernels):
    results = {run_dense(kernels, "float32", "ties", 5, 9, 12, 1)}
    names = ("cost", "total", "column", "row")
    for moved in (*((name,) for name in names), names):
        results.add(run_dense(kernels, "float32", "ties", 5, 9, 12, 1, moved=dict.fromkeys(moved, 1)))
    assert len(results) == 1


# Slips in assignment_solver.cuh: the text, what stands there instead, which of its occurrences, and what may be found.
UNORDERED = {"data race", "uninitialised shared read"}
SLIPS = {
    "nothing wrong": ("", "", 0, set()),
    "parents read before they are there": ("__syncwarp();  // every", "// every", 0, UNORDERED),
    "next row before the last is matched": ("    }\n    __syncwarp();\n  }", "    }\n  }", 0, UNORDERED),
    "a column too many": ("j < costs.columns", "j <= costs.columns", 1, {"out of bounds", "wrong", *UNORDERED}),
    "another's parent": ("s.parent[j] = row;", "s.parent[j] = start;", 0, {"wrong"}),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_caught(slip, tmp_path):
    old, new, nth, kinds = SLIPS[slip]
    text = (CSRC / "cuda" / "assignment_solver.cuh").read_text()
    if old:
        parts = text.split(old)
        assert len(parts) > nth + 1, f"assignment_solver.cuh no longer has {old!r} {nth + 1} times"
        text = old.join(parts[: nth + 1]) + new + old.join(parts[nth + 1 :])
    (tmp_path / "cuda").mkdir()
    (tmp_path / "cuda" / "assignment_solver.cuh").write_text(text)
    kernels = load(HERE / "kernels" / "assignment_slips.cpp", tmp_path)
    found = set()
    for seed in range(4):
        try:
            run_dense(kernels, "float32", "uniform", 3, 24, 33, 2 * seed + 1)
        except CudaSimError as error:
            found.add(error.kind)
        except AssertionError:
            found.add("wrong")
    assert found <= kinds and bool(found) == bool(kinds), found
