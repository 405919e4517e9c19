"""Video file -> exact frames -> the models' patches. See docs/video.md."""

from videostr.video.errors import REASONS, SkippedVideos, VideoError
from videostr.video.load import VideoPlan, load_video, plan
from videostr.video.patches import VideoInputs, frames_to_inputs
from videostr.video.policy import POLICIES, FramePolicy, named_policy

__all__ = [
    "POLICIES",
    "REASONS",
    "FramePolicy",
    "SkippedVideos",
    "VideoError",
    "VideoInputs",
    "VideoPlan",
    "frames_to_inputs",
    "load_video",
    "named_policy",
    "plan",
]
