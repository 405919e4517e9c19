"""The grouped forward equals one plain transformers forward an answer: log-probs, entropies and every gradient."""

import copy

import pytest
import torch

from videostr.model import GroupedPolicy, build_prompt, make_policy, pack_groups

from .tiny import FAMILY_NAMES, make_model, make_vision, messages, tiny_policy
from .truth import plain_logprobs, plain_model

# One entry a prompt: the lengths of its answers.
SHAPES = {
    "one": [(6,)],
    "ragged": [(4, 1, 9)],
    "empty": [(3, 0, 5)],
    "one_token": [(1, 1)],
    "only_empty_and_one_token": [(0, 1)],
    "several": [(4, 7), (2,), (1, 0, 5)],
}
KINDS = {"image": ("image",), "video": ("video",), "both": ("video", "image"), "text": ()}


def make_prompts(policy, kinds, count):
    prompts = []
    for index in range(count):
        # The second prompt's video is longer than it is wide: its text must start behind its last time.
        videos = [make_vision((2 + 3 * (index % 2), 4, 8), seconds=1.5, seed=index)] if "video" in kinds else []
        images = [make_vision((1, 8, 4), seed=10 + index)] if "image" in kinds else []
        prompts.append(build_prompt(policy, messages(*kinds, text="when " * (index + 1)), videos, images))
    return prompts


def make_answers(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randint(8, 80, (length,), generator=generator) for length in group] for group in lengths]


def losses(logprob, entropy, seed=3):
    weight = torch.randn(logprob.shape, generator=torch.Generator().manual_seed(seed))
    return (weight * logprob).sum() + 0.3 * (weight.flip(0) * entropy).sum()


def padded(rows, columns):
    return torch.stack([torch.nn.functional.pad(row, (0, columns - len(row))) for row in rows])


def check(policy, prompts, answers, temperature=1.0):
    """Compare values and the gradients of all trainable parameters; errors relative to each tensor's size."""
    plain = plain_model(policy)
    rows = [
        plain_logprobs(plain, prompt, answer, policy.suppressed_ids, temperature)
        for prompt, group in zip(prompts, answers, strict=True)
        for answer in group
    ]
    packed = pack_groups(prompts, answers)
    truth = [padded(column, packed.mask_NL.shape[1]) for column in zip(*rows, strict=True)]
    logprob_NL, entropy_NL = GroupedPolicy(policy)(packed, temperature=temperature)
    assert logprob_NL.shape == packed.mask_NL.shape and logprob_NL.dtype == torch.float32
    assert (logprob_NL <= 0).all()
    assert not logprob_NL[~packed.mask_NL].any() and not entropy_NL[~packed.mask_NL].any()
    torch.testing.assert_close(logprob_NL, truth[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(entropy_NL, truth[1], rtol=1e-5, atol=1e-5)

    losses(logprob_NL, entropy_NL).backward()
    losses(*truth).backward()
    expected = dict(plain.named_parameters())
    total = torch.stack([p.grad.norm() for p in expected.values() if p.grad is not None]).norm()
    compared = 0
    for name, parameter in policy.model.named_parameters():
        if expected[name].grad is None:
            assert parameter.grad is None or not parameter.grad.any(), name
            continue
        error = (parameter.grad - expected[name].grad).norm()
        # The second term is for gradients that are zero but for rounding (a key's bias shifts all scores alike).
        assert error <= 1e-5 * expected[name].grad.norm() + 1e-7 * total, (name, float(error), float(total))
        compared += 1
    assert compared
    return compared


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_equals_plain_forward(family, kinds, shape):
    policy = tiny_policy(family, tied=shape != "ragged")
    prompts = make_prompts(policy, KINDS[kinds], len(SHAPES[shape]))
    compared = check(policy, prompts, make_answers(SHAPES[shape]))
    vision = sum(name.startswith("model.visual") for name, _ in policy.model.named_parameters())
    assert compared == len(list(policy.model.parameters())) - (0 if KINDS[kinds] else vision)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_gradient_checkpointing(family):
    policy = tiny_policy(family, gradient_checkpointing=True)
    policy.model.train()
    calls = []
    layer = policy.base.model.language_model.layers[0].input_layernorm
    layer.register_forward_pre_hook(lambda module, _: calls.append(1) if module is layer else None)
    check(policy, make_prompts(policy, ("video",), 3), make_answers(SHAPES["several"]))
    assert len(calls) == 2  # once forward, once again in the backward


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_lora(family, checkpointing):
    policy = tiny_policy(family, lora={"r": 4}, gradient_checkpointing=checkpointing)
    policy.model.train(checkpointing)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:  # zero at the start, which would hide the adapter
                parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(len(name)))
    compared = check(policy, make_prompts(policy, ("video", "image"), 2), make_answers([(3, 6), (1, 4)]))
    assert compared == 2 * 7 * 2  # A and B of seven matrices in two layers: nothing else trains


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_freeze_vision(family):
    policy = tiny_policy(family, freeze_vision=True)
    check(policy, make_prompts(policy, ("video",), 1), make_answers([(3, 6)]))
    assert all(p.grad is None for p in policy.base.model.visual.parameters())


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_temperature(family):
    policy = tiny_policy(family)
    check(policy, make_prompts(policy, ("video",), 1), make_answers([(5, 2)]), temperature=0.7)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_transformers_own_positions(family):
    """Where the video's times are not its longest axis, transformers' own positions give the same."""
    policy = tiny_policy(family)
    prompt = build_prompt(policy, messages("video"), [make_vision((2, 4, 8))])
    answer = make_answers([(6,)])[0][0]
    logprob_NL, _ = GroupedPolicy(policy)(pack_groups([prompt], [[answer]]))
    truth_L, _ = plain_logprobs(plain_model(policy), prompt, answer, policy.suppressed_ids, own_positions=True)
    torch.testing.assert_close(logprob_NL[0], truth_L, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_vision_tower_runs_once(family):
    policy = tiny_policy(family)
    rows = []
    policy.base.model.visual.register_forward_hook(lambda _, args, out: rows.append(len(args[0])))
    prompts = make_prompts(policy, ("video",), 2)
    GroupedPolicy(policy)(pack_groups(prompts, make_answers([(3,) * 8, (4,) * 8])))
    assert rows == [sum(len(prompt.pixel_values_videos) for prompt in prompts)]


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_ordinary_forward_and_generate_still_work(family):
    model, tokenizer = make_model(family)
    before = copy.deepcopy(model)
    policy = make_policy(model, tokenizer)
    inputs = make_prompts(policy, ("video",), 1)[0].model_inputs()
    torch.testing.assert_close(model(**inputs).logits, before(**inputs).logits)
    assert torch.equal(model.generate(**inputs, max_new_tokens=5), before.generate(**inputs, max_new_tokens=5))


def test_empty_answers_only():
    policy = tiny_policy("qwen2_5_vl")
    logprob_NL, entropy_NL = GroupedPolicy(policy)(
        pack_groups(make_prompts(policy, ("video",), 1), make_answers([(0, 0)]))
    )
    assert logprob_NL.shape == entropy_NL.shape == (2, 0)
    logprob_NL.sum().backward()


def test_entropy_off():
    policy = tiny_policy("qwen2_5_vl")
    packed = pack_groups(make_prompts(policy, ("video",), 1), make_answers([(3, 2)]))
    assert GroupedPolicy(policy)(packed, entropy=False)[1] is None


@pytest.mark.parametrize("checkpointing", [False, True])
def test_inside_ddp(tmp_path, checkpointing):
    policy = tiny_policy("qwen2_5_vl", gradient_checkpointing=checkpointing)
    policy.model.train()
    packed = pack_groups(make_prompts(policy, ("video",), 2), make_answers([(3, 6), (1, 4)]))
    GroupedPolicy(policy)(packed)[0].sum().backward()
    expected = {name: parameter.grad.clone() for name, parameter in policy.model.named_parameters()}
    policy.model.zero_grad()
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(GroupedPolicy(policy))
        wrapped(packed)[0].sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    for name, parameter in policy.model.named_parameters():
        assert torch.equal(parameter.grad, expected[name]), name
