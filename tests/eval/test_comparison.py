"""What two evaluations must have in common to be compared."""

import pytest

from videostr.eval.comparison import compare_runs, to_text
from videostr.eval.results import EvalError, write_results

LEFT_OUT = {"acc": 0.0, "task/t": 0.0, "scene/indoor": 0.0}  # its video could not be read


def row(number, cells, **changes):
    meta = {"answer": "B", "options": ["1 m", "2 m"]} | changes
    about = {"id": f"s{number}", "video": f"{number}.mp4", "query": "How far?", "spans": [], "meta": meta}
    return about | {"cells": cells, "score": cells["acc"], "error": None, "answers": {}}


def finished(folder, *rows):
    folder.mkdir()
    summary = {"format": 1, "benchmark": "sti_bench", "title": "STI-Bench", "headline": ["acc", "acc_released"]}
    write_results(folder, rows, summary | {"run": {}, "versions": {}})
    return folder


def test_a_metric_that_no_shared_sample_counts_in(tmp_path):
    """`acc_released` leaves missing videos out; here nothing else is in both runs."""
    read = LEFT_OUT | {"acc": 1.0, "released": 1.0}
    a, b = finished(tmp_path / "a", row(1, LEFT_OUT), row(2, read)), finished(tmp_path / "b", row(1, LEFT_OUT))
    report = compare_runs(a, b, resamples=10)
    assert (report["samples"], report["only_a"], report["headline"]) == (1, 1, ["acc"])
    assert "acc_released" not in to_text(report) and "1 shared samples of 1 videos" in to_text(report)


@pytest.mark.parametrize("changes", [{"answer": "A"}, {"options": ["2 m", "1 m"]}])
def test_another_truth_is_refused(tmp_path, changes):
    a, b = finished(tmp_path / "a", row(1, LEFT_OUT)), finished(tmp_path / "b", row(1, LEFT_OUT, **changes))
    with pytest.raises(EvalError, match="sample 's1' is not the same in .*: other data"):
        compare_runs(a, b, resamples=10)
