"""One GRPO step, forward and backward, on a group that shares its video prompt, against the per-answer forward.

Per answer is what trainers do: a batch of G rows, each with the whole prompt and its own copy of the video, through
transformers' model as it loads. The model is a Qwen2.5-VL of 4 million parameters with random weights.
"""

from collections.abc import Callable

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

import videostr
from benchmarks import costs
from benchmarks.small_vlm import TEXT_WEIGHTS, VISION_WEIGHTS, build_group
from videostr.model import GroupedPolicy, Policy, Prompt, pack_groups

TINY = (64, 2, 4)


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int, int]]]:
    return [("float32", size) for size in ([(128, 4, 16)] if quick else [(1024, 8, 64), (4096, 16, 128)])]


def shape(size: tuple[int, int, int]) -> str:
    return "P={} G={} L={}".format(*size)


def cost(mode: str, size: tuple[int, int, int]) -> costs.Cost:
    """Six FLOPs a weight and token in the layers of both towers; attention and the head come on top."""
    prompt, group, length = size
    flops = 6.0 * (TEXT_WEIGHTS * (prompt + group * length) + VISION_WEIGHTS * 4 * prompt)
    return costs.Cost(2 * 4 * (TEXT_WEIGHTS + VISION_WEIGHTS), {"fp32": flops}, None)


def providers(mode: str, size: tuple[int, int, int]) -> dict[str, str]:
    return {"videostr": videostr.__version__, "transformers, per answer": transformers.__version__}


def make(provider: str, mode: str, device: str, size: tuple[int, int, int] | str) -> Callable[[], Tensor]:
    """The call returns the log-probs, its gradients are in the model's weights."""
    policy, plain, prompt, answers = build_group(TINY if size == "tiny" else size, device)
    advantage = torch.linspace(-1, 1, len(answers), device=device)
    if provider == "videostr":
        model, logprob = policy.model, _grouped(policy, prompt, answers)
    else:
        model, logprob = plain, _per_answer(policy, plain, prompt, answers)

    def step() -> Tensor:
        model.zero_grad(set_to_none=True)
        logprob_NL = logprob()
        (-(logprob_NL - logprob_NL.detach()).exp() * advantage[:, None]).mean().backward()
        return logprob_NL.detach()

    return step


def error(provider: str, mode: str, device: str, size: tuple[int, int, int]) -> float:
    """Of log-probs and of the weights' gradients, from the per-answer forward in float64, at a small size."""
    size = (128, 4, 16)
    found = _gradients(provider, mode, device, size, torch.float32)
    truth = _gradients("transformers, per answer", mode, device, size, torch.float64)
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(found, truth, strict=True))


def _gradients(provider: str, mode: str, device: str, size: tuple[int, int, int], dtype: torch.dtype) -> list[Tensor]:
    policy, plain, _, _ = build_group(size, device)
    model = policy.model if provider == "videostr" else plain
    model.to(dtype)
    logprob = make(provider, mode, device, size)()
    whole = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.float()
    return [logprob, whole]


def _grouped(policy: Policy, prompt: Prompt, answers: list[Tensor]) -> Callable[[], Tensor]:
    grouped, packed = GroupedPolicy(policy), pack_groups([prompt], [answers]).to(policy.device)
    return lambda: grouped(packed, entropy=False)[0]


def _per_answer(policy: Policy, model: PreTrainedModel, prompt: Prompt, answers: list[Tensor]) -> Callable[[], Tensor]:
    rows = [pack_groups([prompt], [[answer]]).to(policy.device).model_inputs() for answer in answers]
    joined = {
        name: torch.cat([row[name] for row in rows], dim=1 if name == "position_ids" else 0)
        for name in rows[0]
        if isinstance(rows[0][name], Tensor)
    }
    target_GL1 = torch.stack(answers).to(policy.device)[..., None]
    suppressed = list(policy.suppressed_ids)

    def logprob() -> Tensor:
        dtype = model.dtype
        inputs = {name: x.to(dtype) if x.is_floating_point() else x for name, x in joined.items()}
        logits = model(**inputs, use_cache=False).logits[:, -target_GL1.shape[1] :].float()
        logits[..., suppressed] = -torch.inf
        return logits.log_softmax(-1).gather(-1, target_GL1)[..., 0]

    return logprob
