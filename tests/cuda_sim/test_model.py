"""The execution model: what a right kernel computes here, against numpy, in every order that a seed gives."""

import numpy as np
import pytest

from cuda_sim.build import HERE, load, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")
SEEDS = range(4)


@pytest.fixture(scope="module")
def model():
    return load(HERE / "kernels" / "model.cpp")


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("grid,block", [((1, 1, 1), (1, 1, 1)), ((3, 2, 4), (5, 3, 2)), ((2, 1, 1), (32, 32, 1))])
def test_places(model, grid, block, seed):
    def flat(size):
        z, y, x = np.indices(size[::-1])
        return np.stack([x, y, z], -1).reshape(-1, 3)

    out = np.full((np.prod(grid), np.prod(block), 7), -1, np.int32)
    model.places(out, *grid, *block, seed=seed)
    np.testing.assert_array_equal(out[..., :3], np.broadcast_to(flat(grid)[:, None], out[..., :3].shape))
    np.testing.assert_array_equal(out[..., 3:6], np.broadcast_to(flat(block)[None], out[..., :3].shape))
    np.testing.assert_array_equal(out[..., 6], np.broadcast_to(np.arange(np.prod(grid))[:, None], out.shape[:2]))


def shuffled(values, kind, by, width):
    """PTX's shfl for whole warps, lane by lane."""
    out = values.copy()
    for lane in range(len(values)):
        low = lane // width * width
        source = {"idx": low + by % width, "up": lane - by, "down": lane + by, "xor": lane ^ by}[kind]
        if kind == "up" and source < low or kind in ("down", "xor") and source >= low + width:
            source = lane
        out[lane] = values[source]
    return out


@pytest.mark.parametrize("by", [0, 1, 5, 16, 31])
@pytest.mark.parametrize("width", [1, 4, 16, 32])
@pytest.mark.parametrize("dtype", ["int32", "float64", "uint8"])
def test_shuffles(model, random, dtype, width, by):
    values = random.integers(0, 255, 64).astype(dtype)
    out = np.zeros((4, 64), dtype)
    getattr(model, f"shuffles_{dtype}")(values, out, 64, by, width, seed=by)
    for row, kind in zip(out, ("idx", "up", "down", "xor"), strict=True):
        warps = [shuffled(values[i : i + 32], kind, by, width) for i in (0, 32)]
        np.testing.assert_array_equal(row, np.concatenate(warps), err_msg=kind)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("threads", [32, 50, 96])  # 50: a last warp of 18 lanes, which a full mask may name
@pytest.mark.parametrize("mask", [0xFFFFFFFF, 0x0000FFFF, 0x55555555, 0x80000001])
def test_votes_matches_and_reductions(model, random, threads, mask, seed):
    values = random.integers(-100, 100, threads).astype(np.int32)
    out = np.zeros((14, threads), np.int32)
    model.warp_wide(values, out, threads, mask, seed=seed)
    for lane in range(threads):
        first = lane // 32 * 32
        mine = [i for i in range(first, min(first + 32, threads)) if (mask >> i % 32 & 1) == (mask >> lane % 32 & 1)]
        x = values[mine].astype(np.int64)
        u = x % 2**32

        def lanes(chosen, mine=mine):
            return sum(1 << i % 32 for i, yes in zip(mine, chosen, strict=True) if yes)

        remainder = np.fmod(values, 5)
        same = np.all(np.fix(x / 1000) == np.fix(x[0] / 1000))
        expected = [
            *(lanes(x % 2 == 1), any(x == 3), all(x < 90), lanes(remainder[mine] == remainder[lane])),
            *(x.sum(), x.min(), x.max(), u.min(), u.max()),
            *(np.bitwise_and.reduce(u), np.bitwise_or.reduce(u), np.bitwise_xor.reduce(u)),
            *(lanes(x == x) if same else 0, same),
        ]
        assert [int(v) % 2**32 for v in out[:, lane]] == [int(v) % 2**32 for v in expected]


@pytest.mark.parametrize("positive", [0, 1, 69, 70])
def test_votes_of_the_block(model, positive):
    out = np.full((3, 70), -1, np.int32)
    model.block_votes((np.arange(70) < positive).astype(np.int32), out, 70)
    assert (out.T == [positive == 70, positive > 0, positive]).all()


@pytest.mark.parametrize("n", [1, 1000, 4099])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums(model, random, dtype, n):
    values = random.standard_normal(n).astype(dtype)
    results = []
    for seed in SEEDS:
        out = np.full(3, np.nan, dtype)
        getattr(model, f"sums_{dtype}")(values, out, n, 3, seed=seed)
        results.append(out)
    np.testing.assert_allclose(results[0].sum(), values.astype(np.float64).sum(), rtol=0, atol=np.finfo(dtype).eps * n)
    for other in results[1:]:  # a right kernel, in any order: the very same bits
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize("threads", [1, 33, 256])
def test_dynamic_shared_memory(model, random, threads):
    values = random.standard_normal((3, threads)).astype(np.float32)
    out = np.full_like(values, np.nan)
    model.reversed(values, out, 3, threads)
    np.testing.assert_array_equal(out, values[:, ::-1])


def test_histogram(model, random):
    values = random.integers(0, 16, 1001).astype(np.int32)
    for seed in SEEDS:
        out = np.zeros(16, np.int32)
        model.histogram(values, out, 1001, seed=seed)
        np.testing.assert_array_equal(out, np.bincount(values, minlength=16))


@pytest.mark.parametrize("dtype", ["int32", "uint32", "uint64", "float32", "float64"])
def test_atomics(model, random, dtype):
    values = random.integers(1, 1000, 100).astype(dtype)
    for seed in SEEDS:
        out, old = np.array([0, 0, 5000, 0, 0], dtype), np.zeros(100, dtype)
        getattr(model, f"atomics_{dtype}")(values, out, old, 100, seed=seed)
        assert list(out[[0, 1, 2, 4]]) == [values.sum(), values.max(), values.min(), values.sum()] and out[3] in values
        order = np.argsort(old)  # what each found is what the ones before it left
        np.testing.assert_array_equal(old[order], np.cumsum(values[order]) - values[order])


def test_atomics_on_bits(model, random):
    values = random.integers(0, 2**32, 100, dtype=np.uint32)
    out = np.array([2**32 - 1, 0, 0, 0, 0, 0], np.uint32)
    model.bit_atomics(values, out, 100)
    folds = [ufunc.reduce(values) for ufunc in (np.bitwise_and, np.bitwise_or, np.bitwise_xor)]
    # 100 steps around 10 values, up and down; 2^32 - sum
    np.testing.assert_array_equal(out, [*folds, 0, 0, -int(values.sum(dtype=np.uint64)) % 2**32])


def test_the_seed_shuffles_blocks_and_threads(model):
    def order(seed):
        count, out = np.zeros(1, np.int32), np.full(256, -1, np.int32)
        model.arrivals(count, out, 4, 64, seed=seed)
        return tuple(out)

    orders = [order(seed) for seed in range(10)]
    assert all(sorted(o) == list(range(256)) for o in orders) and len(set(orders)) == 10
    assert len({o[0] // 64 for o in orders}) > 1 and order(3) == orders[3]


@pytest.mark.parametrize("seed", range(8))
def test_threads_that_wait_for_each_other_get_on(model, seed):
    lock, total = np.zeros(1, np.int32), np.zeros(1, np.float32)
    model.locked(lock, total, 1024, seed=seed)
    assert total[0] == 64 and lock[0] == 0
    out = np.zeros(1, np.int32)
    model.flagged(np.zeros(1, np.int32), out, seed=seed)
    assert out[0] == 7


def to_bfloat16(values):
    """Round to nearest, ties to even, on the bits; not for NaN."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def test_every_16_bit_float_widens_exactly_and_comes_back(model):
    patterns = np.arange(65536, dtype=np.uint16)
    widths = {
        "half": patterns.view(np.float16).astype(np.float32),
        "bfloat16": (patterns.astype(np.uint32) << 16).view(np.float32),
    }
    for name, wide in widths.items():
        out = np.zeros(65536, np.float32)
        narrow = patterns.view(np.float16) if name == "half" else patterns
        getattr(model, f"widen_{name}")(narrow, out, 65536)
        np.testing.assert_array_equal(out, wide)
        numbers = ~np.isnan(wide)
        np.testing.assert_array_equal(np.signbit(out)[numbers], np.signbit(wide)[numbers])
        back = [np.zeros_like(narrow) for _ in range(2)]
        with np.errstate(invalid="ignore"):  # signalling NaNs
            double = wide.astype(np.float64)
        getattr(model, f"narrow_{name}")(wide, double, *back, 65536)
        for each in back:
            expected = np.where(np.isnan(wide), 0x7FFF, patterns)  # CUDA's one NaN
            np.testing.assert_array_equal(each.view(np.uint16), expected)


def test_rounding_to_16_bits(model, random):
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    between = (halves[1:] + halves[:-1]) / 2  # every tie, and what lies next to it
    values = np.concatenate(
        [between, np.nextafter(between, 1e9), np.nextafter(between, -1e9), [65519.99, 65520.0, 1e300]]
    )
    spread = np.exp(random.uniform(-100, 88, 50_000))
    values = np.concatenate([values, -values, spread, -spread])
    single = values.clip(-3e38, 3e38).astype(np.float32)
    n = len(values)
    out, out_double = np.zeros(n, np.float16), np.zeros(n, np.float16)
    model.narrow_half(single, values, out, out_double, n)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out, single.astype(np.float16))
        np.testing.assert_array_equal(out_double, values.astype(np.float16))
    out, out_double = np.zeros(n, np.uint16), np.zeros(n, np.uint16)
    ties = (single.view(np.uint32) & 0xFFFF0000 | 0x8000).view(np.float32)
    for numbers in (single, ties):
        model.narrow_bfloat16(numbers, numbers.astype(np.float64), out, out_double, n)
        np.testing.assert_array_equal(out, to_bfloat16(numbers))
        np.testing.assert_array_equal(out_double, to_bfloat16(numbers))


def test_numbers(model, random):
    values = np.concatenate([random.integers(-(2**31), 2**31, 300), [0, 1, -1, 2**31 - 1, -(2**31)]]).astype(np.int32)
    floats = np.array([0.5, 1.5, 2.5, -0.5, -2.7, 1e10, -1e10, np.nan, np.inf, -np.inf, 0.25], np.float32)
    values = np.concatenate([values, floats.view(np.int32)])
    n = len(values)
    out = np.zeros((8, n), np.int32)
    model.numbers(values, out, n)
    bits = [f"{v % 2**32:032b}" for v in values.tolist()]
    f = values.view(np.float32).astype(np.float64)
    whole = np.nan_to_num(f, nan=0, posinf=2**31 - 1, neginf=-(2**31)).clip(-(2**31), 2**31 - 1)
    expected = [
        [b.count("1") for b in bits],
        [len(b) - b.rfind("1") if "1" in b else 0 for b in bits],
        [b.find("1") if "1" in b else 32 for b in bits],
        np.array([int(b[::-1], 2) for b in bits], np.uint32).view(np.int32),
        (np.nan_to_num(f, nan=0, posinf=1).clip(0, 1) + 0.0).astype(np.float32).view(np.int32),  # no -0.0
        np.rint(whole).astype(np.int32),
        np.trunc(whole).astype(np.int32),
        (values.astype(np.int64) * 123456789) >> 32,
    ]
    for row, want in zip(out, expected, strict=True):
        np.testing.assert_array_equal(row, want)
