"""Prompts token for token as transformers' own processors make them, and their errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import Qwen2_5_VLProcessor, Qwen2VLProcessor, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata

from videostr.model import build_prompt

from .tiny import FAMILY_NAMES, TEMPLATE, Vision, make_vision, messages, tiny_policy
from .truth import positions

SIZES = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "do_resize": False}
PROCESSORS = {
    "qwen2_vl": (Qwen2VLProcessor, Qwen2VLVideoProcessor),
    "qwen2_5_vl": (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
    "qwen3_vl": (Qwen3VLProcessor, Qwen3VLVideoProcessor),
}


def make_processor(policy):
    processor, video = PROCESSORS[policy.family]
    return processor(
        image_processor=Qwen2VLImageProcessor(**SIZES),
        tokenizer=policy.tokenizer,
        video_processor=video(**SIZES),
        chat_template=TEMPLATE,
    )


def run_processor(policy, chat, videos, images, fps):
    """What transformers makes of frames sampled at `fps` from videos that were recorded at twice that."""
    processor = make_processor(policy)
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    metadata = [
        VideoMetadata(total_num_frames=2 * len(video), fps=2 * fps, frames_indices=list(range(0, 2 * len(video), 2)))
        for video in videos
    ]
    return processor(
        text=[text],
        videos=videos or None,
        images=images or None,
        return_tensors="pt",
        **({"videos_kwargs": {"do_sample_frames": False, "video_metadata": metadata}} if videos else {}),
    )


def as_visions(pixels, grids, times, fps):
    visions, start = [], 0
    for grid in grids:
        count = int(grid.prod())
        visions.append(Vision(pixels[start : start + count], grid, times[: 2 * int(grid[0])], 2 / fps))
        start += count
    return visions


@pytest.mark.parametrize("fps", [2.0, 3.0, 0.7])
@pytest.mark.parametrize("kinds", [("video",), ("image",), ("image", "video"), ("video", "image", "video")])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_equals_processor(family, kinds, fps):
    policy = tiny_policy(family)
    random = np.random.default_rng(0)
    videos = [random.integers(0, 256, (6 + 2 * i, 3, 16, 24), dtype=np.uint8) for i in range(kinds.count("video"))]
    images = [random.integers(0, 256, (3, 32, 16), dtype=np.uint8) for _ in range(kinds.count("image"))]
    chat = [{"role": "system", "content": "You answer with times."}, *messages(*kinds)]
    expected = run_processor(policy, chat, videos, images, fps)
    prompt = build_prompt(
        policy,
        chat,
        as_visions(
            expected.get("pixel_values_videos"), expected.get("video_grid_thw", []), torch.arange(20) / fps, fps
        ),
        as_visions(expected.get("pixel_values"), expected.get("image_grid_thw", []), torch.zeros(2), fps),
    )
    assert prompt.input_ids_P.tolist() == expected["input_ids"][0].tolist()
    assert prompt.mm_token_type_ids_P.tolist() == expected["mm_token_type_ids"][0].tolist()
    for name in ("pixel_values", "pixel_values_videos", "image_grid_thw", "video_grid_thw"):
        assert (getattr(prompt, name) is None) == (name not in expected), name
        if name in expected:
            assert torch.equal(getattr(prompt, name), expected[name]), name
    if family == "qwen2_5_vl" and videos:
        torch.testing.assert_close(prompt.second_per_grid_ts, torch.as_tensor(expected["second_per_grid_ts"]).float())
    else:
        assert prompt.second_per_grid_ts is None


@pytest.mark.parametrize("grid", [(2, 4, 8), (9, 4, 4), (1, 8, 8)])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_positions(family, grid):
    policy = tiny_policy(family)
    chat = messages("video", "image")
    prompt = build_prompt(policy, chat, [make_vision(grid, seconds=1.25)], [make_vision((1, 4, 12))])
    expected = positions(policy.base, prompt, 3)[:, 0]
    assert torch.equal(prompt.position_ids_3P, expected[:, :-3])
    assert [prompt.next_position + i for i in range(3)] == expected[0, -3:].tolist()
    # transformers' own, wherever time is not the video's longest axis
    own = policy.base.model.get_rope_index(
        prompt.input_ids_P[None],
        mm_token_type_ids=prompt.mm_token_type_ids_P[None],
        image_grid_thw=prompt.image_grid_thw,
        video_grid_thw=prompt.video_grid_thw,
        second_per_grid_ts=prompt.second_per_grid_ts,
    )[0][:, 0]
    assert torch.equal(own, prompt.position_ids_3P) == (family == "qwen3_vl" or grid != (9, 4, 4))


def test_frame_times_reach_qwen2_5_as_positions():
    policy = tiny_policy("qwen2_5_vl")
    slow, fast = (build_prompt(policy, messages("video"), [make_vision((4, 4, 4), s)]) for s in (1.0, 0.5))
    vision = slow.mm_token_type_ids_P == 2
    step = [(p.position_ids_3P[0, vision].unique().diff()).tolist() for p in (slow, fast)]
    assert step == [[2, 2, 2], [1, 1, 1]]  # tokens_per_second = 2


def test_frame_times_reach_qwen3_as_text():
    policy = tiny_policy("qwen3_vl")
    video = replace(make_vision((2, 4, 4)), timestamps=torch.tensor([0.0, 0.25, 1.0, 2.0]))
    text = build_prompt(policy, messages("video"), [video]).text
    assert "<0.1 seconds><|vision_start|>" in text and "<1.5 seconds><|vision_start|>" in text


@pytest.mark.parametrize(
    ("kinds", "videos", "images", "match"),
    [
        ((), [(1, 4, 4)], [], "videos: the rendered messages have 0 placeholders"),
        (("video",), [], [], "videos: the rendered messages have 1 placeholders"),
        (("video",), [(1, 4, 4)], [(1, 4, 4)], "images: the rendered messages have 0 placeholders"),
        (("video",), [(1, 4, 3)], [], r"videos\[0\].grid_thw .* multiples of 2"),
    ],
)
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_mismatched_vision(family, kinds, videos, images, match):
    with pytest.raises(ValueError, match=match):
        build_prompt(
            tiny_policy(family), messages(*kinds), [make_vision(g) for g in videos], [make_vision(g) for g in images]
        )


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_inconsistent_vision(family):
    policy = tiny_policy(family)
    video = make_vision((2, 4, 4))
    with pytest.raises(ValueError, match=r"videos\[0\].pixel_values must be \(32, 96\)"):
        build_prompt(policy, messages("video"), [replace(video, pixel_values=video.pixel_values[:-1])])
    with pytest.raises(ValueError, match=r"videos: the rendered messages have 2 placeholders"):
        build_prompt(policy, messages("video", text="<|vision_start|><|video_pad|><|vision_end|>"), [video])
    if family == "qwen3_vl":
        with pytest.raises(ValueError, match=r"videos\[0\].timestamps must hold 4 times"):
            build_prompt(policy, messages("video"), [replace(video, timestamps=video.timestamps[:-1])])
