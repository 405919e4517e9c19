"""A `RewardSpec` as verl's custom reward function.

    custom_reward_function.path=…/videostr/integrations/verl.py
    custom_reward_function.name=compute_score            # or compute_scores with the batch reward manager
    +custom_reward_function.reward_kwargs.reward=tvg     # a spec's name or YAML file

`ground_truth` is a mapping of the spec's columns, the same as JSON text, or the value of the only one it must have;
`extra_info` can hold further ones. verl gives no token counts: extra_info["response_length"] counts where given.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videostr.integrations.columns import as_reward, plain
from videostr.rewards import RewardSpec


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    reward: RewardSpec | str | Path = "tvg",
    **_: Any,
) -> dict[str, Any]:
    """verl's function for one completion: "score", every term, and the reason. A term that looks at the whole group
    ("length") sees a group of one here."""
    return compute_scores([data_source], [solution_str], [ground_truth], [extra_info], reward=reward)[0]


def compute_scores(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
    reward: RewardSpec | str | Path = "tvg",
    **_: Any,
) -> list[dict[str, Any]]:
    """The function of verl's batch reward manager. A group is what has one extra_info["index"], the data set's row;
    without it, one ground truth."""
    spec = as_reward(reward)
    infos = [info or {} for info in (extra_infos if extra_infos is not None else [None] * len(solution_strs))]
    truths = [_columns(spec, truth) for truth in ground_truths]
    rows = [{**info, **truth} for info, truth in zip(infos, truths, strict=True)]
    columns = {name: [plain(row.get(name)) for row in rows] for name in spec.needs if any(name in row for row in rows)}
    groups = [repr(info.get("index", truth)) for info, truth in zip(infos, truths, strict=True)]
    lengths = [info.get("response_length") for info in infos]
    tokens = None if None in lengths else [int(length) for length in lengths]
    batch = spec([str(text) for text in solution_strs], columns, tokens=tokens, groups=groups)
    terms = {name: value_N.tolist() for name, value_N in batch.terms.items()}
    return [
        {"score": score} | {name: values[row] for name, values in terms.items()} | {"reason": batch.reasons[row]}
        for row, score in enumerate(batch.total_N.tolist())
    ]


def _columns(spec: RewardSpec, truth: Any) -> dict[str, Any]:
    truth = plain(truth)
    if isinstance(truth, str):
        try:
            read = json.loads(truth)
        except ValueError:
            read = truth
        truth = read if isinstance(read, dict | list) else truth
    if isinstance(truth, dict) and set(truth) & set(spec.needs):
        return truth
    must = spec.must_have
    if len(must) != 1:
        raise ValueError(f"ground_truth: expected a mapping with the columns {', '.join(must)}, got {truth!r:.80}")
    return {must[0]: truth}
