"""Object localisation: the box of an object at a time."""

from __future__ import annotations

from collections.abc import Iterator

from videostr.data.stv.question import Asking, Question, box_1000, is_complete, sampled_frames, seconds, seen_rows
from videostr.data.stv.tasks.motion import cell

PHRASINGS = (
    "Where is {a} at {when}? Answer with its box.",
    "Give the box of {a} at {when}.",
    "Locate {a} in the frame at {when} by a box.",
    "At {when}, which box encloses {a}?",
)
_LARGEST = 0.4  # of the picture: a larger one is guessed without looking


def object_localisation(ask: Asking) -> Iterator[Question]:
    clip = ask.clip
    if clip.static:
        return
    for frame in sampled_frames(ask, ask.limit):
        for track, row in seen_rows(ask, frame):
            if sum(other.row(frame) is not None for other in clip.by_name[track.name]) > 1:
                ask.dropped["several_of_a_class"] += 1
                continue
            if not is_complete(clip, track.name):
                ask.dropped["incomplete_class"] += 1
                continue
            box = box_1000(clip, track, row)
            if (box[2] - box[0]) * (box[3] - box[1]) > _LARGEST * 1e6:
                ask.dropped["too_large"] += 1
                continue
            text = ask.phrase(PHRASINGS, a=f"the {track.name}", when=seconds(clip.times_T[frame]))
            yield Question(
                "object localisation",
                "box",
                "box",
                text,
                list(box),
                (frame,),
                (track.name,),
                cell(box),
                boxes=True,
                subject=(track.id,),
            )
