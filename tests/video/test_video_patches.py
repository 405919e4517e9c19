"""Patches against transformers' own video processors: equal to the last bit, for the three model families."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tvF
from transformers import AutoVideoProcessor  # noqa: F401  registers the processors
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata
from video_clips import decode_all, encode, pattern, real_clips

from videostr.video import POLICIES, FramePolicy, frames_to_inputs, load_video, named_policy, plan

# Qwen2-VL and Qwen2.5-VL share a processor class; their checkpoints differ in the size limits only.
FAMILIES = {
    "qwen2_vl": (Qwen2VLVideoProcessor, "transformers_qwen2_vl", {"min_pixels": 3136, "max_pixels": 50176}),
    "qwen2_5_vl": (Qwen2VLVideoProcessor, "transformers_qwen2_vl", {"min_pixels": 6272, "max_pixels": 100352}),
    "qwen3_vl": (Qwen3VLVideoProcessor, "transformers_qwen3_vl", {"min_pixels": 4096, "total_pixels": 786432}),
}


def make(family):
    processor, name, limits = FAMILIES[family]
    low, high = limits.values()
    size = {"shortest_edge": low, "longest_edge": high}
    return processor(size=size, cap_pixels_per_frame=False), named_policy(name, **limits)


def random_frames(n, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("n", "height", "width"), [(2, 60, 90), (5, 131, 77), (4, 240, 320), (3, 28, 28), (7, 20, 33), (2, 300, 15)]
)
def test_equal_to_the_processor(family, n, height, width):
    processor, policy = make(family)
    frames = random_frames(n, height, width)
    want = processor(videos=[torch.from_numpy(frames).permute(0, 3, 1, 2)], do_sample_frames=False, return_tensors="pt")
    got = frames_to_inputs(frames, np.arange(n) / 2, policy, n / 2)
    assert torch.equal(got.pixel_values, want["pixel_values_videos"])
    assert torch.equal(got.grid_thw, want["video_grid_thw"][0])
    assert got.pixel_values.dtype == torch.float32 and got.grid_thw.dtype == torch.int64
    assert len(got.timestamps) == 2 * int(got.grid_thw[0])


@pytest.mark.parametrize("family", FAMILIES)  # the inner loop, so that each clip is decoded once for the three
@pytest.mark.parametrize("clip", real_clips(), ids=lambda p: p.stem)
def test_real_clips_equal_the_processor_from_file_to_patches(family, clip):
    """The processor samples, resizes and cuts by itself from every frame of the file; ours from the file."""
    processor, policy = make(family)
    times, frames = decode_all(clip)
    rate = 1 / (times[1] - times[0])
    metadata = VideoMetadata(total_num_frames=len(frames), fps=rate, duration=len(frames) / rate)
    want = processor(
        videos=[torch.from_numpy(frames).permute(0, 3, 1, 2)],
        video_metadata=[metadata],
        do_sample_frames=True,
        fps=2.0,
        return_tensors="pt",
    )
    got, planned = load_video(clip, policy), plan(clip, policy)
    assert torch.equal(got.pixel_values, want["pixel_values_videos"])
    assert got.grid_thw.tolist() == want["video_grid_thw"][0].tolist() == list(planned.grid_thw)
    assert planned.n_tokens == got.grid_thw.prod() // 4
    assert (planned.height, planned.width) == tuple(planned.grid_thw[i] * policy.patch_size for i in (1, 2))


@pytest.mark.parametrize("clip", real_clips()[1:], ids=lambda p: p.stem)
def test_qwen_vl_utils_frames_through_the_processor(clip, monkeypatch):
    """The paper's policy on the frames that qwen-vl-utils itself chooses (it reads with decord)."""
    import qwen_vl_utils.vision_process as qwen

    monkeypatch.setattr(qwen, "get_video_reader_backend", lambda: "decord")
    policy = POLICIES["tvg_r1"]
    element = {"video": str(clip), "nframes": 64, "min_pixels": 3136, "total_pixels": 1_605_632}
    resized, metadata = qwen.fetch_video(element, return_video_metadata=True)
    _, frames = decode_all(clip)
    chosen = torch.from_numpy(frames[list(metadata["frames_indices"])]).permute(0, 3, 1, 2)
    pixels = resized.shape[-2] * resized.shape[-1]
    processor = Qwen2VLVideoProcessor(
        size={"shortest_edge": pixels, "longest_edge": pixels}, do_resize=False, cap_pixels_per_frame=False
    )
    chosen = tvF.resize(chosen, list(resized.shape[-2:]), InterpolationMode.BICUBIC, antialias=True)
    want = processor(videos=[chosen], do_sample_frames=False, return_tensors="pt")
    got = load_video(clip, policy)
    ties = sum((Fraction(k * (len(frames) - 1), 63) % 1) == Fraction(1, 2) for k in range(64))
    assert ties == 0  # else the choice of one frame would be a matter of rounding
    assert torch.equal(got.pixel_values, want["pixel_values_videos"])
    assert torch.equal(got.grid_thw, want["video_grid_thw"][0])
    # the frames as qwen-vl-utils resizes them
    want = processor(videos=[resized.to(torch.uint8)], do_sample_frames=False, return_tensors="pt")
    f32 = load_video(clip, replace(policy, resize="f32"))
    assert torch.equal(f32.pixel_values, want["pixel_values_videos"])
    assert not torch.equal(f32.pixel_values, got.pixel_values)


def test_torchvision_is_not_imported():
    import subprocess
    import sys

    code = "import sys, videostr.video; sys.exit('torchvision' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_frames_in_every_shape_are_the_same():
    policy, times = FramePolicy(min_pixels=784, max_pixels=12544), [0.0, 0.5, 1.0]
    frames = random_frames(3, 40, 70)
    want = frames_to_inputs(frames, times, policy, 1.5)
    first = torch.from_numpy(frames).permute(0, 3, 1, 2)
    images = [Image.fromarray(frame) for frame in frames]
    tensors = [torch.from_numpy(frames), first, first.contiguous(), list(first)]
    for given in (*tensors, list(frames), images, tuple(images)):
        got = frames_to_inputs(given, times, policy, 1.5)
        assert torch.equal(got.pixel_values, want.pixel_values) and torch.equal(got.grid_thw, want.grid_thw)
    kept = frames_to_inputs(images, times, policy, 1.5, dtype=torch.uint8)
    assert torch.equal(kept.normalised(policy).pixel_values, want.pixel_values)
    with pytest.raises(ValueError, match=r"frames\[1\]: expected 40 x 70 like"):
        frames_to_inputs([frames[0], frames[1, :39], frames[2]], times, policy, 1.5)
    with pytest.raises(TypeError, match=r"frames\[0\]: expected an image"):
        frames_to_inputs(["a.png"], [0.0], policy, 1.5)


def test_an_odd_count_repeats_the_last_frame_and_its_time():
    policy = FramePolicy(min_pixels=784, max_pixels=784)
    frames = np.stack([pattern(t, 28, 28) for t in range(3)])
    odd = frames_to_inputs(frames, [0.0, 0.5, 2.0], policy, 3.0)
    even = frames_to_inputs(np.concatenate([frames, frames[-1:]]), [0.0, 0.5, 2.0, 2.0], policy, 3.0)
    assert torch.equal(odd.pixel_values, even.pixel_values)
    assert odd.timestamps.tolist() == [0.0, 0.5, 2.0, 2.0] and odd.timestamps.dtype == np.float64
    assert odd.seconds_per_grid == even.seconds_per_grid == 2.0  # from the pairs' first frames


def test_seconds_per_grid_is_real_time(tmp_path):
    """At 2 frames a second of a 25 fps file the frames are not half a second apart; the model must be told."""
    clip = encode(tmp_path / "a.mp4", frames=100, rate=25)
    video = load_video(clip, FramePolicy(max_pixels=12544, min_pixels=784))
    starts = video.timestamps[::2]
    assert video.seconds_per_grid == pytest.approx(np.diff(starts).mean())
    assert video.seconds_per_grid == pytest.approx(2 * 3.96 / 7, abs=0.03)  # 8 frames over 99 intervals of 0.04 s
    assert video.duration == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("frames", "times", "error", "match"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), [0, 1], TypeError, "uint8"),
        (np.zeros((2, 8, 8), np.uint8), [0, 1], ValueError, "frames"),
        (np.zeros((0, 8, 8, 3), np.uint8), [], ValueError, "frames"),
        (np.zeros((2, 8, 8, 3), np.uint8), [0], ValueError, "timestamps"),
        (np.zeros((2, 8, 8, 3), np.uint8), [1, 0], ValueError, "timestamps"),
        (np.zeros((2, 8, 8, 3), np.uint8), [0, np.nan], ValueError, "timestamps"),
        (np.zeros((2, 1, 201, 3), np.uint8), [0, 1], ValueError, "aspect"),
    ],
)
def test_wrong_frames(frames, times, error, match):
    with pytest.raises(error, match=match):
        frames_to_inputs(frames, times, FramePolicy(), 1.0)
