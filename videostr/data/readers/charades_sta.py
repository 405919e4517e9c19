"""Charades-STA: text lines `VIDEO START END##SENTENCE`, seconds.

    AO8RW 0.0 6.9##a person is putting a book on a shelf.

Seen: jiyanggao/TALL (charades_sta_train.txt, charades_sta_test.txt) as read by yeliudev/VideoMind
(videomind/dataset/sub_classes/charades_sta.py) and xiaomi-research/time-r1 (src/vllm_inference/data/data_loader.py),
whose own JSON form, {video: {duration, timestamps, sentences}}, is read too. The text has no durations: they are in
the Charades set's own CSV (columns id, length), see `--durations`.
"""

from collections.abc import Iterator
from pathlib import Path

from videostr.data.readers import activitynet_captions
from videostr.data.readers.base import Annotation, BadEntry, Reader, ReadOptions, Skip, each, number, stem
from videostr.data.readers.json_stream import Item, text_lines


def parse_line(text: str) -> tuple[str, float, float, str]:
    """`VIDEO START END##SENTENCE` -> its parts. Raises BadEntry."""
    head, mark, sentence = text.partition("##")
    words = head.split()
    if not mark or len(words) != 3:
        raise BadEntry(f"expected VIDEO START END##SENTENCE, got {text!r:.80}")
    return words[0], number(words[1], "start"), number(words[2], "end"), sentence


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    if source.endswith(".json"):
        return activitynet_captions.read(source, options)

    def make(item: Item) -> Iterator[Annotation]:
        video, start, end, sentence = parse_line(item.value)
        yield Annotation(f"{stem(source)}:{video}:{item.line}", (video,), sentence, [[start, end]], line=item.line)

    return each(text_lines(Path(source)), make)


READER = Reader(
    "charades_sta",
    "Charades-STA",
    ("charades_sta_*.txt", "Charades_sta_*.txt"),
    "jiyanggao/TALL, yeliudev/VideoMind, xiaomi-research/time-r1",
    read,
)
