"""The reward inside other trainers: TRL's own reward computation, and the calls that verl and ms-swift make."""

import asyncio
import importlib.util
import inspect
import json
import pickle
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from videostr.integrations import verl
from videostr.integrations.ms_swift import swift_reward
from videostr.integrations.trl import trl_reward
from videostr.rewards import RewardSpec, TermSpec, load_reward

TEXTS = ["<think>a</think><time>[2, 6]</time>", "<time>[4, 8]</time>", "no"]
SPANS = [[[2.0, 6.0]]] * 3
EXPECTED = [1.0, 0.9 / 3, 0.0]
LENGTH = RewardSpec(
    {"answer": TermSpec("choice"), "length": TermSpec("length", 0.5, options={"least": 2, "most": 3})}, ["answer"]
)
CHOICES = ["<answer>B</answer>", "<answer>B</answer>", "<answer>B</answer>"]


def trl_trainer(*functions):
    """What `GRPOTrainer._calculate_rewards` looks at of a trainer."""
    from trl.trainer.utils import get_callable_name

    logged, extra = defaultdict(list), defaultdict(list)
    return SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cpu"), is_main_process=True),
        reward_funcs=list(functions),
        reward_processing_classes=[None] * len(functions),
        reward_func_names=[get_callable_name(function) for function in functions],
        state=SimpleNamespace(global_step=0),
        environments=None,
        args=SimpleNamespace(report_to=[]),
        _log_metric=lambda name, value: logged[name].append(value),
        _log_completion_extra=lambda name, values: extra[name].extend(values),
        logged=logged,
        extra=extra,
    )


@pytest.mark.parametrize("chat", [False, True], ids=["text", "messages"])
def test_trl_computes_the_rewards(chat):
    from trl import GRPOTrainer

    prompts = ["when?"] * 3
    completions = TEXTS
    if chat:
        prompts = [[{"role": "user", "content": prompt}] for prompt in prompts]
        completions = [[{"role": "assistant", "content": text}] for text in TEXTS]
        completions[1][0]["content"] = [{"type": "text", "text": TEXTS[1]}]
    trainer = trl_trainer(trl_reward("tvg"), trl_reward("timelens", name="words"))
    inputs = [{"prompt": prompt, "spans": SPANS[0], "query": "q"} for prompt in prompts]
    compute = inspect.unwrap(GRPOTrainer._calculate_rewards)
    rewards = compute(trainer, inputs, prompts, completions, [[1, 2]] * 3)
    torch.testing.assert_close(rewards[:, 0], torch.tensor(EXPECTED))
    assert trainer.reward_func_names == ["tvg", "words"]
    assert trainer.logged["tvg/reward/iou"] == [pytest.approx((1 + 1 / 3) / 3)]
    assert trainer.logged["tvg/reason/iou/no_tag"] == [pytest.approx(1 / 3)]
    assert trainer.extra["tvg/reason"] == ["ok", "format/no_think", "iou/no_tag"]


def test_trl_groups_are_what_has_one_prompt():
    reward = trl_reward(LENGTH, name="mine")
    call = {"completions": CHOICES, "completion_ids": [[1, 2], [1, 2, 3], [1, 2]], "answer": ["B"] * 3}
    assert reward(**call, prompts=["p", "p", "q"]) == [1.5, 1.5, 1.0]
    assert reward(**call, prompts=[[{"role": "user", "content": "p"}]] * 3) == [1.5] * 3
    again = pickle.loads(pickle.dumps(reward))
    assert again.__name__ == "mine" and again(**call, prompts=["p", "p", "q"]) == [1.5, 1.5, 1.0]
    with pytest.raises(ValueError, match="column 'answer' is needed and missing"):
        reward(completions=CHOICES)
    with pytest.raises(TypeError, match="completions: expected text or chat messages, got int"):
        reward(completions=[5], answer=["B"])


def test_columns_from_arrow_and_numpy():
    from datasets import Dataset

    rows = Dataset.from_dict({"spans": SPANS, "duration": [10.0] * 3})
    columns = {key: [row[key] for row in rows.with_format("numpy")] for key in rows.column_names}
    assert trl_reward("tvg")(completions=TEXTS, **columns) == pytest.approx(EXPECTED)
    assert trl_reward("tvg")(completions=TEXTS, spans=np.array(SPANS)) == pytest.approx(EXPECTED)


def verl_compute_score(name):
    """verl loads a function of a file by its path."""
    spec = importlib.util.spec_from_file_location("custom_module", verl.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize(
    "truth", [SPANS[0], {"spans": SPANS[0]}, json.dumps(SPANS[0]), json.dumps({"spans": SPANS[0]}), np.array(SPANS[0])]
)
def test_verl_one_by_one(truth):
    compute_score = verl_compute_score("compute_score")
    scores = [
        compute_score(
            data_source="tvg", solution_str=text, ground_truth=truth, extra_info={"num_turns": None}, reward="tvg"
        )
        for text in TEXTS
    ]
    assert [score["score"] for score in scores] == pytest.approx(EXPECTED)
    assert [sorted(score) for score in scores] == [["format", "iou", "reason", "score"]] * 3
    assert not inspect.iscoroutinefunction(compute_score)

    async def threads():  # as verl's reward loop calls it
        loop = asyncio.get_running_loop()
        calls = [
            loop.run_in_executor(
                None, lambda t=text: compute_score(data_source="x", solution_str=t, ground_truth=truth, reward="tvg")
            )
            for text in TEXTS * 4
        ]
        return [result["score"] for result in await asyncio.gather(*calls)]

    assert asyncio.run(threads()) == pytest.approx(EXPECTED * 4)


def test_verl_batch():
    scores = verl_compute_score("compute_scores")(
        data_sources=np.array(["d"] * 3, dtype=object),
        solution_strs=CHOICES,
        ground_truths=["B", "B", "C"],
        extra_infos=np.array(
            [
                {"index": i, "response_length": 2, "options": ["x", "y", "z"], "rollout_reward_scores": {}}
                for i in (0, 0, 1)
            ],
            dtype=object,
        ),
        reward=LENGTH,
    )
    assert [score["score"] for score in scores] == [1.5, 1.5, 0.0]
    assert [score["answer"] for score in scores] == [1, 1, 0] and [score["reason"] for score in scores] == ["ok"] * 3
    with pytest.raises(
        ValueError, match="ground_truth: expected a mapping with the columns answer, answer_kind, graph, got 'B'"
    ):
        verl.compute_score("d", CHOICES[0], "B", reward="video_str")


def test_ms_swift():
    orm = swift_reward("tvg")
    assert orm.__name__ == "TvgReward"
    # ms-swift passes the constructor those of its arguments that it names.
    names = inspect.signature(orm.__init__).parameters
    function = orm(**{name: None for name in names if name not in ("self", "args", "kwargs")})
    messages = [[{"role": "user", "content": "q"}, {"role": "assistant", "content": text}] for text in TEXTS]
    columns = {"messages": messages, "spans": SPANS, "trainer_state": object(), "solution": ["x"] * 3}
    assert function(TEXTS, **columns) == pytest.approx(EXPECTED)
    assert not inspect.iscoroutinefunction(function.__call__)
    mine = swift_reward(LENGTH)()
    tokens = {"response_token_ids": [[1, 2], [[1], [2, 3]], [1, 2]], "answer": ["B"] * 3}
    assert mine(CHOICES, prompt_id=["p", "p", "q"], **tokens) == [1.5, 1.5, 1.0]
    assert mine(CHOICES, messages=messages, **tokens) == [1.5] * 3


def test_all_give_what_the_spec_gives():
    spec = load_reward("tvg")
    expected = spec(TEXTS, {"spans": SPANS}).total_N.tolist()
    assert trl_reward(spec)(completions=TEXTS, spans=SPANS) == expected == swift_reward(spec)()(TEXTS, spans=SPANS)
    assert [score["score"] for score in verl.compute_scores(["d"] * 3, TEXTS, SPANS, reward=spec)] == expected
