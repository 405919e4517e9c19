"""The patch store: the same patches as decoding, once, whoever asks, within its size, over kills and faults."""

import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from video_clips import encode

from videostr.video import POLICIES, FramePolicy, PatchStore, VideoError, load_video, named_policy
from videostr.video.policy import CLIP_MEAN, HALF
from videostr.video.store import file_identity

SMALL = FramePolicy(min_pixels=784, max_pixels=3136)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("store") / "a.mp4", frames=31)


def assert_same(got, want):
    assert torch.equal(got.pixel_values, want.pixel_values) and torch.equal(got.grid_thw, want.grid_thw)
    assert np.array_equal(got.timestamps, want.timestamps)
    assert (got.seconds_per_grid, got.duration) == (want.seconds_per_grid, want.duration)


@pytest.mark.parametrize("name", POLICIES)
def test_first_and_second_visit_are_the_decoded_video(clip, tmp_path, name):
    policy, store = named_policy(name, min_pixels=784), PatchStore(tmp_path)
    for visit in range(2):
        video = store.load(clip, policy, start=0.2)
        assert (store.hits, store.misses) == (visit, 1) and video.pixel_values.dtype == torch.uint8
        for dtype in (torch.float32, torch.bfloat16, torch.float16):  # the processor's own floats
            assert_same(video.normalised(policy, dtype), load_video(clip, policy, start=0.2, dtype=dtype))
    floats = load_video(clip, policy, start=0.2)
    assert video.pixel_values.nbytes * 4 == floats.pixel_values.nbytes
    assert store.nbytes < floats.pixel_values.nbytes / 4 + 8192
    assert floats.normalised(policy) is floats


def test_every_part_of_a_request_counts_but_the_normalising(clip, tmp_path):
    store = PatchStore(tmp_path)
    store.load(clip, SMALL)
    others = [
        ((clip, replace(SMALL, fps=3.0)), {}),
        ((clip, replace(SMALL, max_pixels=784)), {}),
        ((clip, replace(SMALL, resize="f32")), {}),
        ((clip, replace(SMALL, rule="transformers_qwen3_vl")), {}),
        ((clip, SMALL), {"start": 0.1}),
        ((clip, SMALL), {"end": 0.1}),
        ((clip, SMALL, "decord"), {}),
    ]
    assert all(store.find(*asked, **when) is None for asked, when in others)
    assert SMALL.image_mean == CLIP_MEAN
    half = replace(SMALL, image_mean=HALF, image_std=HALF)
    assert_same(store.find(clip, half).normalised(half), load_video(clip, half))
    assert store.find(str(clip), SMALL, "pyav") is not None  # what "auto" is


def test_the_file_is_known_by_its_content_and_not_by_its_place(clip, tmp_path):
    copy, other = tmp_path / "b.mp4", tmp_path / "c.mp4"
    shutil.copy2(clip, copy)
    assert file_identity(copy) == file_identity(clip)
    os.utime(copy, ns=(0, 1))
    assert file_identity(copy) != file_identity(clip)
    data = bytearray(clip.read_bytes())
    data[0] ^= 1
    other.write_bytes(data)
    stat = os.stat(clip)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file_identity(other) != file_identity(clip)
    store = PatchStore(tmp_path / "store")
    for gone in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError):
            store.load(gone, SMALL)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="truncated"):
        store.load(bad, SMALL)
    assert not any(path.is_file() for path in store.folder.rglob("*"))
    with pytest.raises(ValueError, match="end"):
        store.load(clip, SMALL, start=2, end=1)


def test_what_is_written_into_a_video_stays_with_its_owner(clip, tmp_path):
    store = PatchStore(tmp_path)
    first = store.load(clip, SMALL)
    second, kept = store.load(clip, SMALL), store.load(clip, SMALL).pixel_values.clone()
    first.pixel_values.zero_()
    second.pixel_values.zero_()
    assert torch.equal(store.load(clip, SMALL).pixel_values, kept)


def test_least_recently_used_goes_first_and_what_is_open_stays(tmp_path):
    clips = [encode(tmp_path / f"{name}.mp4", frames=6) for name in "abcd"]
    one = PatchStore(tmp_path / "one")
    one.load(clips[0], SMALL)
    store = PatchStore(tmp_path / "store", max_bytes=3 * one.nbytes)

    def visit(index):
        time.sleep(0.02)  # the file system's clock is coarse
        return store.load(clips[index], SMALL)

    held = [visit(index) for index in (0, 1, 2)]
    visit(0)
    visit(3)
    assert [store.find(clip, SMALL) is not None for clip in clips] == [True, False, True, True]
    assert store.nbytes <= store.max_bytes
    assert_same(held[1].normalised(SMALL), load_video(clips[1], SMALL))
    tiny = PatchStore(tmp_path / "tiny", max_bytes=1)
    for index in (0, 1):  # one larger than everything: kept until the next comes
        assert_same(tiny.load(clips[index], SMALL), store.load(clips[index], SMALL))
        assert tiny.find(clips[index], SMALL) is not None
    assert tiny.find(clips[0], SMALL) is None
    with pytest.raises(ValueError, match="max_bytes"):
        PatchStore(tmp_path, -1)


@pytest.mark.parametrize("damage", ["empty", "half", "no magic", "header", "longer"])
def test_a_damaged_entry_is_made_anew(clip, tmp_path, damage):
    store = PatchStore(tmp_path)
    want = store.load(clip, SMALL)
    entry = store.entry(clip, SMALL, "auto", start=None, end=None)
    data = bytearray(entry.read_bytes())
    if damage == "header":
        data[16:40] = bytes(24)
    elif damage == "no magic":
        data[0] = 0
    else:
        data = {"empty": b"", "half": data[: len(data) // 2], "longer": data + b"x"}[damage]
    entry.unlink()
    entry.write_bytes(data)
    assert store.find(clip, SMALL) is None
    assert_same(store.load(clip, SMALL), want)
    assert_same(store.find(clip, SMALL), want)


def test_a_folder_that_cannot_be_written_is_warned_about(clip, tmp_path):
    (tmp_path / "file").write_text("")
    store = PatchStore(tmp_path / "file" / "store")
    with pytest.warns(UserWarning, match="cannot be written"):
        video = store.load(clip, SMALL)
    assert_same(video.normalised(SMALL), load_video(clip, SMALL))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert store.descriptor(clip, SMALL) is None


def test_a_descriptor_outlives_its_entry(clip, tmp_path):
    store = PatchStore(tmp_path)
    for _ in range(2):  # made, then found
        file = store.descriptor(clip, SMALL)
        entry = store.entry(clip, SMALL, "auto", start=None, end=None)
        want = entry.read_bytes()
        assert (os.fstat(file).st_ino, os.fstat(file).st_size) == (entry.stat().st_ino, len(want))
        kept = os.dup(file)
        os.close(file)
    entry.unlink()
    assert os.pread(kept, len(want), 0) == want
    os.close(kept)
    assert (store.hits, store.misses) == (1, 1)


def test_equal_numbers_are_one_entry(clip, tmp_path):
    store = PatchStore(tmp_path)
    for fps, start in ((2, 1), (2.0, 1.0), (2.0, np.float32(1))):
        store.load(clip, replace(SMALL, fps=fps), start=start)
    assert (store.hits, store.misses) == (2, 1)


def _load_often(clip, folder, start, killed):
    store = PatchStore(folder)
    start.wait()
    for _ in range(20):
        store.load(clip, SMALL)
        for part in store.folder.glob("??"):
            for entry in part.glob("[!.]*"):
                entry.unlink(missing_ok=True)
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)


def test_processes_that_race_for_an_entry_all_get_it(clip, tmp_path):
    """Each also throws entries away, as eviction by another process does."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    racers = [
        context.Process(target=_load_often, args=(clip, tmp_path / "store", start, number == 3)) for number in range(4)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert [racer.exitcode for racer in racers] == [0, 0, 0, -signal.SIGKILL]
    store = PatchStore(tmp_path / "store", max_bytes=1 << 20)
    assert_same(store.load(clip, SMALL).normalised(SMALL), load_video(clip, SMALL))
    left = store.entry(clip, SMALL, "auto", start=None, end=None).with_name(".x.1.tmp")  # as a killed process leaves it
    left.write_bytes(bytes(100))
    os.utime(left, (0, 0))
    encode(tmp_path / "b.mp4", frames=4)
    PatchStore(tmp_path / "store", max_bytes=1 << 20).load(tmp_path / "b.mp4", SMALL)
    assert not left.exists()
