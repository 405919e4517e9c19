"""GRPO in one sitting: roll out, compare, update.

A step samples G answers to each of `prompts_per_step` prompts and trains on them in `updates_per_step` updates. The
prompt of a group goes through the model once in sampling and once in each training forward (docs/grouped-training.md).

Left out: a replay buffer, asynchronous rollouts, a value model.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from videostr.data.samples import Sample
from videostr.grpo.config import GRPOConfig
from videostr.grpo.micro_batch import MicroBatch, build_micro_batches
from videostr.grpo.order import EpochSamples, SampleOrder
from videostr.grpo.plateau import reached_plateau
from videostr.grpo.rollout import roll_out, rollout_metrics
from videostr.grpo.totals import Totals
from videostr.model import GroupedPolicy, Policy
from videostr.rewards import Reward
from videostr.rollout import sample_groups
from videostr.rollout.check import TOLERANCE, check_rollout
from videostr.training.loop import TrainLoop
from videostr.training.prompter import Prompter


def train_grpo(
    prompter: Prompter,
    samples: Sequence[Sample] | EpochSamples,
    reward: Reward,
    config: GRPOConfig,
    *,
    out_dir: Path,
    accelerator: Accelerator,
    seed: int,
    name: str = "rl",
    reference: Policy | None = None,
    on_step: Callable[[int, dict], None] | None = None,
    evaluate: Callable[[], dict[str, float]] | None = None,
) -> None:
    """Train `prompter.policy` in place; continues from a checkpoint under `out_dir`.

    samples: the same in every epoch, or a function of the epoch (`EpochSamples`).
    evaluate: scores the policy on held-out samples, after every `config.loop.eval_every` steps.
    reference: the policy the KL term holds on to; needed exactly when `config.loss.kl_coef` is above 0.
    Raises ValueError when there is no sample, or the reference is missing or not used.
    """
    order = SampleOrder(samples, config.prompts_per_step, seed)
    if (config.loss.kl_coef > 0) != (reference is not None):
        raise ValueError(
            f"reference must be given exactly when loss.kl_coef is above 0, which is {config.loss.kl_coef}"
        )
    loop = TrainLoop(
        GroupedPolicy(prompter.policy),
        accelerator,
        name=name,
        out_dir=out_dir,
        total_steps=config.steps,
        updates_per_step=config.updates_per_step,
        optim=config.optim,
        loop=config.loop,
        evaluate=evaluate,
    )
    reference_module = None
    if reference is not None:
        reference.model.requires_grad_(False).eval()
        reference_module = GroupedPolicy(reference)
    if reached_plateau(loop.history, config.plateau):  # killed after the last step, before the stage was marked done
        return
    check_start(prompter, loop.module, order.first, config, accelerator)
    for step in loop.steps():
        loop.refresh()  # sampling reads the whole weights
        batch = order.batch(step)
        groups = roll_out(prompter, batch, reward, config, accelerator, seed, step)
        row = rollout_metrics(groups) | {"lr": loop.lr} if groups else {"lr": loop.lr}
        loop.module.train()
        updates = [
            build_micro_batches(groups[start : start + config.prompts_per_update], prompter, config, accelerator)
            for start in range(0, config.prompts_per_step, config.prompts_per_update)
        ]
        if config.updates_per_step > 1:
            # Later updates need the log-probs of the policy that sampled, so they are taken before the first one.
            for micro_batch in (m for update in updates for m in update):
                micro_batch.old_logprob_NL = _logprob(loop.module, micro_batch, config)
        if reference_module is not None:
            for micro_batch in (m for update in updates for m in update):
                with accelerator.autocast():  # as the trained module's forward
                    micro_batch.ref_logprob_NL = _logprob(reference_module, micro_batch, config)
        totals = Totals(accelerator)
        for update in updates:
            if update:
                loss_of = _loss_function(loop.module, config, totals)
                totals.updates += 1
                totals.grad_norm += loop.update(update, loss_of)
            else:
                loop.skip_update()
        loop.log(row | totals.row())
        if on_step is not None:
            on_step(step + 1, loop.history[-1])
        if reached_plateau(loop.history, config.plateau):
            accelerator.print(f"{name}: reward and within-group std stand still; stopping after step {step + 1}")
            loop.finish()


def check_start(
    prompter: Prompter, module: torch.nn.Module, samples: Sequence[Sample], config: GRPOConfig, accelerator: Accelerator
) -> None:
    """Sample a few answers and make sure training sees what sampling saw, the videos read anew.

    Raises RolloutMismatchError where ids, grid, frame times, positions, frames or log-probs differ.
    """
    kept, prompts = [], []
    for sample in samples:
        if len(kept) < 2:
            more = prompter.readable([sample])
            kept, prompts = kept + more[0], prompts + more[1]
    if not kept:
        raise ValueError(f"none of the {len(samples)} samples has a readable video: {prompter.skipped.counts()}")
    params = replace(config.sampling.params(), max_new_tokens=min(64, config.sampling.max_new_tokens))
    with accelerator.autocast():
        groups = sample_groups(prompter.policy, prompts, 2, params, seeds=list(range(len(kept))))
    again = [prompter.uncached()(sample) for sample in kept]
    # DDP hides the attributes of what it wraps; a forward without gradients does not need it.
    grouped = module.module if isinstance(module, DistributedDataParallel) else module
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(accelerator.mixed_precision)
    check_rollout(
        grouped,
        prompts,
        again,
        groups,
        temperature=config.sampling.temperature,
        tolerance=None if dtype is None else TOLERANCE[dtype],
    )


@torch.no_grad()
def _logprob(module: torch.nn.Module, micro_batch: MicroBatch, config: GRPOConfig) -> Tensor:
    return module(micro_batch.pack(), temperature=config.sampling.temperature, entropy=False)[0]


def _loss_function(module: torch.nn.Module, config: GRPOConfig, totals: Totals) -> Callable[[MicroBatch], Tensor]:
    """The loss of one micro-batch, already divided by what it is averaged over."""

    def loss_of(batch: MicroBatch) -> Tensor:
        packed = batch.pack()
        arguments = {
            "advantage_N": batch.advantage_N(),
            # None with one update a rollout: the policy is still the one that sampled, so every ratio is 1.
            "old_logprob": batch.old_logprob_NL,
            "ref_logprob": batch.ref_logprob_NL,
            "sampler_logprob": batch.sampler_logprob_NL(packed.mask_NL),
            "normalizer": batch.normalizer,
        }
        loss, stats = module(packed, temperature=config.sampling.temperature, loss=arguments | asdict(config.loss))
        if batch.counted:
            totals.add({key: float(value) for key, value in stats.items()}, batch.weight)
        return loss * batch.weight

    return loss_of
