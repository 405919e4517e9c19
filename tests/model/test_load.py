"""Loading from a directory, and the errors of loading and packing."""

import json
import sys

import pytest
import torch
from transformers import Qwen2Config

from videostr.model import GroupedPolicy, build_prompt, load_policy, make_policy, pack_groups

from .tiny import FAMILY_NAMES, TEMPLATE, make_model, make_vision, messages, tiny_policy


@pytest.fixture
def checkpoint(tmp_path):
    def save(family="qwen2_5_vl"):
        model, tokenizer = make_model(family)
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return tmp_path, model

    return save


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_load(checkpoint, family):
    path, model = checkpoint(family)
    policy = load_policy(path, dtype=torch.float32, freeze_vision=True)
    assert policy.family == family and policy.eos_ids == (2,) and policy.suppressed_ids == (3, 4, 5, 6)
    assert not any(p.requires_grad for p in policy.base.model.visual.parameters())
    assert all(p.requires_grad for p in policy.base.model.language_model.parameters())
    prompt = build_prompt(policy, messages("video"), [make_vision((2, 4, 4))])
    packed = pack_groups([prompt], [[torch.tensor([9, 10, 11])]])
    expected = GroupedPolicy(make_policy(model, policy.tokenizer))(packed)[0]
    assert torch.equal(GroupedPolicy(policy)(packed)[0], expected)
    assert load_policy(str(path), dtype="bfloat16").base.dtype == torch.bfloat16


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_bfloat16_runs(checkpoint, family):
    path, _ = checkpoint(family)
    policy = load_policy(path, dtype=torch.bfloat16)
    prompt = build_prompt(policy, messages("video"), [make_vision((2, 4, 4))])
    packed = pack_groups([prompt], [[torch.tensor([9, 10, 11]), torch.tensor([12])]])
    logprob_NL, entropy_NL = GroupedPolicy(policy)(packed)
    assert logprob_NL.dtype == torch.float32 and logprob_NL.isfinite().all()
    (logprob_NL.sum() + entropy_NL.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in policy.model.parameters())


def test_several_stop_ids():
    model, tokenizer = make_model("qwen2_5_vl")
    model.generation_config.eos_token_id = [2, 0]
    assert make_policy(model, tokenizer).eos_ids == (2, 0)
    model.generation_config.eos_token_id = None
    assert make_policy(model, tokenizer).eos_ids == (2,)


def test_template_beside_the_tokenizer_wins(checkpoint):
    """Qwen's hub checkpoints: the vision template in chat_template.json, a text-only one in the tokenizer's config."""
    path, _ = checkpoint()
    (path / "chat_template.jinja").unlink()
    settings = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": "text only"}))
    assert load_policy(path).tokenizer.chat_template == "text only"
    (path / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    assert load_policy(path).tokenizer.chat_template == TEMPLATE


def test_no_template(checkpoint):
    path, _ = checkpoint()
    (path / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="no chat template"):
        load_policy(path)


def test_other_family(tmp_path):
    Qwen2Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="type 'qwen2'; expected one of qwen2_vl, qwen2_5_vl, qwen3_vl"):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"attention_dropout": 0.1}, "attention_dropout must be 0, got 0.1"),
        (
            {"use_sliding_window": True, "sliding_window": 8, "layer_types": ["sliding_attention"] * 2},
            "sliding-window attention layers are not supported",
        ),
    ],
)
def test_unsupported_attention(checkpoint, change, match):
    path, _ = checkpoint()
    config = json.loads((path / "config.json").read_text())
    config["text_config"] |= change
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=match):
        load_policy(path)


def test_tokenizer_of_another_model():
    model, tokenizer = make_model("qwen2_5_vl")
    model.config.video_token_id = 40
    with pytest.raises(ValueError, match=r"<\|video_pad\|> the id 6, but the model's config says 40"):
        make_policy(model, tokenizer)


def test_lora_without_peft(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError, match="pip install peft"):
        tiny_policy("qwen2_5_vl", lora={})


def test_lora_argument_misspelt():
    with pytest.raises(ValueError, match="lora must hold arguments of peft.LoraConfig.*rnk"):
        tiny_policy("qwen2_5_vl", lora={"rnk": 8})


def test_wrong_groups():
    policy = tiny_policy("qwen2_5_vl")
    prompt = build_prompt(policy, messages("video"), [make_vision((2, 4, 4))])
    answer = torch.tensor([9, 10])
    for prompts, answers, match in (
        ([prompt], [], "one group for each of the 1 prompts"),
        ([], [], "at least one"),
        ([prompt], [[]], r"answers\[0\] is empty"),
        ([prompt], [[answer.float()]], r"answers\[0\]\[0\] must be a 1-D integer tensor"),
        ([prompt], [[answer, answer[None]]], r"answers\[0\]\[1\] must be a 1-D integer tensor"),
        ([prompt], [[torch.tensor([9, 6])]], r"answers\[0\]\[0\] holds the suppressed ids \[6\]"),
    ):
        with pytest.raises(ValueError, match=match):
            pack_groups(prompts, answers)
