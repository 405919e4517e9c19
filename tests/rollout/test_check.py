"""The start-up check: silent when all is well, and precise about each thing that is broken on purpose."""

from dataclasses import replace

import pytest
import torch
from model.tiny import FAMILY_NAMES, make_vision, messages, tiny_policy

from videostr.model import GroupedPolicy, build_prompt
from videostr.rollout import RolloutMismatchError, SamplingParams, check_rollout, logprob_mismatch, sample_groups


def sample(family="qwen2_5_vl", temperature=1.0, **options):
    policy = tiny_policy(family, tied=False, **options)
    prompts = [build_prompt(policy, messages("video", text=text), [make_vision((3, 4, 4))]) for text in ("a", "or b")]
    groups = sample_groups(policy, prompts, 2, SamplingParams(temperature, max_new_tokens=6), seeds=[0, 1])
    return policy, prompts, groups


def rebuilt(policy, prompts, video=None, text="a"):
    """The same prompts, the first built anew in training."""
    return [build_prompt(policy, messages("video", text=text), [video or make_vision((3, 4, 4))]), *prompts[1:]]


def expect(what, policy, prompts, training, groups, match, **options):
    with pytest.raises(RolloutMismatchError, match=match) as caught:
        check_rollout(GroupedPolicy(policy), prompts, training, groups, **options)
    assert caught.value.what == what
    return caught.value


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_agrees(family):
    policy, prompts, groups = sample(family, temperature=0.7)
    mismatch = check_rollout(GroupedPolicy(policy), prompts, rebuilt(policy, prompts), groups, temperature=0.7)
    assert mismatch.max < 1e-4 and mismatch.mean <= mismatch.max
    assert mismatch.tokens == sum(len(c.ids_L) for group in groups for c in group)


def test_ids():
    policy, prompts, groups = sample()
    error = expect(
        "ids", policy, prompts, rebuilt(policy, prompts, text="b"), groups, "first difference at token .* chat"
    )
    assert error.size == 1


def test_grid():
    policy, prompts, groups = sample()
    other = rebuilt(policy, prompts, make_vision((2, 4, 4)))
    expect("grid", policy, prompts, other, groups, r"\[\[3, 4, 4\]\] in rollout and \[\[2, 4, 4\]\] in training.*fps")


def test_times():
    policy, prompts, groups = sample()
    other = rebuilt(policy, prompts, make_vision((3, 4, 4), seconds=2.0))
    assert expect("times", policy, prompts, other, groups, r"second_per_grid_ts is \[1.0\].*\[2.0\]").size == 1.0


def test_times_of_qwen3_are_ids():
    policy, prompts, groups = sample("qwen3_vl")
    other = rebuilt(policy, prompts, make_vision((3, 4, 4), seconds=2.0))
    expect("ids", policy, prompts, other, groups, "first difference")


def test_positions():
    policy, prompts, groups = sample()
    other = [replace(prompts[0], position_ids_3P=prompts[0].position_ids_3P + 2), prompts[1]]
    assert expect("positions", policy, prompts, other, groups, "position_ids_3P differs by up to 2").size == 2


def test_frames():
    policy, prompts, groups = sample()
    other = rebuilt(policy, prompts, make_vision((3, 4, 4), seed=9))
    expect("frames", policy, prompts, other, groups, r"pixel_values_videos differs by up to .*\(decoder")


def test_temperature():
    policy, prompts, groups = sample(temperature=0.7)
    error = expect("log-probs", policy, prompts, prompts, groups, "nats .* most at token .* temperature")
    assert error.size > 0.01


def test_weights():
    policy, prompts, groups = sample()
    with torch.no_grad():
        policy.base.model.language_model.norm.weight.mul_(1.1)
    expect("log-probs", policy, prompts, prompts, groups, "the weights")


def test_suppressed_ids():
    policy, prompts, groups = sample()
    wider = replace(policy, suppressed_ids=(*policy.suppressed_ids, *range(40, 60)))
    groups = [[replace(c, ids_L=c.ids_L.clamp(max=39)) for c in group] for group in groups]
    expect("log-probs", wider, prompts, prompts, groups, "suppressed ids")


def test_dropout():
    policy, prompts, groups = sample(lora={"r": 4, "lora_dropout": 0.5, "init_lora_weights": False})
    assert check_rollout(GroupedPolicy(policy).eval(), prompts, prompts, groups).max < 1e-3
    with pytest.raises(RolloutMismatchError, match="lora_dropout"):
        check_rollout(GroupedPolicy(policy).train(), prompts, prompts, groups)


def test_nan_is_a_mismatch():
    policy, prompts, groups = sample()
    groups[1][1] = replace(groups[1][1], logprob_L=groups[1][1].logprob_L * torch.nan)
    expect("log-probs", policy, prompts, prompts, groups, "of answer 3")


def test_no_tokens():
    assert logprob_mismatch(torch.zeros(2, 0), torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)).tokens == 0
