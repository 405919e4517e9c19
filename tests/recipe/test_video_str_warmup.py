"""What the Video-STR warm-up asks of the small model: what lies where, then questions, told exactly."""

import json
import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from videostr.data.prompts import PROMPTS
from videostr.data.samples import Sample
from videostr.data.scenes import KINDS, ScenesConfig, draw_scene, render, write_scenes
from videostr.data.scenes.plan import THINGS
from videostr.data.stv.build import READERS
from videostr.data.stv.question import TASKS, Asking, Rules
from videostr.data.stv.scene import Sources
from videostr.data.stv.tasks.motion import motion_tracking
from videostr.graph import parse_graph
from videostr.model import GroupedPolicy, load_policy
from videostr.model.tiny import GRAPH_TAGS, WORDS_AND_SIGNS, TinyConfig, write_tiny_policy
from videostr.recipe.video_str import questions, said, warmup
from videostr.recipe.video_str.config import VideoStrConfig
from videostr.recipe.video_str.prepare import prepare_model
from videostr.recipe.video_str.sight import Placed, Seen, see
from videostr.recipe.warmup import pack_lessons
from videostr.training.prompter import Prompter, model_frames
from videostr.video import SkippedVideos, frames_to_inputs, load_video
from videostr.video.index import frame_seconds

CLASSES = sorted({thing.label.lower() for kind in KINDS for thing in THINGS[kind]})
SMALL = {"hidden": 32, "layers": 1, "mlp": 32, "vision_hidden": 32, "vision_layers": 1}


@pytest.fixture(scope="module")
def prompter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warmup") / "model"
    texts = [
        PROMPTS["video_str_plain"],
        *(f'[1,"{name}",3,4]' for name in CLASSES),
        *(list(said.WORDS) * 20),
    ] * 5
    tiny = TinyConfig(family="qwen3_vl", patch_size=16, **SMALL)
    write_tiny_policy(folder, texts, tiny, 0, GRAPH_TAGS, WORDS_AND_SIGNS)
    policy = load_policy(str(folder))
    frames = model_frames(policy, VideoStrConfig().prompt.frames)
    return Prompter(policy, "video_str_plain", False, frames, None, SkippedVideos())


def clip(prompter):
    """Four frames of 128 x 96 pixels, so 3 x 4 tokens a pair, and what is in them."""
    frames = replace(prompter.frames, num_frames=4)
    video = frames_to_inputs(np.zeros((4, 96, 128, 3), np.uint8), np.array([0.0, 1.0, 2.0, 3.0]), frames, 4.0)
    cow, sheep = (lambda x, y: Seen(3, "cow", x, y, 2.0)), (lambda x, y: Seen(1, "sheep", x, y, 0.6))
    return video, [[cow(0.2, 9.8), sheep(6.4, 4.0)], [cow(1.0, 8.0)], [], [sheep(9.9, 0.3)]]


def test_every_token_of_the_video_says_what_lies_there(prompter):
    video, seen = clip(prompter)
    seen[0][0] = seen[0][0]._replace(way="to the left")
    lesson = warmup.lesson_of_a_graph(prompter, video, seen, 0)
    lesson.said.extend(said.in_the_video(prompter, lesson.prompt, video, seen))
    pads = (lesson.prompt.input_ids_P == prompter.policy.base.config.video_token_id).nonzero().flatten().tolist()
    assert len(pads) == 2 * 3 * 4
    words = {}
    for place, word in lesson.said:
        words.setdefault(pads.index(place), []).append(word)
    # Of each pair the first frame. Row 2 of 3 and column 0 of 4: the cow; row 1, column 2: the sheep.
    assert words.pop(2 * 4 + 0) == ["cow", "a", "9", " left"]
    assert words.pop(1 * 4 + 2) == ["sheep", "g", "4"]
    assert sorted(words) == sorted(set(range(24)) - {8, 6}) and set(map(tuple, words.values())) == {("no",)}


def test_one_frame_is_drawn_that_the_prompt_names(prompter):
    video, seen = clip(prompter)
    drawn = {}
    for shown in (0, 1, 3):
        lesson = warmup.lesson_of_a_graph(prompter, video, seen, shown)
        ((text, _),) = lesson.written
        (frame,) = parse_graph(text.removeprefix("<think>").removesuffix("</think>")).frames
        drawn[frame.time] = [(n.object, n.name, n.position) for n in frame.nodes]
        # The time is all that is asked; what there is has to be looked for.
        assert lesson.prompt.text.endswith(f"<|vision_end|> {frame.time:g} s<|im_end|>\n<|im_start|>assistant\n")
        assert not any(name in lesson.prompt.text for name in CLASSES)
    # Cells are rounded: there are eleven.
    assert drawn == {
        0.0: [("1", "cow", (0, 10)), ("2", "sheep", (6, 4))],
        1.0: [("1", "cow", (1, 8))],
        3.0: [("1", "sheep", (10, 0))],
    }


def test_a_row_of_lessons_asks_for_the_words_where_they_belong(prompter):
    """Of two clips; the first has three lessons, behind one copy of it, and the third counts twice."""
    video, seen = clip(prompter)
    lessons = [warmup.lesson_of_a_graph(prompter, video, seen, shown) for shown in (0, 1, 3)]
    lessons[0].said.extend(said.in_the_video(prompter, lessons[0].prompt, video, seen))
    lessons[0].written, lessons[1].written = ([(text, 1)] for ((text, _),) in (x.written for x in lessons[:2]))
    ((text, _),) = lessons[2].written
    thought, tag, rest = text.partition("<graph>")
    lessons[2].written = [(thought + tag, 1), (rest, 2)]
    (other,) = [warmup.lesson_of_names(prompter, video, seen, 1, random.Random(0))]
    packed = pack_lessons(prompter.policy, [lessons, [other]])
    text = prompter.policy.tokenizer.decode
    at, words = packed.input_ids_T[packed.predictor_R].tolist(), packed.target_R.tolist()
    told = [(text([token]), text([word])) for token, word in zip(at, words, strict=True)]
    first, told = told[: len(lessons[0].said)], told[len(lessons[0].said) :]
    assert first == [("<|video_pad|>", word) for _, word in lessons[0].said]
    for lesson, again in (*((lesson, False) for lesson in lessons), (lessons[2], True)):
        written = "".join(text for text, _ in lesson.written)
        ids = prompter.policy.tokenizer(f"{written}<|im_end|>", add_special_tokens=False).input_ids
        words = [text([int(lesson.prompt.input_ids_P[-1])]), *(text([i]) for i in ids)]
        expected = list(zip(words, words[1:], strict=False))
        if again:  # the second part alone
            expected = expected[words[1:].index("<graph>") + 1 :]
        part, told = told[: len(expected)], told[len(expected) :]
        assert part == expected
    ids = other.prompt.input_ids_P.tolist()
    assert told == [(text([ids[place]]), word) for place, word in other.said]
    pads = packed.input_ids_T == prompter.policy.base.config.video_token_id
    assert len(packed.video_grid_thw) == 2 and int(pads.sum()) == 2 * 24


def test_lessons_about_one_clip_cost_what_each_would_alone(prompter):
    """The row's log-probs are those of every lesson in a row of its own."""
    video, seen = clip(prompter)
    video = replace(
        video, pixel_values=torch.rand(video.pixel_values.shape, generator=torch.Generator().manual_seed(0))
    )
    lessons = [warmup.lesson_of_a_graph(prompter, video, seen, shown) for shown in (0, 1, 3)]
    lessons.append(warmup.lesson_of_names(prompter, video, seen, 1, random.Random(0)))
    model = GroupedPolicy(prompter.policy)
    together, _ = model(pack_lessons(prompter.policy, [lessons]), entropy=False)
    alone = [model(pack_lessons(prompter.policy, [[lesson]]), entropy=False)[0] for lesson in lessons]
    torch.testing.assert_close(together, torch.cat(alone, dim=1), atol=2e-5, rtol=1e-5)


def test_of_several_lessons_none_has_text_before_the_video(prompter):
    video, seen = clip(prompter)
    first = warmup.lesson_of_a_graph(prompter, video, seen, 0)
    second = replace(first, prompt=replace(prompter, prompt="question_first").ask("Where?", video))
    with pytest.raises(ValueError, match="video must stand first"):
        pack_lessons(prompter.policy, [[first, second]])


@pytest.mark.parametrize("size", ["smoke", "default"])
def test_every_word_is_one_token_of_the_small_model(tmp_path, size):
    """Two classes with the same first token would be one to the lessons."""
    config = VideoStrConfig()
    sample = {"video": "a.mp4", "spans": [[0, 1]], "duration": 3.0, "response": "<think></think><answer>left</answer>"}
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
    assert {len(tokenizer(word, add_special_tokens=False).input_ids) for word in (*CLASSES, *warmup.words())} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawn_clip_is_the_written_one(prompter, tmp_path, kind):
    """What the warm-up draws is what the later stages read from the file, but for the codec's noise."""
    world = ScenesConfig()
    write_scenes(tmp_path, {kind: 1}, 3, world, "a", lambda done: None)
    (path,) = tmp_path.rglob("*.mp4")
    read = load_video(path, prompter.frames)
    drawn, _ = see(draw_scene(random.Random(f"3/a/{kind}/0"), kind, world), prompter.frames)
    assert drawn.grid_thw.tolist() == read.grid_thw.tolist()
    assert list(drawn.timestamps) == pytest.approx(list(read.timestamps))
    noise = (drawn.pixel_values - read.pixel_values).abs().mean()
    other, _ = see(draw_scene(random.Random(9), kind, world), prompter.frames)
    assert noise < 0.04 and 2 * noise < (other.pixel_values - read.pixel_values).abs().mean()


def sample_about(time, **meta):
    """A question about a cow, two sheep and a horse at `time` and at 1.5 s."""
    first = {"t": time, "objects": [[162, "cow", 2, 2.6], [7, "sheep", 8, 2], [3, "sheep", 7, 2]]}
    second = {"t": 1.5, "objects": [[7, "sheep", 8, 3], [9, "horse", 1, 1]]}
    coordinates = {"unit": "grid", "axes": "camera", "dimensions": 2, "cell": 0.5, "time": 0.0}
    meta = {"graph": {"frames": [first, second]}, "coordinates": coordinates, "task": "size"} | meta
    return Sample(id="a", video="a.mp4", query="", spans=((0.0, 1.0),), meta=meta)


def lesson_about(prompter, video, seen, sample, query):
    return warmup.lesson_of_an_answer(prompter, video, seen, replace(sample, query=query), random.Random(0))


def said_afterwards(prompter, lesson):
    """(token, word) of what is said behind the video."""
    ids = lesson.prompt.input_ids_P.tolist()
    last = max(at for at, token in enumerate(ids) if token == prompter.policy.base.config.video_token_id)
    return [(prompter.policy.tokenizer.decode([ids[at]]), word) for at, word in lesson.said if at > last]


def test_a_question_says_where_its_things_are(prompter):
    """At the token with which a mention ends, in the frame that is asked about first; of two of a class nobody can say
    where "it" is. What the answer is, is said where the question ends. Question, cell and times stand behind the
    video."""
    video, seen = clip(prompter)
    seen[1] += [Seen(4, "sheep", 3.0, 3.0, 1.0), Seen(5, "sheep", 4.0, 3.0, 1.0)]
    meta = {
        "answer_kind": "choice",
        "answer": "B",
        "options": ["the sheep", "the cow"],
        "option_keys": ["sheep", "cow"],
    }
    query = "Which is larger, the cow or the sheep? Cowed sheep?\nA. the sheep\nB. the cow"
    lesson = lesson_about(prompter, video, seen, sample_about(1.2, **meta), query)
    assert lesson.prompt.text.endswith(
        f"<|vision_end|>{query} 0.5 m ; 1.2 s ; 1.5 s<|im_end|>\n<|im_start|>assistant\n"
    )
    told = [(token[-1], word) for token, word in said_afterwards(prompter, lesson)]
    assert told == [*(("w", word) for word in "b8n"), *[("?", "cow")] * warmup.STRESS["choice"]]
    thought, answer = lesson.written
    graph = (
        '<think><graph>{"frames":[{"t":1.2,"objects":[[1,"cow",2,3],[2,"sheep",7,2],[3,"sheep",8,2]]},'
        '{"t":1.5,"objects":[[4,"horse",1,1],[3,"sheep",8,3]]}]}</graph></think>'
    )
    assert thought == (graph, warmup.GRAPH) and answer == ("<answer>the cow</answer>", warmup.STRESS["choice"])
    # At once, neither the prompt nor the answer has anything of a graph.
    sample = replace(sample_about(1.2, **meta), query=query)
    alone = warmup.lesson_of_a_choice(prompter, video, seen, sample, random.Random(0))
    assert alone.prompt.text.endswith(f"<|vision_end|>{query}<|im_end|>\n<|im_start|>assistant\n")
    assert alone.written == [answer] and said_afterwards(prompter, alone) == said_afterwards(prompter, lesson)


@pytest.mark.parametrize(
    "key,words", [("front-left", ["front", "left"]), ("it hardly moves", [" hardly"]), ("down", [" down"])]
)
def test_a_direction_is_said_in_words_of_its_own(prompter, key, words):
    video, seen = clip(prompter)
    meta = {"answer_kind": "choice", "answer": "A", "options": [key, "back"], "option_keys": [key, "back"]}
    lesson = lesson_about(prompter, video, seen, sample_about(0.0, **meta), "Which way?\nA. so\nB. back")
    assert said_afterwards(prompter, lesson) == [("?", word) for word in words * warmup.STRESS["choice"]]


@pytest.mark.parametrize(
    "meta,answer",
    [
        ({"answer_kind": "number", "answer": 2.7}, "2.7"),
        ({"answer_kind": "box", "answer": [112, 0, 498, 1000]}, "[110,0,500,1000]"),
    ],
)
def test_lessons_answer_exactly(prompter, meta, answer):
    video, seen = clip(prompter)
    lesson = lesson_about(prompter, video, seen, sample_about(0.0, **meta), "Where is the horse?")
    (thought, _), written = lesson.written
    assert thought.endswith("</graph></think>")
    assert written == (f"<answer>{answer}</answer>", warmup.STRESS[meta["answer_kind"]])
    # In the first frame there is no horse; a number's first digit is said where the question's line ends, in seconds.
    digit = [("s", "2")] * warmup.STRESS["number"] if meta["answer_kind"] == "number" else []
    assert said_afterwards(prompter, lesson) == digit


def test_names_are_looked_for_in_one_frame(prompter):
    """Where each is that is there and how high, "no" at the others of a meadow; and no graph."""
    video, seen = clip(prompter)
    told, asked = set(), set()
    for seed in range(12):
        lesson = warmup.lesson_of_names(prompter, video, seen, 1, random.Random(seed))
        asked_for, time = re.search(r"<\|vision_end\|>([a-z, ]+) ([0-9]) s<\|im_end\|>", lesson.prompt.text).groups()
        assert time == "1" and not lesson.written
        names = asked_for.split(", ")
        assert len(names) == warmup.NAMES and not any(a == b for a, b in zip(names, names[1:], strict=False))
        asked.update(names)
        told.update((token[-1], word) for token, word in said_afterwards(prompter, lesson))
    assert asked == {"the cow", "the horse", "the person", "the sheep"}
    assert told == {("e", "no"), ("n", "no"), ("p", "no"), ("w", "8"), ("w", "b"), ("w", "n")}


def box(x, y, longest):
    return Placed(np.array([x, y, 0.5]), np.array([longest, 0.5, 1.0]), np.eye(3))


@pytest.mark.parametrize(
    "third,words",
    [
        ((-2.0, 4.0, 2.0), [" larger", " closest", "front", "left"]),
        ((2.0, 4.0, 0.4), [" closest", "front", "right"]),  # as large as the second: its height is its longest side
        ((4.0, -8.0, 2.0), [" larger", " farthest", "back", "right"]),
        ((0.3, 6.0, 1.5), [" larger", "front"]),  # as far as the second, and straight ahead
    ],
)
def test_a_mention_is_related_to_those_before_it(prompter, third, words):
    """One who stands at the first, the cow, faces the second, which is 6 metres north."""
    video, _ = clip(prompter)
    cow, horse = Seen(0, "cow", 1, 1, 1, box(0, 0, 1.0)), Seen(1, "horse", 2, 2, 1, box(0, 6, 1.0))
    sheep = Seen(2, "sheep", 3, 3, 1, box(*third))
    prompt = prompter.ask("the cow, the horse, the sheep", video, sample_about(0.0).meta)
    told = list(said.of_mentions(said.Text(prompter, prompt), ["cow", "horse", "sheep"], [cow, horse, sheep]))
    assert [word for _, word in told] == ["b", "1", "m", "c", "2", "m", "d", "3", "m", *words]
    # The one that is not there breaks the chain.
    told = list(said.of_mentions(said.Text(prompter, prompt), ["cow", "horse", "sheep"], [cow, sheep]))
    assert [word for _, word in told] == ["b", "1", "m", "no", "d", "3", "m"]


@pytest.mark.parametrize("kind", ["kitti", "tao"])
def test_things_move_as_the_builder_says(prompter, kind):
    """Whoever is asked which way a thing moves has heard it of the warm-up."""
    same = different = 0
    for seed in range(40):
        rng = random.Random(seed)
        scene = draw_scene(rng, kind, ScenesConfig(repeats=0.0))
        _, seen = see(scene, prompter.frames)
        ways = {thing.name: thing.way for things in seen for thing in things}
        read = questions.read_scene(scene, rng)
        for question in motion_tracking(Asking(read, rng, Rules(), Counter())):
            if question.kind == "choice" and ways.get(question.names[0]):
                same += question.answer == ways[question.names[0]]
                different += question.answer != ways[question.names[0]]
    assert same > 30 and different <= (0 if kind == "kitti" else 0.1 * same)


def test_of_a_motion_the_end_is_said_where_the_question_ends(prompter):
    """In the frame that is nearest to the second time; of two things nobody asks where they go."""
    video, seen = clip(prompter)
    options = ["to the left", "to the right"]
    meta = {"answer_kind": "choice", "answer": "A", "options": options, "option_keys": options}
    seen[2] = [Seen(3, "cow", 4.4, 7.0, 2.0)]
    sample = sample_about(0.0, **meta)
    sample.meta["graph"]["frames"][1]["t"] = 2.2
    lesson = lesson_about(prompter, video, seen, sample, "Which way does the cow go?\nA. left\nB. right")
    told = [(token[-1], word) for token, word in said_afterwards(prompter, lesson)]
    assert told == [
        *(("w", word) for word in "a9n"),
        ("?", "e"),
        ("?", "7"),
        *[("?", " left")] * warmup.STRESS["choice"],
    ]
    both = lesson_about(prompter, video, [*seen[:2], seen[0], []], sample, "The cow or the sheep?\nA. left\nB. right")
    assert {word for token, word in said_afterwards(prompter, both) if token == "?"} == {" left"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawn_scene_is_read_as_the_written_one(tmp_path, monkeypatch, kind):
    """Lessons and samples have the same truth."""
    monkeypatch.setattr(questions, "EVERY", 1)
    write_scenes(tmp_path, {kind: 3}, 5, ScenesConfig(), "a", lambda done: None)
    (tmp_path / "work").mkdir()
    sources = Sources(lambda *problem: pytest.fail(str(problem)), tmp_path / "work", frame_seconds)
    clips = [read() for *_, read in READERS[kind](tmp_path / kind, sources)]
    assert len(clips) == 3
    for number, written in enumerate(clips):
        scene = draw_scene(random.Random(f"5/a/{kind}/{number}"), kind, ScenesConfig())
        drawn = questions.read_scene(scene, random.Random(0))
        assert (drawn.fps, drawn.width, drawn.height, drawn.static) == (
            pytest.approx(written.fps),
            written.width,
            written.height,
            written.static,
        )
        np.testing.assert_allclose(drawn.times_T, written.times_T, atol=1e-6)
        if written.pose_T44 is not None:
            np.testing.assert_allclose(drawn.pose_T44, written.pose_T44, atol=1e-5)
        assert [track.name for track in drawn.tracks] == [track.name for track in written.tracks]
        for one, other in zip(drawn.tracks, written.tracks, strict=True):
            for name in ("frame_F", "visible_F", "box_F4", "centre_F3", "axes_F33", "size_3"):
                if getattr(other, name) is not None:
                    np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)


def test_of_a_street_only_some_frames_are_looked_at():
    scene = draw_scene(random.Random(5), "kitti", ScenesConfig())
    looked_at = set()
    for seed in range(12):
        clip = questions.read_scene(scene, random.Random(seed))
        frames = {int(frame) for track in clip.tracks for frame in track.frame_F}
        assert len({frame % questions.EVERY for frame in frames}) == 1 and len(frames) >= scene.frames // 4
        looked_at |= frames
    assert len(looked_at) > scene.frames / 2


def test_questions_are_of_all_families_and_no_answer_is_more_common():
    letters, kinds, tasks = Counter(), Counter(), Counter()
    answers: dict[tuple[str, str], Counter] = {}
    for seed in range(500):
        rng = random.Random(seed)
        scene = draw_scene(rng, rng.choice(KINDS), ScenesConfig())
        read = questions.read_scene(scene, rng)
        choices, other = questions.ask(read, ScenesConfig(), rng, 3) if read is not None else ([], None)
        assert len({sample.id for sample in choices}) == len(choices)
        assert all(sample.meta["answer_kind"] == "choice" for sample in choices)
        assert all(count <= 3 for count in Counter(sample.meta["family"] for sample in choices).values())
        for sample in choices:
            right = ord(sample.meta["answer"]) - ord("A")
            letters[len(sample.meta["options"]), sample.meta["answer"]] += 1
            family = answers.setdefault((sample.source, sample.meta["family"]), Counter())
            family[sample.meta["option_keys"][right]] += 1
        tasks.update(sample.meta["task"] for sample in (*choices, other) if sample is not None)
        if other is not None:
            kinds[other.meta["answer_kind"]] += 1
    assert set(TASKS) == set(tasks) and set(kinds) == {"number", "box"} and min(kinds.values()) > 50
    assert {family for _, family in answers} == {
        "quadrant", "side", "larger", "closest", "farthest", "way", "way in the picture", "order"
    }  # fmt: skip
    for count, ends in ((2, "AB"), (3, "AC"), (4, "AD"), (5, "AE")):
        assert 1 / 2 < letters[count, ends[0]] / letters[count, ends[1]] < 2
    # As they come, in front is four times as common as behind, and a street's things hardly move in four of ten cases.
    for family in (("scannet", "quadrant"), ("scannet", "side"), ("kitti", "way"), ("kitti", "quadrant")):
        counts = answers[family]
        assert max(counts.values()) < 2.2 * min(counts.values()), counts
    for family in (("scannet", "larger"), ("kitti", "larger")):
        assert len(answers[family]) >= 4


def test_a_short_clip_is_one_pair_of_the_whole(prompter):
    scene = draw_scene(random.Random(2), "tao", ScenesConfig())
    whole, seen = see(scene, prompter.frames)
    firsts = set()
    for seed in range(8):
        short, there = see(scene, prompter.frames, random.Random(seed))
        first = list(whole.timestamps).index(short.timestamps[0])
        firsts.add(first)
        assert list(short.timestamps) == list(whole.timestamps)[first : first + 2]
        # Which way a thing moves in a picture is seen over the frames that there are.
        there, wholly = ([[thing._replace(way=None) for thing in things] for things in f] for f in (there, seen))
        assert there == wholly[first : first + 2]
        rows = int(short.grid_thw.prod())
        assert (short.pixel_values == whole.pixel_values[first // 2 * rows : (first // 2 + 1) * rows]).all()
    assert firsts == {0, 2}


def test_what_is_seen_is_what_the_picture_shows(prompter):
    """The middle of a thing that stands free has the thing's colour."""
    found = 0
    for seed in range(30):
        scene = draw_scene(random.Random(seed), random.Random(seed).choice(KINDS), ScenesConfig())
        _, seen = see(scene, prompter.frames)
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


def test_pictures_come_first_then_questions_as_well(prompter):
    """Of a picture a list of names and a graph, of a scene questions with their graphs, choices that are answered at
    once, and a list of names; the video speaks once."""
    forms, scenes = Counter(), Counter()
    for done, later in ((0.0, False), (warmup.PICTURES - 0.01, False), (warmup.PICTURES + 0.01, True), (0.99, True)):
        for seed in range(20):
            clips = warmup.draw_lessons(ScenesConfig(), prompter, random.Random(seed), done)
            asked = len(clips) == 1
            assert asked or len(clips) == warmup.TOGETHER
            assert pack_lessons(prompter.policy, clips).video_grid_thw.shape[0] == len(clips)
            scenes[later, asked] += 1
            for first, *others in clips:
                is_pad = first.prompt.input_ids_P == prompter.policy.base.config.video_token_id
                pads = set(is_pad.nonzero().flatten().tolist())
                assert pads <= {place for place, _ in first.said}
                assert pads.isdisjoint(place for lesson in others for place, _ in lesson.said)
                for lesson in (first, *others):
                    written = "".join(text for text, _ in lesson.written)
                    forms[asked, "<graph>" in written, "<answer>" in written] += 1
    assert scenes[False, True] == 0 and 20 <= scenes[True, True] <= 36
    assert set(forms) == {
        *((False, True, False), (False, False, False)),
        *((True, True, True), (True, False, True), (True, False, False)),
    }
    asked = scenes[True, True]
    # Choices and another question with a graph; more than one choice beyond these on average; nearly always names.
    assert 2 * asked < forms[True, True, True] <= (warmup.WITH_A_GRAPH + 1) * asked
    assert asked < forms[True, False, True]
    assert 0.9 * asked <= forms[True, False, False] <= asked
