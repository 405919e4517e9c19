"""Teach a small model to see, before anything else: it has no pretraining, which a real checkpoint brings along.

It is shown new clips at every step, drawn without a file: nothing comes twice, so nothing is worth remembering. What it
has to say of a part of a clip it says at that part's own tokens, and the words do not become part of the text: a later
answer has to come from the frames. Each recipe has lessons of its own (`warmup.py` in its folder).
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset

from videostr.model import GroupedPolicy, PackedGroups, Policy, Prompt, pack_groups
from videostr.recipe.config import WarmupConfig
from videostr.sft import likelihood_update
from videostr.sft.trainer import answer_ids
from videostr.training.loop import TrainLoop
from videostr.training.prompter import Prompter
from videostr.video import FramePolicy


@dataclass
class Lesson:
    """said: (place, word): what to say at a token of the prompt; a place may come more than once, and is then to say
    all its words as likely as each other. answer: what to say after the prompt, may be ""."""

    prompt: Prompt
    said: list[tuple[int, str]]
    answer: str


DrawLesson = Callable[[Prompter, random.Random, float], Lesson]
"""The last argument: which share of the warm-up is done, 0 to 1."""


def warm_up(
    prompter: Prompter,
    draw: DrawLesson,
    config: WarmupConfig,
    *,
    out_dir: Path,
    accelerator: Accelerator,
    seed: int,
    on_step: Callable[[int, dict], None],
) -> None:
    """Train `prompter.policy` in place, every step on new lessons; continues from a checkpoint under `out_dir`."""
    loop = TrainLoop(
        GroupedPolicy(prompter.policy),
        accelerator,
        name="warmup",
        out_dir=out_dir,
        total_steps=config.steps,
        updates_per_step=1,
        optim=config.optim,
        loop=config.loop,
    )
    loop.module.train()
    lessons = _packed_lessons(prompter, draw, config, loop.step, accelerator, seed)
    for step, packed in zip(loop.steps(), lessons, strict=False):
        total = accelerator.reduce(torch.tensor(float(len(packed.target_R)), device=accelerator.device))
        loop.log(likelihood_update(loop, [packed], float(total)))
        on_step(step + 1, loop.history[-1])


class _Lessons(Dataset):
    """A lesson for each (step, number)."""

    def __init__(self, prompter: Prompter, draw: DrawLesson, steps: int, seed: int):
        self.prompter, self.draw, self.steps, self.seed = prompter, draw, steps, seed

    def __getitem__(self, which: tuple[int, int]) -> Lesson:
        step, number = which
        rng = random.Random(f"{self.seed}/warmup/{step}/{number}")
        return self.draw(self.prompter, rng, step / self.steps)


def _packed_lessons(
    prompter: Prompter, draw: DrawLesson, config: WarmupConfig, first: int, accelerator: Accelerator, seed: int
) -> Iterator[PackedGroups]:
    """This process's lessons of every step from `first` on. A worker draws them, while the model learns from earlier
    ones: drawing takes about as long."""
    world, rank = accelerator.num_processes, accelerator.process_index
    numbers = range(rank, config.batch_size, world)
    return iter(
        DataLoader(
            _Lessons(prompter, draw, config.steps, seed),
            batch_sampler=[[(step, number) for number in numbers] for step in range(first, config.steps)],
            num_workers=1,
            collate_fn=partial(pack_lessons, prompter.policy),
            multiprocessing_context="fork",  # the worker draws with the model's tokenizer and needs no copy of it
        )
    )


def frame_times(duration: float, fps: float, frames: FramePolicy) -> np.ndarray:
    """The seconds of the frames that a model sees of a clip, as if it were read from a file."""
    available = round(duration * fps)
    return frames.pick(np.arange(available), available, frames.frame_count(duration, available)) / fps


def pack_lessons(policy: Policy, lessons: Sequence[Lesson]) -> PackedGroups:
    """The lessons in one row, with what is said within the prompts and the answers as the tokens to predict."""

    nothing = torch.empty(0, dtype=torch.int64)
    answers = [answer_ids(policy, lesson.answer) if lesson.answer else nothing for lesson in lessons]
    packed = pack_groups([lesson.prompt for lesson in lessons], [[answer] for answer in answers])
    # An answer's last token is not in the row.
    lengths = [len(lesson.prompt) + max(len(a) - 1, 0) for lesson, a in zip(lessons, answers, strict=True)]
    starts = accumulate(lengths[:-1], initial=0)
    at = [start + place for start, lesson in zip(starts, lessons, strict=True) for place, _ in lesson.said]
    words = [
        policy.tokenizer(word, add_special_tokens=False).input_ids[0] for lesson in lessons for _, word in lesson.said
    ]
    target_R = torch.cat([torch.tensor(words, dtype=torch.int64), packed.target_R])
    return replace(
        packed,
        predictor_R=torch.cat([torch.tensor(at, dtype=torch.int64), packed.predictor_R]),
        target_R=target_R,
        target_NL=target_R[None],
        mask_NL=torch.ones(1, len(target_R), dtype=torch.bool),
    )
