"""Data order, learning rate, parameter groups, metrics files, checkpoints."""

import json
import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from hypothesis import given
from hypothesis import strategies as st
from model.tiny import tiny_policy

from training.toys import toy_policy
from videostr.model import GroupedPolicy, load_policy
from videostr.training.config import LoopConfig, OptimConfig
from videostr.training.loop import TrainLoop, save_policy
from videostr.training.metrics import MetricsLog, read_rows
from videostr.training.optimizer import lr_factor, make_optimizers, parameter_groups
from videostr.training.order import group_seed, step_indices
from videostr.training.sharding import check_optimizers, check_sharding


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 5))
def test_every_epoch_has_every_index_once(count, per_step, seed):
    steps = math.ceil(3 * count / per_step)
    order = [index for step in range(steps) for index in step_indices(count, per_step, step, seed)]
    for start in range(0, 3 * count, count):
        assert sorted(order[start : start + count]) == list(range(count))


def test_order_depends_on_seed_and_epoch():
    epochs = [tuple(step_indices(20, 20, epoch, seed)) for epoch in range(3) for seed in range(3)]
    assert len(set(epochs)) == 9
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        step_indices(0, 4, 0, 0)


def test_group_seeds_differ():
    seeds = [group_seed(s, step, f"clip_{i}") for s in range(5) for step in range(20) for i in range(50)]
    assert max(Counter(seeds).values()) <= 2  # 5,000 of 2^32: a chance collision is harmless
    assert group_seed(0, 3, "a") == group_seed(0, 3, "a") != group_seed(0, 4, "a")


def test_lr_factor():
    cosine = OptimConfig(lr=1.0, schedule="cosine", warmup_ratio=0.2)
    factors = [lr_factor(update, 10, cosine) for update in range(10)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[2:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * i / 8) for i in range(8)])
    constant = OptimConfig(lr=1.0, warmup_ratio=0.25)
    assert [lr_factor(update, 4, constant) for update in range(4)] == [1.0] * 4
    assert lr_factor(10, 10, cosine) == pytest.approx(0.0)
    assert lr_factor(0, 1, OptimConfig(lr=1.0, schedule="cosine")) == 1.0


def test_parameter_groups_hold_every_parameter_once():
    module = GroupedPolicy(toy_policy())
    groups = parameter_groups(module, OptimConfig(lr=1.0, lr_vision=0.1, weight_decay=0.01))
    names = {id(p): name for name, p in module.named_parameters()}
    assert sorted(names[id(p)] for g in groups for p in g["params"]) == sorted(names.values())
    for group in groups:
        for parameter in group["params"]:
            assert group["lr"] == (0.1 if ".visual." in names[id(parameter)] else 1.0)
            assert group["weight_decay"] == (0.01 if parameter.ndim >= 2 else 0.0)
    for parameter in module.model.model.visual.parameters():
        parameter.requires_grad_(False)
    groups = parameter_groups(module, OptimConfig(lr=1.0, lr_vision=0.1))
    assert {group["lr"] for group in groups} == {1.0}


def test_muon_takes_the_matrices_of_the_hidden_layers():
    module = GroupedPolicy(toy_policy())
    optim = OptimConfig(lr=1e-3, lr_vision=2e-3, lr_muon=1e-2, weight_decay=0.01, beta1=0.8)
    adamw, muon = make_optimizers(module, optim)
    names = {id(p): name for name, p in module.named_parameters()}
    taken = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    left = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert sorted([*taken, *left]) == sorted(names.values()) and not taken & left
    assert taken == {
        name
        for name in names.values()
        if any(part in name for part in ("_proj.weight", "qkv.weight", "proj.weight", "mlp"))
        and "bias" not in name
        and "patch_embed" not in name
    }
    assert muon.param_groups[0]["lr"] == 1e-2 and muon.param_groups[0]["momentum"] == 0.8
    assert len(make_optimizers(module, OptimConfig(lr=1e-3))) == 1


@pytest.mark.parametrize("lr_muon", [None, 1e-2])
def test_a_frozen_model_is_refused(lr_muon):
    with pytest.raises(ValueError, match="nothing to train: every parameter of the model is frozen"):
        make_optimizers(torch.nn.Linear(3, 1).requires_grad_(False), OptimConfig(lr_muon=lr_muon))


def test_an_update_by_muon_has_the_size_of_one_by_adamw():
    """Its root mean square is about 0.2 of the rate, whatever the gradient's size and the matrix's shape."""
    torch.manual_seed(0)
    for shape in ((64, 64), (32, 128), (128, 16)):
        layer = torch.nn.Linear(*shape, bias=False)
        before = layer.weight.detach().clone()
        (muon,) = make_optimizers(layer, OptimConfig(lr=1e-3, lr_muon=1e-2, weight_decay=0.0))
        layer.weight.grad = torch.randn_like(layer.weight) * 1e-4
        muon.step()
        change = layer.weight.detach() - before
        assert float(change.square().mean().sqrt()) == pytest.approx(0.2e-2, rel=0.3)
        values = torch.linalg.svdvals(change)
        assert float(values.max() / values.min()) < 3  # all directions of the gradient count alike


def test_metrics_log_survives_a_cut_row(tmp_path):
    log = MetricsLog(tmp_path / "deep/rl.jsonl")
    assert read_rows(log.path) == []
    for step in (1, 2, 3):
        log.append({"step": step, "loss": step / 3})
    with log.path.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in read_rows(log.path)] == [1, 2, 3]
    assert log.rewind(2) == [{"step": 1, "loss": 1 / 3}, {"step": 2, "loss": 2 / 3}]
    log.append({"step": 3, "loss": 0.5})
    assert [json.loads(line)["step"] for line in log.path.read_text().splitlines()] == [1, 2, 3]


def make_loop(out, module=None, steps=5, lr_muon=None, **options):
    options = {"save_every": 2, "keep": 2} | options
    torch.manual_seed(0)
    module = module or torch.nn.Linear(3, 1)
    return TrainLoop(
        module,
        Accelerator(cpu=True),
        name="toy",
        out_dir=out,
        total_steps=steps,
        updates_per_step=1,
        optim=OptimConfig(lr=0.1, lr_muon=lr_muon),
        loop=LoopConfig(**options),
    )


def train(loop, until=None):
    for step in loop.steps():
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        loop.update([x[:2], x[2:]], lambda part: loop.module(part).square().mean() / 2)
        loop.log({"loss": math.nan if step == 1 else 0.5})
        if step == until:
            break


@pytest.mark.parametrize("lr_muon", [None, 0.05])
def test_checkpoints_kept_and_resumed(tmp_path, lr_muon):
    loop = make_loop(tmp_path / "a", lr_muon=lr_muon)
    assert len(loop.optimizers) == (1 if lr_muon is None else 2)
    train(loop)
    assert sorted(path.name for path in (tmp_path / "a/checkpoints/toy").iterdir()) == ["step_000004", "step_000005"]
    cut = make_loop(tmp_path / "b", lr_muon=lr_muon)
    train(cut, until=3)  # three steps are done, the fourth is lost
    assert [row["step"] for row in read_rows(tmp_path / "b/metrics/toy.jsonl")] == [1, 2, 3, 4]
    again = make_loop(tmp_path / "b", lr_muon=lr_muon)
    assert again.step == 2 and [row["step"] for row in again.history] == [1, 2]
    assert "loss" not in again.history[1]  # JSON has no NaN
    train(again)
    for one, other in zip(loop.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(one, other)
    assert {schedule.last_epoch for schedule in again.schedules} == {5}
    assert list(make_loop(tmp_path / "b", lr_muon=lr_muon).steps()) == []


def test_half_written_checkpoints_are_not_used(tmp_path):
    train(make_loop(tmp_path))
    folder = tmp_path / "checkpoints/toy"
    (folder / ".step_000009.partial").mkdir()
    (folder / "notes").mkdir()
    assert make_loop(tmp_path, steps=9).step == 5


def test_a_skipped_update_counts_for_the_schedule(tmp_path):
    loop = make_loop(tmp_path)
    before = [parameter.clone() for parameter in loop.module.parameters()]
    loop.skip_update()
    assert loop.schedules[0].last_epoch == 1
    assert all(torch.equal(a, b) for a, b in zip(before, loop.module.parameters(), strict=True))


@pytest.mark.parametrize(
    ("kind", "name"), [(DistributedType.FSDP, "FSDP1"), (DistributedType.MEGATRON_LM, "MEGATRON_LM")]
)
def test_ways_of_sharding_that_do_not_work_are_refused(kind, name):
    with pytest.raises(ValueError, match=f"configured for {name}, which is not supported: use FSDP2"):
        check_sharding(SimpleNamespace(distributed_type=kind, is_fsdp2=False))


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_muon_is_refused_where_weights_are_sharded(kind):
    optimizers = make_optimizers(torch.nn.Linear(3, 1), OptimConfig(lr=0.1, lr_muon=0.1))
    with pytest.raises(ValueError, match="optim.lr_muon: Muon needs whole matrices, and .* shards them: leave it out"):
        check_optimizers(optimizers, SimpleNamespace(distributed_type=kind))
    check_optimizers(optimizers[:1], SimpleNamespace(distributed_type=kind))


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (OptimConfig, {"lr": 0}, r"optim.lr must be above 0, got 0"),
        (OptimConfig, {"lr_vision": -1}, r"optim.lr_vision must be above 0, got -1"),
        (OptimConfig, {"beta2": 1.5}, r"optim.beta2 must be in \[0, 1\], got 1.5"),
        (OptimConfig, {"weight_decay": -1}, r"optim.weight_decay must be at least 0, got -1"),
        (OptimConfig, {"schedule": "linear"}, r"optim.schedule must be 'cosine' or 'constant', got 'linear'"),
        (LoopConfig, {"save_every": 0}, r"loop.save_every must be at least 1, got 0"),
        (LoopConfig, {"keep": 0}, r"loop.keep must be at least 1, got 0"),
    ],
)
def test_bad_settings(cls, values, message):
    with pytest.raises(ValueError, match=message):
        cls(**values)


def test_lora_is_merged_when_saved(tmp_path):
    policy = tiny_policy("qwen2_5_vl", lora={"r": 2, "init_lora_weights": False})
    plain = tiny_policy("qwen2_5_vl").base.state_dict()
    save_policy(policy, tmp_path / "saved", Accelerator(cpu=True))
    loaded = load_policy(tmp_path / "saved").base.state_dict()
    changed = {name for name, value in loaded.items() if not torch.equal(value, plain[name])}
    assert changed and all("proj" in name for name in changed)
    assert loaded.keys() == plain.keys()
