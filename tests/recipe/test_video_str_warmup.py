"""What the Video-STR warm-up asks of the small model: what lies where, told exactly, and nothing of an answer."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest

from videostr.data.prompts import PROMPTS
from videostr.data.samples import read_samples
from videostr.data.scenes import KINDS, ScenesConfig, draw_scene, render, write_scenes
from videostr.data.scenes.plan import THINGS
from videostr.data.stv.build import Options, build
from videostr.graph import parse_graph, read_graph
from videostr.model import load_policy
from videostr.model.tiny import GRAPH_TAGS, WORDS_AND_SIGNS, TinyConfig, write_tiny_policy
from videostr.recipe.video_str import warmup
from videostr.recipe.video_str.config import VideoStrConfig
from videostr.recipe.video_str.layout import layout
from videostr.recipe.video_str.prepare import prepare_model
from videostr.recipe.video_str.warmup import Seen
from videostr.recipe.warmup import pack_lessons
from videostr.training.prompter import Prompter, model_frames
from videostr.video import SkippedVideos, frames_to_inputs, load_video
from videostr.video.index import frame_seconds

CLASSES = sorted({thing.label.lower() for kind in KINDS for thing in THINGS[kind]})
SMALL = {"hidden": 32, "layers": 1, "mlp": 32, "vision_hidden": 32, "vision_layers": 1}


@pytest.fixture(scope="module")
def prompter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warmup") / "model"
    texts = [PROMPTS["video_str_plain"], *(f'[1,"{name}",3,4]' for name in CLASSES), *([warmup.NOTHING] * 20)] * 5
    tiny = TinyConfig(family="qwen3_vl", patch_size=16, **SMALL)
    write_tiny_policy(folder, texts, tiny, 0, GRAPH_TAGS, WORDS_AND_SIGNS)
    policy = load_policy(str(folder))
    frames = model_frames(policy, VideoStrConfig().prompt.frames)
    return Prompter(policy, "plain", False, frames, None, SkippedVideos())


def clip(prompter):
    """Four frames of 128 x 96 pixels, so 3 x 4 tokens a pair, and what is in them."""
    frames = replace(prompter.frames, num_frames=4)
    video = frames_to_inputs(np.zeros((4, 96, 128, 3), np.uint8), np.array([0.0, 1.0, 2.0, 3.0]), frames, 4.0)
    cow, sheep = (lambda x, y: Seen(3, "cow", x, y)), (lambda x, y: Seen(1, "sheep", x, y))
    return video, [[cow(0.2, 9.8), sheep(6.4, 4.0)], [cow(1.0, 8.0)], [], [sheep(9.9, 0.3)]]


def test_every_token_of_the_video_says_what_lies_there(prompter):
    video, seen = clip(prompter)
    lesson = warmup.lesson_in_the_picture(prompter, video, seen, random.Random(0))
    pads = (lesson.prompt.input_ids_P == prompter.policy.base.config.video_token_id).nonzero().flatten().tolist()
    assert len(pads) == 2 * 3 * 4
    said = {}
    for place, word in lesson.said:
        said.setdefault(pads.index(place), []).append(word)
    # Of each pair the first frame. Row 2 of 3 and column 0 of 4: the cow; row 1, column 2: the sheep.
    assert said.pop(2 * 4 + 0) == ["cow", "a", "9"]
    assert said.pop(1 * 4 + 2) == ["sheep", "g", "4"]
    assert sorted(said) == sorted(set(range(24)) - {8, 6}) and set(map(tuple, said.values())) == {("no",)}


def test_one_frame_is_drawn_that_the_prompt_names(prompter):
    video, seen = clip(prompter)
    drawn = {}
    for seed in range(20):
        lesson = warmup.lesson_in_the_picture(prompter, video, seen, random.Random(seed))
        (frame,) = parse_graph(lesson.answer.removeprefix("<think>").removesuffix("</think>")).frames
        drawn[frame.time] = [(n.object, n.name, n.position) for n in frame.nodes]
        # The time is all that is asked; what there is has to be looked for.
        assert lesson.prompt.text.startswith(f"<|im_start|>user\n{frame.time:g} s <")
        assert not any(name in lesson.prompt.text for name in CLASSES)
    # The third frame is empty. Cells are rounded: there are eleven.
    assert drawn == {
        0.0: [("1", "cow", (0, 10)), ("2", "sheep", (6, 4))],
        1.0: [("1", "cow", (1, 8))],
        3.0: [("1", "sheep", (10, 0))],
    }


def test_a_row_of_lessons_asks_for_the_words_where_they_belong(prompter):
    video, seen = clip(prompter)
    lessons = [warmup.lesson_in_the_picture(prompter, video, seen, random.Random(seed)) for seed in range(3)]
    packed = pack_lessons(prompter.policy, lessons)
    count = sum(len(lesson.said) for lesson in lessons)
    at, words = packed.predictor_R[:count], packed.target_R[:count]
    text = prompter.policy.tokenizer.decode
    assert {text([i]) for i in packed.input_ids_T[at].tolist()} == {"<|video_pad|>"}
    assert [text([i]) for i in words.tolist()] == [word for lesson in lessons for _, word in lesson.said]
    assert text(packed.target_R[count:]) == "".join(f"{lesson.answer}<|im_end|>" for lesson in lessons)


@pytest.mark.parametrize("size", ["smoke", "default"])
def test_every_word_is_one_token_of_the_small_model(tmp_path, size):
    """Two classes with the same first token would be one to the lessons."""
    config = VideoStrConfig()
    sample = {"video": "a.mp4", "spans": [[0, 1]], "duration": 3.0, "response": "<think></think><answer>A</answer>"}
    meta = {"graph": {"objects": [[1, "cow", 3, 4]]}, "coordinates": {"unit": "grid", "axes": "image", "dimensions": 2}}
    (tmp_path / "data").mkdir()
    words = (
        "Imagine you stand by the other one and look towards it: is this to your left or right, is it farther".split()
    )
    rng = random.Random(0)
    rows = [
        json.dumps({"id": str(n), "query": " ".join(rng.sample(words, 15)), "meta": meta} | sample)
        for n in range({"smoke": 100, "default": 3000}[size])
    ]
    for name in ("cold_start", "train"):
        (tmp_path / f"data/{name}.jsonl").write_text("\n".join(rows) + "\n")
    prepare_model(config, tmp_path, 0)
    tokenizer = load_policy(str(tmp_path / "models/tiny")).tokenizer
    assert {len(tokenizer(word, add_special_tokens=False).input_ids) for word in (*CLASSES, warmup.NOTHING)} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawn_clip_is_the_written_one(prompter, tmp_path, kind):
    """What the warm-up draws is what the later stages read from the file, but for the codec's noise."""
    world = ScenesConfig()
    write_scenes(tmp_path, {kind: 1}, 3, world, "a", lambda done: None)
    (path,) = tmp_path.rglob("*.mp4")
    read = load_video(path, prompter.frames)
    drawn, _ = warmup.see(draw_scene(random.Random(f"3/a/{kind}/0"), kind, world), prompter.frames)
    assert drawn.grid_thw.tolist() == read.grid_thw.tolist()
    assert list(drawn.timestamps) == pytest.approx(list(read.timestamps))
    noise = (drawn.pixel_values - read.pixel_values).abs().mean()
    other, _ = warmup.see(draw_scene(random.Random(9), kind, world), prompter.frames)
    assert noise < 0.04 and 2 * noise < (other.pixel_values - read.pixel_values).abs().mean()


def test_the_scene_is_drawn_as_the_questions_have_it(prompter):
    """Sorted by class, ids count from 1, and an object keeps its own; the prompt has cell and times."""
    video, seen = clip(prompter)
    first = {"t": 0, "objects": [[162, "cow", 2, 2.6], [7, "sheep", 8, 2]]}
    second = {"t": 1.5, "objects": [[7, "sheep", 8, 3], [9, "horse", 1, 1]]}
    coordinates = {"unit": "grid", "axes": "camera", "dimensions": 2, "cell": 0.5, "time": 0.0}
    meta = {"graph": {"frames": [first, second]}, "coordinates": coordinates}
    asking = replace(prompter, prompt="video_str_plain")
    lesson = warmup.lesson_in_the_scene(asking, video, seen, meta)
    assert lesson.prompt.text.startswith("<|im_start|>user\n 0.5 m ; 0 s ; 1.5 s <")
    assert lesson.answer == (
        '<think><graph>{"frames":[{"t":0,"objects":[[1,"cow",2,3],[2,"sheep",8,2]]},'
        '{"t":1.5,"objects":[[3,"horse",1,1],[2,"sheep",8,3]]}]}</graph></think>'
    )
    other = warmup.lesson_in_the_picture(prompter, video, seen, random.Random(0))
    assert [word for _, word in lesson.said] == [word for _, word in other.said]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Samples of four scenes a kind, and the scenes, by name. No class comes twice: it may be left out of a graph."""
    folder, world = tmp_path_factory.mktemp("built"), ScenesConfig(repeats=0.0)
    write_scenes(folder, dict.fromkeys(KINDS, 4), 5, world, "a", lambda done: None)
    options = Options(count=400, seed=0, validation=0.0)
    build({kind: folder / kind for kind in KINDS}, folder / "stv", options, frame_times=frame_seconds)
    scenes = {}
    for kind in KINDS:
        for number in range(4):
            scene = draw_scene(random.Random(f"5/a/{kind}/{number}"), kind, world)
            scenes[kind, f"a{number:04d}"] = scene
    return read_samples(folder / "stv/train.jsonl"), scenes


@pytest.mark.parametrize("kind", KINDS)
def test_a_layout_is_what_the_builder_makes_of_the_written_scene(built, kind):
    """The same axes, cell and places; only what counts as seen is coarser in the sets' own files."""
    samples, scenes = built
    same = different = 0
    for sample in samples:
        if sample.source == kind:
            scene = scenes[kind, re.search(r"a\d{4}", sample.meta["scene"])[0]]
            made = layout(scene, [0.0] if scene.room else sample.meta["times"])
            own, truth = ([sorted(f.nodes) for f in read_graph(meta["graph"]).frames] for meta in (made, sample.meta))
            if [[n.name for n in nodes] for nodes in own] != [[n.name for n in nodes] for nodes in truth]:
                different += 1
                continue
            assert made["coordinates"] == sample.meta["coordinates"]
            for nodes, true_nodes in zip(own, truth, strict=True):
                places, true_places = (np.array([n.position for n in frame]) for frame in (nodes, true_nodes))
                # A scan's boxes are those of its points.
                assert np.abs(places - true_places).max() <= (0.25 if kind == "scannet" else 0.1001)
            same += 1
    assert same > 3 * different and same > 10


def test_a_short_clip_is_one_pair_of_the_whole(prompter):
    scene = draw_scene(random.Random(2), "tao", ScenesConfig())
    whole, seen = warmup.see(scene, prompter.frames)
    firsts = set()
    for seed in range(8):
        short, there = warmup.see(scene, prompter.frames, random.Random(seed))
        first = list(whole.timestamps).index(short.timestamps[0])
        firsts.add(first)
        assert list(short.timestamps) == list(whole.timestamps)[first : first + 2]
        assert there == seen[first : first + 2]
        rows = int(short.grid_thw.prod())
        assert (short.pixel_values == whole.pixel_values[first // 2 * rows : (first // 2 + 1) * rows]).all()
    assert firsts == {0, 2}


def test_what_is_seen_is_what_the_picture_shows(prompter):
    """The middle of a thing that stands free has the thing's colour."""
    found = 0
    for seed in range(30):
        scene = draw_scene(random.Random(seed), random.Random(seed).choice(KINDS), ScenesConfig())
        _, seen = warmup.see(scene, prompter.frames)
        assert len(seen) == prompter.frames.num_frames
        picture, views = render(scene, 0.0)
        for view in views:
            things = [thing for thing in seen[0] if thing.body == view.body]
            assert len(things) == (view.visible >= 0.3)
            if view.visible == 1 and view.pixels > 60 and view.truncation == 0:
                (thing,) = things
                x, y = int(thing.x / 10 * scene.width), int(thing.y / 10 * scene.height)
                shades = np.array(scene.bodies[view.body].colour)[None] * np.array([[1.0], [0.82], [0.64]])
                found += np.abs(shades - picture[y, x]).max(1).min() <= 1
                assert np.abs(shades - picture[y, x]).max(1).min() <= 1
    assert found > 20


def test_pictures_come_first_then_scenes(prompter):
    """In a picture something is seen at one time; a scene may have two, and from above its cell in metres."""
    texts = {}
    for done in (0.0, 0.59, 0.61, 0.99):
        lessons = [warmup.draw_lesson(ScenesConfig(), prompter, random.Random(seed), done) for seed in range(6)]
        texts[done] = [lesson.prompt.text.split("<|vision_start|>")[0] for lesson in lessons]
    assert not any(" m " in text or ";" in text for done in (0.0, 0.59) for text in texts[done])
    assert all(any(" m " in text for text in texts[done]) for done in (0.61, 0.99))
