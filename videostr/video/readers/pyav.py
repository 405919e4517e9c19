"""PyAV: the decoder's own planes, threads, and nothing decoded that nobody looks at."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np

from videostr.video.errors import VideoError
from videostr.video.index import FrameIndex, as_video_error, open_video, packets_of
from videostr.video.picture import Picture, picture_of
from videostr.video.readers.base import time_of
from videostr.video.readers.seek import Stretch, stretches


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
        keys = set(index.keys_K.tolist())
        skip = packet_is_frame and _can_skip(index, codec)
        for seek, low, high in parts:
            if seek is not None:
                container.seek(seek, stream=stream)  # also empties the decoder
                tainted = False
            # where the container keeps no presentation times, frames are counted as they come out
            wanted = (index.pts_N[positions_n[low:high]] if index.has_pts else positions_n[low:high]).tolist()
            done, missing, drained = 0, set(wanted), False
            for packet in packets_of(container, stream):
                if skip:
                    codec.skip_frame = "DEFAULT" if packet.pts in missing else "NONREF"
                if not packet.is_discard:  # outside the edit list: its time may be another frame's
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
                    now = frame.pts if index.has_pts else count
                    whole = now in keys if index.has_pts else frame.key_frame
                    tainted = frame.is_corrupt or (tainted and not whole)
                    if now is None or now < wanted[done]:
                        continue
                    if now > wanted[done] or tainted:
                        raise VideoError(
                            index.path, reason, f"no intact frame {time_of(index, positions_n[low + done])}"
                        )
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
                    index.path, reason, f"the decoder ends before the frame {time_of(index, positions_n[low + done])}"
                )
