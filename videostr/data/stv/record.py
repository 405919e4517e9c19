"""Question -> candidate line -> sample."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from string import ascii_uppercase
from typing import Any

from videostr.data.samples import Sample
from videostr.data.stv.question import Question
from videostr.data.stv.scene import Clip

WHOLE = 86400.0  # seconds: where a whole video is meant whose length is not known
BOXES = " Boxes are [x1, y1, x2, y2] in thousandths of the picture's width and height."


def candidate(
    question: Question, clip: Clip, graph: tuple[str, str, str], split: str, seed: int, digest: bytes
) -> dict[str, Any]:
    """What the journal keeps of a question: everything but the order of its options."""
    times = [round(float(clip.times_T[frame]), 3) for frame in question.frames]
    return {
        "id": digest.hex(),
        "priority": int.from_bytes(hashlib.blake2b(digest, key=str(seed).encode(), digest_size=8).digest(), "big"),
        "split": split,
        "source": clip.source,
        "scene": clip.scene,
        "video": clip.video,
        "duration": clip.duration,
        "span": _span(clip, times),
        "frames": [int(clip.number_T[frame]) for frame in question.frames],
        "times": times,
        "size": [clip.width, clip.height],
        **{name: getattr(question, name) for name in ("task", "family", "kind", "group", "key", "keys", "answer")},
        **{name: getattr(question, name) for name in ("options", "unit", "text", "boxes")},
        "graph": graph[0],
        "coordinates": graph[1],
        "places": graph[2],
    }


def _span(clip: Clip, times: list[float]) -> list[float]:
    """The part of the video that the question is about."""
    if times and not clip.static:
        return [times[0], round(times[-1] + 1.0 / clip.fps, 3)]
    return [0.0, clip.duration or (clip.end if len(clip.times_T) else WHOLE)]


def digest_of(question: Question, clip: Clip) -> bytes:
    """16 bytes that are the same for the same question about the same video, however it is worded."""
    asked = [
        clip.source,
        clip.scene,
        question.task,
        question.family,
        question.frames,
        question.subject,
        sorted(question.options),
    ]
    return hashlib.blake2b(json.dumps(asked, ensure_ascii=True).encode(), digest_size=16).digest()


class Letters:
    """Puts options in order: the right one comes at every place equally often, of questions of one kind."""

    def __init__(self) -> None:
        self.used: dict[tuple, Counter[int]] = {}

    def order(self, record: dict[str, Any]) -> tuple[list[str], str]:
        """(options, the right one's letter)."""
        rng = random.Random(record["priority"])
        right = record["answer"]
        wrong = [option for option in record["options"] if option != right]
        rng.shuffle(wrong)
        used = self.used.setdefault(
            tuple(record[name] for name in ("split", "source", "task", "family")) + (len(wrong),), Counter()
        )
        least = min(used[place] for place in range(len(wrong) + 1))
        place = rng.choice([place for place in range(len(wrong) + 1) if used[place] == least])
        used[place] += 1
        options = [*wrong[:place], right, *wrong[place:]]
        return options, ascii_uppercase[place]


def to_sample(record: dict[str, Any], letters: Letters) -> Sample:
    """The sample of a chosen candidate."""
    query, answer, options = record["text"], record["answer"], None
    if record["boxes"]:
        query += BOXES
    if record["kind"] == "choice":
        options, answer = letters.order(record)
        query += "".join(f"\n{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False))
    graph = json.loads(record["graph"])
    meta = {
        "task": record["task"],
        "family": record["family"],
        "answer_kind": record["kind"],
        "answer": answer,
        "options": options,
        "option_keys": None,
        "unit": record["unit"],
        "group": record["group"] or None,
        "scene": record["scene"],
        "frames": record["frames"],
        "times": record["times"],
        "size": record["size"],
        "graph": graph,
        "coordinates": json.loads(record["coordinates"]),
        "boxes": json.loads(record["places"]) or None,
    }
    if options is not None:  # what an option says to one who sees no video: the blind baseline reads it
        keys = dict(zip(record["options"], record["keys"], strict=True))
        meta["option_keys"] = [keys[option] for option in options]
    return Sample(
        id=f"{record['source']}-{record['id'][:20]}",
        video=record["video"],
        query=query,
        spans=(tuple(record["span"]),),
        duration=record["duration"],
        source=record["source"],
        meta={name: value for name, value in meta.items() if value is not None},
    )
