"""Recipe runs small enough for a test, and what is compared between them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MODEL = {"hidden": 32, "layers": 1, "heads": 2, "kv_heads": 1, "mlp": 32, "vision_hidden": 16, "vision_layers": 1}
MODEL |= {"vision_heads": 2, "vision_mlp": 16}
SETTINGS = {
    **{f"model.tiny.{name}": value for name, value in MODEL.items()},
    "data.cold_start_clips": 4,
    "data.train_clips": 4,
    "data.test_clips": 3,
    "data.world.side": 48,
    "data.world.min_duration": 5,
    "data.world.max_duration": 6,
    "data.world.things": [2],
    "prompt.frames.fps": 1.0,
    "warmup.steps": 3,
    "warmup.batch_size": 4,
    "warmup.loop.save_every": 2,
    "min_iou": 0.0,
    "sft.steps": 5,
    "sft.batch_size": 4,
    "sft.micro_batch": 2,
    "sft.loop.save_every": 2,
    "difficulty.sampler": "all",
    "difficulty.answers": 2,
    "grpo.steps": 5,
    "grpo.prompts_per_step": 4,
    "grpo.prompts_per_update": 2,
    "grpo.group_size": 3,
    "grpo.micro_batch": 1,
    "grpo.sampling.max_new_tokens": 8,
    "grpo.sampling.rollout_batch": 4,
    "grpo.loop.save_every": 2,
    "eval.max_new_tokens": 8,
    "eval.batch_size": 2,
}


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str


class Server:
    """A process that has imported everything and forks a child for every run (see server.py)."""

    def __init__(self, logs: Path):
        self.logs = logs
        self.config = logs / "small.yaml"
        self.config.write_text(json.dumps(nested(SETTINGS)))  # JSON is YAML
        environment = {name: value for name, value in os.environ.items() if name != "VIDEOSTR_TRACEBACK"}
        command = [sys.executable, str(Path(__file__).with_name("server.py"))]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )

    def __call__(self, out: Path, *arguments: str, sabotage: dict | None = None, report: bool = False) -> Result:
        """Run with SETTINGS, then `arguments` of the command line. report: also draw the page, which takes longest."""
        job = {"argv": ["--config", str(self.config), "--out", str(out), *arguments], "out": str(self.logs / "job")}
        self.process.stdin.write(json.dumps(job | {"sabotage": sabotage, "report": report}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the server of the recipe runs is gone"
        text = [Path(f"{job['out']}.{name}").read_text() for name in ("stdout", "stderr")]
        return Result(json.loads(answer)["status"], *text)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def numbers(out: Path) -> dict[str, object]:
    """Everything a run computed, without times: weights and samples as bytes, metrics and evaluations as rows."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if name.startswith("models/") and path.suffix == ".safetensors" or name.startswith("data/") and path.is_file():
            found[name] = path.read_bytes()
        elif name.startswith(("metrics/", "eval/", "difficulty/", "skipped/")) and path.suffix == ".jsonl":
            found[name] = [without_times(json.loads(line)) for line in path.read_text().splitlines()]
    summary = json.loads((out / "summary.json").read_text())
    found["summary"] = {
        name: without_times(summary[name]) for name in ("stages", "cold_start", "difficulty", "skipped")
    }
    return found


def nested(settings: dict) -> dict:
    tree = {}
    for key, value in settings.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[name] = value
    return tree


def without_times(value):
    if isinstance(value, dict):
        # Nor does a row depend on the directory in which its clip lies.
        ignored = ("seconds", "seconds_by_stage", "video")
        return {key: without_times(item) for key, item in value.items() if key not in ignored}
    return value


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
