"""ActivityNet Captions: one JSON object {video: {"duration": s, "timestamps": [[start, end], …], "sentences": […]}}.

Seen: the files train.json, val_1.json and val_2.json of the set (cs.stanford.edu/people/ranjaykrishna/densevid) as
read by yeliudev/VideoMind (sub_classes/activitynet_captions.py) and xiaomi-research/time-r1 (data_loader.py). val_1
and val_2 name the same videos, so the file's name is part of the id.
"""

from collections.abc import Iterator

from videostr.data.readers.base import Annotation, Reader, ReadOptions, Skip, each, paired, stem
from videostr.data.readers.json_stream import Item
from videostr.data.readers.sources import entries


def read(source: str, options: ReadOptions) -> Iterator[Annotation | Skip]:
    def make(item: Item) -> Iterator[Annotation]:
        for index, span, sentence in paired(item.value, "timestamps", "sentences"):
            key = f"{stem(source)}:{item.key}:{index}"
            yield Annotation(key, (item.key,), sentence, [span], item.value.get("duration"), item.line)

    return each(entries(source), make)


READER = Reader(
    "activitynet_captions",
    "ActivityNet Captions",
    ("train.json", "val_1.json", "val_2.json"),
    "the set's page, yeliudev/VideoMind, xiaomi-research/time-r1",
    read,
)
