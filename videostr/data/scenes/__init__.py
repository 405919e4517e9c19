"""Generated scenes with a layout in three dimensions, written in the formats of KITTI tracking, ScanNet and TAO."""

from videostr.data.scenes.plan import KINDS, Body, Scene, ScenesConfig, draw_scene
from videostr.data.scenes.render import View, render
from videostr.data.scenes.write import write_annotations, write_scenes

__all__ = [
    "KINDS",
    "Body",
    "Scene",
    "ScenesConfig",
    "View",
    "draw_scene",
    "render",
    "write_annotations",
    "write_scenes",
]
