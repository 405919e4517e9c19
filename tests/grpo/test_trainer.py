"""GRPO against the plain derivation in truth.py: gradients (through SGD's steps) and the logged numbers."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from training.toys import ToyPrompter, distance, toy_policy, toy_reward, toy_samples, use_sgd, weights

from grpo import truth
from videostr.grpo import AdvantageConfig, GRPOConfig, LossConfig, PlateauConfig, SamplingConfig, train_grpo
from videostr.rollout import sample_groups
from videostr.training.config import LoopConfig, OptimConfig
from videostr.training.metrics import read_rows


def make_config(loss=None, advantage=None, sampling=None, **options):
    options = {"steps": 2, "prompts_per_step": 6, "prompts_per_update": 6, "group_size": 3, "micro_batch": 4} | options
    return GRPOConfig(
        sampling=SamplingConfig(max_new_tokens=6, rollout_batch=4, **(sampling or {})),
        advantage=AdvantageConfig(**(advantage or {})),
        loss=LossConfig(**{"entropy_coef": 0.05} | (loss or {})),
        optim=OptimConfig(lr=0.05, weight_decay=0.01),
        **options,
    )


def run(out, config, policy, reference=None, samples=None, missing=(), reward=toy_reward):
    train_grpo(
        ToyPrompter(policy, missing),
        samples or toy_samples(),
        reward,
        config,
        out_dir=out,
        accelerator=Accelerator(cpu=True),
        seed=3,
        reference=reference,
    )
    return read_rows(out / "metrics/rl.jsonl")


SEVERAL = {"prompts_per_update": 2, "micro_batch": 1}  # three updates a rollout: ratios leave 1 and are clipped
CASES = {
    "paper": {},
    "paper, several updates": {"loss": {"clip_low": 0.02, "clip_high": 0.04}, **SEVERAL},
    "grpo": {"loss": {"loss_type": "grpo"}, "micro_batch": 3},
    "dr_grpo": {"loss": {"loss_type": "dr_grpo"}, "advantage": {"scale": "none"}, "micro_batch": 3},
    "dapo": {"loss": {"loss_type": "dapo", "clip_low": 0.02, "clip_high": 0.03}, **SEVERAL},
    "gspo": {"loss": {"loss_type": "gspo", "clip_low": 0.01, "clip_high": 0.01}, **SEVERAL},
    "luspo": {"loss": {"loss_type": "luspo"}, "micro_batch": 3},
    "cispo": {"loss": {"loss_type": "cispo", "clip_high": 0.02}, **SEVERAL},
    "sapo": {"loss": {"loss_type": "sapo", "sapo_temperature": (2.0, 3.0)}, **SEVERAL},
    "vespo": {"loss": {"loss_type": "vespo", "vespo_k": (1.0, 2.0), "entropy_coef": 0.0}, **SEVERAL},
    "kl k1": {"loss": {"kl_coef": 0.5, "kl_type": "k1"}},
    "kl k2": {"loss": {"kl_coef": 0.5, "kl_type": "k2", "loss_type": "dapo"}},
    "kl k3": {"loss": {"kl_coef": 0.5, "kl_clamp": 0.3}, **SEVERAL},
    "batch": {"advantage": {"scale": "batch", "gate": "reward"}},
    "loo": {"advantage": {"scale": "loo", "min_std": 0.05}},
    "temperature": {"sampling": {"temperature": 0.7}, "advantage": {"gate": "reward"}},
    "importance": {"loss": {"importance": "token_truncate", "importance_max": 1.1}, **SEVERAL},
    "importance of answers": {"loss": {"importance": "sequence_truncate", "importance_max": 1.1}, **SEVERAL},
}


@pytest.mark.parametrize("case", CASES)
def test_equals_the_plain_derivation(tmp_path, monkeypatch, case):
    use_sgd(monkeypatch.setattr)
    sampler = sample_groups
    if case.startswith("importance"):  # a sampler whose log-probs are not the trainer's
        sampler = other_engine
        monkeypatch.setattr("videostr.grpo.rollout.sample_groups", other_engine)
    config = make_config(**CASES[case])
    policy, samples = toy_policy(), toy_samples()
    start = weights(policy)
    references = [toy_policy(seed=5), toy_policy(seed=5)] if config.loss.kl_coef else [None, None]
    expected, wanted = truth.train(policy, ToyPrompter(policy), samples, config, 3, references[0], sampler)
    policy = toy_policy()
    rows = run(tmp_path, config, policy, references[1])
    assert distance(weights(policy), expected, start) < 2e-4
    for row, plain in zip(rows, wanted, strict=True):
        assert row["reward"] == pytest.approx(plain["reward"], rel=1e-5)
        assert row["informative"] == plain["informative"]
        for part in ("policy", "entropy") + (("kl",) if config.loss.kl_coef else ()):
            mean = sum(update[part] for update in plain["updates"]) / len(plain["updates"])
            assert row[part] == pytest.approx(mean, rel=2e-3, abs=2e-5), part
    if "clip_low" in CASES[case].get("loss", {}):
        assert any(row["clip_low_frac"] + row["clip_high_frac"] > 0 for row in rows)
    assert all(row["mismatch_max"] < 1e-4 for row in rows) or case.startswith("importance")


def other_engine(*arguments):
    return [
        [replace(c, logprob_L=c.logprob_L - 0.3 * torch.sin(c.ids_L.float())) for c in group]
        for group in sample_groups(*arguments)
    ]


@pytest.mark.parametrize("loss_type", ["dapo", "dr_grpo", "grpo"])
@pytest.mark.parametrize("updates", [1, 2])
def test_micro_batch_does_not_matter(tmp_path, monkeypatch, loss_type, updates):
    """4 informative groups an update or fewer, in micro-batches of 1, 3 (uneven) and 6."""
    use_sgd(monkeypatch.setattr)
    found, rows = [], []
    for size in (1, 3, 6):
        policy = toy_policy()
        start = weights(policy)
        loss = {"loss_type": loss_type, "kl_coef": 0.1}
        config = make_config(loss, micro_batch=size, prompts_per_update=6 // updates)
        rows.append(run(tmp_path / str(size), config, policy, reference=toy_policy(seed=5)))
        found.append(weights(policy))
    assert 0 < rows[0][0]["informative"] < 1
    for other, theirs in zip(found[1:], rows[1:], strict=True):
        assert distance(other, found[0], start) < 1e-4
        for one, two in zip(rows[0], theirs, strict=True):
            for key in one.keys() - {"seconds", "mismatch_max", "mismatch_mean", "old_kl"}:
                assert two[key] == pytest.approx(one[key], rel=1e-3, abs=1e-5), key


def test_phantom_advantage(tmp_path, monkeypatch):
    """Groups without any task reward differ in format alone: they teach under gate=reward, not under gate=task."""
    use_sgd(monkeypatch.setattr)
    hopeless = [sample for sample in toy_samples(12) if sample.spans[0][0] == 0]
    for gate, taught in (("task", False), ("reward", True)):
        policy = toy_policy()
        start = weights(policy)
        config = make_config(advantage={"gate": gate}, prompts_per_step=4, prompts_per_update=4)
        rows = run(tmp_path / gate, config, policy, samples=hopeless)
        changed = any((value != start[name]).any() for name, value in weights(policy).items())
        assert changed == taught == (rows[0]["informative"] > 0)
        assert ("grad_norm" in rows[0]) == taught  # a step without an update has no loss numbers
        assert rows[0]["group_std"] == 0 and len(rows) == 2


def test_a_sample_twice_in_a_step_is_drawn_anew(tmp_path, monkeypatch):
    seen = []

    def spy(policy, prompts, size, params, seeds):
        seen.extend(seeds)
        return sample_groups(policy, prompts, size, params, seeds)

    monkeypatch.setattr("videostr.grpo.rollout.sample_groups", spy)
    run(tmp_path, make_config(steps=1), toy_policy(), samples=toy_samples(2))
    assert len(seen) == 6 == len(set(seen))


def test_unreadable_videos_are_left_out(tmp_path):
    policy = toy_policy()
    rows = run(tmp_path, make_config(steps=1), policy, missing=("1", "2", "3"))
    assert rows[0]["reward"] >= 0
    with pytest.raises(ValueError, match="none of the 6 samples has a readable video: {'missing': 6}"):
        run(tmp_path / "none", make_config(), toy_policy(), missing=tuple("012345"))


def test_a_step_without_any_readable_video(tmp_path):
    config = make_config(steps=3, prompts_per_step=2, prompts_per_update=2)
    rows = run(tmp_path, config, toy_policy(), missing=("0", "1", "2", "3", "5"))
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert sum("reward" in row for row in rows) == 1


def test_plateau_stops_and_stays_stopped(tmp_path):
    def flat(texts, columns, tokens=None):
        scored = toy_reward(texts, columns)
        return replace(scored, total_N=scored.total_N * 0 + 0.5, terms={"iou": scored.terms["iou"] * 0})

    config = replace(make_config(steps=9), plateau=PlateauConfig(window=2, tolerance=1e-3))
    rows = run(tmp_path, config, toy_policy(), reward=flat)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert run(tmp_path, config, toy_policy(), reward=flat) == rows  # resumed: nothing more to do
    assert [path.name for path in (tmp_path / "checkpoints/rl").iterdir()] == ["step_000004"]


def test_resumed_equals_uninterrupted(tmp_path):
    config = replace(make_config(steps=4, **SEVERAL), loop=LoopConfig(save_every=3))
    policies = [toy_policy() for _ in range(3)]
    whole = run(tmp_path / "whole", config, policies[0])

    class Stop(Exception):
        pass

    def stop(step, row):
        if step == 4:
            raise Stop

    arguments = {"out_dir": tmp_path / "cut", "seed": 3}
    with pytest.raises(Stop):
        train_grpo(
            ToyPrompter(policies[1]),
            toy_samples(),
            toy_reward,
            config,
            accelerator=Accelerator(cpu=True),
            on_step=stop,
            **arguments,
        )
    again = run(tmp_path / "cut", config, policies[2])
    for one, two in zip(whole, again, strict=True):
        assert one | {"seconds": 0} == two | {"seconds": 0}
    for name, value in weights(policies[0]).items():
        assert torch.equal(value, weights(policies[2])[name])


def test_refuses(tmp_path):
    with pytest.raises(ValueError, match="samples is empty"):
        train_grpo(
            ToyPrompter(toy_policy()),
            [],
            toy_reward,
            make_config(),
            out_dir=tmp_path,
            accelerator=Accelerator(cpu=True),
            seed=0,
        )
    for kl, reference in ((0.1, None), (0.0, toy_policy())):
        with pytest.raises(ValueError, match="reference must be given exactly when loss.kl_coef is above 0"):
            run(tmp_path, make_config({"kl_coef": kl}), toy_policy(), reference=reference)
