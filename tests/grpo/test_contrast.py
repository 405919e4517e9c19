"""T-GRPO: frames in another order, and a bonus where the order helped."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from grpo.test_reward_terms import GOOD, SAMPLE, completion
from videostr.grpo import ContrastConfig, GRPOConfig
from videostr.grpo.contrast import with_bonus
from videostr.grpo.rollout import roll_out, score_group
from videostr.rewards import load_reward
from videostr.training.prompter import shuffle_frames
from videostr.video import FramePolicy, frames_to_inputs

WRONG = GOOD.replace("<answer>B", "<answer>C")


@pytest.mark.parametrize(("shuffled", "helps"), [(0.0, True), (0.625, True), (0.7, False), (1.0, False)])
def test_right_answers_earn_more_where_order_helps(shuffled, helps):
    group = score_group(SAMPLE, [completion(GOOD), completion(WRONG)], load_reward("video_str"))
    with_it = with_bonus(group, shuffled, ContrastConfig(weight=0.3, ratio=0.8))  # half the answers are right
    gained = with_it.reward_G - group.reward_G
    assert gained.tolist() == pytest.approx([0.3 if helps else 0.0, 0.0])
    assert with_it.terms["contrast"].tolist() == [float(helps), 0.0]
    assert torch.equal(with_it.task_G, group.task_G)  # whether a group teaches is not the bonus's matter


def test_frames_are_shuffled_whole():
    policy = FramePolicy(rule="transformers_qwen2_vl", num_frames=6, min_pixels=56 * 56, max_pixels=56 * 56)
    frames = np.random.default_rng(0).integers(0, 255, (6, 56, 56, 3), np.uint8)
    times = np.arange(6) / 2.0
    video = frames_to_inputs(frames, times, policy, 3.0)
    shuffled = shuffle_frames(video, 1, 2)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    assert order.tolist() != list(range(6))
    expected = frames_to_inputs(frames[order.numpy()], times, policy, 3.0)
    assert torch.equal(shuffled.pixel_values, expected.pixel_values)
    assert torch.equal(shuffled.grid_thw, video.grid_thw) and list(shuffled.timestamps) == list(video.timestamps)


class Reader:
    """A prompter of samples whose video "gone" cannot be read; prompts are (sample, seed of the order or None)."""

    policy = None

    def readable(self, samples):
        kept = [sample for sample in samples if sample.video != "gone"]
        return kept, [(sample, None) for sample in kept]

    def shuffled(self, sample, seed):
        return sample, seed


def test_each_group_is_compared_with_its_own_shuffled_video(monkeypatch):
    """Of b the order helps, of c not, and the video between them cannot be read."""
    samples = [replace(SAMPLE, id=name, video="gone" if name == "x" else name) for name in ("a", "b", "x", "c")]
    asked = []

    def answer(policy, prompts, number, params, seeds):
        asked.append([(sample.id, order, number, seed) for (sample, order), seed in zip(prompts, seeds, strict=True)])
        right = {("a", False): 0, ("a", True): 0, ("b", False): 1, ("b", True): 0, ("c", False): 1, ("c", True): 2}
        return [
            [completion(GOOD if at < right[sample.id, order is not None] else WRONG) for at in range(number)]
            for sample, order in prompts
        ]

    monkeypatch.setattr("videostr.grpo.rollout.sample_groups", answer)
    monkeypatch.setattr("videostr.grpo.contrast.sample_groups", answer)
    config = GRPOConfig(
        prompts_per_step=4, prompts_per_update=4, group_size=2, contrast=ContrastConfig(weight=0.3, answers=2)
    )
    reward, found = load_reward("video_str"), {}
    for weight in (0.0, 0.3):
        with_weight = replace(config, contrast=replace(config.contrast, weight=weight))
        groups = roll_out(Reader(), samples, reward, with_weight, Accelerator(cpu=True), seed=5, step=7)
        assert [group.sample.id for group in groups] == ["a", "b", "c"]
        found[weight] = [group.reward_G for group in groups]
    gained = [(after - before).tolist() for before, after in zip(*found.values(), strict=True)]
    assert [pytest.approx(gain) for gain in gained] == [[0, 0], [0.3, 0], [0, 0]]
    ordered, shuffled = asked[1:]  # the first rollout asked nothing about shuffled videos
    assert asked[0] == ordered and all(order is None for _, order, _, _ in ordered)
    assert [name for name, *_ in shuffled] == ["a", "b", "c"]
    seeds = [seed for *_, seed in ordered + shuffled]
    assert len(set(seeds)) == 6 and all(order == seed for _, order, _, seed in shuffled)
