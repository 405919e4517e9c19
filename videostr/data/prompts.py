"""The texts that ask a question about a video, by name. A run's training and evaluation use the same one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from videostr.graph import Coordinates, graph_brief, graph_prompt, read_graph

# {video} is where the video stands. Qwen's own prompts put it first. {graph} and {answer} are made of the sample's
# meta: how to write its relation graph, and what form its answer has.
PROMPTS = {
    # The sentence alone, for a model trained on nothing else. It stands before the video, so that every frame can be
    # read in the light of the sentence.
    "plain": "{query} {video}",
    # The papers' exact wording is not public; these ask for the published output format (grade C) in our words (O).
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
    # Video-STR's own words are not public (O). With a relation graph whose edges follow from the nodes, with written
    # edges, and without a graph.
    "video_str": "{video}{query}\n{graph}\nReason inside <think> </think>, graph included. {answer}",
    "video_str_edges": "{video}{query}\n{graph_edges}\nReason inside <think> </think>, graph included. {answer}",
    # For a small model that has learned the form: only what changes from question to question.
    "video_str_plain": "{query} {graph_brief} {video}",
    "video_answer": "{video}{query}\nReason inside <think> </think>. {answer}",
}

_ANSWERS = {
    "choice": "the letter of the right option",
    "number": "a number",
    "box": "a box [x1, y1, x2, y2]",
    "tube": '{"seconds": [x1, y1, x2, y2], …}',
}


def render_prompt(
    name: str, query: str, times: Sequence[float] | None = None, meta: Mapping[str, Any] | None = None
) -> list[dict]:
    """Chat messages that ask prompt `name` about `query`, with a placeholder for the video.

    times: seconds at which the parts of a video begin that was split into that many; each is written before its part
        (TimeLens found written times worth more than position embeddings alone). None: the video is whole.
    meta: the sample's: answer_kind and unit for a prompt with {answer}; graph and coordinates for one with {graph}.
    Raises ValueError for a name that is not in `PROMPTS`, and for meta that the prompt needs and lacks.
    """
    if name not in PROMPTS:
        raise ValueError(f"prompt must be one of {', '.join(PROMPTS)}, got {name!r}")
    video = [{"type": "video"}]
    if times is not None:
        video = [part for time in times for part in (_text(written_time(time)), {"type": "video"})]
    before, after = (_fill(part, name, meta or {}) for part in PROMPTS[name].split("{video}"))
    content = [_text(before.replace("{query}", query)), *video, _text(after.replace("{query}", query))]
    return [{"role": "user", "content": [part for part in content if part.get("text") != ""]}]


def _fill(text: str, name: str, meta: Mapping[str, Any]) -> str:
    """The template with everything but the query."""
    for place, ask in (
        ("{graph}", graph_prompt),
        ("{graph_edges}", partial(graph_prompt, edges=True)),
        ("{graph_brief}", graph_brief),
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
