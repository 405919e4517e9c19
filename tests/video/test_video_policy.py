"""Frame counts, frame choice and sizes against the packages whose names the rules carry."""

import math
from fractions import Fraction

import numpy as np
import pytest
import qwen_vl_utils.vision_process as qwen
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoMetadata

from videostr.video import POLICIES, FramePolicy, named_policy

SIDES = st.one_of(st.integers(1, 64), st.integers(1, 4400))
COUNTS = st.one_of(st.integers(2, 16), st.integers(2, 768))
FPS = st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0, 4.0])
RATES = st.sampled_from(
    [Fraction(r) for r in (5, 10, 24, 25, 30, 50, 60)] + [Fraction(24000, 1001), Fraction(30000, 1001)]
)
LENGTHS = st.one_of(st.integers(2, 3000), st.integers(3000, 1_300_000))  # up to twelve hours at 30 a second
MANY = settings(max_examples=400, deadline=None)


def shape_only(n, height, width):
    """A video tensor of that shape that takes no memory."""
    return torch.zeros((), dtype=torch.uint8).expand(n, 3, height, width)


@pytest.fixture(scope="module")
def captured_sizes():
    """Lets the packages' own code run up to the resize, which then returns only the size it was asked for."""

    def resize(video, size, **kwargs):
        return torch.empty(*size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qwen.transforms.functional, "resize", resize)
        patch.setattr(BaseVideoProcessor, "resize", lambda self, image, size, **kwargs: (size.height, size.width))
        yield


def plain_aspect(height, width):
    return max(height, width) <= 190 * min(height, width)  # near 200 the packages refuse after different roundings


@MANY
@given(
    n=COUNTS,
    height=SIDES,
    width=SIDES,
    low=st.sampled_from([None, 3136, 50176]),
    patch=st.sampled_from([14, 16]),
    high=st.sampled_from([None, 12544, 401408]),
    total=st.sampled_from([None, 1_605_632, 20_000_000]),
)
def test_size_is_qwen_vl_utils(captured_sizes, n, height, width, low, high, total, patch):
    assume(plain_aspect(height, width))
    limits = {k: v for k, v in {"min_pixels": low, "max_pixels": high, "total_pixels": total}.items() if v is not None}
    assume(high is None or high >= (128 * (2 * patch) ** 2 if low is None else low))  # else the package asserts
    with pytest.MonkeyPatch.context() as patcher:
        patcher.setattr(qwen, "get_video_reader_backend", lambda: "fake")
        patcher.setitem(qwen.VIDEO_READER_BACKENDS, "fake", lambda ele: (shape_only(n, height, width), {}, 2.0))
        want = tuple(qwen.fetch_video({"video": "a.mp4", **limits}, image_patch_size=patch).shape)
    got = FramePolicy(patch_size=patch, **limits).frame_size(n, height, width)
    assert min(got) >= 2 * patch
    assert got == want or 0 in want  # the package can return a side of 0, which nothing can use


@MANY
@given(
    n=COUNTS,
    height=SIDES,
    width=SIDES,
    low=st.sampled_from([3136, 50176, 128 * 784]),
    high=st.sampled_from([12544, 401408, 768 * 784]),
    tokens=st.sampled_from([None, 2048, 128000]),
)
def test_size_is_transformers_qwen2_vl(captured_sizes, n, height, width, low, high, tokens):
    assume(plain_aspect(height, width) and low <= high)
    processor = Qwen2VLVideoProcessor(
        size={"shortest_edge": low, "longest_edge": high},
        max_video_tokens=tokens or 1,
        cap_pixels_per_frame=bool(tokens),
    )
    want = processor.resize(
        shape_only(n, height, width)[None], processor.size, None, 28, cap_pixels_per_frame=bool(tokens)
    )
    total = int(tokens * 28 * 28 * 0.9) if tokens else None
    policy = FramePolicy(min_pixels=low, max_pixels=high, total_pixels=total, rule="transformers_qwen2_vl")
    assert policy.frame_size(n, height, width) == want


@MANY
@given(
    n=COUNTS,
    height=SIDES,
    width=SIDES,
    low=st.sampled_from([4096, 128 * 1024]),
    total=st.sampled_from([200_000, 768 * 1024, 20_000_000]),
    tokens=st.sampled_from([None, 64, 768]),
)
def test_size_is_transformers_qwen3_vl(captured_sizes, n, height, width, low, total, tokens):
    assume(plain_aspect(height, width))
    processor = Qwen3VLVideoProcessor(
        size={"shortest_edge": low, "longest_edge": total},
        max_video_tokens=tokens or 1,
        cap_pixels_per_frame=bool(tokens),
    )
    want = processor.resize(
        shape_only(n, height, width)[None], processor.size, None, 32, 2, cap_pixels_per_frame=bool(tokens)
    )
    policy = named_policy(
        "transformers_qwen3_vl", min_pixels=low, total_pixels=total, max_pixels=tokens and tokens * 32 * 32
    )
    assert policy.frame_size(n, height, width) == want


@pytest.mark.parametrize(
    ("name", "processor"),
    [("transformers_qwen2_vl", Qwen2VLVideoProcessor), ("transformers_qwen3_vl", Qwen3VLVideoProcessor)],
)
def test_named_policies_are_the_processors_defaults(name, processor):
    policy, default = POLICIES[name], processor()
    for field in ("patch_size", "merge_size", "temporal_patch_size", "min_frames", "max_frames"):
        assert getattr(policy, field) == getattr(default, field)
    assert policy.image_mean == tuple(default.image_mean) and policy.image_std == tuple(default.image_std)
    explicit = (
        {"min_pixels": default.size["shortest_edge"], "max_pixels": default.size["longest_edge"]}
        if name == "transformers_qwen2_vl"
        else {"min_pixels": default.size["shortest_edge"], "total_pixels": default.size["longest_edge"]}
    )
    for n, height, width in [(4, 720, 1280), (64, 240, 320), (10, 31, 1000), (5, 3000, 20)]:
        assert policy.frame_size(n, height, width) == named_policy(name, **explicit).frame_size(n, height, width)


def test_the_papers_policy_keeps_its_token_budget():
    policy = POLICIES["tvg_r1"]
    for height, width in [(720, 1280), (240, 320), (1080, 1920), (1920, 1080)]:
        h, w = policy.frame_size(64, height, width)
        assert h * w <= 1_605_632 / 64 * 2 and 32 * (h // 28) * (w // 28) <= 2048


def constant_rate(frames, rate):
    """Ticks of a stream with a constant rate, its end, and its length in seconds."""
    ticks = np.arange(frames, dtype=np.int64) * rate.denominator
    return ticks, frames * rate.denominator, float(frames / rate)


def float32_error(positions):
    """How far off the packages' own positions are, which they compute in float32."""
    return max(Fraction(1, 1000), max(positions) / 2**22)


def assert_same_up_to_ties(got, want, exact):
    """exact: the position of each sample as Fractions; where one lies halfway between two frames, floats may differ."""
    near = float32_error(exact)
    assert len(got) == len(want)
    for g, w, e in zip(got, want, exact, strict=True):
        assert g == w or (abs(g - w) == 1 and abs((e - math.floor(e)) - Fraction(1, 2)) < near)


@MANY
@given(frames=LENGTHS, rate=RATES, fps=FPS, uniform=st.one_of(st.none(), st.integers(2, 200)))
def test_frames_are_qwen_vl_utils(frames, rate, fps, uniform):
    ticks, edge, seconds = constant_rate(frames, rate)
    policy = FramePolicy(fps=fps, num_frames=uniform)
    ele = {"fps": fps} if uniform is None else {"nframes": uniform}
    n = policy.frame_count(seconds, frames)
    got = policy.pick(ticks, edge, n)
    assert (got >= 0).all() and (got < frames).all() and (np.diff(got) >= 0).all()
    if uniform is not None and round(uniform / 2) * 2 > frames:
        assert n == frames // 2 * 2  # the package raises instead
        return
    assert n == qwen.smart_nframes(ele, frames, float(rate))
    want = torch.linspace(0, frames - 1, n).round().long().tolist()
    assert_same_up_to_ties(got, want, [Fraction(k * (frames - 1), n - 1) for k in range(n)])


@MANY
@given(frames=LENGTHS, rate=RATES, fps=FPS)
def test_frames_are_transformers_qwen2_vl(frames, rate, fps):
    ticks, edge, seconds = constant_rate(frames, rate)
    policy = named_policy("transformers_qwen2_vl", fps=fps)
    got = policy.pick(ticks, edge, policy.frame_count(seconds, frames))
    metadata = VideoMetadata(total_num_frames=frames, fps=float(rate))
    want = Qwen2VLVideoProcessor().sample_frames(metadata, fps=fps).tolist()
    n = len(got)
    near = float32_error([Fraction(frames)])
    assert len(want) - n in (0, 1)  # the processor's float32 arange can give one frame too many
    for k, (g, w) in enumerate(zip(got, want, strict=False)):
        exact = Fraction(k * frames, n)
        assert g == math.floor(exact)
        assert g == w or (abs(g - w) == 1 and abs(exact - round(exact)) < near)


@MANY
@given(frames=st.one_of(st.just(1), LENGTHS), rate=RATES, fps=FPS, uniform=st.one_of(st.none(), st.integers(1, 200)))
def test_frames_are_transformers_qwen3_vl(frames, rate, fps, uniform):
    ticks, edge, seconds = constant_rate(frames, rate)
    policy = named_policy("transformers_qwen3_vl", fps=fps, num_frames=uniform)
    n = policy.frame_count(seconds, frames)
    got = policy.pick(ticks, edge, n)
    metadata = VideoMetadata(total_num_frames=frames, fps=float(rate))
    processor = Qwen3VLVideoProcessor()
    if uniform is not None and uniform > frames:
        assert got.tolist() == list(range(frames))  # the processor repeats frames instead
        return
    want = processor.sample_frames(metadata, **({"fps": fps} if uniform is None else {"num_frames": uniform})).tolist()
    assert_same_up_to_ties(got, want, [Fraction(k * (frames - 1), max(n - 1, 1)) for k in range(n)])


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(st.integers(1, 1000), min_size=1, max_size=60), n=st.integers(1, 80))
def test_variable_rate_picks_the_nearest_or_the_shown_frame(steps, n):
    ticks = np.cumsum([0] + steps[:-1]).astype(np.int64)
    edge = int(ticks[-1]) + steps[-1]
    for k, i in enumerate(FramePolicy().pick(ticks, edge, n)):
        want = Fraction(k * int(ticks[-1]), max(n - 1, 1))
        assert abs(ticks[i] - want) == min(abs(int(t) - want) for t in ticks)
    for k, i in enumerate(named_policy("transformers_qwen2_vl").pick(ticks, edge, n)):
        want = Fraction(k * edge, n)
        assert ticks[i] <= want and (i + 1 == len(ticks) or ticks[i + 1] > math.floor(want))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fps", 0),
        ("fps", math.nan),
        ("rule", "qwen"),
        ("resize", "f64"),
        ("num_frames", 0),
        ("min_pixels", -1),
        ("patch_size", 1.5),
        ("min_frames", 1000),
        ("image_mean", (0.5,)),
        ("max_frames", None),
    ],
)
def test_wrong_values_name_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        FramePolicy(**{field: value})
    with pytest.raises(ValueError, match="tvg_r1"):
        named_policy("tvg")


def test_extreme_aspect_is_refused():
    for name in POLICIES:
        with pytest.raises(ValueError, match="aspect"):
            POLICIES[name].frame_size(4, 10, 2001)
