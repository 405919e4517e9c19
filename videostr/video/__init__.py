"""Video file -> exact frames -> the models' patches. See docs/video.md."""

from videostr.video.cache import VideoCache
from videostr.video.errors import REASONS, SkippedVideos, VideoError
from videostr.video.load import VideoPlan, load_video, plan
from videostr.video.patches import VideoInputs, frames_to_inputs
from videostr.video.policy import POLICIES, FramePolicy, named_policy
from videostr.video.readers import ReaderStatus, available_readers

__all__ = [
    "POLICIES",
    "REASONS",
    "FramePolicy",
    "ReaderStatus",
    "SkippedVideos",
    "VideoCache",
    "VideoError",
    "VideoInputs",
    "VideoPlan",
    "available_readers",
    "frames_to_inputs",
    "load_video",
    "named_policy",
    "plan",
]
