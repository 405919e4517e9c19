"""The one thing of an H.264 stream that FFmpeg does not tell: whether decoding can begin at a frame it calls a key."""

from __future__ import annotations

from collections.abc import Iterator

SLICE, IDR, SEI, RECOVERY_POINT = 1, 5, 6, 6


def can_begin(packet: bytes, extradata: bytes) -> bool:
    """Whether the frame and all that are shown after it need nothing from before it: an IDR picture, or a recovery
    point that is whole at once (ITU-T H.264, D.1.8: recovery_frame_cnt is 0). Periodic intra refresh makes others, and
    in MPEG-TS a plain intra picture is called a key too; after a seek to either FFmpeg can give out wrong pictures.
    """
    for unit in _units(packet, extradata):
        kind = unit[0] & 31
        if kind in (SLICE, IDR):
            return kind == IDR
        if kind == SEI and (payload := _payload(unit[1:], RECOVERY_POINT)):
            return bool(payload[0] & 0x80)  # an Exp-Golomb number: 0 is the single bit 1
    return False


def _units(packet: bytes, extradata: bytes) -> Iterator[bytes]:
    """The packet's NAL units, not empty: after lengths (mp4, Matroska) or between start codes."""
    if len(extradata) > 4 and extradata[0] == 1:
        size, at = (extradata[4] & 3) + 1, 0
        while at + size < len(packet):
            length = int.from_bytes(packet[at : at + size], "big")
            if unit := packet[at + size : at + size + length]:
                yield unit
            at += size + max(length, 1)
    else:
        yield from (unit for unit in packet.split(b"\0\0\1")[1:] if unit)


def _payload(messages: bytes, wanted: int) -> bytes:
    """The first SEI message of that type, b"" where there is none."""
    at = 0
    while at + 2 < len(messages):
        numbers = []
        for _ in range(2):  # type and size, each a run of 255 and the rest
            number = 0
            while at < len(messages) and messages[at] == 255:
                number, at = number + 255, at + 1
            number, at = number + (messages[at] if at < len(messages) else 0), at + 1
            numbers.append(number)
        kind, size = numbers
        if kind == wanted:
            return messages[at : at + size]
        at += size
    return b""
