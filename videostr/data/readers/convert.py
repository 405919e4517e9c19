"""Public set -> sample file, with an account of everything that was left out or changed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from videostr import atomic
from videostr.data.readers.base import Annotation, Reader, ReadOptions, Segments, Skip
from videostr.data.readers.check import NOTES, REASONS, Checker, Overrun
from videostr.data.readers.sources import HUB, SourceError, expand
from videostr.data.readers.table import get_reader
from videostr.data.readers.videos import VideoIndex
from videostr.data.samples import encode_sample

_SHOWN = 10  # rejected entries named in the report; the file has all


def side_files(out: str | os.PathLike) -> dict[str, Path]:
    """Where the report, the missing videos and the rejected entries of `out` go: OUT without .jsonl, and .report.json,
    .missing.jsonl, .rejected.jsonl."""
    base = str(out).removesuffix(".jsonl")
    return {name: Path(f"{base}.{name}{ext}") for name, ext in _SIDES.items()}


_SIDES = {"report": ".json", "missing": ".jsonl", "rejected": ".jsonl"}


def convert(
    name: str,
    sources: Sequence[str],
    out: str | os.PathLike,
    *,
    videos: Sequence[str | os.PathLike] = (),
    durations: Mapping[str, float] | None = None,
    overrun: Overrun = "clip",
    keep_missing: bool = False,
    segments: Segments = "auto",
    fields: Mapping[str, str] | None = None,
    probe: Callable[[str], float] | None = None,
    as_published: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Convert a set into a file that `read_samples` reads. Entries are streamed; what is kept in memory is 32 bytes a
    sample and the names of the videos.

    Args:
        name: of the reader (`table.READERS`).
        sources: files, folders that hold the set's files, or `hf://NAME[#CONFIG][@SPLIT]`.
        out: the JSON-lines file. Beside it are written (see `side_files`) the report, every rejected entry with file,
            line and reason, and the missing videos. `out` itself comes last and whole: a killed run leaves the old one.
        videos: folders that hold the video files at any depth; default: the folders of the sources.
        durations: seconds by video id, where the set gives none.
        overrun: an interval that ends more than 1 s behind the video is clipped to its end, or its entry rejected.
        keep_missing: keep samples whose video is missing, with the path where it was looked for.
        segments: whether files are whole where a set counts from inside a longer video; see `base.segment`.
        fields: our name -> the file's, for the reader `fields` alone.
        probe: file -> its real length in seconds, asked once a video; an exception with a `.reason` means unreadable.
        as_published: for an evaluation: no interval is clipped or rejected for its end (`overrun` says nothing), and
            what a set holds twice stays there twice.
        progress: called with (entries read, samples written) after every entry.

    Returns:
        the report: set, title, seen, sources, options, read, written, rejected and notes (reason -> count, in order of
        count), videos ({"used", "missing", "ambiguous"}), examples (the first rejected entries), files.

    Raises:
        ValueError: unknown name, option or field, or `out` among the sources. SourceError (a ValueError): a source that
        cannot be read, or no folder of videos for a source on the hub. FileNotFoundError: a folder of videos that is
        not there. OSError: cannot write.
    """
    reader = get_reader(name)
    for what, value, choices in (("overrun", overrun, get_args(Overrun)), ("segments", segments, get_args(Segments))):
        if value not in choices:
            raise ValueError(f"{what}: expected one of {choices}, got {value!r}")
    if fields and name != "fields":
        raise ValueError(f"fields: only the reader 'fields' takes them, got {name!r}")
    files = expand(reader, sources)
    if not files:
        raise SourceError("sources: none given")
    atomic.check_not_a_source(out, files)
    index = VideoIndex(videos or _folders(files))
    durations = durations or {}
    checker = Checker(name, index, durations, overrun, keep_missing, probe, as_published)
    options = ReadOptions(durations, segments, fields or {})
    out = Path(os.path.abspath(out))
    sides = side_files(out)
    rejected: Counter[str] = Counter()
    examples: list[dict[str, Any]] = []
    read = written = 0
    # `out` is opened first, so that it is closed and renamed last.
    with atomic.atomic_file(out, keep_empty=False) as lines, atomic.atomic_file(sides["rejected"]) as rejects:
        for file, annotation in _annotations(reader, files, options):
            read += 1
            result = checker(annotation) if isinstance(annotation, Annotation) else annotation
            if isinstance(result, Skip):
                key = annotation.key if isinstance(annotation, Annotation) else None
                record = _rejection(file, result, key)
                rejects.write(_line(record))
                rejected[result.reason] += 1
                examples += [record] if len(examples) < _SHOWN else []
            else:
                lines.write((encode_sample(result, out.parent) + "\n").encode("utf-8"))
                written += 1
            if progress is not None:
                progress(read, written)
        missing = sorted(checker.missing.items())
        report = {
            "set": name,
            "title": reader.title,
            "seen": reader.seen,
            "sources": files,
            "options": {
                "videos": [str(root) for root in index.roots],
                "durations": len(durations),
                "overrun": overrun,
                "keep_missing": keep_missing,
                "segments": segments,
                "fields": dict(fields or {}),
                "probe": probe is not None,
                "as_published": as_published,
            },
            "read": read,
            "written": written,
            "rejected": dict(rejected.most_common()),
            "notes": dict(checker.notes.most_common()),
            "videos": {"used": len(checker.used), "missing": len(missing), "ambiguous": len(index.ambiguous)},
            "examples": examples,
            "files": {"samples": str(out) if written else None, **{key: str(path) for key, path in sides.items()}},
        }
        with atomic.atomic_file(sides["missing"]) as file:
            for video, samples in missing:
                file.write(_line({"video": video, "samples": samples}))
        atomic.write_json(sides["report"], report)
    return report


def _annotations(reader: Reader, files: Sequence[str], options: ReadOptions) -> Iterator[tuple[str, Annotation | Skip]]:
    for file in files:
        try:
            for annotation in reader.read(file, options):
                yield file, annotation
        except OSError as error:
            raise SourceError(f"{file}: cannot be read: {error}") from error


def _folders(files: Sequence[str]) -> list[Path]:
    if any(file.startswith(HUB) for file in files):
        raise SourceError("videos: name the folder that holds the videos of a set on the hub")
    return list(dict.fromkeys(Path(os.path.abspath(file)).parent for file in files))


def _rejection(file: str, skip: Skip, key: str | None) -> dict[str, Any]:
    record = {"file": file, "line": skip.line, "entry": skip.entry or None, "key": key, "reason": skip.reason}
    record["detail"] = skip.detail or None
    return {name: value for name, value in record.items() if value is not None}


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=True) + "\n").encode("ascii")


def to_text(report: Mapping[str, Any]) -> str:
    """The report as a table for people."""
    videos, files = report["videos"], report["files"]
    rows = [("read", report["read"], ""), ("written", report["written"], files["samples"] or "nothing: no file")]
    rows += [(f"- {reason}", count, REASONS[reason]) for reason, count in report["rejected"].items()]
    rows += [(f"  {note}", count, NOTES[note]) for note, count in report["notes"].items()]
    rows += [("videos used", videos["used"], ""), ("videos missing", videos["missing"], files["missing"])]
    if videos["ambiguous"]:
        rows.append(("videos ambiguous", videos["ambiguous"], "several files of that name: the best match was taken"))
    lines = [f"{report['title']}: {len(report['sources'])} file(s)"]
    lines += [f"  {name:<20} {count:>9,}  {meaning}".rstrip() for name, count, meaning in rows]
    for record in report["examples"]:
        at = f"{record['file']}, line {record['line']}" + (f", entry {record['entry']}" if "entry" in record else "")
        lines.append(f"  {at}: {record['reason']}" + (f": {record['detail']}" if "detail" in record else ""))
    rest = sum(report["rejected"].values()) - len(report["examples"])
    if rest > 0:
        lines.append(f"  … and {rest:,} more in {files['rejected']}")
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")
