"""The generated world: what the files hold is what the samples say, to the frame."""

import hashlib
import math
import random
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr.data.samples import read_samples, write_samples
from videostr.data.world import (
    COLOURS,
    EVENTS,
    FRAME_RATES,
    PHRASES,
    QUANTUM,
    Scene,
    Thing,
    WorldConfig,
    annotate,
    answer_text,
    caption,
    draw_frame,
    draw_scene_plan,
    encode_scene,
    narration,
    touches,
    write_world,
)
from videostr.rewards import parse_interval

ALL_EVENTS = WorldConfig(events=EVENTS, things=(2, 3), side=64, min_duration=4, max_duration=6)


def decode(path):
    with av.open(str(path)) as file:
        pairs = [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    return [time for time, _ in pairs], np.stack([frame for _, frame in pairs]).astype(float)


def scenes(count, config=ALL_EVENTS):
    return [draw_scene_plan(random.Random(seed), config) for seed in range(count)]


def test_files_hold_what_is_drawn(tmp_path):
    for number, scene in enumerate(scenes(6)):
        path = tmp_path / f"{number}.mp4"
        encode_scene(scene, path)
        times, frames = decode(path)
        assert times == [Fraction(i, scene.fps) for i in range(round(scene.duration * scene.fps))]
        drawn = np.stack([draw_frame(scene, float(time)) for time in times]).astype(float)
        assert np.abs(frames - drawn).mean() < 6  # compression
        ends = {round(end * scene.fps) for thing in scene.things for end in (thing.start, thing.end)}
        for at in ends:  # the change is in the file's own frame, not in the one before or after it
            before, after = drawn[at - 1], drawn[at]
            moved = np.abs(after - before).sum(-1) > 60
            if moved.sum() > 80:  # less is a shape that slides by a part of a pixel
                own = np.abs(frames[at] - after)[moved].mean()
                assert own < np.abs(frames[at] - before)[moved].mean() / 2
                assert np.abs(frames[at - 1] - before)[moved].mean() < np.abs(frames[at - 1] - after)[moved].mean() / 2


def nearest_colour(pixel):
    names = [*COLOURS, "background"]
    return min(names, key=lambda name: np.abs(np.array(COLOURS.get(name, (120, 120, 120))) - pixel).sum())


def seen(frame, thing):
    """The colours in the middle row of a thing's own third of the picture."""
    row = frame[int(thing.y * frame.shape[0])]
    return [nearest_colour(pixel) for pixel in row]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_happens_in_its_interval_and_nowhere_else(tmp_path, event):
    """Looks at the decoded file alone, not at what draw_frame says."""
    config = WorldConfig(events=(event,), things=(2,), side=96, min_duration=4, max_duration=5)
    scene = scenes(1, config)[0]
    encode_scene(scene, tmp_path / "clip.mp4")
    times, frames = decode(tmp_path / "clip.mp4")
    for thing in scene.things:
        rows = [seen(frame, thing) for frame in frames]
        active = [thing.start <= time < thing.end for time in times]
        assert any(active) and not all(active)
        shown = [row.count(thing.colour) > 3 for row in rows]
        if event == "visible":
            assert shown == active
        elif event == "colour":
            assert [row.count(thing.other) > 3 for row in rows] == active
            assert shown == [not now for now in active]
        elif event == "blink":
            assert all(shown[i] for i, now in enumerate(active) if not now)
            hidden = [time for time, now in zip(times, shown, strict=True) if not now]
            assert hidden[0] == thing.start and all(thing.start <= time < thing.end for time in hidden)
        else:
            places = [np.mean([x for x, name in enumerate(row) if name == thing.colour]) for row in rows]
            steps = np.diff(places) * (1 if event == "right" else -1)
            moving = [thing.start <= time < thing.end for time in times[:-1]]
            assert all(abs(step) < 0.6 for step, now in zip(steps, moving, strict=True) if not now)
            start, end = (min(round(t * scene.fps), len(places) - 1) for t in (thing.start, thing.end))
            assert (places[end] - places[start]) * (1 if event == "right" else -1) > 0.4 * 96
            assert (steps > -0.6).all()


config_strategy = st.builds(
    WorldConfig,
    side=st.just(32),
    min_duration=st.sampled_from([4, 5, 8]),
    max_duration=st.sampled_from([8, 9, 30]),
    things=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    events=st.lists(st.sampled_from(EVENTS), min_size=1).map(tuple),
    jitter=st.floats(0, 6),
    lag=st.floats(-4, 4),
    wrong_rate=st.floats(0, 1),
)


@given(config_strategy, st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_every_scene_is_consistent(config, seed):
    rng = random.Random(seed)
    scene = draw_scene_plan(rng, config)
    assert config.min_duration <= scene.duration <= config.max_duration and scene.duration.is_integer()
    assert scene.fps in FRAME_RATES and len(scene.things) in config.things
    names = [thing.colour for thing in scene.things] + [thing.other for thing in scene.things if thing.other]
    assert len({thing.colour for thing in scene.things}) == len(scene.things)
    assert len({thing.y for thing in scene.things}) == len(scene.things) and set(names) <= set(COLOURS)
    for thing in scene.things:
        assert 0 < thing.start < thing.end < scene.duration  # something changes at either end
        for time in (thing.start, thing.end):
            assert (time * scene.fps).is_integer() and (time / QUANTUM).is_integer()
        parsed = parse_interval(annotate(thing, scene, config, rng))
        assert parsed.format_ok and parsed.reason == "ok"
        assert 0 <= parsed.span[0] < parsed.span[1] <= scene.duration
        assert "{" not in thing.phrase(rng)


def test_the_annotator_is_late_and_sometimes_wrong():
    config = WorldConfig(jitter=1.0, lag=0.5, wrong_rate=0.2, min_duration=20, max_duration=30)
    right = WorldConfig(**{**config.__dict__, "wrong_rate": 0.0})
    rng = random.Random(1)
    errors, wrong, total = [], 0, 4000
    for _ in range(total):
        scene = draw_scene_plan(rng, config)
        thing = rng.choice(scene.things)
        for c in (config, right):
            start, end = parse_interval(annotate(thing, scene, c, rng)).span
            pair = (start - thing.start, end - thing.end)
            if c is right:
                errors.append(pair)
                assert all(-0.5 <= error <= 2.0 for error in pair) or end - start == QUANTUM
            else:
                wrong += not all(-0.5 <= error <= 2.0 for error in pair)
    errors = np.array(errors)
    assert abs(errors.mean() - 0.5) < 0.05
    assert errors.std(0).min() > 0.4
    assert abs(np.corrcoef(errors.T)[0, 1]) < 0.1  # either end on its own
    assert 0.15 * total < wrong < 0.21 * total  # a wrong interval is near the right one by chance now and then


def test_answer_text_is_the_wanted_format():
    thing = scenes(1)[0].things[0]
    text = answer_text(thing, 1.5, 4.0, 6.0)
    parsed = parse_interval(text, mode="paper")
    assert parsed.span == (1.5, 4.0) and parsed.format_ok
    c = thing.colour
    assert text == f"<think>0 no 1 {c} 2 {c} 3 {c} 4 no 5 no</think><time>[1.5, 4.0]</time>"


def test_what_can_be_said_of_a_part_of_a_clip():
    things = tuple(
        Thing("square", colour, event, 2.0, 4.0, 0.5, y, 0.3, "blue" if event == "colour" else "", travel)
        for colour, event, y, travel in (
            ("red", "visible", 0.8, 0),
            ("green", "colour", 0.5, 0),
            ("white", "left", 0.2, -1),
        )
    )
    scene = Scene(6.0, 8, 64, 120, things)
    assert caption(scene, 3.0, 4.0) == ("white", "blue")  # the third is further down
    assert caption(replace(scene, things=things[:2]), 0.0, 1.0) == ("green", "no")
    assert caption(replace(scene, things=things[:2]), 3.0, 4.5) == ("blue", "red")
    assert caption(replace(scene, things=things[:1]), 4.0, 5.0) == ("no", "no")
    assert [touches(2.0, 4.0, a, b) for a, b in ((0, 2), (1.5, 2.5), (3, 3.5), (4, 6))] == [False, True, True, False]
    assert narration(things[0], 2.0, 4.0, [0, 1.5, 3, 4.5], 6.0) == "0 no 1.5 red 3 red 4.5 no"
    assert narration(things[0], 5.5, 6.0, [0, 1.5, 3, 4.5], 6.0) == "0 no 1.5 no 3 no 4.5 red"


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_same_seed_makes_the_same_world(tmp_path):
    def write(folder, **options):
        options = {"clips": 3, "seed": 4, "config": ALL_EVENTS, "name": "train"} | options
        samples = list(write_world(tmp_path / folder, **options))
        return [sample.__dict__ | {"video": sample.video.split("/")[-1]} for sample in samples], digests(
            tmp_path / folder
        )

    first, again, more = write("a"), write("b"), write("c", clips=4)
    assert first == again
    assert more[0][: len(first[0])] == first[0]  # a clip does not depend on how many there are
    assert not set(write("d", seed=5)[1].values()) & set(first[1].values())
    assert not set(write("e", name="test")[1].values()) & set(first[1].values())


def test_interrupted_writing_goes_on(tmp_path):
    arguments = (4, 0, ALL_EVENTS, "train")
    whole = list(write_world(tmp_path / "whole", *arguments))
    started = write_world(tmp_path / "cut", *arguments)
    list(islice(started, len([s for s in whole if s.id < "train_00002"])))
    started.close()
    (tmp_path / "cut/train_00002.partial").write_bytes(b"half a clip")
    ages = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cut").glob("*.mp4")}
    assert len(ages) == 2
    done = []
    rest = list(write_world(tmp_path / "cut", *arguments, on_clip=done.append))
    assert done == [1, 2, 3, 4]
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
    assert all((tmp_path / "cut" / name).stat().st_mtime_ns == age for name, age in ages.items())
    assert [(s.id, s.query, s.spans, s.response) for s in rest] == [(s.id, s.query, s.spans, s.response) for s in whole]


def test_samples_can_be_written_and_read(tmp_path):
    samples = list(write_world(tmp_path / "world", 2, 0, ALL_EVENTS, "train"))
    write_samples(tmp_path / "train.jsonl", samples)
    assert read_samples(tmp_path / "train.jsonl") == samples
    assert len({sample.id for sample in samples}) == len(samples) >= 4
    for sample in samples:
        assert sample.meta["event"] in EVENTS and 0 < sample.spans[0][0] < sample.spans[0][1] < sample.duration


def test_a_relative_folder_is_the_callers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    samples = list(write_world(Path("out/data/world"), 2, 0, ALL_EVENTS, "train"))
    write_samples("out/data/train.jsonl", samples)
    monkeypatch.chdir("/")
    read = read_samples(tmp_path / "out/data/train.jsonl")
    assert read == samples
    assert all(Path(sample.video).is_file() for sample in read)


def test_every_phrase_names_the_thing():
    for event, phrases in PHRASES.items():
        for phrase in phrases:
            text = phrase.format(colour="red", shape="circle", other="blue")
            assert "red" in text and "circle" in text and ("blue" in text) == (event == "colour")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_duration": 3}, "min_duration: expected at least 4 s, got 3"),
        ({"max_duration": 5}, r"max_duration: expected at least min_duration \(6\), got 5"),
        ({"things": ()}, r"things: expected numbers from 1 to 3, got \(\)"),
        ({"things": (2, 4)}, r"things: expected numbers from 1 to 3, got \(2, 4\)"),
        ({"events": ("visible", "jump")}, r"events: expected some of visible, .*, got \('visible', 'jump'\)"),
        ({"events": ()}, r"events: expected some of"),
        ({"side": 33}, "side: expected an even number of pixels, at least 32, got 33"),
        ({"wrong_rate": 1.5}, r"wrong_rate: expected a share in \[0, 1\], got 1.5"),
        ({"jitter": -1.0}, "jitter: expected seconds >= 0, got -1.0"),
        ({"lag": math.nan}, "lag: expected finite seconds, got nan"),
    ],
)
def test_bad_settings(values, message):
    with pytest.raises(ValueError, match=message):
        WorldConfig(**values)
