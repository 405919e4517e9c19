"""What the small model is taught before the samples (videostr.recipe.warmup): to see what is where, then to read
questions.

First it is shown pictures. It is given names and looks for the things, or draws the relation graph of one frame, in the
picture's own cells and the grammar of the later answers: the prompt is a time alone, as a class that it named would be
copied from there and not looked for. Later it is also asked the builder's own questions about scenes that it sees once,
and answers exactly: two choices and another question with their graph, the other choices at once. All the while it says
at the prompt's own tokens what can be worked out there (said.py).
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from videostr.data.samples import Sample
from videostr.data.scenes import KINDS, ScenesConfig, draw_scene
from videostr.data.scenes.plan import THINGS
from videostr.data.stv.annotate import AnnotatorConfig, in_writing_order, write_answer, write_response
from videostr.graph import Coordinates, Frame, Node, class_name, graph_to_json, read_graph, render_graph
from videostr.model import Prompt
from videostr.recipe.video_str import said
from videostr.recipe.video_str.questions import ask, read_scene
from videostr.recipe.video_str.sight import Seen, see
from videostr.recipe.warmup import Lesson
from videostr.training.prompter import Prompter
from videostr.video import VideoInputs

PICTURES = 0.25  # the first so many draws are about pictures alone; what is where has to be found first
ASKED = 0.7  # of the later draws, the share that is about questions
ASKED_ABOUT = (*KINDS, "kitti", "scannet")  # where there are places, more kinds of questions can be asked
SHORT = 0.6  # of pictures, the share that are one pair of frames: where a thing is, is learned there, then when
DRAWN = 0.7  # the share of pictures of which a graph is drawn
TOGETHER = 2  # pictures a draw; a scene that is asked about takes as long
NAMES, THERE = 12, 0.9  # how many are given in a list, and the share that is chosen of those that are there
OF_EACH = 3  # choices of a family, about one scene
WITH_A_GRAPH = 2  # of all choices about a scene so many are answered with a graph, as they are later
STRESS = {"choice": 16, "number": 4, "box": 4}  # an answer is a word or two, among hundreds that are said
GRAPH = 3  # the same of a graph, whose numbers are few
EXACT = AnnotatorConfig(jitter=0.0, squeeze=1.0, short=1.0, tight=1.0, unsure=0.0)


def words() -> list[str]:
    """The words of the lessons, but for letters and digits; each must be a token of its own."""
    return [*said.WORDS, *sorted(name for names in _classes() for name in names)]


def draw_lessons(world: ScenesConfig, prompter: Prompter, rng: random.Random, done: float) -> list[list[Lesson]]:
    """About new clips. done: the share of the warm-up that is done."""
    if done >= PICTURES and rng.random() < ASKED:
        return [_about_a_scene(world, prompter, rng)]
    return [_about_a_picture(world, prompter, rng) for _ in range(TOGETHER)]


def _about_a_picture(world: ScenesConfig, prompter: Prompter, rng: random.Random) -> list[Lesson]:
    while True:
        scene = draw_scene(rng, rng.choice(KINDS), world)
        video, seen = see(scene, prompter.frames, rng if rng.random() < SHORT else None)
        if any(seen):
            lessons = [lesson_of_names(prompter, video, seen, _some_frame(seen, rng), rng)]
            if rng.random() < DRAWN:
                lessons.append(lesson_of_a_graph(prompter, video, seen, _some_frame(seen, rng)))
            return _with_the_video(prompter, video, seen, lessons)


def _about_a_scene(world: ScenesConfig, prompter: Prompter, rng: random.Random) -> list[Lesson]:
    while True:
        scene = draw_scene(rng, rng.choice(ASKED_ABOUT), world)
        clip = read_scene(scene, rng)
        choices, other = ask(clip, world, rng, OF_EACH) if clip is not None else ([], None)
        if choices or other:
            video, seen = see(scene, prompter.frames)
            rng.shuffle(choices)
            written = [*choices[:WITH_A_GRAPH], *([other] if other else [])]
            lessons = [lesson_of_an_answer(prompter, video, seen, sample, rng) for sample in written]
            lessons += [lesson_of_a_choice(prompter, video, seen, sample, rng) for sample in choices[WITH_A_GRAPH:]]
            if any(seen):
                lessons.append(lesson_of_names(prompter, video, seen, _some_frame(seen, rng), rng))
            return _with_the_video(prompter, video, seen, lessons)


def _with_the_video(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], lessons: list[Lesson]
) -> list[Lesson]:
    """The lessons, and once what is said of the video, which they share."""
    lessons[0].said.extend(said.in_the_video(prompter, lessons[0].prompt, video, seen))
    return lessons


def _some_frame(seen: Sequence[Sequence[Seen]], rng: random.Random) -> int:
    return rng.choice([index for index, things in enumerate(seen) if things])


def lesson_of_an_answer(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], sample: Sample, rng: random.Random
) -> Lesson:
    """A question and its exact answer as it is written later, graph included. seen: of the frames of `video`."""
    prompt = prompter.ask(sample.query, video, sample.meta)
    told = _of_the_question(prompter, prompt, video, seen, sample)
    thought, end, answer = write_response(sample, EXACT, rng).partition("</think>")
    return Lesson(prompt, told, [(thought + end, GRAPH), (answer, STRESS[sample.meta["answer_kind"]])])


def lesson_of_a_choice(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], sample: Sample, rng: random.Random
) -> Lesson:
    """A choice whose answer is written at once, without a graph. seen: of the frames of `video`."""
    prompt = replace(prompter, prompt="question").ask(sample.query, video)
    told = _of_the_question(prompter, prompt, video, seen, sample)
    return Lesson(prompt, told, [(write_answer(sample.meta, EXACT, rng), STRESS["choice"])])


def _of_the_question(
    prompter: Prompter, prompt: Prompt, video: VideoInputs, seen: Sequence[Sequence[Seen]], sample: Sample
) -> list[tuple[int, str]]:
    shown = [seen[said.nearest(video, frame.time)] for frame in read_graph(sample.meta["graph"]).frames]
    text = said.Text(prompter, prompt)
    return [
        *said.of_mentions(text, sorted({thing.name for thing in shown[0]}), shown[0]),
        *(said.of_the_end(text, shown[1]) if len(shown) == 2 else ()),
        *said.of_the_answer(text, sample.meta) * STRESS[sample.meta["answer_kind"]],
    ]


def lesson_of_a_graph(prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int) -> Lesson:
    """The graph of frame `shown`. seen: frame by frame."""
    prompt, frames = _ask_about(prompter, "", video, seen, shown)
    return Lesson(prompt, [], [(f"<think>{render_graph(frames, digits=0)}</think>", GRAPH)])


def lesson_of_names(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int, rng: random.Random
) -> Lesson:
    """What is to be said of the classes of one kind of scene in frame `shown`, and how they stand to each other."""
    there = {thing.name for thing in seen[shown]}
    kind = next(names for names in _classes() if there <= set(names))
    names: list[str] = []
    while len(names) < NAMES:
        new = [name for name in kind if name not in names[-2:]]
        shown_now = [name for name in new if name in there]
        names.append(rng.choice(shown_now if shown_now and rng.random() < THERE else new))
    prompt, _ = _ask_about(prompter, ", ".join(f"the {name}" for name in names), video, seen, shown)
    return Lesson(prompt, list(said.of_mentions(said.Text(prompter, prompt), kind, seen[shown])))


def _classes() -> list[list[str]]:
    """Of each kind of scene."""
    return [[class_name(thing.label) for thing in things] for things in THINGS.values()]


def _ask_about(
    prompter: Prompter, query: str, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int
) -> tuple[Prompt, list[Frame]]:
    """(the prompt of a query about frame `shown` in cells of the picture, its graph)."""
    time = round(float(video.timestamps[shown]), 2)
    nodes = tuple(Node(thing.name, (thing.x, thing.y), str(thing.body)) for thing in seen[shown])
    frames = in_writing_order([Frame(time, nodes)])
    meta = {"graph": graph_to_json(frames), "coordinates": Coordinates("grid", axes="image").to_json()}
    return prompter.ask(query, video, meta), frames
