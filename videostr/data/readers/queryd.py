"""QuerYD: two pickles of {video: list}, the captions as lists of words and their [start, end] in seconds, and lists
of video names, one a line, for the splits (train_list.txt …). The YouTube id follows the first six characters of a
name ("video-").

Seen: yeliudev/VideoMind (sub_classes/queryd.py), which reads raw_captions_combined_filtered-v2.pkl and
times_captions_combined_filtered-v2.pkl. What is inside the pickles is documented by that code alone. The source is
the list; the pickles lie beside it. They may hold plain lists, dicts, numbers and text; a pickle that would run code
is refused.
"""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, each, stem
from videostr.data.readers.json_stream import Item, text_lines
from videostr.data.readers.sources import SourceError, beside

CAPTIONS = "raw_captions_combined_filtered-v2.pkl"
TIMES = "times_captions_combined_filtered-v2.pkl"


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it holds {module}.{name}; only lists, dicts, numbers and text are read")


def load_plain_pickle(path: Path) -> dict:
    """A pickled dict of plain values. Raises SourceError for anything else; nothing in the file is run."""
    try:
        value = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except Exception as error:  # a broken pickle raises nearly anything
        raise SourceError(f"{path}: no pickle of plain values: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{path}: expected a dict, got {type(value).__name__}")
    return value


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    captions, times = load_plain_pickle(beside(source, CAPTIONS)), load_plain_pickle(beside(source, TIMES))

    def make(item: Item) -> Iterator[Annotation]:
        name = item.value
        sentences, spans = captions.get(name), times.get(name)
        if not isinstance(sentences, list) or not isinstance(spans, list):
            raise BadEntry(f"{name!r:.60} is not in both pickles")
        if len(sentences) != len(spans):
            raise BadEntry(f"{name!r:.60}: {len(spans)} times for {len(sentences)} captions")
        for index, (words, span) in enumerate(zip(sentences, spans, strict=True)):
            sentence = " ".join(map(str, words)) if isinstance(words, list) else words
            span = list(span) if isinstance(span, tuple) else span
            yield Annotation(f"{stem(source)}:{name}:{index}", (name[6:], name), sentence, [span], line=item.line)

    return each(text_lines(Path(source)), make)


READER = Reader("queryd", "QuerYD", ("*_list.txt",), "yeliudev/VideoMind, sub_classes/queryd.py", read)
