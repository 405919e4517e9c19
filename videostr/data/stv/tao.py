"""TAO: annotations/*.json (COCO's lists with videos and tracks), videos/NAME.mp4.

Format: the tao package of TAO-Dataset/tao. The lists stand in any order in one large file, so that they are read one
element at a time into an SQLite file beside the output, and then video by video.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from videostr.data.readers.base import BadEntry, need
from videostr.data.readers.json_stream import json_sections
from videostr.data.samples import finite_number
from videostr.data.stv.scene import BadInput, Clip, Sources, Track, frame_seconds

FPS = 30.0
_TABLES = """
create table videos (id integer primary key, name text, width real, height real, fps real, missing text);
create table images (id integer primary key, video integer, frame integer);
create table tracks (id integer primary key, category integer);
create table categories (id integer primary key, name text);
create table boxes (id integer primary key, image integer, track integer, category integer, video integer,
                    x real, y real, w real, h real, line integer);
create table problems (line integer, what text);
"""


def read_tao(folder: Path, sources: Sources) -> Iterator[tuple[str, str, Callable[[], Clip | None]]]:
    """The videos of every file, in the order of their ids."""
    files = sorted((folder / "annotations").glob("*.json"))
    if not files:
        raise BadInput(f"{folder}: expected TAO's annotations/*.json, found none")
    for path in files:
        with closing(_table(path, sources)) as table:
            for line, what in table.execute("select line, what from problems order by rowid"):
                sources.problem(str(path), line, what)
            for video in table.execute("select * from videos order by id").fetchall():
                scene = f"{path.stem}/{video[1]}"
                yield scene, video[1], partial(_read, folder, path, table, video, scene, sources)


def _table(path: Path, sources: Sources) -> sqlite3.Connection:
    """The file as tables; those of an earlier, killed run where the file is the same."""
    stat = path.stat()
    target = sources.work / f"tao-{path.stem}-{stat.st_size:x}-{stat.st_mtime_ns:x}.sqlite"
    if not target.exists():
        unfinished = target.with_suffix(".partial")
        unfinished.unlink(missing_ok=True)
        with closing(sqlite3.connect(unfinished)) as table:
            table.executescript("pragma journal_mode = off; pragma synchronous = off;" + _TABLES)
            _fill(table, path)
            table.execute("create index by_video on boxes (video, track)")
            table.execute("create index frames on images (video, frame)")
            table.commit()
        os.replace(unfinished, target)
    return sqlite3.connect(target)


def _fill(table: sqlite3.Connection, path: Path) -> None:
    rows = {"videos": _video, "images": _image, "tracks": _tracked, "categories": _category, "annotations": _box}
    found = set()
    for section, item in json_sections(path):
        found.add(section)
        try:
            if item.problem is not None:
                raise BadEntry(item.problem)
            if section not in rows:
                continue
            values = rows[section](item.value)
            name = "boxes" if section == "annotations" else section
            values += (item.line,) if name == "boxes" else ()
            table.execute(f"insert into {name} values ({', '.join('?' * len(values))})", values)
        except BadEntry as error:
            table.execute("insert into problems values (?, ?)", (item.line, f"{section}: {error.detail}"))
        except (sqlite3.IntegrityError, OverflowError):
            what = f"{section}: id {item.value['id']!r:.30} was there before, or is no number of 64 bits"
            table.execute("insert into problems values (?, ?)", (item.line, what))
    for section in sorted(set(rows) - {"tracks"} - found):
        table.execute("insert into problems values (0, ?)", (f"there is no entry in the list {section!r}",))


def _video(record: Any) -> tuple:
    size = [_positive(record, name) for name in ("width", "height")]
    fps = finite_number(record.get("fps")) or FPS
    missing = record.get("not_exhaustive_category_ids", [])
    if not isinstance(missing, list):
        raise BadEntry(f"not_exhaustive_category_ids: expected a list, got {missing!r:.40}")
    return _id(record, "id"), need(record, "name", str), *size, fps if fps > 0 else FPS, json.dumps(missing)


def _image(record: Any) -> tuple:
    frame = _id(record, "frame_index")
    if frame < 0:
        raise BadEntry(f"frame_index: expected a number >= 0, got {frame}")
    return _id(record, "id"), _id(record, "video_id"), frame


def _tracked(record: Any) -> tuple:
    return _id(record, "id"), _id(record, "category_id")


def _category(record: Any) -> tuple:
    return _id(record, "id"), need(record, "name", str)


def _box(record: Any) -> tuple:
    values = [finite_number(x) for x in need(record, "bbox", list)]
    if len(values) != 4 or None in values or values[2] <= 0 or values[3] <= 0:
        raise BadEntry(f"bbox: expected x, y, width and height > 0, got {record['bbox']!r:.60}")
    return tuple(_id(record, k) for k in ("id", "image_id", "track_id", "category_id", "video_id")) + tuple(values)


def _id(record: Any, name: str) -> int:
    value = need(record, name, int)
    if isinstance(value, bool):
        raise BadEntry(f"{name}: expected int, got {value!r}")
    return value


def _positive(record: Any, name: str) -> float:
    value = finite_number(need(record, name, (int, float)))
    if value is None or value <= 0:
        raise BadEntry(f"{name}: expected a number > 0, got {record[name]!r:.40}")
    return value


_SELECT = """select b.track, i.frame, coalesce(t.category, b.category), b.x, b.y, b.w, b.h, b.line, i.video
from boxes b left join images i on i.id = b.image left join tracks t on t.id = b.track
where b.video = ? order by b.track, i.frame, b.id"""


def _read(folder: Path, path: Path, table, video: tuple, scene: str, sources: Sources) -> Clip | None:
    which, name, width, height, fps, missing = video
    names = dict(table.execute("select id, name from categories"))
    file = str(folder / "videos" / f"{name.removesuffix('.mp4')}.mp4")
    numbers = np.array(
        [f for (f,) in table.execute("select distinct frame from images where video = ? order by frame", (which,))],
        np.int64,
    )
    times, rate, there, duration = frame_seconds(sources, file, fps, numbers)
    numbers, times = numbers[there], times[there]
    index = {int(frame): at for at, frame in enumerate(numbers)}
    rows: dict[int, dict[int, list[float]]] = {}
    kinds: dict[int, str] = {}
    for track, frame, category, x, y, w, h, line, owner in table.execute(_SELECT, (which,)):
        if owner != which or category not in names:
            sources.problem(str(path), line, "annotations: its image or its category is not there, or of another video")
            continue
        if frame not in index:
            continue
        box = [max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)]
        if box[2] <= box[0] or box[3] <= box[1]:
            sources.problem(str(path), line, "annotations: the box lies outside the picture")
            continue
        kinds[track] = _name(names[category])
        rows.setdefault(track, {})[index[frame]] = [*box, (box[2] - box[0]) * (box[3] - box[1]) / (w * h)]
    if not rows:
        return None
    tracks = []
    for track in sorted(rows):
        frames = np.array(sorted(rows[track]), np.int64)
        values = np.array([rows[track][int(at)] for at in frames])
        tracks.append(Track(str(track), kinds[track], frames, values[:, 4], values[:, :4]))
    some = {_name(names[c]) for c in json.loads(missing) if isinstance(c, int) and c in names}
    complete = frozenset(track.name for track in tracks) - some
    return Clip(
        "tao",
        scene,
        name,
        file,
        numbers,
        times,
        int(width),
        int(height),
        rate,
        tracks,
        complete=complete,
        duration=duration,
    )


def _name(name: str) -> str:
    """traffic_light_(signal) -> traffic light."""
    return " ".join(name.partition("(")[0].replace("_", " ").casefold().split()) or name.casefold()
