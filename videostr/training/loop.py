"""The part of a training run that supervised and grouped training share: optimiser, schedule, checkpoints, resuming.

A checkpoint is a folder written under a temporary name and renamed when complete. A killed run goes on from the
newest one with the same numbers: data order and sampling depend only on the seed and the step (`training/order.py`),
and metrics that were written after the checkpoint are forgotten.

Mixed precision, DDP, FSDP2 and DeepSpeed come from accelerate: start the same script with `accelerate launch` or
`torchrun`.
"""

import contextlib
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn

from videostr import atomic
from videostr.model import Policy
from videostr.training.config import LoopConfig, OptimConfig
from videostr.training.metrics import MetricsLog, read_rows
from videostr.training.optimizer import lr_factor, make_optimizers
from videostr.training.sharding import (
    check_optimizers,
    check_sharding,
    configure_deepspeed,
    gather_weights,
    keep_models_whole,
    to_be_trained,
)

_CHECKPOINT = re.compile(r"step_(\d+)")


class TrainLoop:
    """Trains `module` for `total_steps` steps; each step may make several optimiser updates.

    Losses call `loop.module`, which is the module as accelerate prepared it. Where accelerate shards weights that is a
    copy, and the module given stays whole; `refresh` brings it up to date, as resuming and the end of the last step do.

    for step in loop.steps():          # 0-based, continues after the newest checkpoint
        ...
        grad_norm = loop.update(micro_batches, loss_of)
        loop.log({...})
    """

    def __init__(
        self,
        module: nn.Module,
        accelerator: Accelerator,
        *,
        name: str,
        out_dir: Path,
        total_steps: int,
        updates_per_step: int,
        optim: OptimConfig,
        loop: LoopConfig,
        evaluate: Callable[[], dict[str, float]] | None = None,
    ):
        self.accelerator = accelerator
        self.config = loop
        self.max_grad_norm = optim.max_grad_norm
        self.evaluate = evaluate
        self.total_steps = total_steps
        self.name = name
        self.checkpoints = out_dir / "checkpoints" / name
        self.metrics = MetricsLog(out_dir / "metrics" / f"{name}.jsonl")
        self.step = 0
        check_sharding(accelerator)
        trained = to_be_trained(module, accelerator)
        self._shards = None if trained is module else (trained, module)
        configure_deepspeed(accelerator, optim.max_grad_norm)
        optimizers = make_optimizers(trained, optim)
        check_optimizers(optimizers, accelerator)
        total_updates = total_steps * updates_per_step
        self.module, *self.optimizers = accelerator.prepare(trained, *optimizers)
        keep_models_whole(accelerator)
        # Not prepared by accelerate, which would advance it once per process: one call is one update here.
        self.schedules = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: lr_factor(update, total_updates, optim))
            for optimizer in optimizers
        ]
        accelerator.register_for_checkpointing(*self.schedules)
        if loop.trackers:
            accelerator.init_trackers("videostr")
        self.history: list[dict] = self._resume()
        self._started = time.perf_counter()

    def steps(self) -> Iterator[int]:
        """The steps still to do. Saves after every `save_every` steps and after the last one."""
        while self.step < self.total_steps:
            self._started = time.perf_counter()
            yield self.step
            self.step += 1
            if self.step % self.config.save_every == 0 or self.step == self.total_steps:
                self.save()
        self.refresh()

    def refresh(self) -> None:
        """Give the module that the loop was made with the trained weights, where they are sharded. All processes call
        it."""
        if self._shards is not None:
            gather_weights(*self._shards)

    def update(self, micro_batches: Sequence[Any], loss_of) -> float:
        """One optimiser update from this rank's micro-batches; returns the gradient norm before clipping.

        `loss_of(micro_batch)` returns a scalar; the gradients of all ranks' micro-batches are added up, so the losses
        carry their own normalisation and a run's result does not depend on how many processes share it. Every rank must
        bring the same number of micro-batches.
        """
        world = self.accelerator.num_processes
        for index, micro_batch in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            self.accelerator.sync_gradients = last  # DeepSpeed steps in the backward that says so
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.module):
                # Gradients are averaged over ranks: undo that.
                self.accelerator.backward(loss_of(micro_batch) * world)
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.max_grad_norm)
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        return float(norm)

    def skip_update(self) -> None:
        """Count an update for which there was nothing to learn from."""
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            if self.accelerator.scaler is None:  # which would miss the gradients
                optimizer.step()  # without gradients it changes nothing; the schedule wants to be second
            schedule.step()

    def finish(self) -> None:
        """Make the current step the last one."""
        self.total_steps = self.step + 1

    @property
    def lr(self) -> float:
        """The language model's learning rate in the next update."""
        return self.schedules[0].get_last_lr()[0]

    def log(self, row: dict[str, float | Tensor]) -> None:
        """Append this step's numbers to the metrics file (main process) and to the trackers.

        After every `eval_every`-th step what `evaluate` returns is among them, as "eval/…". All processes call it.
        """
        row = {key: float(value) for key, value in row.items()}
        row = {"step": self.step + 1, **row, "seconds": time.perf_counter() - self._started}
        every = self.config.eval_every
        if self.evaluate is not None and every and row["step"] % every == 0:
            self.refresh()
            row |= {f"eval/{key}": float(value) for key, value in self.evaluate().items()}
        # JSON has no NaN; a number that does not exist this step is left out.
        row = {key: value for key, value in row.items() if math.isfinite(value)}
        self.history.append(row)
        if self.accelerator.is_main_process:
            self.metrics.append(row)
        if self.config.trackers:
            self.accelerator.log({f"{self.name}/{key}": value for key, value in row.items()}, step=row["step"])

    def save(self) -> None:
        """Write the checkpoint of the steps done so far and delete the oldest ones."""
        target = self.checkpoints / f"step_{self.step:06d}"
        with contextlib.ExitStack() as stack:
            folder = [None]
            if self.accelerator.is_main_process:
                folder = [str(stack.enter_context(atomic.atomic_dir(target)))]
            broadcast_object_list(folder)
            self.accelerator.save_state(folder[0], safe_serialization=True)
            self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            for old in self._saved()[: -self.config.keep]:
                shutil.rmtree(self.checkpoints / f"step_{old:06d}")
        self.accelerator.wait_for_everyone()

    def _saved(self) -> list[int]:
        if not self.checkpoints.is_dir():
            return []
        matches = (_CHECKPOINT.fullmatch(entry.name) for entry in self.checkpoints.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def _resume(self) -> list[dict]:
        saved = self._saved()
        if saved:
            self.step = saved[-1]
            self.accelerator.load_state(str(self.checkpoints / f"step_{self.step:06d}"))
            self.accelerator.print(f"{self.name}: resuming after step {self.step} of {self.total_steps}")
            self.refresh()
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.metrics.rewind(self.step)
        self.accelerator.wait_for_everyone()
        return read_rows(self.metrics.path)


def save_policy(policy: Policy, directory: Path, accelerator: Accelerator) -> None:
    """Write model and tokenizer as a folder that `load_policy` and transformers load; LoRA weights are merged in.

    All processes call it, the main one writes. The policy is done with after this.
    """
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        model = policy.model if policy.model is policy.base else policy.model.merge_and_unload()
        with atomic.atomic_dir(directory) as partial:
            model.save_pretrained(partial)
            policy.tokenizer.save_pretrained(partial)
    accelerator.wait_for_everyone()
