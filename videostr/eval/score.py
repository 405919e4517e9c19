"""Run a policy over samples and keep every answer with its score, or the scores' averages alone.

Evaluation is one greedy answer a sample, difficulty is k sampled ones.

Rows are written batch by batch, so a killed run repeats at most one batch; batches are fixed by position, so a resumed
run computes what an uninterrupted one would have.
"""

import glob
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object

from videostr import atomic
from videostr.data.samples import Sample
from videostr.eval.task import Task
from videostr.rewards import score_answers
from videostr.rollout import SamplingParams, sample_groups
from videostr.training.metrics import read_rows
from videostr.training.order import group_seed
from videostr.training.prompter import Prompter


def score_samples(
    prompter: Prompter,
    samples: Sequence[Sample],
    task: Task,
    *,
    answers: int,
    params: SamplingParams,
    seed: int,
    batch_size: int,
    path: Path,
    accelerator: Accelerator,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[dict]:
    """One row an answer, in the samples' order, written to `path` (JSON lines) and returned.

    A row: id, video, query, spans, duration, answer (0 … answers-1), text, reason, reward, and what `task.rows` adds.
    Samples whose video cannot be read have no row; they are listed in `prompter.skipped`.
    Continues from the part files that a killed call left beside `path`; a complete `path` is returned as it is.
    """
    if path.exists():
        return read_rows(path)
    rank, world = accelerator.process_index, accelerator.num_processes
    part_path = path.with_name(f"{path.name}.part{rank}of{world}")
    path.parent.mkdir(parents=True, exist_ok=True)
    batches = _batches(samples, batch_size)
    mine = list(range(len(batches)))[rank::world]
    # A killed call may have cut the samples into other batches.
    same = {index: [sample.id for sample in batches[index]] for index in mine}
    done = [line for line in read_rows(part_path) if line["ids"] == same.get(line["batch"])]
    finished = {line["batch"] for line in done}
    atomic.write_text(part_path, "".join(json.dumps(line) + "\n" for line in done))
    with part_path.open("a") as part:
        for position, index in enumerate(mine):
            if index not in finished:
                rows = _score_batch(prompter, batches[index], task, answers, params, seed, accelerator)
                part.write(json.dumps({"batch": index, "ids": same[index], "rows": rows}) + "\n")
                part.flush()
            if on_batch is not None:
                on_batch(position + 1, len(mine))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        parts = [path.with_name(f"{path.name}.part{r}of{world}") for r in range(world)]
        lines = sorted((line for part in parts for line in read_rows(part)), key=lambda line: line["batch"])
        atomic.write_text(path, "".join(json.dumps(row) + "\n" for line in lines for row in line["rows"]))
        for part in path.parent.glob(f"{glob.escape(path.name)}.part*"):  # those of another number of processes too
            part.unlink()
    accelerator.wait_for_everyone()
    return read_rows(path)


def held_out_scores(
    prompter: Prompter,
    samples: Sequence[Sample],
    task: Task,
    *,
    max_new_tokens: int,
    seed: int,
    batch_size: int,
    accelerator: Accelerator,
) -> dict[str, float]:
    """The metrics in `task.curve` of greedy answers, from the same batches as `score_samples` with `answers=1`.

    Nothing is written. {} when no video can be read. All processes call it and get the same.
    """
    params = SamplingParams(greedy=True, max_new_tokens=max_new_tokens)
    mine = _batches(samples, batch_size)[accelerator.process_index :: accelerator.num_processes]
    rows = [row for batch in mine for row in _score_batch(prompter, batch, task, 1, params, seed, accelerator)]
    rows = gather_object(rows)
    if not rows:
        return {}
    metrics = task.metrics(rows)
    return {name: metrics[name] for name in task.curve if name in metrics}


def _batches(samples: Sequence[Sample], size: int) -> list[Sequence[Sample]]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def _score_batch(
    prompter: Prompter,
    samples: Sequence[Sample],
    task: Task,
    answers: int,
    params: SamplingParams,
    seed: int,
    accelerator: Accelerator,
) -> list[dict]:
    kept, prompts = prompter.readable(samples)
    if not kept:
        return []
    seeds = [group_seed(seed, 0, sample.id) for sample in kept]
    with accelerator.autocast():
        groups = sample_groups(prompter.policy, prompts, answers, params, seeds)
    rows = []
    for sample, completions in zip(kept, groups, strict=True):
        texts, tokens = [c.text for c in completions], [len(c.ids_L) for c in completions]
        scored = score_answers(task.reward, sample, texts, tokens)
        for number, own in enumerate(task.rows(sample, texts, scored)):
            rows.append(
                {
                    "id": sample.id,
                    "video": sample.video,
                    "query": sample.query,
                    "spans": [list(s) for s in sample.spans],
                    "duration": sample.duration,
                    "answer": number,
                    "text": texts[number],
                    "reason": scored.reasons[number],
                    "reward": float(scored.total_N[number]),
                }
                | own
            )
    return rows
