"""Files that cannot be used end in VideoError with the right reason, never in anything else and never in a hang."""

import copy
import os
import pickle
import random

import av
import pytest
from video_clips import encode, encode_audio

from videostr.video import REASONS, FramePolicy, SkippedVideos, VideoError, VideoInputs, load_video, plan
from videostr.video.index import read_index

SMALL = FramePolicy(min_pixels=784, max_pixels=3136)


def reason(path, **clip):
    with pytest.raises(VideoError) as caught:
        plan(path, SMALL, **clip)
    first = caught.value.reason
    with pytest.raises(VideoError) as caught:
        load_video(path, SMALL, **clip)
    error = caught.value
    assert error.reason == first and error.reason in REASONS
    assert str(path) in str(error) and REASONS[first] in str(error)  # says which file, and what to do
    return first


def test_paths_that_are_not_files(tmp_path):
    assert reason(tmp_path / "nothing.mp4") == "missing"
    assert reason(tmp_path / "a.mp4" / "b.mp4") == "missing"
    assert reason(tmp_path / ("x" * 5000)) == "missing"
    assert reason("nul\0.mp4") == "missing"
    assert reason("https://example.org/video.mp4") == "missing"
    assert reason(tmp_path) == "not_a_file"
    assert reason("/dev/zero") == "not_a_file"
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for a writer for ever
    assert reason(tmp_path / "pipe.mp4") == "not_a_file"
    (tmp_path / "link.mp4").symlink_to(tmp_path / "link.mp4")
    assert reason(tmp_path / "link.mp4") == "missing"
    (tmp_path / "empty.mp4").touch()
    assert reason(tmp_path / "empty.mp4") == "empty"


def test_files_that_are_not_videos(tmp_path):
    contents = {
        "noise": random.Random(0).randbytes(100_000),
        "zeros": bytes(100_000),
        "text": b"This is not a video.\n" * 1000,
        "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "json": b'{"error": "rate limited"}',
        "byte": b"\x00",
    }
    for name, content in contents.items():
        for suffix in (".mp4", ".txt", ".mkv"):
            path = tmp_path / (name + suffix)
            path.write_bytes(content)
            assert reason(path) in ("not_a_video", "no_video_stream"), path


def test_playlists_do_not_open_other_files(tmp_path):
    video = encode(tmp_path / "video.mp4")
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{video}\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.ffconcat").write_text(f"ffconcat version 1.0\nfile {video.name}\n")
    assert reason(tmp_path / "list.m3u8") == "not_a_video"
    assert reason(tmp_path / "list.ffconcat") == "not_a_video"


def test_audio_only(tmp_path):
    assert reason(encode_audio(tmp_path / "a.m4a")) == "no_video_stream"
    assert reason(encode_audio(tmp_path / "a.mkv")) == "no_video_stream"


def test_a_raw_stream_has_no_times(tmp_path):
    assert reason(encode(tmp_path / "a.h264", container={"format": "h264"})) == "no_timestamps"


def test_extreme_aspect(tmp_path):
    assert reason(encode(tmp_path / "a.mp4", height=2, width=512, frames=3)) == "aspect_ratio"


def test_a_clip_after_the_end(tmp_path):
    path = encode(tmp_path / "a.mp4")
    assert reason(path, start=1.2) == "empty_clip"
    assert reason(path, start=100, end=101) == "empty_clip"


@pytest.mark.parametrize("container", [{"movflags": "faststart"}, {}], ids=["index_first", "index_last"])
def test_a_truncated_mp4(tmp_path, container):
    """The whole is `truncated`, however small the cut; a clip inside what is there loads as from the whole."""
    whole = encode(tmp_path / "whole.mp4", frames=100, rate=10, container=container)
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    for fraction in (0.1, 0.3, 0.6, 0.9):
        cut.write_bytes(data[: int(len(data) * fraction)])
        assert reason(cut) == "truncated"
    cut.write_bytes(data[: int(len(data) * 0.6)])
    if container:
        got, want = (load_video(p, SMALL, start=1.0, end=3.0) for p in (cut, whole))
        assert (got.pixel_values == want.pixel_values).all()
        assert got.timestamps.tolist() == want.timestamps.tolist()
        assert reason(cut, start=1.0, end=9.5) == "truncated"
        assert read_index(cut).truncated and not read_index(whole).truncated
    else:
        assert reason(cut, start=1.0, end=3.0) == "truncated"


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.flv"])
def test_other_containers_truncated(tmp_path, name):
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    data = encode(tmp_path / name, frames=100, rate=10, codec=codec).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert reason(tmp_path / name) == "truncated"


def test_sound_longer_than_the_picture_is_not_truncation(tmp_path):
    for name in ("a.mp4", "a.mkv"):  # 2.56 s of sound
        path = encode(tmp_path / name, frames=10, audio=True)
        assert load_video(path, SMALL).duration == pytest.approx(0.4, abs=0.01)


def test_damage_is_found_where_it_matters_only(tmp_path):
    """Frames 60 to 64 zeroed: samples up to the next key frame are refused, all others load as from the whole."""
    path = encode(tmp_path / "a.mp4", frames=100, rate=10, gop=20, b_frames=0)
    with av.open(str(path)) as file:
        places = [(p.pos, p.size) for p in file.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for pos, size in places[65:70]:
        data[pos : pos + size] = bytes(size)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    for clip in ({"end": 6.4}, {"start": 8.0}, {"start": 8.0, "end": 9.0}):
        assert (load_video(bad, SMALL, **clip).pixel_values == load_video(path, SMALL, **clip).pixel_values).all()
    assert reason_of_load(bad) == "corrupt"
    assert reason_of_load(bad, start=7.2, end=7.8) == "corrupt"
    around = FramePolicy(num_frames=2, min_pixels=784, max_pixels=3136)  # the first and the last frame
    assert (load_video(bad, around).pixel_values == load_video(path, around).pixel_values).all()


def reason_of_load(path, **clip):
    with pytest.raises(VideoError) as caught:
        load_video(path, SMALL, **clip)
    return caught.value.reason


def seeds(folder):
    return [
        encode(folder / "a.mp4", frames=20, rate=10),
        encode(folder / "b.mp4", frames=20, rate=10, container={"movflags": "faststart"}, audio=True),
        encode(folder / "c.mkv", frames=20, rate=10),
        encode(folder / "d.webm", frames=20, rate=10, codec="libvpx-vp9"),
        encode(folder / "e.avi", frames=20, rate=10),
        encode(folder / "f.ts", frames=20, rate=10, container={"format": "mpegts"}),
    ]


def outcome(path):
    try:
        video = load_video(path, SMALL)
    except VideoError as error:
        assert error.reason in REASONS and error.path == str(path)
        return error.reason
    assert isinstance(video, VideoInputs) and video.pixel_values.isfinite().all()
    assert len(video.timestamps) == 2 * int(video.grid_thw[0]) and video.seconds_per_grid >= 0
    return "ok"


def test_mutated_files_give_a_video_or_a_video_error(tmp_path):
    rng = random.Random(0)
    originals = [p.read_bytes() for p in seeds(tmp_path)]
    path, seen = tmp_path / "mutated.bin", set()
    for _ in range(300):
        data = bytearray(rng.choice(originals))
        kind = rng.choice(["cut", "flip", "header", "remove", "cut and flip"])
        if "cut" in kind:
            data = data[: rng.randrange(1, len(data))]
        if "flip" in kind:
            for _ in range(rng.choice([1, 3, 10, 100])):
                data[rng.randrange(len(data))] = rng.randrange(256)
        if kind == "header":
            for _ in range(5):
                data[rng.randrange(min(len(data), 600))] = rng.randrange(256)
        if kind == "remove":
            at = rng.randrange(len(data))
            del data[at : at + rng.randrange(1, 2000)]
        path.write_bytes(data)
        seen.add(outcome(path))
    assert {"ok", "truncated", "corrupt", "not_a_video"} <= seen


def test_every_truncation_of_an_mp4(tmp_path):
    data = encode(tmp_path / "a.mp4", frames=20, rate=10, container={"movflags": "faststart"}).read_bytes()
    path, outcomes = tmp_path / "cut.mp4", []
    for length in range(1, len(data), max(1, len(data) // 120)):
        path.write_bytes(data[:length])
        outcomes.append(outcome(path))
    while outcomes[-1] == "ok":  # the last bytes hold no picture
        outcomes.pop()
    assert len(outcomes) > 100 and set(outcomes) == {"truncated", "not_a_video"}
    assert set(outcomes[1:]) == {"truncated"}


def test_errors_survive_a_worker_process():
    error = VideoError("a.mp4", "truncated", "1 s of 2 s")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (other.path, other.reason, other.detail, str(other)) == ("a.mp4", "truncated", "1 s of 2 s", str(error))


def test_skipped_videos_are_listed_once_and_counted():
    skipped = SkippedVideos()
    for path, code in [("a", "missing"), ("b", "corrupt"), ("a", "missing"), ("c", "missing")]:
        skipped.add(VideoError(path, code))
    assert len(skipped) == 3 and "a" in skipped and "d" not in skipped
    assert skipped.counts() == {"missing": 2, "corrupt": 1}
    assert skipped.to_list()[1] == {"path": "b", "reason": "corrupt"}


@pytest.mark.parametrize("junk", [b"\0", bytes(100), b"appended by some tool" * 10, b"\xff" * 3])
def test_junk_after_an_mp4_is_not_truncation(tmp_path, junk):
    path = encode(tmp_path / "a.mp4", frames=20)
    want = load_video(path, SMALL)
    path.write_bytes(path.read_bytes() + junk)
    assert (load_video(path, SMALL).pixel_values == want.pixel_values).all()
    assert not read_index(path).cut_off


def test_one_picture_is_a_video_of_one_frame(tmp_path):
    video = load_video(encode(tmp_path / "a.png", frames=1, codec="png", pixels="rgb24"), SMALL)
    assert video.grid_thw[0] == 1 and video.timestamps.tolist() == [0, 0]
