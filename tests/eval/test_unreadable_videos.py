"""Videos that hang or crash the decoder, and how often a video is read: the rest is scored as if nothing had been."""

from dataclasses import replace

import pytest
from eval_runs import ANSWER, FRAMES, rows
from misbehaving import CRASHES, HANGS, Misbehaving

from videostr.data import write_samples
from videostr.data.world import WorldConfig, write_world
from videostr.eval.config import EvalConfig
from videostr.eval.run import SKIPPED, evaluate
from videostr.rollout import SamplingParams
from videostr.video import PatchStore, Quarantine, VideoError


@pytest.fixture
def settings(tmp_path, clips, grounder):
    def make(samples, **changed):
        write_samples(tmp_path / "samples.jsonl", samples)
        changed = {"frames": FRAMES, "resamples": 10} | changed
        return EvalConfig(
            benchmark="samples",
            model=str(grounder),
            data=[str(tmp_path / "samples.jsonl")],
            prompt="tvg_r1",
            decoding=SamplingParams(greedy=True, max_new_tokens=48),
            **changed,
        )

    return make


def clip_of_side(folder, side):
    config = WorldConfig(side=side, min_duration=5, max_duration=6)
    return next(iter(write_world(folder, clips=1, seed=side, config=config, name=f"side{side}")))


def test_files_that_hang_or_crash_cost_themselves_only(settings, clips, tmp_path):
    hangs, crashes = (clip_of_side(tmp_path, side) for side in (HANGS, CRASHES))
    samples = [clips[0], hangs, clips[1], crashes, clips[2]]
    frames = Misbehaving(num_frames=4, min_pixels=56 * 56, max_pixels=56 * 56)
    config = settings(samples, frames=frames, workers=2, time_limit=5.0, batch_size=2)
    summary = evaluate(config, tmp_path / "run")
    assert summary["counts"]["unreadable"] == {"timeout": 1, "crashed": 1}
    results = rows(tmp_path / "run" / "results.jsonl")
    assert [row["id"] for row in results] == [sample.id for sample in samples]
    assert [row["error"] and row["error"]["reason"] for row in results] == [None, "timeout", None, "crashed", None]
    assert "more than 5 s" in results[1]["error"]["detail"] and "exit code -11" in results[3]["error"]["detail"]
    assert all(row["answers"]["interval"]["text"] == ANSWER for row in results if not row["error"])
    assert [row["score"] for row in results if row["error"]] == [0.0, 0.0]
    # The same without worker processes and without the two.
    evaluate(settings([clips[0], clips[1], clips[2]], workers=0), tmp_path / "other")
    kept = [row for row in results if not row["error"]]
    assert kept == rows(tmp_path / "other" / "results.jsonl")
    assert PatchStore(tmp_path / "run" / "patches").nbytes == PatchStore(tmp_path / "other" / "patches").nbytes > 0


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_killed_run_found_is_not_tried_again_before_the_end(settings, clips, tmp_path, workers):
    out = tmp_path / "run"
    Quarantine(out / SKIPPED).add(VideoError(clips[1].video, "timeout", "more than 120 s"))
    config = settings(clips[:2], workers=workers)
    assert evaluate(config, out)["counts"]["unreadable"] == {"timeout": 1}
    assert evaluate(config, out)["counts"]["unreadable"] == {}
    assert [row["error"] for row in rows(out / "results.jsonl")] == [None, None]


def test_neighbouring_questions_about_a_video_read_it_once(settings, clips, tmp_path, monkeypatch):
    loads, load = [], PatchStore.load

    def counted(self, path, *args, **more):
        loads.append(path)
        return load(self, path, *args, **more)

    monkeypatch.setattr(PatchStore, "load", counted)
    first, second, third = clips[:3]
    asked = [first, first, first, second, second, third, first]
    samples = [replace(clip, id=str(number)) for number, clip in enumerate(asked)]
    store = str(tmp_path / "shared")
    summary = evaluate(settings(samples, workers=0, batch_size=2, store=store), tmp_path / "run")
    assert summary["counts"]["answers"] == 7
    assert loads == [first.video, second.video, third.video, first.video]
    assert PatchStore(store).nbytes > 0 and not (tmp_path / "run" / "patches").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"workers": -1}, "workers must be at least 0"), ({"time_limit": 0}, "time_limit must be above 0")],
)
def test_wrong_settings_are_named(settings, clips, setting, message):
    with pytest.raises(ValueError, match=message):
        settings(clips[:1], **setting)
