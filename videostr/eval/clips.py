"""Samples whose file is longer than the video that they are about (TVGBench's segments of longer videos)."""

from dataclasses import replace

import torch

from videostr.data.samples import Sample
from videostr.video import FramePolicy, PatchStore, VideoInputs, load_video

Clip = tuple[float, float]


def clip_of(sample: Sample) -> Clip | None:
    """The stretch [start, end] of the file that the model is shown, in seconds; None: all of it.

    A reader that moved a segment's times into the longer file (`--segments`) keeps the segment and knows no duration.
    """
    segment = sample.meta.get("segment")
    return (float(segment[0]), float(segment[1])) if segment and sample.duration is None else None


def load_clip(path: str, frames: FramePolicy, clip: Clip | None, store: PatchStore | None = None) -> VideoInputs:
    """The clip as a video of its own: its times count from its start. Patches are uint8. store: where decoded videos
    are kept. Raises VideoError as `load_video`."""
    start, end = clip or (None, None)
    if store is None:
        video = load_video(path, frames, dtype=torch.uint8, start=start, end=end)
    else:
        video = store.load(path, frames, start=start, end=end)
    if clip is None:
        return video
    return replace(video, timestamps=video.timestamps - clip[0])
