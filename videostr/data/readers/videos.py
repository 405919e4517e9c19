"""Which file on the disk a set means when it names a video."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

EXTENSIONS = frozenset(
    ".mp4 .mkv .webm .avi .mov .m4v .3gp .3gpp .mpg .mpeg .flv .wmv .ts .ogv .ogg .m2ts .mts .asf".split()
)


def bare(name: str) -> str:
    """A file's name without folder and video extensions: "a/b_0.0_15.0.mov.mp4" -> "b_0.0_15.0"."""
    name = PurePosixPath(name.replace("\\", "/")).name
    while (stem := os.path.splitext(name))[1].lower() in EXTENSIONS and stem[0]:
        name = stem[0]
    return name


class VideoIndex:
    """The video files under some folders, found by name, whatever the extension.

    find(names): the file of the first name that has one, or None. Several files of the same name: the one whose path
    ends most like the name does, then the shortest; `ambiguous` counts the names where that had to decide. Files of
    zero bytes do not count.
    """

    def __init__(self, roots: Iterable[str | os.PathLike]):
        self.roots = [Path(os.path.abspath(root)) for root in roots]
        self.ambiguous: set[str] = set()
        self.by_name: dict[str, list[str]] = {}
        seen: set[str] = set()
        for root in self.roots:
            if not root.is_dir():
                raise FileNotFoundError(f"{root}: no such folder of videos")
            for folder, folders, files in os.walk(root, followlinks=True):
                real = os.path.realpath(folder)
                if real in seen:  # a link back up, or a root inside another
                    folders.clear()
                    continue
                seen.add(real)
                for file in files:
                    if os.path.splitext(file)[1].lower() in EXTENSIONS:
                        self.by_name.setdefault(bare(file), []).append(os.path.join(folder, file))

    def find(self, names: Sequence[str]) -> str | None:
        for name in names:
            files = [file for file in self.by_name.get(bare(name), ()) if _has_content(file)]
            if len(files) > 1:
                self.ambiguous.add(name)
                files.sort(key=lambda file: (-_common_end(file, name), len(file), file))
            if files:
                return files[0]
        return None

    def expected(self, name: str) -> str:
        """Where a missing video would be looked for."""
        path = name.replace("\\", "/")
        path = path if os.path.splitext(path)[1].lower() in EXTENSIONS else f"{path}.mp4"
        return os.path.normpath(self.roots[0] / path) if self.roots else os.path.abspath(path)


def _has_content(file: str) -> bool:
    try:
        return os.path.getsize(file) > 0
    except OSError:
        return False


def _common_end(file: str, name: str) -> int:
    """How many last parts of the two paths are the same, extensions aside."""
    mine, asked = [list(PurePosixPath(path.replace("\\", "/")).parts) for path in (file, name)]
    mine[-1], asked[-1] = bare(file), bare(name)
    count = 0
    while count < min(len(mine), len(asked)) and mine[-1 - count] == asked[-1 - count]:
        count += 1
    return count
