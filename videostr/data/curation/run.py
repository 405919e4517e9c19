"""Sample files -> one sample file of what passes every step, with an account of the rest."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from videostr import atomic
from videostr.data.curation.step import Step
from videostr.data.samples import Sample, SampleError, encode_sample, iter_samples, stream_samples

EVERY = 5000  # entries between two marks that a killed run continues from


def side_files(out: str | os.PathLike) -> dict[str, Path]:
    """The report and the list of refused samples beside OUT: OUT without .jsonl, and .report.json, .rejected.jsonl."""
    base = str(out).removesuffix(".jsonl")
    return {"report": Path(f"{base}.report.json"), "rejected": Path(f"{base}.rejected.jsonl")}


def curate(
    sources: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    steps: Sequence[Step],
    progress: Callable[[int, int], None] | None = None,
    every: int = EVERY,
) -> dict[str, Any]:
    """Write the samples that no step refuses, in order. A sample is shown to the steps in turn until one refuses it.

    Samples are streamed. A killed run continues from its last mark when the same call is made again: the same steps,
    settings and files. A line that is no sample is counted and listed, not fatal.

    Args:
        sources: sample files. Ids must be unique over all of them.
        out: the sample file; replaced last and whole. Beside it (see `side_files`) the report, and every refused entry
            with file, line, id, step, reason and detail.
        steps: see `Step`.
        progress: called with (entries read, samples kept).
        every: entries between two marks.

    Returns:
        the report: sources, read, kept, kept_fraction, steps (each with name, settings, in, out, refused: reason ->
        count; the first is "read": malformed lines and ids used twice), examples (the first refused entries), files.

    Raises:
        ValueError: no source, or the same one twice, or `out` among them. SampleError: a source that cannot be read.
        OSError: cannot write.
    """
    files = [os.path.abspath(source) for source in sources]
    out = Path(os.path.abspath(out))
    if not files or len(set(files)) < len(files):
        raise ValueError(f"sources: expected one or more different files, got {[os.fspath(s) for s in sources]}")
    atomic.check_not_a_source(out, files)
    for file in files:
        if not os.path.isfile(file):
            raise SampleError(file, None, "cannot be read: no such file")
    with ExitStack() as stack:
        run = _Run(files, out, steps, every, stack)
        for file, line, entry in run.entries():
            run.judge(file, line, entry)
            if progress is not None:
                progress(run.read, run.kept)
        return run.finish()


class _Run:
    def __init__(self, files: list[str], out: Path, steps: Sequence[Step], every: int, stack: ExitStack):
        self.files, self.out, self.steps, self.every = files, out, steps, every
        self.sides = side_files(out)
        self.partial = {"kept": _beside(out, "partial"), "rejected": _beside(self.sides["rejected"], "partial")}
        self.mark_path = _beside(out, "mark")
        self.key = self._key()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.examples: list[dict[str, Any]] = []
        self.ids: set[bytes] = set()
        self.read = self.kept = 0
        self.at = (0, 0)  # file, line: up to which everything is decided
        out.parent.mkdir(parents=True, exist_ok=True)
        self.streams: dict[str, BinaryIO] = {
            name: stack.enter_context(open(path, "ab")) for name, path in self.partial.items()
        }
        self._continue()

    def entries(self) -> Iterator[tuple[str, int, Sample | SampleError]]:
        first, after = self.at
        for number in range(first, len(self.files)):
            for line, entry in stream_samples(self.files[number], after if number == first else 0):
                yield self.files[number], line, entry
                self.at = (number, line)
                if self.read % self.every == 0:
                    self._mark()

    def judge(self, file: str, line: int, entry: Sample | SampleError) -> None:
        self.read += 1
        refused = self._refusal(entry)
        if refused is None:
            self.streams["kept"].write((encode_sample(entry, self.out.parent) + "\n").encode("utf-8"))
            self.kept += 1
            for step in self.steps:
                step.remember(entry)
            return
        step, reason, detail = refused
        record = {"file": file, "line": line, "id": getattr(entry, "id", None)}
        record |= {"step": step, "reason": reason, "detail": detail}
        record = {name: value for name, value in record.items() if value not in (None, "")}
        self.streams["rejected"].write((json.dumps(record) + "\n").encode("ascii"))
        self._count(record)

    def finish(self) -> dict[str, Any]:
        for stream in self.streams.values():
            _flush(stream)
        report = self._report()
        atomic.write_json(self.sides["report"], report)
        os.replace(self.partial["rejected"], self.sides["rejected"])
        if self.kept:
            os.replace(self.partial["kept"], self.out)
        else:  # what was there before stays
            self.partial["kept"].unlink()
        self.mark_path.unlink(missing_ok=True)
        return report

    def _refusal(self, entry: Sample | SampleError) -> tuple[str, str, str] | None:
        if isinstance(entry, SampleError):
            return "read", "malformed", entry.problem
        digest = _digest(entry.id)
        if digest in self.ids:
            return "read", "duplicate_id", ""
        self.ids.add(digest)
        for step in self.steps:
            answer = step.refuse(entry)
            if answer is not None:
                return step.name, *answer
        return None

    def _count(self, record: dict[str, Any]) -> None:
        self.refused[record["step"], record["reason"]] += 1
        if len(self.examples) < 10:
            self.examples.append(record)

    def _key(self) -> str:
        """What a continued run must have in common with the one it continues."""
        facts = [(stat.st_size, stat.st_mtime_ns) for stat in map(os.stat, self.files)]
        settings = [(step.name, step.settings()) for step in self.steps]
        text = json.dumps([self.files, facts, settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _mark(self) -> None:
        """What is written so far is on the disk, and where it ends is remembered."""
        for stream in self.streams.values():
            _flush(stream)
        sizes = {name: stream.tell() for name, stream in self.streams.items()}
        atomic.write_json(self.mark_path, {"key": self.key, "at": self.at, "read": self.read, "sizes": sizes})

    def _continue(self) -> None:
        """Take up the partial files of a killed run, up to its mark; without one, or with another key, start anew."""
        try:
            mark = json.loads(self.mark_path.read_bytes())
            valid = mark["key"] == self.key and all(
                self.partial[name].stat().st_size >= size for name, size in mark["sizes"].items()
            )
        except (OSError, ValueError, KeyError, TypeError):
            valid = False
        for name, stream in self.streams.items():
            stream.truncate(mark["sizes"][name] if valid else 0)
        if not valid:
            return
        self.at, self.read = tuple(mark["at"]), mark["read"]
        for _, sample in iter_samples(self.partial["kept"]):
            self.kept += 1
            self.ids.add(_digest(sample.id))
            for step in self.steps:
                step.remember(sample)
        with open(self.partial["rejected"], "rb") as file:
            for line in file:
                record = json.loads(line)
                self._count(record)
                if "id" in record:
                    self.ids.add(_digest(record["id"]))

    def _report(self) -> dict[str, Any]:
        rows, left = [], self.read
        for name, settings in (("read", {}), *((step.name, step.settings()) for step in self.steps)):
            reasons = {reason: count for (step, reason), count in self.refused.most_common() if step == name}
            rest = left - sum(reasons.values())
            rows.append({"name": name, "settings": settings, "in": left, "out": rest, "refused": reasons})
            left = rest
        return {
            "sources": self.files,
            "read": self.read,
            "kept": self.kept,
            "kept_fraction": self.kept / self.read if self.read else 0.0,
            "steps": rows,
            "examples": self.examples,
            "files": {
                "samples": str(self.out) if self.kept else None,
                **{name: str(path) for name, path in self.sides.items()},
            },
        }


def to_text(report: dict[str, Any]) -> str:
    """The report as a table for people."""
    lines = [f"{'step':<16}{'in':>10}{'out':>10}  refused"]
    for step in report["steps"]:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in step["refused"].items())
        lines.append(f"{step['name']:<16}{step['in']:>10,}{step['out']:>10,}  {reasons}".rstrip())
    lines.append(f"kept {report['kept']:,} of {report['read']:,} ({report['kept_fraction']:.1%})")
    for record in report["examples"]:
        detail = f": {record['detail']}" if "detail" in record else ""
        lines.append(f"  {record['file']}, line {record['line']}: {record['reason']}{detail}")
    rest = report["read"] - report["kept"] - len(report["examples"])
    if rest > 0:
        lines.append(f"  … and {rest:,} more in {report['files']['rejected']}")
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{what}")


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()
