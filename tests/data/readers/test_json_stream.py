"""Entry by entry, whatever the layout and wherever the window ends; the truth is `json` itself."""

import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videostr.data.readers import json_stream
from videostr.data.readers.json_stream import Item, first_character, json_entries, json_lines, text_lines

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def entries(path, text, chunk=1 << 16):
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        return list(json_entries(path))


@QUICK
@given(st.lists(JSON, max_size=5), st.sampled_from([None, 2]), st.booleans(), st.integers(1, 40))
def test_any_list_in_windows_of_any_size(tmp_path, values, indent, ascii_only, chunk):
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    got = entries(tmp_path / "a.json", text, chunk)
    if any("\ud800" <= c <= "\udfff" for c in text):
        assert len(got) == len(values)  # halves of surrogate pairs are not UTF-8: they come back as something else
        return
    assert [item.value for item in got] == values and all(item.problem is None for item in got)
    assert [item.number for item in got] == list(range(1, len(values) + 1))


@QUICK
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), JSON, max_size=5), st.integers(1, 40))
def test_any_object_in_windows_of_any_size(tmp_path, value, chunk):
    got = entries(tmp_path / "a.json", json.dumps(value), chunk)
    assert {item.key: item.value for item in got} == value


@pytest.mark.parametrize("chunk", [1, 3, 7, 1 << 16])
def test_a_broken_entry_is_named_and_passed_over(tmp_path, chunk):
    text = '[\n {"a": 1},\n {"a": 2,, "b": [1, "]"]},\n {"a": tru},\n {"a": "no end},\n {"a": 3}\n]\n'
    got = entries(tmp_path / "a.json", text, chunk)
    assert [item.line for item in got] == [2, 3, 4, 5, 6]
    assert [item.value for item in got if item.problem is None] == [{"a": 1}, {"a": 3}]
    assert all(f"line {item.line}" in item.problem for item in got[1:4])


def test_a_raw_line_break_in_a_string(tmp_path):
    broken, after = entries(tmp_path / "a.json", '[{"a": "x\n"},\n{"a": 2}]')
    assert broken.problem.startswith("not JSON: Invalid control character") and after.value == {"a": 2}


def test_a_lost_quote_in_a_file_of_one_line_invents_nothing(tmp_path):
    got = entries(tmp_path / "a.json", '[{"a": 1}, {"a": "x}, {"a": 2}, {"a": 3}]')
    assert [item.value for item in got if item.problem is None] == [{"a": 1}] and got[1].problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("  \n 7", "expected a JSON list or object"),
        ('[{"a": 1}', "ends before its closing"),
        ('{"a": 1', "ends before its closing"),
        ('{7: 1, "b": 2}', "expected a name and a colon"),
        ('{"a" 1, "b": 2}', "expected a name and a colon"),
        ("[" * 100_000, "not usable JSON"),
    ],
)
def test_what_is_no_list_or_object(tmp_path, text, problem):
    assert any(problem in (item.problem or "") for item in entries(tmp_path / "a.json", text))


def test_members_after_a_broken_one_are_read(tmp_path):
    got = entries(tmp_path / "a.json", '{"a": {"x": nope}, "b": {"x": [1, 2]}, 3: 4, "c": 5}')
    assert [(item.key, item.value) for item in got if item.problem is None] == [("b", {"x": [1, 2]}), ("c", 5)]
    assert [item.key for item in got if item.problem] == ["a", None]


def test_bytes_that_are_not_utf8_stay_in_their_entry(tmp_path):
    bad, good = entries(tmp_path / "a.json", b'["\xff", "\xc3\xa9"]')
    assert good.value == "é" and bad.value == "\udcff"


@QUICK
@given(st.binary(max_size=120), st.integers(1, 20))
def test_any_bytes_end(tmp_path, data, chunk):
    for text in (data, b"[" + data, b'{"a":' + data):
        assert all(isinstance(item, Item) for item in entries(tmp_path / "a.json", text, chunk))
        assert all(isinstance(item, Item) for item in json_lines(tmp_path / "a.json"))


@QUICK
@given(st.text(alphabet='{}[]",:\\ \n1ae', max_size=60), st.integers(1, 20))
def test_any_punctuation_ends(tmp_path, text, chunk):
    path = tmp_path / "a.json"
    with_numbers = [item.number for item in entries(path, "[" + text, chunk) if item.number]
    assert with_numbers == sorted(set(with_numbers))


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "a.json"

    def peak(count):
        path.write_text("[" + ",".join('{"text": "' + "x" * 100 + '"}' for _ in range(count)) + "]")
        tracemalloc.start()
        assert sum(item.problem is None for item in json_entries(path)) == count
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    assert peak(40_000)[0] < 1.5 * peak(2_000)[0] < 2_000_000


def test_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n{"a"\n\xff\n[2]\n')
    got = list(json_lines(path))
    assert [(item.line, item.value) for item in got if item.problem is None] == [(1, {"a": 1}), (5, [2])]
    assert [item.line for item in got if item.problem] == [3, 4]
    assert [item.value for item in text_lines(path)][0] == '{"a": 1}'
    assert first_character(path) == "{"
