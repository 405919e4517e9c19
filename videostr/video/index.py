"""The frame index of a file: every frame's presentation time, from packets or tables, without decoding the video.

Counts and rates written in containers are often wrong, so none is used. One key frame is decoded, for the rotation and
the true size, which FFmpeg attaches to frames.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from videostr.video.errors import VideoError
from videostr.video.h264 import can_begin
from videostr.video.mp4 import composition_offsets, is_cut_off
from videostr.video.picture import orientation

# Not ours to open: playlists and scripts that name other files, text that FFmpeg renders as ANSI art, raw guesses.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,live_flv,asf,ogg,gif,apng,nut,mxf,rm,dv,ivf,"
    "wtv,vob,swf,nsv,obu,m4v,mpegvideo,h264,hevc,vvc,av1,wav,mp3,aac,flac,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe"
)


@dataclass(frozen=True)
class FrameIndex:
    """When each frame of a file is shown.

    pts_N: (N,) int64 presentation times of the frames, ascending, in units of time_base seconds. has_pts: false where
    the container stores only times of decoding (AVI): these are then the frames' in the order in which they are shown.
    keys_K: times of the frames at which decoding can begin; an edit list may hide the first. end: where the last frame
    ends. promised_end: the end that the container states, where it states one and the frames stop clearly before it;
    else `end`. cut_off: an mp4 that ends inside a box.
    height, width: of a frame, upright (rotation applied). mirrored: the display matrix also mirrors the picture.
    interlaced: its first frame is.
    """

    path: str
    container: str  # FFmpeg's name of the format
    has_pts: bool
    pts_N: np.ndarray
    keys_K: np.ndarray
    end: int
    promised_end: int
    time_base: Fraction
    cut_off: bool
    height: int
    width: int
    mirrored: bool
    interlaced: bool

    @property
    def truncated(self) -> bool:
        return self.promised_end > self.end

    def seconds(self, ticks) -> np.ndarray:
        """Ticks -> seconds from the stream's first frame, float64."""
        return (np.asarray(ticks) - self.pts_N[0]) * self.time_base.numerator / self.time_base.denominator


def check_file(path: str | os.PathLike) -> str:
    """The absolute path of a readable, non-empty regular file, or VideoError. Opening a FIFO would block for ever."""
    if not isinstance(path, str | os.PathLike):  # a number would be a file descriptor
        raise TypeError(f"path: expected a str or os.PathLike, got {type(path).__name__}")
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as e:
        raise VideoError(path, "missing") from e
    except PermissionError as e:
        raise VideoError(path, "no_permission") from e
    except (OSError, ValueError) as e:  # name too long, a NUL byte, a loop of links
        raise VideoError(path, "missing", str(e)) from e
    if not stat.S_ISREG(info.st_mode):
        raise VideoError(path, "not_a_file")
    if info.st_size == 0:
        raise VideoError(path, "empty")
    if not os.access(path, os.R_OK):
        raise VideoError(path, "no_permission")
    return os.path.abspath(path)  # never looks like a URL, so FFmpeg opens it as a file


@contextmanager
def as_video_error(path: str, reason: str) -> Iterator[None]:
    """Turns whatever a decoder library raises on this file into a VideoError, its own text kept as the detail."""
    try:
        yield
    except VideoError:
        raise
    except av.error.DecoderNotFoundError as e:
        raise VideoError(path, "unsupported_codec", str(e)) from e
    except PermissionError as e:
        raise VideoError(path, "no_permission") from e
    except Exception as e:
        raise VideoError(path, reason, f"{type(e).__name__}: {e}") from e


_decoder_threads = 0


def set_decoder_threads(count: int) -> None:
    """Threads a decoder of this process may use from now on; 0, as at the start, means one a core."""
    global _decoder_threads
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"count: expected an int >= 0, got {count!r}")
    _decoder_threads = count


@contextmanager
def open_video(path: str) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Opens a checked file and yields (container, its best video stream), the decoder set to use threads."""
    with as_video_error(path, "not_a_video"):
        container = av.open(path, options={"format_whitelist": FORMATS, "protocol_whitelist": "file"})
    with container:
        videos = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not videos:
            raise VideoError(path, "no_video_stream")
        with as_video_error(path, "not_a_video"):
            best = container.streams.best("video")
        stream = best if best in videos else videos[0]
        if stream.codec_context is None:
            raise VideoError(path, "unsupported_codec")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _decoder_threads
        yield container, stream


def packets_of(container: av.container.InputContainer, *streams: av.VideoStream) -> Iterator[av.Packet]:
    """The packets of these streams, or of all. PyAV's own iterator (18.1), let go before its end, keeps 150 bytes
    unless it is closed: `yield from` closes it."""
    yield from container.demux(*streams)


@dataclass
class _Scan:
    container: str  # FFmpeg's name of the format
    time_base: Fraction
    rate: Fraction | None  # average frame rate; used for nothing but the length of a single frame
    promised: Fraction | None  # the end in seconds that the container states
    packets: list[tuple[int | None, int, bool]]  # shown ones of the video stream: pts, duration, decoding can begin
    last_end: Fraction  # seconds; of all streams that were read
    lead: int | None = None  # pts of the key that an edit list hides and the first shown frames need
    seekable: bool = True  # False: an edit begins between two keys later on, whose times then overlap


def _scan(path: str) -> _Scan:
    with open_video(path) as (container, stream):
        scan = _Scan(container.format.name, stream.time_base, stream.average_rate, None, [], Fraction(0))
        if not scan.time_base:
            raise VideoError(path, "no_timestamps")
        per_stream = bool(stream.duration)
        if per_stream:
            scan.promised = ((stream.start_time or 0) + stream.duration) * scan.time_base
        elif container.duration:  # of the longest stream, so that all streams have to be looked at
            scan.promised = Fraction((container.start_time or 0) + container.duration, 1_000_000)
        with as_video_error(path, "corrupt"):
            packets = _from_tables(path, container, stream) if per_stream and "mp4" in scan.container else None
            if packets is None:
                _from_packets(scan, path, container, stream, per_stream)
            else:
                scan.packets = packets
                scan.last_end = max(pts + duration for pts, duration, _ in packets) * scan.time_base
    return scan


def _from_packets(scan: _Scan, path: str, container, stream, per_stream: bool) -> None:
    """Fills in every packet of the stream, and where the last packet of all streams that were read ends."""
    ends: dict[int, tuple] = {}  # stream -> (end of its last packet, its time base)
    began = hidden_key = False
    header = (stream.codec_context.extradata or b"") if stream.codec_context.name == "h264" else None
    budget = os.path.getsize(path) + 1024  # a packet has at least one byte: more packets than that is a loop
    for packet in packets_of(container, *([stream] if per_stream else [])):
        budget -= 1
        if budget < 0:
            raise VideoError(path, "corrupt", "more packets than bytes")
        if packet.size == 0 or packet.is_corrupt:
            continue
        number, pts, duration = packet.stream_index, packet.pts, packet.duration or 0
        if packet.is_discard:  # outside the edit list: decoded, but not shown
            if number == stream.index and packet.is_keyframe and pts is not None:
                hidden_key = True
                if not scan.packets:
                    scan.lead, began = pts, True
            continue
        if pts is not None and pts + duration >= ends.get(number, (pts,))[0]:
            ends[number] = pts + duration, packet.time_base
        if number == stream.index:
            key = packet.is_keyframe
            if key and began and header is not None:
                key = can_begin(bytes(packet), header)
            began |= key
            scan.seekable &= not (hidden_key and scan.packets)
            hidden_key = False
            scan.packets.append((pts, duration, key))
    scan.last_end = max((end * time_base for end, time_base in ends.values() if time_base), default=Fraction(0))


CHECKED = 16  # packets at the beginning whose times must be those of the tables


def _from_tables(path: str, container, stream) -> list[tuple[int, int, bool]] | None:
    """As `_from_packets` from an mp4's tables: of hours of video a few packets are read instead of all of it.

    None, with the container at its beginning, where the tables may not be the whole truth: fragments, edits that leave
    frames out, an end that is missing, or times that are not those of the packets that are read to make sure.
    """
    entries = [(e.pos, e.size, e.timestamp, e.is_keyframe, e.is_discard) for e in stream.index_entries]
    if len(entries) <= CHECKED or is_cut_off(path):
        return None
    offsets = composition_offsets(path, stream.id, len(entries))
    size = os.path.getsize(path)
    if offsets is None or any(e[4] or e[1] <= 0 or e[0] < 0 or e[0] + e[1] > size for e in entries):
        return None
    times = (np.array([entry[2] for entry in entries], dtype=np.int64) + offsets).tolist()
    if min(offsets.tolist()) < 0 or not entries[0][3]:
        return None
    durations = np.diff([entry[2] for entry in entries]).tolist()
    keys = [place for place, entry in enumerate(entries) if entry[3]]
    first = [(p.pts, p.duration) for p in itertools.islice(packets_of(container, stream), CHECKED)]
    container.seek(entries[keys[-1]][2], stream=stream)
    tail = [(p.pts, p.duration or 0) for p in packets_of(container, stream) if p.size]
    container.seek(min(0, stream.start_time or 0), stream=stream)
    if first != list(zip(times, durations, strict=False))[:CHECKED] or [t for t, _ in tail] != times[-len(tail) :]:
        return None
    durations.append(tail[-1][1])
    if stream.codec_context.name == "h264":
        header = stream.codec_context.extradata or b""
        with open(path, "rb") as file:
            keys = keys[:1] + [at for at in keys[1:] if can_begin(_read(file, *entries[at][:2]), header)]
    begins = set(keys)
    return [(pts, length, at in begins) for at, (pts, length) in enumerate(zip(times, durations, strict=True))]


def _read(file, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


def _first_frame(path: str) -> tuple[int, int, bool, bool]:
    """Of the first frame that decodes: upright height and width, whether the display matrix mirrors it, interlaced."""
    with open_video(path) as (container, stream), as_video_error(path, "corrupt"):
        stream.thread_type = "SLICE"  # frame threads would read several packets ahead before the first frame
        for packet in packets_of(container, stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # for example before the first key frame
            for frame in frames:
                swap, rows, columns = orientation(frame)
                height, width = (frame.width, frame.height) if swap else (frame.height, frame.width)
                return height, width, swap ^ rows ^ columns, frame.interlaced_frame
    raise VideoError(path, "corrupt", "no frame decodes")


def read_index(path: str | os.PathLike) -> FrameIndex:
    """Reads the file's packets once and decodes one frame. Raises VideoError for a file that cannot be used."""
    path = check_file(path)
    try:
        return _read_index(path)
    except VideoError as e:
        # what a cut through an mp4's own index looks like depends on where it falls; the cause is the same
        if e.reason != "truncated" and is_cut_off(path):
            raise VideoError(path, "truncated", e.detail or e.reason) from e
        raise


def _read_index(path: str) -> FrameIndex:
    scan = _scan(path)
    packets, time_base = scan.packets, scan.time_base
    if not packets:
        raise VideoError(path, "truncated" if scan.promised else "no_frames", "no packet of the video is there")
    if any(pts is None for pts, _, _ in packets):
        raise VideoError(path, "no_timestamps")
    keys = [] if scan.lead is None else [scan.lead]
    keys += [pts for pts, _, key in packets if key]
    if not scan.seekable:
        del keys[1:]
    if not keys:
        raise VideoError(path, "corrupt", "no key frame")
    # frames shown before the first key frame refer to frames that are not in the file
    pts_N = np.unique(np.array([pts for pts, _, _ in packets if pts >= keys[0]], dtype=np.int64))
    if int(pts_N[-1]) - int(pts_N[0]) >= 2**60:
        raise VideoError(path, "corrupt", "frame times are not plausible")
    steps = np.diff(pts_N)
    step = int(np.median(steps)) if len(steps) else 0
    last = max((pts, duration) for pts, duration, _ in packets)[1] or step
    if last == 0 and scan.rate:
        last = round(1 / (scan.rate * time_base))
    end = int(pts_N[-1]) + max(last, 1)

    promised_end, cut_off = end, is_cut_off(path)
    if scan.promised is not None:
        missing = scan.promised - max(scan.last_end, end * time_base)
        # containers round, and state the end of what they meant to hold; a cut through an mp4 is certain
        slack = step * time_base / 2 if cut_off else max(2 * step * time_base, Fraction(1, 4))
        if missing > slack:
            promised_end = end + min(round(missing / time_base), 2**60)
    height, width, mirrored, interlaced = _first_frame(path)
    return FrameIndex(
        path=path,
        container=scan.container,
        has_pts=scan.container != "avi",
        pts_N=pts_N,
        keys_K=np.array(sorted(keys), dtype=np.int64),
        end=end,
        promised_end=promised_end,
        time_base=time_base,
        cut_off=cut_off,
        height=height,
        width=width,
        mirrored=mirrored,
        interlaced=interlaced,
    )


def frame_seconds(path: str) -> np.ndarray | None:
    """The times of a file's frames in seconds, float64; None for one that cannot be read."""
    try:
        index = read_index(path)
    except VideoError:
        return None
    return index.seconds(index.pts_N)
