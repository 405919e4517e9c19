"""A page to look at spatial question-answer pairs: frames with boxes, the graph from above, question and answer."""

import base64
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image, ImageDraw

from videostr import atomic
from videostr.data.samples import Sample, SampleError, iter_samples
from videostr.graph import Coordinates, Frame, read_graph
from videostr.report.strips import to_jpeg
from videostr.report.style import LINE_COLOURS, TRUTH
from videostr.video import VideoError
from videostr.video.index import read_index
from videostr.video.readers import get_reader

_WIDTH, _FRAMES = 420, 6  # pixels of a frame, frames at most
_SIDE = 300.0  # pixels of the drawing from above


def write_stv_page(
    samples: str | os.PathLike, out: str | os.PathLike, *, count: int = 40, seed: int = 0, task: str | None = None
) -> int:
    """Write one self-contained page with up to `count` samples, of every source, task and kind of question in turn.

    The file is read once, line by line. task: only this one. Returns how many are shown. A video that cannot be read is
    said to be so in its place. Raises SampleError for the file or one without such samples, OSError.
    """
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    chosen = _choose(samples, count, seed, task)
    if not chosen:
        raise SampleError(
            samples, None, "holds no question with an answer" + (f" of the task {task!r}" if task else "")
        )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("videostr.report") / "templates" / "stv.html").read_text("utf-8"))
    html = template.render(
        title=Path(samples).name, shown=len(chosen), truth_colour=TRUTH, samples=[_entry(s) for s in chosen]
    )
    atomic.write_text(out, html)
    return len(chosen)


def _choose(path: str | os.PathLike, count: int, seed: int, task: str | None) -> list[Sample]:
    """Of each source, task and family a reservoir; then one of each in turn."""
    rng = random.Random(seed)
    pools: dict[tuple, list[Sample]] = {}
    seen: dict[tuple, int] = {}
    for _, sample in iter_samples(path):
        meta = sample.meta
        if "answer_kind" not in meta or "answer" not in meta or (task and meta.get("task") != task):
            continue
        key = tuple(str(x) for x in (meta.get("task"), sample.source, meta.get("family")))
        pool = pools.setdefault(key, [])
        seen[key] = seen.get(key, 0) + 1
        if len(pool) < count:
            pool.append(sample)
        elif (place := rng.randrange(seen[key])) < count:
            pool[place] = sample
    for key in sorted(pools):
        rng.shuffle(pools[key])
    chosen: list[tuple[tuple, Sample]] = []
    for turn in range(count):
        chosen += [(key, pools[key][turn]) for key in sorted(pools) if turn < len(pools[key])]
    return [sample for _, sample in sorted(chosen[:count], key=lambda pair: pair[0])]


@dataclass
class _Shown:
    """A frame of the clip: seconds, and where the truth has boxes, {id: thousandths}."""

    time: float
    boxes: dict[str, list[float]]


def _entry(sample: Sample) -> dict[str, Any]:
    meta = sample.meta
    frames = read_graph(meta.get("graph")).frames
    names = {node.object: node.name for frame in frames for node in frame.nodes if node.object is not None}
    colours = {name: LINE_COLOURS[k % len(LINE_COLOURS)] for k, name in enumerate(names)}
    pictures, problem = [], None
    try:
        pictures = [
            {"time": shown.time, "image": "data:image/jpeg;base64," + base64.b64encode(data).decode()}
            for shown, data in _pictures(sample, names, colours)
        ]
    except VideoError as error:
        problem = str(error)
    question, *options = sample.query.split("\n")
    answer = meta["answer"]
    unit = f" {meta['unit']}" if meta.get("unit") else ""
    marked = [
        {"text": option, "right": meta["answer_kind"] == "choice" and option.startswith(f"{answer}.")}
        for option in options
    ]
    if meta["answer_kind"] == "choice" and answer in ascii_uppercase and meta.get("options"):
        answer = f"{answer}. {meta['options'][ascii_uppercase.index(answer)]}"
    try:
        coordinates = Coordinates.from_json(meta["coordinates"])
    except (KeyError, TypeError, ValueError):
        coordinates = None
    return {
        "id": sample.id,
        "where": f"{sample.source} · {meta.get('scene', '')} · {Path(sample.video).name}",
        "kind": f"{meta.get('task', '')} · {meta.get('family', '')}",
        "question": question,
        "options": marked,
        "answer": f"{answer}{unit}",
        "pictures": pictures,
        "problem": problem,
        "drawing": _drawing(frames, coordinates, colours),
        "reference": "" if coordinates is None else coordinates.describe(),
    }


def _times(sample: Sample, duration: float) -> list[_Shown]:
    """The question's frames; of a whole video some at even times."""
    times, boxes = sample.meta.get("times") or [], sample.meta.get("boxes") or []
    if sample.meta.get("boxes"):
        return [_Shown(t, b) for t, b in zip(times, boxes, strict=False)][:_FRAMES]
    start, end = sample.spans[0]
    end = min(end, duration)
    return [_Shown(float(t), {}) for t in start + (np.arange(_FRAMES) + 0.5) * max(end - start, 0.0) / _FRAMES]


def _pictures(sample: Sample, names: dict[str, str], colours: dict[str, str]) -> Iterator[tuple[_Shown, bytes]]:
    index = read_index(sample.video)
    seconds_N = index.seconds(index.pts_N)
    shown = sorted(_times(sample, float(index.seconds(index.end))), key=lambda s: s.time)
    # a time is written to a millisecond: what is on screen a little after it
    position = np.searchsorted(seconds_N, np.array([s.time for s in shown]) + 0.002, side="right") - 1
    reader = get_reader()(index, np.clip(position, 0, len(seconds_N) - 1))
    asked = sample.meta["answer"] if sample.meta["answer_kind"] == "box" else None
    for at, (frame, picture) in enumerate(zip(shown, reader, strict=True)):
        image = Image.fromarray(picture.rgb())
        image = image.resize((_WIDTH, max(1, round(_WIDTH * image.height / image.width))), Image.Resampling.BILINEAR)
        draw = ImageDraw.Draw(image)
        for which, box in frame.boxes.items():
            _draw_box(draw, image, box, colours.get(which, "#ffffff"), f"{names.get(which, '')} {which}")
        if asked is not None and at == len(shown) - 1:
            _draw_box(draw, image, asked, TRUTH, "answer", width=3)
        yield frame, to_jpeg(image)


def _draw_box(draw: ImageDraw.ImageDraw, image: Image.Image, box, colour: str, label: str, width: int = 2) -> None:
    scale = np.array([image.width, image.height] * 2) / 1000
    x1, y1, x2, y2 = np.asarray(box, np.float64) * scale
    draw.rectangle((x1, y1, x2, y2), outline=colour, width=width)
    place = (x1 + 2, max(y1 - 12, 0))
    draw.rectangle(draw.textbbox(place, label), fill=colour)
    draw.text(place, label, fill="white")


def _drawing(frames: tuple[Frame, ...], coordinates: Coordinates | None, colours: dict[str, str]) -> dict[str, Any]:
    """Dots and lines of an SVG: every object at its last place, and how it came there. y is up, in pictures down."""
    points = [node.position for frame in frames for node in frame.nodes]
    picture = coordinates is not None and coordinates.axes == "image"
    if coordinates is not None and coordinates.unit != "metres":
        low, side = np.zeros(2), 10.0 if coordinates.unit == "grid" else 1.0
    else:
        low = np.min([p[:2] for p in points], axis=0) if points else np.zeros(2)
        side = float(max(*(np.max([p[:2] for p in points], axis=0) - low), 1.0)) if points else 1.0
    tracks: dict[str, list[tuple[float, float]]] = {}
    labels: dict[str, str] = {}
    for at, frame in enumerate(frames):
        for place, node in enumerate(frame.nodes):
            x, y = (np.array(node.position[:2]) - low) / side * _SIDE
            key = node.object if node.object is not None else f"{at}/{place}"
            tracks.setdefault(key, []).append((round(float(x), 1), round(float(y if picture else _SIDE - y), 1)))
            labels[key] = node.name if node.object is None else f"{node.name} {node.object}"
    return {
        "side": _SIDE,
        "lines": [_SIDE * k / 10 for k in range(11)],
        "tracks": [
            {
                "colour": colours.get(key, LINE_COLOURS[0]),
                "path": " ".join(f"{x},{y}" for x, y in places),
                "x": places[-1][0],
                "y": places[-1][1],
                "label": labels[key],
            }
            for key, places in tracks.items()
        ],
    }
