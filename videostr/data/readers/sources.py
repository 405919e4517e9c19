"""Where a set is read from: a file, a folder that holds its files, or a Hugging Face data set."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from videostr.data.readers.base import Reader
from videostr.data.readers.json_stream import Item, first_character, json_entries, json_lines

HUB = "hf://"


class SourceError(ValueError):
    """A source that cannot be read at all: nothing was converted."""


def expand(reader: Reader, sources: Sequence[str]) -> list[str]:
    """The files to read: a folder stands for those in it that the set's own names match, at any depth.

    A data set that `save_to_disk` wrote, and `hf://NAME[#CONFIG][@SPLIT]`, stay what they are. Raises SourceError for a
    source that is not there, or a folder without any such file.
    """
    found: list[str] = []
    for source in sources:
        path = Path(source)
        if source.startswith(HUB) or path.is_file() or _saved_dataset(path):
            found.append(source)
        elif path.is_dir():
            inside = {file for pattern in reader.files for file in path.rglob(pattern) if file.is_file()}
            if not inside:
                raise SourceError(f"{source}: holds none of the files of {reader.name}: {', '.join(reader.files)}")
            found += sorted(map(str, inside))
        else:
            raise SourceError(f"{source}: no such file or folder")
    return list(dict.fromkeys(found))


def records(source: str) -> Iterator[Item]:
    """The records of a set that is a list of them: JSON lines or list, parquet, CSV, or a Hugging Face data set."""
    path = Path(source)
    if source.startswith(HUB) or path.suffix == ".parquet" or _saved_dataset(path):
        yield from _dataset_rows(source)
    elif path.suffix == ".csv":
        yield from csv_rows(path)
    elif path.suffix in (".jsonl", ".ndjson") or first_character(path) == "{":
        yield from json_lines(path)
    else:
        yield from json_entries(path)


def entries(source: str) -> Iterator[Item]:
    """The members of a set that is one JSON object, each with its `key`."""
    if source.startswith(HUB) or not Path(source).is_file():
        raise SourceError(f"{source}: this set is one JSON object; give its file")
    for item in json_entries(Path(source)):
        if item.problem is None and item.key is None:
            item = Item(item.line, problem="expected one JSON object, got a list", number=item.number)
        yield item


def csv_rows(path: Path) -> Iterator[Item]:
    """The rows of a CSV file with a header, as objects of strings."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file, restkey="")
        try:
            for row in rows:
                if "" in row or None in row.values():
                    yield Item(
                        rows.line_num, problem="more or fewer columns than the header names", number=rows.line_num
                    )
                else:
                    yield Item(rows.line_num, row, number=rows.line_num)
        except csv.Error as error:
            yield Item(rows.line_num, problem=f"not CSV: {error}", number=rows.line_num)


def beside(source: str, name: str) -> Path:
    """A file of the same set, in the same folder. Raises SourceError where it is not there."""
    path = Path(source).with_name(name)
    if not path.is_file():
        raise SourceError(f"{source}: the set needs {name} beside it")
    return path


def load_json(path: Path) -> Any:
    """A side file, whole. Raises SourceError."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def load_object(path: Path) -> dict[str, Any]:
    """A side file that is one JSON object, whole. Raises SourceError."""
    loaded = load_json(path)
    if not isinstance(loaded, dict):
        raise SourceError(f"{path}: expected one JSON object, got {type(loaded).__name__}")
    return loaded


def load_durations(path: Path) -> dict[str, float]:
    """Seconds by video id: a JSON object (VideoMind's durations.json), or a CSV file with the columns id and length
    (Charades_v1_*.csv). Raises SourceError."""
    if path.suffix == ".csv":
        rows = [item.value for item in csv_rows(path) if item.problem is None]
        pairs = [(row.get("id"), row.get("length")) for row in rows]
    else:
        loaded = load_json(path)
        pairs = list(loaded.items()) if isinstance(loaded, dict) else []
    durations = {}
    for name, seconds in pairs:
        try:
            durations[str(name)] = float(seconds)
        except (TypeError, ValueError):
            continue
    if not durations:
        raise SourceError(f"{path}: expected an object of seconds by video id, or a CSV with the columns id and length")
    return durations


def _saved_dataset(path: Path) -> bool:
    return path.is_dir() and ((path / "state.json").is_file() or (path / "dataset_dict.json").is_file())


def _dataset_rows(source: str) -> Iterator[Item]:
    try:
        import datasets
    except ImportError as error:
        raise SourceError(f"{source}: needs the package datasets (pip install datasets)") from error
    name, _, split = source.removeprefix(HUB).partition("@")
    name, _, config = name.partition("#")
    try:
        if source.startswith(HUB):
            rows = datasets.load_dataset(name, config or None, split=split or "train", streaming=True)
        elif name.endswith(".parquet") or source.endswith(".parquet"):
            rows = datasets.load_dataset("parquet", data_files=source, split="train", streaming=True)
        else:
            rows = datasets.load_from_disk(source)
            if isinstance(rows, datasets.DatasetDict):
                raise SourceError(f"{source}: holds the splits {', '.join(rows)}; name one of these folders")
        for number, row in enumerate(rows, start=1):
            yield Item(number, row, number=number)
    except SourceError:
        raise
    except Exception as error:  # datasets raises a hundred kinds
        raise SourceError(f"{source}: cannot be read: {type(error).__name__}: {error}") from error
