"""A pinhole camera over the ground, and where it is when.

World: metres, x to the east, y to the north, z up; the ground is z = 0. Headings are radians, anticlockwise from east.
Camera axes are those of OpenCV and KITTI: x right, y down, z forward.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """position: (x, y, z). heading: of the view. pitch: radians, downward positive.

    focal: pixels. centre: the principal point (u, v) in pixels.
    """

    position: tuple[float, float, float]
    heading: float
    pitch: float
    focal: float
    centre: tuple[float, float]

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3): rows are the camera's x, y and z axes in the world."""
        sin, cos = math.sin(self.heading), math.cos(self.heading)
        down, level = math.sin(self.pitch), math.cos(self.pitch)
        return np.array(
            [[sin, -cos, 0.0], [-down * cos, -down * sin, -level], [level * cos, level * sin, -down]], np.float64
        )

    def to_camera(self, points_N3: np.ndarray) -> np.ndarray:
        """World -> camera coordinates (N, 3)."""
        return (points_N3 - np.array(self.position)) @ self.rotation.T

    def to_image(self, camera_N3: np.ndarray) -> np.ndarray:
        """Camera coordinates in front of the camera -> pixels (N, 2); pixel (0, 0) covers 0..1."""
        return camera_N3[:, :2] / camera_N3[:, 2:] * self.focal + np.array(self.centre)

    def rays(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y and z, each (height, width): the world directions through the pixels' centres, 1 long along the view."""
        u = (np.arange(width) + 0.5 - self.centre[0]) / self.focal
        v = (np.arange(height)[:, None] + 0.5 - self.centre[1]) / self.focal
        right, below, ahead = self.rotation.tolist()
        return tuple(u * r + v * b + a for r, b, a in zip(right, below, ahead, strict=True))


@dataclass(frozen=True)
class CameraPath:
    """start: at second 0. velocity: metres a second (x, y). turning: radians a second, anticlockwise."""

    start: Camera
    velocity: tuple[float, float] = (0.0, 0.0)
    turning: float = 0.0

    def at(self, time: float) -> Camera:
        x, y, z = self.start.position
        position = (x + self.velocity[0] * time, y + self.velocity[1] * time, z)
        camera = self.start
        return Camera(position, camera.heading + self.turning * time, camera.pitch, camera.focal, camera.centre)
