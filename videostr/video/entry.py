"""A video's uint8 patches with their times as one flat file, mapped into memory instead of read.

bytes 0-7   magic          8-15  length of the header, little endian
16-         header: JSON of grid_thw, columns, timestamps, seconds_per_grid, duration
then zeros up to a multiple of 4096, and the patches, row after row
"""

from __future__ import annotations

import errno
import json
import math
import mmap
import os

import numpy as np
import torch

from videostr.video.load import VideoPlan, planned_inputs
from videostr.video.patches import VideoInputs
from videostr.video.policy import FramePolicy
from videostr.video.readers.base import Reader

MAGIC = b"videostr"
ALIGN = 4096


def write_entry(file: int, plan: VideoPlan, policy: FramePolicy, read: Reader) -> None:
    """Decode the planned frames straight into the empty file of that descriptor.

    Raises VideoError for the video, OSError for the disk: space is reserved first, since a full disk would otherwise
    kill the process when a mapped page is written.
    """
    t, p = policy.temporal_patch_size, policy.patch_size
    rows, columns = math.prod(plan.grid_thw), 3 * t * p * p
    facts = {
        "grid_thw": list(plan.grid_thw),
        "columns": columns,
        "timestamps": plan.padded_timestamps.tolist(),
        "seconds_per_grid": plan.seconds_per_grid,
        "duration": plan.duration,
    }
    header = json.dumps(facts).encode()
    start = -(-(16 + len(header)) // ALIGN) * ALIGN
    _reserve(file, start + rows * columns)
    memory = mmap.mmap(file, start + rows * columns)  # unmapped when the last tensor over it goes
    patches = np.frombuffer(memory, np.uint8, rows * columns, start).reshape(rows, columns)
    planned_inputs(plan, policy, read, out=torch.from_numpy(patches))
    memory[16 : 16 + len(header)] = header
    memory[8:16] = len(header).to_bytes(8, "little")
    memory[:8] = MAGIC  # last: a file without it is no entry


def _reserve(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            return os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # some network file systems cannot
                raise
    os.ftruncate(file, size)


def read_entry(file: int) -> VideoInputs | None:
    """The entry in the file of that descriptor, which may be closed afterwards; None where the file is no whole entry.

    pixel_values are uint8, mapped privately: nobody reads the disk before a value is used, and what is written into
    the tensor stays in this process.
    """
    size = os.fstat(file).st_size
    if size <= ALIGN:
        return None
    memory = mmap.mmap(file, size, access=mmap.ACCESS_COPY)
    if memory[:8] != MAGIC:
        return None
    length = int.from_bytes(memory[8:16], "little")
    start = -(-(16 + length) // ALIGN) * ALIGN
    if start >= size:
        return None
    try:
        facts = json.loads(memory[16 : 16 + length])
        shape = math.prod(facts["grid_thw"]), facts["columns"]
        if start + math.prod(shape) != size:
            return None
        patches = np.frombuffer(memory, np.uint8, math.prod(shape), start).reshape(shape)
        return VideoInputs(
            torch.from_numpy(patches),
            torch.tensor(facts["grid_thw"], dtype=torch.int64),
            np.array(facts["timestamps"], dtype=np.float64),
            facts["seconds_per_grid"],
            facts["duration"],
        )
    except (KeyError, TypeError, ValueError):
        return None
