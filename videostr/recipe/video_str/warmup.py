"""What the small model is taught before any question (videostr.recipe.warmup): to see what is where.

First it draws the relation graph of one frame, in the picture's own cells and the grammar of the later answers; later
one or two frames in the coordinates of the questions. The prompt is cell and times alone: a class that it named would
be copied from there and not looked for. All the while it says at the tokens of the video what
lies there in the first frame of the pair: at the token that holds a thing's middle its class, its column as a letter
and its row as a number, as on a chess board; at any other "no". The labels are exact. What it is never shown is a
question or an answer.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from videostr.data.scenes import KINDS, Scene, ScenesConfig, View, draw_scene, render
from videostr.data.scenes.plan import THINGS
from videostr.data.stv.annotate import in_writing_order
from videostr.data.stv.graphs import SEEN
from videostr.graph import CELLS, Frame, Node, class_name, read_graph, render_graph
from videostr.model import Prompt
from videostr.recipe.video_str.layout import annotated_times, layout
from videostr.recipe.warmup import Lesson, frame_times
from videostr.training.prompter import Prompter
from videostr.video import FramePolicy, VideoInputs, frames_to_inputs

NOTHING = "no"
PICTURES = 0.6  # the first so many lessons are about pictures; learned at once with the others neither is learned
SHORT = 0.5  # of those, the share of clips that are one pair of frames: where a thing is, is learned there, then when


def words() -> list[str]:
    """The words of the lessons; each must be a token of its own."""
    return [NOTHING, *sorted({class_name(thing.label) for things in THINGS.values() for thing in things})]


class Seen(NamedTuple):
    """A thing in a frame: which body, its class, and its middle in cells of the picture."""

    body: int
    name: str
    x: float
    y: float


def draw_lesson(world: ScenesConfig, prompter: Prompter, rng: random.Random, done: float) -> Lesson:
    """About a new clip. done: the share of the warm-up that is done."""
    while True:
        scene = draw_scene(rng, rng.choice(KINDS), world)
        if done < PICTURES:
            video, seen = see(scene, prompter.frames, rng if rng.random() < SHORT else None)
            if any(seen):
                return lesson_in_the_picture(replace(prompter, prompt="plain"), video, seen, rng)
        else:
            times = [0.0] if scene.room else sorted(rng.sample(annotated_times(scene), rng.choice((1, 2))))
            meta = layout(scene, times)
            if meta is not None:
                video, seen = see(scene, prompter.frames)
                return lesson_in_the_scene(replace(prompter, prompt="video_str_plain"), video, seen, meta)


def see(
    scene: Scene, frames: FramePolicy, one_pair: random.Random | None = None
) -> tuple[VideoInputs, list[list[Seen]]]:
    """The clip as the model sees it, drawn without a file, and what can be seen in each of its frames.

    one_pair: of the clip only one pair of frames, drawn by this.
    """
    times = frame_times(scene.duration, scene.fps, frames)
    if one_pair is not None:
        size = frames.temporal_patch_size
        first = size * one_pair.randrange(len(times) // size)
        times = times[first : first + size]
    pictures, views = zip(*(render(scene, time) for time in times), strict=True)
    return frames_to_inputs(np.stack(pictures), times, frames, scene.duration), [_seen(scene, v) for v in views]


def _seen(scene: Scene, views: Sequence[View]) -> list[Seen]:
    found = []
    for view in views:
        if view.visible >= SEEN:
            x0, y0, x1, y1 = view.box
            name = class_name(scene.bodies[view.body].label)
            found.append(
                Seen(view.body, name, (x0 + x1) / 2 * CELLS / scene.width, (y0 + y1) / 2 * CELLS / scene.height)
            )
    return found


def lesson_in_the_scene(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], meta: dict[str, Any]
) -> Lesson:
    """About a graph as the questions ask for it. seen: of the frames of `video`."""
    frames = in_writing_order(read_graph(meta["graph"]).frames)
    prompt = prompter.ask("", video, meta)
    return Lesson(prompt, _said(prompter, prompt, video, seen), f"<think>{render_graph(frames, digits=0)}</think>")


def lesson_in_the_picture(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], rng: random.Random
) -> Lesson:
    """About one of the frames in which there is something. seen: frame by frame."""
    shown = rng.choice([index for index, things in enumerate(seen) if things])
    time = round(float(video.timestamps[shown]), 2)
    nodes = tuple(Node(thing.name, (thing.x, thing.y), str(thing.body)) for thing in seen[shown])
    prompt = prompter.ask(f"{time:g} s", video)
    graph = render_graph(in_writing_order([Frame(time, nodes)]), digits=0)
    return Lesson(prompt, _said(prompter, prompt, video, seen), f"<think>{graph}</think>")


def _said(
    prompter: Prompter, prompt: Prompt, video: VideoInputs, seen: Sequence[Sequence[Seen]]
) -> list[tuple[int, str]]:
    frames = prompter.frames
    pairs, rows, columns = (int(video.grid_thw[0]), *(int(n) // frames.merge_size for n in video.grid_thw[1:]))
    words: list[list[str]] = [[] for _ in range(pairs * rows * columns)]
    for pair in range(pairs):
        for thing in seen[pair * frames.temporal_patch_size]:
            row, column = (min(int(at / CELLS * n), n - 1) for at, n in ((thing.y, rows), (thing.x, columns)))
            words[(pair * rows + row) * columns + column] += [
                thing.name,
                "abcdefghijk"[round(thing.x)],
                str(min(round(thing.y), 9)),
            ]
    places = (prompt.input_ids_P == prompter.policy.base.config.video_token_id).nonzero().flatten().tolist()
    return [(place, word) for place, here in zip(places, words, strict=True) for word in here or [NOTHING]]
