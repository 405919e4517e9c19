"""STI-Bench, VSI-Bench and V-STaR in their own formats, faults included, and samples that are questions."""

import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videostr.data import Sample, read_samples, write_samples
from videostr.data.readers import convert
from videostr.data.readers.sti_bench import scene
from videostr.data.samples import SampleError


def convert_all(tmp_path, name, records, file, videos, **options):
    """(samples, report), from JSON lines, a JSON list or parquet, by the file's ending."""
    for video in videos:
        (tmp_path / "videos" / video).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / video).write_bytes(b"x")
    path = tmp_path / file
    if file.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    else:
        path.write_text(json.dumps(records) if file.endswith(".json") else "\n".join(map(json.dumps, records)))
    out = tmp_path / "out.jsonl"
    report = convert(name, [str(path)], out, videos=[tmp_path / "videos"], **options)
    return read_samples(out) if report["written"] else [], report


STI = {
    "Video": "scene0011_00.mp4",
    "ID": 7,
    "Source": "ScanNet",
    "Task": "Spatial Relation",
    "Question": "Where is the  chair?",
    "Candidates": {"A": "left", "B": "right", "C": None},
    "Answer": "B",
    "time_start": 1.5,
    "time_end": 4,
}


@pytest.mark.parametrize("file", ["qa.parquet", "qa.jsonl"])
def test_sti_bench(tmp_path, file):
    records = [
        STI,
        STI | {"ID": 8, "Candidates": json.dumps({"B": "right", "A": "left"}), "time_start": 4.0, "time_end": 4.0},
        STI | {"ID": 9, "Answer": "D"},
        STI | {"ID": 10, "Candidates": "{'A': 'left'"},
        STI | {"ID": 11, "Candidates": json.dumps({"A": "left", "C": "right"})},
        STI | {"ID": 12, "Video": "gone.mp4"},
        STI | {"ID": 13, "Answer": None},
    ]
    if file.endswith(".parquet"):  # one type a column: all candidates as text, as one of the two forms there are
        records = [
            record
            if isinstance(record["Candidates"], str)
            else record | {"Candidates": json.dumps(record["Candidates"])}
            for record in records
        ]
        records = [record | {"time_end": float(record["time_end"])} for record in records]
    samples, report = convert_all(tmp_path, "sti_bench", records, file, ["scene0011_00.mp4"])
    first, second = samples
    assert first.id == "sti_bench:scene0011_00.mp4:7" and first.query == "Where is the chair?"
    assert first.spans == ((1.5, 4.0),) and second.spans == () and second.meta["times"] == [4.0, 4.0]
    assert first.meta["options"] == ["left", "right"] == second.meta["options"] and first.meta["answer"] == "B"
    assert first.meta["scene"] == "indoor" and first.meta["task"] == "Spatial Relation"
    assert report["rejected"] == {"malformed": 3, "missing_video": 1, "no_label": 1}
    records = [record | {"Scene": "desktop" if record["ID"] == 7 else None} for record in records]
    (first, second), _ = convert_all(tmp_path, "sti_bench", records, file, [], as_published=True)
    assert first.query == "Where is the  chair?"  # an evaluation shows a question as it stands
    assert (first.meta["scene"], second.meta["scene"]) == ("desktop", "indoor")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scene0011_00.mp4", "indoor"),
        ("x_camera_1.mp4", "outdoor"),
        ("scene_camera.mp4", "outdoor"),
        ("123456.mp4", "desktop"),
        ("1234567.mp4", "unknown"),
    ],
)
def test_a_scene_is_known_by_its_files_name(name, kind):
    assert scene(name) == kind


VSI = {
    "id": 5,
    "dataset": "scannet",
    "scene_name": "scene0000_00",
    "question_type": "object_rel_distance",
    "question": "Which is nearer?",
    "ground_truth": "B",
    "options": ["A. chair", "B. door"],
}


@pytest.mark.parametrize("file", ["test.parquet", "test.jsonl"])
def test_vsi_bench(tmp_path, file):
    records = [
        VSI,
        VSI | {"id": 6, "question_type": "object_counting", "ground_truth": "4", "options": None},
        VSI | {"id": 7, "question_type": "room_size_estimation", "ground_truth": "about 4", "options": None},
        VSI | {"id": 8, "ground_truth": "C"},
        VSI | {"id": 9, "options": None},
        VSI | {"id": 10, "question_type": "smell"},
        VSI | {"id": 11, "dataset": "arkitscenes"},
        VSI | {"id": 12, "question_type": "object_size_estimation", "ground_truth": None, "options": None},
        VSI | {"id": 13, "options": ["A. lamp", "B. door"]},  # the same words, other options
    ]
    samples, report = convert_all(tmp_path, "vsi_bench", records, file, ["scannet/scene0000_00.mp4"])
    choice, number, other = samples
    assert choice.id == "vsi_bench:5" and choice.spans == () and choice.video.endswith("scannet/scene0000_00.mp4")
    assert choice.meta == {
        "question_type": "object_rel_distance",
        "answer_kind": "choice",
        "options": ["A. chair", "B. door"],
        "answer": "B",
    }
    assert number.meta["answer"] == 4.0 and number.meta["answer_kind"] == "number" and other.id == "vsi_bench:13"
    # arkitscenes/scene0000_00.mp4 is not there, but a file of that name is: it is taken, as everywhere.
    assert report["rejected"] == {"malformed": 4, "no_label": 1, "duplicate": 1}


BOX = {"xmin": 1, "ymin": 2.5, "xmax": 30, "ymax": 40}
STAR = {
    "vid": "v1",
    "domain": "Sports",
    "fps": 25,
    "width": 640,
    "height": 360,
    "frame_count": 500,
    "question": "Who falls?",
    "chain": "<think>x<think>",
    "object": "boy",
    "answer": "A boy",
    "temporal_question": "When?",
    "timestamps": [3.2, 6.9],
    "spatial_question": "Where?",
    "spatial_question_2": "Where, and when?",
    "bboxes": [{"timestamp": 4, "frame_index": 100, **BOX}, {"timestamp": 5, "frame_index": 125, **BOX}],
}


def test_v_star(tmp_path):
    records = [
        STAR,
        STAR | {"question": "Who runs?", "bboxes": [{"4_100": BOX, "5_125": BOX}]},
        STAR | {"question": "a", "bboxes": [{"timestamp": 4, "xmin": 1}]},
        STAR | {"question": "b", "bboxes": [BOX | {"timestamp": 4, "xmax": 0}]},
        STAR | {"question": "c", "timestamps": [6.9, 3.2]},
        STAR | {"question": "d", "fps": 0},
        {"vid": "v1"},
        "nothing",
    ]
    samples, report = convert_all(tmp_path, "v_star", records, "V_STaR_test.json", ["deep/v1.mp4"])
    for sample in samples:
        assert [entry["time"] for entry in sample.meta["boxes"]] == ["4", "5"]
        assert sample.meta["boxes"][0]["box"] == [1, 2.5, 30, 40] and sample.meta["size"] == [640, 360]
        assert sample.spans == ((3.2, 6.9),) and sample.duration == 20 and sample.meta["answer"] == "A boy"
    assert report["rejected"] == {"malformed": 5, "reversed": 1} and len(samples) == 2


def test_as_published_keeps_what_an_evaluation_must_count(tmp_path):
    record = {"qid": 1, "query": "a man", "vid": "v", "duration": 20, "relevant_windows": [[1, 30]]}
    records = [record, record | {"qid": 2}, record | {"qid": 3, "relevant_windows": [[25, 30]]}]
    samples, report = convert_all(
        tmp_path, "qvhighlights", records, "highlight_val.jsonl", ["v.mp4"], as_published=True
    )
    assert [sample.spans for sample in samples] == [((1.0, 30.0),)] * 2 and samples[0].duration == 30
    assert report["notes"] == {"longer_than_stated": 2, "repeated": 1} and report["rejected"] == {"outside_video": 1}
    clipped, report = convert_all(tmp_path, "qvhighlights", records, "highlight_val.jsonl", ["v.mp4"])
    assert [sample.spans for sample in clipped] == [((1.0, 20.0),)] and report["rejected"]["duplicate"] == 1


def test_a_question_needs_no_interval_and_a_sentence_does(tmp_path):
    question = Sample("q", "v.mp4", "How many?", (), meta={"answer": 3, "answer_kind": "number"})
    write_samples(tmp_path / "a.jsonl", [question])
    assert read_samples(tmp_path / "a.jsonl")[0].spans == ()
    with pytest.raises(SampleError, match="spans: expected a list"):
        write_samples(tmp_path / "b.jsonl", [Sample("q", "v.mp4", "A man.", (), meta={"answer": 3})])


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), case=st.sampled_from([("sti_bench", STI), ("vsi_bench", VSI), ("v_star", STAR)]))
def test_any_json_is_a_question_or_a_counted_reason(tmp_path, data, case):
    name, good = case
    record = good | data.draw(st.dictionaries(st.sampled_from(sorted(good)), HOSTILE, max_size=3))
    videos = ["scene0011_00.mp4", "scannet/scene0000_00.mp4", "v1.mp4"]
    samples, report = convert_all(tmp_path, name, [record], "records.json", videos)
    assert report["read"] == report["written"] + sum(report["rejected"].values()) and len(samples) == report["written"]
