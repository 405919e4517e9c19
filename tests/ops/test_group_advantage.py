"""group_advantage against numpy, group by group."""

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr import ops

module = importlib.import_module("videostr.ops.group_advantage")
SCALES = ["std", "none", "batch", "loo"]


def by_hand(reward, group, scale, eps, min_std, task_reward, groups):
    reward, group = np.asarray(reward, np.float64), np.asarray(group)
    task = reward if task_reward is None else np.asarray(task_reward, np.float64)
    advantage, (mean, std, low, high) = np.zeros(len(reward)), np.zeros((4, groups))
    count, informative = np.bincount(group.astype(int), minlength=groups), np.zeros(groups, bool)
    for b in range(groups):
        rows = np.flatnonzero(group == b)
        r = reward[rows]
        if len(r) == 0:
            continue
        mean[b], low[b], high[b] = r.mean(), r.min(), r.max()
        std[b] = np.std(r, ddof=1) if np.ptp(r) > 0 else 0
        task_std = np.std(task[rows], ddof=1) if np.ptp(task[rows]) > 0 else 0
        informative[b] = task_std > min_std
        for i in rows:
            others = [reward[j] for j in rows if j != i]
            if not informative[b] or std[b] == 0:
                continue
            advantage[i] = {
                "std": lambda i=i, b=b: (reward[i] - mean[b]) / (std[b] + eps),
                "none": lambda i=i, b=b: reward[i] - mean[b],
                "batch": lambda i=i, b=b: (reward[i] - mean[b]) / (np.std(reward, ddof=1) + eps),
                "loo": lambda i=i, o=others: reward[i] - np.mean(o),
            }[scale]()
    return advantage, mean, std, low, high, count, informative


@st.composite
def batches(draw):
    sizes = draw(st.lists(st.integers(0, 9), min_size=0, max_size=8))
    group = [b for b, size in enumerate(sizes) for _ in range(size)]
    # few distinct values: equal rewards in a group are the case that matters
    value = st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0, -2.5])
    reward, task = (draw(st.lists(value, min_size=len(group), max_size=len(group))) for _ in range(2))
    order = draw(st.permutations(range(len(group))))
    return [group[i] for i in order], reward, task, len(sizes)


@settings(max_examples=150, deadline=None)
@given(
    batches(),
    st.sampled_from(SCALES),
    st.sampled_from([0.0, 1e-6, 0.1]),
    st.sampled_from([0.0, 0.25]),
    st.booleans(),
    st.sampled_from(["kernel", "any device", "reference"]),
    st.booleans(),
)
def test_against_numpy(batch, scale, eps, min_std, gated, implementation, sorted_rows):
    group, reward, task, groups = batch
    group = sorted(group) if sorted_rows else group
    reward_N, group_N = torch.tensor(reward, dtype=torch.float64), torch.tensor(group, dtype=torch.long)
    task_N = torch.tensor(task, dtype=torch.float64) if gated else None
    options = {"scale": scale, "eps": eps, "min_std": min_std}
    offsets = None
    if sorted_rows and implementation != "reference":
        counts = torch.bincount(group_N, minlength=groups)
        offsets, group_N = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)]).int(), None
    if implementation == "kernel":
        options |= {"task_reward": task_N, "num_groups": groups, "offsets": offsets}
        ours = ops.group_advantage(reward_N, group_N, **options)
    elif implementation == "any device":
        ours = module._torch(reward_N[:, None], group_N, offsets, None, task_N, groups, scale, eps, min_std)
    else:
        ours = ops.reference.group_advantage(reward_N, group_N, groups, None, task_N, **options)
    truth = by_hand(reward, group, scale, eps, min_std, task if gated else None, groups)
    for mine, true in zip(ours, truth, strict=True):
        np.testing.assert_allclose(mine.numpy(), true, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("implementation", ["kernel", "any device", "reference"])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, -1.0]])
def test_several_rewards_are_one_weighted_sum(implementation, weights):
    generator = torch.Generator().manual_seed(0)
    reward = torch.rand(12, 3, generator=generator, dtype=torch.float64)
    group = torch.randint(0, 3, (12,), generator=generator)
    factors = torch.tensor(weights or [1.0, 1.0, 1.0], dtype=torch.float64)
    given = None if weights is None else factors
    if implementation == "kernel":
        ours = ops.group_advantage(reward, group, weights=weights, num_groups=3)
    elif implementation == "any device":
        ours = module._torch(reward, group, None, given, None, 3, "std", 1e-6, 0.0)
    else:
        ours = ops.reference.group_advantage(reward, group, 3, given)
    truth = by_hand((reward.numpy() * factors.numpy()).sum(1), group.numpy(), "std", 1e-6, 0.0, None, 3)
    for mine, true in zip(ours, truth, strict=True):
        np.testing.assert_allclose(mine.numpy(), true, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_ids_in_any_order_and_offsets_give_the_same_bits(scale):
    generator = torch.Generator().manual_seed(0)
    group = torch.randint(0, 40, (500,), generator=generator).sort().values
    reward = torch.rand(500, generator=generator)
    offsets = torch.searchsorted(group, torch.arange(41))
    first = ops.group_advantage(reward, offsets=offsets, scale=scale)
    other = ops.group_advantage(reward, group, scale=scale, num_groups=40)
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_papers_example():
    # 8 answers, unbiased std: rewards 1 and seven 0 -> mean 1/8, std sqrt(1/8)
    reward = torch.zeros(8)
    reward[3] = 1
    adv = ops.group_advantage(reward, torch.zeros(8, dtype=torch.long))
    std = 0.125**0.5
    assert adv.std_B.item() == pytest.approx(std)
    assert adv.advantage_N[3].item() == pytest.approx(0.875 / (std + 1e-6), rel=1e-6)
    assert adv.advantage_N[0].item() == pytest.approx(-0.125 / (std + 1e-6), rel=1e-6)


def test_phantom_advantage_is_gated():
    # IoU 0 everywhere, one answer badly formatted: without the gate it would get a large negative advantage
    iou, fmt = torch.zeros(8), torch.ones(8)
    fmt[5] = 0
    reward, group = 0.9 * iou + 0.1 * fmt, torch.zeros(8, dtype=torch.long)
    assert ops.group_advantage(reward, group).advantage_N[5] < -2
    gated = ops.group_advantage(reward, group, task_reward=iou)
    assert not gated.advantage_N.any() and not gated.informative_B.any()
    assert gated.std_B[0] > 0  # the statistic still tells what the reward did


def test_equal_rewards_are_exactly_zero():
    for dtype in (torch.float32, torch.float64):
        for value in (0.1, 0.7, 1 / 3, 1e30):
            adv = ops.group_advantage(torch.full((7,), value, dtype=dtype), torch.zeros(7, dtype=torch.long), eps=0.0)
            assert not adv.advantage_N.any() and adv.std_B[0] == 0 and not adv.informative_B[0]


def test_dtypes_and_many_groups():
    generator = torch.Generator().manual_seed(0)
    group = torch.randint(0, 70_000, (200_000,), generator=generator)
    reward = torch.randint(0, 3, (200_000,), generator=generator)
    adv = ops.group_advantage(reward, group.int(), scale="none", num_groups=70_000)
    assert adv.advantage_N.dtype == torch.float32 and adv.mean_B.shape == (70_000,)
    sums = torch.zeros(70_000).index_add(0, group, adv.advantage_N)
    assert sums.abs().max() < 1e-4
    assert ops.group_advantage(reward[:5].bfloat16(), group[:5] % 2).advantage_N.dtype == torch.float32


def test_no_answers():
    adv = ops.group_advantage(torch.zeros(0), torch.zeros(0, dtype=torch.long))
    assert [tuple(x.shape) for x in adv] == [(0,)] * 7
    adv = ops.group_advantage(torch.zeros(0), torch.zeros(0, dtype=torch.long), num_groups=2)
    assert adv.mean_B.tolist() == [0, 0] and adv.informative_B.tolist() == [False, False]


GOOD = {"reward": torch.tensor([0.0, 1.0]), "group_N": torch.tensor([0, 0])}


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"scale": "mean"}, ValueError, "scale must be one of std, none, batch, loo, got 'mean'"),
        ({"group_N": torch.tensor([0])}, ValueError, r"group must have shape \(2,\)"),
        ({"group_N": torch.tensor([0, -1])}, ValueError, "got -1 at index 1"),
        ({"group_N": None}, ValueError, "either group or offsets, got neither"),
        ({"offsets": torch.tensor([0, 2])}, ValueError, "either group or offsets, got both"),
        (
            {"group_N": None, "offsets": torch.tensor([0, 1])},
            ValueError,
            "from 0 to 2 without falling, got 1 at index 1",
        ),
        ({"group_N": None, "offsets": torch.tensor([0, 2, 1, 2])}, ValueError, "got 1 at index 2"),
        ({"group_N": None, "offsets": torch.tensor([1, 2])}, ValueError, "got 1 at index 0"),
        ({"group_N": None, "offsets": torch.tensor([0.0, 2.0])}, TypeError, "offsets must hold integers"),
        ({"group_N": None, "offsets": torch.tensor([0, 2]), "num_groups": 2}, ValueError, r"shape \(B \+ 1,\)"),
        ({"weights": [1.0, 2.0]}, ValueError, r"weights must have shape \(1,\)"),
        ({"weights": [float("inf")]}, ValueError, "weights must be finite"),
        ({"reward": torch.zeros(2, 0)}, ValueError, r"reward must have shape \(N,\) or \(N, K\)"),
        ({"group_N": torch.tensor([0, 3]), "num_groups": 2}, ValueError, r"ids in \[0, 2\), got 3"),
        ({"num_groups": -1}, ValueError, "num_groups must be a finite number >= 0, got -1"),
        ({"num_groups": 1.0}, TypeError, "num_groups must be an integer, got float"),
        ({"reward": torch.zeros(2, dtype=torch.complex64)}, TypeError, "reward must be real, got torch.complex64"),
        ({"group_N": torch.tensor([0.0, 0.0])}, TypeError, "group must hold integers"),
        ({"reward": torch.tensor([0.0, float("nan")])}, ValueError, "reward must be finite, got nan at index 1"),
        ({"task_reward": torch.tensor([float("inf"), 0.0])}, ValueError, "task_reward must be finite"),
        ({"task_reward": torch.zeros(3)}, ValueError, "task_reward must have shape"),
        ({"eps": -1.0}, ValueError, "eps must be a finite number >= 0"),
        ({"min_std": float("inf")}, ValueError, "min_std"),
    ],
)
def test_wrong_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ops.group_advantage(**{**GOOD, **change})


def test_nothing_carries_a_gradient():
    reward, weights = (torch.rand(4, 2).requires_grad_(), torch.rand(2).requires_grad_())
    adv = ops.group_advantage(reward, torch.zeros(4).long(), weights=weights, task_reward=reward[:, 0])
    assert not any(x.requires_grad for x in adv)


def test_operator_guards_its_memory_itself():
    with pytest.raises(RuntimeError, match=r"ids in \[0, 2\), got 5 at index 1"):
        torch.ops.videostr.group_advantage(
            torch.zeros(2, 1), torch.tensor([0, 5]), None, None, None, 2, "std", 0.0, 0.0
        )
