"""Teach the small model to see, before any grounding: it has no pretraining, which a real checkpoint brings along.

It watches new clips at every step. Most come with a sentence, in the embedded default's prompt; from them it learns two
things: to name the thing (by the colour the sentence gives it) at each frame pair in which its event goes on, and to
go through the clip once more afterwards ("0 no 1 red 2 red 3 no"), which the cold start's answers do in their thoughts.
The others come without one, and it learns to name the colours that each pair shows. The labels are exact. What it is
never shown is an interval in seconds, or the answers' tags.

What it has to say of a frame pair it says at the pair's own tokens, and the words do not become part of the text: a
later answer has to come from the frames.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from videostr.data.world import (
    NOTHING,
    Scene,
    Thing,
    WorldConfig,
    caption,
    draw_frame,
    draw_scene_plan,
    narration,
    parts,
    touches,
)
from videostr.model import GroupedPolicy, PackedGroups, Policy, Prompt, pack_groups
from videostr.recipe.grounding.config import WarmupConfig
from videostr.sft import likelihood_update
from videostr.training.loop import TrainLoop
from videostr.training.prompter import Prompter, split_pairs
from videostr.video import FramePolicy, VideoInputs, frames_to_inputs


@dataclass
class Lesson:
    """words: for each frame pair what to say at its last tokens, one word or two. narration: the answer, may be ""."""

    prompt: Prompt
    words: list[Sequence[str]]
    narration: str


def warm_up(
    prompter: Prompter,
    world_config: WorldConfig,
    config: WarmupConfig,
    *,
    out_dir: Path,
    accelerator: Accelerator,
    seed: int,
    on_step: Callable[[int, dict], None],
) -> None:
    """Train `prompter.policy` in place, every step on new clips; continues from a checkpoint under `out_dir`.

    The prompt is the embedded default's, whatever the later stages ask: a pair's tokens can answer only a sentence that
    stands before the video, and only where each pair is a part of its own.
    """
    prompter = replace(prompter, prompt="plain", written_times=True)
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
    world, rank = accelerator.num_processes, accelerator.process_index
    loop.module.train()
    for step in loop.steps():
        lessons = []
        for number in range(rank, config.batch_size, world):
            rng = random.Random(f"{seed}/warmup/{step}/{number}")
            scene = draw_scene_plan(rng, world_config)
            asked = None if rng.random() < config.captions else rng.choice(scene.things)
            lessons.append(_lesson(prompter, scene, asked, rng))
        packed = _pack(prompter.policy, lessons)
        total = accelerator.reduce(torch.tensor(float(len(packed.target_R)), device=accelerator.device))
        loop.log(likelihood_update(loop, [packed], float(total)))
        on_step(step + 1, loop.history[-1])


def _lesson(prompter: Prompter, scene: Scene, asked: Thing | None, rng: random.Random) -> Lesson:
    video = _see(scene, prompter.frames)
    times = [float(pair.timestamps[0]) for pair in split_pairs(video)]
    spans = list(parts(times, scene.duration))
    if asked is None:
        return Lesson(prompter.ask("", video), [caption(scene, *span) for span in spans], "")
    words = [[asked.colour if touches(asked.start, asked.end, *span) else NOTHING] for span in spans]
    told = narration(asked, asked.start, asked.end, times, scene.duration)
    return Lesson(prompter.ask(asked.phrase(rng), video), words, told)


def _see(scene: Scene, frames: FramePolicy) -> VideoInputs:
    """The clip as the model sees it, drawn without a file: nothing is shown twice, so nothing is worth remembering."""
    available = round(scene.duration * scene.fps)
    count = frames.frame_count(scene.duration, available)
    times = frames.pick(np.arange(available), available, count) / scene.fps  # as from the file
    return frames_to_inputs(np.stack([draw_frame(scene, time) for time in times]), times, frames, scene.duration)


def _pack(policy: Policy, lessons: Sequence[Lesson]) -> PackedGroups:
    """The lessons in one row, with the words of the frame pairs and the narrations as the tokens to predict."""

    def ids(text: str) -> list[int]:
        return policy.tokenizer(text, add_special_tokens=False).input_ids

    answers = [
        torch.tensor([*ids(told), policy.eos_ids[0]] if told else [], dtype=torch.int64)
        for told in (lesson.narration for lesson in lessons)
    ]
    packed = pack_groups([lesson.prompt for lesson in lessons], [[answer] for answer in answers])
    vision_end = policy.tokenizer.convert_tokens_to_ids("<|vision_end|>")
    pair_ends = (packed.input_ids_T == vision_end).nonzero().flatten().tolist()
    said = [words for lesson in lessons for words in lesson.words]
    # One word at the closing token; of two words the first at the token before it, which is the pair's last patch.
    at = [end - place for end, words in zip(pair_ends, said, strict=True) for place in range(len(words))[::-1]]
    word_ids = [ids(f" {word}")[0] for words in said for word in words]
    target_R = torch.cat([torch.tensor(word_ids), packed.target_R])
    return replace(
        packed,
        predictor_R=torch.cat([torch.tensor(at), packed.predictor_R]),
        target_R=target_R,
        target_NL=target_R[None],
        mask_NL=torch.ones(1, len(target_R), dtype=torch.bool),
    )
