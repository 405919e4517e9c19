"""Exact frames at the planned times, from every kind of file, against decoding everything."""

from fractions import Fraction

import av
import numpy as np
import pytest
from video_clips import decode_all, encode, pattern, real_clips

from videostr.video import FramePolicy, load_video, named_policy, plan
from videostr.video.index import read_index
from videostr.video.patches import frames_to_inputs
from videostr.video.readers import read_pyav

SMALL = FramePolicy(min_pixels=784, max_pixels=12544)
JITTER = np.cumsum([0] + np.random.default_rng(0).choice([10, 33, 200, 500], 39).tolist()).tolist()
MS = Fraction(1, 1000)

KINDS = {
    "b_frames.mp4": {},
    "no_b_frames.mp4": {"b_frames": 0},
    "faststart.mp4": {"container": {"movflags": "faststart"}},
    "fragmented.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "open_gop.mp4": {"x264-params": "open-gop=1:bframes=3:scenecut=0"},
    "variable.mp4": {"frames": 40, "times": JITTER, "time_base": MS},
    "variable.mkv": {"frames": 40, "times": JITTER, "time_base": MS},
    "sound.mp4": {"audio": True},
    "sound.mkv": {"audio": True},
    "no_duration.mkv": {"container": {"live": "1"}},
    "ntsc.mp4": {"rate": Fraction(30000, 1001)},
    "odd.mp4": {"height": 63, "width": 97, "pixels": "yuv444p"},
    "tiny.mp4": {"height": 4, "width": 6},
    "one.mp4": {"frames": 1},
    "two.mp4": {"frames": 2},
    "ten_bit.mp4": {"pixels": "yuv420p10le"},
    "hevc.mp4": {"codec": "libx265", "x265-params": "log-level=none"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "av1.mp4": {"codec": "libsvtav1", "frames": 20},
    "h264.avi": {},
    "mpeg4.avi": {"codec": "mpeg4"},
    "h264.ts": {"container": {"format": "mpegts"}},
    "h264.flv": {},
    "mpeg1.mpg": {"codec": "mpeg1video"},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("clips"), {}

    def get(name):
        if name not in made:
            made[name] = encode(folder / name, **KINDS[name])
        return made[name]

    return get


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_and_any_frame_is_the_decoders(clips, name):
    path = clips(name)
    times, frames = decode_all(path)
    index = read_index(path)
    got = np.stack([p.rgb() for p in read_pyav(index, np.arange(len(index.pts_N)))])
    assert np.array_equal(got, frames)
    assert not index.truncated
    assert (index.height, index.width) == frames.shape[1:3]
    if index.has_pts:
        assert np.allclose(index.seconds(index.pts_N), times, atol=1e-9)
    for i in range(0, len(frames), 5):  # each after a seek of its own
        (alone,) = read_pyav(index, np.array([i]))
        assert np.array_equal(alone.rgb(), frames[i])


@pytest.mark.parametrize(
    "policy", [SMALL, FramePolicy(num_frames=16, max_pixels=784, min_pixels=784)], ids=["fps", "n"]
)
@pytest.mark.parametrize("name", KINDS)
def test_load_is_the_plan_and_the_planned_frames(clips, name, policy):
    path = clips(name)
    p, got = plan(path, policy), load_video(path, policy)
    times, frames = decode_all(path)
    want = frames_to_inputs(frames[p.positions_n], p.timestamps, policy, p.duration)
    assert np.array_equal(got.pixel_values.numpy(), want.pixel_values.numpy())
    assert got.grid_thw.tolist() == list(p.grid_thw)
    assert got.pixel_values.shape == (4 * p.n_tokens, 3 * 2 * 14 * 14)
    assert got.timestamps[: len(p.timestamps)].tolist() == p.timestamps.tolist()
    assert got.duration == p.duration > times[-1] and got.seconds_per_grid > 0
    assert (got.timestamps >= 0).all() and (got.timestamps < got.duration).all()


def test_uniform_times_of_a_variable_rate_file_are_uniform_in_time_not_in_frames(clips):
    path = clips("variable.mp4")
    times, _ = decode_all(path)
    got = plan(path, FramePolicy(num_frames=10)).timestamps
    for want, have in zip(np.linspace(0, times[-1], 10), got, strict=True):
        assert abs(have - want) == pytest.approx(np.abs(times - want).min(), abs=1e-9)


@pytest.mark.parametrize(
    ("matrix", "mirrored", "upright"),
    [
        ((1, 0, 0, 1), False, lambda f: f),
        ((0, -1, 1, 0), False, lambda f: np.rot90(f)),
        ((-1, 0, 0, -1), False, lambda f: np.rot90(f, 2)),
        ((0, 1, -1, 0), False, lambda f: np.rot90(f, -1)),
        ((-1, 0, 0, 1), True, lambda f: f[:, ::-1]),
        ((1, 0, 0, -1), True, lambda f: f[::-1]),
        ((0, 1, 1, 0), True, lambda f: f.transpose(1, 0, 2)),
        ((0, -1, -1, 0), True, lambda f: np.rot90(f)[:, ::-1]),
    ],
)
def test_rotation_metadata_is_applied(tmp_path, matrix, mirrored, upright):
    path = encode(tmp_path / "a.mp4", frames=4, matrix=matrix)
    _, stored = decode_all(path)
    index = read_index(path)
    want = np.stack([upright(f) for f in stored])
    assert np.array_equal(np.stack([p.rgb() for p in read_pyav(index, np.arange(4))]), want)
    assert (index.height, index.width) == want.shape[1:3] and index.mirrored == mirrored
    grid = plan(path, FramePolicy(min_pixels=784, max_pixels=100352)).grid_thw
    assert (grid[1] > grid[2]) == (want.shape[1] > want.shape[2])


def test_wrong_frame_counts_in_the_container_do_not_matter(tmp_path):
    """An AVI header that promises 3 frames, and an mp4 whose sample table is right but whose rate is not."""
    good = encode(tmp_path / "good.avi", codec="mpeg4", b_frames=0)
    data = bytearray(good.read_bytes())
    at = data.index(b"avih") + 8 + 16  # dwTotalFrames
    assert int.from_bytes(data[at : at + 4], "little") == 30
    data[at : at + 4] = (3).to_bytes(4, "little")
    length = data.index(b"strh") + 8 + 32  # dwLength of the video stream
    data[length : length + 4] = (3).to_bytes(4, "little")
    wrong = tmp_path / "wrong.avi"
    wrong.write_bytes(data)
    assert plan(wrong, SMALL).timestamps.tolist() == plan(good, SMALL).timestamps.tolist()
    assert np.array_equal(load_video(wrong, SMALL).pixel_values, load_video(good, SMALL).pixel_values)


def test_frames_shown_late_start_at_zero(tmp_path):
    path = encode(tmp_path / "late.mp4", times=[1000 + 40 * t for t in range(30)], time_base=MS)
    p = plan(path, SMALL)
    assert p.timestamps[0] == 0 and p.duration == pytest.approx(1.2)


@pytest.mark.parametrize("rule", ["qwen_vl_utils", "transformers_qwen2_vl", "transformers_qwen3_vl"])
def test_a_clip_of_a_video(tmp_path, rule):
    path = encode(tmp_path / "a.mp4", frames=100, rate=10)
    policy = named_policy(rule, min_pixels=784)
    video, p = load_video(path, policy, start=2.0, end=5.0), plan(path, policy, start=2.0, end=5.0)
    assert 2.0 <= p.timestamps[0] and p.timestamps[-1] <= 5.0 and len(p.timestamps) == 6
    assert video.duration == pytest.approx(3.1)  # 2.0 to 5.0 inclusive: 31 frames
    _, frames = decode_all(path)
    want = frames_to_inputs(frames[np.round(p.timestamps * 10).astype(int)], p.timestamps, policy, p.duration)
    assert np.array_equal(video.pixel_values, want.pixel_values)
    assert plan(path, policy, end=5.0).timestamps[0] == 0
    assert plan(path, policy, start=9.0, end=99.0).timestamps[-1] <= 9.9
    between = plan(path, policy, start=2.01, end=2.05)  # no frame starts inside: the one on screen
    assert between.timestamps.tolist() == [2.0]


@pytest.mark.parametrize("clip", real_clips(), ids=lambda p: p.stem)
def test_a_clip_of_a_real_video_reads_the_same_frames_as_the_whole(clip):
    times, frames = decode_all(clip)
    p = plan(clip, SMALL, start=1.5, end=3.0)
    for position, frame in zip(p.positions_n, read_pyav(p.index, p.positions_n), strict=True):
        assert np.array_equal(frame.rgb(), frames[position])
        assert 1.5 <= times[position] <= 3.0


@pytest.mark.parametrize(
    ("clip", "match"),
    [
        ({"start": -1}, "start"),
        ({"end": float("nan")}, "end"),
        ({"start": 2, "end": 2}, "end"),
        ({"start": "1"}, "start"),
    ],
)
def test_wrong_clips_name_the_argument(clips, clip, match):
    with pytest.raises(ValueError, match=match):
        load_video(clips("b_frames.mp4"), SMALL, **clip)


@pytest.mark.parametrize("path", [None, 0, b"a.mp4"])
def test_wrong_paths_and_policies_are_named(path):
    with pytest.raises(TypeError, match="path: expected a str"):
        load_video(path, SMALL)
    with pytest.raises(TypeError, match="policy: expected a FramePolicy"):
        plan("a.mp4", "tvg_r1")


def test_the_size_changes_inside_the_stream(tmp_path):
    """Two MPEG-TS files joined: all frames take the size planned from the first."""
    a = encode(tmp_path / "a.ts", frames=30, container={"format": "mpegts"}, b_frames=0)
    b = encode(
        tmp_path / "b.ts",
        frames=30,
        height=96,
        width=64,
        container={"format": "mpegts"},
        b_frames=0,
        times=list(range(40, 70)),
        time_base=Fraction(1, 25),
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(a.read_bytes() + b.read_bytes())
    video = load_video(joined, SMALL)
    assert video.grid_thw[1] < video.grid_thw[2] and video.duration > 1.3


def test_a_cover_picture_is_not_the_video(tmp_path):
    source = encode(tmp_path / "a.mkv", frames=10)
    with av.open(str(source)) as i, av.open(str(tmp_path / "b.mp4"), "w") as o:
        cover = o.add_stream("mjpeg", rate=1, options={"strict": "unofficial"})
        cover.width, cover.height, cover.pix_fmt = 512, 512, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = o.add_stream_from_template(i.streams.video[0])
        o.mux(
            cover.encode(av.VideoFrame.from_ndarray(pattern(0, 512, 512), format="rgb24").reformat(format="yuvj420p"))
        )
        o.mux(cover.encode(None))
        for packet in i.demux(video=0):
            if packet.size:
                packet.stream = video
                o.mux(packet)
    assert (read_index(tmp_path / "b.mp4").height, read_index(tmp_path / "b.mp4").width) == (64, 96)
