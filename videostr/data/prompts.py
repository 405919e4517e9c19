"""The texts that ask about a video, by name. A run's training and evaluation use the same one.

Words that are somebody else's are kept to the letter, or a comparison with their numbers says nothing. Grades as in
docs/papers.md: C read in the authors' repository, S second-hand, O ours.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from videostr.graph import Coordinates, graph_brief, graph_prompt, read_graph

_TVG_R1 = (
    "You FIRST think about the reasoning process in the mind and finally determine the precise time period related to "
    "the query. The reasoning process MUST BE enclosed within <think> </think> tags. The specific time period MUST BE "
    "in the format [start time, end time] in seconds enclosed within <time> </time> tags. For example, <think>the "
    "reasoning process</think> <time>[5.2, 10.4]</time>"
)
_TVG_R1_SYSTEM = (
    "You FIRST think about the reasoning process in the mind and finally determine the precise time period related to "
    "the query. \n  The reasoning process MUST BE enclosed within <think> </think> tags. The specific time period MUST "
    "BE in the format [start time, end time] in seconds enclosed within <time> </time> tags. For example, <think>the "
    "reasoning process</think> <time>[5.2, 10.4]</time> "
)
_TVG_R1_QA_SYSTEM = (
    "You FIRST think about the reasoning process in the mind and finally provide the final option answer. The "
    "reasoning process MUST include analysis with the specific time period in the video.\n  The reasoning process MUST "
    "BE enclosed within <think> </think> tags. The specific time period MUST BE in the format [start time, end time] "
    "in seconds enclosed within <time> </time> tags. The final option answer MUST BE put in \\boxed{}. For example, "
    "<think>the reasoning process</think> <time>[5.2, 10.4]</time> \\boxed{C}. "
)
_TIME_R1 = (
    'To accurately pinpoint the event "{query}" in the video, determine the precise time period of the event.\n\n'
)
_TIME_R1_THINK = (
    "Output your thought process within the <think> </think> tags, including analysis with either specific time ranges "
    "(xx.xx to xx.xx) in <timestep> </timestep> tags.\n\nThen, provide"
)
_TIME_R1_FORM = (
    ' the start and end times (in seconds, precise to two decimal places) in the format "start time to end time" '
    'within the <answer> </answer> tags. For example: "12.54 to 17.83".'
)
_TIMELENS = (
    "Please find the visual event described by the sentence '{query}', determining its starting and ending times. "
    "The format should be: 'The event happens in <start time> - <end time> seconds'."
)
_TIMELENS_TIMES = (
    "You are given a video with multiple frames. The numbers before each video frame indicate its sampling timestamp "
    "(in seconds). "
)

# {video} is where the video stands, {query} the sentence or question. {graph} and {answer} are made of the sample's
# meta: how to write its relation graph, and what form its answer has.
PROMPTS = {
    # The sentence alone, for a model trained on nothing else. It stands before the video, so that every frame can be
    # read in the light of the sentence.
    "plain": "{query} {video}",
    # Ours (O), for the published output format (C).
    "tvg_think": (
        "{video}"
        'Find the one moment in the video that this sentence describes: "{query}"\n'
        "First reason about what happens when, inside <think> </think>. "
        "Then give the start and the end of the moment in seconds as <time>[start, end]</time>."
    ),
    "tvg_no_think": (
        "{video}"
        'Find the one moment in the video that this sentence describes: "{query}"\n'
        "Give only its start and end in seconds, as <time>[start, end]</time>."
    ),
    # TVG-R1 (C): the released evaluation's for sentences, the training script's, and the released evaluation's for
    # questions with options, where the option is asked for or the interval alone (all but the first say it as the
    # system message).
    "tvg_r1": "{video}" + _TVG_R1 + ". Now I give you the query: '{query}'. ",
    "tvg_r1_train": "{video}{query}",
    "tvg_r1_qa": "{video}{query}",
    "tvg_r1_grounding": "{video}{query}",
    # Time-R1 (C: its evaluation's r1 and default prompts).
    "time_r1": "{video}" + _TIME_R1 + _TIME_R1_THINK + _TIME_R1_FORM,
    "time_r1_no_think": "{video}" + _TIME_R1 + "Provide" + _TIME_R1_FORM,
    # TimeLens (C): without and with the frames' times written between them.
    "timelens": "{video}" + _TIMELENS,
    "timelens_times": "{video}" + _TIMELENS_TIMES + _TIMELENS,
    # Qwen2.5-VL's cookbook for videos (S: its words in others' code).
    "qwen2_5_vl": (
        "{video}Give the query: '{query}', when does the described content occur in the video? "
        "Use seconds for time format."
    ),
    # A question that a benchmark has worded in full, after or before the video.
    "question": "{video}{query}",
    "question_first": "{query}{video}",
    # The same with thinking (O).
    "question_think": (
        "{video}{query}\nFirst reason step by step inside <think> </think>, then give only the final answer inside "
        "<answer> </answer>."
    ),
    # Video-STR's own words are not public (O). With a relation graph whose edges follow from the nodes, with written
    # edges, and without a graph.
    "video_str": "{video}{query}\n{graph}\nReason inside <think> </think>, graph included. {answer}",
    "video_str_edges": "{video}{query}\n{graph_edges}\nReason inside <think> </think>, graph included. {answer}",
    # For a small model that has learned the form: only what changes from question to question.
    "video_str_plain": "{video}{query} {graph_brief}",
    "video_answer": "{video}{query}\nReason inside <think> </think>. {answer}",
}

_ANSWERS = {
    "choice": "the letter of the right option",
    "number": "a number",
    "box": "a box [x1, y1, x2, y2]",
    "tube": '{"seconds": [x1, y1, x2, y2], …}',
}
SYSTEM = {
    "tvg_r1": "You are a helpful assistant.",
    "tvg_r1_train": _TVG_R1_SYSTEM,
    "tvg_r1_qa": _TVG_R1_QA_SYSTEM,
    "tvg_r1_grounding": _TVG_R1 + ". ",
    "time_r1": "You are a helpful assistant.",
    "time_r1_no_think": "You are a helpful assistant.",
}
"""System messages of the prompts that have one."""
NO_THINKING = {
    "tvg_think": "tvg_no_think",
    "time_r1": "time_r1_no_think",
    "question_think": "question",
}
"""Prompts that ask for thinking and have a twin that does not."""
_VIDEO_STR = ("video_str", "video_str_edges", "video_answer")
THINKING = frozenset({"tvg_r1", "tvg_r1_train", "tvg_r1_qa", "tvg_r1_grounding", *_VIDEO_STR, *NO_THINKING})
"""Prompts that ask for thinking."""
WITHOUT_FULL_STOP = frozenset({"tvg_r1", "timelens", "timelens_times"})
"""Prompts whose own code cuts the full stops off a sentence before it stands between quotes (C: `parse_query` of
VideoMind as TVG-R1 released it, and of TimeLens)."""


def render_prompt(
    name: str, query: str, times: Sequence[float] | None = None, meta: Mapping[str, Any] | None = None
) -> list[dict]:
    """Chat messages that ask prompt `name` about `query`, with a placeholder for the video; the last is the user's.

    times: seconds at which the parts of a video begin that was split into that many; each is written before its part
        (TimeLens found written times worth more than position embeddings alone). None: the video is whole.
    meta: the sample's: answer_kind and unit for a prompt with {answer}; graph and coordinates for one with {graph}.
    Raises ValueError for a name that is not in `PROMPTS`, and for meta that the prompt needs and lacks.
    """
    if name not in PROMPTS:
        raise ValueError(f"prompt must be one of {', '.join(PROMPTS)}, got {name!r}")
    if name in WITHOUT_FULL_STOP:
        query = query.strip().strip(".").strip()
    video = [{"type": "video"}]
    if times is not None:
        video = [part for time in times for part in (_text(written_time(time)), {"type": "video"})]
    before, after = (_fill(part, name, meta or {}) for part in PROMPTS[name].split("{video}"))
    content = [_text(before.replace("{query}", query)), *video, _text(after.replace("{query}", query))]
    user = {"role": "user", "content": [part for part in content if part.get("text") != ""]}
    return [{"role": "system", "content": SYSTEM[name]}, user] if name in SYSTEM else [user]


def _fill(text: str, name: str, meta: Mapping[str, Any]) -> str:
    """The template with everything but the query."""
    for place, ask in (
        ("{graph}", graph_prompt),
        ("{graph_edges}", partial(graph_prompt, edges=True)),
        ("{graph_brief}", lambda coordinates, times, names: graph_brief(coordinates, times)),
    ):
        if place in text:
            frames = read_graph(_needed(meta, "graph", name)).frames
            names = list(dict.fromkeys(node.name for frame in frames for node in frame.nodes))
            times = [frame.time for frame in frames if frame.time is not None]
            coordinates = Coordinates.from_json(_needed(meta, "coordinates", name))
            text = text.replace(place, ask(coordinates, times, names))
    if "{answer}" in text:
        kind = _needed(meta, "answer_kind", name)
        if kind not in _ANSWERS:
            raise ValueError(f"answer_kind: expected one of {', '.join(_ANSWERS)}, got {kind!r}")
        unit = f" in {meta['unit']}" if kind == "number" and meta.get("unit") else ""
        text = text.replace("{answer}", f"Then give {_ANSWERS[kind]}{unit} as <answer> </answer>.")
    return text


def _needed(meta: Mapping[str, Any], field: str, name: str) -> Any:
    if meta.get(field) is None:
        raise ValueError(f"prompt {name!r} needs {field!r} in the sample's meta")
    return meta[field]


def written_time(seconds: float) -> str:
    """Seconds to a tenth, without a useless zero: 3, 3.5."""
    return f"{round(seconds, 1):g}"


def _text(text: str) -> dict:
    return {"type": "text", "text": text}
