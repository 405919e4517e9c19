"""Generated scenes on disk: clips, and annotations in the layout of the set whose format they have."""

import os
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from videostr import atomic
from videostr.data.clips import write_clip
from videostr.data.scenes import kitti, scannet, tao
from videostr.data.scenes.plan import KINDS, Scene, ScenesConfig, draw_scene
from videostr.data.scenes.render import View, render


def write_scenes(
    directory: Path,
    counts: Mapping[str, int],
    seed: int,
    config: ScenesConfig,
    split: str,
    on_scene: Callable[[int], None] | None = None,
) -> None:
    """Write `counts[kind]` scenes of each kind under `directory`/KIND.

        kitti/label_02/SEQUENCE.txt, calib/…, oxts/…         kitti/videos/SEQUENCE.mp4
        scannet/boxes.json (VSI-Bench's), scans/SCENE/…      scannet/videos/SCENE.mp4
        tao/annotations/SPLIT.json                           tao/videos/SPLIT/Scenes/CLIP.mp4

    That is how `videostr data stv` reads them.

    A scene that is already there is kept, so an interrupted call goes on where it stopped; scene k of a (seed, split,
    kind) never depends on the others.
    """
    directory = Path(os.path.abspath(directory))
    done = 0
    for kind in KINDS:
        clips, rooms = [], {}
        for index in range(counts.get(kind, 0)):
            scene = draw_scene(random.Random(f"{seed}/{split}/{kind}/{index}"), kind, config)
            # The split is in the name: questions of two splits have no id in common.
            name = f"{split}{index:04d}"
            name = f"scene_{name}_00" if kind == "scannet" else name
            if kind == "kitti":
                _write_street(directory / "kitti", name, scene)
            elif kind == "scannet":
                _write_room(directory / "scannet", name, scene)
                rooms[name] = scannet.boxes(scene)
            else:
                clips.append((name, scene, _write_meadow(directory / "tao", name, scene, split)))
            done += 1
            if on_scene is not None:
                on_scene(done)
        if rooms:
            atomic.write_json(directory / "scannet/boxes.json", rooms, indent=None)
        if clips:
            atomic.write_json(directory / f"tao/annotations/{split}.json", tao.document(clips, split), indent=None)


def write_annotations(directory: Path, name: str, scene: Scene, frames: Iterable[int]) -> None:
    """The annotations of one scene under `directory`, which is then a folder of its set, without a clip.

    frames: of a street those that have labels; of a meadow every one that TAO annotates has.
    """
    if scene.kind == "kitti":
        looked_at = set(frames)
        views = [render(scene, i / scene.fps)[1] if i in looked_at else [] for i in range(scene.frames)]
        kitti.write(directory, name, scene, views)
    elif scene.kind == "scannet":
        scannet.write(directory, name, scene)
    else:
        views = [render(scene, i / scene.fps)[1] for i in tao.annotated(scene)]
        atomic.write_json(
            directory / "annotations/train.json", tao.document([(name, scene, views)], "train"), indent=None
        )


def _write_street(directory: Path, name: str, scene: Scene) -> None:
    video = directory / "videos" / f"{name}.mp4"
    if not (video.exists() and (directory / "label_02" / f"{name}.txt").exists()):
        views = _film(scene, video)
        kitti.write(directory, name, scene, views)


def _write_room(directory: Path, name: str, scene: Scene) -> None:
    video = directory / "videos" / f"{name}.mp4"
    if not video.exists():
        _film(scene, video)
    if not (directory / "scans" / name / f"{name}.aggregation.json").exists():
        scannet.write(directory, name, scene)


def _write_meadow(directory: Path, name: str, scene: Scene, split: str) -> list[list[View]]:
    video = directory / "videos" / split / tao.DATASET / f"{name}.mp4"
    if not video.exists():
        views = _film(scene, video)
        return [views[index] for index in tao.annotated(scene)]
    return [render(scene, index / scene.fps)[1] for index in tao.annotated(scene)]


def _film(scene: Scene, path: Path) -> list[list[View]]:
    """Draw and encode a scene; the views of every frame."""
    drawn = [render(scene, index / scene.fps) for index in range(scene.frames)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    write_clip(partial, (picture for picture, _ in drawn), scene.fps, scene.width, scene.height)
    partial.replace(path)
    return [views for _, views in drawn]
