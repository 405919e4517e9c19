"""Video file -> exact frames -> the models' patches. See docs/video.md."""

from videostr.video.errors import REASONS, SkippedVideos, VideoError
from videostr.video.load import VideoPlan, load_video, plan
from videostr.video.loader import Clip, Loaded, VideoLoader
from videostr.video.patches import VideoInputs, frames_to_inputs
from videostr.video.policy import POLICIES, FramePolicy, named_policy
from videostr.video.quarantine import Quarantine
from videostr.video.readers import ReaderStatus, available_readers
from videostr.video.reading import ReadingConfig, read_clips
from videostr.video.sources import FrameArray, ImageFolder
from videostr.video.store import PatchStore

__all__ = [
    "POLICIES",
    "REASONS",
    "Clip",
    "FrameArray",
    "FramePolicy",
    "ImageFolder",
    "Loaded",
    "PatchStore",
    "Quarantine",
    "ReaderStatus",
    "ReadingConfig",
    "SkippedVideos",
    "VideoError",
    "VideoInputs",
    "VideoLoader",
    "VideoPlan",
    "available_readers",
    "frames_to_inputs",
    "load_video",
    "named_policy",
    "plan",
    "read_clips",
]
