"""The small model made from nothing: a real checkpoint's layout, a tokenizer that loses nothing."""

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoTokenizer

from model.tiny import messages
from videostr.model import GroupedPolicy, build_prompt, load_policy, pack_groups
from videostr.model.load import FAMILIES
from videostr.model.tiny import SPECIAL_TOKENS, TAGS, TinyConfig, train_tokenizer, write_tiny_policy
from videostr.rollout import SamplingParams, sample_groups
from videostr.video import FramePolicy, frames_to_inputs

TEXTS = [
    "the red square moves left",
    "<think>red square 1 2 3</think><time>[10.5, 13.0]</time>",
    "when does it blink ?",
]
SMALL = TinyConfig(hidden=32, layers=2, heads=2, kv_heads=1, mlp=48, vision_hidden=16, vision_heads=2, vision_mlp=24)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS * 5, 400)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    write_tiny_policy(path, TEXTS * 5, replace(SMALL, family=family), seed=3)
    return path


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.text("<>|/ 0123456789.\n\tabtimhnk[],_é日🙂", max_size=40)
)
@example("  two  spaces ")
@example("a\r\n\r\nb\x00\x85\u2028")
@example("<|im_end|><think></time>< time >")
@example("e\u0301 é")  # not normalised
@settings(max_examples=400, deadline=None)
def test_any_text_round_trips(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


@given(st.text("0123456789., []-:", min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_digits_stand_alone(tokenizer, text):
    tokens = [tokenizer.decode([i]) for i in tokenizer(text, add_special_tokens=False).input_ids]
    assert all(sum(map(str.isdigit, token)) <= 1 for token in tokens)
    assert all(token.strip(" ").isdigit() for token in tokens if any(map(str.isdigit, token)))


def test_tags_and_special_tokens_are_one_id(tokenizer):
    for token in (*SPECIAL_TOKENS, *TAGS):
        ids = tokenizer(f"a{token}b", add_special_tokens=False).input_ids
        assert tokenizer.convert_tokens_to_ids(token) in ids and len(ids) == 3
    answer = TEXTS[1]
    ids = tokenizer(answer, add_special_tokens=False).input_ids
    assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == answer
    assert tokenizer.eos_token == "<|im_end|>" and len(tokenizer) <= 400


def test_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*TEXTS, "x<|im_start|>é 12.5\n"]:
        assert loaded(text).input_ids == tokenizer(text).input_ids
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "hm"}]}]
    assert loaded.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>hm<|im_end|>\n<|im_start|>assistant\n"
    )


def test_parameters(family, tmp_path):
    write_tiny_policy(tmp_path, TEXTS, TinyConfig(family=family), seed=0)
    count = sum(parameter.numel() for parameter in load_policy(tmp_path).base.parameters())
    assert 0.8e6 < count < 3e6


def test_loads_like_any_checkpoint(family, folder):
    assert AutoConfig.from_pretrained(folder).model_type == family
    plain = FAMILIES[family].from_pretrained(folder)
    policy = load_policy(folder)
    assert policy.family == family
    assert policy.eos_ids == (policy.tokenizer.convert_tokens_to_ids("<|im_end|>"),)
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, policy.base.get_parameter(name)), name
    assert plain.lm_head.weight is plain.get_input_embeddings().weight  # tied
    assert plain.generation_config.eos_token_id == policy.eos_ids[0]


def test_samples_and_trains(folder):
    policy = load_policy(folder)
    frames = torch.randint(0, 256, (4, 56, 56, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    video = frames_to_inputs(frames.numpy(), [0.0, 0.5, 1.0, 1.5], FramePolicy(min_pixels=784, max_pixels=3136), 2.0)
    prompt = build_prompt(policy, messages("video", text="when does it blink ?"), [video])
    groups = sample_groups(policy, [prompt], 3, SamplingParams(max_new_tokens=8), [0])
    packed = pack_groups([prompt], [[c.ids_L for c in groups[0]]])
    logprob_NL, entropy_NL = GroupedPolicy(policy)(packed)
    sampled = torch.cat([c.logprob_L for c in groups[0]])
    torch.testing.assert_close(logprob_NL[packed.mask_NL], sampled, atol=1e-5, rtol=1e-5)
    logprob_NL.sum().backward()
    without = [name for name, p in policy.base.named_parameters() if p.grad is None]
    assert not without
    # Initial answers must neither be fixed (nothing to explore) nor lose the video.
    assert entropy_NL[packed.mask_NL].mean() > 1
    assert policy.base.get_parameter("model.visual.patch_embed.proj.weight").grad.abs().max() > 0


def test_seed_decides_the_weights_and_nothing_else_does(family, folder, tmp_path):
    small = replace(SMALL, family=family)
    torch.manual_seed(11)
    state = torch.get_rng_state()
    write_tiny_policy(tmp_path / "same", TEXTS * 5, small, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    write_tiny_policy(tmp_path / "other", TEXTS * 5, small, seed=4)
    weights = [(path / "model.safetensors").read_bytes() for path in (folder, tmp_path / "same", tmp_path / "other")]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_head_sizes(family, tmp_path, heads):
    """The rotary sections add up to half a head whatever its size."""
    config = TinyConfig(family, 64, layers=1, heads=heads, kv_heads=1, mlp=16, vision_hidden=16, vision_heads=1)
    write_tiny_policy(tmp_path, TEXTS, config, seed=0)
    rope = AutoConfig.from_pretrained(tmp_path).text_config.rope_parameters
    assert sum(rope["mrope_section"]) == 64 // heads // 2 and min(rope["mrope_section"]) > 0


def test_a_qwen3_knows_where_a_patch_is(tmp_path):
    """The same patches elsewhere in the picture give other features than in their own place."""
    write_tiny_policy(tmp_path, TEXTS, replace(SMALL, family="qwen3_vl", position_side=4), seed=0)
    visual = load_policy(tmp_path).base.model.visual
    assert visual.pos_embed.weight.shape == (16, 16)
    patch = torch.randn(1, visual.config.in_channels * 2 * 14 * 14, generator=torch.Generator().manual_seed(0))
    features = visual(patch.expand(16, -1), grid_thw=torch.tensor([[1, 4, 4]])).pooler_output
    assert len(features) == 4 and torch.pdist(features).min() > 0.1 * features.norm(dim=-1).mean()


@pytest.mark.parametrize(
    "size,message",
    [
        ({"vision_hidden": 33}, r"model.tiny.vision_hidden \(33\) must be a multiple of 4 x vision_heads \(4\)"),
        ({"hidden": 100, "heads": 8}, r"model.tiny.hidden \(100\) must be a multiple of 2 x heads \(8\)"),
        ({"kv_heads": 3}, r"model.tiny.heads \(4\) must be a multiple of kv_heads \(3\)"),
        ({"layers": 0}, "model.tiny.layers must be at least 1, got 0"),
        ({"position_side": 0}, "model.tiny.position_side must be at least 1, got 0"),
        ({"vision_mlp": 0}, "model.tiny.vision_mlp must be at least 1, got 0"),
    ],
)
def test_sizes_that_fit_no_model(size, message):
    with pytest.raises(ValueError, match=message):
        TinyConfig(**size)
