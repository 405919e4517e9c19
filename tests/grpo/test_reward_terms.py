"""A reward from terms in the trainer: the gate looks at the named task reward, the log at every term."""

import pytest
import torch

from videostr.data.samples import Sample
from videostr.grpo import GRPOConfig
from videostr.grpo.config import AdvantageConfig
from videostr.grpo.rollout import rollout_metrics, score_group, with_advantages
from videostr.rewards import load_reward
from videostr.rollout import Completion


def completion(text, tokens=400):
    ids = torch.zeros(tokens, dtype=torch.int64)
    return Completion(ids, torch.zeros(tokens), torch.zeros(tokens), True, text)


GRAPH = {"cup": [[1, 2], [8, 8]]}
SAMPLE = Sample("s", "v.mp4", "q", ((1.0, 2.0),), meta={"answer": "B", "answer_kind": "choice", "graph": GRAPH})
GOOD = '<think>a<map>{"cup": [[1, 2], [8, 8]]}</map></think><answer>B</answer>'


@pytest.mark.parametrize("gate", ["task", "reward"])
def test_format_alone_teaches_nothing_behind_the_task_gate(gate):
    config = GRPOConfig(prompts_per_step=1, prompts_per_update=1, group_size=2, advantage=AdvantageConfig(gate=gate))
    reward = load_reward("video_str")
    wrong = [completion("<think>a</think><answer>C</answer>"), completion("<answer>C</answer>")]
    right = [completion(GOOD), completion(GOOD.replace("[8, 8]", "[8, 1]"))]
    groups = with_advantages([score_group(SAMPLE, texts, reward) for texts in (wrong, right)], config)
    assert [group.informative for group in groups] == [gate == "reward", True]
    assert (groups[0].advantage_G == 0).all() == (gate == "task")
    # Both answers are right: the graph alone tells them apart.
    assert groups[1].task_G[0] > groups[1].task_G[1] and groups[1].advantage_G[0] > 0 > groups[1].advantage_G[1]
    row = rollout_metrics(groups)
    assert row["reward/answer"] == 0.5 and row["reward/length"] == 0.5 and row["reward/format"] == 0.75
    assert row["reason/format/no_think"] == 0.25
