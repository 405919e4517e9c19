"""M-RoPE positions of a prompt and of the answers behind it."""

import torch
from torch import Tensor
from transformers import PreTrainedModel


def prompt_positions(
    model: PreTrainedModel,
    input_ids_P: Tensor,
    mm_token_type_ids_P: Tensor,
    image_grid_thw: Tensor | None,
    video_grid_thw: Tensor | None,
    second_per_grid_ts: Tensor | None,
) -> Tensor:
    """(3, P) int64 positions (time, height, width): the model's own `get_rope_index`, then `continue_after_vision`.

    Text tokens carry the same number on all three axes, so an answer behind the prompt continues at
    `position_ids_3P.max() + 1`.
    """
    position_ids_3P = model.model.get_rope_index(
        input_ids_P[None],
        mm_token_type_ids=mm_token_type_ids_P[None],
        image_grid_thw=image_grid_thw,
        video_grid_thw=video_grid_thw,
        second_per_grid_ts=second_per_grid_ts,
    )[0][:, 0]
    return continue_after_vision(position_ids_3P, mm_token_type_ids_P)


def continue_after_vision(position_ids_3P: Tensor, mm_token_type_ids_P: Tensor) -> Tensor:
    """Shift what follows a video so that it starts at the video's largest position + 1, on any axis.

    That is the published rule (Qwen2-VL, arXiv 2409.12191: a modality starts at the largest position before it plus
    one) and what transformers did up to 5.2. Since 5.3 (seen in 5.23) it advances by height and width only, so that the
    text after a long video reuses the video's own times, and `generate` and `forward` place an answer differently.
    Where time is not the longest axis, and for Qwen3-VL always (its videos are one temporal patch at a time), both
    rules agree and nothing is shifted.
    """
    position_ids_3P = position_ids_3P.clone()
    kind_P = mm_token_type_ids_P
    # Runs of one kind: [start, end)
    change = (kind_P[1:] != kind_P[:-1]).nonzero().flatten() + 1
    bounds = [0, *change.tolist(), len(kind_P)]
    end = 0  # the position at which the next run has to start
    for start_token, end_token in zip(bounds[:-1], bounds[1:], strict=True):
        run = position_ids_3P[:, start_token:end_token]
        run += end - run.min()
        end = int(run.max()) + 1
    return position_ids_3P


def answer_positions(start: int, length: int, device: torch.device | None = None) -> Tensor:
    """(3, length) positions of answer tokens: text, one step a token from `start` on."""
    return torch.arange(start, start + length, device=device).expand(3, -1)
