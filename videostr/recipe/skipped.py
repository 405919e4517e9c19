"""The videos a run could not read, remembered over kills."""

import json
from pathlib import Path

from accelerate import Accelerator

from videostr import atomic
from videostr.training.metrics import read_rows
from videostr.video import SkippedVideos, VideoError


class SkippedLog(SkippedVideos):
    """SkippedVideos that also writes a file of this process in `directory`, so that a resumed run still knows them."""

    def __init__(self, directory: Path, accelerator: Accelerator):
        super().__init__()
        self.directory, self.accelerator = directory, accelerator

    def add(self, error: VideoError) -> None:
        if error.path not in self:
            super().add(error)
            file = self.directory / f"{self.accelerator.process_index}.jsonl"
            rows = [*read_rows(file), {"path": error.path, "reason": error.reason}]
            atomic.write_text(file, "".join(json.dumps(row) + "\n" for row in rows))

    def of_all_processes(self) -> list[dict[str, str]]:
        """Every video that any process skipped in this run or before it was killed, sorted. All processes call it."""
        self.accelerator.wait_for_everyone()
        rows = [row for file in sorted(self.directory.glob("*.jsonl")) for row in read_rows(file)]
        return [
            {"path": path, "reason": reason} for path, reason in sorted({r["path"]: r["reason"] for r in rows}.items())
        ]
