"""Chat messages and vision inputs -> the token ids and tensors the model's forward wants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from videostr.model.load import IMAGE_PAD, VIDEO_PAD, VISION_END, VISION_START, Policy
from videostr.model.positions import prompt_positions


class ImageLike(Protocol):
    """Patches (n, 3 * 2 * p * p) and grid (3,) of an image: one frame, repeated to fill its temporal patch.

    Patches are floats, or uint8 (of `frames_to_patches`), which the model normalises itself."""

    pixel_values: Tensor
    grid_thw: Tensor


class VideoLike(ImageLike, Protocol):
    """As `videostr.video.VideoInputs`: also the frames' times (T_frames,) and a temporal patch's span, in seconds."""

    timestamps: object
    seconds_per_grid: float


@dataclass(frozen=True)
class Prompt:
    """One prompt, on the CPU.

    next_position: M-RoPE position of the first answer token, on all three axes.
    suppressed_ids: ids that must not appear in an answer (the policy's).
    """

    input_ids_P: Tensor
    position_ids_3P: Tensor
    mm_token_type_ids_P: Tensor
    next_position: int
    text: str
    suppressed_ids: tuple[int, ...]
    pixel_values_videos: Tensor | None = None
    video_grid_thw: Tensor | None = None
    second_per_grid_ts: Tensor | None = None
    pixel_values: Tensor | None = None
    image_grid_thw: Tensor | None = None

    def __len__(self) -> int:
        return len(self.input_ids_P)

    def model_inputs(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Keyword arguments for the transformers model's `forward` or `generate`, a batch of one, without positions."""
        inputs = {
            "input_ids": self.input_ids_P[None],
            "attention_mask": torch.ones_like(self.input_ids_P)[None],
            "mm_token_type_ids": self.mm_token_type_ids_P[None],
            "pixel_values_videos": self.pixel_values_videos,
            "video_grid_thw": self.video_grid_thw,
            "second_per_grid_ts": self.second_per_grid_ts,
            "pixel_values": self.pixel_values,
            "image_grid_thw": self.image_grid_thw,
        }
        return {name: tensor.to(device) for name, tensor in inputs.items() if tensor is not None}


def build_prompt(
    policy: Policy,
    messages: list[dict],
    videos: Sequence[VideoLike] = (),
    images: Sequence[ImageLike] = (),
    prefill: str = "",
) -> Prompt:
    """Render `messages` with the tokenizer's chat template and expand its vision placeholders.

    messages: as transformers takes them; a `content` list holds {"type": "video"}, {"type": "image"} and
        {"type": "text", "text": …} parts, vision parts in the order of `videos` and `images`.
    prefill: how the answer begins: the model goes on from there. It is no part of the answer that is sampled.
    The ids are what transformers' own processor makes of the same frames. Qwen3-VL writes every temporal patch's time,
    the mean of its first and last frame's, before it; Qwen2.5-VL takes times as positions; Qwen2-VL does not see them.

    Raises ValueError when the messages' placeholders and the given videos or images do not match, or a video's
    patches, grid and times contradict each other.
    """
    text = policy.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + prefill
    vision = policy.base.config.vision_config
    for name, inputs in (("videos", videos), ("images", images)):
        for index, item in enumerate(inputs):
            _check_vision(f"{name}[{index}]", item, vision, times=name == "videos" and policy.family == "qwen3_vl")
    text = _expand(text, IMAGE_PAD, [IMAGE_PAD * _tokens(image, vision) for image in images], "images")
    video_texts = [_video_text(policy.family, video, vision) for video in videos]
    # As transformers does, Qwen3-VL's template keeps its own start and end around the per-patch ones.
    text = _expand(text, VIDEO_PAD, video_texts, "videos")

    input_ids_P = torch.tensor(policy.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.int64)
    config = policy.base.config
    mm_token_type_ids_P = (input_ids_P == config.image_token_id).long() + 2 * (
        input_ids_P == config.video_token_id
    ).long()
    image_grid_thw = torch.stack([image.grid_thw for image in images]).long() if images else None
    video_grid_thw = torch.stack([video.grid_thw for video in videos]).long() if videos else None
    second_per_grid_ts = None
    if videos and policy.family == "qwen2_5_vl":
        second_per_grid_ts = torch.tensor([float(video.seconds_per_grid) for video in videos])
    position_ids_3P = prompt_positions(
        policy.base, input_ids_P, mm_token_type_ids_P, image_grid_thw, video_grid_thw, second_per_grid_ts
    )
    return Prompt(
        input_ids_P=input_ids_P,
        position_ids_3P=position_ids_3P,
        mm_token_type_ids_P=mm_token_type_ids_P,
        next_position=int(position_ids_3P.max()) + 1,
        text=text,
        suppressed_ids=policy.suppressed_ids,
        pixel_values_videos=cat_patches([video.pixel_values for video in videos]) if videos else None,
        video_grid_thw=video_grid_thw,
        second_per_grid_ts=second_per_grid_ts,
        pixel_values=cat_patches([image.pixel_values for image in images]) if images else None,
        image_grid_thw=image_grid_thw,
    )


def cat_patches(patches: Sequence[Tensor]) -> Tensor:
    """All rows in one tensor. Raises ValueError for bytes among floats, which torch.cat would take for numbers."""
    if len({part.dtype == torch.uint8 for part in patches}) > 1:
        raise ValueError(f"pixel_values: expected all uint8 or all floats, got {[part.dtype for part in patches]}")
    return torch.cat(list(patches))


def _tokens(item: ImageLike, vision) -> int:
    return int(item.grid_thw.prod()) // vision.spatial_merge_size**2


def _video_text(family: str, video: VideoLike, vision) -> str:
    if family != "qwen3_vl":
        return VIDEO_PAD * _tokens(video, vision)
    grid_t = int(video.grid_thw[0])
    patch = VISION_START + VIDEO_PAD * (_tokens(video, vision) // grid_t) + VISION_END
    seconds = [float(time) for time in video.timestamps]
    size = vision.temporal_patch_size
    times = [(seconds[size * i] + seconds[size * i + size - 1]) / 2 for i in range(grid_t)]
    return "".join(f"<{time:.1f} seconds>{patch}" for time in times)


def _expand(text: str, placeholder: str, replacements: list[str], name: str) -> str:
    pieces = text.split(placeholder)
    if len(pieces) - 1 != len(replacements):
        raise ValueError(
            f"{name}: the rendered messages have {len(pieces) - 1} placeholders {placeholder}, but {len(replacements)} "
            f"{name} were given (a placeholder must not appear in a message's text)"
        )
    filled = iter([*replacements, ""])
    return "".join(piece + next(filled) for piece in pieces)


def _check_vision(name: str, item: ImageLike, vision, times: bool) -> None:
    grid = tuple(item.grid_thw.tolist())
    merge, size = vision.spatial_merge_size, vision.temporal_patch_size
    if len(grid) != 3 or min(grid) < 1 or grid[1] % merge or grid[2] % merge:
        raise ValueError(
            f"{name}.grid_thw must be three positive ints, height and width multiples of {merge}, got {grid}"
        )
    columns = vision.in_channels * size * vision.patch_size**2
    rows = grid[0] * grid[1] * grid[2]
    shape = tuple(item.pixel_values.shape)
    if len(shape) != 2 or shape[0] != rows or shape[1] != columns:
        raise ValueError(
            f"{name}.pixel_values must be ({rows}, {columns}) for its grid {grid} and this model, got {shape}"
        )
    if times and len(item.timestamps) != grid[0] * size:
        raise ValueError(
            f"{name}.timestamps must hold {grid[0] * size} times for its grid {grid}, got {len(item.timestamps)}"
        )
