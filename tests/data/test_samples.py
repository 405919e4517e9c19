"""The sample file: what is written is read back, and whatever else is in a file is a SampleError that says where."""

import json
import math
import os
import pickle
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videostr.data import Sample, SampleError, read_samples, write_samples

GOOD = {"id": "a", "video": "v.mp4", "query": "a red square appears", "spans": [[1.0, 2.5]]}
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path, *lines):
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    return path


def test_the_documented_fields(tmp_path):
    full = {**GOOD, "spans": [[0, 1], [2.0, 3.5]], "duration": 3, "source": "own", "response": "<time>[0, 1]</time>"}
    full["meta"] = {"split": "val", "n": [1]}
    path = write(tmp_path / "a.jsonl", full, "", {**GOOD, "id": "b", "duration": None, "response": None})
    a, b = read_samples(path)
    assert a == Sample(
        "a",
        str(tmp_path / "v.mp4"),
        GOOD["query"],
        ((0.0, 1.0), (2.0, 3.5)),
        3.0,
        "own",
        "<time>[0, 1]</time>",
        {"split": "val", "n": [1]},
    )
    assert all(isinstance(x, float) for span in a.spans for x in span)
    assert b == Sample("b", str(tmp_path / "v.mp4"), GOOD["query"], ((1.0, 2.5),))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vidio": "v.mp4"}, "unknown field 'vidio'; did you mean 'video'"),
        ({"Spans": []}, "did you mean 'spans'"),
        ({"zzz": 1}, "known fields: id, video"),
        ({"id": None}, "id: expected a non-empty string, got None"),
        ({"id": 7}, "id: expected"),
        ({"query": "  "}, "query: expected"),
        ({"video": ""}, "video: expected"),
        ({"video": "a\0b"}, "video: expected a path"),
        ({"source": 3}, "source: expected"),
        ({"response": []}, "response: expected"),
        ({"meta": []}, "meta: expected"),
        ({"duration": 0}, "duration: expected"),
        ({"duration": "10"}, "duration: expected"),
        ({"duration": True}, "duration: expected"),
        ({"spans": []}, "spans: expected"),
        ({"spans": [1, 2]}, "spans: expected pairs"),
        ({"spans": [[1, 2, 3]]}, "spans: expected pairs"),
        ({"spans": [["1", 2]]}, "spans: expected pairs"),
        ({"spans": [[2, 2]]}, "has no length"),
        ({"spans": [[3, 2]]}, "is reversed"),
        ({"spans": [[-1, 2]]}, "start >= 0"),
        ({"spans": [[0, 10**400]]}, "two finite numbers"),
        ({"duration": 5.0, "spans": [[1, 6.1]]}, "ends after the video"),
    ],
)
def test_bad_fields_name_line_and_field(tmp_path, change, says):
    path = write(tmp_path / "a.jsonl", GOOD, "", {**GOOD, "id": "b", **change})
    with pytest.raises(SampleError) as caught:
        read_samples(path)
    assert caught.value.line == 3 and caught.value.path == str(path)
    assert f"{path}, line 3: " in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize("field", ["id", "video", "query", "spans"])
def test_missing_fields(tmp_path, field):
    record = {k: v for k, v in GOOD.items() if k != field}
    with pytest.raises(SampleError, match=f"line 1: field '{field}' is missing"):
        read_samples(write(tmp_path / "a.jsonl", record))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "b", "video": "v", "query": "q", "spans": [[0, NaN]]}', "NaN"),
        ('{"id": "b", "video": "v", "query": "q", "spans": [[0, Infinity]]}', "Infinity"),
        ('{"id": "b", "video": "v", "query": "q", "spans": [[0, 1e999]]}', "1e999 is not a finite"),
        ('{"id": "b", "id": "c", "video": "v", "query": "q", "spans": [[0, 1]]}', "'id' appears twice"),
        ('{"id": "b", "video"', "not JSON"),
        ("[1, 2]", "expected a JSON object, got list"),
        ("null", "expected a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        (json.dumps(GOOD), "already used on line 1"),
        ('{"id": "\\ud800", "video": "v", "query": "q", "spans": [[0, 1]]}', "surrogate"),
        ("9" * 5000, "line 2"),
    ],
)
def test_bad_lines(tmp_path, line, says):
    with pytest.raises(SampleError, match="line 2") as caught:
        read_samples(write(tmp_path / "a.jsonl", GOOD, line))
    assert says in str(caught.value) and len(str(caught.value)) < 1000


def test_whole_files(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "latin.jsonl").write_bytes(json.dumps(GOOD).encode() + b"\n\xe9\n")
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n")
    with pytest.raises(SampleError, match="holds no samples"):
        read_samples(tmp_path / "empty.jsonl")
    with pytest.raises(SampleError, match="line 2.*utf-8"):
        read_samples(tmp_path / "latin.jsonl")
    for path in (tmp_path / "none.jsonl", tmp_path, "a\0b"):
        with pytest.raises(SampleError, match="cannot be read"):
            read_samples(path)
    assert read_samples(tmp_path / "bom.jsonl")[0].id == "a"


def test_a_second_of_rounding_is_allowed(tmp_path):
    path = write(tmp_path / "a.jsonl", {**GOOD, "duration": 5.0, "spans": [[1, 6.0]]})
    assert read_samples(path)[0].spans == ((1.0, 6.0),)


def test_paths_are_relative_to_the_file_and_move_with_it(tmp_path, monkeypatch):
    folder = tmp_path / "set"
    folder.mkdir()
    samples = [
        Sample("in", str(folder / "clips" / "v.mp4"), "q", ((0.0, 1.0),)),
        Sample("out", str(tmp_path / "other.mp4"), "q", ((0.0, 1.0),)),
    ]
    write_samples(folder / "a.jsonl", samples)
    assert read_samples(folder / "a.jsonl") == samples
    monkeypatch.chdir(folder)
    assert read_samples("a.jsonl") == samples
    folder.rename(tmp_path / "moved")
    moved = read_samples(tmp_path / "moved" / "a.jsonl")
    assert [s.video for s in moved] == [str(tmp_path / "moved" / "clips" / "v.mp4"), str(tmp_path / "other.mp4")]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FINITE = st.floats(0, 1e6)
SPANS = st.lists(st.tuples(FINITE, FINITE).filter(lambda s: s[0] < s[1]), min_size=1, max_size=4).map(tuple)


@st.composite
def samples(draw):
    spans = draw(SPANS)
    return Sample(
        id=draw(NAMES),
        video="/videos/" + draw(st.text(string.ascii_letters, min_size=1, max_size=8)),
        query=draw(NAMES),
        spans=spans,
        duration=draw(st.none() | st.just(max(e for _, e in spans))),
        source=draw(st.just("") | NAMES),
        response=draw(st.none() | st.text(st.characters(codec="utf-8"), min_size=1)),
        meta=draw(
            st.dictionaries(
                st.text(st.characters(codec="utf-8"), max_size=8), st.integers() | st.text(max_size=3), max_size=3
            ).filter(lambda m: json.loads(json.dumps(m)) == m and not any("\ud800" <= c <= "\udfff" for c in str(m)))
        ),
    )


@QUICK
@given(st.lists(samples(), min_size=1, max_size=5, unique_by=lambda s: s.id))
def test_round_trip(tmp_path, many):
    write_samples(tmp_path / "a.jsonl", many)
    assert read_samples(tmp_path / "a.jsonl") == many


@settings(QUICK, max_examples=300)
@given(
    st.lists(
        st.one_of(
            JSON.map(json.dumps),
            st.dictionaries(st.sampled_from([*GOOD, "duration", "meta", "source"]), JSON, min_size=3).map(json.dumps),
            st.fixed_dictionaries(
                {k: st.one_of(st.just(v), JSON) for k, v in GOOD.items()}, optional={"meta": JSON, "duration": JSON}
            ).map(json.dumps),
            st.text(),
        ),
        max_size=3,
    )
)
def test_any_json_is_read_or_a_sample_error(tmp_path, lines):
    path = tmp_path / "a.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        got = read_samples(path)
    except SampleError as error:
        assert error.path == str(path) and str(path) in str(error)
        return
    assert got and len({s.id for s in got}) == len(got)
    for s in got:
        assert all(math.isfinite(a) and math.isfinite(b) and 0 <= a < b for a, b in s.spans)
    write_samples(path, got)
    assert read_samples(path) == got


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_a_sample_error(tmp_path, data):
    (tmp_path / "a.jsonl").write_bytes(data)
    with pytest.raises(SampleError):
        read_samples(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    "bad",
    [
        Sample("a", "v.mp4", "q", ((0.0, math.nan),)),
        Sample("a", "v.mp4", "q", ((2.0, 1.0),)),
        Sample("a", "v.mp4", "q", ()),
        Sample("", "v.mp4", "q", ((0.0, 1.0),)),
        Sample("a", "v.mp4", "q", ((0.0, 1.0),), meta={"x": {1, 2}}),
        Sample("a", "v.mp4", "q", ((0.0, 1.0),), meta={"x": math.inf}),
        Sample("a", "v.mp4", "\ud800", ((0.0, 1.0),)),
        Sample("ok", "v.mp4", "q", ((0.0, 1.0),)),
        "not a sample",
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, bad):
    path = tmp_path / "a.jsonl"
    good = Sample("ok", str(tmp_path / "v.mp4"), "q", ((0.0, 1.0),))
    write_samples(path, [good])
    with pytest.raises(SampleError) as caught:
        write_samples(path, [good, bad])
    assert caught.value.line == 2
    assert read_samples(path) == [good]  # the old file is whole
    assert os.listdir(tmp_path) == ["a.jsonl"]
    with pytest.raises(SampleError, match="no samples"):
        write_samples(path, [])


def test_the_example_in_the_docs(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    example = page.split("```json\n")[1].split("```")[0]
    first, second = read_samples(write(tmp_path / "a.jsonl", example))
    assert first.spans == ((12.4, 17.0),) and second.meta == {"split": "train"}


def test_errors_survive_a_worker_process():
    error = SampleError("a.jsonl", 3, "not JSON")
    other = pickle.loads(pickle.dumps(error))
    assert (str(other), other.line, other.path) == (str(error), 3, "a.jsonl")
    assert isinstance(error, ValueError)
