"""Sentences that are nearly the same, and the step that keeps one of each.

Two sentences are compared by the Jaccard index of their words and pairs of neighbouring words: pairs, so that "the dog
chases the cat" and "the cat chases the dog" differ. The search is exact, by prefix filtering (Chaudhuri, Ganti, Kaushik
2006; Bayardo, Ma, Srikant 2007): with all sets in one fixed order, two sets of Jaccard index >= t share one of their
first |x| - ceil(t |x|) + 1 members. Sentences are short, so that is three or four entries a sentence, fewer than the
bands of a MinHash index, and no pair is missed. The order is by length, longest first: a stand-in for rarity that needs
no pass over the data to count words.
"""

from __future__ import annotations

import math
from array import array
from typing import Any, Literal, get_args

from videostr.data.curation.step import Step
from videostr.data.curation.text import words
from videostr.data.samples import Sample

Scope = Literal["all", "video"]


def shingles(text: str) -> list[str]:
    """The words and word pairs of a sentence, each once, the longest first."""
    found = words(text)
    pairs = (f"{first} {second}" for first, second in zip(found, found[1:], strict=False))
    return sorted({*found, *pairs}, key=lambda item: (-len(item), item))


class SentenceIndex:
    """add(text, name), then find(text): the name of a sentence whose Jaccard index with `text` is >= threshold.

    scope: sentences are only compared within one. About 1.2 KB a sentence. Raises ValueError for a threshold outside
    (0, 1].
    """

    def __init__(self, threshold: float = 0.8):
        if not 0 < threshold <= 1:
            raise ValueError(f"similar: expected a number in (0, 1], got {threshold!r}")
        self.threshold = threshold
        self._sets: list[array] = []
        self._names: list[str] = []
        self._postings: dict[int, array] = {}

    def add(self, text: str, name: str, scope: str = "") -> None:
        """A text without words is not added."""
        items = shingles(text)
        number = len(self._sets)
        self._sets.append(array("q", map(hash, items)))
        self._names.append(name)
        for key in self._prefix(items, scope):
            self._postings.setdefault(key, array("q")).append(number)

    def find(self, text: str, scope: str = "") -> str | None:
        """The first added sentence that is similar enough, or None."""
        items = shingles(text)
        mine = set(map(hash, items))
        least, most = self.threshold * len(mine) - 1e-9, len(mine) / self.threshold + 1e-9
        found, seen = None, set()
        for key in self._prefix(items, scope):
            for number in self._postings.get(key, ()):
                if number in seen or (found is not None and number > found):
                    continue
                seen.add(number)
                theirs = self._sets[number]
                if not least <= len(theirs) <= most:
                    continue
                shared = len(mine.intersection(theirs))
                if shared >= self.threshold * (len(mine) + len(theirs) - shared) - 1e-9:
                    found = number
        return None if found is None else self._names[found]

    def _prefix(self, items: list[str], scope: str) -> list[int]:
        kept = len(items) - math.ceil(self.threshold * len(items) - 1e-9) + 1 if items else 0
        return [hash((scope, item)) for item in items[:kept]]


class Duplicates(Step):
    """Refuses a sentence nearly the same as one that was kept ("duplicate_sentence").

    threshold: of the Jaccard index (0.8 is ours, O). scope: "all", or "video" for the same video only; sets whose
    sentences come from a script, as Charades-STA's do, lose many under "all".
    """

    name = "duplicates"

    def __init__(self, threshold: float = 0.8, scope: Scope = "all"):
        if scope not in get_args(Scope):
            raise ValueError(f"duplicates: expected one of {get_args(Scope)}, got {scope!r}")
        self.index, self.scope = SentenceIndex(threshold), scope

    def settings(self) -> dict[str, Any]:
        return {"threshold": self.index.threshold, "scope": self.scope}

    def refuse(self, sample: Sample) -> tuple[str, str] | None:
        found = self.index.find(sample.query, self._scope(sample))
        return None if found is None else ("duplicate_sentence", f"like {found}")

    def remember(self, sample: Sample) -> None:
        self.index.add(sample.query, sample.id, self._scope(sample))

    def _scope(self, sample: Sample) -> str:
        return sample.video if self.scope == "video" else ""
