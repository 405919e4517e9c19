"""Supervised training against transformers' own cross-entropy and torch's own optimiser."""

import math

import pytest
import torch
from accelerate import Accelerator
from model.truth import plain_model, positions
from training.toys import ToyPrompter, distance, toy_policy, toy_samples, use_sgd, weights

from videostr.sft import SFTConfig, train_sft
from videostr.sft.trainer import answer_ids
from videostr.training.config import LoopConfig, OptimConfig
from videostr.training.metrics import read_rows
from videostr.training.order import step_indices


def run(out, policy, samples, missing=(), **options):
    options = {"steps": 3, "batch_size": 4, "micro_batch": 2} | options
    optim = OptimConfig(
        lr=1e-2, lr_vision=5e-3, weight_decay=0.1, schedule="cosine", warmup_ratio=0.3, max_grad_norm=2.0
    )
    config = SFTConfig(**{"optim": optim, "loop": LoopConfig(save_every=10)} | options)
    train_sft(ToyPrompter(policy, missing), samples, config, out_dir=out, accelerator=Accelerator(cpu=True), seed=7)
    return read_rows(out / "metrics/sft.jsonl")


def hf_loss(model, policy, prompter, batch):
    """Cross-entropy by transformers, over all tokens of the batch. Suppressed ids get a logit of -inf, as ours."""
    total, count = 0.0, 0
    suppressed = torch.zeros(policy.vocab_size)
    suppressed[list(policy.suppressed_ids)] = -math.inf
    for sample in batch:
        prompt, answer = prompter(sample), answer_ids(policy, sample.response)
        inputs = prompt.model_inputs() | {"input_ids": torch.cat([prompt.input_ids_P, answer])[None]}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        inputs["mm_token_type_ids"] = torch.cat([prompt.mm_token_type_ids_P, torch.zeros_like(answer)])[None]
        inputs["position_ids"] = positions(model, prompt, len(answer))
        labels = inputs["input_ids"].clone()
        labels[:, : len(prompt)] = -100
        logits = model(**inputs, use_cache=False).logits + suppressed
        loss = model.loss_function(logits=logits, labels=labels, vocab_size=policy.vocab_size)
        total, count = total + loss * len(answer), count + len(answer)
    return total / count, count


def test_equals_plain_cross_entropy_training(tmp_path, monkeypatch):
    use_sgd(monkeypatch.setattr)
    policy, samples = toy_policy(), toy_samples()
    start, model, prompter = weights(policy), plain_model(policy), ToyPrompter(policy)
    # lr: a step of warm-up out of three, then a half cosine over the two others.
    factors = [1.0, 1.0, 0.5]
    expected = []
    for step, factor in enumerate(factors):
        batch = [samples[i] for i in step_indices(len(samples), 4, step, 7)]
        loss, count = hf_loss(model, policy, prompter, batch)
        model.zero_grad()
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0))
        expected.append(
            {"step": step + 1, "loss": loss.item(), "tokens": count, "grad_norm": norm, "lr": factor * 1e-2}
        )
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                decay = 0.1 if parameter.ndim >= 2 else 0.0
                lr = factor * (5e-3 if ".visual." in name else 1e-2)
                parameter -= lr * (parameter.grad + decay * parameter)
    rows = run(tmp_path, policy, samples)
    for row, wanted in zip(rows, expected, strict=True):
        assert row.pop("seconds") > 0
        assert row == pytest.approx(wanted, rel=2e-5)
    assert distance(weights(policy), dict(model.named_parameters()), start) < 1e-4


@pytest.mark.parametrize("micro_batch", [1, 4])
def test_micro_batch_does_not_matter(tmp_path, monkeypatch, micro_batch):
    use_sgd(monkeypatch.setattr)
    results, rows = [], []
    for size in (2, micro_batch):
        policy = toy_policy()
        start = weights(policy)
        rows.append(run(tmp_path / str(size), policy, toy_samples(), micro_batch=size))
        results.append(weights(policy))
    assert distance(*results, start) < 1e-5
    for one, other in zip(*rows, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-6)


def test_adamw_learns_the_answers(tmp_path):
    policy = toy_policy()
    rows = run(tmp_path, policy, toy_samples(3), steps=60, batch_size=3, micro_batch=3)
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]


def test_answer_ends_with_the_stop_id():
    policy = toy_policy()
    ids = answer_ids(policy, "a<b> 12")
    assert ids.tolist() == [*policy.tokenizer.convert_tokens_to_ids(list("a<b> 12")), policy.eos_ids[0]]


def test_refuses(tmp_path):
    policy = toy_policy()
    with pytest.raises(ValueError, match="samples is empty"):
        run(tmp_path, policy, [])
    silent = toy_samples(2)
    silent[1] = type(silent[1])("s1", "1", "q", ((0, 1),))
    with pytest.raises(ValueError, match="sample 's1' has no response"):
        run(tmp_path, policy, silent)
    with pytest.raises(ValueError, match=r"sft.micro_batch \(3\) must divide sft.batch_size \(4\)"):
        run(tmp_path, policy, toy_samples(), micro_batch=3)
