"""Words, and the steps that look at one sample's text alone: length and language."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from videostr.data.curation.step import Step
from videostr.data.samples import Sample

# Scripts without spaces between words: each character counts as one.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+(?:['’](?:(?![{_UNSPACED}])[^\W_])+)*")
_TAG = re.compile(r"</?\w+>")


def words(text: str) -> list[str]:
    """Words without case, punctuation and the many ways to write one character (NFKC)."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class Length(Step):
    """Refuses sentences and responses with too few or too many words ("query_short", "query_long", "response_short",
    "response_long"). query, response: (least, most). A sample without a response is judged by its sentence; so is every
    one where `response_counts` is false.

    The defaults are ours (O). Raises ValueError for a pair that is not 0 <= least <= most.
    """

    name = "length"

    def __init__(
        self, query: tuple[int, int] = (2, 60), response: tuple[int, int] = (5, 1500), response_counts: bool = True
    ):
        for what, (least, most) in (("query", query), ("response", response)):
            if not 0 <= least <= most:
                raise ValueError(f"{what}: expected 0 <= least <= most words, got {least!r}, {most!r}")
        self.query, self.response = tuple(query), tuple(response) if response_counts else None

    def settings(self) -> dict[str, Any]:
        return {"query": list(self.query), "response": self.response and list(self.response)}

    def refuse(self, sample: Sample) -> tuple[str, str] | None:
        for what, text, bounds in (("query", sample.query, self.query), ("response", sample.response, self.response)):
            if text is None or bounds is None:
                continue
            least, most = bounds
            count = len(words(_TAG.sub(" ", text)))
            if not least <= count <= most:
                return f"{what}_{'short' if count < least else 'long'}", f"{count} words"
        return None


class Language(Step):
    """Refuses a sentence or a response that is surely in another language ("query_language", "response_language").

    code: ISO 639-1, such as "en". A text counts as another language's if the wanted one has a probability below
    `surely`, and at least `min_letters` letters were there to judge by: on two or three words no detector is reliable.
    Both thresholds are ours (O). Raises ImportError without the package py3langid, ValueError for a code that it does
    not know.
    """

    name = "language"

    def __init__(self, code: str = "en", surely: float = 0.02, min_letters: int = 20, response_counts: bool = True):
        try:
            from py3langid import langid
        except ImportError as error:
            raise ImportError(
                "the language check needs the package py3langid: pip install 'videostr[curation]'"
            ) from error
        self.identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
        if code not in self.identifier.labels:
            raise ValueError(f"language: expected one of {', '.join(sorted(self.identifier.labels))}, got {code!r}")
        self.code, self.surely, self.min_letters = code, surely, min_letters
        self.response_counts = response_counts

    def settings(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "surely": self.surely,
            "min_letters": self.min_letters,
            "response": self.response_counts,
        }

    def refuse(self, sample: Sample) -> tuple[str, str] | None:
        for what, text in (("query", sample.query), ("response", sample.response if self.response_counts else None)):
            plain = re.sub(r"[\W\d_]+", " ", _TAG.sub(" ", text or "")).strip()
            letters = sum(3 if re.match(f"[{_UNSPACED}]", c) else c.isalpha() for c in plain)
            if letters < self.min_letters:
                continue
            ranked = dict(self.identifier.rank(plain))
            if ranked[self.code] < self.surely:
                return f"{what}_language", max(ranked, key=ranked.get)
        return None
