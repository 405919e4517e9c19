"""Samples -> prompts: the one place where a run's prompt text, frames and frame times are decided.

Rollout, training and evaluation all come through here, so they cannot see different frames, rates or words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from videostr.data.prompts import render_prompt
from videostr.data.samples import Sample
from videostr.model import Policy, Prompt, build_prompt
from videostr.video import FramePolicy, PatchStore, SkippedVideos, VideoError, VideoInputs, load_video
from videostr.video.policy import CLIP_MEAN, CLIP_STD, HALF


@dataclass
class Prompter:
    """Builds prompts for one policy; a video that cannot be read is skipped and listed in `skipped`, never replaced.

    The patches are uint8, a quarter of the bytes; the model normalises them on its device.

    prompt: a name of `videostr.data.prompts.PROMPTS`. written_times: write its time before every frame pair. store:
    where decoded videos are kept for all who ask for them; None: every file is decoded anew. prefill: how every answer
    begins (see `build_prompt`).
    """

    policy: Policy
    prompt: str
    written_times: bool
    frames: FramePolicy
    store: PatchStore | None
    skipped: SkippedVideos
    prefill: str = ""

    def __call__(self, sample: Sample) -> Prompt:
        """The prompt of one sample. Raises VideoError when its video cannot be read."""
        self.skipped.check(sample.video)
        return self.ask(sample.query, self._load(sample), sample.meta)

    def _load(self, sample: Sample) -> VideoInputs:
        if self.store is None:
            return load_video(sample.video, self.frames, dtype=torch.uint8)
        return self.store.load(sample.video, self.frames)

    def ask(self, query: str, video: VideoInputs, meta: Mapping[str, Any] | None = None) -> Prompt:
        """The prompt that asks `query` about a video that was read already. meta: the sample's."""
        pairs = split_pairs(video) if self.written_times else [video]
        times = [float(pair.timestamps[0]) for pair in pairs] if self.written_times else None
        messages = render_prompt(self.prompt, query, times, meta)
        return build_prompt(self.policy, messages, videos=pairs, prefill=self.prefill)

    def shuffled(self, sample: Sample, seed: int) -> Prompt:
        """The prompt of one sample with its video's frames in another order; the written times stay in order."""
        video = self._load(sample)
        return self.ask(sample.query, shuffle_frames(video, seed, self.frames.temporal_patch_size), sample.meta)

    def uncached(self) -> "Prompter":
        """The same, reading every file anew."""
        return replace(self, store=None)

    def readable(self, samples: Sequence[Sample]) -> tuple[list[Sample], list[Prompt]]:
        """The samples whose video can be read, and their prompts."""
        kept, prompts = [], []
        for sample in samples:
            try:
                prompts.append(self(sample))
            except VideoError as error:
                self.skipped.add(error)
            else:
                kept.append(sample)
        return kept, prompts


def shuffle_frames(video: VideoInputs, seed: int, size: int) -> VideoInputs:
    """The video with its frames in another order, their times as before. size: frames a temporal patch."""
    pairs, rows = int(video.grid_thw[0]), int(video.grid_thw[1:].prod())
    # A row of patches holds channel, frame of the temporal patch, then the pixels.
    patches = video.pixel_values.reshape(pairs, rows, 3, size, -1)
    frames = patches.permute(0, 3, 1, 2, 4).flatten(0, 1)
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(seed))
    shuffled = frames[order].unflatten(0, (pairs, size)).permute(0, 2, 3, 1, 4)
    return replace(video, pixel_values=shuffled.reshape(video.pixel_values.shape))


def split_pairs(video: VideoInputs) -> list[VideoInputs]:
    """One video a frame pair, so that text can stand between them."""
    pairs, height, width = video.grid_thw.tolist()
    rows, frames = height * width, len(video.timestamps) // pairs
    return [
        replace(
            video,
            pixel_values=video.pixel_values[t * rows : (t + 1) * rows],
            grid_thw=video.grid_thw.new_tensor([1, height, width]),
            timestamps=video.timestamps[t * frames : (t + 1) * frames],
        )
        for t in range(pairs)
    ]


def model_frames(policy: Policy, frames: FramePolicy) -> FramePolicy:
    """`frames` with the patch and merge sizes of the policy's vision tower and the mean and std it was trained with."""
    vision = policy.base.config.vision_config
    mean, std = (HALF, HALF) if policy.family == "qwen3_vl" else (CLIP_MEAN, CLIP_STD)
    return replace(
        frames,
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        temporal_patch_size=vision.temporal_patch_size,
        image_mean=mean,
        image_std=std,
    )
