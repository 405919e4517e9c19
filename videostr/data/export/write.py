"""Rows -> JSON lines, a JSON list, or parquet, whole or not at all."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from videostr import atomic
from videostr.data.export.rows import FORMATS, PLACEHOLDERS, Row
from videostr.data.prompts import PROMPTS
from videostr.data.samples import Sample, read_samples

_BATCH = 1000  # rows of a parquet group in memory


class ExportError(ValueError):
    """Nothing could be exported."""


def export(
    format: str, samples: str | os.PathLike, out: str | os.PathLike, *, prompt: str = "tvg_think"
) -> dict[str, Any]:
    """Write a sample file in another trainer's format; videos become absolute paths.

    Args:
        format: a key of `FORMATS`.
        samples: the sample file.
        out: what to write; the suffix says how (.jsonl; for verl and EasyR1 also .parquet and .json).
        prompt: which of `PROMPTS` asks.

    Returns:
        {"read", "written", "skipped": {reason: count}}: "placeholder" (the sentence holds "<video>" or the like, which
        the trainer would take for one) and "no_response" (ms-swift-sft needs one).

    Raises:
        ValueError: unknown format, prompt or suffix, or `out` is `samples`. SampleError: the sample file. ExportError:
        no sample is left, or parquet without the package pyarrow. OSError: cannot write.
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    if prompt not in PROMPTS:
        raise ValueError(f"prompt: expected one of {', '.join(PROMPTS)}, got {prompt!r}")
    out = Path(out)
    suffixes = FORMATS[format].suffixes
    if out.suffix not in suffixes:
        raise ValueError(f"out: expected a name that ends with {' or '.join(suffixes)} for {format}, got {out.name!r}")
    atomic.check_not_a_source(out, [samples])
    skipped: Counter[str] = Counter()
    many = read_samples(samples)
    rows = _rows(format, many, prompt, skipped)
    first = next(rows, None)
    if first is None:
        raise ExportError(f"{samples}: none of {len(many)} samples can be exported: {dict(skipped)}")
    with atomic.atomic_file(out) as file:
        write = {".jsonl": _write_lines, ".json": _write_list, ".parquet": _write_parquet}[out.suffix]
        written = write(file, _chain(first, rows))
    return {"read": len(many), "written": written, "skipped": dict(skipped)}


def _rows(format: str, samples: list[Sample], prompt: str, skipped: Counter[str]) -> Iterator[Row]:
    target = FORMATS[format]
    number = 0
    for sample in samples:
        if target.placeholders and any(mark in sample.query for mark in PLACEHOLDERS):
            skipped["placeholder"] += 1
        elif format == "ms-swift-sft" and not sample.response:
            skipped["no_response"] += 1
        else:
            yield target.row(sample, prompt, number)
            number += 1


def _chain(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _write_lines(file: BinaryIO, rows: Iterator[Row]) -> int:
    count = 0
    for row in rows:
        file.write((json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8"))
        count += 1
    return count


def _write_list(file: BinaryIO, rows: Iterator[Row]) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
        file.write(((",\n" if count > 1 else "[\n") + text).encode("utf-8"))
    file.write(b"\n]\n")
    return count


def _write_parquet(file: BinaryIO, rows: Iterator[Row]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ExportError("parquet needs the package pyarrow (pip install pyarrow); or write .jsonl") from error
    count, batch, writer = 0, [], None

    def flush() -> None:
        nonlocal writer
        # The first rows may all lack a duration: its type must not be "null" for the file.
        table = pa.Table.from_pylist(batch, schema=_schema(pa, batch[0]))
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
        batch.clear()

    for row in rows:
        batch.append(row)
        count += 1
        if len(batch) == _BATCH:
            flush()
    if batch:
        flush()
    writer.close()
    return count


def _schema(pa: Any, row: Row) -> Any:
    """The types of a row, which are the same in all: only `duration` may be null."""

    def kind(name: str, value: Any) -> Any:
        if name == "duration" or isinstance(value, float):
            return pa.float64()
        if isinstance(value, dict):
            return pa.struct([(key, kind(key, inner)) for key, inner in value.items()])
        if isinstance(value, list):
            return pa.list_(kind("", value[0]))
        return pa.int64() if isinstance(value, int) else pa.string()

    return pa.schema([(name, kind(name, value)) for name, value in row.items()])
