"""What an annotation must pass to become a sample, and what is counted of those that do."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

from videostr.data.readers.base import Annotation, Skip
from videostr.data.readers.videos import VideoIndex, bare
from videostr.data.samples import DURATION_TOLERANCE, Sample, finite_number, is_question

Overrun = Literal["clip", "reject"]
OVERRUNS = ("clip", "reject")

REASONS = {
    "malformed": "cannot be read: not what the format says",
    "no_label": "the entry has no interval (a test split without labels)",
    "not_relevant": "the set says that the video does not show the sentence",
    "whole_video": "the set says that the whole video shows it: nothing to find",
    "no_video_file": "the entry names frames instead of a video file",
    "empty_query": "no sentence",
    "bad_text": "a sentence, id or name that is not text, or not UTF-8",
    "bad_duration": "a duration that is not a number of seconds above 0",
    "bad_time": "an interval that is not two finite numbers",
    "reversed": "an interval that ends before it begins",
    "empty_interval": "an interval without length",
    "outside_video": "an interval wholly before or behind the video",
    "past_end": f"an interval that ends more than {DURATION_TOLERANCE:g} s behind the video (unless that is clipped)",
    "missing_video": "no file of that name under the folders of videos",
    "unreadable_video": "the file cannot be opened as a video (where that is tried)",
    "duplicate_id": "the id was used by an earlier entry",
    "duplicate": "the same sentence and intervals of the same video as an earlier entry",
}
"""Every reason for which an entry is left out."""

NOTES = {
    "clipped_start": "intervals that began before 0: moved to 0",
    "clipped_end": f"intervals that ended more than {DURATION_TOLERANCE:g} s behind the video: moved to its end",
    "past_end_kept": f"intervals that end at most {DURATION_TOLERANCE:g} s behind the video: kept as they are",
    "longer_than_stated": "intervals that end further behind the video: kept as published, as the video's end",
    "repeated": "the same sentence and intervals of the same video as an earlier entry: kept as published",
    "span_dropped": "intervals left out of samples that have others",
    "no_duration": "samples whose video's length is not known: their times were not compared with it",
    "duration_differs": f"samples whose file is more than {DURATION_TOLERANCE:g} s longer or shorter than the set says",
    "kept_without_video": "samples kept although their video is missing",
}
"""What is counted of samples that are kept."""


class Refused(Exception):
    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class Checker:
    """annotation -> Sample, or Skip with the reason. `notes` counts what was done to the samples, `missing` the samples
    of each missing video.

    name: the set; ids are NAME:KEY. durations: seconds by video id, where the set gives none. probe: file -> seconds,
    or an exception with a `.reason`; what it says counts more than the set does. as_published: labels are neither
    clipped nor rejected for their end or for being there twice, as an evaluation needs them. Remembers 32 bytes a
    sample.
    """

    def __init__(
        self,
        name: str,
        videos: VideoIndex,
        durations: Mapping[str, float],
        overrun: Overrun = "clip",
        keep_missing: bool = False,
        probe: Callable[[str], float] | None = None,
        as_published: bool = False,
    ):
        self.as_published = as_published
        self.name, self.videos, self.durations, self.probe = name, videos, durations, probe
        self.overrun, self.keep_missing = overrun, keep_missing
        self.notes: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.used: set[str] = set()
        self._ids: set[bytes] = set()
        self._contents: set[bytes] = set()
        self._probed: dict[str, float | Refused] = {}

    def __call__(self, annotation: Annotation) -> Sample | Skip:
        notes: Counter[str] = Counter()
        try:
            sample = self._sample(annotation, notes)
        except Refused as refused:
            return Skip(annotation.line, refused.reason, refused.detail)
        self.notes.update(notes)
        self.used.add(sample.video)
        return sample

    def _sample(self, annotation: Annotation, notes: Counter[str]) -> Sample:
        query = _text(annotation.query, "query")
        if not query:
            raise Refused("empty_query")
        if not (self.as_published and is_question(annotation.meta)):  # whose words a benchmark shows as they stand
            query = " ".join(query.split())
        response = annotation.response
        if response is not None:
            _text(response, "response")
        identity = _text(f"{self.name}:{annotation.key}", "id")
        names = tuple(_text(video, "video") for video in annotation.videos)
        if not all(names) or any("\0" in name for name in names):
            raise Refused("bad_text", f"video: expected a name, got {annotation.videos!r:.80}")
        _check_json(annotation.meta)
        duration = self._stated_duration(annotation)
        done: Counter[str] = Counter()
        spans = self._spans(
            annotation.spans, annotation.meta, duration, done
        )  # first: a bad label is one with or without its video
        video = self._find(names, notes)
        real = self._real_duration(video, duration, notes)
        if real != duration:
            done, duration = Counter(), real
            spans = self._spans(annotation.spans, annotation.meta, duration, done)
        notes.update(done)
        if duration is None:
            notes["no_duration"] += 1
        elif self.as_published:
            latest = max((end for _, end in spans), default=0.0)
            duration = latest if latest > duration + DURATION_TOLERANCE else duration
        self._once(self._ids, "duplicate_id", identity)
        try:
            self._once(self._contents, "duplicate", repr((video, query.casefold(), spans, _options(annotation))))
        except Refused:
            if not self.as_published:
                raise
            notes["repeated"] += 1
        return Sample(identity, video, query, spans, duration, self.name, response, dict(annotation.meta))

    def _stated_duration(self, annotation: Annotation) -> float | None:
        duration = annotation.duration
        if duration is None and "segment" not in annotation.meta:
            known = (self.durations.get(key) for name in annotation.videos for key in (name, bare(name)))
            duration = next((seconds for seconds in known if seconds is not None), None)
        if duration is None:
            return None
        duration = finite_number(duration)
        if duration is None or duration <= 0:
            raise Refused("bad_duration", f"{annotation.duration!r:.40}")
        return duration

    def _find(self, names: tuple[str, ...], notes: Counter[str]) -> str:
        video = self.videos.find(names)
        if video is not None:
            return _text(video, "video")  # a file's name on the disk may be any bytes
        self.missing[names[0]] += 1
        if not self.keep_missing:
            raise Refused("missing_video", names[0])
        notes["kept_without_video"] += 1
        return self.videos.expected(names[0])

    def _real_duration(self, video: str, stated: float | None, notes: Counter[str]) -> float | None:
        if self.probe is None or notes["kept_without_video"]:
            return stated
        if video not in self._probed:
            try:
                seconds = self.probe(video)
                self._probed[video] = seconds if seconds > 0 else Refused("unreadable_video", f"{video}: no length")
            except Exception as error:
                if not hasattr(error, "reason"):
                    raise
                self._probed[video] = Refused("unreadable_video", f"{video}: {error.reason}")
        real = self._probed[video]
        if isinstance(real, Refused):
            raise real
        if stated is not None and abs(real - stated) > DURATION_TOLERANCE:
            notes["duration_differs"] += 1
        return real

    def _spans(
        self, spans: Any, meta: dict[str, Any], duration: float | None, notes: Counter[str]
    ) -> tuple[tuple[float, float], ...]:
        if not isinstance(spans, list | tuple):
            raise Refused("bad_time", f"expected a list of intervals, got {spans!r:.60}")
        if not spans and is_question(meta):
            return ()
        kept, refused = [], None
        for span in spans:
            try:
                kept.append(self._span(span, duration, notes))
            except Refused as error:
                refused = refused or error
                notes["span_dropped"] += 1
        if not kept:
            raise refused or Refused("no_label", "no interval")
        return tuple(dict.fromkeys(kept))

    def _span(self, span: Any, duration: float | None, notes: Counter[str]) -> tuple[float, float]:
        numbers = (
            [finite_number(time) for time in span] if isinstance(span, list | tuple) and len(span) == 2 else [None]
        )
        if None in numbers:
            raise Refused("bad_time", f"{span!r:.60}")
        start, end = numbers
        if end < start:
            raise Refused("reversed", f"[{start:g}, {end:g}]")
        if end == start:
            raise Refused("empty_interval", f"[{start:g}, {end:g}]")
        if end <= 0 or (duration is not None and start >= duration):
            raise Refused("outside_video", f"[{start:g}, {end:g}] of {duration} s")
        if start < 0:
            start = 0.0
            notes["clipped_start"] += 1
        if duration is not None and end > duration:
            if end <= duration + DURATION_TOLERANCE:
                notes["past_end_kept"] += 1
            elif self.as_published:
                notes["longer_than_stated"] += 1
            elif self.overrun == "clip":
                end = duration
                notes["clipped_end"] += 1
            else:
                raise Refused("past_end", f"[{start:g}, {end:g}] of {duration:g} s")
        return start, end

    @staticmethod
    def _once(seen: set[bytes], reason: str, text: str) -> None:
        digest = hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
        if digest in seen:
            raise Refused(reason, text[:80])
        seen.add(digest)


def _options(annotation: Annotation) -> Any:
    """Questions of one wording differ in their options."""
    return annotation.meta.get("options")


def _check_json(meta: dict[str, Any]) -> None:
    """What is kept beside the sample must be able to stand in its line: no NaN, no half of a surrogate pair."""
    try:
        json.dumps(meta, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, TypeError) as error:
        raise Refused("malformed", f"a field that JSON cannot hold: {error}") from error


def _text(value: Any, what: str) -> str:
    """White space at the ends is not part of a sentence or name."""
    if not isinstance(value, str):
        raise Refused("bad_text", f"{what}: expected text, got {type(value).__name__}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused("bad_text", f"{what}: not UTF-8") from error
    return value.strip()
