"""The drop-in video processors against transformers' own: the same outputs, to the last bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model.tiny import make_tokenizer
from PIL import Image
from transformers import AutoProcessor, AutoVideoProcessor, Qwen2_5_VLProcessor, Qwen3VLProcessor
from transformers.models.auto import video_processing_auto
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.video_utils import VideoMetadata

from videostr.integrations import video_processor as ours

FAMILIES = {
    "qwen2_vl": (ours.PlainQwen2, ours.Qwen2VLVideoProcessor),
    "qwen3_vl": (ours.PlainQwen3, ours.Qwen3VLVideoProcessor),
}
SMALL = {"size": {"shortest_edge": 6272, "longest_edge": 200704}, "cap_pixels_per_frame": False}


def video(frames, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def both(family, videos, init=SMALL, **call):
    results = [
        kind(**init)(videos, **{"return_tensors": "pt", "do_sample_frames": False, **call}) for kind in FAMILIES[family]
    ]
    want, got = results
    assert want.keys() == got.keys()
    assert torch.equal(torch.as_tensor(got["video_grid_thw"]), torch.as_tensor(want["video_grid_thw"]))
    assert got["pixel_values_videos"].dtype == want["pixel_values_videos"].dtype
    assert np.array_equal(np.asarray(got["pixel_values_videos"]), np.asarray(want["pixel_values_videos"]))
    return want, got


@settings(max_examples=25, deadline=None)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    frames=st.integers(2, 5),
    height=st.integers(20, 200),
    width=st.integers(20, 200),
    first=st.booleans(),
    cap=st.booleans(),
)
def test_sizes(family, frames, height, width, first, cap):
    pixels = torch.from_numpy(video(frames, height, width, height))
    both(family, [pixels.permute(0, 3, 1, 2) if first else pixels], SMALL | {"cap_pixels_per_frame": cap})


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_input(family):
    one, two = video(4, 60, 90), video(3, 131, 77, 1)
    both(family, one)  # one video
    both(family, [one, two, one])  # of several sizes
    both(family, [torch.from_numpy(one).permute(0, 3, 1, 2).contiguous()])  # as torchcodec gives them
    both(family, [[Image.fromarray(frame) for frame in one]])  # a list of images
    both(family, [list(one)])  # and of arrays
    both(family, [list(torch.from_numpy(two))])
    both(family, [one], return_tensors="np")
    both(family, [one.astype(np.float32)])  # not bytes: the base class' way
    both(family, [np.repeat(one[..., :1], 3, -1)[..., :1]])  # grey
    both(family, [one], input_data_format="channels_last")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "options",
    [
        {"do_normalize": False},
        {"do_rescale": False},
        {"rescale_factor": 1 / 127.5},
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.4, 0.3]},
        {"resample": 2},
        {"size": {"shortest_edge": 3136, "longest_edge": 30000}},
        {"cap_pixels_per_frame": True},
        {"merge_size": 1},
        {"temporal_patch_size": 3},
    ],
    ids=str,
)
def test_options_of_the_call(family, options):
    both(family, [video(4, 70, 100)], **options)
    both(family, [video(4, 70, 100)], SMALL | options)


def test_without_resizing():
    both("qwen2_vl", [video(4, 56, 84)], do_resize=False)
    both("qwen3_vl", [video(4, 64, 96)], do_resize=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_sampling_and_metadata(family):
    metadata = VideoMetadata(total_num_frames=50, fps=25.0, duration=2.0)
    call = {"do_sample_frames": True, "fps": 4.0, "video_metadata": [metadata], "return_metadata": True}
    want, got = both(family, [video(50, 40, 60)], **call)
    assert [list(m.frames_indices) for m in got["video_metadata"]] == [
        list(m.frames_indices) for m in want["video_metadata"]
    ]
    plain, fast = (kind(**SMALL) for kind in FAMILIES[family])
    assert fast.get_num_of_video_patches(8, 90, 70, {}) == plain.get_num_of_video_patches(8, 90, 70, {})


@pytest.mark.parametrize("family", FAMILIES)
def test_errors_are_transformers(family):
    plain, fast = (kind(**SMALL) for kind in FAMILIES[family])
    for wrong in ([video(4, 2, 500)], 3):
        messages = []
        for processor in (plain, fast):
            with pytest.raises(ValueError) as caught:
                processor(wrong, return_tensors="pt", do_sample_frames=False)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(video_processing_auto.VIDEO_PROCESSOR_MAPPING, "_extra_content", {})
    ours.register()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_saved_loads_as_transformers_own_and_registered_as_ours(family, tmp_path, request):
    plain, fast = FAMILIES[family]
    fast(**SMALL, fps=3).save_pretrained(tmp_path)
    assert type(AutoVideoProcessor.from_pretrained(tmp_path)) is plain
    request.getfixturevalue("registered")
    loaded = AutoVideoProcessor.from_pretrained(tmp_path, image_mean=[0.1, 0.2, 0.3])
    assert type(loaded) is fast
    assert loaded.to_dict() == plain(**SMALL, fps=3, image_mean=[0.1, 0.2, 0.3]).to_dict()


@pytest.mark.parametrize(("processor", "family"), [(Qwen2_5_VLProcessor, "qwen2_vl"), (Qwen3VLProcessor, "qwen3_vl")])
def test_inside_a_processor(processor, family, tmp_path, registered):
    plain, fast = FAMILIES[family]
    tokenizer = make_tokenizer()
    whole = processor(Qwen2VLImageProcessor(), tokenizer, plain(**SMALL), chat_template=tokenizer.chat_template)
    text = "<|vision_start|><|video_pad|><|vision_end|> when?"
    metadata = [VideoMetadata(total_num_frames=4, fps=2.0, duration=2.0, frames_indices=[0, 1, 2, 3])]
    call = {"text": [text], "videos": [video(4, 60, 90)], "video_metadata": metadata, "do_sample_frames": False}
    want = whole(**call, return_tensors="pt")
    sped_up = ours.speed_up(whole)
    assert sped_up is whole and type(whole.video_processor) is fast and ours.speed_up(whole) is whole
    whole.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded.video_processor) is fast
    for other in (whole, loaded):
        got = other(**call, return_tensors="pt")
        assert want.keys() == got.keys() and all(
            torch.equal(torch.as_tensor(got[k]), torch.as_tensor(want[k])) for k in want
        )


def test_others_are_refused():
    with pytest.raises(TypeError, match="must have a video processor of Qwen2VLVideoProcessor"):
        ours.speed_up(Qwen2VLImageProcessor())
