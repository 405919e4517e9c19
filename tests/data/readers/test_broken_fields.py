"""Every field of every set's own record, at any depth, missing or replaced by anything: a sample or a reason."""

import copy
import json
from collections.abc import Iterator

import pytest

from videostr.data import read_samples
from videostr.data.readers import READERS, SourceError, convert
from videostr.data.readers.check import REASONS

_SPOKEN = [{"role": "user", "content": "<video>a man"}, {"role": "assistant", "content": "x"}]
_SPAN = {"duration": 9, "query": "a man", "relevant_windows": [[1, 2]]}
_STI = {"Video": "v.mp4", "ID": 1, "Task": "t", "Question": "a?", "Candidates": {"A": "x", "B": "y"}, "Answer": "A"}
_VSI = {"id": 1, "dataset": "d", "scene_name": "v", "question": "a?"}
_BOX = {"xmin": 1, "ymin": 1, "xmax": 3, "ymax": 3}
_STAR = {"vid": "v", "fps": 8, "width": 48, "height": 48, "frame_count": 80, "question": "a?", "answer": "a"}
_STAR |= {"temporal_question": "t", "timestamps": [1, 2], "spatial_question": "s", "spatial_question_2": "s"}
_PAIRS = {"duration": 9, "timestamps": [[1, 2]], "sentences": ["a man"]}
_STEP = {"index": 0, "heading": "x", "absolute_bounds": [1, 2]}

# name -> the record of one entry; a key "video" or "goal" in front: a member of one object instead.
RECORDS = [
    ("charades_sta", "video", _PAIRS),
    ("activitynet_captions", "video", _PAIRS),
    ("qvhighlights", None, _SPAN | {"qid": 1, "vid": "v"}),
    ("didemo", None, {"annotation_id": 1, "description": "a man", "video": "v.mp4", "times": [[0, 1], [1, 1]]}),
    ("tacos", None, _SPAN | {"qid": 1, "vid": "v"}),
    ("tacos", "video", {"timestamps": [[1, 20]], "sentences": ["a man"], "fps": 10.0, "num_frames": 100}),
    ("hirest", "goal", {"relevant": True, "clip": True, "v_duration": 9, "bounds": [1, 2], "steps": [_STEP]}),
    ("internvid_vtime", None, {"vid": "v", "duration": 9, "query": "a man", "span": [1, 2]}),
    ("rextime", None, _SPAN | {"qid": 1, "vid": "v", "ans": "A"}),
    ("rextime", None, {"qid": 1, "question": "a?", "vid": "v", "options": ["a", "b"], "span": [1, 2], "ans": "A"}),
    ("tvgbench", None, {"path": "v.mp4", "question": "a?", "answer": "1-2", "start": 3, "end": 8, "duration": 5}),
    ("time_r1", None, {"video": "v.mp4", "sentence": "a", "timestamp": [1, 2], "video_start": 3, "video_end": 8}),
    ("timelens_bench", "video", {"duration": 9, "spans": [[1, 2]], "queries": ["a man"]}),
    ("timelens_100k", None, {"video_path": "v.mp4", "duration": 9, "events": [{"query": "a man", "span": [[1, 2]]}]}),
    ("tvg_r1", None, {"problem": "a", "choices": ["a"], "video": "v.mp4", "video_length": 9, "gt_frame": [1, 2]}),
    ("videomind", None, {"video_path": "v.mp4", "duration": 9, "query": "a", "span": [[1, 2]], "pred": [[1, 2]]}),
    ("sti_bench", None, _STI | {"time_start": 0.0, "time_end": 2.0}),
    ("vsi_bench", None, _VSI | {"question_type": "object_rel_distance", "ground_truth": "A", "options": ["a", "b"]}),
    ("vsi_bench", None, _VSI | {"question_type": "object_counting", "ground_truth": "3", "options": None}),
    ("v_star", None, _STAR | {"bboxes": [{"timestamp": 1, "frame_index": 8} | _BOX]}),
    ("v_star", None, _STAR | {"bboxes": [{"1_8": _BOX}]}),
    ("ms_swift", None, {"messages": _SPOKEN, "videos": ["v.mp4"], "solution": "[[1, 2]]"}),
    ("trl", None, {"prompt": _SPOKEN, "videos": ["v.mp4"], "solution": "[[1, 2]]", "spans": [[1, 2]], "id": "x"}),
    ("verl", None, {"prompt": _SPOKEN, "reward_model": {"ground_truth": "[1, 2]"}, "videos": [{"video": "v.mp4"}]}),
    ("easyr1", None, {"prompt": "<video>a", "answer": "[1, 2]", "videos": ["v.mp4"]}),
]
ANYTHING = [None, True, -1, 3.5, 10**400, float("nan"), "", "x", "\ud800", "a\0b", [], [None], [1], [2, 1], [[]], {}]
ANYTHING += [{"a": 1}, [{}], "9" * 400]


def broken(value) -> Iterator:
    """The value with each of its parts, at any depth, left out or replaced."""
    for name in range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ():
        without = copy.copy(value)
        del without[name]
        yield without
        for other in [*ANYTHING, *broken(value[name])]:
            changed = copy.copy(value)
            changed[name] = other
            yield changed


def test_every_documented_set_is_here():
    elsewhere = {"queryd", "nextgqa", "fields"}  # side files; fields that the user names
    assert {name for name, _, _ in RECORDS} == set(READERS) - elsewhere


@pytest.mark.parametrize(("name", "key", "record"), RECORDS)
@pytest.mark.parametrize("as_published", [False, True])
def test_anything_in_any_field(tmp_path, name, key, record, as_published):
    (tmp_path / "v.mp4").write_bytes(b"x")
    entries = [record, *broken(record), *ANYTHING]
    if key == "video":
        entries = {f"v{index}": entry for index, entry in enumerate(entries)}
    elif key == "goal":
        entries = {f"how {index}": {"v.mp4": entry} for index, entry in enumerate(entries)}
    source, out = tmp_path / ("source.jsonl" if key is None else "source.json"), tmp_path / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, entries)) if key is None else json.dumps(entries))
    report = convert(name, [str(source)], out, videos=[tmp_path], keep_missing=True, as_published=as_published)
    assert report["read"] == report["written"] + sum(report["rejected"].values()) >= len(entries)
    assert report["written"] and report["rejected"]["malformed"] > 2 and set(report["rejected"]) <= set(REASONS)
    assert len(read_samples(out)) == report["written"]


def test_a_broken_step_costs_itself(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"x")
    steps = [_STEP, {"index": 1}, dict(_STEP, index=2, heading="y")]
    record = {"relevant": True, "clip": True, "v_duration": 9, "bounds": [1, 2], "steps": steps}
    (tmp_path / "all_data_val.json").write_text(json.dumps({"goal": {"v.mp4": record}}))
    report = convert("hirest", [str(tmp_path)], tmp_path / "out.jsonl", videos=[tmp_path])
    assert [sample.query for sample in read_samples(tmp_path / "out.jsonl")] == ["goal", "x", "y"]
    assert report["rejected"] == {"malformed": 1}


@pytest.mark.parametrize("name", ["gsub_val.json", "map_vid_vidorID.json"])
def test_side_files_that_are_no_objects(tmp_path, name):
    (tmp_path / "val.csv").write_text("video_id,question,qid\n1,what,1\n")
    for other in ("gsub_val.json", "map_vid_vidorID.json"):
        (tmp_path / other).write_text('["1"]' if other == name else "{}")
    with pytest.raises(SourceError, match=f"{name}: expected one JSON object, got list"):
        convert("nextgqa", [str(tmp_path / "val.csv")], tmp_path / "out.jsonl", videos=[tmp_path])
