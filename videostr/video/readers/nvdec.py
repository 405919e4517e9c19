"""NVDEC through torchcodec's raw frames: the planes stay on the GPU, where the operator makes the CPU's pixels of them.

`read_raw` works on any device of torchcodec's; the tests run it on the CPU, a GPU has never run it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex, as_video_error
from videostr.video.picture import Picture
from videostr.video.readers.base import refuse, time_of
from videostr.video.readers.seek import stretches

MATRICES = {
    "bt709": "bt709",
    "smpte170m": "bt601",
    "bt470bg": "bt601",
    "unspecified": "bt601",
    "unknown": "bt601",
    "bt2020nc": "bt2020",
}


def read_nvdec(index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    """Frames in the current CUDA device's memory."""
    return read_raw(index, positions_n, "cuda")


def read_raw(index: FrameIndex, positions_n: np.ndarray, device: str) -> Iterator[Picture]:
    refuse(index, "torchcodec")
    if index.interlaced or index.height % 2 or index.width % 2:  # swscale takes another path there (picture.py)
        raise VideoError(index.path, "reader", "raw frames are read of progressive video with even sides only")
    from torchcodec.decoders import Demuxer

    ticks_a_second = index.time_base.denominator / index.time_base.numerator
    with as_video_error(index.path, "corrupt"):
        demuxer = Demuxer(index.path)
        decoder = demuxer.streams[0].make_decoder(device, num_ffmpeg_threads=0)
        for seek, low, high in stretches(index, positions_n):
            if seek is not None:
                demuxer.seek(seek / ticks_a_second)
                decoder.reset()
            wanted, done = index.pts_N[positions_n[low:high]].tolist(), 0
            for frame in _frames(demuxer, decoder):
                now = round(frame.pts_seconds * ticks_a_second)
                if now < wanted[done]:
                    continue
                if now > wanted[done]:
                    raise VideoError(index.path, "reader", f"no frame {time_of(index, positions_n[low + done])}")
                picture = raw_picture(index, frame)
                while done < len(wanted) and wanted[done] == now:
                    done += 1
                    yield picture
                if done == len(wanted):
                    break
            else:
                at = time_of(index, positions_n[low + done])
                raise VideoError(index.path, "corrupt", f"the decoder ends before the frame {at}")


def _frames(demuxer, decoder) -> Iterator:
    for packet in demuxer:
        yield from decoder.decode(packet)
    yield from decoder.drain()


def raw_picture(index: FrameIndex, frame) -> Picture:
    """A RawFrame's planes, upright, without a copy unless the display matrix turns them."""
    if frame.pixel_format not in ("nv12", "yuv420p", "yuvj420p") or frame.color_space not in MATRICES:
        detail = f"raw frames of format {frame.pixel_format} and colour space {frame.color_space}"
        raise VideoError(index.path, "reader", detail)
    quarters = round(frame.rotation / 90) % 4
    planes = tuple(torch.rot90(plane, quarters) if quarters else plane for plane in frame.planes)
    if frame.pixel_format == "nv12" and not quarters:
        y, u, _ = planes  # U and V are views into the one plane that the operator takes
        planes = (y, u.as_strided((*u.shape, 2), (*u.stride(), 1)))
    return Picture(planes, MATRICES[frame.color_space], frame.color_range == "pc")
