"""The whole recipe under torchrun with two processes; one goes on where they stopped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recipe.runs import numbers, rows

SCRIPT = Path(__file__).parents[2] / "recipes/vtg_two_stage.py"


@pytest.mark.slow
def test_two_processes(recipe, finished, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    command += ["--config", str(recipe.config), "--out", str(out), "--set", "grpo.advantage.gate=reward"]
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    ours, theirs = numbers(out), numbers(finished)
    for name in theirs:
        if name.startswith("data/"):
            assert ours[name] == theirs[name], name
    assert [row["id"] for row in ours["eval/rl.jsonl"]] == [row["id"] for row in theirs["eval/rl.jsonl"]]
    for name in ("warmup", "sft"):
        losses = [[row["loss"] for row in rows(folder / f"metrics/{name}.jsonl")] for folder in (out, finished)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-2), name
    assert len(rows(out / "metrics/rl.jsonl")) == 5
    assert not list(out.rglob("*.part*"))
    summary = json.loads((out / "summary.json").read_text())
    assert list(summary["stages"]) == ["base", "sft", "rl"]
    # One process goes on where two stopped.
    shutil.rmtree(out / "models/rl")
    (out / "eval/rl.jsonl").unlink()
    assert recipe(out, "--set", "grpo.advantage.gate=reward").status == 0
    assert (out / "models/rl/model.safetensors").exists()
