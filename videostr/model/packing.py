"""Several groups as one row of tokens: `[prompt 1, its answers, prompt 2, its answers, …]`, and where everything is.

The last token of an answer predicts nothing that is trained on, so it is left out of the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from videostr.model.positions import answer_positions
from videostr.model.prompt import Prompt, cat_patches
from videostr.ops import PrefixLayout


@dataclass(frozen=True)
class PackedGroups:
    """One packed row of T tokens with B prompts and N answers of at most L tokens; made by `pack_groups`.

    target_NL, mask_NL: the answers' ids (0 at padding) and True where there is a token.
    group_N: the prompt each answer belongs to. Answers are in the order given: all of group 0, then of group 1, ….
    predictor_R: row index of the hidden state that predicts each of the R answer tokens, in the order of `mask_NL`'s
        True entries; target_R: those tokens.
    """

    input_ids_T: Tensor
    position_ids_3T: Tensor
    layout: PrefixLayout
    predictor_R: Tensor
    target_R: Tensor
    target_NL: Tensor
    mask_NL: Tensor
    group_N: Tensor
    pixel_values_videos: Tensor | None
    video_grid_thw: Tensor | None
    pixel_values: Tensor | None
    image_grid_thw: Tensor | None

    @property
    def tokens(self) -> int:
        """T, the tokens the language model runs over."""
        return len(self.input_ids_T)

    def model_inputs(self) -> dict[str, Tensor | None]:
        """Keyword arguments for transformers' `…Model.forward`, a batch of one row."""
        return {
            "input_ids": self.input_ids_T[None],
            "position_ids": self.position_ids_3T[:, None],
            "pixel_values_videos": self.pixel_values_videos,
            "video_grid_thw": self.video_grid_thw,
            "pixel_values": self.pixel_values,
            "image_grid_thw": self.image_grid_thw,
        }

    def to(self, device: torch.device | str) -> "PackedGroups":
        """The same groups with every tensor on `device`."""
        return replace(_to(self, device), layout=self.layout.to(device))


def pack_groups(prompts: Sequence[Prompt], answers: Sequence[Sequence[Tensor]]) -> PackedGroups:
    """Pack each prompt with its group of answers (1-D integer tensors, any length including 0, without padding).

    Raises ValueError when the two sequences do not match, a group has no answer, an answer is not 1-D and
    integer, or it holds a vision placeholder id.
    """
    if len(prompts) != len(answers) or not prompts:
        raise ValueError(
            f"answers must hold one group for each of the {len(prompts)} prompts (at least one), got {len(answers)}"
        )
    _check_answers(prompts, answers)
    ids, positions, flat = [], [], []
    predictors = []
    size = 0
    for prompt, group in zip(prompts, answers, strict=True):
        ids.append(prompt.input_ids_P)
        positions.append(prompt.position_ids_3P)
        size += len(prompt)
        last = size - 1
        for answer in group:
            answer = answer.to(device="cpu", dtype=torch.int64)
            flat.append(answer)
            kept = max(len(answer) - 1, 0)
            ids.append(answer[:kept])
            positions.append(answer_positions(prompt.next_position, kept))
            if len(answer):
                predictors.append(torch.tensor([last]))
                predictors.append(torch.arange(size, size + kept))
            size += kept

    lengths_N = torch.tensor([len(answer) for answer in flat])
    target_NL = torch.nn.utils.rnn.pad_sequence(flat, batch_first=True)
    videos = [prompt for prompt in prompts if prompt.pixel_values_videos is not None]
    images = [prompt for prompt in prompts if prompt.pixel_values is not None]
    return PackedGroups(
        input_ids_T=torch.cat(ids),
        position_ids_3T=torch.cat(positions, dim=1),
        layout=PrefixLayout.from_lengths(
            [len(prompt) for prompt in prompts], [[max(len(a) - 1, 0) for a in group] for group in answers]
        ),
        predictor_R=torch.cat(predictors) if predictors else torch.empty(0, dtype=torch.int64),
        target_R=torch.cat(flat),
        target_NL=target_NL,
        mask_NL=torch.arange(target_NL.shape[1])[None] < lengths_N[:, None],
        group_N=torch.repeat_interleave(torch.arange(len(prompts)), torch.tensor([len(group) for group in answers])),
        pixel_values_videos=cat_patches([prompt.pixel_values_videos for prompt in videos]) if videos else None,
        video_grid_thw=torch.cat([prompt.video_grid_thw for prompt in videos]) if videos else None,
        pixel_values=cat_patches([prompt.pixel_values for prompt in images]) if images else None,
        image_grid_thw=torch.cat([prompt.image_grid_thw for prompt in images]) if images else None,
    )


def _check_answers(prompts: Sequence[Prompt], answers: Sequence[Sequence[Tensor]]) -> None:
    for index, (prompt, group) in enumerate(zip(prompts, answers, strict=True)):
        if not len(group):
            raise ValueError(f"answers[{index}] is empty: a group needs at least one answer (which may have no tokens)")
        for place, answer in enumerate(group):
            if not isinstance(answer, Tensor) or answer.ndim != 1 or answer.dtype.is_floating_point:
                raise ValueError(f"answers[{index}][{place}] must be a 1-D integer tensor, got {answer!r}")
            found = set(prompt.suppressed_ids).intersection(answer.tolist())
            if found:
                raise ValueError(
                    f"answers[{index}][{place}] holds the suppressed ids {sorted(found)}: vision placeholders cannot "
                    f"be part of an answer"
                )


def _to(record, device):
    moved = {f.name: getattr(record, f.name) for f in fields(record)}
    return replace(record, **{name: t.to(device) for name, t in moved.items() if isinstance(t, Tensor)})
