"""Sampling groups: greedy is `generate`, log-probs are the grouped forward's, draws follow the distribution."""

from dataclasses import replace

import pytest
import torch
from model.tiny import FAMILY_NAMES, make_vision, messages, tiny_policy
from scipy.stats import chisquare

from videostr.model import GroupedPolicy, build_prompt, pack_groups
from videostr.rollout import SamplingParams, sample_groups


def make_prompts(policy):
    """Prompts of different lengths, with videos no longer than wide: there `generate` has the published positions."""
    wide = make_vision((2, 4, 8)), make_vision((2, 8, 8), seed=2)
    image = make_vision((1, 4, 8), seed=1)
    return [
        build_prompt(policy, messages("video"), [wide[0]]),
        build_prompt(policy, messages("image", text="hm"), images=[image]),
        build_prompt(policy, messages("video", "image", text="now?"), [wide[1]], [image]),
        build_prompt(policy, messages(text="no picture")),
    ]


def many_stops(policy):
    """One id in eight stops an answer, so that answers end at different steps."""
    return replace(policy, eos_ids=(*policy.eos_ids, *range(10, 20)))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_greedy_equals_generate(family):
    for seed in range(3):
        policy = many_stops(tiny_policy(family, seed=seed, tied=False))
        prompts = make_prompts(policy)
        groups = sample_groups(policy, prompts, 2, SamplingParams(max_new_tokens=16, greedy=True), seeds=[0] * 4)
        for prompt, group in zip(prompts, groups, strict=True):
            expected = policy.base.generate(
                **prompt.model_inputs(),
                max_new_tokens=16,
                suppress_tokens=list(policy.suppressed_ids),
                eos_token_id=list(policy.eos_ids),
            )
            for completion in group:
                assert completion.ids_L.tolist() == expected[0, len(prompt) :].tolist()
                assert completion.finished == (completion.ids_L[-1].item() in policy.eos_ids)


@pytest.mark.parametrize("params", [{}, {"temperature": 0.6}, {"top_k": 7, "top_p": 0.8}])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_logprobs_equal_training(family, params):
    policy = many_stops(tiny_policy(family, tied=False))
    prompts = make_prompts(policy)
    prompts.append(build_prompt(policy, messages("video"), [make_vision((9, 4, 4))]))  # longer than wide
    params = SamplingParams(max_new_tokens=14, **params)
    groups = sample_groups(policy, prompts, 5, params, seeds=[1, 2, 3, 4, 5])
    packed = pack_groups(prompts, [[completion.ids_L for completion in group] for group in groups])
    logprob_NL, _ = GroupedPolicy(policy)(packed, temperature=params.temperature)
    sampled = [completion for group in groups for completion in group]
    assert len({len(completion.ids_L) for completion in sampled}) > 3  # rows left the batch at different steps
    for row, completion in enumerate(sampled):
        length = len(completion.ids_L)
        torch.testing.assert_close(logprob_NL[row, :length], completion.logprob_L, rtol=1e-4, atol=1e-4)
        assert completion.finished == (completion.ids_L[-1].item() in policy.eos_ids)
        assert completion.finished or length == params.max_new_tokens
        assert not set(completion.ids_L[:-1].tolist()) & set(policy.eos_ids)
        assert not set(completion.ids_L.tolist()) & set(policy.suppressed_ids)
        assert (completion.sampled_logprob_L >= completion.logprob_L - 1e-6).all()


def test_does_not_depend_on_the_batch():
    policy = many_stops(tiny_policy("qwen2_5_vl", tied=False))
    prompts = make_prompts(policy)
    params = SamplingParams(max_new_tokens=12)
    together = sample_groups(policy, prompts, 3, params, seeds=[5, 6, 7, 8])
    for index, prompt in enumerate(prompts):
        (alone,) = sample_groups(policy, [prompt], 3, params, seeds=[5 + index])
        assert [c.ids_L.tolist() for c in alone] == [c.ids_L.tolist() for c in together[index]]
    other = sample_groups(policy, prompts, 3, params, seeds=[9, 10, 11, 12])
    assert [c.text for g in other for c in g] != [c.text for g in together for c in g]


def test_first_token_follows_the_distribution():
    policy = tiny_policy("qwen2_5_vl")
    prompt = make_prompts(policy)[0]
    temperature, size = 1.3, 4000
    (group,) = sample_groups(policy, [prompt], size, SamplingParams(temperature, max_new_tokens=1), seeds=[0])
    with torch.no_grad():
        logits_V = policy.base(**prompt.model_inputs()).logits[0, -1]
    logits_V[list(policy.suppressed_ids)] = -torch.inf
    expected_V = (logits_V / temperature).softmax(-1).double() * size
    counts_V = torch.bincount(torch.cat([c.ids_L for c in group]), minlength=len(expected_V)).double()
    possible_V = expected_V > 0
    assert not counts_V[~possible_V].any()
    observed, expected = counts_V[possible_V].numpy(), expected_V[possible_V].numpy()
    assert len(expected) > 50 and expected.min() > 5
    assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_restores_the_mode_and_touches_no_gradient():
    policy = tiny_policy("qwen2_5_vl", gradient_checkpointing=True)
    policy.model.train()
    prompts = make_prompts(policy)
    sample_groups(policy, prompts, 1, SamplingParams(max_new_tokens=2), seeds=[0] * 4)
    assert policy.model.training
    assert all(parameter.grad is None for parameter in policy.model.parameters())


def test_lora_policy_samples_what_it_trains():
    policy = tiny_policy("qwen2_5_vl", lora={"r": 4})
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(len(name)))
    prompt = make_prompts(policy)[0]
    (group,) = sample_groups(policy, [prompt], 2, SamplingParams(max_new_tokens=6), seeds=[3])
    logprob_NL, _ = GroupedPolicy(policy)(pack_groups([prompt], [[c.ids_L for c in group]]))
    for row, completion in enumerate(group):
        length = len(completion.ids_L)
        torch.testing.assert_close(logprob_NL[row, :length], completion.logprob_L, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"prompts": []}, "prompts must hold at least one"),
        ({"seeds": [1, 2]}, r"seeds must hold one seed a prompt \(1\), got 2"),
        ({"group_size": 0}, "group_size must be >= 1, got 0"),
    ],
)
def test_wrong_arguments(arguments, match):
    policy = tiny_policy("qwen2_5_vl")
    given = {
        "prompts": make_prompts(policy)[:1],
        "group_size": 1,
        "params": SamplingParams(),
        "seeds": [0],
        **arguments,
    }
    with pytest.raises(ValueError, match=match):
        sample_groups(policy, **given)
