"""The frame of reference of a graph: its unit, where it is seen from, and the words that say so in a prompt."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

Unit = Literal["grid", "image", "metres"]
Axes = Literal["camera", "towards", "free", "image"]
CELLS = 10


@dataclass(frozen=True)
class Coordinates:
    """unit: "grid", cells 0 to 10 (SpaceR's 10 x 10 map); "image", 0 to 1 of the picture's width and height; "metres".

    axes: "image", x to the right and y down in the picture. The others look at the scene from above (bird's eye), x to
    the right and y ahead: "camera", ahead of the camera at `time`; "towards", y from the object `between[0]` to
    `between[1]`, for videos whose camera is not known; "free", any orientation (only turn angles and distances mean
    something). dimensions: 2, or 3 with the height in metres as the third coordinate ("metres" only).
    cell: metres a cell is wide, for a grid seen from above. time: seconds, of "camera". camera: where it then stands,
    in cells; without that nobody could tell where the grid begins.

    Raises ValueError naming the field.
    """

    unit: Unit = "grid"
    axes: Axes = "free"
    dimensions: int = 2
    cell: float | None = None
    time: float | None = None
    between: tuple[str, str] | None = None
    camera: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, choices in (("unit", get_args(Unit)), ("axes", get_args(Axes))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.dimensions not in (2, 3) or (self.dimensions == 3 and self.unit != "metres"):
            raise ValueError(f"dimensions: expected 2, or 3 in metres, got {self.dimensions!r} in {self.unit}")
        if (self.unit == "image") and self.axes != "image" or (self.unit == "metres" and self.axes == "image"):
            raise ValueError(f"axes: {self.axes!r} does not go with unit {self.unit!r}")
        for name in ("cell", "time"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ValueError(f"{name}: expected a number >= 0, got {value!r}")
        between = None if self.between is None else tuple(self.between)
        if (self.axes == "towards") != (between is not None) or (between is not None and len(between) != 2):
            raise ValueError(f"between: expected two objects with axes 'towards' alone, got {self.between!r}")
        object.__setattr__(self, "between", between)
        camera = None if self.camera is None else tuple(self.camera)
        if camera is not None and ((self.unit, self.axes) != ("grid", "camera") or len(camera) != 2):
            raise ValueError(
                f"camera: expected two cells with unit 'grid' and axes 'camera' alone, got {self.camera!r}"
            )
        object.__setattr__(self, "camera", camera)

    def describe(self) -> str:
        """The sentences that a prompt states it with."""
        if self.axes == "image":
            unit = "from 0 to 1" if self.unit == "image" else f"from 0 to {CELLS}"
            return f"Positions are [x, y] in the picture: x {unit} from left to right, y {unit} from top to bottom."
        kind = "[x, y, z]" if self.dimensions == 3 else "[x, y]"
        if self.unit == "grid":
            size = f", each cell {self.cell:g} m wide" if self.cell else ""
            text = f"Positions are {kind} on a {CELLS} x {CELLS} grid that shows the scene from above{size}: "
        else:
            text = f"Positions are {kind} in metres, the scene seen from above: "
        if self.axes == "camera":
            at = "" if self.time is None else f" as it stands at {self.time:g} s"
            text += f"x grows to the right and y ahead of the camera{at}"
            if self.camera is not None:
                text += f", which is at [{self.camera[0]:g}, {self.camera[1]:g}]"
        elif self.axes == "towards":
            text += (
                f"y grows in the direction from the {self.between[0]} to the {self.between[1]}, x to the right of it"
            )
        else:
            text += "x and y at right angles, y to the left of x, in any direction that suits the scene"
        return text + (", z upwards." if self.dimensions == 3 else ".")

    def to_json(self) -> dict[str, Any]:
        """Only what is set; `Coordinates.from_json` gives it back."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in named.items() if v is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Coordinates:
        """Raises ValueError for what is no frame of reference."""
        try:
            return cls(**value)
        except TypeError as error:
            raise ValueError(f"coordinates: {error}") from error


def grid_over(positions: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """(x, y, cell) in metres: the lower left corner and the cell of a 10 x 10 grid around positions seen from above.

    The cell is a round number (1, 1.5, 2, 3, 5 or 7.5 times a power of ten, at least 0.1 m); the positions lie around
    the middle.
    """
    low = [min(p[axis] for p in positions) for axis in (0, 1)]
    high = [max(p[axis] for p in positions) for axis in (0, 1)]
    need = max(high[0] - low[0], high[1] - low[1], 1.0) / CELLS
    cell = next(cell for cell in _round_cells(need) if cell >= need * (1 - 1e-9))
    return (low[0] + high[0]) / 2 - CELLS * cell / 2, (low[1] + high[1]) / 2 - CELLS * cell / 2, cell


def grid_before(positions: Sequence[Sequence[float]]) -> tuple[tuple[int, int], float]:
    """(camera, cell): where the camera stands in a 10 x 10 grid that holds `positions`, and metres a cell is wide.

    positions: metres to the right and ahead of the camera. It stands in the middle of the nearest row, or so many rows
    further on as there are behind it. The cell is the least of the round numbers of `grid_over` that will do.

    Raises ValueError for a position that is not finite.
    """
    if not all(math.isfinite(at) for p in positions for at in p[:2]):
        raise ValueError("positions: expected finite numbers")
    aside = max(abs(p[0]) for p in positions)
    low, high = min(p[1] for p in positions), max(p[1] for p in positions)
    half = CELLS // 2

    def behind(cell: float) -> int:
        return math.ceil(max(-low, 0.0) / cell - 1e-9)

    def holds(cell: float) -> bool:
        ahead = CELLS - behind(cell)
        return ahead >= 0 and aside <= half * cell * (1 + 1e-9) and high <= ahead * cell * (1 + 1e-9)

    cell = next(filter(holds, _round_cells(0.1)))
    return (half, behind(cell)), cell


def _round_cells(least: float) -> Iterator[float]:
    """1, 1.5, 2, 3, 5, 7.5 times powers of ten, from the power at or below `least` on."""
    for exponent in itertools.count(math.floor(math.log10(least))):
        for step in (1, 1.5, 2, 3, 5, 7.5):
            yield 10.0**exponent * step
