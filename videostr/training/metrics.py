"""One JSON object a step, appended to a file that survives being cut off at any byte."""

import json
from pathlib import Path

from videostr import atomic


def read_rows(path: Path) -> list[dict]:
    """The rows of a metrics file; a last line that a kill cut short is left out. No file: no rows."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class MetricsLog:
    """Appends rows with a "step" key; `rewind` forgets what came after a checkpoint."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def rewind(self, step: int) -> list[dict]:
        """Keep only rows of steps up to `step` and return them."""
        rows = [row for row in read_rows(self.path) if row["step"] <= step]
        atomic.write_text(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def append(self, row: dict) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
