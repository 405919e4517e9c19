"""The files of an evaluation, cut by a kill and damaged otherwise."""

import json

import pytest

from videostr import cli
from videostr.eval.results import AnswerLog, EvalError, check_same_run, read_answers, read_results, write_results


def log_of(out, *ids):
    log = AnswerLog(out, 0)
    log.add({"id": name, "answers": {}} for name in ids)
    return log.path


def test_a_line_that_was_cut_is_forgotten(tmp_path):
    path = log_of(tmp_path, "a", "b")
    path.write_bytes(path.read_bytes() + b'{"id": "c", "answers": {"interval')
    assert set(read_answers(tmp_path)) == {"a", "b"}
    log_of(tmp_path, "c")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["nonsense", "[1]", '{"answers": {}}', '{"id": "b", "answ', ""])
def test_answers_behind_a_damaged_line_are_not_thrown_away(tmp_path, damage):
    path = log_of(tmp_path, "a", "b", "c")
    first, _, last = path.read_text().splitlines()
    path.write_text(f"{first}\n{damage}\n{last}\n")
    before = path.read_bytes()
    for read in (lambda: read_answers(tmp_path), lambda: AnswerLog(tmp_path, 0)):
        with pytest.raises(EvalError, match="0.jsonl, line 2: expected an object with id"):
            read()
    assert path.read_bytes() == before


def test_damaged_results_and_settings_are_named(tmp_path, capsys):
    write_results(tmp_path, [{"id": "a"}], {"format": 1})
    with pytest.raises(EvalError, match="results.jsonl, line 1: expected an object with id, video"):
        read_results(tmp_path)
    assert cli.main(["eval", "page", str(tmp_path)]) == 2
    assert cli.main(["eval", "compare", str(tmp_path), str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("line 1: expected an object") == 2
    for text in ("{", "[1]", "3"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(EvalError, match="run.json: cannot be read"):
            check_same_run(tmp_path, {"model": "m"})
