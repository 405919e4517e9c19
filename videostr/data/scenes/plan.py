"""What is in a generated scene: bodies on the ground, how they move, and the camera that looks at them.

Three kinds, after the sets whose annotation formats they are written in:

    scannet   a room with furniture that stands still, seen from above its near wall by a camera that moves sideways
    kitti     a street from a vehicle that drives on: cars, people and cyclists that stand, drive along or cross
    tao       a meadow seen by a camera that stands or turns slowly: animals and people that cross the picture
"""

import math
import random
from dataclasses import dataclass
from typing import NamedTuple

from videostr.data.scenes.camera import Camera, CameraPath

Colour = tuple[int, int, int]
RED, GREEN, BLUE, YELLOW, PURPLE = (215, 35, 35), (25, 160, 60), (40, 70, 225), (235, 210, 40), (165, 40, 190)
FPS = {"scannet": 6, "kitti": 10, "tao": 6}  # KITTI's own; the others' are higher
KINDS = ("scannet", "kitti", "tao")


class Thing(NamedTuple):
    """A class: its name as the format's own data set writes it, (length, width, height) in metres, colour."""

    label: str
    size: tuple[float, float, float]
    colour: Colour


THINGS = {
    "scannet": (
        Thing("chair", (0.6, 0.6, 0.9), RED),
        Thing("table", (1.3, 0.8, 0.7), YELLOW),
        Thing("bed", (1.9, 1.4, 0.5), BLUE),
        Thing("sofa", (1.7, 0.8, 0.8), GREEN),
        Thing("cabinet", (0.8, 0.5, 1.3), PURPLE),
    ),
    "kitti": (
        Thing("Car", (3.8, 1.7, 1.5), RED),
        Thing("Van", (4.4, 1.9, 2.1), BLUE),
        Thing("Pedestrian", (0.8, 0.8, 1.8), YELLOW),
        Thing("Cyclist", (1.8, 0.7, 1.8), PURPLE),
    ),
    "tao": (
        Thing("person", (0.7, 0.7, 1.8), YELLOW),
        Thing("horse", (2.2, 0.8, 1.7), RED),
        Thing("cow", (2.2, 0.9, 1.4), BLUE),
        Thing("sheep", (1.2, 0.7, 0.9), PURPLE),
    ),
}
GROWTH = (0.6, 1.35)  # of a thing's size
# Of the files, as a multiple of `ScenesConfig.width`, and of the originals that the annotations speak of: the clips are
# small copies, as one makes them for training.
SHAPE = {"scannet": (1.0, 0.75), "kitti": (1.5, 0.453), "tao": (1.0, 0.75)}
NATIVE = {"scannet": (1296, 968), "kitti": (1242, 375), "tao": (640, 480)}
GROUND = {"scannet": (165, 150, 130), "kitti": (105, 105, 110), "tao": (110, 150, 90)}


@dataclass(frozen=True)
class Body:
    """One thing of a scene. place: its foot's centre at second 0; heading: radians; velocity: metres a second (x, y),
    from second `starts` to second `stops`."""

    label: str
    size: tuple[float, float, float]
    colour: Colour
    place: tuple[float, float]
    heading: float
    velocity: tuple[float, float] = (0.0, 0.0)
    starts: float = 0.0
    stops: float = math.inf

    def at(self, time: float) -> tuple[float, float, float]:
        """(x, y, heading) at `time` seconds."""
        moved = min(max(time, self.starts), self.stops) - self.starts
        return self.place[0] + self.velocity[0] * moved, self.place[1] + self.velocity[1] * moved, self.heading


@dataclass(frozen=True)
class Scene:
    """kind: of KINDS. duration: seconds, a whole number. room: (width, depth) around the origin, or None outdoors.

    width, height: pixels of the picture. ground: its colour.
    """

    kind: str
    duration: float
    width: int
    height: int
    bodies: tuple[Body, ...]
    camera: CameraPath
    ground: Colour
    room: tuple[float, float] | None = None

    @property
    def fps(self) -> int:
        return FPS[self.kind]

    @property
    def frames(self) -> int:
        return round(self.duration * self.fps)


@dataclass(frozen=True)
class ScenesConfig:
    """width: pixels of the files (KITTI's wide ones: half as much again). bodies: how many a scene has, drawn evenly.
    repeats: the share of scenes in which one class may come twice. duration: whole seconds. turn: degrees by which the
    camera goes round a room, anticlockwise. moving: the share of scenes whose camera moves."""

    width: int = 128
    bodies: tuple[int, ...] = (3, 3, 4)
    repeats: float = 0.15
    duration: int = 3
    turn: float = 0.0
    moving: float = 0.7

    def __post_init__(self) -> None:
        if self.width < 32:
            raise ValueError(f"width: expected at least 32 pixels, got {self.width}")
        if not self.bodies or not set(self.bodies) <= {2, 3, 4, 5}:
            raise ValueError(f"bodies: expected numbers from 2 to 5, got {self.bodies}")
        for name in ("repeats", "moving"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share in [0, 1], got {getattr(self, name)}")
        if self.duration < 2:
            raise ValueError(f"duration: expected at least 2 s, got {self.duration}")
        if not math.isfinite(self.turn):
            raise ValueError(f"turn: expected finite degrees, got {self.turn}")


def picture_size(kind: str, config: ScenesConfig) -> tuple[int, int]:
    """(width, height) of a clip in pixels, even numbers."""
    return tuple(2 * round(config.width * share / 2) for share in SHAPE[kind])


def draw_scene(rng: random.Random, kind: str, config: ScenesConfig) -> Scene:
    """Choose a scene of one of KINDS."""
    return {"scannet": _room, "kitti": _street, "tao": _meadow}[kind](rng, config)


def _choose(rng: random.Random, kind: str, config: ScenesConfig) -> list[Thing]:
    things = THINGS[kind]
    count = min(rng.choice(config.bodies), len(things) + 1)
    repeat = count > len(things) or rng.random() < config.repeats
    chosen = rng.sample(things, count - repeat)
    if repeat:
        chosen.append(rng.choice(chosen))
    return _sized(rng, chosen)


def _sized(rng: random.Random, things: list[Thing]) -> list[Thing]:
    """The same in the sizes of these very ones, so that a class does not tell how large it is."""
    grown = (rng.uniform(*GROWTH) for _ in things)
    return [thing._replace(size=tuple(s * g for s in thing.size)) for thing, g in zip(things, grown, strict=True)]


def _spread(rng: random.Random, things: list[Thing], low: tuple, high: tuple, gap: float) -> list[tuple[float, float]]:
    """A place for each thing between two corners, so that no two boxes come nearer than `gap` metres; crowded areas are
    tried again with less gap."""
    while True:
        places: list[tuple[float, float]] = []
        for thing in things:
            reach = math.hypot(*thing.size[:2]) / 2
            for _ in range(60):
                place = (rng.uniform(low[0], high[0]), rng.uniform(low[1], high[1]))
                if all(
                    math.dist(place, other) > gap + reach + math.hypot(*known.size[:2]) / 2
                    for other, known in zip(places, things, strict=False)
                ):
                    places.append(place)
                    break
        if len(places) == len(things):
            return places
        gap -= 0.1


def _room(rng: random.Random, config: ScenesConfig) -> Scene:
    width, depth = rng.uniform(5.0, 6.5), rng.uniform(5.0, 6.5)
    things = _choose(rng, "scannet", config)
    inner = (width / 2 - 0.8, depth / 2 - 0.8)
    places = _spread(rng, things, (-inner[0], -inner[1]), inner, 0.3)
    bodies = [
        Body(thing.label, thing.size, thing.colour, place, rng.choice((0.0, math.pi / 2)) + rng.uniform(-0.2, 0.2))
        for thing, place in zip(things, places, strict=True)
    ]
    speed = rng.choice((-1, 1)) * rng.uniform(0.2, 0.5) if rng.random() < config.moving else 0.0
    distance, height = depth / 2 + 2.4, rng.uniform(4.0, 4.6)
    # Its turning keeps the room's middle in the picture while it moves sideways.
    turning = speed / distance
    back = -speed * config.duration / 2
    # `turn`: the camera goes round the room as a whole.
    angle = math.radians(config.turn)
    sin, cos = math.sin(angle), math.cos(angle)

    def turned(x: float, y: float) -> tuple[float, float]:
        return x * cos - y * sin, x * sin + y * cos

    heading = math.pi / 2 - turning * config.duration / 2 + angle
    size = picture_size("scannet", config)
    place, pitch = (*turned(back, -distance), height), math.atan2(height - 0.4, distance + 0.3)
    start = Camera(place, heading, pitch, 1.1 * size[1], (size[0] / 2, size[1] / 2))
    path = CameraPath(start, turned(speed, 0.0), turning)
    return Scene("scannet", config.duration, *size, tuple(bodies), path, _shade(rng, "scannet"), (width, depth))


def _street(rng: random.Random, config: ScenesConfig) -> Scene:
    things = _choose(rng, "kitti", config)
    places = _spread(rng, things, (-4.5, 6.5), (4.5, 14.0), 0.5)
    bodies = []
    for thing, (x, y) in zip(things, places, strict=True):
        along = rng.choice((0.5, -0.5)) * math.pi
        heading = along if thing.size[0] > 3 or rng.random() < 0.5 else rng.choice((0.0, math.pi))
        speed = rng.uniform(1.0, 2.2) if rng.random() < 0.7 else 0.0
        velocity = (speed * math.cos(heading), speed * math.sin(heading))
        bodies.append(Body(thing.label, thing.size, thing.colour, (x, y), heading, velocity))
    speed = rng.uniform(0.5, 1.5) if rng.random() < config.moving else 0.0
    size = picture_size("kitti", config)
    start = Camera((0.0, 0.0, 2.4), math.pi / 2, 0.0, 0.42 * size[0], (size[0] / 2, 0.3 * size[1]))
    path = CameraPath(start, (0.0, speed))
    return Scene("kitti", config.duration, *size, tuple(bodies), path, _shade(rng, "kitti"))


def _meadow(rng: random.Random, config: ScenesConfig) -> Scene:
    things = _choose(rng, "tao", config)
    # Rows at different depths, so that bodies pass before each other and not through each other.
    rows = rng.sample([5.5, 7.0, 8.5, 10.0, 11.5], len(things))
    bodies = []
    for thing, row in zip(things, rows, strict=True):
        way = rng.choice((-1.0, 1.0))
        edge = 0.7 * (row + 1.0)
        heading, kind = (0.0 if way > 0 else math.pi), rng.random()
        if kind < 0.5:  # comes in from outside
            x, speed = -way * (edge + thing.size[0] / 2 + rng.uniform(0.1, 2.5)), rng.uniform(1.6, 2.6)
        else:
            x, speed = rng.uniform(-edge, edge) * 0.8, rng.choice((0.0, rng.uniform(0.8, 1.8)))
        if 0.5 <= kind < 0.75:  # comes nearer or goes away
            heading = way * math.pi / 2
            row -= way * 0.8
        velocity = (speed * math.cos(heading), speed * math.sin(heading))
        bodies.append(Body(thing.label, thing.size, thing.colour, (x, row), heading, velocity))
    size = picture_size("tao", config)
    turning = rng.uniform(-0.05, 0.05) if rng.random() < config.moving else 0.0
    heading = math.pi / 2 - turning * config.duration / 2
    start = Camera((0.0, 0.0, 3.4), heading, 0.36, 0.95 * size[1], (size[0] / 2, size[1] / 2))
    path = CameraPath(start, turning=turning)
    return Scene("tao", config.duration, *size, tuple(bodies), path, _shade(rng, "tao"))


def _shade(rng: random.Random, kind: str) -> Colour:
    change = rng.randint(-12, 12)
    return tuple(value + change for value in GROUND[kind])
