"""STI-Bench: rows of qa.parquet with Video (a file's name), ID, Source, Task, Question, Candidates (letter -> text, an
object or its JSON text), Answer (a letter), time_start and time_end in seconds, and perhaps Scene.

Seen: MINT-SJTU/STI-Bench (opensource_test.py). A sample's spans are the stretch that the question is about, which is
given to the model, not asked of it. Parquet makes of the objects a struct with every letter that any row has; null ones
are left out.
"""

import json
from collections.abc import Iterator
from typing import Any

from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, each, need, pick
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import records


def candidates(value: Any) -> dict[str, str]:
    """letter -> text, in the order of the letters. Raises BadEntry."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadEntry(f"Candidates: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadEntry(f"Candidates: expected letters and texts, got {value!r:.60}")
    found = {str(letter).strip().upper(): str(text) for letter, text in value.items() if text is not None}
    if len(found) < 2 or sorted(found) != [chr(ord("A") + index) for index in range(len(found))]:
        raise BadEntry(f"Candidates: expected the letters from A on, got {sorted(found)}")
    return dict(sorted(found.items()))


def scene(video: str) -> str:
    """Where a video was taken, from its file's name, as the benchmark's code does it where no column says so."""
    name = video.rsplit("/", 1)[-1]
    if "camera" in name:
        return "outdoor"
    if name.startswith("scene"):
        return "indoor"
    first = name.split(".")[0]
    return "desktop" if first.isdigit() and len(first) == 6 else "unknown"


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        row = item.value
        video, key = need(row, "Video", str), need(row, "ID")
        texts, answer = candidates(need(row, "Candidates")), need(row, "Answer")
        if answer is None:
            raise BadEntry("no 'Answer'", "no_label")
        answer = str(answer).strip().upper()
        if answer not in texts:
            raise BadEntry(f"Answer: expected one of {', '.join(texts)}, got {answer!r:.40}")
        start, end = need(row, "time_start", (int, float)), need(row, "time_end", (int, float))
        meta = {"answer": answer, "answer_kind": "choice", "options": list(texts.values()), "task": need(row, "Task")}
        told = row.get("scene") or row.get("Scene")
        place = told if isinstance(told, str) else scene(video)
        meta |= {"scene": place, "times": [start, end]} | pick(row, "Source")
        spans = [[start, end]] if end > start else []
        yield Annotation(f"{video}:{key}", (video,), need(row, "Question"), spans, None, item.line, meta)

    return each(records(source), make)


READER = Reader("sti_bench", "STI-Bench", ("qa.parquet",), "MINT-SJTU/STI-Bench, opensource_test.py", read)
