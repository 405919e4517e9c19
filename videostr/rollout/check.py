"""Do sampling and training see the same thing? Asked once before the first step, and measured at every step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from videostr.model.grouped import GroupedPolicy
from videostr.model.load import base_model
from videostr.model.packing import PackedGroups, pack_groups
from videostr.model.prompt import Prompt
from videostr.rollout.sampler import Completion

# Largest difference of one token's log-prob that rounding explains. Half precision has 8 to 11 bits.
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.5}
HINTS = {
    "ids": "look at the chat template, the tokenizer and the vision placeholders of both sides",
    "grid": "look at the frame policy of both sides: fps, number of frames, pixel budget",
    "times": "look at the frame times: `second_per_grid_ts` must come from the file's own times on both sides",
    "positions": "look at the M-RoPE positions: ids and grids agree, so a rule or a frame time must differ",
    "frames": "look at the frames: the same grid holds other pixels (decoder, resize, normalisation)",
    "log-probs": "look at temperature, suppressed ids, dropout (also lora_dropout), and whether the weights are equal",
}


class RolloutMismatchError(RuntimeError):
    """Sampling and training disagree. what: a key of `HINTS`; size: by how much, in that thing's unit."""

    def __init__(self, what: str, size: float, detail: str):
        super().__init__(f"rollout and training differ in {what}: {detail}; {HINTS[what]}")
        self.what = what
        self.size = size


@dataclass(frozen=True)
class Mismatch:
    """|log-prob in training - log-prob in sampling| over all answer tokens, in nats."""

    max: float
    mean: float
    tokens: int


def logprob_mismatch(logprob_NL: Tensor, sampler_logprob_NL: Tensor, mask_NL: Tensor) -> Mismatch:
    """The mismatch of two (N, L) log-probs where `mask_NL` is True; all zero when no token is."""
    error = (logprob_NL.detach() - sampler_logprob_NL)[mask_NL].abs()
    if not error.numel():
        return Mismatch(0.0, 0.0, 0)
    return Mismatch(float(error.max()), float(error.mean()), error.numel())


def pad_logprobs(groups: Sequence[Sequence[Completion]], packed: PackedGroups) -> Tensor:
    """The completions' `logprob_L` as (N, L) beside `packed.mask_NL`, 0 at padding, on its device."""
    rows = [completion.logprob_L for group in groups for completion in group]
    padded_NL = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    if padded_NL.shape != packed.mask_NL.shape:
        raise ValueError(
            f"groups give log-probs of shape {tuple(padded_NL.shape)}, packed {tuple(packed.mask_NL.shape)}"
        )
    return padded_NL.to(packed.mask_NL.device)


@torch.no_grad()
def check_rollout(
    grouped: GroupedPolicy,
    rollout_prompts: Sequence[Prompt],
    training_prompts: Sequence[Prompt],
    groups: Sequence[Sequence[Completion]],
    *,
    temperature: float = 1.0,
    tolerance: float | None = None,
) -> Mismatch:
    """Compare what sampling saw and said with what training sees and says, in the mode `grouped` is in.

    Prompts are compared first, by ids, grid, frame times, positions and pixels, then each sampled token's log-prob.
    tolerance: largest difference of a log-prob, in nats; by default `TOLERANCE` of the head's dtype.
    Returns the mismatch. Raises RolloutMismatchError with the first thing that differs, by how much and where to look.
    """
    for index, (rollout, training) in enumerate(zip(rollout_prompts, training_prompts, strict=True)):
        _check_prompt(f"prompt {index}", rollout, training)
    weight = base_model(grouped.model).lm_head.weight
    packed = pack_groups(training_prompts, [[c.ids_L for c in group] for group in groups]).to(weight.device)
    logprob_NL, _ = grouped(packed, temperature=temperature, entropy=False)
    sampled_NL = pad_logprobs(groups, packed)
    mismatch = logprob_mismatch(logprob_NL, sampled_NL, packed.mask_NL)
    tolerance = TOLERANCE[weight.dtype] if tolerance is None else tolerance
    if not mismatch.max <= tolerance:  # NaN too
        error_NL = ((logprob_NL - sampled_NL).abs() * packed.mask_NL).nan_to_num(nan=float("inf"))
        row, column = divmod(int(error_NL.argmax()), error_NL.shape[1])
        sampled, trained = float(sampled_NL[row, column]), float(logprob_NL[row, column])
        raise RolloutMismatchError(
            "log-probs",
            mismatch.max,
            f"by up to {mismatch.max:.3g} nats (mean {mismatch.mean:.3g} over {mismatch.tokens} tokens, "
            f"allowed {tolerance:g}), most at token {column} of answer {row}: {sampled:.4f} in rollout, "
            f"{trained:.4f} in training",
        )
    return mismatch


def _check_prompt(name: str, rollout: Prompt, training: Prompt) -> None:
    ours, theirs = rollout.input_ids_P, training.input_ids_P
    for what, field in (("grid", "video_grid_thw"), ("grid", "image_grid_thw"), ("times", "second_per_grid_ts")):
        pair = [getattr(prompt, field) for prompt in (rollout, training)]
        values = [None if tensor is None else tensor.tolist() for tensor in pair]
        if values[0] != values[1]:
            raise RolloutMismatchError(
                what, _size(*pair), f"{name}: {field} is {values[0]} in rollout and {values[1]} in training"
            )
    if ours.tolist() != theirs.tolist():
        shared = min(len(ours), len(theirs))
        differ = (ours[:shared] != theirs[:shared]).nonzero().flatten()
        at = int(differ[0]) if len(differ) else shared
        raise RolloutMismatchError(
            "ids",
            len(differ) + abs(len(ours) - len(theirs)),
            f"{name}: {len(ours)} ids in rollout, {len(theirs)} in training, first difference at token {at}: "
            f"{ours[at : at + 4].tolist()} and {theirs[at : at + 4].tolist()}",
        )
    for what, field in (
        ("positions", "position_ids_3P"),
        ("positions", "next_position"),
        ("frames", "pixel_values_videos"),
        ("frames", "pixel_values"),
    ):
        size = _size(getattr(rollout, field), getattr(training, field))
        if size:
            raise RolloutMismatchError(what, size, f"{name}: {field} differs by up to {size:.3g}")


def _size(one, other) -> float:
    """Largest difference of two tensors or numbers; infinite when only one is there or the shapes differ."""
    if one is None or other is None:
        return 0.0 if one is other else float("inf")
    one, other = (torch.as_tensor(x) for x in (one, other))
    if torch.uint8 in (one.dtype, other.dtype):  # bytes would wrap around
        one, other = one.float(), other.float()
    return float((one - other).abs().max()) if one.shape == other.shape else float("inf")
