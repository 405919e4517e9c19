"""SFT, then GRPO, in one process group, for test_processes.py.

torchrun … two_stages.py OUT [fsdp2|zero2|zero3 [adamw]]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from accelerate import Accelerator, DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, InitProcessGroupKwargs

from training.toys import ToyPrompter, toy_policy, toy_reward, toy_samples, use_sgd, weights
from videostr.grpo import AdvantageConfig, GRPOConfig, LossConfig, SamplingConfig, train_grpo
from videostr.grpo import trainer as grpo_trainer
from videostr.sft import SFTConfig, train_sft
from videostr.training.config import LoopConfig, OptimConfig
from videostr.training.loop import save_policy


def make_accelerator(sharding: str | None) -> Accelerator:
    """accelerate shards on GPUs only; what it does there is made to happen on the CPU."""
    if sharding and sharding.startswith("zero"):
        # Below the threshold ZeRO-3 leaves parameters whole, which would be all of them here.
        zero = {"stage": int(sharding.removeprefix("zero")), "stage3_param_persistence_threshold": 0}
        first = not AcceleratorState._shared_state  # a later one takes its plugin
        plugin = DeepSpeedPlugin(hf_ds_config={"zero_optimization": zero}) if first else None
        return Accelerator(deepspeed_plugin=plugin, kwargs_handlers=[InitProcessGroupKwargs(backend="gloo")])
    accelerator = Accelerator(cpu=True)
    if sharding:
        accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
            fsdp_version=int(sharding.removeprefix("fsdp")),
            auto_wrap_policy="transformer_based_wrap",
            cpu_ram_efficient_loading=False,
        )
        for state in (AcceleratorState, PartialState):
            state._shared_state["distributed_type"] = DistributedType.FSDP
    return accelerator


def main(out: Path, sharding: str | None = None, optimizer: str = "sgd", patch=setattr) -> None:
    """Train, and write what came of it to OUT/rankN.pt. patch: as pytest's monkeypatch.setattr."""
    if optimizer == "sgd":
        use_sgd(patch)
    policy, samples, trail = toy_policy(), toy_samples(8), []
    start = weights(policy)
    accelerator = make_accelerator(sharding)
    optim = OptimConfig(lr=1e-2, lr_vision=5e-3, schedule="cosine", warmup_ratio=0.3)
    sft = SFTConfig(steps=3, batch_size=8, micro_batch=2, optim=optim, loop=LoopConfig(save_every=2))
    train_sft(ToyPrompter(policy), samples, sft, out_dir=out, accelerator=accelerator, seed=1)
    after_sft = weights(policy)
    save_policy(policy, out / "models/sft", accelerator)

    sampled = grpo_trainer.roll_out

    def spy(*arguments):
        groups = sampled(*arguments)
        trail.append([(g.sample.id, g.informative, [c.ids_L.tolist() for c in g.completions]) for g in groups])
        return groups

    patch(grpo_trainer, "roll_out", spy)
    grpo = GRPOConfig(
        steps=3,
        prompts_per_step=8,
        prompts_per_update=4,
        group_size=3,
        micro_batch=1,
        sampling=SamplingConfig(max_new_tokens=6, rollout_batch=3),
        advantage=AdvantageConfig(),
        loss=LossConfig(kl_coef=0.1, entropy_coef=0.05),
        optim=OptimConfig(lr=0.02),
        loop=LoopConfig(save_every=2),
    )
    train_grpo(
        ToyPrompter(policy, missing=("4",)),
        samples,
        toy_reward,
        grpo,
        out_dir=out,
        accelerator=make_accelerator(sharding),
        seed=1,
        reference=toy_policy(seed=5),
    )
    found = {"start": start, "sft": after_sft, "rl": weights(policy), "groups": trail}
    torch.save(found | {"processes": accelerator.num_processes}, out / f"rank{accelerator.process_index}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
    PartialState().destroy_process_group()
