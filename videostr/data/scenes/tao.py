"""Meadows in TAO's file: COCO-style JSON with videos, images, tracks, annotations and categories."""

from collections.abc import Sequence

from videostr.data.scenes.plan import NATIVE, THINGS, Scene
from videostr.data.scenes.render import View

EVERY = 3  # of the video's frames every third is annotated, two a second (TAO: one a second)
LEAST_SEEN = 0.2  # a body of which less can be seen is not annotated
DATASET = "Scenes"


def annotated(scene: Scene) -> range:
    """The indices of the frames that are annotated."""
    return range(0, scene.frames, EVERY)


def document(clips: Sequence[tuple[str, Scene, Sequence[Sequence[View]]]], split: str) -> dict:
    """TAO's JSON of clips (name, scene, views of each annotated frame); boxes are [x, y, width, height] in pixels of
    the original."""
    categories = {thing.label: number + 1 for number, thing in enumerate(THINGS["tao"])}
    videos, images, tracks, annotations = [], [], [], []
    for video_id, (name, scene, views_F) in enumerate(clips):
        path = f"{split}/{DATASET}/{name}"
        size = dict(zip(("width", "height"), NATIVE["tao"], strict=True))
        scale = (size["width"] / scene.width, size["height"] / scene.height) * 2
        videos.append({"id": video_id, "name": path, **size, "metadata": {"dataset": DATASET}, "fps": scene.fps})
        numbers: dict[int, int] = {}
        for index, views in zip(annotated(scene), views_F, strict=True):
            file = f"{path}/frame{index + 1:04d}.jpg"
            image = {"id": len(images), "video_id": video_id, "video": path, "frame_index": index, "file_name": file}
            images.append(image | size)
            for view in views:
                if view.visible < LEAST_SEEN:
                    continue
                category = categories[scene.bodies[view.body].label]
                if view.body not in numbers:
                    numbers[view.body] = len(tracks)
                    tracks.append({"id": len(tracks), "video_id": video_id, "category_id": category})
                x0, y0, x1, y1 = (edge * factor for edge, factor in zip(view.box, scale, strict=True))
                annotations.append(
                    {
                        "id": len(annotations),
                        "image_id": image["id"],
                        "video_id": video_id,
                        "track_id": numbers[view.body],
                        "category_id": category,
                        "bbox": [round(edge, 3) for edge in (x0, y0, x1 - x0, y1 - y0)],
                        "area": round((x1 - x0) * (y1 - y0), 3),
                        "iscrowd": 0,
                    }
                )
    names = [{"id": number, "name": label, "synset": f"{label}.n.01"} for label, number in categories.items()]
    return {
        "info": {"description": "generated scenes in TAO's format"},
        "videos": videos,
        "images": images,
        "tracks": tracks,
        "annotations": annotations,
        "categories": names,
    }
