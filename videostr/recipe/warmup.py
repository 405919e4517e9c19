"""Teach the small model to see, before any grounding: it has no pretraining, which a real checkpoint brings along.

It reads clips with a few words behind every frame pair and learns to write those words: a caption of the pair, or, with
a sentence in front, whether that happens here ("yes", "no"). It is never shown an interval or the answers' format.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from videostr.data.prompts import written_time
from videostr.data.world import Scene, WorldConfig, caption, draw_frame, draw_scene_plan, happens
from videostr.model import GroupedPolicy, PackedGroups, Policy, Prompt, build_prompt, pack_groups
from videostr.recipe.config import WarmupConfig
from videostr.sft import likelihood_update
from videostr.training.loop import TrainLoop
from videostr.training.prompter import Prompter, split_pairs
from videostr.video import FramePolicy, VideoInputs, frames_to_inputs


def warm_up(
    prompter: Prompter,
    world_config: WorldConfig,
    config: WarmupConfig,
    *,
    out_dir: Path,
    accelerator: Accelerator,
    seed: int,
    on_step: Callable[[int, dict], None],
) -> None:
    """Train `prompter.policy` in place, every step on new clips; continues from a checkpoint under `out_dir`."""
    loop = TrainLoop(
        GroupedPolicy(prompter.policy),
        accelerator,
        name="warmup",
        out_dir=out_dir,
        total_steps=config.steps,
        updates_per_step=1,
        optim=config.optim,
        loop=config.loop,
    )
    world, rank = accelerator.num_processes, accelerator.process_index
    prompter.policy.model.train()
    for step in loop.steps():
        narrated = []
        for number in range(rank, config.batch_size, world):
            rng = random.Random(f"{seed}/warmup/{step}/{number}")
            scene = draw_scene_plan(rng, world_config)
            asked = None if rng.random() < config.captions else rng.choice(scene.things)
            video = _see(scene, prompter.frames)
            narrated.append(_narrated_prompt(prompter.policy, scene, asked, video, rng))
        packed = _pack(prompter.policy, narrated)
        total = accelerator.reduce(torch.tensor(float(len(packed.target_R)), device=accelerator.device))
        loop.log(likelihood_update(loop, [packed], float(total)))
        on_step(step + 1, loop.history[-1])


def _see(scene: Scene, frames: FramePolicy) -> VideoInputs:
    """The clip as the model sees it, drawn without a file: nothing is shown twice, so nothing is worth remembering."""
    count = frames.frame_count(scene.duration, round(scene.duration * scene.fps))
    times = np.arange(count) * scene.duration / count
    return frames_to_inputs(np.stack([draw_frame(scene, time) for time in times]), times, frames, scene.duration)


def _narrated_prompt(policy: Policy, scene: Scene, asked, video: VideoInputs, rng: random.Random) -> Prompt:
    content = [] if asked is None else [{"type": "text", "text": asked.phrase(rng)}]
    pairs = split_pairs(video)
    starts = [float(pair.timestamps[0]) for pair in pairs]
    for start, end in zip(starts, [*starts[1:], scene.duration], strict=True):
        words = caption(scene, start, end) if asked is None else ("yes" if happens(asked, start, end) else "no")
        content += [
            {"type": "text", "text": (" " if content else "") + written_time(start)},
            {"type": "video"},
            {"type": "text", "text": " " + words},
        ]
    return build_prompt(policy, [{"role": "user", "content": content}], videos=pairs)


def _pack(policy: Policy, prompts: list[Prompt]) -> PackedGroups:
    """The prompts in one row, with the words behind the frame pairs as the tokens to predict."""
    packed = pack_groups(prompts, [[torch.tensor(policy.eos_ids[:1])] for _ in prompts])
    ids_T = packed.input_ids_T
    vision_end = policy.tokenizer.convert_tokens_to_ids("<|vision_end|>")
    stop = {policy.tokenizer.convert_tokens_to_ids("<|im_end|>")}
    # A caption ends where the next pair's time begins.
    stop |= {i for i in range(policy.vocab_size) if policy.tokenizer.decode([i]).strip().isdigit()}
    positions, telling = [], False
    for position, token in enumerate(ids_T.tolist()):
        telling = telling and token not in stop
        if telling:
            positions.append(position)
        telling = telling or token == vision_end
    target_R = torch.tensor(positions)
    return replace(
        packed,
        predictor_R=target_R - 1,
        target_R=ids_T[target_R],
        target_NL=ids_T[target_R][None],
        mask_NL=torch.ones(1, len(positions), dtype=torch.bool),
    )
