"""What an mp4's own tables say, where they say it plainly: whether it was cut off, and when its frames are shown."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

TOP_BOXES = (b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"meta", b"mfra", b"sidx", b"styp", b"udta")
LARGEST_INDEX = 1 << 28  # bytes of a moov box that is read: more than a day of video


def is_cut_off(path: str) -> bool:
    """Whether the file is an mp4 that ends inside a top-level box or before its index; junk after it is neither."""
    size, at, indexed = os.path.getsize(path), 0, False
    with open(path, "rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if at == 0 and kind != b"ftyp":
                return False
            if length == 1:  # the length follows in 8 bytes
                length = int.from_bytes(head[8:16], "big")
            if kind in TOP_BOXES and length == 0:  # up to the end of the file
                length = size - at
            if length < 8 or at + length > size:
                return kind in TOP_BOXES or not indexed
            indexed |= kind == b"moov"
            at += length
    return not indexed


def composition_offsets(path: str, track: int, count: int) -> np.ndarray | None:
    """(count,) int64: for each sample of the track the time at which it is shown less the time of its decoding (ISO/IEC
    14496-12, ctts). None where the tables do not say it for exactly so many samples, as in a fragmented file.
    """
    moov = _read_moov(path)
    for kind, trak in _boxes(moov):
        if kind != b"trak" or _track_id(trak) != track:
            continue
        table = _inside(trak, b"mdia", b"minf", b"stbl")
        ctts = None if table is None else _inside(table, b"ctts")
        if table is None:
            return None
        if ctts is None:
            return np.zeros(count, dtype=np.int64)
        runs = np.frombuffer(ctts, ">i4", offset=8, count=min(int.from_bytes(ctts[4:8], "big"), len(ctts) // 8 - 1) * 2)
        lengths, offsets = runs[::2].astype(np.int64), runs[1::2].astype(np.int64)
        if (lengths < 0).any() or lengths.sum() != count:
            return None
        return np.repeat(offsets, lengths)
    return None


def _read_moov(path: str) -> bytes:
    size, at = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind, start = int.from_bytes(head[:4], "big"), head[4:8], 8
            if length == 1:
                length, start = int.from_bytes(head[8:16], "big"), 16
            if kind == b"moov" and start <= length <= LARGEST_INDEX:
                file.seek(at + start)
                return file.read(length - start)
            if length < 8:
                return b""
            at += length
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 8:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length


def _inside(data: bytes, *path: bytes) -> bytes | None:
    for name in path:
        data = next((content for kind, content in _boxes(data) if kind == name), None)
        if data is None:
            return None
    return data


def _track_id(trak: bytes) -> int | None:
    head = _inside(trak, b"tkhd")
    if head is None or len(head) < 24:
        return None
    at = 20 if head[0] == 1 else 12  # version 1 has 8-byte times
    return int.from_bytes(head[at : at + 4], "big")
