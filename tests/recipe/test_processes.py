"""The whole recipe under torchrun with two processes computes what one does; one goes on where they stopped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recipe.runs import numbers, rows

SCRIPT = Path(__file__).with_name("rewarded.py")


@pytest.mark.slow
def test_two_processes(recipe, finished, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    command += ["--config", str(recipe.config), "--out", str(out)]
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    ours, theirs = numbers(out), numbers(finished)
    for name in theirs:
        if name.startswith("data/"):
            assert ours[name] == theirs[name], name
    for name in ("warmup", "sft", "rl"):
        ours_rows, theirs_rows = (rows(folder / f"metrics/{name}.jsonl") for folder in (out, finished))
        assert len(ours_rows) == len(theirs_rows)
        for one, other in zip(ours_rows, theirs_rows, strict=True):
            assert one.keys() == other.keys()
            for key in one.keys() - {"seconds", "mismatch_max", "mismatch_mean", "old_kl"}:
                assert one[key] == pytest.approx(other[key], rel=1e-3, abs=1e-5), (name, key)
    assert [row["id"] for row in ours["eval/rl.jsonl"]] == [row["id"] for row in theirs["eval/rl.jsonl"]]
    assert not list(out.rglob("*.part*"))
    summary = json.loads((out / "summary.json").read_text())
    assert list(summary["stages"]) == ["base", "sft", "rl"]
    # One process goes on where two stopped.
    shutil.rmtree(out / "models/rl")
    (out / "eval/rl.jsonl").unlink()
    assert recipe(out).status == 0
    assert (out / "models/rl/model.safetensors").exists()
