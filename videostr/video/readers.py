"""Readers: file -> the frames at given presentation times. One protocol, three libraries, the same pixels."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import io
import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import av
import numpy as np

from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex, as_video_error, open_video
from videostr.video.picture import Picture, picture_of


class Reader(Protocol):
    """Yields one upright frame for each entry of positions_n (ascending indices into index.pts_N; repeats allowed), or
    raises VideoError. Never another frame than the one asked for."""

    def __call__(self, index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]: ...


SEEK_PAYS = 24  # frames that a seek must leave out: emptying and refilling the decoder's threads costs a few


class Stretch(NamedTuple):
    """positions_n[low:high], decoded in one go. seek: the key frame to begin at; None: where the decoder stands."""

    seek: int | None
    low: int
    high: int


def stretches(index: FrameIndex, positions_n: np.ndarray) -> list[Stretch]:
    """Where to seek on the way through the wanted frames, decided from the key frames' times alone."""
    if not index.has_pts:
        return [Stretch(None, 0, len(positions_n))]
    wanted = index.pts_N[positions_n]
    keys = index.keys_K[np.maximum(np.searchsorted(index.keys_K, wanted, side="right") - 1, 0)]
    left_out = np.searchsorted(index.pts_N, keys[1:]) - positions_n[:-1] - 1
    indexed = "mp4" in index.container or "matroska" in index.container  # elsewhere a seek searches through the file
    begins = [0, *(np.flatnonzero(left_out >= SEEK_PAYS) + 1).tolist()] if indexed else [0]
    seeks = [int(keys[begin]) for begin in begins]
    first = None if seeks[0] <= index.keys_K[0] else seeks[0]
    return [
        Stretch(seek, low, high)
        for seek, low, high in zip([first, *seeks[1:]], begins, [*begins[1:], len(wanted)], strict=True)
    ]


def read_pyav(index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    """Decodes with threads from the last key frame before a wanted frame, seeking past the groups of frames in which
    none is wanted where that pays; between the wanted ones only what other frames refer to.

    A frame that its decoder calls damaged, or that follows one before the next key frame, is an error.
    """
    parts, done = stretches(index, positions_n), 0
    try:
        for picture in _decode(index, positions_n, parts):
            done += 1
            yield picture
    except VideoError:
        if all(part.seek is None for part in parts):
            raise
        # without an index in the container (MPEG-TS) a seek can land too late, and then the frame is not to be had
        rest = positions_n[done:]
        yield from _decode(index, rest, [Stretch(None, 0, len(rest))])


def _can_skip(index: FrameIndex, codec: av.CodecContext) -> bool:
    """Whether leaving out the frames that none refers to changes no other frame, and a packet is a frame.

    H.264's are never referred to. HEVC's are marked within their temporal layer only, so there must be one layer, which
    the header of mp4 and Matroska says (ISO/IEC 14496-15, hvcC: byte 21, bits 3 to 5).
    """
    if not index.has_pts or index.interlaced:
        return False
    header = codec.extradata or b""
    one_layer = len(header) > 22 and header[0] == 1 and header[21] >> 3 & 7 == 1
    return codec.name == "h264" or (codec.name == "hevc" and one_layer)


def _decode(
    index: FrameIndex, positions_n: np.ndarray, parts: list[Stretch], packet_is_frame: bool = True
) -> Iterator[Picture]:
    reason, count, tainted = "truncated" if index.cut_off else "corrupt", -1, False
    packet_is_frame = packet_is_frame and index.has_pts and not index.interlaced
    with open_video(index.path) as (container, stream), as_video_error(index.path, reason):
        codec = stream.codec_context
        skip = packet_is_frame and _can_skip(index, codec)
        for seek, low, high in parts:
            if seek is not None:
                container.seek(seek, stream=stream)  # also empties the decoder
                tainted = False
            # where the container keeps no presentation times, frames are counted as they come out
            wanted = (index.pts_N[positions_n[low:high]] if index.has_pts else positions_n[low:high]).tolist()
            done, missing, drained = 0, set(wanted), False
            for packet in container.demux(stream):
                if skip:
                    codec.skip_frame = "DEFAULT" if packet.pts in missing else "NONREF"
                missing.discard(packet.pts)
                try:
                    frames = packet.decode()
                    if packet_is_frame and not missing:  # what they refer to came before them
                        drained = True
                        frames += codec.decode(None)
                except av.error.InvalidDataError:
                    tainted = True  # what refers to the lost frame is wrong too, up to the next key frame
                    frames = []
                for frame in frames:
                    count += 1
                    tainted = frame.is_corrupt or (tainted and not frame.key_frame)
                    now = frame.pts if index.has_pts else count
                    if now is None or now < wanted[done]:
                        continue
                    if now > wanted[done] or tainted:
                        raise VideoError(index.path, reason, f"no intact frame {_at(index, positions_n[low + done])}")
                    if packet_is_frame and frame.interlaced_frame:  # from here on a field may be a packet of its own
                        break
                    picture = picture_of(frame)
                    while done < len(wanted) and wanted[done] == now:
                        done += 1
                        yield picture
                    if done == len(wanted):
                        break
                else:
                    if not drained:
                        continue
                break
            if done < len(wanted) and packet_is_frame:
                rest = positions_n[low + done :]
                yield from _decode(index, rest, stretches(index, rest), packet_is_frame=False)
                return
            if done < len(wanted):
                raise VideoError(
                    index.path, reason, f"the decoder ends before the frame {_at(index, positions_n[low + done])}"
                )


def _at(index: FrameIndex, position: int) -> str:
    return f"at {float(index.seconds(index.pts_N[position])):.3f} s"


def _check_planned(index: FrameIndex, name: str, positions: np.ndarray, got_seconds: np.ndarray) -> None:
    """Raises unless a library's own times of the frames, in seconds from the first, are those that were planned."""
    want = index.seconds(index.pts_N[positions])
    near = float(np.diff(index.pts_N).min(initial=1 << 40) / 4 * index.time_base)  # no other frame is as near
    if not np.allclose(got_seconds, want, rtol=0, atol=near):
        raise VideoError(index.path, "reader", f"{name} finds other frame times in this file")


def _refuse(index: FrameIndex, name: str) -> None:
    if not index.has_pts:
        raise VideoError(index.path, "reader", f"{name} needs frame times, {index.container} has none")
    if index.mirrored:  # both libraries turn such a picture by 180 degrees instead
        raise VideoError(index.path, "reader", f"{name} does not mirror frames")
    if index.truncated:  # decord would retry for minutes
        raise VideoError(index.path, "reader", f"{name} is not used on files that are cut off")


CHUNK = 16  # frames that the libraries below hand over at once, at the file's full size


def read_torchcodec(index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    _refuse(index, "torchcodec")
    from torchcodec.decoders import VideoDecoder

    with as_video_error(index.path, "corrupt"):
        decoder = VideoDecoder(index.path, dimension_order="NHWC", num_ffmpeg_threads=0, seek_mode="exact")
        first = decoder.metadata.begin_stream_seconds
    for at in range(0, len(positions_n), CHUNK):
        positions = positions_n[at : at + CHUNK]
        with as_video_error(index.path, "corrupt"):
            batch = decoder.get_frames_at(positions.tolist())
        _check_planned(index, "torchcodec", positions, batch.pts_seconds.double().numpy() - first)
        yield from (Picture((rgb,)) for rgb in batch.data.numpy())


def read_decord(index: FrameIndex, positions_n: np.ndarray) -> Iterator[Picture]:
    _refuse(index, "decord")
    if not any(name in index.container for name in ("mp4", "matroska", "flv")):  # seen: other frames in MPEG-TS
        raise VideoError(index.path, "reader", f"decord does not seek exactly in {index.container}")
    # decord retries a frame that does not decode this often, 10,240 times unless told: hours on a damaged file
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "1024")
    import decord

    with as_video_error(index.path, "corrupt"):
        video = decord.VideoReader(index.path, ctx=decord.cpu(0))
        if len(video) < len(index.pts_N):
            raise VideoError(index.path, "reader", f"decord finds {len(video)} frames, not {len(index.pts_N)}")
        starts = video.get_frame_timestamp(range(len(index.pts_N)))[:, 0].astype(np.float64)
    for at in range(0, len(positions_n), CHUNK):
        positions = positions_n[at : at + CHUNK]
        _check_planned(index, "decord", positions, starts[positions] - starts[0])
        with as_video_error(index.path, "corrupt"):
            batch = video.get_batch(positions.tolist()).asnumpy()
        yield from (Picture((rgb,)) for rgb in batch)


READERS: dict[str, Reader] = {"pyav": read_pyav, "torchcodec": read_torchcodec, "decord": read_decord}


class ReaderStatus(NamedTuple):
    available: bool
    note: str  # the version, or why the reader cannot be used and what to install


def _try_reader(name: str) -> None:
    """Loads the library of that name to the point where it would decode; raises whatever it raises."""
    if name == "torchcodec":  # looks for FFmpeg's shared libraries only when the first decoder is made
        from torchcodec.decoders import VideoDecoder

        data = io.BytesIO()
        with av.open(data, "w", format="mp4") as out:
            stream = out.add_stream("mpeg4", rate=1)
            stream.width = stream.height = 16
            out.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
            out.mux(stream.encode(None))
        VideoDecoder(data.getvalue())
    else:
        importlib.import_module({"pyav": "av"}.get(name, name))


@functools.cache
def available_readers() -> dict[str, ReaderStatus]:
    """Which readers work here: name -> (available, its version or what is missing). Each is loaded to find out."""
    status = {}
    for name in READERS:
        try:
            _try_reader(name)
            status[name] = ReaderStatus(True, importlib.metadata.version({"pyav": "av"}.get(name, name)))
        except ModuleNotFoundError as e:
            status[name] = ReaderStatus(False, f"pip install {e.name.split('.')[0]}")
        except Exception as e:  # a hundred lines in torchcodec's case
            first = next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)
            status[name] = ReaderStatus(False, f"installed, but does not load (FFmpeg's shared libraries?): {first}")
    return status


def reader_name(name: str) -> str:
    """`name`, or what "auto" stands for."""
    return "pyav" if name == "auto" else name


def get_reader(name: str = "auto") -> Reader:
    """The reader of that name; "auto" is PyAV, which planning needs anyway. Raises ValueError for a name that is not
    known or a reader that does not work here."""
    name = reader_name(name)
    if name not in READERS:
        raise ValueError(f"reader: expected 'auto' or one of {sorted(READERS)}, got {name!r}")
    if name != "pyav" and not (status := available_readers()[name]).available:
        raise ValueError(f"reader: {name!r} cannot be used here: {status.note}")
    return READERS[name]
