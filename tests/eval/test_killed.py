"""kill -9 in the middle of an evaluation, and several processes: no answer is lost, none is given twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from eval_runs import FAST, charades, rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    log = tmp_path_factory.mktemp("logs") / "job"
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("killed_runs.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )

    def call(*argv, processes=1, kill=None):
        job = {"argv": ["eval", *map(str, argv)], "out": str(log), "processes": processes, "kill": kill}
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "the server of the runs is gone"
        told = "".join(Path(f"{log}.{rank}").read_text() for rank in range(processes))
        return json.loads(answer)["status"], told

    yield call
    process.stdin.close()
    process.wait()


@pytest.fixture(scope="module")
def whole(server, clips, grounder, tmp_path_factory):
    """(arguments of a run, its results when nobody disturbs it)"""
    folder = tmp_path_factory.mktemp("charades")
    data = charades(folder, clips)
    with data.open("a") as file:
        file.write("GONE0 1.0 2.0##a person leaves.\n")
    common = ["charades_sta", "--model", grounder, "--data", data, "--videos", folder / "Charades_v1"]
    # Every run of this file is a process of its own: worker processes would cost each the start of their first.
    common += ["--batch-size", "2", "--set", *FAST, "workers=0"]
    out = folder / "whole"
    status, told = server(*common, "--out", out)
    assert status == [0], told
    return common, rows(out / "results.jsonl")


def answers(out):
    """Every line of answers that was ever written, in the order of the processes."""
    return [row for path in sorted((out / "answers").glob("*.jsonl")) for row in whole_lines(path)]


def whole_lines(path):
    return [json.loads(line) for line in path.read_text().split("\n")[:-1] if line.endswith("}")]


@pytest.mark.parametrize(("lines", "workers"), [(0, 0), (1, 2)])
def test_a_killed_run_goes_on_where_it_was(server, whole, tmp_path, lines, workers):
    common, expected = whole
    common = [*common, f"workers={workers}"]
    out = tmp_path / "run"
    status, _ = server(*common, "--out", out, kill={"call": 2, "lines": lines})
    assert status == [-9] and not (out / "results.jsonl").exists()
    kept = (out / "answers" / "0.jsonl").read_bytes()
    finished = [row["id"] for row in whole_lines(out / "answers" / "0.jsonl")]
    assert len(finished) == 2 + lines and not kept.endswith(b"\n")
    status, told = server(*common, "--out", out)
    assert status == [0] and f"{2 + lines} already answered" in told
    assert (out / "answers" / "0.jsonl").read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    given = [row["id"] for row in answers(out)]
    assert sorted(given) == sorted({row["id"] for row in expected}) and len(given) == 7  # each once
    assert rows(out / "results.jsonl") == expected


def test_killed_three_times(server, whole, tmp_path):
    common, expected = whole
    out = tmp_path / "run"
    for _ in range(3):
        assert server(*common, "--out", out, kill={"call": 2, "lines": 0})[0] == [-9]
    assert server(*common, "--out", out)[0] == [0]
    assert rows(out / "results.jsonl") == expected and len(answers(out)) == 7


def test_two_processes_and_one_that_goes_on(server, whole, tmp_path):
    common, expected = whole
    out = tmp_path / "two"
    status, told = server(*common, "--out", out, processes=2)
    assert status == [0, 0], told
    assert rows(out / "results.jsonl") == expected and len(answers(out)) == 7
    assert {path.name for path in (out / "answers").iterdir()} == {"0.jsonl", "1.jsonl"}
    assert told.count("Charades-STA: 7 samples") == 1  # one of them speaks
    # Three answers are lost, as if the second process had been killed; one process gives them again.
    second = out / "answers" / "1.jsonl"
    second.write_text(second.read_text()[:30])
    (out / "results.jsonl").unlink()
    status, told = server(*common, "--out", out)
    assert status == [0] and rows(out / "results.jsonl") == expected


def test_a_wrong_source_stops_every_process(server, whole, tmp_path):
    common, _ = whole
    changed = ["no/such.txt" if str(part).endswith(".txt") else part for part in common]
    status, told = server(*changed, "--out", tmp_path / "run", processes=2)
    assert status == [2, 2] and told.count("no/such.txt: no such file or folder") == 2
