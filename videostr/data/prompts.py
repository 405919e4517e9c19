"""The texts that ask for an interval, by name. A run's training and evaluation use the same one."""

from collections.abc import Sequence

# {video} is where the video stands. Qwen's own prompts put it first.
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
}


def render_prompt(name: str, query: str, times: Sequence[float] | None = None) -> list[dict]:
    """Chat messages that ask prompt `name` about `query`, with a placeholder for the video.

    times: seconds at which the parts of a video begin that was split into that many; each is written before its part
        (TimeLens found written times worth more than position embeddings alone). None: the video is whole.
    Raises ValueError for a name that is not in `PROMPTS`.
    """
    if name not in PROMPTS:
        raise ValueError(f"prompt must be one of {', '.join(PROMPTS)}, got {name!r}")
    video = [{"type": "video"}]
    if times is not None:
        video = [part for time in times for part in (_text(written_time(time)), {"type": "video"})]
    before, after = PROMPTS[name].split("{video}")
    content = [_text(before.replace("{query}", query)), *video, _text(after.replace("{query}", query))]
    return [{"role": "user", "content": [part for part in content if part.get("text") != ""]}]


def written_time(seconds: float) -> str:
    """Seconds to a tenth, without a useless zero: 3, 3.5."""
    return f"{round(seconds, 1):g}"


def _text(text: str) -> dict:
    return {"type": "text", "text": text}
