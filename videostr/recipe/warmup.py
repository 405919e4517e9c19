"""Teach a small model to see, before anything else: it has no pretraining, which a real checkpoint brings along.

It is shown new clips at every step, drawn without a file: nothing comes twice, so nothing is worth remembering. What it
has to say of a part of a clip it says at that part's own tokens, and the words do not become part of the text: a later
answer has to come from the frames. Each recipe has lessons of its own (`warmup.py` in its folder).
"""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset

from videostr.model import GroupedPolicy, PackedGroups, Policy, Prompt, pack_groups
from videostr.model.load import VISION_END
from videostr.recipe.config import WarmupConfig
from videostr.sft import likelihood_update
from videostr.training.loop import TrainLoop
from videostr.training.prompter import Prompter
from videostr.video import FramePolicy


@dataclass
class Lesson:
    """said: (place, word): what to say at a token of the prompt; a place may come more than once, and is then to say
    all its words as likely as each other. written: what to write behind the prompt, in parts (text, times): each of a
    part's tokens counts so many times."""

    prompt: Prompt
    said: list[tuple[int, str]]
    written: Sequence[tuple[str, int]] = ()


DrawLessons = Callable[[Prompter, random.Random, float], list[list[Lesson]]]
"""Lessons about new clips, clip by clip. Of several about one clip the video stands first in every prompt, and the
model runs over it once. The last argument: which share of the warm-up is done, 0 to 1."""


def warm_up(
    prompter: Prompter,
    draw: DrawLessons,
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
    with _a_thread_less():
        for step, packed in zip(loop.steps(), lessons, strict=False):
            total = accelerator.reduce(torch.tensor(float(len(packed.target_R)), device=accelerator.device))
            loop.log(likelihood_update(loop, [packed], float(total)))
            on_step(step + 1, loop.history[-1])


@contextlib.contextmanager
def _a_thread_less() -> Iterator[None]:
    """One of torch's threads stands back for the worker, which would otherwise slow all of them down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Lessons(Dataset):
    """The lessons of each (step, number)."""

    def __init__(self, prompter: Prompter, draw: DrawLessons, steps: int, seed: int):
        self.prompter, self.draw, self.steps, self.seed = prompter, draw, steps, seed

    def __getitem__(self, which: tuple[int, int]) -> list[list[Lesson]]:
        step, number = which
        rng = random.Random(f"{self.seed}/warmup/{step}/{number}")
        return self.draw(self.prompter, rng, step / self.steps)


def _packed_lessons(
    prompter: Prompter, draw: DrawLessons, config: WarmupConfig, first: int, accelerator: Accelerator, seed: int
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
            collate_fn=partial(_pack_drawn, prompter.policy),
            multiprocessing_context="fork",  # the worker draws with the model's tokenizer and needs no copy of it
        )
    )


def _pack_drawn(policy: Policy, drawn: Sequence[list[list[Lesson]]]) -> PackedGroups:
    return pack_lessons(policy, list(chain.from_iterable(drawn)))


def frame_times(duration: float, fps: float, frames: FramePolicy) -> np.ndarray:
    """The seconds of the frames that a model sees of a clip, as if it were read from a file."""
    available = round(duration * fps)
    return frames.pick(np.arange(available), available, frames.frame_count(duration, available)) / fps


def pack_lessons(policy: Policy, clips: Sequence[Sequence[Lesson]]) -> PackedGroups:
    """The lessons in one row, those about one clip behind one copy of it, with what is said within the prompts and the
    answers as the tokens to predict. Raises ValueError for several lessons of which one has text before the video."""
    prefixes, groups, at, targets = [], [], [], []
    start = 0  # of the clip in the row

    @cache  # a step says a few words about a thousand times
    def word_id(word: str) -> int:
        return policy.tokenizer(word, add_special_tokens=False).input_ids[0]

    for lessons in clips:
        prefix = _before_the_text(policy, [lesson.prompt for lesson in lessons])
        prefixes.append(prefix)
        groups.append([])
        shared = len(prefix)
        behind = start + shared
        for lesson in lessons:
            parts = [policy.tokenizer(text, add_special_tokens=False).input_ids for text, _ in lesson.written]
            if parts:
                parts[-1].append(policy.eos_ids[0])
            text = list(chain.from_iterable(parts))
            ids = torch.cat([lesson.prompt.input_ids_P[shared:], torch.tensor(text, dtype=torch.int64)])
            groups[-1].append(ids)
            places = [place for place, _ in lesson.said]
            words = [word_id(word) for _, word in lesson.said]
            last = len(lesson.prompt) - 1
            for part, (_, times) in zip(parts, lesson.written, strict=True):
                places += [*range(last, last + len(part))] * times
                words += part * times
                last += len(part)
            at += [(start if place < shared else behind - shared) + place for place in places]
            targets += words
            behind += max(len(ids) - 1, 0)  # an answer's last token is not in the row
        start = behind
    packed, target_R = pack_groups(prefixes, groups), torch.tensor(targets, dtype=torch.int64)
    return replace(
        packed,
        predictor_R=torch.tensor(at, dtype=torch.int64),
        target_R=target_R,
        target_NL=target_R[None],
        mask_NL=torch.ones(1, len(target_R), dtype=torch.bool),
    )


def _before_the_text(policy: Policy, prompts: Sequence[Prompt]) -> Prompt:
    """The one prompt; of several what they share, up to the end of the video."""
    first, *others = prompts
    if not others:
        return first
    vision_end = policy.tokenizer.convert_tokens_to_ids(VISION_END)
    length = int((first.input_ids_P == vision_end).nonzero().max()) + 1
    ids = first.input_ids_P[:length]
    if not all(torch.equal(ids, other.input_ids_P[:length]) for other in others):
        raise ValueError("lessons: of several about one clip the video must stand first in every prompt")
    return replace(
        first,
        input_ids_P=ids,
        position_ids_3P=first.position_ids_3P[:, :length],
        mm_token_type_ids_P=first.mm_token_type_ids_P[:length],
        next_position=int(first.position_ids_3P[0, length]),
    )
