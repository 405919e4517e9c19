"""One clip of every kind, from the file to the patches: the bits of transformers' processor on the decoder's frames."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from transformers import AutoVideoProcessor  # noqa: F401  registers the processors
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from video_clips import decode_all, encode, encode_audio

from videostr.video import VideoError, load_video, named_policy, plan

FAMILIES = {
    "qwen2_vl": (Qwen2VLVideoProcessor, "transformers_qwen2_vl", {"min_pixels": 3136, "max_pixels": 12544}),
    "qwen2_5_vl": (Qwen2VLVideoProcessor, "transformers_qwen2_vl", {"min_pixels": 784, "max_pixels": 50176}),
    "qwen3_vl": (Qwen3VLVideoProcessor, "transformers_qwen3_vl", {"min_pixels": 4096, "total_pixels": 98304}),
}
RATE = {"frames": 20, "rate": 8}  # 2.5 s
MS = Fraction(1, 1000)
TIMES = np.cumsum([0] + np.random.default_rng(1).choice([10, 40, 300], 19).tolist()).tolist()
KINDS = {
    "variable rate.mp4": {"times": TIMES, "time_base": MS},
    "variable rate.mkv": {"times": TIMES, "time_base": MS},
    "b frames and edit list.mp4": {"b_frames": 3},
    "shown late.mp4": {"times": [2000 + 125 * t for t in range(20)], "time_base": MS},
    "interlaced.mp4": {"x264-params": "interlaced=1:tff=1"},
    "one frame.mp4": {"frames": 1},
    "no duration.mkv": {"container": {"live": "1"}},
    "cropped.mp4": {"height": 90, "width": 118},
    "odd.mp4": {"height": 63, "width": 97, "pixels": "yuv444p"},
    "tiny.mp4": {"height": 4, "width": 6},
    "8k.mp4": {"frames": 1, "height": 4320, "width": 7680, "preset": "ultrafast"},
    "h264.mkv": {},
    "h264.avi": {},
    "hevc.mp4": {"codec": "libx265", "x265-params": "log-level=none"},
    "hevc.mkv": {"codec": "libx265", "x265-params": "log-level=none"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "av1.mp4": {"codec": "libsvtav1"},
    "av1.webm": {"codec": "libsvtav1"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "full range.mp4": {"pixels": "yuvj420p"},
    "fragmented.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
}
QUARTERS = {"rotated 90.mp4": (0, 1, -1, 0), "rotated 180.mp4": (-1, 0, 0, -1), "rotated 270.mp4": (0, -1, 1, 0)}
TURN = {"rotated 90.mp4": -1, "rotated 180.mp4": 2, "rotated 270.mp4": 1}


@pytest.fixture(scope="session")
def clip_of(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("kinds"), {}

    def get(name):
        if name not in made:
            options = {"matrix": QUARTERS[name]} if name in QUARTERS else KINDS.get(name, {})
            made[name] = encode(folder / name, **RATE | options)
            if name == "sample aspect ratio.mp4":
                made[name] = with_aspect(made[name])
            if name == "under-reported.avi":
                report_frames(made[name], total=3, length=3)
            if name == "over-reported.avi":
                report_frames(made[name], total=3000, length=20)
        return made[name]

    return get


def with_aspect(path):
    """The same stream in a container that states pixels twice as wide as high."""
    target = path.with_name("wide " + path.name)
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.sample_aspect_ratio = Fraction(2, 1)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with av.open(str(target)) as file:
        assert file.streams.video[0].sample_aspect_ratio == 2
    return target


def report_frames(path, total: int, length: int) -> None:
    """Writes wrong counts into an AVI: dwTotalFrames of the file, dwLength of the stream."""
    data = bytearray(path.read_bytes())
    at = data.index(b"avih") + 8 + 16
    data[at : at + 4] = total.to_bytes(4, "little")
    at = data.index(b"strh") + 8 + 32
    assert int.from_bytes(data[at : at + 4], "little") == 20
    data[at : at + 4] = length.to_bytes(4, "little")
    path.write_bytes(data)


EVERY = [*KINDS, *QUARTERS, "sample aspect ratio.mp4", "under-reported.avi", "over-reported.avi"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", EVERY)
def test_the_processors_bits(clip_of, name, family):
    processor, policy, limits = FAMILIES[family]
    policy, path = named_policy(policy, **limits), clip_of(name)
    low, high = limits.values()
    planned, got = plan(path, policy), load_video(path, policy)
    _, frames = decode_all(path)
    chosen = np.stack([np.rot90(frame, TURN.get(name, 0)) for frame in frames[planned.positions_n]])
    if len(chosen) == 1 and family == "qwen3_vl":  # the processor refuses a single frame: here it is a pair
        chosen = np.concatenate([chosen, chosen])
    made = processor(size={"shortest_edge": low, "longest_edge": high}, cap_pixels_per_frame=False)
    video = torch.from_numpy(chosen.copy()).permute(0, 3, 1, 2)
    want = made(videos=[video], do_sample_frames=False, return_tensors="pt")
    assert torch.equal(got.pixel_values, want["pixel_values_videos"])
    assert got.grid_thw.tolist() == want["video_grid_thw"][0].tolist() == list(planned.grid_thw)
    assert planned.n_tokens == got.grid_thw.prod() // 4


def test_counts_that_only_a_cut_file_would_have_are_refused(tmp_path):
    """A stream that is said to be 150 times as long cannot be told from one that was cut off."""
    path = encode(tmp_path / "a.avi", **RATE)
    report_frames(path, total=3000, length=3000)
    with pytest.raises(VideoError) as caught:
        load_video(path, named_policy("qwen_vl_utils"))
    assert caught.value.reason == "truncated"


def test_sound_alone_is_no_video(tmp_path):
    with pytest.raises(VideoError) as caught:
        load_video(encode_audio(tmp_path / "a.m4a"), named_policy("qwen_vl_utils"))
    assert caught.value.reason == "no_video_stream"
