"""What can be wrong with a video file, as one exception with a short reason code, and a record of the files skipped."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

# reason code -> what the user should do. The codes are part of the public contract: reports count by them.
REASONS = {
    "missing": "check the path; relative paths in a sample file are relative to that file",
    "not_a_file": "give a regular file: directories, pipes and devices cannot be read as a video",
    "not_a_folder": "give the folder that holds the frames as images",
    "no_permission": "make the file readable for this user",
    "empty": "the file has zero bytes: download or copy it again",
    "not_a_video": "no demuxer recognises the file: check that it is a video and not, for example, an HTML error page",
    "no_video_stream": "the file holds no video stream (audio only?)",
    "unsupported_codec": "this FFmpeg build cannot decode the stream: re-encode the file to H.264",
    "truncated": "the file ends before its container says: download or copy it again, or sample a clip inside the part "
    "that is there",
    "corrupt": "the stream cannot be decoded up to the sampled frames: re-encode it or drop the file",
    "no_timestamps": "the stream carries no presentation times: put it into a container, e.g. "
    "`ffmpeg -i IN -c copy OUT.mp4`",
    "no_frames": "the stream holds no frame that can be shown",
    "empty_clip": "the clip starts after the last frame: check start and end against the video's duration",
    "aspect_ratio": "one side is more than 200 times the other, which the models' size rule refuses",
    "timeout": "loading took longer than the time limit and was stopped: re-encode the file, or raise the limit",
    "crashed": "the process that loaded it died (a fault in the decoder, or no memory): re-encode or drop the file",
    "reader": "this reader cannot deliver the planned frames of this file: use reader='pyav'",
}


class VideoError(Exception):
    """A video file that cannot be used: `.path`, `.reason` (a key of `REASONS`) and `.detail`.

    Every unreadable file ends in this exception and no other, so that a data loader can skip, count and list it.
    """

    def __init__(self, path: str | os.PathLike, reason: str, detail: str = ""):
        self.path, self.reason, self.detail = os.fspath(path), reason, detail
        cause = f"{reason} ({detail})" if detail else reason
        super().__init__(f"{self.path}: {cause}: {REASONS[reason]}")

    def __reduce__(self):  # exceptions with their own __init__ do not survive a worker process otherwise
        return type(self), (self.path, self.reason, self.detail)


@dataclass
class SkippedVideos:
    """The videos a run could not use, each listed once, counted by reason; a recipe reports `to_list()`."""

    reasons: dict[str, str] = field(default_factory=dict)  # path -> reason

    def add(self, error: VideoError) -> None:
        self.reasons.setdefault(error.path, error.reason)

    def __contains__(self, path: str | os.PathLike) -> bool:
        return os.fspath(path) in self.reasons

    def check(self, path: str | os.PathLike) -> None:
        """Raises VideoError for a file that is listed: it is not tried again."""
        if path in self:
            raise VideoError(path, self.reasons[os.fspath(path)])

    def __len__(self) -> int:
        return len(self.reasons)

    def counts(self) -> dict[str, int]:
        return dict(Counter(self.reasons.values()))

    def to_list(self) -> list[dict[str, str]]:
        return [{"path": path, "reason": reason} for path, reason in self.reasons.items()]
