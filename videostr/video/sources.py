"""What can be loaded besides a file: a folder of images, or frames in memory."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex, as_video_error, check_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageFolder:
    """A folder whose images are a video's frames, `fps` a second, in the order of the numbers in their names.

    Other files are passed over. Raises ValueError for an fps that is not positive.
    """

    folder: str
    fps: float

    def __post_init__(self):
        _check_rate(self.fps)
        object.__setattr__(self, "folder", os.fspath(self.folder))

    def __fspath__(self) -> str:
        return self.folder

    def files(self) -> list[str]:
        """Absolute paths of the frames. Raises VideoError."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError as e:
            raise VideoError(self.folder, "missing") from e
        except PermissionError as e:
            raise VideoError(self.folder, "no_permission") from e
        except OSError as e:
            raise VideoError(self.folder, "not_a_folder") from e
        names = sorted((name for name in names if name.lower().endswith(SUFFIXES)), key=_natural)
        if not names:
            raise VideoError(self.folder, "no_frames", f"no {', '.join(SUFFIXES)}")
        return [os.path.join(os.path.abspath(self.folder), name) for name in names]

    def read_index(self) -> ImageIndex:
        files = self.files()
        check_file(files[0])
        with as_video_error(files[0], "corrupt"), Image.open(files[0]) as image:
            width, height = image.size
        return _even_index(ImageIndex, self.folder, len(files), self.fps, height, width, files=tuple(files))

    def identity(self) -> str:
        """Digest of the frames' names, sizes and times."""
        state = [self.fps]
        for file in self.files():
            info = os.stat(file)
            state.append((os.path.basename(file), info.st_size, info.st_mtime_ns))
        return hashlib.sha256(repr(state).encode()).hexdigest()


@dataclass(frozen=True)
class FrameArray:
    """frames: (N, H, W, 3) uint8 RGB in memory (a memory map will do), `fps` a second. name: for errors.

    Raises TypeError, ValueError for another dtype or shape, or an fps that is not positive.
    """

    frames: np.ndarray
    fps: float
    name: str = "<array>"

    def __post_init__(self):
        _check_rate(self.fps)
        if getattr(self.frames, "dtype", None) != np.uint8:
            raise TypeError(f"frames: expected a uint8 array, got {getattr(self.frames, 'dtype', type(self.frames))}")
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or 0 in self.frames.shape:
            raise ValueError(f"frames: expected shape (N, H, W, 3) with nothing empty, got {self.frames.shape}")

    def read_index(self) -> ArrayIndex:
        count, height, width = self.frames.shape[:3]
        return _even_index(ArrayIndex, self.name, count, self.fps, height, width, frames=self.frames)


@dataclass(frozen=True)
class ImageIndex(FrameIndex):
    files: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ArrayIndex(FrameIndex):
    frames: np.ndarray


def _check_rate(fps: float) -> None:
    if not (isinstance(fps, int | float | Fraction) and 0 < fps < float("inf")):
        raise ValueError(f"fps: expected a positive number, got {fps!r}")


def _natural(name: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", Path(name).stem)] + [name]


def _even_index(kind: type, path: str, count: int, fps: float, height: int, width: int, **more):
    every = {field.name for field in fields(FrameIndex)}
    times = np.arange(count, dtype=np.int64)
    known = {
        "path": path,
        "container": "images",
        "has_pts": True,
        "pts_N": times,
        "keys_K": times,
        "end": count,
        "promised_end": count,
        "time_base": 1 / Fraction(fps).limit_denominator(1_000_000),
        "height": height,
        "width": width,
    }
    return kind(**dict.fromkeys(every, False) | known | more)
