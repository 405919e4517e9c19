"""Frames as JPEG, for models behind an HTTP interface."""

from __future__ import annotations

import io

from PIL import Image

from videostr.video.load import Source, plan
from videostr.video.policy import FramePolicy
from videostr.video.readers import get_reader


def jpeg_frames(
    path: Source, policy: FramePolicy, quality: int = 85, reader: str = "auto"
) -> list[tuple[float, bytes]]:
    """(seconds from the first frame, JPEG) of the frames that `plan` chooses, resized as the policy says.

    Raises VideoError for a file that cannot be used, ValueError for a wrong argument.
    """
    if not 1 <= quality <= 95:
        raise ValueError(f"quality: expected a number from 1 to 95, got {quality!r}")
    read = get_reader(reader, path)
    p = plan(path, policy)
    frames = []
    for seconds, picture in zip(p.timestamps, read(p.index, p.positions_n), strict=True):
        image = Image.fromarray(picture.rgb()).resize((p.width, p.height), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        frames.append((float(seconds), buffer.getvalue()))
    return frames
