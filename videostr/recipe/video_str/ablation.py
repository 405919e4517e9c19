"""What each part of the reward is worth: GRPO again and again from one warm start a seed, everything else the same.

    OUT/seed_0/warm/            the recipe without GRPO; of a checkpoint without written answers only its scores
    OUT/seed_0/NAME/            GRPO of one variant, from that model, on those samples; a run like any other
    OUT/ablation.json, .md, .png

Every one is resumable, so the whole is. Scores are those of evaluation, the same whatever the reward.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure

from videostr import atomic
from videostr.config import from_dict, to_dict
from videostr.recipe.command import RunArguments
from videostr.recipe.video_str.config import VideoStrConfig
from videostr.recipe.video_str.stages import SETS, VideoStr
from videostr.report.plots import to_png

SCORES = ("score", "accuracy", "mra", "iou", "node", "distance", "angle", "direction")
GAINS = SCORES[1:-1]
WARM = "warm"
TURNED = ("accuracy", "mra", "node", "distance", "angle", "direction")


@dataclass(frozen=True)
class Variant:
    """changes: over the configuration, as nested mappings."""

    label: str
    changes: dict[str, Any]


VARIANTS = {
    "full": Variant("full", {}),
    "no_node": Variant("− node", {"reward_change": {"drop": ["node"]}}),
    "no_edge": Variant("− edge", {"reward_change": {"drop": ["edge"]}}),
    "no_length": Variant("− length", {"reward_change": {"drop": ["length"]}}),
    "no_gate": Variant("− gate", {"reward_change": {"gate": -1.0}}),
    "no_graph": Variant("no graph", {"reward_change": {"drop": ["node", "edge"]}}),
    "spacer_map": Variant("SpaceR's map", {"reward": "spacer"}),
    "direction": Variant("absolute direction", {"reward_change": {"angle": "direction"}}),
    "t_grpo": Variant("full, T-GRPO", {"grpo": {"contrast": {"weight": 0.3}}}),
}


def run_ablation(arguments: RunArguments) -> None:
    """Run what is not done yet, seed by seed, and write the table after every variant.

    Raises ValueError for a variant that does not exist.
    """
    chosen = arguments.config.ablation
    seeds, names = chosen.seeds, chosen.variants or list(VARIANTS)
    for name in names:
        if name not in VARIANTS:
            raise ValueError(f"ablation: {name!r} is none of the variants {', '.join(VARIANTS)}")
    for seed in seeds:
        folder = arguments.out / f"seed_{seed}"
        warm = VideoStr(replace(arguments.config, skip=["rl", "rl_eval"]), folder / WARM, seed)
        warm.run()
        for name in names:
            config = _variant(arguments.config, VARIANTS[name], folder / WARM, warm.model_path(warm.model_of("sft")))
            VideoStr(config, folder / name, seed).run()
            write_table(arguments.out)


def _variant(config: VideoStrConfig, variant: Variant, warm: Path, model: str) -> VideoStrConfig:
    """The same configuration, from the warm start's model and samples on, with the variant's changes."""
    data = {name: str(warm / f"data/{name}.jsonl") for name in SETS if (warm / f"data/{name}.jsonl").stat().st_size}
    start = {"data": data, "model": {"path": model}, "skip": ["base", "sft", "sft_eval"]}
    merged = to_dict(config)
    for changes in (start, variant.changes):
        _merge(merged, changes)
    return from_dict(VideoStrConfig, merged)


def _merge(into: dict, changes: dict) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            _merge(into[key], value)
        else:
            into[key] = value


def write_table(out: Path) -> dict[str, Any]:
    """OUT/ablation.json, .md and .png of the runs that are done; returns what the JSON holds."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(out.glob("seed_*/*/summary.json")):
        summary, (seed, name) = json.loads(path.read_text()), path.parts[-3:-1]
        start = "sft" if "sft" in summary["stages"] else "base"
        stage = start if name == WARM else "rl"
        if stage in summary["stages"] and name in (WARM, *VARIANTS):
            turned = summary["turned"].get(stage, {})
            rows.setdefault(name, {})[seed] = {"test": summary["stages"][stage], "turned": turned}
    order = [name for name in (WARM, *VARIANTS) if name in rows]
    found = {name: rows[name] for name in order}
    atomic.write_json(out / "ablation.json", found)
    atomic.write_text(out / "ablation.md", _markdown(found))
    if found:
        atomic.write_bytes(out / "ablation.png", to_png(_plot(found)))
    return found


def _label(name: str) -> str:
    return VARIANTS[name].label if name in VARIANTS else "warm start"


def _values(seeds: dict[str, dict[str, Any]], part: str, score: str) -> list[float]:
    return [run[part][score] for run in seeds.values() if run[part].get(score) is not None]


def _cell(values: list[float]) -> str:
    if not values:
        return "–"
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def _gains(found: dict[str, dict[str, dict[str, Any]]], name: str, score: str) -> list[float]:
    """Of a variant over its warm start in the test, seed by seed."""
    warm = {seed: run["test"] for seed, run in found.get(WARM, {}).items()}
    return [
        run["test"][score] - warm[seed][score]
        for seed, run in found[name].items()
        if score in run["test"] and score in warm.get(seed, {})
    ]


def _markdown(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Mean and standard deviation over the seeds; then what each variant gains, seed by seed."""
    text = []
    for part, scores in (("test", SCORES), ("turned", TURNED)):
        text.append(f"| {part} | seeds | " + " | ".join(scores) + " |")
        text.append("|---" * (len(scores) + 2) + "|")
        for name, seeds in found.items():
            cells = [_cell(_values(seeds, part, score)) for score in scores]
            text.append(f"| {_label(name)} | {len(seeds)} | " + " | ".join(cells) + " |")
        text.append("")
    text.append("| gain in the test | " + " | ".join(GAINS) + " |")
    text.append("|---" * (len(GAINS) + 1) + "|")
    for name in found:
        if name != WARM:
            cells = [", ".join(f"{gain:+.3f}" for gain in _gains(found, name, score)) or "–" for score in GAINS]
            text.append(f"| {_label(name)} | " + " | ".join(cells) + " |")
    text.append("")
    return "\n".join(text)


def _plot(found: dict[str, dict[str, dict[str, Any]]]) -> Figure:
    """Each variant's gain over its warm start, seed by seed and on average."""
    figure = Figure(figsize=(10.0, 0.5 + 0.42 * len(found)), layout="constrained")
    axes = figure.subplots(1, 4, sharey=True)
    names = [name for name in found if name != WARM]
    for panel, score in zip(axes, ("score", "node", "distance", "angle"), strict=True):
        for at, name in enumerate(names):
            gains = _gains(found, name, score)
            if gains:
                panel.barh(at, mean(gains), color="#4c78a8", alpha=0.6)
                panel.plot(gains, [at] * len(gains), "k.", markersize=4)
        panel.axvline(0, color="#888", linewidth=0.8)
        panel.set_title(f"gain in {score}", fontsize=9)
        panel.tick_params(labelsize=8)
    axes[0].set_yticks(range(len(names)), [_label(name) for name in names])
    axes[0].invert_yaxis()
    return figure
