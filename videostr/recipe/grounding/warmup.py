"""What the small model is taught before any grounding (videostr.recipe.warmup).

Most clips come with a sentence, in the embedded default's prompt; from them it learns two things: to name the thing (by
the colour the sentence gives it) at each frame pair in which its event goes on, and to go through the clip once more
afterwards ("0 no 1 red 2 red 3 no"), which the cold start's answers do in their thoughts. The others come without one,
and it learns to name the colours that each pair shows. The labels are exact. What it is never shown is an interval in
seconds, or the answers' tags.
"""

import random
from dataclasses import replace

import numpy as np

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
from videostr.recipe.warmup import Lesson, frame_times
from videostr.training.prompter import Prompter, split_pairs
from videostr.video import FramePolicy, VideoInputs, frames_to_inputs


def draw_lessons(
    world: WorldConfig, captions: float, prompter: Prompter, rng: random.Random, done: float
) -> list[list[Lesson]]:
    """One, about a new clip. captions: the share of clips without a sentence.

    The prompt is the embedded default's, whatever the later stages ask: a pair's tokens can answer only a sentence that
    stands before the video, and only where each pair is a part of its own.
    """
    scene = draw_scene_plan(rng, world)
    asked = None if rng.random() < captions else rng.choice(scene.things)
    return [[lesson_about(replace(prompter, prompt="plain", written_times=True), scene, asked, rng)]]


def lesson_about(prompter: Prompter, scene: Scene, asked: Thing | None, rng: random.Random) -> Lesson:
    """asked: the thing whose sentence is given."""
    video = see(scene, prompter.frames)
    times = [float(pair.timestamps[0]) for pair in split_pairs(video)]
    spans = list(parts(times, scene.duration))
    if asked is None:
        query, told = "", ""
        words = [caption(scene, *span) for span in spans]
    else:
        query = asked.phrase(rng)
        words = [[asked.colour if touches(asked.start, asked.end, *span) else NOTHING] for span in spans]
        told = narration(asked, asked.start, asked.end, times, scene.duration)
    prompt = prompter.ask(query, video)
    vision_end = prompter.policy.tokenizer.convert_tokens_to_ids("<|vision_end|>")
    pair_ends = (prompt.input_ids_P == vision_end).nonzero().flatten().tolist()
    # One word at the closing token; of two words the first at the token before it, which is the pair's last patch.
    said = [
        (end - back, f" {word}")
        for end, pair in zip(pair_ends, words, strict=True)
        for back, word in zip(range(len(pair))[::-1], pair, strict=True)
    ]
    return Lesson(prompt, said, [(told, 1)] if told else ())


def see(scene: Scene, frames: FramePolicy) -> VideoInputs:
    """The clip as the model sees it, drawn without a file."""
    times = frame_times(scene.duration, scene.fps, frames)
    return frames_to_inputs(np.stack([draw_frame(scene, time) for time in times]), times, frames, scene.duration)
