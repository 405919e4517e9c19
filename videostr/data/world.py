"""A generated world: short H.264 clips of coloured shapes in which things happen, and sentences that say what.

It stands in for the public sets where nothing can be downloaded: the files are real mp4 files, the intervals are exact
to the frame, and the cold-start answers come from an annotator with the faults of a real one.

Every clip holds one or two shapes of different colours. Each shape has one event, so each clip answers several
sentences and the other shapes' events are the distractors:

    visible   the shape is on screen only from start to end
    colour    the shape has another colour from start to end
    left      the shape moves to the left from start to end, and stands still otherwise
    right     likewise to the right
    blink     the shape flashes from start to end

Times are multiples of half a second and frame rates are even, so an event starts and ends exactly on a frame.
"""

import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videostr.data.clips import write_clip
from videostr.data.prompts import written_time
from videostr.data.samples import Sample

COLOURS = {
    "red": (225, 40, 40),
    "green": (40, 200, 60),
    "blue": (50, 80, 235),
    "yellow": (235, 220, 50),
}
NOTHING = "no"
SHAPES = ("square", "circle", "triangle")
EVENTS = ("visible", "colour", "left", "right", "blink")
FRAME_RATES = (8, 10, 12, 16)
QUANTUM = 0.5  # seconds
MIN_DURATION = 4  # seconds: the longest move that a short clip can hold, and something before and after it
BLINK_PERIOD = 1.0  # seconds: on for one half, off for the other

PHRASES = {
    "visible": (
        "the {colour} {shape} is on screen",
        "when can the {colour} {shape} be seen ?",
        "a {colour} {shape} appears and later leaves",
    ),
    "colour": (
        "the {colour} {shape} turns {other}",
        "when is the {colour} {shape} {other} ?",
        "the {shape} changes from {colour} to {other}",
    ),
    "left": (
        "the {colour} {shape} moves left",
        "when does the {colour} {shape} go to the left ?",
        "a {colour} {shape} slides left",
    ),
    "right": (
        "the {colour} {shape} moves right",
        "when does the {colour} {shape} go to the right ?",
        "a {colour} {shape} slides right",
    ),
    "blink": (
        "the {colour} {shape} blinks",
        "when does the {colour} {shape} flash ?",
        "a {colour} {shape} flashes on and off",
    ),
}


@dataclass(frozen=True)
class Thing:
    """One shape and its event. Position and size are fractions of the frame; times are seconds."""

    shape: str
    colour: str
    event: str
    start: float
    end: float
    x: float
    y: float
    size: float
    other: str = ""  # the second colour of a colour event
    travel: float = 0.0  # signed horizontal distance of a move

    def phrase(self, rng: random.Random) -> str:
        return rng.choice(PHRASES[self.event]).format(colour=self.colour, shape=self.shape, other=self.other)


@dataclass(frozen=True)
class Scene:
    """One clip before it is drawn: seconds, frames a second, pixels a side, background grey level, its things."""

    duration: float
    fps: int
    side: int
    grey: int
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class WorldConfig:
    """How the generated world looks. `jitter`, `wrong_rate` and `lag` are the annotator's faults (see `annotate`)."""

    side: int = 112  # pixels, of the file; the model sees what the frame policy makes of it
    min_duration: int = 6  # seconds, whole ones
    max_duration: int = 10
    things: tuple[int, ...] = (1, 2)
    events: tuple[str, ...] = (*["visible"] * 4, "colour", "blink", "left", "right")  # drawn evenly
    jitter: float = 0.5  # seconds, at most, at either end
    lag: float = 0.5  # seconds by which the annotator notices both ends too late, on average
    wrong_rate: float = 0.15  # share of answers that describe another interval

    def __post_init__(self) -> None:
        if self.side < 32 or self.side % 2:
            raise ValueError(f"side: expected an even number of pixels, at least 32, got {self.side}")
        if not self.min_duration >= MIN_DURATION:
            raise ValueError(f"min_duration: expected at least {MIN_DURATION} s, got {self.min_duration}")
        if not self.min_duration <= self.max_duration:
            raise ValueError(
                f"max_duration: expected at least min_duration ({self.min_duration}), got {self.max_duration}"
            )
        if not self.things or not set(self.things) <= {1, 2, 3}:
            raise ValueError(f"things: expected numbers from 1 to 3, got {self.things}")
        if not self.events or not set(self.events) <= set(EVENTS):
            raise ValueError(f"events: expected some of {', '.join(EVENTS)}, got {self.events}")
        if not 0 <= self.jitter < math.inf:
            raise ValueError(f"jitter: expected seconds >= 0, got {self.jitter}")
        if not math.isfinite(self.lag):
            raise ValueError(f"lag: expected finite seconds, got {self.lag}")
        if not 0 <= self.wrong_rate <= 1:
            raise ValueError(f"wrong_rate: expected a share in [0, 1], got {self.wrong_rate}")


def draw_scene_plan(rng: random.Random, config: WorldConfig) -> Scene:
    """Choose a clip: durations, colours, places and events; no two things share a colour or a row."""
    duration = float(rng.randint(config.min_duration, config.max_duration))
    steps = round(duration / QUANTUM)
    count = rng.choice(config.things)
    colours = rng.sample(sorted(COLOURS), count + 1)
    other = colours.pop()
    rows = rng.sample(range(3), count)
    things = []
    for colour, row in zip(colours, rows, strict=True):
        event = rng.choice(config.events)
        length = rng.randint(2, 5) if event in ("left", "right") else rng.randint(2, max(4, round(0.4 * steps)))
        start = rng.randint(1, steps - length - 1)
        size = rng.uniform(0.24, 0.30)
        travel = {"left": -1.0, "right": 1.0}.get(event, 0.0) * rng.uniform(0.45, 0.6)
        x = rng.uniform(0.2, 0.8) if not travel else 0.5 - travel / 2 + rng.uniform(-0.05, 0.05)
        things.append(
            Thing(
                shape=rng.choice(SHAPES),
                colour=colour,
                event=event,
                start=start * QUANTUM,
                end=(start + length) * QUANTUM,
                x=x,
                y=(row + 0.5) / 3,
                size=size,
                other=other if event == "colour" else "",
                travel=travel,
            )
        )
    return Scene(duration, rng.choice(FRAME_RATES), config.side, rng.randint(90, 150), tuple(things))


def draw_frame(scene: Scene, time: float) -> np.ndarray:
    """The picture at `time` seconds: (side, side, 3) uint8 RGB."""
    side = scene.side
    frame = np.full((side, side, 3), scene.grey, np.uint8)
    frame[: side // 2] += 6  # a horizon, so that the background is not one flat value
    for thing in scene.things:
        active = thing.start <= time < thing.end
        if thing.event == "visible" and not active:
            continue
        if thing.event == "blink" and active and (time - thing.start) % BLINK_PERIOD < BLINK_PERIOD / 2:
            continue
        done = min(max((time - thing.start) / (thing.end - thing.start), 0.0), 1.0)
        colour = thing.other if thing.event == "colour" and active else thing.colour
        _draw_shape(frame, thing.shape, COLOURS[colour], thing.x + thing.travel * done, thing.y, thing.size)
    return frame


def _draw_shape(frame: np.ndarray, shape: str, colour: tuple[int, int, int], x: float, y: float, size: float) -> None:
    side = frame.shape[0]
    half = size * side / 2
    cx, cy = x * side, y * side
    x0, x1 = max(int(cx - half), 0), min(int(cx + half) + 1, side)
    y0, y1 = max(int(cy - half), 0), min(int(cy + half) + 1, side)
    dy, dx = np.mgrid[y0:y1, x0:x1] + 0.5
    dx, dy = (dx - cx) / half, (dy - cy) / half
    if shape == "square":
        inside = (abs(dx) <= 0.88) & (abs(dy) <= 0.88)
    elif shape == "circle":
        inside = dx * dx + dy * dy <= 1.0
    else:
        inside = (dy <= 0.9) & (abs(dx) <= (dy + 1.0) / 1.9)
    frame[y0:y1, x0:x1][inside] = colour


def encode_scene(scene: Scene, path: Path) -> None:
    """Draw the clip and write it as H.264 (yuv420p, frame times exact) to `path`."""
    frames = (draw_frame(scene, index / scene.fps) for index in range(round(scene.duration * scene.fps)))
    write_clip(path, frames, scene.fps, scene.side, scene.side)


def annotate(thing: Thing, scene: Scene, config: WorldConfig, rng: random.Random) -> str:
    """What an imperfect annotating model writes: a chain of thought and an interval.

    Both ends come `lag` seconds late on average and off by up to `jitter`; a share `wrong_rate` names an interval that
    has nothing to do with the sentence. A model that only imitates these answers comes late too.
    """

    def noisy(time: float) -> float:
        steps = round((config.lag + rng.uniform(-config.jitter, config.jitter)) / QUANTUM)
        return min(max(time + steps * QUANTUM, 0.0), scene.duration)

    start, end = min(noisy(thing.start), scene.duration - QUANTUM), noisy(thing.end)
    if rng.random() < config.wrong_rate:
        start, end = sorted(rng.sample(range(round(scene.duration / QUANTUM) + 1), 2))
        start, end = start * QUANTUM, end * QUANTUM
    end = max(end, start + QUANTUM)
    return answer_text(thing, start, end, scene.duration)


def answer_text(thing: Thing, start: float, end: float, duration: float) -> str:
    """The output format: a thought that goes through the clip second by second, then the interval."""
    thought = narration(thing, start, end, range(math.ceil(duration)), duration)
    return f"<think>{thought}</think><time>[{start:.1f}, {end:.1f}]</time>"


def narration(thing: Thing, start: float, end: float, times: Sequence[float], duration: float) -> str:
    """The clip cut at `times`, each part named by its first second and a word: `0 no 1 red 2 red 3 no`.

    The word is the thing's colour where part of start..end lies in it, else "no".
    """
    words = (thing.colour if touches(start, end, *part) else NOTHING for part in parts(times, duration))
    return " ".join(f"{written_time(time)} {word}" for time, word in zip(times, words, strict=True))


def parts(times: Sequence[float], duration: float) -> Iterator[tuple[float, float]]:
    """The (start, end) of the parts of a clip that begin at `times`."""
    return zip(times, [*times[1:], duration], strict=True)


def touches(start: float, end: float, part_start: float, part_end: float) -> bool:
    """Whether some of start..end lies between two times."""
    return min(end, part_end) > max(start, part_start)


def caption(scene: Scene, start: float, end: float) -> tuple[str, str]:
    """The colours of the two uppermost things that can be seen between two times, "no" for one that is not there."""
    names = []
    for thing in sorted(scene.things, key=lambda thing: thing.y):
        active = touches(thing.start, thing.end, start, end)
        if active or thing.event != "visible":
            names.append(thing.other if thing.event == "colour" and active else thing.colour)
    upper, lower, *_ = [*names, NOTHING, NOTHING]
    return upper, lower


def write_world(
    directory: Path, clips: int, seed: int, config: WorldConfig, name: str, on_clip: Callable[[int], None] | None = None
) -> Iterator[Sample]:
    """Encode `clips` clips under `directory` and yield their samples, the annotator's answer in `response`.

    A clip that is already there is kept, so an interrupted call goes on where it stopped; clip k of a (seed, name)
    never depends on the others.
    """
    directory = Path(os.path.abspath(directory))  # a sample's video is found from every working directory
    directory.mkdir(parents=True, exist_ok=True)
    for index in range(clips):
        rng = random.Random(f"{seed}/{name}/{index}")
        scene = draw_scene_plan(rng, config)
        path = directory / f"{name}_{index:05d}.mp4"
        if not path.exists():
            partial = path.with_suffix(".partial")
            encode_scene(scene, partial)
            partial.replace(path)
        for number, thing in enumerate(scene.things):
            yield Sample(
                id=f"{name}_{index:05d}_{number}",
                video=str(path),
                query=thing.phrase(rng),
                spans=((thing.start, thing.end),),
                duration=scene.duration,
                source="world",
                response=annotate(thing, scene, config, rng),
                meta={"event": thing.event},
            )
        if on_clip is not None:
            on_clip(index + 1)
