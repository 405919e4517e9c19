"""OUT/index.html of an evaluation (to come)."""

from pathlib import Path


def write_evaluation_page(out) -> Path:
    return Path(out) / "index.html"
