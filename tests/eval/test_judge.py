"""The judge of free answers against a real HTTP server on loopback: ratings, faults, going on, nothing paid twice."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from eval_runs import rows, run, v_star

from videostr.eval.judge import JudgeConfig, ToRate, rate, read_rating
from videostr.eval.results import EvalError


class Judge:
    """Rates by `say` (candidate -> text); faults: (status, body) for the first requests, in order."""

    def __init__(self, say, faults=()):
        self.say, self.faults, self.asked, self.bodies = say, list(faults), Counter(), []
        self.lock = threading.Lock()
        judge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                user = body["messages"][1]["content"]
                candidate = user.split("Candidate answer: ")[1].split("\nYour response")[0]
                with judge.lock:
                    judge.bodies.append((self.path, self.headers.get("Authorization"), body))
                    status, text = judge.faults.pop(0) if judge.faults else (200, None)
                    judge.asked[candidate] += status == 200
                choice = {"message": {"role": "assistant", "content": judge.say(candidate)}, "finish_reason": "stop"}
                usage = {"prompt_tokens": 200, "completion_tokens": 1}
                data = (text or json.dumps({"model": "judge", "choices": [choice], "usage": usage})).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


def item(number, candidate):
    return ToRate(f"s{number}", "what", "What is it?", "a dog", candidate)


def test_ratings_faults_and_what_is_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "k-1")
    said = {"a dog": "3", "a cat": "<think>no</think> 1", "perhaps": "Rating: 2"}
    with Judge(said.get, faults=[(429, "slow down"), (200, "<html>")]) as judge:
        config = JudgeConfig(judge.url, "m", "JUDGE_KEY", concurrency=1)
        items = [item(0, "a dog"), item(1, "a cat"), item(2, "perhaps"), item(3, " "), item(4, "a dog")]
        got = rate(items, config, tmp_path / "judge.jsonl")
    assert {name: ratings["what"] for name, ratings in got.items()} == {"s0": 3, "s1": 1, "s2": -1, "s3": 0, "s4": 3}
    path, key, body = judge.bodies[-1]
    assert path == "/v1/chat/completions" and key == "Bearer k-1" and body["temperature"] == 0 and body["model"] == "m"
    assert body["messages"][0]["content"].strip().startswith("As an AI assistant, your task is to evaluate")
    assert body["messages"][1]["content"] == (
        "Question: What is it?\nGroundtruth answer: a dog\nCandidate answer: perhaps\nYour response: "
    )


def test_a_refused_run_goes_on_and_pays_for_nothing_twice(tmp_path):
    items = [item(number, f"candidate {number}") for number in range(6)]
    path = tmp_path / "judge.jsonl"
    with Judge(lambda candidate: "2") as judge:
        judge.faults = [(200, None), (200, None), (401, "who are you?")]
        config = JudgeConfig(judge.url, "m", concurrency=1)
        with pytest.raises(EvalError, match="http_401: who are you"):
            rate(items, config, path)
        # A kill in the middle of a line.
        path.write_bytes(path.read_bytes() + b'{"type": "answer", "key": "x", "te')
        assert all(ratings == {"what": 2} for ratings in rate(items, config, path).values())
        assert sorted(judge.asked.values()) == [1] * 6
        rate(items, config, path)
        assert sum(judge.asked.values()) == 6


def test_one_refused_request_is_no_rating_and_is_asked_again(tmp_path):
    items, path = [item(number, f"candidate {number}") for number in range(3)], tmp_path / "judge.jsonl"
    with Judge(lambda candidate: "2", faults=[(400, "content filter")]) as judge:
        config = JudgeConfig(judge.url, "m", concurrency=1)
        assert [ratings["what"] for ratings in rate(items, config, path).values()] == [-1, 2, 2]
        assert [ratings["what"] for ratings in rate(items, config, path).values()] == [2, 2, 2]
        assert sorted(judge.asked.values()) == [1] * 3
        judge.faults = [(400, "no such field: max_tokens")] * 3
        with pytest.raises(EvalError, match="every request was refused, the first with http_400: no such field"):
            rate(items, config, tmp_path / "other.jsonl")


@pytest.mark.parametrize(
    ("text", "rating"),
    [("3", 3), (" 0\n", 0), ("<think>2</think>1", 1), ("4", -1), ("3.", -1), ("", -1), ("Score: 3", -1), ("³", -1)],
)
def test_a_rating_is_a_number_from_0_to_3_and_nothing_else(text, rating):
    assert read_rating(text) == rating


def test_v_star_with_a_judge(tmp_path, clips, grounder, capsys):
    path = v_star(tmp_path, clips)
    with Judge(lambda candidate: "2") as judge:
        more = ("--set", f"judge.url={judge.url}", "judge.model=m")
        summary = run("v_star", grounder, path, tmp_path / "videos", tmp_path / "out", *more)
        run("v_star", grounder, path, tmp_path / "videos", tmp_path / "out", *more)
    metrics = {name: metric["value"] for name, metric in summary["metrics"].items()}
    assert metrics["acc"] == pytest.approx(4 / 5) and summary["judge"] == {"model": "m"}
    assert metrics["mam"] == pytest.approx((metrics["am_1"] + metrics["am_2"]) / 2)
    assert metrics["am_1"] == pytest.approx((4 / 5 + metrics["m_tiou_1"] + metrics["m_viou_1"]) / 3)
    results = rows(tmp_path / "out" / "results.jsonl")
    assert [row["judged"] for row in results] == [{"what": 2}] * 4 + [{}]
    assert set(judge.asked.values()) == {1}  # equal questions and answers, and both runs: each is asked once
    assert "judge       m" in capsys.readouterr().out


def test_wrong_settings_are_named():
    for settings, message in (({"concurrency": 0}, "judge.concurrency"), ({"retries": -1}, "judge.retries")):
        with pytest.raises(ValueError, match=message):
            JudgeConfig("http://x/v1", **settings)
