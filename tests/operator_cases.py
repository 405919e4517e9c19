"""Calls of the operators that have GPU kernels, over the shapes that break kernels, and the plain torch truth of each.

One row an operator: the interpreter's tests and those on a GPU run every row. Random values from a fixed seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from graph_cases import random_graphs
from torch import Tensor

from videostr.ops import reference


@dataclass(frozen=True)
class Operator:
    """truth: the arguments in float64 on the CPU -> outputs. cases: (name, arguments) of the operator's schema.
    roundings: how many of the dtype an output may be off by."""

    truth: Callable[..., tuple[Tensor, ...]]
    cases: Callable[[torch.dtype], Iterator[tuple[str, tuple]]]
    roundings: float = 32


def advantage_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    def case(answers: int, groups: int, scale="std", task=False, eps=1e-6, min_std=0.0, columns=1, sort=False):
        generator = torch.Generator().manual_seed(answers)
        # Few distinct rewards: groups without spread are the case that matters.
        reward = torch.randint(0, 4, (answers, columns), generator=generator).to(dtype) / 3
        group = torch.randint(0, max(groups, 1), (answers,), generator=generator)
        task_reward = torch.randint(0, 2, (answers,), generator=generator).to(dtype) if task else None
        weights = torch.rand(columns, generator=generator, dtype=dtype) if columns > 1 else None
        offsets = None
        if sort:
            counts = torch.bincount(group, minlength=groups)
            offsets, group = torch.cat([counts.new_zeros(1), counts.cumsum(0)]), None
        name = f"{answers} answers, {groups} groups, {scale}, {columns} rewards, {eps}, {min_std}, {sort=}, {task=}"
        return name, (reward, group, offsets, weights, task_reward, groups, scale, eps, min_std)

    for scale, task in product(("std", "none", "batch", "loo"), (False, True)):
        yield case(37, 9, scale, task, min_std=0.25 if task else 0.0)
    for answers, groups in ((0, 0), (0, 3), (1, 1), (2, 2), (31, 40), (129, 3)):
        yield case(answers, groups)
    yield case(64, 8, eps=0.0)
    yield case(200, 20, "loo", min_std=0.4)
    for scale in ("std", "batch"):
        yield case(90, 7, scale, task=True, columns=3)
        yield case(90, 7, scale, task=True, columns=2, sort=True)
    yield case(0, 3, sort=True)
    yield case(31, 40, sort=True)


def advantage_truth(reward, group, offsets, weights, task_reward, groups, *options) -> tuple[Tensor, ...]:
    if group is None:
        group = torch.repeat_interleave(torch.arange(groups), offsets.diff())
    return tuple(reference.group_advantage(reward, group, groups, weights, task_reward, *options))


def long_advantage_case(dtype: torch.dtype) -> tuple[str, tuple]:
    generator = torch.Generator().manual_seed(0)
    reward = torch.randint(0, 4, (70_001, 1), generator=generator).to(dtype) / 3
    group = torch.randint(0, 3, (70_001,), generator=generator)
    return "70,001 answers", (reward, group, None, None, None, 3, "std", 1e-6, 0.0)


def wide_advantage_case(dtype: torch.dtype) -> tuple[str, tuple]:
    """More groups than a launch's second dimension holds; too many programs for an interpreter."""
    group = torch.arange(70_000)
    reward = torch.rand(70_000, 1, dtype=dtype)
    return "70,000 groups of one", (reward, group, None, None, None, 70_000, "std", 1e-6, 0.0)


LOSSES = {  # objective and the options that set it apart from `PolicyOptions`
    "clip": ("clip", {}),
    "everything": (
        "clip",
        {
            "ratio_cap": 1.5,
            "kl_coef": 0.3,
            "kl_bias_correction": True,
            "entropy_coef": 0.1,
            "importance": "token_truncate",
        },
    ),
    "k1": ("clip", {"kl_coef": 0.3, "kl_type": "k1", "kl_clamp": 0.4, "importance": "token_mask"}),
    "k2": ("cispo", {"kl_coef": 0.3, "kl_type": "k2", "kl_clamp": None, "importance": "sequence_truncate"}),
    "sequence": ("sequence", {"kl_coef": 0.2, "kl_bias_correction": True, "importance": "sequence_mask"}),
    "sapo": ("sapo", {"sapo_temperature": (1.5, 2.0), "entropy_coef": -0.1}),
    "vespo": ("vespo", {"vespo_k": (1.0, 2.0), "importance": "token_mask", "importance_min": 0.5}),
}


def loss_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    def case(name: str, answers: int, length: int, spread=0.3, given=True):
        rng = torch.Generator().manual_seed(answers + length)
        old, ref, sampler, entropy = (
            torch.randn(answers, length, generator=rng, dtype=torch.float64) for _ in range(4)
        )
        logprob = -torch.rand(answers, length, generator=rng, dtype=torch.float64) * 3
        mask = torch.rand(answers, length, generator=rng) < 0.7
        mask[:1] = False  # an empty answer
        near = [logprob, *(logprob + spread * x for x in (old, ref, sampler)), entropy.abs()]
        logprob, old, ref, sampler, entropy = (x.to(dtype).masked_fill(~mask, torch.nan) for x in near)
        advantage = torch.randn(answers, generator=rng, dtype=torch.float64).to(dtype)
        weight = torch.rand(answers, generator=rng, dtype=torch.float64).to(dtype)
        objective, options = LOSSES[name]
        chosen = [list(x) if isinstance(x, tuple) else x for x in reference.PolicyOptions(**options)]
        absent = () if given else (None, None, None)
        extra = absent or (ref, entropy, sampler)
        arguments = (logprob, old, advantage, mask, weight, *extra, objective, *chosen)
        return f"{answers} x {length} {name}, spread {spread}{'' if given else ', alone'}", arguments

    for name in LOSSES:
        yield case(name, 5, 21)
    for answers, length in ((0, 0), (0, 3), (2, 0), (1, 1), (70, 1), (3, 65)):
        yield case("everything", answers, length)
    yield case("clip", 4, 9, given=False)
    for name in ("everything", "sequence"):
        yield case(name, 4, 30, spread=12.0)  # past the limit on log-ratios


def policy_loss_truth(*arguments) -> tuple[Tensor, ...]:
    """Loss, statistics and gradients by autograd of the specification."""
    arguments = list(arguments)
    places = [0] if arguments[6] is None else [0, 6]
    for place in places:
        arguments[place] = arguments[place].clone().requires_grad_()
    leaves = [arguments[place] for place in places]
    loss, stats = reference.weighted_policy_loss(*arguments[:9], reference.PolicyOptions(*arguments[9:]))
    grads = torch.autograd.grad(loss, leaves, materialize_grads=True, allow_unused=True)
    packed = torch.stack([stats.get(name, loss.new_zeros(())) for name in reference.STATS])
    return loss.detach(), packed.detach(), grads[0], grads[1] if len(grads) == 2 else loss.detach().new_empty((0, 0))


INTERVAL_KINDS = ("iou", "giou", "diou", "hull", "iop", "time_r1")


def interval_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    generator = torch.Generator().manual_seed(0)
    odd = torch.tensor([[3.0, 1.0], [float("nan"), 1.0], [0.0, float("inf")], [2.0, 2.0], [-1.0, 5.0]], dtype=dtype)
    for kind, count in product(INTERVAL_KINDS, (0, 1, 7, 1024, 70_001)):
        pred = torch.rand(count, 2, generator=generator, dtype=dtype).sort(-1).values
        target = torch.rand(count, 2, generator=generator, dtype=dtype).sort(-1).values
        if count > len(odd):
            pred[: len(odd)], target[1 : 1 + len(odd)] = odd, odd
        duration = torch.rand(count, generator=generator, dtype=dtype) + 0.2 if kind == "time_r1" else None
        yield f"{count} {kind}", (pred, target, kind, duration)


def pair_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    generator = torch.Generator().manual_seed(0)
    for kind, (rows, columns) in product(INTERVAL_KINDS, ((0, 3), (1, 1), (33, 5), (64, 1032))):
        pred, target = (torch.rand(n, 2, generator=generator, dtype=dtype).sort(-1).values for n in (rows, columns))
        duration = torch.rand(rows, generator=generator, dtype=dtype) + 0.2 if kind == "time_r1" else None
        yield f"{rows} x {columns} {kind}", (pred, target, kind, duration)


def ragged(problems: int, most: int, generator: torch.Generator) -> Tensor:
    """Offsets of problems of 0 to `most` rows."""
    counts = torch.randint(0, most + 1, (problems,), generator=generator)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


RAGGED = ((0, 0), (1, 0), (1, 1), (7, 9), (300, 12), (3, 70))


def set_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    generator = torch.Generator().manual_seed(0)
    for pairing, (answers, most) in product(("written", "ordered"), RAGGED):
        arguments = []
        for _ in range(2):
            offsets = ragged(answers, most, generator)
            span = torch.randint(-1, 12, (int(offsets[-1]), 2), generator=generator).to(dtype) / 2
            span[::7] = torch.nan
            arguments += [span, offsets]
        yield f"{answers} answers of up to {most} {pairing}", (*arguments, pairing)


def nms_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    generator = torch.Generator().manual_seed(0)
    for threshold, (problems, most) in product((0.0, 0.4), RAGGED):
        offsets = ragged(problems, most, generator)
        span = torch.randint(-1, 12, (int(offsets[-1]), 2), generator=generator).to(dtype) / 2
        score = torch.randint(0, 4, (len(span),), generator=generator).to(dtype)
        score[::5] = torch.nan
        yield f"{problems} problems of up to {most} at {threshold}", (span, score, offsets, threshold)


def random_boxes(count: int, columns: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    box = torch.rand(count, columns, generator=generator, dtype=dtype)
    if columns == 4:
        box[:, 2:] += box[:, :2]
    else:
        box[:, 3:] = 0.2 + 3 * box[:, 3:]
    box[::9, 2] = torch.nan
    return box


def box_cases(columns: int, kinds: tuple[str, ...]):
    def cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
        generator = torch.Generator().manual_seed(0)
        for kind, count in product(kinds, (0, 1, 7, 1000)):
            pred, target = (random_boxes(count, columns, generator, dtype) for _ in range(2))
            yield f"{count} {kind}", (pred, target, kind)

    return cases


def box_pair_cases(columns: int, kinds: tuple[str, ...]):
    def cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
        generator = torch.Generator().manual_seed(0)
        for kind, shape in product(kinds, ((0, 3), (1, 1), (33, 5), (40, 300))):
            yield f"{shape} {kind}", (*(random_boxes(n, columns, generator, dtype) for n in shape), kind)

    return cases


def tube_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    generator = torch.Generator().manual_seed(0)
    for over, (answers, most) in product(("target", "union"), RAGGED):
        arguments = []
        for _ in range(2):
            offsets = ragged(answers, most, generator)
            box = random_boxes(int(offsets[-1]), 4, generator, dtype)
            arguments += [box, torch.randint(-2, most + 2, (len(box),), generator=generator), offsets]
        yield f"{answers} answers of up to {most} over {over}", (*arguments, over)


def logit_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    wide = torch.promote_types(dtype, torch.float32)
    for rows, vocabulary in ((0, 5), (1, 1), (3, 17), (5, 300), (2, 64)):
        generator = torch.Generator().manual_seed(rows)
        logits = torch.randn(rows, vocabulary, generator=generator, dtype=torch.float64).mul(3).to(dtype)
        target = torch.randint(0, vocabulary, (rows,), generator=generator)
        bias = torch.randn(vocabulary, generator=generator, dtype=torch.float64).to(wide)
        if vocabulary > 100:
            bias[:90] = -torch.inf  # whole blocks of excluded ids, at the beginning
            target = target.clamp(min=95)
            if rows > 4:
                logits[0] -= 20  # all-negative
        temperature = torch.rand(rows, generator=generator, dtype=torch.float64).add(0.5).to(wide)
        for name, arguments in (
            ("plain", (None, torch.ones_like(temperature), None, 1.0)),
            ("bias", (bias, temperature, None, 1.0)),
            ("soft-cap", (bias, temperature, 4.0, 0.6)),
        ):
            yield f"{rows} x {vocabulary} {name}", (logits.clone(), target, *arguments)
    some = torch.tensor([-1, 2, 64, -1000, 2**40])  # the columns are some of the ids
    yield (
        "targets elsewhere",
        (torch.linspace(-3, 3, 320).view(5, 64).to(dtype), some, None, torch.ones(5).to(wide), None, 1.0),
    )


def excluded_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    """Also columns of which all are excluded."""
    yield from logit_cases(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    bias, row = torch.full((17,), -torch.inf, dtype=wide), torch.ones(2, dtype=wide)
    for softcap in (None, 4.0):
        yield (
            f"nothing left, {softcap}",
            (torch.ones(2, 17, dtype=dtype), torch.tensor([3, 99]), bias, row, softcap, 1.0),
        )


def logit_gradient_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    for name, (logits, target, *head) in logit_cases(dtype):
        generator = torch.Generator().manual_seed(7)
        wide = torch.promote_types(dtype, torch.float32)
        g, h = torch.randn(2, logits.shape[0], generator=generator, dtype=torch.float64).to(wide)
        _, entropy, lse = (x.to(wide) for x in logprob_rows(logits.double(), target, *_double(head)))
        yield name, (logits, g, h, entropy, lse, target, *head)


def logprob_rows(logits: Tensor, target: Tensor, *head) -> tuple[Tensor, ...]:
    z = reference.scale_logits(logits, *head)
    if z.numel() and bool((z == -torch.inf).all()):
        nothing = z.new_full(z.shape[:1], -torch.inf)
        return nothing, torch.zeros_like(nothing), nothing
    logp = torch.log_softmax(z, -1)
    entropy = -(logp.exp() * logp.masked_fill(logp == -torch.inf, 0.0)).sum(-1)
    here = (target >= 0) & (target < z.shape[1])
    at_target = logp.gather(1, torch.where(here, target, 0)[:, None])[:, 0]
    return at_target.masked_fill(~here, -torch.inf), entropy, torch.logsumexp(z, -1)


def logit_gradient(logits, g, h, _entropy, _lse, target, *head) -> tuple[Tensor]:
    leaf = logits.clone().requires_grad_()
    logprob, entropy, lse = logprob_rows(leaf, target, *head)
    logprob = torch.where(logprob == -torch.inf, -lse, logprob)  # the target's own logit is elsewhere
    return torch.autograd.grad((logprob * g).sum() + (entropy * h).sum(), leaf)


def _double(values):
    return [x.double() if isinstance(x, Tensor) else x for x in values]


def assignment_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    """Costs of which no two pairings have the same total: the pairing itself can be compared."""
    generator = torch.Generator().manual_seed(0)
    for problems, rows, columns in ((0, 3, 3), (3, 0, 2), (5, 1, 1), (40, 8, 8), (6, 33, 20), (5, 64, 64), (2, 5, 300)):
        cost = torch.rand(problems, rows, columns, generator=generator, dtype=dtype)
        cost = torch.where(torch.rand(cost.shape, generator=generator) < 0.1, torch.inf, cost)
        sizes = [torch.randint(0, most + 1, (problems,), generator=generator) for most in (rows, columns)]
        yield f"{problems} x {rows} x {columns}", (cost, None, None, False)
        yield f"{problems} of up to {rows} x {columns}", (cost, *sizes, True)


def assignment_truth(cost, rows, columns, maximize) -> tuple[Tensor, ...]:
    full = [cost.new_full(cost.shape[:1], size, dtype=torch.int64) for size in cost.shape[1:]]
    sizes = (given if given is not None else most for given, most in zip((rows, columns), full, strict=True))
    cost = torch.where(cost.isinf(), torch.nan, cost)  # forbidden in either direction
    return tuple(reference.assignment(cost, *sizes, maximize))


def ragged_assignment_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    generator = torch.Generator().manual_seed(0)
    for problems in (0, 1, 30):
        rows, columns = (torch.randint(0, 20, (problems,), generator=generator) for _ in range(2))
        offsets = [torch.cat([x.new_zeros(1), x.cumsum(0)]) for x in (rows * columns, rows, columns)]
        cost = torch.rand(int(offsets[0][-1]), generator=generator, dtype=dtype)
        yield f"{problems} problems", (cost, *offsets, int(offsets[1][-1]), int(offsets[2][-1]), False)


def graph_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    generator = torch.Generator().manual_seed(0)
    for graphs, dimensions, angle, matching in product(
        (0, 1, 40), (2, 3), ("turn", "direction"), ("optimal", "greedy")
    ):
        nodes, ids = random_graphs(generator, graphs, dimensions)
        nodes[1], nodes[4] = nodes[1].to(dtype), nodes[4].to(dtype)
        scale = torch.full((graphs,), 4.0, dtype=torch.float64) if angle == "turn" else None
        objects = (ids["pred_object_M"], ids["true_object_J"]) if matching == "optimal" else (None, None)
        arguments = (*nodes[:2], objects[0], *nodes[2:5], objects[1], *nodes[5:], scale, None)
        yield (
            f"{graphs} graphs, {dimensions}-D, {angle}, {matching}",
            (*arguments, angle, matching, True, angle == "turn", "shape" if dimensions == 2 else "position"),
        )


def graph_truth(*arguments) -> tuple[Tensor, ...]:
    *parts, match, frames = reference.relation_graph(*arguments)
    return torch.stack(parts, 1), match, frames


def byte_cases(dtype: torch.dtype) -> Iterator[tuple[str, tuple]]:
    """Rows of 14- and 16-pixel patches, of odd ones, and more columns than a program's block takes."""
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(3, 256, generator=generator, dtype=torch.float64).to(dtype)
    for rows, columns in ((5, 1176), (2, 1536), (3, 27), (1, 3), (0, 1176), (2, 3 * 700)):
        patches = torch.randint(0, 256, (rows, columns), generator=generator, dtype=torch.uint8)
        yield f"{rows} rows of {columns}", (patches, table)


OPERATORS = {
    "logprob_rows": Operator(logprob_rows, excluded_cases),
    "logprob_rows_backward_": Operator(logit_gradient, logit_gradient_cases),
    "group_advantage": Operator(
        advantage_truth,
        advantage_cases,
    ),
    "policy_loss": Operator(policy_loss_truth, loss_cases, roundings=128),  # e^20 magnifies those of its exponent
    "normalise_patches": Operator(lambda *a: (reference.normalise_patches(*a),), byte_cases, roundings=0),
    "assignment": Operator(assignment_truth, assignment_cases),
    "assignment_ragged": Operator(
        lambda cost, _, rows, columns, *rest: tuple(reference.assignment_ragged(cost, rows, columns, rest[-1])),
        ragged_assignment_cases,
    ),
    "relation_graph": Operator(graph_truth, graph_cases),
    "temporal_iou": Operator(lambda *a: (reference.temporal_iou(*a),), interval_cases),
    "temporal_iou_pairwise": Operator(lambda *a: (reference.temporal_iou_pairwise(*a),), pair_cases),
    "temporal_set_scores": Operator(reference.temporal_set_scores, set_cases),
    "temporal_nms": Operator(lambda *a: (reference.temporal_nms(*a),), nms_cases),
    "box_iou": Operator(lambda *a: (reference.box_iou(*a),), box_cases(4, ("iou", "giou"))),
    "box_iou_pairwise": Operator(lambda *a: (reference.box_iou_pairwise(*a),), box_pair_cases(4, ("iou", "giou"))),
    # the specification integrates and the kernels cut: roundings differ
    "box3d_iou": Operator(lambda *a: (reference.box3d_iou(*a),), box_cases(7, ("iou", "bev")), roundings=4096),
    "box3d_iou_pairwise": Operator(
        lambda *a: (reference.box3d_iou_pairwise(*a),), box_pair_cases(7, ("iou", "bev")), roundings=4096
    ),
    "tube_iou": Operator(lambda *a: (reference.tube_iou(*a),), tube_cases),
}


def truth(operator: str, arguments: tuple) -> tuple[Tensor, ...]:
    """The operator's outputs by `videostr.ops.reference`, in float64."""
    wide = [a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in arguments]
    return OPERATORS[operator].truth(*wide)


def assert_close(
    actual: tuple[Tensor, ...], expected: tuple[Tensor, ...], dtype: torch.dtype, roundings: float = 32
) -> None:
    """Equal within so many roundings of `dtype`; counts and flags exactly."""
    for ours, right in zip(actual, expected, strict=True):
        if not right.is_floating_point():
            assert torch.equal(ours.cpu(), right)
        else:
            tolerance = roundings * torch.finfo(dtype).eps
            torch.testing.assert_close(ours.cpu().double(), right, rtol=tolerance, atol=tolerance)
