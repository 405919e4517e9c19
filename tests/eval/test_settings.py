"""How a benchmark is asked: published words to the letter, thinking on and off, settings from a file."""

import json

import pytest

from videostr import cli
from videostr.cli import build_parser
from videostr.cli_eval import _config
from videostr.config import save_config
from videostr.data.prompts import NO_THINKING, PROMPTS, SYSTEM, render_prompt
from videostr.eval.benchmarks import BENCHMARKS
from videostr.eval.config import EMPTY_THINKING
from videostr.eval.parsers import PARSERS, parser_of
from videostr.eval.run import prompt_hash


def settings(*arguments):
    command = ["eval", "charades_sta", "--model", "m", "--data", "d", *arguments]
    return _config(build_parser().parse_args(command))


def user_text(name, query):
    return "".join(part.get("text", "<video>") for part in render_prompt(name, query)[-1]["content"])


def test_published_words_are_kept_to_the_letter():
    assert user_text("timelens", "a man runs") == (
        "<video>Please find the visual event described by the sentence 'a man runs', determining its starting and "
        "ending times. The format should be: 'The event happens in <start time> - <end time> seconds'."
    )
    assert user_text("time_r1_no_think", "a man runs") == (
        '<video>To accurately pinpoint the event "a man runs" in the video, determine the precise time period of the '
        "event.\n\nProvide the start and end times (in seconds, precise to two decimal places) in the format "
        '"start time to end time" within the <answer> </answer> tags. For example: "12.54 to 17.83".'
    )
    assert user_text("tvg_r1", "a man runs").endswith("</time>. Now I give you the query: 'a man runs'. ")
    # Charades-STA's sentences end with a full stop, which VideoMind's and TimeLens' code cuts off, and Time-R1's keeps.
    for name in ("tvg_r1", "timelens", "timelens_times"):
        assert user_text(name, " a man runs. ") == user_text(name, "a man runs..") == user_text(name, "a man runs")
    assert '"a man runs."' in user_text("time_r1", "a man runs.")
    assert render_prompt("tvg_r1_grounding", "x")[0]["content"].endswith("<time>[5.2, 10.4]</time>. ")
    system, user = render_prompt("tvg_r1_train", "a man runs")
    assert system["role"] == "system" and system["content"].endswith("<time>[5.2, 10.4]</time> ")
    assert user["content"] == [{"type": "video"}, {"type": "text", "text": "a man runs"}]


def test_every_prompt_has_its_places():
    assert all(text.count("{video}") == 1 and text.count("{query}") == 1 for text in PROMPTS.values())
    assert set(SYSTEM) < set(PROMPTS) and set(NO_THINKING) | set(NO_THINKING.values()) <= set(PROMPTS)
    assert all(spec.prompt in PROMPTS and parser_of(spec.prompt) in PARSERS for spec in BENCHMARKS.values())
    hashes = {prompt_hash(name) for name in PROMPTS} | {prompt_hash("tvg_r1", EMPTY_THINKING)}
    assert len(hashes) == len(PROMPTS) + 1
    assert user_text("question", "{query} {video}") == "<video>{query} {video}"  # a sentence is not a template


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((), ("tvg_r1", "")),
        (("--no-thinking",), ("tvg_r1", EMPTY_THINKING)),
        (("--prompt", "time_r1", "--no-thinking"), ("time_r1_no_think", "")),
        (("--prompt", "time_r1_no_think", "--no-thinking"), ("time_r1_no_think", "")),
        (("--prompt", "time_r1_no_think", "--thinking"), ("time_r1", "")),
        (("--prompt", "question", "--thinking"), ("question_think", "")),
        (("--prompt", "timelens", "--no-thinking"), ("timelens", "")),
        (("--prompt", "tvg_r1_qa", "--thinking"), ("tvg_r1_qa", "")),
    ],
)
def test_thinking_on_and_off(arguments, asked):
    assert settings(*arguments).asked_with == asked


def test_thinking_that_no_prompt_asks_for(capsys):
    assert cli.main(["eval", "charades_sta", "--model", "m", "--data", "d", "--prompt", "timelens", "--thinking"]) == 2
    assert "thinking: prompt 'timelens' asks for none" in capsys.readouterr().err


def test_the_parser_goes_with_the_prompt():
    assert settings().read_with == "any" and settings("--prompt", "time_r1").read_with == "words"
    assert settings("--prompt", "time_r1", "--parser", "time").read_with == "time"


def test_options_over_a_file_over_the_benchmarks_own(tmp_path):
    assert settings().frames.num_frames == 64 and settings().decoding.max_new_tokens == 2048
    file = tmp_path / "own.yaml"
    file.write_text("prompt: timelens\nframes: {num_frames: 8}\nmodel: other\n")
    config = settings(
        "--config", str(file), "--prompt", "time_r1", "--set", "decoding.max_new_tokens=7", "dtype=bfloat16"
    )
    assert (config.prompt, config.frames.num_frames, config.model, config.dtype) == ("time_r1", 8, "m", "bfloat16")
    assert config.frames.min_pixels == 3136 and config.decoding.max_new_tokens == 7 and config.decoding.greedy
    save_config(config, tmp_path / "kept.yaml")
    again = build_parser().parse_args(["eval", "charades_sta", "--config", str(tmp_path / "kept.yaml")])
    assert _config(again) == config
    assert settings("--frames", "qwen_vl_utils").frames.num_frames is None


def test_an_unknown_key_is_named(capsys):
    assert cli.main(["eval", "charades_sta", "--model", "m", "--data", "d", "--set", "frame.fps=2"]) == 2
    assert "unknown key frame" in capsys.readouterr().err


def test_written_times_and_an_empty_thinking_reach_the_model(tmp_path, clips, grounder):
    from eval_runs import charades, rows, run

    path = charades(tmp_path, clips[:2])
    plain = run("charades_sta", grounder, path, tmp_path / "Charades_v1", tmp_path / "a")
    other = ("--written-times", "--no-thinking")
    told = run("charades_sta", grounder, path, tmp_path / "Charades_v1", tmp_path / "b", *other)
    tokens = [summary["input"]["prompt_tokens"]["mean"] for summary in (plain, told)]
    assert tokens[1] > tokens[0] + 4 and told["run"]["written_times"] and told["run"]["prefill"] == EMPTY_THINKING
    assert plain["run"]["prompt_sha256"] != told["run"]["prompt_sha256"]
    first, second = (rows(tmp_path / name / "results.jsonl")[0]["answers"]["interval"] for name in "ab")
    assert first["prompt_sha256"] != second["prompt_sha256"]
    assert json.loads((tmp_path / "b" / "run.json").read_text())["prefill"] == EMPTY_THINKING
