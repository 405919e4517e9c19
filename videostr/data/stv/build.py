"""`videostr data stv`: folders of annotations -> train.jsonl, val.jsonl, a report and a data card.

Two passes. The first asks, scene by scene, and appends candidates to a journal that a killed run goes on with. The
second chooses among them, puts options in order and writes. Memory: about 200 bytes a candidate, and one scene.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from videostr import atomic
from videostr.data.samples import encode_sample
from videostr.data.stv.baseline import measure, overall
from videostr.data.stv.card import card
from videostr.data.stv.graphs import STYLES, Grapher, Style
from videostr.data.stv.kitti import read_kitti
from videostr.data.stv.question import FILTERS, Asking, Rules
from videostr.data.stv.record import Letters, candidate, digest_of, to_sample
from videostr.data.stv.scannet import read_scannet, room_of
from videostr.data.stv.scene import BadInput, Clip, Reader, Sources
from videostr.data.stv.select import select
from videostr.data.stv.store import Journal, Table, read_lines
from videostr.data.stv.tao import read_tao
from videostr.data.stv.tasks import ASKERS

READERS: dict[str, Reader] = {"kitti": read_kitti, "scannet": read_scannet, "tao": read_tao}
SPLITS = ("train", "val")
_VERSION = 2  # of the questions: raised whenever the same input gives others
_COMMIT = 16  # scenes between two points that a killed run can go on from


@dataclass(frozen=True)
class Options:
    """count: samples of both splits together. seed. validation: share of the rooms, drives and videos. exclude: names
    of scenes that are left out; a scan takes its room with it, however often that was scanned. style: of the graphs.
    keep_missing: ask about videos that are not there. rules: the filters'.

    Raises ValueError naming the field.
    """

    count: int = 205_000
    seed: int = 0
    validation: float = 0.02
    exclude: frozenset[str] = frozenset()
    style: Style = "grid"
    keep_missing: bool = False
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count: expected at least 1, got {self.count}")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation: expected a share within [0, 1), got {self.validation}")
        if self.style not in STYLES:
            raise ValueError(f"style: expected one of {', '.join(STYLES)}, got {self.style!r}")


def build(
    folders: Mapping[str, str | os.PathLike],
    out: str | os.PathLike,
    options: Options | None = None,
    *,
    frame_times: Callable[[str], Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Build the set and return its report, which is also in OUT/report.json.

    Args:
        folders: by source ("kitti", "scannet", "tao"); the layouts are in docs/video-str.md.
        out: a folder; gets train.jsonl, val.jsonl, card.md, report.json and problems.jsonl (every annotation that was
            left out, with file and line). The same input and options give the same files, bit for bit, however often
            the run was killed.
        frame_times: video -> seconds of its frames, or None; without it, the sets' own frame rates are taken.
        progress: called with (scenes read, candidates) after every scene.

    Raises:
        ValueError: an unknown source or an option. BadInput (a ValueError): a folder that is not of its set. OSError.
    """
    options = options or Options()
    unknown = sorted(set(folders) - set(READERS))
    if unknown or not folders:
        raise ValueError(f"folders: expected some of {', '.join(READERS)}, got {', '.join(unknown) or 'none'}")
    out, places = Path(os.path.abspath(out)), {}
    for source in READERS:
        if source in folders:
            places[source] = Path(os.path.abspath(folders[source]))
            if not places[source].is_dir():
                raise BadInput(f"{source}: {places[source]} is not a folder")
    fingerprint = _fingerprint(places, options, out)
    report = _finished(out, fingerprint)
    if report is not None:
        return report
    work = out / ".work"
    journal = Journal(work, fingerprint)
    try:
        if not journal.state["complete"]:
            _ask_all(journal, places, options, Sources(journal.problem, work, frame_times), progress)
        facts = journal.state["facts"]
    finally:
        journal.close()
    report = _write(work, out, options, facts) | {"fingerprint": fingerprint}
    shutil.copyfile(work / "problems.jsonl", out / "problems.jsonl")
    atomic.write_text(out / "card.md", card(report))
    atomic.write_json(out / "report.json", report)
    shutil.rmtree(work)
    return report


def _finished(out: Path, fingerprint: str) -> dict[str, Any] | None:
    """The report of a run that has already made this."""
    try:
        report = json.loads((out / "report.json").read_bytes())
    except (OSError, ValueError):
        return None
    there = isinstance(report, dict) and report.get("fingerprint") == fingerprint
    return report if there and all(Path(path).is_file() for path in report["files"].values()) else None


def _fingerprint(places: dict[str, Path], options: Options, out: Path) -> str:
    listed = asdict(options) | {"exclude": sorted(options.exclude), "version": _VERSION}
    hashed = hashlib.sha256(json.dumps(listed, sort_keys=True).encode())
    for source, folder in places.items():
        hashed.update(f"{source} {folder}\n".encode())
        for root, names, files in os.walk(folder):
            names[:] = sorted(name for name in names if Path(root, name) != out)  # OUT may lie in a source's folder
            for name in sorted(files):
                stat = os.stat(os.path.join(root, name))
                hashed.update(f"{os.path.relpath(root, folder)}/{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return hashed.hexdigest()[:16]


def _scenes(places: dict[str, Path], sources: Sources) -> Iterator[tuple[str, str, str, Callable[[], Clip | None]]]:
    for source, folder in places.items():
        for scene, group, read in READERS[source](folder, sources):
            yield source, scene, group, read


def _ask_all(journal: Journal, places: dict[str, Path], options: Options, sources: Sources, progress) -> None:
    facts = journal.state["facts"]
    dropped, scenes = Counter(facts.get("dropped")), Counter(facts.get("scenes"))
    sources.notes.update(facts.get("notes", {}))
    done, asked = journal.state["done"], facts.get("asked", 0)
    rooms = frozenset(map(room_of, options.exclude))

    def commit(complete: bool = False) -> None:
        known = {"dropped": dict(dropped), "scenes": dict(scenes), "notes": dict(sources.notes), "asked": asked}
        journal.commit(known, complete)

    for number, (source, scene, group, read) in enumerate(_scenes(places, sources), start=1):
        if number <= done:
            continue
        excluded = options.exclude | rooms if source == "scannet" else options.exclude
        if excluded & {scene, group, scene.rpartition("/")[2]}:
            verdict, written = "excluded", 0
        else:
            verdict, written = _ask(journal, options, source, scene, group, read, dropped)
        scenes[f"{source}: {verdict}"] += 1
        asked += written
        journal.state["done"] = number
        if number % _COMMIT == 0:
            commit()
        if progress is not None:
            progress(number, asked)
    commit(complete=True)


def _ask(journal, options: Options, source: str, scene: str, group: str, read, dropped: Counter) -> tuple[str, int]:
    """(what became of a scene, how many candidates it gave)."""
    clip = read()
    if clip is None:
        return "nothing annotated", 0
    if not options.keep_missing and not os.path.isfile(clip.video):
        return "video missing", 0
    split = "val" if _share(options.seed, source, group) < options.validation else "train"
    grapher, known, written = Grapher(clip, options.style), set(), 0
    for task, asker in ASKERS.items():
        rng = random.Random(f"{options.seed}/{source}/{scene}/{task}")
        limit = options.rules.limit.get(source, 60)
        for question in asker(Asking(clip, rng, options.rules, dropped)):
            if limit == 0:
                break
            digest = digest_of(question, clip)
            if digest in known:
                dropped["duplicate"] += 1
                continue
            graph = grapher(question.frames, question.names)
            if graph is None:
                dropped["no_graph"] += 1
                continue
            known.add(digest)
            journal.write("candidates", candidate(question, clip, graph, split, options.seed, digest))
            written += 1
            limit -= 1
    return f"asked about ({split})" if written else "nothing to ask", written


def _share(seed: int, source: str, group: str) -> float:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{source}/{group}".encode(), digest_size=8).digest(), "big") / 2**64


def _write(work: Path, out: Path, options: Options, facts: dict[str, Any]) -> dict[str, Any]:
    table, digests, twice = Table(), set(), 0
    for offset, line in read_lines(work / "candidates.jsonl"):
        record = json.loads(line)
        digest = bytes.fromhex(record["id"])
        if digest in digests:
            twice += 1
            continue
        digests.add(digest)
        table.add(offset, record)
    del digests
    rows, left = select(table, options.count)
    offsets = table.columns()["offset"][rows].tolist() if len(rows) else []
    counts: Counter[tuple] = Counter()
    files = {split: out / f"{split}.jsonl" for split in SPLITS}
    letters = Letters()
    with atomic.atomic_file(files["train"]) as train, atomic.atomic_file(files["val"]) as val:
        with open(work / "candidates.jsonl", "rb") as source:
            for offset in offsets:
                source.seek(offset)
                record = json.loads(source.readline())
                line = encode_sample(to_sample(record, letters), out) + "\n"
                (val if record["split"] == "val" else train).write(line.encode())
                counts[record["split"], record["source"], record["task"], record["kind"]] += 1
    metas = [_metas(files.values()) for _ in range(2)]
    blind = measure(*metas)
    dropped = Counter(facts["dropped"])
    dropped["duplicate"] += twice
    return {
        "options": asdict(options) | {"exclude": sorted(options.exclude)},
        "scenes": dict(sorted(facts["scenes"].items())),
        "candidates": facts["asked"],
        "written": len(rows),
        "counts": [
            dict(zip(("split", "source", "task", "kind"), key, strict=True), count=count)
            for key, count in sorted(counts.items())
        ],
        "dropped": {name: dropped[name] for name in (*FILTERS, "no_graph", "duplicate") if dropped[name]},
        "left_out": dict(sorted(left.items())),
        "notes": facts["notes"],
        "problems": sum(1 for _ in read_lines(work / "problems.jsonl")),
        "blind": {"overall": overall(blind), "table": blind},
        "files": {name: str(path) for name, path in files.items()},
    }


def _metas(files) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in files:
        for _, line in read_lines(path):
            record = json.loads(line)
            yield record["source"], record["meta"]


def read_exclusions(files: Sequence[str | os.PathLike]) -> frozenset[str]:
    """Names of scenes, one a line; blank lines and what is behind a # are passed over. Raises OSError."""
    names = set()
    for file in files:
        for line in Path(file).read_text("utf-8").splitlines():
            name = line.partition("#")[0].strip()
            if name:
                names.add(Path(name).stem if name.endswith(".mp4") else name)
    return frozenset(names)
