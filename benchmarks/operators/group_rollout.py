"""Sampling a group that shares its video prompt, against transformers' generate(num_return_sequences=G).

generate repeats prompt, video and tower G times. Modes: "rollout" to the last token, "prefill" to the first, "no decode
attention" to the last with the attention of the steps after the first left out: what no attention kernel can save.
Nothing stops early on either side.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import transformers
from torch import Tensor
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

import videostr
from benchmarks import costs
from benchmarks.small_vlm import TEXT_WEIGHTS, VISION_WEIGHTS, build_group
from videostr.model import GroupedPolicy, pack_groups
from videostr.model.attention import IMPLEMENTATION, videostr_attention
from videostr.rollout import SamplingParams, sample_groups
from videostr.rollout.cache import GroupCache

TINY = (64, 2, 4)
WITHOUT = "no decode attention"


def _attention_of_prompts(module, query, key, value, *arguments, **options):
    """The policy's attention in the prefill; in a decode step, which has a token a row, nothing."""
    if query.shape[2] > 1 and not isinstance(options.get("attend"), GroupCache):
        return videostr_attention(module, query, key, value, *arguments, **options)
    return query.transpose(1, 2), None


AttentionInterface.register(WITHOUT, _attention_of_prompts)
AttentionMaskInterface.register(WITHOUT, sdpa_mask)


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int, int]]]:
    size = (128, 4, 8) if quick else (1024, 8, 64)
    return [("rollout", size), ("prefill", (*size[:2], 1)), (WITHOUT, size)]


def shape(size: tuple[int, int, int]) -> str:
    return "P={} G={} tokens={}".format(*size)


def cost(mode: str, size: tuple[int, int, int]) -> costs.Cost:
    """Two FLOPs a weight and token in the layers of both towers; the weights are read once a step."""
    prompt, group, steps = size
    flops = 2.0 * (TEXT_WEIGHTS * (prompt + group * (steps - 1)) + VISION_WEIGHTS * 4 * prompt)
    return costs.Cost(4 * (TEXT_WEIGHTS * steps + VISION_WEIGHTS), {"fp32": flops}, None)


def providers(mode: str, size: tuple[int, int, int]) -> dict[str, str]:
    return {"videostr": videostr.__version__, "transformers, generate": transformers.__version__}


def make(provider: str, mode: str, device: str, size: tuple[int, int, int] | str) -> Callable[[], list[Tensor]]:
    tokens, group, steps = TINY if size == "tiny" else size
    policy, plain, prompt, _ = build_group((tokens, group, 1), device)
    language_models = policy.base.model.language_model, plain.model.language_model

    def chosen(function: Callable[[], list[Tensor]]) -> Callable[[], list[Tensor]]:
        def call() -> list[Tensor]:
            for model, usual in zip(language_models, (IMPLEMENTATION, "sdpa"), strict=True):
                model.config._attn_implementation = WITHOUT if mode == WITHOUT else usual
            return function()

        return call

    if provider == "videostr":
        endless = replace(policy, eos_ids=())
        params = SamplingParams(temperature=1.0, max_new_tokens=steps)
        return chosen(lambda: [x.ids_L for x in sample_groups(endless, [prompt], group, params, seeds=[0])[0]])
    inputs = prompt.model_inputs()
    inputs["input_ids"] = prompt.input_ids_P[None]
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["mm_token_type_ids"] = prompt.mm_token_type_ids_P[None]
    inputs = {name: x.to(device) for name, x in inputs.items() if isinstance(x, Tensor)}
    options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "num_return_sequences": group}
    length = {"min_new_tokens": steps, "max_new_tokens": steps}
    return chosen(lambda: list(plain.generate(**inputs, **options, **length)[:, len(prompt) :]))


def error(provider: str, mode: str, device: str, size: tuple[int, int, int]) -> float:
    """Of the log-probs the sampler reports, from training's forward in float64, at a small size; generate has none."""
    if provider != "videostr" or mode == WITHOUT:
        return 0.0
    policy, _, prompt, _ = build_group((128, 4, 1), device)
    answers = sample_groups(policy, [prompt], 4, SamplingParams(temperature=1.0, max_new_tokens=8), seeds=[0])[0]
    policy.model.double()
    packed = pack_groups([prompt], [[answer.ids_L for answer in answers]]).to(policy.device)
    truth = GroupedPolicy(policy)(packed, entropy=False)[0][packed.mask_NL].detach()
    policy.model.float()
    ours = torch.cat([answer.logprob_L for answer in answers]).to(truth.device)
    return float((ours - truth).abs().max() / truth.abs().max())
