"""The annotator against a real HTTP server on loopback: its faults, and a program that is killed."""

import base64
import io
import json
import signal
import subprocess
import sys
import time

import pytest
from annotate_endpoint import TEXT, Endpoint
from PIL import Image

from videostr.cli import main
from videostr.data import Sample, read_samples, write_samples
from videostr.data.annotate import AnnotateError, Journal, JournalError, Prices, Settings, annotate, side_files
from videostr.data.annotate.ask import request_body
from videostr.data.annotate.client import read_response, retry_after
from videostr.data.prompts import PROMPTS, SYSTEM
from videostr.data.world import WorldConfig, write_world
from videostr.video import FramePolicy
from videostr.video.jpeg import jpeg_frames

SAMPLES = [Sample(f"s{n}", f"/v/{n}.mp4", f"sentence {n}", ((2.0, 6.0),), 10.0, meta={"n": n}) for n in range(6)]


def frames(path):
    return [(0.0, b"first"), (2.5, b"second")]


def run(tmp_path, endpoint, samples=SAMPLES, frames=frames, **settings):
    settings = {"model": "m", "concurrency": 2, "backoff": (0.01, 0.02), "timeout": 5.0} | settings
    return annotate(samples, tmp_path / "out.jsonl", Settings(endpoint.url, **settings), frames, api_key="secret")


def records(tmp_path):
    return [json.loads(line) for line in side_files(tmp_path / "out.jsonl")["journal"].read_text().splitlines()]


def test_asks_once_and_writes_what_came(tmp_path):
    with Endpoint() as endpoint:
        report = run(tmp_path, endpoint, prices=Prices(2.0, 10.0), options={"max_tokens": 7, "seed": None})
        assert (report["answered"], report["left"], report["stopped"]) == (6, 0, None)
        assert report["tokens"] == {"prompt": 6000, "completion": 300, "unknown": 0}
        assert report["cost"] == pytest.approx({"prompt": 0.012, "completion": 0.003, "total": 0.015, "wasted": 0.0})
        path, headers, body = endpoint.requests[0]
        assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer secret"
        assert body["model"] == "m" and body["max_tokens"] == 7 and "seed" not in body
        system, user = body["messages"]
        kinds = [part["type"] for part in user["content"]]
        assert kinds == ["text", "image_url", "text", "image_url", "text"] and "seconds" in system["content"]
        assert [user["content"][n]["text"] for n in (0, 2)] == ["0", "2.5"]
        assert 'describes: "sentence ' in user["content"][4]["text"]
        url = user["content"][3]["image_url"]["url"]
        assert url == "data:image/jpeg;base64," + base64.b64encode(b"second").decode()
        written = read_samples(tmp_path / "out.jsonl")
        assert [s.id for s in written] == [s.id for s in SAMPLES] and {s.response for s in written} == {TEXT}
        assert written[3].meta == {"n": 3, "annotator": {"model": "served", "finish": "stop", "prompt": "tvg_think"}}
        # Again: nothing is asked. New samples are.
        assert run(tmp_path, endpoint, options={"max_tokens": 7, "seed": None})["answered"] == 6
        assert len(endpoint.requests) == 6
        more = [*SAMPLES, Sample("new", "/v/1.mp4", "more", ((0.0, 1.0),))]
        assert run(tmp_path, endpoint, more, options={"max_tokens": 7, "seed": None})["answered"] == 7
        assert len(endpoint.requests) == 7 and max(endpoint.billed.values()) == 1
        # Another question is another journal.
        with pytest.raises(JournalError, match="prompt: 'tvg_think' there, 'tvg_no_think' now"):
            run(tmp_path, endpoint, prompt="tvg_no_think", options={"max_tokens": 7, "seed": None})
    everything = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "secret" not in everything


@pytest.mark.parametrize("prompt", [name for name in PROMPTS if not name.startswith("video_")])
def test_every_prompt_can_be_asked(prompt):
    seen = [(0.0, b"first"), (2.5, b"second")]
    system, user = request_body(SAMPLES[0], seen, model="m", prompt=prompt, options={})["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert (
        "Before each frame stands its time" in system["content"]
        and SYSTEM.get(prompt, "").strip() in (system["content"])
    )
    assert [part["type"] for part in user["content"]].count("image_url") == 2
    text = "".join(part.get("text", "") for part in user["content"])
    assert "sentence 0" in text and text.index("0") < text.index("2.5")


def test_faults_are_waited_for_and_counted(tmp_path):
    faults = [
        (429, {"Retry-After": "0.6"}, "slow down"),
        (500, {}, "oops"),
        "cut",
        "not json",
        '{"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}',
        "hang",
        (503, {}, ""),
    ]
    with Endpoint(faults) as endpoint:
        report = run(tmp_path, endpoint, SAMPLES[:1], timeout=0.3, retries=7, prices=Prices(1e6, 1e6))
        assert report["answered"] == 1 and len(endpoint.requests) == 8 and set(endpoint.keys.values()) == {8}
        assert endpoint.times[1] - endpoint.times[0] >= 0.6
    errors = {"http_429": 1, "http_500": 1, "http_503": 1, "connection": 1, "malformed": 2, "timeout": 1}
    assert report["requests"]["errors"] == errors and report["requests"]["started"] == 8
    assert report["requests"]["unknown"] == 2  # what broke off, and what did not come in time
    assert report["tokens"] == {"prompt": 1010, "completion": 55, "unknown": 1}
    assert report["cost"]["wasted"] == 15 and report["cost"]["total"] == 1065
    kinds = [record["type"] for record in records(tmp_path)]
    assert kinds == ["settings", *["start", "error"] * 7, "start", "answer"]


def test_a_sample_that_fails_is_given_up_and_not_paid_again(tmp_path):
    with Endpoint([(400, {}, "too many images")], message={"content": TEXT}) as endpoint:
        report = run(tmp_path, endpoint, concurrency=1)
        assert (report["answered"], report["failed"], report["left"]) == (5, {"http_400": 1}, 0)
        assert len(read_samples(tmp_path / "out.jsonl")) == 5
        run(tmp_path, endpoint)
        assert len(endpoint.requests) == 6
        assert run(tmp_path, endpoint, retry_failed=True)["answered"] == 6
        assert len(endpoint.requests) == 7


def test_an_empty_answer_is_paid_and_not_repeated(tmp_path):
    with Endpoint(message={"content": None}) as endpoint:
        report = run(tmp_path, endpoint, SAMPLES[:2], prices=Prices(1.0, 1.0))
    assert report["failed"] == {"empty": 2} and report["cost"]["wasted"] == report["cost"]["total"] > 0
    assert report["files"]["samples"] is None and not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ((401, {}, "bad key"), "http_401: bad key"),
        ((429, {}, '{"error": {"code": "insufficient_quota"}}'), "insufficient_quota"),
        ((404, {}, "no such model"), "no such model"),
    ],
)
def test_what_no_request_would_get_past_ends_the_run(tmp_path, fault, says):
    with Endpoint([fault]) as endpoint:
        with pytest.raises(AnnotateError, match=says):
            run(tmp_path, endpoint, concurrency=1)
        assert len(endpoint.requests) == 1
        assert run(tmp_path, endpoint)["answered"] == 6  # nobody was given up


def test_many_failures_in_a_row_end_the_run(tmp_path):
    with Endpoint([(422, {}, "no images here")] * 9) as endpoint:
        with pytest.raises(AnnotateError, match="3 samples in a row failed, last with http_422: no images here"):
            run(tmp_path, endpoint, concurrency=1, give_up_after=3)
        assert len(endpoint.requests) == 3
    url = endpoint.url  # nobody listens there any more
    with pytest.raises(AnnotateError, match="connection"):
        annotate(SAMPLES, tmp_path / "n.jsonl", Settings(url, "m", retries=0, give_up_after=2), frames)


def test_limits_of_samples_and_money(tmp_path):
    with Endpoint() as endpoint:
        # At a pace at which some of the workers still wait when the others find nothing more to do.
        report = run(tmp_path, endpoint, limit=2, requests_per_minute=300, concurrency=4)
        assert (report["answered"], report["left"], report["stopped"]) == (2, 4, "limit of 2 samples")
        prices = Prices(1000.0, 0.0)  # an answer costs 1
        report = run(tmp_path, endpoint, prices=prices, max_cost=4.0, concurrency=1)
        assert report["answered"] == 4 and report["stopped"] == "max_cost of 4.0 reached"
        assert len(endpoint.requests) == 4


def test_thinking_that_the_server_split_off_is_put_back(tmp_path):
    message = {"content": "<time>[2, 6]</time>", "reasoning_content": "It begins \ud800at two.\n"}
    with Endpoint(message=message) as endpoint:
        run(tmp_path, endpoint, SAMPLES[:1])
    (sample,) = read_samples(tmp_path / "out.jsonl")
    assert sample.response == "<think>It begins ?at two.</think><time>[2, 6]</time>"


class Unreadable(Exception):
    reason = "corrupt"


def test_unreadable_videos_are_counted_and_cost_nothing(tmp_path):
    def some(path):
        if "3" in path:
            raise Unreadable
        return frames(path)

    with Endpoint() as endpoint:
        report = run(tmp_path, endpoint, frames=some)
        assert report["answered"] == 5 == len(endpoint.requests) and report["unreadable"] == {"corrupt": 1}
        assert report["unreadable_videos"] == [{"path": "/v/3.mp4", "reason": "corrupt"}] and report["left"] == 0


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    config = WorldConfig(side=48, min_duration=5, max_duration=5)
    return [sample.video for sample in write_world(folder, 1, 0, config, "c")]


def test_frames_are_the_plans(clips):
    policy = FramePolicy(num_frames=4, min_pixels=784, max_pixels=56 * 56)
    out = jpeg_frames(clips[0], policy)
    assert [round(seconds, 1) for seconds, _ in out] == pytest.approx([0.0, 1.6, 3.3, 4.9], abs=0.2)
    assert Image.open(io.BytesIO(out[0][1])).size == (56, 56)
    with pytest.raises(ValueError, match="quality"):
        jpeg_frames(clips[0], policy, 0)


@pytest.mark.slow
@pytest.mark.parametrize("honours_keys", [True, False])
def test_kill_9_neither_loses_nor_repeats_a_paid_answer(tmp_path, clips, honours_keys):
    samples = [Sample(f"s{n}", clips[0], f"sentence {n}", ((1.0, 2.0),), 5.0) for n in range(40)]
    write_samples(tmp_path / "in.jsonl", samples)
    out, concurrency = tmp_path / "out.jsonl", 4
    with Endpoint(delay=0.05, honours_keys=honours_keys) as endpoint:
        command = ["data", "annotate", str(tmp_path / "in.jsonl"), "--out", str(out), "--endpoint", endpoint.url]
        command += ["--model", "m", "--frames", "2", "--pixels", "784", "--concurrency", str(concurrency)]
        command += ["--price-prompt", "1000", "--price-completion", "0"]
        for stop in (9, 25):
            process = subprocess.Popen([sys.executable, "-m", "videostr.cli", *command])
            deadline = time.monotonic() + 120
            while len(endpoint.requests) < stop and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            kept = {record["key"] for record in records(tmp_path) if record["type"] == "answer"}
            asked = {key: endpoint.keys[key] for key in kept}
            with open(side_files(out)["journal"], "a") as file:
                file.write('{"type": "answer", "ke')  # as a kill in the middle of a line leaves it
        started = len(endpoint.requests)
        assert main(command) == 0
        assert {key: endpoint.keys[key] for key in kept} == asked  # what was answered is not asked again
        assert len(endpoint.requests) - started == 40 - len(kept)
        billed = sum(endpoint.billed.values())
        assert billed == 40 if honours_keys else 40 <= billed <= 40 + 2 * concurrency
    assert [s.id for s in read_samples(out)] == [s.id for s in samples]
    report = json.loads(side_files(out)["report"].read_text())
    assert report["answered"] == 40 and report["cost"]["total"] == 40
    assert report["requests"]["unknown"] == report["requests"]["started"] - 40 <= 2 * concurrency


def test_what_was_in_flight_may_be_left_alone(tmp_path):
    with Endpoint() as endpoint:
        settings = Settings(endpoint.url, "m")
        run(tmp_path, endpoint, limit=1, concurrency=1)
        journal = side_files(tmp_path / "out.jsonl")["journal"]
        (key,) = endpoint.keys
        lines = journal.read_text().splitlines()
        journal.write_text("\n".join(lines[:2]) + "\n")  # the answer never came
        report = run(tmp_path, endpoint, in_doubt="leave")
        assert (report["answered"], report["left_in_doubt"], report["left"]) == (5, 1, 0)
        assert report["requests"]["unknown"] == 1 and endpoint.keys[key] == 1
        report = run(tmp_path, endpoint)
        assert report["answered"] == 6 and endpoint.keys[key] == 2 and endpoint.billed[key] == 1
        assert report["requests"]["unknown"] == 1 and report["requests"]["in_doubt_before"] == 1
        other = Journal(journal, settings.asked())
        with pytest.raises(JournalError, match="another process"):
            run(tmp_path, endpoint)
        other.close()


def test_ctrl_c_waits_for_what_is_in_flight(tmp_path, clips):
    write_samples(tmp_path / "in.jsonl", [Sample(f"s{n}", clips[0], f"q {n}", ((1.0, 2.0),)) for n in range(99)])
    with Endpoint(delay=0.3) as endpoint:
        command = ["data", "annotate", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl")]
        command += ["--endpoint", endpoint.url, "--model", "m", "--frames", "2", "--concurrency", "3"]
        process = subprocess.Popen([sys.executable, "-m", "videostr.cli", *command], stdout=subprocess.PIPE, text=True)
        while len(endpoint.requests) < 4 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=60)[0]
    assert process.returncode == 0 and "stopped: interrupted" in text
    kinds = [record["type"] for record in records(tmp_path)]
    assert kinds.count("start") == kinds.count("answer") == len(read_samples(tmp_path / "out.jsonl")) < 99


def test_a_broken_journal_is_not_overwritten(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text('{"type": "settings", "settings": {}}\nnonsense\n{"type": "start", "key": "a"}\n')
    before = path.read_bytes()
    with pytest.raises(JournalError, match="j.jsonl, line 2: no record"):
        Journal(path, {})
    assert path.read_bytes() == before


def test_wrong_arguments(tmp_path, capsys):
    write_samples(tmp_path / "in.jsonl", SAMPLES[:1])
    command = ["data", "annotate", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "o.jsonl"), "--model", "m"]
    url = "http://127.0.0.1:9/v1"
    for wrong, says in (
        (["--endpoint", "localhost:8000"], "endpoint: expected a URL"),
        (["--endpoint", url, "--prompt", "x"], "prompt: expected one of"),
        (["--endpoint", url, "--concurrency", "0"], "concurrency: expected at least 1"),
        (["--endpoint", url, "--rpm", "0"], "per_minute: expected a number above 0"),
        (["--endpoint", url, "--max-cost", "1"], "max_cost: needs the prices"),
        (["--endpoint", url, "--price-prompt", "1"], "give both or none"),
        (["--endpoint", url, "--body", "[1]"], "--body: expected an object"),
        (["--endpoint", url, "--frames", "0"], "num_frames: expected a positive int"),
        (["--endpoint", url, "--out", str(tmp_path / "in.jsonl")], "in.jsonl is also a source"),
    ):
        assert main([*command, *wrong]) == 2
        assert says in capsys.readouterr().err


def test_retry_after_is_seconds_or_a_date():
    assert retry_after("1.5") == 1.5 and retry_after("-3") == 0 and retry_after("soon") is None
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now=1445412470) == 10
    assert retry_after(None) is None and retry_after("nan") is None and retry_after("1e300") is None


class Response:
    def __init__(self, body):
        self.text, self.content = json.dumps(body), json.dumps(body).encode()

    def json(self):
        return json.loads(self.text)


@pytest.mark.parametrize(
    "body",
    [
        None, 7, [], {}, {"choices": None}, {"choices": [None]}, {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 7}}]}, {"choices": [{"message": {"content": [7]}}]},
        {"choices": [{"message": {"content": [{"type": "text"}]}}], "usage": {"prompt_tokens": "x"}},
        {"choices": [{"message": "x"}]}, {"choices": {"0": 1}},
    ],
)  # fmt: skip
def test_no_response_raises(body):
    assert read_response(200, {}, Response(body)).reason == "malformed"
