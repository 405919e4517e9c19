"""The vertices of a PLY file: what ScanNet's meshes need, ASCII or binary."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"}
_TYPES |= {"double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
_TYPES |= {"float32": "f4", "float64": "f8"}


def read_vertices(path: Path) -> np.ndarray:
    """(V, 3) float64 x, y, z. Raises ValueError for what is no PLY with vertices first, OSError."""
    with open(path, "rb") as file:
        if file.readline().strip() != b"ply":
            raise ValueError("not a PLY file")
        order, count, kinds = "", None, []
        for _ in range(200):
            words = file.readline().decode("ascii", "replace").split()
            if words[:1] == ["end_header"]:
                break
            if words[:1] == ["format"] and len(words) > 1:
                order = {"ascii": "a", "binary_little_endian": "<", "binary_big_endian": ">"}.get(words[1], "")
            elif words[:1] == ["element"] and len(words) == 3:
                if words[1] == "vertex" and count is None and words[2].isdecimal():
                    count = int(words[2])
                elif count is None:
                    raise ValueError("expected the vertices to come first")
                else:
                    count = -abs(count)  # properties of another element from here on
            elif words[:1] == ["property"] and (count or -1) >= 0:
                if len(words) != 3 or words[1] not in _TYPES:
                    raise ValueError(f"unknown property of a vertex: {' '.join(words)!r:.60}")
                kinds.append((words[2], (order if order in "<>" else "<") + _TYPES[words[1]]))
        names = [name for name, _ in kinds]
        if not order or count is None or not {"x", "y", "z"} <= set(names) or len(set(names)) < len(names):
            raise ValueError("expected a format and vertices with x, y and z")
        count = abs(count)
        if order == "a":
            rows = [file.readline().split() for _ in range(count)]
            if any(len(row) < len(names) for row in rows):
                raise ValueError(f"the file ends before its {count} vertices")
            vertices = np.array([[row[names.index(axis)] for axis in "xyz"] for row in rows], np.float64)
        else:
            kind = np.dtype(kinds)
            data = file.read(count * kind.itemsize)
            if len(data) < count * kind.itemsize:
                raise ValueError(f"the file ends before its {count} vertices")
            table = np.frombuffer(data, kind)
            vertices = np.stack([table[axis].astype(np.float64) for axis in "xyz"], 1)
    if not np.isfinite(vertices).all():
        raise ValueError("expected finite coordinates")
    return vertices.reshape(-1, 3)
