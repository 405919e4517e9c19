"""What is checked, counted and written, through the library and the command."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videostr.cli import main
from videostr.data import read_samples
from videostr.data.readers import READERS, SourceError, convert, load_durations, side_files, to_text
from videostr.data.readers.check import NOTES, REASONS
from videostr.data.readers.videos import VideoIndex, bare
from videostr.data.world import WorldConfig, write_world

GOOD = {"qid": 1, "query": "a dog runs", "duration": 10.0, "vid": "a", "relevant_windows": [[1, 2]]}


def write(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return str(path)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"x")
    (tmp_path / "videos" / "empty.mp4").write_bytes(b"")
    return lambda *records: write(tmp_path / "highlight_val_release.jsonl", *records)


def one(tmp_path, source, change, **options):
    """(the sample or None, report) of one record with something changed."""
    report = convert("qvhighlights", [source(GOOD | change)], tmp_path / "out.jsonl", **options)
    return (read_samples(tmp_path / "out.jsonl")[0] if report["written"] else None), report


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query": " \n "}, "empty_query"),
        ({"query": 7}, "bad_text"),
        ({"query": "\ud800"}, "bad_text"),
        ({"vid": " "}, "bad_text"),
        ({"vid": "a\0"}, "bad_text"),
        ({"vid": "b"}, "missing_video"),
        ({"vid": "empty"}, "missing_video"),
        ({"duration": 0}, "bad_duration"),
        ({"duration": "10"}, "bad_duration"),
        ({"duration": float("nan")}, "bad_duration"),
        ({"relevant_windows": []}, "no_label"),
        ({"relevant_windows": None}, "no_label"),
        ({"relevant_windows": [1, 2]}, "bad_time"),
        ({"relevant_windows": [[1, None]]}, "bad_time"),
        ({"relevant_windows": [[True, 2]]}, "bad_time"),
        ({"relevant_windows": [[0, float("inf")]]}, "bad_time"),
        ({"relevant_windows": [[0, 10**400]]}, "bad_time"),
        ({"relevant_windows": [[3, 2]]}, "reversed"),
        ({"relevant_windows": [[2, 2]]}, "empty_interval"),
        ({"relevant_windows": [[10, 12]]}, "outside_video"),
        ({"relevant_windows": [[-3, 0]]}, "outside_video"),
        ({"relevant_windows": [[3, 2]], "vid": "b"}, "reversed"),  # the label is looked at before the disk
    ],
)
def test_reasons(tmp_path, source, change, reason):
    sample, report = one(tmp_path, source, change)
    assert sample is None and report["rejected"] == {reason: 1}
    assert not (tmp_path / "out.jsonl").exists() and REASONS[reason] in to_text(report)
    (rejected,) = map(json.loads, open(report["files"]["rejected"]))
    assert rejected["line"] == 1 and rejected["reason"] == reason and rejected["file"].endswith("release.jsonl")


@pytest.mark.parametrize(
    ("windows", "spans", "notes"),
    [
        ([[-1, 2]], ((0.0, 2.0),), {"clipped_start": 1}),
        ([[9, 11]], ((9.0, 11.0),), {"past_end_kept": 1}),
        ([[9, 11.5]], ((9.0, 10.0),), {"clipped_end": 1}),
        ([[1, 2], [3, 3], [1, 2], [4, 5]], ((1.0, 2.0), (4.0, 5.0)), {"span_dropped": 1}),
    ],
)
def test_times_against_the_duration(tmp_path, source, windows, spans, notes):
    sample, report = one(tmp_path, source, {"relevant_windows": windows})
    assert sample.spans == spans and report["notes"] == notes
    assert all(NOTES[note] in to_text(report) for note in notes)


def test_past_the_end_is_refused_where_asked(tmp_path, source):
    assert one(tmp_path, source, {"relevant_windows": [[9, 11.5]]}, overrun="reject")[1]["rejected"] == {"past_end": 1}
    assert one(tmp_path, source, {"relevant_windows": [[9, 11]]}, overrun="reject")[1]["written"] == 1


def test_duplicates_by_id_and_by_content(tmp_path, source):
    path = source(
        GOOD, GOOD | {"query": "x"}, GOOD | {"qid": 2, "query": "A dog  runs"}, GOOD | {"qid": 3, "query": "y"}
    )
    report = convert("qvhighlights", [path], tmp_path / "out.jsonl")
    assert report["rejected"] == {"duplicate_id": 1, "duplicate": 1}
    assert [s.id for s in read_samples(tmp_path / "out.jsonl")] == ["qvhighlights:1", "qvhighlights:3"]


def test_missing_videos_are_kept_where_asked(tmp_path, source):
    sample, report = one(tmp_path, source, {"vid": "b"}, keep_missing=True, videos=[tmp_path / "videos"])
    assert sample.video == str(tmp_path / "videos" / "b.mp4")
    assert report["videos"] == {"used": 1, "missing": 1, "ambiguous": 0} and report["notes"] == {
        "kept_without_video": 1
    }


def test_real_lengths_are_read_where_asked(tmp_path, capsys):
    config = WorldConfig()
    clip = next(write_world(tmp_path / "videos", 1, 0, config, "w"))
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video")
    name = bare(clip.video)
    wrong = GOOD | {"vid": name, "duration": 500.0, "relevant_windows": [[1, 2], [300, 400]]}
    path = write(tmp_path / "highlight_val_release.jsonl", wrong, GOOD | {"vid": "broken", "qid": 2})
    args = ["data", "convert", "qvhighlights", path, "--out", str(tmp_path / "o.jsonl"), "--probe"]
    assert main(args) == 0
    (sample,) = read_samples(tmp_path / "o.jsonl")
    assert sample.duration == pytest.approx(clip.duration, abs=0.2) and sample.spans == ((1.0, 2.0),)
    report = json.loads(side_files(tmp_path / "o.jsonl")["report"].read_text())
    assert report["rejected"] == {"unreadable_video": 1}
    assert report["notes"] == {"span_dropped": 1, "duration_differs": 1}
    assert "unreadable_video" in capsys.readouterr().out


def test_the_command(tmp_path, source, capsys):
    path = source(GOOD, "{", GOOD | {"qid": 2, "vid": "b"})
    out = tmp_path / "out.jsonl"
    assert main(["data", "convert", "qvhighlights", str(tmp_path), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert f"{path}, line 2, entry 2: malformed: not JSON" in text and "missing_video" in text
    assert sorted(p.name for p in tmp_path.glob("*out*")) == [
        "out.jsonl", "out.missing.jsonl", "out.rejected.jsonl", "out.report.json",
    ]  # fmt: skip
    before = out.read_bytes()
    assert main(["data", "convert", "qvhighlights", source("{"), "--out", str(out)]) == 1
    assert out.read_bytes() == before and "not touched" in capsys.readouterr().err
    assert main(["data", "sets"]) == 0 and "charades_sta" in capsys.readouterr().out
    for wrong, says in (
        (["nope", path], "name: expected one of charades_sta"),
        (["qvhighlights", str(tmp_path / "none")], "no such file or folder"),
        (["qvhighlights", str(tmp_path / "videos")], "holds none of the files"),
        (["qvhighlights", path, "--videos", str(tmp_path / "none")], "no such folder of videos"),
        (["fields", path, "--field", "x"], "expected OURS=THEIRS"),
        (["qvhighlights", "hf://some/set"], "name the folder that holds the videos"),
    ):
        assert main(["data", "convert", *wrong, "--out", str(out)]) == 2
        assert says in capsys.readouterr().err
    assert out.read_bytes() == before


def test_wrong_options_and_unreadable_sources(tmp_path, source):
    path = source(GOOD)
    for options in ({"overrun": "x"}, {"segments": "x"}):
        with pytest.raises(ValueError, match="expected one of"):
            convert("qvhighlights", [path], tmp_path / "o.jsonl", **options)
    (tmp_path / "link.jsonl").symlink_to(path)
    for out in (path, tmp_path / "link.jsonl"):
        with pytest.raises(ValueError, match="is also a source"):
            convert("qvhighlights", [path], out)
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    pytest.importorskip("datasets")
    with pytest.raises(SourceError, match="bad.parquet: cannot be read"):
        convert("qvhighlights", [str(tmp_path / "bad.parquet")], tmp_path / "o.jsonl")
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*partial"))


def until(call):
    """What `call` gives once it does not raise OSError any more."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def test_a_killed_conversion_leaves_the_old_file_and_can_be_run_again(tmp_path, source):
    out = tmp_path / "out.jsonl"
    convert("qvhighlights", [source(GOOD)], out)
    before = out.read_bytes()
    fifo = tmp_path / "pipe" / "highlight_val_release.jsonl"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    code = (
        "import sys\nfrom videostr.data.readers import qvhighlights, convert, sources\n"
        "sources.expand.__globals__['Path'].is_file = lambda self: True\n"
        f"convert('qvhighlights', [{str(fifo)!r}], {str(out)!r}, videos=[{str(tmp_path / 'videos')!r}])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        pipe = until(lambda: os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))  # once the reader has opened the other end
        os.write(pipe, b"".join(json.dumps(GOOD | {"qid": n}).encode() + b"\n" for n in range(20)))
        until((tmp_path / ".out.jsonl.partial").stat)  # it is in the middle of the file
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(pipe)
    assert (tmp_path / ".out.jsonl.partial").exists() and out.read_bytes() == before
    assert convert("qvhighlights", [source(GOOD, GOOD | {"qid": 2, "query": "z"})], out)["written"] == 2
    assert len(read_samples(out)) == 2 and not (tmp_path / ".out.jsonl.partial").exists()


def test_what_no_line_can_hold_is_refused(tmp_path, source):
    source()
    record = {"qid": "a", "vid": "a", "duration": 10, "question": "q", "span": [1, 2], "options": ["x"]}
    many = [record | {"options": [float("nan")]}, record | {"options": ["\ud800"]}, record | {"ans": "B"}]
    path = write(tmp_path / "rextime_val.jsonl", *many, record | {"question": "\udcff"}, b"\xff".decode("latin-1"))
    report = convert("rextime", [path], tmp_path / "out.jsonl")
    assert report["rejected"] == {"malformed": 3, "bad_text": 1} and read_samples(tmp_path / "out.jsonl")[0].meta["ans"]
    to_text(report).encode("utf-8")
    path = write(tmp_path / "own.jsonl", {"v": "a", "q": "q", "s": [1, 2], "r": "\ud800"})
    fields = {"video": "v", "query": "q", "span": "s", "response": "r"}
    assert convert("fields", [path], tmp_path / "o2.jsonl", fields=fields)["rejected"] == {"bad_text": 1}
    folder = os.fsencode(tmp_path / "videos") + b"/\xff"
    os.mkdir(folder)
    os.rename(os.fsencode(tmp_path / "videos" / "a.mp4"), folder + b"/a.mp4")
    assert convert("rextime", [str(tmp_path / "rextime_val.jsonl")], tmp_path / "o3.jsonl")["rejected"]["bad_text"] == 2


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just("a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from([name for name in READERS if name not in ("queryd", "nextgqa", "fields")]))
def test_any_json_is_a_sample_or_a_counted_reason(tmp_path, data, name):
    good = {
        "vid": "a", "qid": 1, "query": "q", "question": "q", "description": "q", "sentence": "q", "problem": "q",
        "video": "a", "path": "a", "video_path": "a", "duration": 10.0, "video_length": 10.0, "v_duration": 10.0,
        "relevant_windows": [[1, 2]], "span": [1, 2], "timestamp": [1, 2], "gt_frame": [1, 2], "times": [[0, 1]],
        "answer": "1-2", "annotation_id": 3, "events": [{"query": "q", "span": [1, 2]}], "timestamps": [[1, 2]],
        "sentences": ["q"], "spans": [[1, 2]], "queries": ["q"], "fps": 1, "num_frames": 10,
    }  # fmt: skip
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(good)), HOSTILE, max_size=4))
    record = good | changed
    (tmp_path / "v").mkdir(exist_ok=True)
    (tmp_path / "v" / "a.mp4").write_bytes(b"x")
    by_video = name in ("activitynet_captions", "timelens_bench", "hirest") or (
        name == "tacos" and data.draw(st.booleans())
    )
    value = {"a": record} if by_video else [record]
    path = tmp_path / ("test.json" if by_video or name != "tacos" else "test.jsonl")
    path.write_text(json.dumps(value) if path.suffix == ".json" else json.dumps(record))
    report = convert(name, [str(path)], tmp_path / "out.jsonl", videos=[tmp_path / "v"])
    assert report["read"] == report["written"] + sum(report["rejected"].values()) and set(report["rejected"]) <= set(
        REASONS
    )
    if report["written"]:
        assert len(read_samples(tmp_path / "out.jsonl")) == report["written"]


def test_hugging_face_data_sets(tmp_path, source):
    datasets = pytest.importorskip("datasets")
    source()
    rows = datasets.Dataset.from_list([GOOD | {"duration": 10.0, "relevant_windows": [[1.0, 2.0]]}, GOOD | {"qid": 2}])
    rows.save_to_disk(tmp_path / "saved")
    rows.to_parquet(tmp_path / "rows.parquet")
    for where in ("saved", "rows.parquet"):
        report = convert("qvhighlights", [str(tmp_path / where)], tmp_path / "out.jsonl", videos=[tmp_path / "videos"])
        assert report["written"] == 1 and report["rejected"] == {"duplicate": 1}
        assert read_samples(tmp_path / "out.jsonl")[0].spans == ((1.0, 2.0),)
    datasets.DatasetDict({"train": rows}).save_to_disk(tmp_path / "splits")
    with pytest.raises(SourceError, match="holds the splits train"):
        convert("qvhighlights", [str(tmp_path / "splits")], tmp_path / "out.jsonl", videos=[tmp_path / "videos"])


def test_videos_are_found_by_name(tmp_path):
    for name in ("x/a.mp4", "x/y/a.mkv", "b_0.0_15.0.mp4", "c.mov.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "x" / "loop").symlink_to(tmp_path)
    index = VideoIndex([tmp_path, tmp_path / "x"])
    assert index.find(["y/a.mp4"]) == str(tmp_path / "x/y/a.mkv") and index.find(["a"]) == str(tmp_path / "x/a.mp4")
    assert index.find(["b_0.0_15.0"]) and index.find(["none", "c.mov"]) and index.find(["c.avi"])
    assert index.find(["notes"]) is None and index.find(["b_0.0_15"]) is None and index.ambiguous == {"y/a.mp4", "a"}
    assert bare(r"C:\v\a.MP4") == "a" and bare(".mp4") == ".mp4"


def test_durations(tmp_path):
    csv = tmp_path / "Charades_v1_test.csv"
    csv.write_text('id,subject,length\nAO8RW,"a, b",33.67\nBAD,x,\n')
    assert load_durations(csv) == {"AO8RW": 33.67}
    for name, text in (("a.json", "[1]"), ("b.json", "{"), ("c.csv", "x\n1\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(SourceError):
            load_durations(tmp_path / name)


def test_a_data_set_repository_with_a_configuration(tmp_path, source):
    """The layout of a repository on the hub, in a local folder: load_dataset takes both."""
    datasets = pytest.importorskip("datasets")
    source()
    rows = datasets.Dataset.from_list([{"clip": "a.mp4", "caption": "a dog runs", "timestamp": [1.0, 2.5]}, {}])
    (tmp_path / "repo" / "temporal").mkdir(parents=True)
    rows.to_parquet(tmp_path / "repo" / "temporal" / "test-00000-of-00001.parquet")
    (tmp_path / "repo" / "README.md").write_text(
        "---\nconfigs:\n- config_name: temporal\n  data_files:\n  - split: test\n    path: temporal/test-*\n---\n"
    )
    fields = {"video": "clip", "query": "caption", "span": "timestamp"}
    where = f"hf://{tmp_path / 'repo'}#temporal@test"
    report = convert("fields", [where], tmp_path / "o.jsonl", videos=[tmp_path / "videos"], fields=fields)
    assert report["written"] == 1 and sum(report["rejected"].values()) == 1
    assert read_samples(tmp_path / "o.jsonl")[0].spans == ((1.0, 2.5),)
    with pytest.raises(SourceError, match="cannot be read"):
        convert("fields", [where + "x"], tmp_path / "o.jsonl", videos=[tmp_path / "videos"], fields=fields)
