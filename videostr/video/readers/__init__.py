"""Readers: file -> the frames at given presentation times. One protocol, the same pixels."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import io
from typing import NamedTuple

import av
import torch

from videostr.video.readers.base import Reader
from videostr.video.readers.decord import read_decord
from videostr.video.readers.images import read_array, read_images
from videostr.video.readers.nvdec import read_nvdec
from videostr.video.readers.pyav import read_pyav
from videostr.video.readers.torchcodec import read_torchcodec
from videostr.video.sources import FrameArray, ImageFolder

READERS: dict[str, Reader] = {
    "pyav": read_pyav,
    "torchcodec": read_torchcodec,
    "decord": read_decord,
    "nvdec": read_nvdec,
}
PACKAGES = {"pyav": "av", "nvdec": "torchcodec"}  # where it is not the reader's name


class ReaderStatus(NamedTuple):
    available: bool
    note: str  # the version, or why the reader cannot be used and what to install


def _try_reader(name: str) -> None:
    """Loads the library of that name to the point where it would decode; raises whatever it raises."""
    if name in ("torchcodec", "nvdec"):  # looks for FFmpeg's shared libraries only when the first decoder is made
        from torchcodec.decoders import VideoDecoder

        if name == "nvdec" and not torch.cuda.is_available():
            raise OSError("no CUDA device")
        data = io.BytesIO()
        with av.open(data, "w", format="mp4") as out:
            stream = out.add_stream("mpeg4", rate=1)
            stream.width = stream.height = 16
            out.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
            out.mux(stream.encode(None))
        if name == "nvdec":
            from torchcodec.decoders import Demuxer

            Demuxer(data.getvalue()).streams[0].make_decoder("cuda")
        else:
            VideoDecoder(data.getvalue())
    else:
        importlib.import_module(PACKAGES.get(name, name))


@functools.cache
def available_readers() -> dict[str, ReaderStatus]:
    """Which readers work here: name -> (available, its version or what is missing). Each is loaded to find out."""
    status = {}
    for name in READERS:
        try:
            _try_reader(name)
            status[name] = ReaderStatus(True, importlib.metadata.version(PACKAGES.get(name, name)))
        except ModuleNotFoundError as e:
            status[name] = ReaderStatus(False, f"pip install {e.name.split('.')[0]}")
        except Exception as e:  # a hundred lines in torchcodec's case
            first = next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)
            status[name] = ReaderStatus(False, f"installed, but does not load (FFmpeg's shared libraries?): {first}")
    return status


def reader_name(name: str, source: object = None) -> str:
    """`name`, or what "auto" stands for: PyAV, which planning needs anyway; for images and arrays their own."""
    if isinstance(source, ImageFolder | FrameArray):
        if name != "auto":
            raise ValueError(f"reader: expected 'auto' for {type(source).__name__}, got {name!r}")
        return "images" if isinstance(source, ImageFolder) else "array"
    return "pyav" if name == "auto" else name


def get_reader(name: str = "auto", source: object = None) -> Reader:
    """The reader of that name for a file, or of an `ImageFolder` or `FrameArray`. Raises ValueError for a name that is
    not known or a reader that does not work here."""
    name = reader_name(name, source)
    if isinstance(source, ImageFolder | FrameArray):
        return read_images if isinstance(source, ImageFolder) else read_array
    if name not in READERS:
        raise ValueError(f"reader: expected 'auto' or one of {sorted(READERS)}, got {name!r}")
    if name != "pyav" and not (status := available_readers()[name]).available:
        raise ValueError(f"reader: {name!r} cannot be used here: {status.note}")
    return READERS[name]
