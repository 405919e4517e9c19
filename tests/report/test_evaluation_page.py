"""The page of an evaluation, made of fabricated results and a real clip."""

import json
import re

import pytest

from videostr import cli
from videostr.data.world import WorldConfig, write_world
from videostr.eval.results import EvalError
from videostr.report.evaluation import buckets, draw_figures, write_evaluation_page

EVIL = "<script>alert(1)</script> & \ud800"


def answer(text, parsed, reason="ok", finished=True):
    return {"text": text, "tokens": 5, "finished": finished, "reason": reason, "parsed": parsed}


def make_row(number, clip, score, **more):
    row = {"id": f"s{number:02d}", "video": clip.video, "query": f"{clip.query} {number}", "spans": [[1.0, 3.0]]}
    row |= {"duration": clip.duration, "meta": {}, "error": None, "input": {"seconds": 5.0}, "judged": {}}
    row |= {"answers": {"interval": answer("<time>[1, 2]</time>", [1.0, 2.0])}, "score": score, "cells": {"iou": score}}
    return row | more


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    config = WorldConfig(side=48, min_duration=5, max_duration=6)
    return next(iter(write_world(tmp_path_factory.mktemp("clip"), clips=1, seed=0, config=config, name="clip")))


@pytest.fixture
def out(tmp_path, clip):
    rows = [make_row(number, clip, number / 10) for number in range(10)]
    rows[0]["answers"] = {"interval": answer(EVIL, None, "no_tag", finished=False)}
    gone = {"reason": "missing", "detail": "no/such.mp4: missing"}
    rows.append(make_row(10, clip, 0.0, video="no/such.mp4", error=gone, input=None, answers={}))
    run = {"model": "m", "model_sha256": "0" * 16, "dtype": "float32", "prompt": "tvg_r1", "prompt_sha256": "1" * 16}
    run |= {"prefill": "", "written_times": True, "parser": "any", "decoding": {"greedy": True}, "seed": None}
    run |= {"frames": {"num_frames": None, "fps": 2.0, "rule": "qwen_vl_utils", "patch_size": 14}}
    spread = {"least": 4, "mean": 4.0, "most": 4}
    names = ("frames", "fps", "height", "width", "video_tokens", "prompt_tokens", "tokens")
    metric = {"value": 0.45, "low": 0.3, "high": 0.6}
    summary = {
        "format": 1,
        "benchmark": "charades_sta",
        "title": "Charades-STA",
        "metrics_source": "somewhere",
        "score_name": "IoU",
        "headline": ["miou"],
        "metrics": {"parse_rate": metric, "miou": metric | {"value": 0.409}},
        "readable_metrics": {"miou": 0.45, "parse_rate": None},
        "counts": {
            "samples": 11,
            "videos": 2,
            "unreadable": {"missing": 1},
            "unreadable_videos": 1,
            "answers": 10,
            "cut_off": 1,
            "unrated": 0,
            "unread": {"no_tag": 1},
            "left_out": {"malformed": 2},
            "notes": {},
        },
        "judge": None,
        "run": run,
        "input": dict.fromkeys(names, spread),
        "bootstrap": {"resamples": 100, "level": 0.95, "unit": "video", "seed": 0},
        "versions": {"torch": "9.9"},
        "seconds": 61.0,
    }
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_page(out, capsys):
    assert cli.main(["eval", "page", str(out)]) == 0
    page = (out / "index.html").read_text("utf-8")
    for shown in ("0.409", "0.300 – 0.600", "somewhere", "1" * 16, "torch 9.9", "frame times written", "malformed: 2"):
        assert shown in page, shown
    assert "no/such.mp4" in page and "counts as 0" in page
    assert "<script>" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page  # the raw text, escaped
    assert page.count("<article") == 8 and page.count("data:image/jpeg") == 8  # four best, four worst, their strips
    assert page.count("data:image/png") == 3
    order = re.findall(r'class="where">s(\d\d) · IoU', page)
    assert order[:4] == ["09", "08", "07", "06"] and order[4] == "00" and set(order[4:]) == {"00", "01", "02", "03"}
    truth = re.search(r'>truth</div>\s*<div class="track"><i style="left:([\d.]+)%;width:([\d.]+)%', page)
    seconds = float(re.search(r"clip[^·]*\.mp4 · ([\d.]+) s", page)[1])
    assert float(truth[1]) == pytest.approx(100 / seconds, rel=0.02)
    assert "no interval: no tag" in page and "cut off" in page


def test_scores_by_bucket_count_every_sample_once():
    rows = [
        {"score": s, "duration": d, "input": None, "query": "w " * n}
        for s, d, n in ((1, 5, 3), (0, 15, 5), (0.5, 400, 30))
    ]
    found = buckets(rows, (0, 15, 30, float("inf")), lambda row: row["duration"])
    assert found == [("0–15", [1]), ("15–30", [0]), ("30+", [0.5])]
    assert buckets([{"score": 1, "duration": None}], (0, 1), lambda row: row["duration"]) == []
    assert len(draw_figures(rows, "IoU")) == 3


def test_no_evaluation_here(tmp_path):
    with pytest.raises(EvalError, match="no finished evaluation here"):
        write_evaluation_page(tmp_path)
    (tmp_path / "summary.json").write_text('{"format": 7}')
    (tmp_path / "results.jsonl").write_text("")
    with pytest.raises(EvalError, match="not an evaluation of format 1"):
        write_evaluation_page(tmp_path)
