"""T-GRPO: frames in another order, and a bonus where the order helped."""

import numpy as np
import pytest
import torch

from grpo.test_reward_terms import GOOD, SAMPLE, completion
from videostr.grpo import ContrastConfig
from videostr.grpo.contrast import with_bonus
from videostr.grpo.rollout import score_group
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
