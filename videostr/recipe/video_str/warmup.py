"""What the small model is taught before the samples (videostr.recipe.warmup): to see what is where, then to read
questions.

First it is shown pictures. It draws the relation graph of one frame, in the picture's own cells and the grammar of the
later answers: the prompt is a time alone, as a class that it named would be copied from there and not looked for. Or it
is given names and looks for the things, or is asked which of some classes is there. Later it is asked the builder's own
questions about scenes that it sees once, and answers exactly. All the while it says at the prompt's own tokens what can
be worked out there (said.py).
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase

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

TOGETHER = 3  # lessons a draw: of questions those about one scene, which takes longer to draw than to ask about
PICTURES = 0.6  # the first so many lessons are about pictures; learned at once with the others neither is learned
SHORT = 0.2  # of those, the share of clips that are one pair of frames: where a thing is, is learned there, then when
FORMS = (4, 2, 2)  # of these how often names, a graph, options
NAMES, THERE = 12, 0.9  # how many are given in a lesson, and the share that is chosen of those that are there
EXACT = AnnotatorConfig(jitter=0.0, squeeze=1.0, short=1.0, tight=1.0, unsure=0.0)


def words() -> list[str]:
    """The words of the lessons, but for letters and digits; each must be a token of its own."""
    return [*said.WORDS, *sorted(name for names in _classes() for name in names)]


def draw_lessons(world: ScenesConfig, prompter: Prompter, rng: random.Random, done: float) -> list[Lesson]:
    """About new clips. done: the share of the warm-up that is done."""
    prompter = replace(prompter, prompt="video_str_plain")
    if done < PICTURES:
        return [_draw_picture(world, prompter, rng) for _ in range(TOGETHER)]
    while True:
        scene = draw_scene(rng, rng.choice(KINDS), world)
        clip = read_scene(scene, rng)
        samples = ask(clip, rng, TOGETHER) if clip is not None else []
        if samples:
            video, seen = see(scene, prompter.frames)
            return [lesson_of_a_question(prompter, video, seen, sample, rng) for sample in samples]


def _draw_picture(world: ScenesConfig, prompter: Prompter, rng: random.Random) -> Lesson:
    while True:
        scene = draw_scene(rng, rng.choice(KINDS), world)
        video, seen = see(scene, prompter.frames, rng if rng.random() < SHORT else None)
        if any(seen):
            (form,) = rng.choices((lesson_of_names, lesson_of_a_graph, lesson_of_options), FORMS)
            shown = rng.choice([index for index, things in enumerate(seen) if things])
            return form(prompter, video, seen, shown, rng)


def lesson_of_a_question(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], sample: Sample, rng: random.Random
) -> Lesson:
    """A question and its exact answer. seen: of the frames of `video`."""
    meta, prompt = sample.meta, prompter.ask(sample.query, video, sample.meta)
    first = seen[said.nearest(video, read_graph(meta["graph"]).frames[0].time)]
    told = [
        *said.in_the_video(prompter, prompt, video, seen),
        *said.of_mentions(prompter, prompt, sorted({thing.name for thing in first}), first),
        *said.of_the_end(prompter, prompt, meta, video, seen),
        *said.of_options(prompter, prompt, meta),
    ]
    return Lesson(prompt, told, write_response(sample, EXACT, rng))


def lesson_of_a_graph(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int, rng: random.Random
) -> Lesson:
    """The graph of frame `shown`. seen: frame by frame."""
    prompt, frames = _ask_about(prompter, "", video, seen, shown)
    told = list(said.in_the_video(prompter, prompt, video, seen))
    return Lesson(prompt, told, f"<think>{render_graph(frames, digits=0)}</think>")


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
    told = [
        *said.in_the_video(prompter, prompt, video, seen),
        *said.of_mentions(prompter, prompt, kind, seen[shown]),
    ]
    return Lesson(prompt, told, "")


def lesson_of_options(
    prompter: Prompter, video: VideoInputs, seen: Sequence[Sequence[Seen]], shown: int, rng: random.Random
) -> Lesson:
    """Which of some classes is there in frame `shown`, and at every name of a list the letter that it has among the
    options: how a choice is read and answered."""
    there = sorted({thing.name for thing in seen[shown]})
    others = [name for names in _classes() for name in names if name not in there]
    options = rng.sample(others, rng.randint(1, 4))
    options.insert(rng.randint(0, len(options)), rng.choice(there))
    letters = dict(zip(options, ascii_uppercase, strict=False))
    (answer,) = (name for name in options if name in there)
    names = ", ".join(f"the {rng.choice(options)}" for _ in range(NAMES))
    query = "Which is there?" + "".join(f"\n{letter}. the {name}" for name, letter in letters.items()) + f"\n{names}"
    prompt, _ = _ask_about(prompter, query, video, seen, shown)
    meta = {"options": [f"the {name}" for name in options], "answer": letters[answer]}
    told = [
        *said.in_the_video(prompter, prompt, video, seen),
        *said.of_options(prompter, prompt, meta),
        *said.of_letters(prompter, prompt, letters),
    ]
    return Lesson(prompt, told, f"<think> the {answer}</think><answer>{letters[answer]}</answer>")


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
