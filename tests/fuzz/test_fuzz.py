"""A short run of the fuzz target, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

TARGET = Path(__file__).with_name("fuzz_rewards.py")


@pytest.mark.slow
def test_fuzzing_finds_nothing():
    pytest.importorskip("atheris", reason="atheris is not installed: pip install atheris")
    command = [sys.executable, TARGET, "-atheris_runs=1000", "-max_len=400", "-seed=1"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=TARGET.parent.parent.parent)
    assert result.returncode == 0, result.stderr[-2000:]
