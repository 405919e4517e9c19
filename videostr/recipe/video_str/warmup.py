"""What the small model is taught before the samples (videostr.recipe.warmup): to see what is where, then to read
questions.

First it is shown pictures. It is given names and looks for the things, or draws the relation graph of one frame, in the
picture's own cells and the grammar of the later answers: the prompt is a time alone, as a class that it named would be
copied from there and not looked for. Later it is also asked the builder's own questions about scenes that it sees once,
and answers exactly, graph included. All the while it says at the prompt's own tokens what can be worked out there
(said.py).
"""

import random
from collections.abc import Sequence

from videostr.data.samples import Sample
from videostr.data.scenes import KINDS, ScenesConfig, draw_scene
from videostr.data.scenes.plan import THINGS
from videostr.data.stv.annotate import AnnotatorConfig, in_writing_order, write_response
from videostr.graph import Coordinates, Frame, Node, class_name, graph_to_json, read_graph, render_graph
from videostr.model import Prompt
from videostr.recipe.video_str import said
from videostr.recipe.video_str.questions import ask, read_scene
from videostr.recipe.video_str.sight import Seen, see
from videostr.recipe.warmup import Lesson
from videostr.training.prompter import Prompter
from videostr.video import VideoInputs

PICTURES = 0.3  # the first so many draws are about pictures alone; what is where has to be found first
ASKED = 0.5  # of the later draws, the share that is about questions
SHORT = (
    0.6  # of pictures, the share of clips that are one pair of frames: where a thing is, is learned there, then when
)
DRAWN = 0.3  # the share of pictures of which a graph is drawn
TOGETHER = 2  # pictures a draw; a scene that is asked about takes as long
NAMES, THERE = 12, 0.9  # how many are given in a list, and the share that is chosen of those that are there
CHOICES = 5  # a scene; there is one question of any kind besides
STRESS = 8  # an answer to a choice is a word or two, among hundreds that are said
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
        scene = draw_scene(rng, rng.choice(KINDS), world)
        clip = read_scene(scene, rng)
        choices, other = ask(clip, rng, CHOICES) if clip is not None else ([], None)
        if other is not None:
            video, seen = see(scene, prompter.frames)
            lessons = [lesson_of_a_question(prompter, video, seen, sample, rng) for sample in (*choices, other)]
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


def lesson_of_a_question(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], sample: Sample, rng: random.Random
) -> Lesson:
    """A question and its exact answer, graph included. seen: of the frames of `video`."""
    prompt = prompter.ask(sample.query, video, sample.meta)
    told = _of_the_question(prompter, prompt, video, seen, sample)
    thought, end, answer = write_response(sample, EXACT, rng).partition("</think>")
    return Lesson(prompt, told, answer, thought + end, STRESS if sample.meta["answer_kind"] == "choice" else 1)


def _of_the_question(
    prompter: Prompter, prompt: Prompt, video: VideoInputs, seen: Sequence[Sequence[Seen]], sample: Sample
) -> list[tuple[int, str]]:
    first = seen[said.nearest(video, read_graph(sample.meta["graph"]).frames[0].time)]
    return [
        *said.of_mentions(prompter, prompt, sorted({thing.name for thing in first}), first),
        *said.of_the_end(prompter, prompt, sample.meta, video, seen),
    ]


def lesson_of_a_graph(prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int) -> Lesson:
    """The graph of frame `shown`. seen: frame by frame."""
    prompt, frames = _ask_about(prompter, "", video, seen, shown)
    return Lesson(prompt, [], f"<think>{render_graph(frames, digits=0)}</think>")


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
    return Lesson(prompt, list(said.of_mentions(prompter, prompt, kind, seen[shown])), "")


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
