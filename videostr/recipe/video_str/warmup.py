"""What the small model is taught before the samples (videostr.recipe.warmup): to see what is where, then to read
questions.

First it draws the relation graph of one frame, in the picture's own cells and the grammar of the later answers. The
prompt is a time alone: a class that it named would be copied from there and not looked for. Later it is asked the
builder's own questions about scenes that it sees once, and answers exactly. What it is to work out within a prompt it
says at the prompt's own tokens:

- of the video, what lies there in the first frame of the pair: at the token that holds a thing's middle its class, its
  column as a letter and its row as a number, as on a chess board; at any other "no";
- of the question, where a thing that is mentioned is, in the cells of the graph, and behind an option whether it is
  right.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np

from videostr.data.samples import Sample
from videostr.data.scenes import KINDS, Scene, ScenesConfig, View, draw_scene, render
from videostr.data.scenes.plan import THINGS
from videostr.data.stv.annotate import (
    RIGHT,
    WRONG,
    AnnotatorConfig,
    in_writing_order,
    write_response,
    write_verdicts,
)
from videostr.data.stv.graphs import SEEN
from videostr.graph import CELLS, Coordinates, Frame, Node, class_name, graph_to_json, read_graph, render_graph
from videostr.model import Prompt
from videostr.recipe.video_str.questions import ask, read_scene
from videostr.recipe.warmup import Lesson, frame_times
from videostr.training.prompter import Prompter
from videostr.video import FramePolicy, VideoInputs, frames_to_inputs

NOTHING = "no"
TOGETHER = 3  # lessons a draw: of questions those about one scene, which takes longer to draw than to ask about
PICTURES = 0.45  # the first so many lessons are about pictures; learned at once with the others neither is learned
SHORT = 0.5  # of those, the share of clips that are one pair of frames: where a thing is, is learned there, then when
EXACT = AnnotatorConfig(jitter=0.0, squeeze=1.0, short=1.0, tight=1.0, unsure=0.0)


def words() -> list[str]:
    """The words of the lessons; each must be a token of its own."""
    return [NOTHING, RIGHT, WRONG, *sorted(name for names in _classes() for name in names)]


class Seen(NamedTuple):
    """A thing in a frame: which body, its class, its middle in cells of the picture, and its height in them."""

    body: int
    name: str
    x: float
    y: float
    height: float


def draw_lessons(world: ScenesConfig, prompter: Prompter, rng: random.Random, done: float) -> list[Lesson]:
    """About new clips. done: the share of the warm-up that is done."""
    prompter = replace(prompter, prompt="video_str_plain")
    if done < PICTURES:
        return [_draw_picture(world, prompter, rng) for _ in range(TOGETHER)]
    while True:
        scene = draw_scene(rng, rng.choice(KINDS), world)
        clip = read_scene(scene, rng)
        samples = ask(clip, rng, TOGETHER) if clip is not None else []
        if samples:
            video, seen = see(scene, prompter.frames)
            return [lesson_in_the_question(prompter, video, seen, sample, rng) for sample in samples]


def _draw_picture(world: ScenesConfig, prompter: Prompter, rng: random.Random) -> Lesson:
    while True:
        scene = draw_scene(rng, rng.choice(KINDS), world)
        video, seen = see(scene, prompter.frames, rng if rng.random() < SHORT else None)
        if any(seen):
            form = rng.choice((lesson_of_a_graph, lesson_of_names, lesson_of_options))
            shown = rng.choice([index for index, things in enumerate(seen) if things])
            return form(prompter, video, seen, shown, rng)


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
            across, down = CELLS / scene.width, CELLS / scene.height
            found.append(Seen(view.body, name, (x0 + x1) / 2 * across, (y0 + y1) / 2 * down, (y1 - y0) * down))
    return found


def lesson_in_the_question(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], sample: Sample, rng: random.Random
) -> Lesson:
    """A question and its exact answer. seen: of the frames of `video`."""
    meta, prompt = sample.meta, prompter.ask(sample.query, video, sample.meta)
    first = seen[_nearest(video, read_graph(meta["graph"]).frames[0].time)]
    said = [
        *_said_in_the_video(prompter, prompt, video, seen),
        *_said_of_names(prompter, prompt, sorted({thing.name for thing in first}), first),
        *_said_of_a_motion(prompter, prompt, meta, video, seen),
        *_said_of_options(prompter, prompt, meta),
    ]
    return Lesson(prompt, said, write_response(sample, EXACT, rng))


def lesson_of_a_graph(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int, rng: random.Random
) -> Lesson:
    """The graph of frame `shown`. seen: frame by frame."""
    prompt, frames = _ask_about(prompter, "", video, seen, shown)
    said = _said_in_the_video(prompter, prompt, video, seen)
    return Lesson(prompt, said, f"<think>{render_graph(frames, digits=0)}</think>")


def lesson_of_names(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int, rng: random.Random
) -> Lesson:
    """Where the classes of one kind of scene are in frame `shown`, which is said at their names."""
    there = {thing.name for thing in seen[shown]}
    kind = next(names for names in _classes() if there <= set(names))
    names = rng.sample(kind, len(kind))
    prompt, _ = _ask_about(prompter, ", ".join(f"the {name}" for name in names), video, seen, shown)
    said = [
        *_said_in_the_video(prompter, prompt, video, seen),
        *_said_of_names(prompter, prompt, names, seen[shown]),
    ]
    return Lesson(prompt, said, "")


def lesson_of_options(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int, rng: random.Random
) -> Lesson:
    """Which of some classes is there in frame `shown`: how a choice is read and answered."""
    there = sorted({thing.name for thing in seen[shown]})
    others = [name for names in _classes() for name in names if name not in there]
    names = rng.sample(others, rng.randint(1, 4))
    names.insert(rng.randint(0, len(names)), rng.choice(there))
    letters = ascii_uppercase[: len(names)]
    (answer,) = (letter for letter, name in zip(letters, names, strict=True) if name in there)
    options = [f"the {name}" for name in names]
    query = "Which is there?" + "".join(f"\n{letter}. {o}" for letter, o in zip(letters, options, strict=True))
    prompt, _ = _ask_about(prompter, query, video, seen, shown)
    said = [
        *_said_in_the_video(prompter, prompt, video, seen),
        *_said_of_options(prompter, prompt, {"options": options, "answer": answer}),
    ]
    return Lesson(prompt, said, f"<think>{write_verdicts(len(options), answer)}</think><answer>{answer}</answer>")


def _classes() -> list[list[str]]:
    """Of each kind of scene."""
    return [[class_name(thing.label) for thing in things] for things in THINGS.values()]


def _ask_about(
    prompter: Prompter, query: str, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int
) -> tuple[Prompt, list[Frame]]:
    """(the prompt of a query about frame `shown` in cells of the picture, its graph)."""
    time = round(float(video.timestamps[shown]), 2)
    nodes = tuple(Node(thing.name, (thing.x, thing.y), str(thing.body)) for thing in seen[shown])
    frames = in_writing_order([Frame(time, nodes)])
    meta = {"graph": graph_to_json(frames), "coordinates": Coordinates("grid", axes="image").to_json()}
    return prompter.ask(query, video, meta), frames


def _said_in_the_video(
    prompter: Prompter, prompt: Prompt, video: VideoInputs, seen: Sequence[Sequence[Seen]]
) -> list[tuple[int, str]]:
    frames = prompter.frames
    pairs, rows, columns = (int(video.grid_thw[0]), *(int(n) // frames.merge_size for n in video.grid_thw[1:]))
    words: list[list[str]] = [[] for _ in range(pairs * rows * columns)]
    for pair in range(pairs):
        for thing in seen[pair * frames.temporal_patch_size]:
            row, column = (min(int(at / CELLS * n), n - 1) for at, n in ((thing.y, rows), (thing.x, columns)))
            words[(pair * rows + row) * columns + column] += [thing.name, *_cell(thing)]
    places = _video_places(prompter, prompt)
    return [(place, word) for place, here in zip(places, words, strict=True) for word in here or [NOTHING]]


class _Behind:
    """The text of a prompt behind its video, and of each end in it the token."""

    def __init__(self, prompter: Prompter, prompt: Prompt):
        self.first = _video_places(prompter, prompt)[-1] + 1
        pieces = [prompter.policy.tokenizer.decode([token]) for token in prompt.input_ids_P[self.first :].tolist()]
        self.text, self.ends = "".join(pieces), list(accumulate(map(len, pieces)))

    def place(self, end: int) -> int:
        """Of the token with the last character before `end`."""
        return self.first + int(np.searchsorted(self.ends, end))


def _said_of_names(
    prompter: Prompter, prompt: Prompt, names: Sequence[str], things: Sequence[Seen]
) -> Iterator[tuple[int, str]]:
    """At each mention of a class where its thing is in the picture, and how high; nothing where there are several."""
    behind = _Behind(prompter, prompt)
    for name in names:
        there = [thing for thing in things if thing.name == name]
        if len(there) < 2:
            for mention in re.finditer(rf"\b{name}\b", behind.text):
                for word in (*_cell(there[0]), _height(there[0])) if there else [NOTHING]:
                    yield behind.place(mention.end()), word


def _said_of_a_motion(
    prompter: Prompter, prompt: Prompt, meta: Mapping[str, Any], video: VideoInputs, seen: Sequence[Sequence[Seen]]
) -> Iterator[tuple[int, str]]:
    """Where the question ends, where the only thing that it mentions is in the end."""
    frames, behind = read_graph(meta["graph"]).frames, _Behind(prompter, prompt)
    question = re.compile(r"[^\n<]*").match(behind.text, behind.text.rindex("<|vision_end|>") + len("<|vision_end|>"))
    last = seen[_nearest(video, frames[-1].time)]
    things = [thing for thing in last if re.search(rf"\b{thing.name}\b", question[0])]
    if len(frames) == 2 and len(things) == 1:
        for word in _cell(things[0]):
            yield behind.place(question.end()), word


def _said_of_options(prompter: Prompter, prompt: Prompt, meta: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    behind, end = _Behind(prompter, prompt), 0
    for letter, option in zip(ascii_uppercase, meta.get("options", ()), strict=False):
        line = f"\n{letter}. {option}"
        end = behind.text.index(line, end) + len(line)
        yield behind.place(end), RIGHT if letter == meta["answer"] else WRONG


def _video_places(prompter: Prompter, prompt: Prompt) -> list[int]:
    return (prompt.input_ids_P == prompter.policy.base.config.video_token_id).nonzero().flatten().tolist()


def _nearest(video: VideoInputs, time: float | None) -> int:
    """The frame of the video that is nearest to a second of it."""
    return int(np.abs(video.timestamps - (time or 0.0)).argmin())


def _cell(thing: Seen) -> tuple[str, str]:
    """Its column and its row, a word each."""
    return "abcdefghijk"[min(max(round(thing.x), 0), CELLS)], str(min(max(round(thing.y), 0), 9))


def _height(thing: Seen) -> str:
    return "lmnopqrstuv"[min(round(thing.height), CELLS)]
