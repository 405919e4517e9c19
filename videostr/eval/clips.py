"""Samples whose file is longer than the video that they are about (TVGBench's segments of longer videos)."""

from dataclasses import replace

from videostr.data.samples import Sample
from videostr.video import Clip, VideoInputs


def clip_of(sample: Sample) -> Clip:
    """What of the file the model is shown.

    A reader that moved a segment's times into the longer file (`--segments`) keeps the segment and knows no duration.
    """
    segment = sample.meta.get("segment")
    if not segment or sample.duration is not None:
        return Clip(sample.video)
    return Clip(sample.video, float(segment[0]), float(segment[1]))


def alone(video: VideoInputs, clip: Clip) -> VideoInputs:
    """The clip as a video of its own: its times count from its start."""
    return video if clip.start is None else replace(video, timestamps=video.timestamps - clip.start)
