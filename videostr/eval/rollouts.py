"""Sampled answers to every sample, kept by model and by what was asked: how hard a sample is for a model.

A store is a folder, of one model hash and one hash of everything else that decides an answer (see `store_name`). In it
every process appends to a file of its own, one line a sample, so that a killed run has lost at most the batch it was
at, and any number of processes goes on with any batch size. More samples, or another choice among them, score only
what is new.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from accelerate import Accelerator

from videostr import atomic
from videostr.data.difficulty import RolloutScore
from videostr.data.samples import Sample
from videostr.eval import score as scoring
from videostr.eval.task import Task
from videostr.fingerprint import digest
from videostr.rollout import SamplingParams
from videostr.training.metrics import read_rows
from videostr.training.prompter import Prompter

KEPT = ("answer", "text", "pred", "reason", "iou", "reward")  # of a row of `score_samples`; the rest is the sample's


def store_name(model: str, prompt: object, sampling: object) -> str:
    """MODEL-PROMPT-SAMPLING, 12 hexadecimal digits each.

    model: hash of the weights. prompt: what is shown and asked. sampling: how answers are drawn and scored. Both
    anything that JSON can say.
    """
    return "-".join([model[:12], digest(prompt)[:12], digest(sampling)[:12]])


def sample_key(sample: Sample) -> str:
    """A sample's scores hold while its sentence, its intervals and its video's name stay the same."""
    return digest([sample.id, PurePath(sample.video).name, sample.query, sample.spans, sample.duration])


class RolloutStore:
    """The scored samples of a folder. about: what the folder's name stands for, written as about.json for people."""

    def __init__(self, folder: Path, about: Mapping[str, Any] | None = None):
        self.folder, self.about = folder, about

    def read(self) -> dict[str, list[dict]]:
        """Sample key -> a row an answer (`KEPT`), in the order of the answers."""
        lines = (line for file in sorted(self.folder.glob("*of*.jsonl")) for line in read_rows(file))
        return {line["key"]: line["rows"] for line in lines}

    def score(
        self,
        prompter: Callable[[], Prompter],
        samples: Sequence[Sample],
        task: Task,
        *,
        answers: int,
        params: SamplingParams,
        seed: int,
        batch_size: int,
        accelerator: Accelerator,
        on_batch: Callable[[int, int], None] | None = None,
    ) -> list[RolloutScore]:
        """Score what is not there yet, and return all. Samples whose video cannot be read have no score; they are in
        `prompter.skipped`. All processes call it and get the same.

        prompter: called where something is to be scored. on_batch: called with (batches done, batches) of this process.
        """
        keys = {sample.id: sample_key(sample) for sample in samples}
        known = self.read()
        batches = [samples[start : start + batch_size] for start in range(0, len(samples), batch_size)]
        # Cut by position before what is known is left out: a resumed run scores the batches of an uninterrupted one.
        todo = [[sample for sample in batch if keys[sample.id] not in known] for batch in batches]
        todo = [batch for batch in todo if batch]
        accelerator.wait_for_everyone()  # nobody writes before all have read
        if todo:
            if accelerator.is_main_process and self.about is not None:
                atomic.write_json(self.folder / "about.json", self.about, indent=None)
            mine = todo[accelerator.process_index :: accelerator.num_processes]
            self._score(prompter(), mine, keys, task, answers, params, seed, accelerator, on_batch)
            accelerator.wait_for_everyone()
            known = self.read()
        scored = ((sample, known.get(keys[sample.id])) for sample in samples)
        return [
            RolloutScore(sample.id, tuple(row["iou"] for row in rows), sample.duration)
            for sample, rows in scored
            if rows
        ]

    def _score(
        self,
        prompter: Prompter,
        batches: Sequence[Sequence[Sample]],
        keys: Mapping[str, str],
        task: Task,
        answers: int,
        params: SamplingParams,
        seed: int,
        accelerator: Accelerator,
        on_batch: Callable[[int, int], None] | None,
    ) -> None:
        rank, world = accelerator.process_index, accelerator.num_processes
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f"{rank}of{world}.jsonl", "ab+") as file:
            _cut_last_line(file)
            for done, batch in enumerate(batches, start=1):
                rows: dict[str, list[dict]] = {}
                for row in scoring._score_batch(prompter, batch, task, answers, params, seed, accelerator):
                    rows.setdefault(row["id"], []).append({name: row[name] for name in KEPT})
                lines = [{"key": keys[name], "id": name, "rows": of_sample} for name, of_sample in rows.items()]
                # One write: a kill leaves the whole batch or none of it. Its numbers depend, in the last digits, on all
                # that is in it.
                file.write("".join(json.dumps(line) + "\n" for line in lines).encode("ascii"))
                file.flush()
                if on_batch is not None:
                    on_batch(done, len(batches))
            os.fsync(file.fileno())


def _cut_last_line(file: Any) -> None:
    """Forget a line that a kill cut short."""
    file.seek(0)
    data = file.read()
    file.truncate(data.rfind(b"\n") + 1)
