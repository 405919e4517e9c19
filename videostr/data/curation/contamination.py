"""Samples that a benchmark will ask about: its videos, its sentences."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from videostr.data.curation.similar import SentenceIndex
from videostr.data.curation.step import Step
from videostr.data.curation.text import words
from videostr.data.readers.videos import bare
from videostr.data.samples import Sample, SampleError, iter_samples

_RANGE = re.compile(r"_(?:\d+(?:\.\d+)?_\d+(?:\.\d+)?|(?:\d\d:){2}\d\d[:.]\d+_(?:\d\d:){2}\d\d[:.]\d+)$")
_YOUTUBE = re.compile(r"(?:v_|video-)(?=[\w-]{11}$)")
_CAMERA = re.compile(r"-cam-\d+$")


def video_key(path: str) -> str:
    """What the names of one video in several sets have in common: the file's name without extension, the time range of
    a cut (QVHighlights' _660.0_810.0, Time-R1's _00:01:52:000_00:02:47:800), ActivityNet's v_, QuerYD's video- and
    TACoS' -cam-002."""
    name = _CAMERA.sub("", _RANGE.sub("", bare(path)))
    return _YOUTUBE.sub("", name)


class Contamination(Step):
    """Refuses samples of a benchmark's videos, other cuts of them too ("benchmark_video"), and sentences nearly the
    same as a benchmark's ("benchmark_sentence").

    files: sample files, as `videostr data convert` writes them, or .txt with one video a line. Sentences of fewer than
    `min_words` words say nothing about where they come from ("person opens the door") and are not compared. That 8 are
    enough is ours (O); GPT-3's search for contamination compared runs of 8 to 13 words. Raises SampleError for a file
    that cannot be read or has a line that is no sample: a benchmark of which part is overlooked protects nothing.
    """

    name = "contamination"

    def __init__(self, files: Sequence[str], threshold: float = 0.8, min_words: int = 8):
        if min_words < 1:
            raise ValueError(f"contamination_words: expected at least 1, got {min_words!r}")
        self.files, self.min_words = [str(file) for file in files], min_words
        self.videos: dict[str, str] = {}
        self.sentences = SentenceIndex(threshold)
        content = hashlib.sha256()
        for file in self.files:
            empty = True
            for video, query in _entries(file):
                empty = False
                self.videos.setdefault(video_key(video), file)
                content.update(f"{video_key(video)}\0{query}\0".encode())
                if query is not None and len(words(query)) >= min_words:
                    self.sentences.add(query, file)
            if empty:
                raise SampleError(file, None, "holds no videos")
        self.content = content.hexdigest()[:16]

    def settings(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "content": self.content,
            "threshold": self.sentences.threshold,
            "min_words": self.min_words,
        }

    def refuse(self, sample: Sample) -> tuple[str, str] | None:
        file = self.videos.get(video_key(sample.video))
        if file is not None:
            return "benchmark_video", f"{video_key(sample.video)} is in {file}"
        if len(words(sample.query)) >= self.min_words:
            file = self.sentences.find(sample.query)
        return None if file is None else ("benchmark_sentence", f"in {file}")


def _entries(file: str) -> Iterator[tuple[str, str | None]]:
    """(video, sentence or None) of a benchmark's file."""
    if file.endswith(".txt"):
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise SampleError(file, None, f"cannot be read: {error}") from error
        yield from ((line.strip(), None) for line in lines if line.strip())
        return
    for _, sample in iter_samples(file):
        yield sample.video, sample.query
