"""`videostr eval` from the benchmark's own files to its results, with a small model that was taught one answer."""

import json

import pytest
from eval_runs import ANSWER, charades, rows, run

from videostr import cli
from videostr.data import Sample, write_samples


def iou(span, truth):
    overlap = max(0.0, min(span[1], truth[1]) - max(span[0], truth[0]))
    return overlap / ((span[1] - span[0]) + (truth[1] - truth[0]) - overlap)


@pytest.fixture(scope="module")
def layout(tmp_path_factory, clips):
    """Six good samples, one of a missing video, one of a cut-off file, one said twice, and lines that are broken."""
    folder = tmp_path_factory.mktemp("charades")
    path = charades(folder, clips)
    first = path.read_text().splitlines()[0]
    whole = (folder / "Charades_v1" / "C0000.mp4").read_bytes()
    (folder / "Charades_v1" / "CUT00.mp4").write_bytes(whole[: len(whole) // 2])
    with path.open("a") as file:
        file.write(f"GONE0 1.0 2.0##a person leaves.\nCUT00 1.0 2.0##a person comes.\n{first}\n")
        file.write("C0001 2.0##no end.\nC0001 3.0 1.0##reversed.\nC0002 1.0 99.0##far behind the end.\n")
    return folder


@pytest.fixture(scope="module")
def done(layout, grounder, tmp_path_factory):
    out = tmp_path_factory.mktemp("done") / "run"
    data = layout / "charades_sta_test.txt"
    durations = ["--durations", str(layout / "Charades_v1_test.csv")]
    return out, run("charades_sta", grounder, data, layout / "Charades_v1", out, *durations)


def test_scores_are_those_of_the_answer_it_was_taught(done, clips):
    out, summary = done
    results = rows(out / "results.jsonl")
    assert [row["answers"]["interval"]["text"] for row in results if not row["error"]] == [ANSWER] * 8
    truths = [clip.spans[0] for clip in clips]
    expected = [iou((1.0, 4.0), truth) for truth in [*truths, truths[0], (1.0, 99.0)]] + [0.0, 0.0]
    metrics = {name: value["value"] for name, value in summary["metrics"].items()}
    assert metrics["miou"] == pytest.approx(sum(expected) / 10) and metrics["miou"] > 0.1
    for threshold in (0.3, 0.5, 0.7, 0.9):
        assert metrics[f"r1@{threshold}"] == pytest.approx(sum(x >= threshold for x in expected) / 10)
    assert metrics["parse_rate"] == pytest.approx(0.8)
    assert summary["readable_metrics"]["miou"] == pytest.approx(sum(expected) / 8)
    interval = summary["metrics"]["miou"]
    assert interval["low"] < interval["value"] < interval["high"]


def test_what_is_missing_is_counted_as_0_and_by_cause(done):
    counts = done[1]["counts"]
    assert counts["samples"] == 10 and counts["answers"] == 8
    assert counts["unreadable"] == {"missing": 1, "truncated": 1} and counts["unreadable_videos"] == 2
    assert counts["left_out"] == {"malformed": 1, "reversed": 1}
    assert counts["notes"]["repeated"] == 1 and counts["notes"]["longer_than_stated"] == 1


def test_a_score_says_what_it_depends_on(done, capsys):
    out, summary = done
    assert cli.main(["eval", "list"]) == 0 and "charades_sta" in capsys.readouterr().out
    run_, seen = summary["run"], summary["input"]
    assert run_["prompt"] == "tvg_r1" and len(run_["prompt_sha256"]) == 16 and run_["parser"] == "any"
    assert run_["decoding"] == {"greedy": True, "max_new_tokens": 48} and run_["frames"]["num_frames"] == 4
    assert seen["frames"] == {"least": 4, "mean": 4, "most": 4} and seen["height"]["most"] == 56
    assert 0.4 < seen["fps"]["mean"] < 0.9 and seen["video_tokens"]["most"] == 8
    assert summary["versions"]["torch"] and summary["bootstrap"]["unit"] == "video"
    from videostr.eval.summary import to_text

    text = to_text(summary)
    for word in (
        run_["prompt_sha256"],
        "num_frames 4",
        "greedy True",
        "parser",
        "torch",
        "missing 1",
        "56 x 56",
        "fps",
    ):
        assert word in text, word


def test_again_without_a_new_answer_and_with_another_parser(done, layout, grounder, monkeypatch):
    out, summary = done
    before = {path: path.read_bytes() for path in (out / "answers").iterdir()}
    monkeypatch.setattr("videostr.eval.generate.sample_groups", lambda *args: pytest.fail("answered twice"))
    durations = ["--durations", str(layout / "Charades_v1_test.csv")]
    arguments = ("charades_sta", grounder, layout / "charades_sta_test.txt", layout / "Charades_v1", out, *durations)
    again = run(*arguments, "--parser", "first_two")
    assert again["metrics"]["miou"] == summary["metrics"]["miou"] and again["run"]["parser"] == "first_two"
    assert run(*arguments, "--parser", "time_r1_eval")["metrics"]["parse_rate"]["value"] == 0
    assert {name: value for name, value in run(*arguments).items() if name != "seconds"} == {
        name: value for name, value in summary.items() if name != "seconds"
    }
    answers = {path: path.read_bytes() for path in (out / "answers").iterdir()}
    assert all(answers[path].startswith(before[path]) for path in before)


def test_a_video_that_has_come_is_answered(layout, grounder, tmp_path, clips, capsys):
    path = charades(tmp_path, clips[:2])
    film = tmp_path / "Charades_v1" / "C0001.mp4"
    kept = film.read_bytes()
    film.unlink()
    out = tmp_path / "run"
    first = run("charades_sta", grounder, path, tmp_path / "Charades_v1", out)
    assert "2 samples, 0 already answered, 1 videos missing; prompt" in capsys.readouterr().err
    film.write_bytes(kept)
    second = run("charades_sta", grounder, path, tmp_path / "Charades_v1", out)
    assert first["counts"]["unreadable"] == {"missing": 1} and second["counts"]["unreadable"] == {}
    assert second["counts"]["answers"] == 2


def test_own_sample_files(tmp_path, clips, grounder, capsys):
    write_samples(tmp_path / "mine.jsonl", clips[:2])
    summary = run("samples", grounder, tmp_path / "mine.jsonl", tmp_path, tmp_path / "run")
    expected = [iou((1.0, 4.0), clip.spans[0]) for clip in clips[:2]]
    assert summary["metrics"]["miou"]["value"] == pytest.approx(sum(expected) / 2)
    question = Sample("q", clips[0].video, "How many?", (), meta={"answer": 3, "answer_kind": "number"})
    write_samples(tmp_path / "q.jsonl", [question])
    command = ["eval", "samples", "--model", str(grounder), "--data", str(tmp_path / "q.jsonl")]
    assert cli.main([*command, "--out", str(tmp_path / "no")]) == 2 and "no interval" in capsys.readouterr().err


def test_other_settings_in_the_same_folder_are_refused(done, layout, grounder, capsys):
    out, _ = done
    command = ["eval", "charades_sta", "--model", str(grounder), "--data", str(layout / "charades_sta_test.txt")]
    command += ["--videos", str(layout / "Charades_v1"), "--out", str(out), "--prompt", "time_r1"]
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert "prompt was 'tvg_r1', is 'time_r1'" in error and "--out" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["charades"], "benchmark: expected one of charades_sta"),
        (["charades_sta", "--data", "x"], "model: a value is required"),
        (["charades_sta", "--model", "m"], "data: a value is required"),
        (["charades_sta", "--model", "m", "--data", "x", "--prompt", "nice"], "prompt must be one of"),
        (["charades_sta", "--model", "m", "--data", "x", "--parser", "nice"], "parser must be one of"),
        (["charades_sta", "--model", "m", "--data", "no/such"], "no/such: no such file or folder"),
        (["charades_sta", "--model", "m", "--data", "x", "--set", "batch_size=0"], "batch_size must be at least 1"),
        (["compare", "a"], "compare: expected two folders"),
        (["compare", "no/a", "no/b"], "no/a: no finished evaluation here"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["eval", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_compare(done, layout, clips, tmp_path_factory, capsys):
    from eval_runs import teach

    out, summary = done
    other = teach(tmp_path_factory.mktemp("other"), clips, "<think>there</think><time>[0, 6]</time>")
    second = tmp_path_factory.mktemp("second") / "run"
    data = layout / "charades_sta_test.txt"
    better = run("charades_sta", other, data, layout / "Charades_v1", second, "--limit", "9")
    capsys.readouterr()
    assert cli.main(["eval", "compare", str(out), str(second), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["samples"], report["only_a"], report["only_b"]) == (9, 1, 0)
    miou = report["metrics"]["miou"]
    shared = [row["cells"]["iou"] for row in rows(out / "results.jsonl")][:9]
    assert miou["a"] == pytest.approx(sum(shared) / 9) and miou["b"] == pytest.approx(
        better["metrics"]["miou"]["value"]
    )
    assert (
        miou["difference"] == pytest.approx(miou["b"] - miou["a"]) and miou["low"] <= miou["difference"] <= miou["high"]
    )
    assert 0 < miou["p_value"] <= 1 and set(report["changed"]) == {"model_sha256"}
    assert cli.main(["eval", "compare", str(out), str(second)]) == 0
    assert "b - a" in capsys.readouterr().out
