"""The report of small fabricated runs: what is shown, and that a damaged run can still be looked at."""

import base64
import io
import json
import random
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from videostr.data.world import Scene, Thing, draw_frame, encode_scene
from videostr.eval import bootstrap_interval
from videostr.report import read_run, readme_picture, write_report
from videostr.report.cards import ticks
from videostr.report.choose import choose_samples
from videostr.report.plots import draw_plots, save_plots, series, smooth, stage_interval, stage_value
from videostr.report.strips import film_strip
from videostr.video import VideoError

EVIL = "<script>alert(1)</script> & <b>$x_{</b> \ud800 </pre>"
SCENE = Scene(8.0, 8, 64, 30, (Thing("circle", "red", "visible", 2.0, 6.0, 0.5, 0.5, 0.6),))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "circle.mp4"
    encode_scene(SCENE, path)
    return path


def evaluation(clip, ious, pred=(2.0, 5.0)):
    return [
        {
            "id": f"s{index:02d}",
            "video": str(clip),
            "query": f"the red circle {index} {EVIL}",
            "spans": [[2.0, 6.0]],
            "duration": 8.0,
            "text": f"<think>{EVIL}</think>",
            "pred": None if iou is None else list(pred),
            "reason": "no_tag" if iou is None else "ok",
            "iou": iou or 0.0,
        }
        for index, iou in enumerate(ious)
    ]


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def run(tmp_path, clip):
    generator = random.Random(0)
    out = tmp_path / "run"
    for stage, low, high in (("base", 0, 0.1), ("sft", 0.2, 0.6), ("rl", 0.4, 0.9)):
        ious = [None if stage == "base" and i % 3 else generator.uniform(low, high) for i in range(20)]
        write_jsonl(out / "eval" / f"{stage}.jsonl", evaluation(clip, ious))
    write_jsonl(out / "metrics" / "sft.jsonl", [{"step": i, "loss": 1 / i} for i in range(1, 30)])
    write_jsonl(out / "metrics" / "rl.jsonl", [{"step": i, "reward": 0.5} for i in range(1, 9)])
    summary = {
        "stages": {"base": {"miou": 0.05, "samples": 20, "seconds": 3.0, "iop": 0.1, "parse_rate": 0.3}},
        "seed": 7,
        "seconds": 120,
        "versions": {"torch": "2.14"},
        "skipped": [{"path": "clips/broken.mp4", "reason": "truncated"}],
        "cold_start": {"kept": 13, "total": 56, "reasons": {"low_iou": 43}},
    }
    (out / "summary.json").write_text(json.dumps(summary))
    (out / "config.yaml").write_text("seed: 7\nnote: <i>mine</i>\n")
    return out


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data):
        self.text += data


def test_page_is_self_contained_and_escapes_what_the_model_wrote(run):
    path = write_report(run)
    assert path == run / "index.html"
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.tags and "b" in page.tags  # <b> is the page's own, in the gains
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    assert not re.search(r"url\(|@import|https?://", html)
    assert "<script>alert(1)</script>" in page.text and "<i>mine</i>" in page.text
    for shown in (
        "clips/broken.mp4",
        "truncated",
        "seed 7",
        "2.0 min",
        "no interval: no tag",
        "SFT → RL",
        "most improved",
    ):
        assert shown in page.text
    assert page.tags.count("article") == 12  # three samples of four groups
    for source in page.sources:
        Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))).verify()


def test_plots_are_drawn_for_what_there_is(run):
    assert draw_plots(read_run(run)).keys() == {"stages", "learning_curve", "iou_histogram", "sft_loss", "reward"}
    keys = ["reward", "reward/iou", "reward/format", "group_std", "informative", "kl", "entropy", "length", "truncated"]
    keys += ["mismatch_max", "clip_low_frac", "grad_norm", "reason/no_tag", "eval/miou"]
    write_jsonl(run / "metrics" / "rl.jsonl", [{"step": i, **dict.fromkeys(keys, 0.1 * i)} for i in range(1, 9)])
    summary = json.loads((run / "summary.json").read_text())
    summary["difficulty"] = {"histogram": {"edges": [0, 0.5, 1], "before": [20, 10], "after": [8, 4]}}
    (run / "summary.json").write_text(json.dumps(summary))
    names = {"stages", "learning_curve", "iou_histogram", "difficulty", "sft_loss", "reward", "iou", "group_std", "kl"}
    names |= {"entropy", "length", "truncated", "mismatch", "clip", "rl_grad_norm", "reasons"}
    assert save_plots(read_run(run)).keys() == names == {path.stem for path in (run / "plots").iterdir()}


def test_a_logarithmic_plot_has_no_place_for_zero(run):
    write_jsonl(run / "metrics" / "rl.jsonl", [{"step": i, "mismatch_max": 0.0} for i in range(1, 9)])
    assert "mismatch" not in draw_plots(read_run(run))


def test_the_constant_interval_stands_above_the_stages(run):
    summary = json.loads((run / "summary.json").read_text())
    page = write_report(run).read_text()
    assert "constant interval" not in page
    summary["constant"] = {"interval": [1.0, 3.0], "miou": 0.4321, "samples": 12}
    (run / "summary.json").write_text(json.dumps(summary))
    page = write_report(run).read_text()
    row = page[page.index("best constant interval") :]
    assert row.index("0.432") < row.index("</tr>")


def test_the_same_run_gives_the_same_page(run):
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_a_run_killed_while_writing_is_shown(run):
    with open(run / "metrics" / "rl.jsonl", "a") as file:
        file.write('{"step": 9, "rewa')
    (run / "summary.json").unlink()
    (run / "config.yaml").unlink()
    (run / "eval" / "rl.jsonl").unlink()
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "metrics/rl.jsonl: 1 line" in text and "SFT" in text


@pytest.mark.parametrize("keep", ["summary.json", "metrics/sft.jsonl", "eval/sft.jsonl"])
def test_any_one_file_is_enough(run, keep):
    content = (run / keep).read_text()
    for path in sorted(run.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (run / keep).parent.mkdir(exist_ok=True)
    (run / keep).write_text(content)
    assert write_report(run).stat().st_size > 1000


def test_strange_rows_are_survived(run, clip):
    write_jsonl(
        run / "metrics" / "rl.jsonl",
        [
            {"step": 1, "reward": float("nan"), "kl": "x", "entropy": None},
            {"reward": 1},
            {"step": 2, "reward": 0.5},
            {"step": 2, "reward": 0.6},
        ],
    )
    rows = evaluation(clip, [0.5] * 4)
    rows[0]["pred"] = [1, float("inf")]
    rows[1]["pred"] = [7.0, 900.0]
    rows[2]["spans"] = []
    rows[3] = {"id": 3, "iou": 0.1}
    write_jsonl(run / "eval" / "rl.jsonl", [*rows, []])
    write_report(run)
    assert series(read_run(run).metrics["rl"], "reward")[1].tolist() == [0.6]  # the later row of a step
    readme_picture(run, run / "x.png")


def test_a_video_that_is_gone_is_said_in_its_place(run, clip, tmp_path):
    for stage in ("base", "sft", "rl"):
        write_jsonl(run / "eval" / f"{stage}.jsonl", evaluation(tmp_path / "gone.mp4", [0.5] * 3))
    html = write_report(run).read_text(encoding="utf-8")
    assert "gone.mp4" in Page(html).text and "image/jpeg" not in html
    with pytest.raises(ValueError, match="out_dir: expected a run with evaluations whose videos can be read"):
        readme_picture(run, tmp_path / "x.png")


def test_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run here"):
        write_report(tmp_path)
    (tmp_path / "summary.json").write_text("[1]")
    with pytest.raises(ValueError, match="summary.json: expected a JSON object, got a list"):
        write_report(tmp_path)


def test_relative_videos_are_found_beside_the_run(run, clip):
    (run / "clips").mkdir()
    (run / "clips" / "a.mp4").write_bytes(clip.read_bytes())
    write_jsonl(run / "eval" / "rl.jsonl", evaluation("clips/a.mp4", [0.5]))
    assert "image/jpeg" in write_report(run).read_text(encoding="utf-8")


def test_readme_picture(run):
    png = readme_picture(run, run / "picture.png")
    image = Image.open(png)
    assert image.format == "PNG" and image.width > 1200 and image.height > 500


def test_strip_shows_each_frame_at_the_middle_of_its_cell(clip):
    strip = film_strip(str(clip), cells=16, height=64)
    assert strip.duration == 8.0 and strip.cells == 16 and strip.image.size == (16 * 64, 64)
    pixels = np.asarray(strip.image).astype(float)
    for cell in range(16):
        expected = draw_frame(SCENE, (cell + 0.5) / 2)[32, 32].astype(float)  # the middle of the picture, on or off
        assert np.abs(pixels[32, cell * 64 + 32] - expected).max() < 25


def test_strip_of_an_unreadable_file(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        film_strip(str(tmp_path / "x.mp4"))


def test_interval_bars_are_where_their_seconds_are(run, clip):
    write_jsonl(run / "eval" / "rl.jsonl", evaluation(clip, [0.5], pred=(6.0, 12.0)))
    html = write_report(run).read_text(encoding="utf-8")
    assert "left:25.000%;width:50.000%" in html  # the truth, 2 to 6 of 8 s
    assert "left:75.000%;width:25.000%" in html  # the answer, cut at the end of the clip


def test_scores_and_intervals_come_from_the_rows_where_the_summary_has_none(run):
    loaded = read_run(run)
    ious = [row["iou"] for row in loaded.evals["rl"]]
    assert stage_value(loaded, "base", "miou") == 0.05
    assert stage_value(loaded, "rl", "miou") == pytest.approx(np.mean(ious))
    assert stage_value(loaded, "rl", "r1@0.5") == np.mean([iou >= 0.5 for iou in ious])
    assert np.isnan(stage_value(loaded, "rl", "parse_rate"))
    assert stage_interval(loaded, "rl", "miou") == bootstrap_interval(ious, resamples=2000)
    assert stage_interval(loaded, "rl", "iop") is None


def test_chosen_samples(run, clip):
    write_jsonl(run / "eval" / "sft.jsonl", evaluation(clip, [0.5, 0.5, 0.5, 0.5, 0.9, 0.1, 0.5]))
    write_jsonl(run / "eval" / "rl.jsonl", evaluation(clip, [0.5, 0.9, 0.6, 0.5, 1.0, 0.0, 0.5]))
    chosen = choose_samples(read_run(run), each=1)
    assert chosen == {"most improved": ["s01"], "typical": ["s00"], "best": ["s04"], "worst": ["s05"]}
    every = [name for names in choose_samples(read_run(run), each=3).values() for name in names]
    assert sorted(every) == [f"s{i:02d}" for i in range(7)]


def test_smoothing_is_a_running_mean():
    values = np.random.default_rng(0).normal(size=120)
    half = 120 // 40
    expected = [values[max(0, i - half) : i + half + 1].mean() for i in range(120)]
    np.testing.assert_allclose(smooth(values), expected, rtol=1e-10, atol=1e-12)
    assert smooth(values[:10]).tolist() == values[:10].tolist()


@pytest.mark.parametrize("duration", [0.04, 0.5, 1.0, 3.7, 8.0, 12.5, 59.9, 150.0, 3601.0])
def test_ticks_are_few_round_and_inside(duration):
    times = ticks(duration)
    assert times[0] == 0 and 4 <= len(times) <= 9 and times[-1] <= duration * (1 + 1e-9)
    np.testing.assert_allclose(np.diff(times), times[1])
    assert float(f"{times[1]:.0e}"[0]) in (1, 2, 5)
