"""What an evaluation is told: the model, the data, how it asks, looks, decodes and reads."""

from dataclasses import dataclass, field
from typing import Any, Literal

from videostr.data.prompts import NO_THINKING, PROMPTS, THINKING
from videostr.data.readers.base import Segments
from videostr.eval.benchmarks import Benchmark, get_benchmark
from videostr.eval.judge import JudgeConfig
from videostr.eval.parsers import PARSERS, parser_of
from videostr.rollout import SamplingParams
from videostr.video import FramePolicy, ReadingConfig

EMPTY_THINKING = "<think>\n</think>\n"
"""Begins an answer of which no thinking is wanted, where the prompt has no wording without (Time-R1's way, C)."""
_THINKING = {plain: thinking for thinking, plain in NO_THINKING.items()}


@dataclass
class EvalConfig(ReadingConfig):
    """benchmark: a name of `BENCHMARKS`. model: folder or hub id of a checkpoint. data, videos, durations, segments: as
    `videostr data convert` takes them.

    prompt: of `videostr.data.prompts.PROMPTS`. thinking: null leaves it to the prompt; true and false take its twin
    that asks for thinking or does not; where a prompt that asks for thinking has none, false begins the answer with an
    empty thinking.
    written_times: write each frame pair's time before it. parser: of `PARSERS`, null: the prompt's own. frames: which
    frames and how large; patch sizes, mean and std are the model's. decoding: how answers are drawn. limit: the first
    so many samples. judge: a model that rates free answers, for V-STaR.
    batch_size: prompts sampled together. It and how videos are read change nothing but speed (up to rounding).
    """

    benchmark: str
    model: str
    data: list[str]
    prompt: str
    frames: FramePolicy
    decoding: SamplingParams = field(default_factory=lambda: SamplingParams(greedy=True, max_new_tokens=512))
    videos: list[str] = field(default_factory=list)
    durations: str | None = None
    segments: Segments = "auto"
    thinking: bool | None = None
    written_times: bool = False
    parser: str | None = None
    limit: int | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = 8
    workers: int = field(default=4, kw_only=True)
    seed: int = 0
    resamples: int = 10_000
    judge: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        get_benchmark(self.benchmark)
        if self.prompt not in PROMPTS:
            raise ValueError(f"prompt must be one of {', '.join(PROMPTS)}, got {self.prompt!r}")
        if self.parser is not None and self.parser not in PARSERS:
            raise ValueError(f"parser must be one of {', '.join(PARSERS)}, got {self.parser!r}")
        if self.thinking and self.prompt not in THINKING and self.prompt not in _THINKING:
            raise ValueError(f"thinking: prompt {self.prompt!r} asks for none and has no twin that does")
        if not self.data:
            raise ValueError("data: expected at least one file or folder, got none")
        for name in ("batch_size", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be at least 1 or null, got {self.limit}")

    @property
    def spec(self) -> Benchmark:
        return get_benchmark(self.benchmark)

    @property
    def asked_with(self) -> tuple[str, str]:
        """(the prompt's name, how the answer begins) with `thinking` taken into account."""
        if self.thinking is None:
            return self.prompt, ""
        if self.thinking:
            return _THINKING.get(self.prompt, self.prompt), ""
        if self.prompt in NO_THINKING:
            return NO_THINKING[self.prompt], ""
        return self.prompt, EMPTY_THINKING if self.prompt in THINKING else ""

    @property
    def read_with(self) -> str:
        return self.parser or parser_of(self.asked_with[0])


def defaults_of(benchmark: str) -> dict[str, Any]:
    """The settings that are a benchmark's own: prompt, frames, length of an answer. Raises ValueError as
    `get_benchmark`."""
    spec = get_benchmark(benchmark)
    return {
        "benchmark": spec.name,
        "prompt": spec.prompt,
        "frames": spec.frames,
        "decoding": SamplingParams(greedy=True, max_new_tokens=spec.max_new_tokens),
    }
