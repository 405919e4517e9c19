"""The loader: every clip in its place, whatever files do to the processes that read them."""

import gc
import os
import signal
import threading
import time
from dataclasses import dataclass

import psutil
import pytest
import torch
from video_clips import encode

from videostr.video import Clip, FramePolicy, PatchStore, Quarantine, VideoError, VideoLoader, load_video

SMALL = FramePolicy(min_pixels=784, max_pixels=3136)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loader")
    return [encode(folder / f"{number}.mp4", frames=8 + number, gop=4) for number in range(6)]


def assert_loaded(loaded):
    want = load_video(loaded.clip.path, SMALL, start=loaded.clip.start, end=loaded.clip.end)
    assert torch.equal(loaded.video.normalised(SMALL).pixel_values, want.pixel_values)
    assert loaded.video.timestamps.tolist() == want.timestamps.tolist()


@pytest.fixture(params=["no store", "store"])
def store(request, tmp_path):
    return PatchStore(tmp_path / "store", 1 << 20) if request.param == "store" else None


def test_in_order_with_errors_in_their_places(clips, tmp_path, store):
    bad, pipe = tmp_path / "bad.mp4", tmp_path / "pipe.mp4"
    bad.write_bytes(clips[0].read_bytes()[:500])
    os.mkfifo(pipe)
    asked = [*clips, bad, tmp_path / "none.mp4", Clip(str(clips[5]), 0.1, 0.3), pipe, tmp_path, *clips[:3]]
    with VideoLoader(asked, SMALL, store=store, workers=2, prefetch=3) as loader:
        found = list(loader)
    assert [loaded.position for loaded in found] == list(range(len(asked))) == list(range(len(loader)))
    assert [str(loaded.clip.path) for loaded in found] == [str(getattr(clip, "path", clip)) for clip in asked]
    errors = {loaded.position: loaded.error.reason for loaded in found if loaded.error is not None}
    assert errors == {6: "truncated", 7: "missing", 9: "not_a_file", 10: "not_a_file"}
    for loaded in found:
        assert (loaded.video is None) == (loaded.error is not None)
        if loaded.video is not None:
            assert_loaded(loaded)
    assert loader.position == len(asked) and list(loader) == []


def test_an_interrupted_pass_goes_on_where_it_stopped(clips):
    loader = VideoLoader(clips, SMALL, workers=1)
    for loaded in loader:
        if loaded.position == 1:
            break
    position = loader.position
    assert position == 2
    loader.close()
    assert [loaded.position for loaded in loader] == [2, 3, 4, 5]  # the same loader, new workers
    with VideoLoader(clips, SMALL, workers=1, position=position) as other:
        assert [loaded.clip.path for loaded in other] == [str(clip) for clip in clips[2:]]


@dataclass(frozen=True)
class Misbehaving(FramePolicy):
    """Does in the worker what a decoder might, or we ourselves, to a file of four frames."""

    fault: str = ""

    def frame_size(self, n, height, width):
        if n == 4 and self.fault == "hang":
            time.sleep(600)
        if n == 4 and self.fault == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if n == 4 and self.fault == "bug":
            raise AttributeError("a fault of ours")
        return super().frame_size(n, height, width)


@pytest.fixture
def fault(tmp_path, clips):
    victim = encode(tmp_path / "victim.mp4", frames=60)
    asked = [clips[0], victim, clips[1], victim, clips[2]]
    return lambda kind: (asked, Misbehaving(min_pixels=784, max_pixels=784, min_frames=2, fault=kind))


@pytest.mark.parametrize(("kind", "reason"), [("hang", "timeout"), ("crash", "crashed")])
def test_a_file_that_hangs_or_crashes_costs_itself_only(fault, tmp_path, kind, reason):
    asked, policy = fault(kind)
    quarantine = Quarantine(tmp_path / "bad.jsonl")
    options = {"workers": 2, "time_limit": 2.0, "prefetch": 2, "quarantine": quarantine}
    with VideoLoader(asked, policy, **options) as loader:
        found = list(loader)
    assert [None if loaded.error is None else loaded.error.reason for loaded in found] == [
        None, reason, None, reason, None,
    ]  # fmt: skip
    assert quarantine.to_list() == [{"path": str(asked[1]), "reason": reason}]
    begun = time.monotonic()
    with VideoLoader(asked, policy, **options | {"quarantine": Quarantine(tmp_path / "bad.jsonl")}) as loader:
        assert [loaded.error is None for loaded in loader] == [True, False, True, False, True]
    assert time.monotonic() - begun < 60  # nobody waited for it again


def test_the_time_limit_holds_while_the_caller_is_busy(fault):
    asked, policy = fault("hang")
    with VideoLoader(asked, policy, workers=1, time_limit=1.0, prefetch=5) as loader:
        first = next(iter(loader))
        assert first.error is None
        deadline = time.monotonic() + 60
        while len(loader._pump.results) < 4 and time.monotonic() < deadline:  # nobody takes anything
            time.sleep(0.05)
        assert len(loader._pump.results) == 4


def test_a_fault_of_ours_is_no_videos_fault(fault, tmp_path):
    asked, policy = fault("bug")
    quarantine = Quarantine(tmp_path / "bad.jsonl")
    loader = VideoLoader(asked, policy, workers=1, quarantine=quarantine)
    for again in range(2):  # whoever goes on does not wait for ever
        with pytest.raises(RuntimeError, match="victim.mp4.*AttributeError: a fault of ours"):
            list(loader)
        assert loader.position == 1 and loader._pump is None, again
    assert len(quarantine) == 0


def test_a_worker_that_is_ended_from_outside_is_no_videos_fault(fault, tmp_path):
    """As a batch system does that ends all processes of a job."""
    asked, policy = fault("hang")
    quarantine = Quarantine(tmp_path / "bad.jsonl")
    with VideoLoader(asked, policy, workers=1, quarantine=quarantine) as loader:
        next(iter(loader))
        while not (workers := [w for w in loader._pump.workers if w.at == 1]):
            time.sleep(0.01)
        workers[0].process.terminate()
        with pytest.raises(RuntimeError, match="was ended"):
            next(iter(loader))
    assert loader.position == 1 and len(quarantine) == 0


def test_what_is_wrong_with_a_part_is_not_wrong_with_the_rest(clips, tmp_path):
    cut = tmp_path / "cut.mp4"
    whole = encode(tmp_path / "whole.mp4", frames=60, gop=5, container={"movflags": "faststart"}).read_bytes()
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    path = str(clips[0])
    asked = [Clip(path, 50.0, 60.0), Clip(path), str(cut), Clip(str(cut), 0.0, 0.5), Clip(path, 50, 60), str(cut)]
    want = ["empty_clip", None, "truncated", None, "empty_clip", "truncated"]
    for _ in range(2):
        quarantine = Quarantine(tmp_path / "bad.jsonl")
        with VideoLoader(asked, SMALL, workers=1, prefetch=1, quarantine=quarantine) as loader:
            assert [loaded.error and loaded.error.reason for loaded in loader] == want
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 2


def test_no_more_than_prefetch_is_loaded_ahead(clips):
    with VideoLoader(clips * 4, SMALL, workers=2, prefetch=3) as loader:
        for _ in zip(range(2), loader, strict=False):
            pass
        time.sleep(1.0)
        assert loader._pump.next <= loader.position + 3
        assert len(loader._pump.results) <= 3


def test_workers_end_with_the_loader(clips):
    loader = VideoLoader(clips, SMALL, workers=2, prefetch=6)
    next(iter(loader))
    processes = [psutil.Process(worker.process.pid) for worker in loader._pump.workers]
    threads = threading.active_count()
    assert processes
    loader.close()
    gone, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive and threading.active_count() < threads


def test_a_worker_may_not_take_all_memory(tmp_path):
    large = encode(tmp_path / "large.mp4", frames=2, height=2160, width=3840, b_frames=0)
    with VideoLoader([large, large], SMALL, workers=1, memory_limit=20 << 20) as loader:
        reasons = {loaded.error.reason for loaded in loader}
    assert reasons <= {"corrupt", "crashed", "not_a_video"}


@pytest.mark.parametrize(
    ("options", "match"),
    [({"workers": 0}, "workers"), ({"threads": 1.5}, "threads"), ({"prefetch": 0}, "prefetch"),
     ({"time_limit": 0}, "time_limit"), ({"position": 7}, "position"), ({"reader": "opencv"}, "reader")],
)  # fmt: skip
def test_wrong_arguments_are_named(clips, options, match):
    with pytest.raises(ValueError, match=match):
        VideoLoader(clips, SMALL, **options)


def test_quarantine_is_kept_shared_and_lets_changed_files_go(tmp_path):
    file, path = tmp_path / "list" / "bad.jsonl", tmp_path / "a.mp4"
    path.write_bytes(b"x")
    one, other = Quarantine(file), Quarantine(file)
    one.add(VideoError(path, "corrupt", "why"))
    one.add(VideoError(path, "corrupt", "again"))
    with pytest.raises(VideoError) as caught:
        other.check(path)
    assert (caught.value.reason, caught.value.detail) == ("corrupt", "why")
    assert path in other and other.counts() == {"corrupt": 1}
    with open(file, "a") as unfinished:
        unfinished.write('{"path": "/b.mp4", "rea')
    assert Quarantine(file).to_list() == [{"path": str(path), "reason": "corrupt"}]
    path.write_bytes(b"repaired")
    other.check(path)
    assert path not in other
    other.add(VideoError(path, "no_permission"))
    assert Quarantine(file).to_list()[0]["reason"] == "no_permission"
    path.chmod(0o640)
    Quarantine(file).check(path)  # only its permissions have changed
    one = Quarantine(tmp_path / "other.jsonl")
    one.add(VideoError(path, "reader"))
    one.check(path)  # another reader may deliver it
    assert one.to_list() == [{"path": str(path), "reason": "reader"}] and not one.file.exists()


def _resident(process):
    return process.memory_info().rss - process.memory_info().shared


@pytest.mark.slow
def test_ten_thousand_loads_leak_nothing(tmp_path):
    """Resident memory and open files of the worker and of this process, after 1,000 and after 10,000 loads."""
    clip = encode(tmp_path / "a.mp4", frames=3, height=32, width=32, b_frames=0)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(clip.read_bytes()[:600])
    policy = FramePolicy(num_frames=2, min_pixels=784, max_pixels=784)
    asked = [bad if number % 10 == 9 else clip for number in range(10_000)]
    seen = {}
    with VideoLoader(asked, policy, workers=1, prefetch=16) as loader:
        for loaded in loader:
            assert (loaded.error is not None) == (loaded.position % 10 == 9)
            if loaded.position in (999, 9_998):
                del loaded
                gc.collect()
                processes = [psutil.Process(), psutil.Process(loader._pump.workers[0].process.pid)]
                seen[loader.position] = [(_resident(p), p.num_fds()) for p in processes]
    (first, last) = seen.values()
    for (rss_before, files_before), (rss, files) in zip(first, last, strict=True):
        assert rss - rss_before < 4 << 20 and files - files_before <= 8, (first, last)
