"""`videostr data difficulty`: rollouts of a model, and the samples of the right difficulty for it."""

import argparse
import json
import os
import sys

from videostr.cli_progress import fail


def add_command(actions: argparse._SubParsersAction) -> None:
    difficulty = actions.add_parser(
        "difficulty",
        help="sample files -> the samples of the right difficulty for a model, by rollouts",
        description="Samples k answers to every sentence and chooses samples by their IoU. Scores stay in OUT/scores "
        "by the hash of the model and of what it was asked; the same command continues after a kill, and another "
        "sampler repeats nothing. Several processes: torchrun --nproc-per-node 8 -m videostr.cli data difficulty … . "
        "Writes selected.jsonl, report.json and histogram.png. See docs/curation.md.",
    )
    difficulty.add_argument("--model", help="checkpoint: folder or hub id")
    difficulty.add_argument("--data", nargs="+", metavar="SAMPLES.jsonl")
    difficulty.add_argument("--out", required=True, metavar="DIR")
    difficulty.add_argument("--sampler", choices=("band", "time_r1", "timelens", "all"), help="default: band")
    difficulty.add_argument("--count", type=int, help="at most so many samples, drawn by the sampler's weights")
    difficulty.add_argument("--answers", type=int, metavar="K", help="rollouts a sample (default: 8; time_r1 needs 1)")
    difficulty.add_argument("--prompt", help="name of the prompt (default: tvg_think)")
    difficulty.add_argument("--seed", type=int, help="of the rollouts and the draw (default: 0)")
    difficulty.add_argument("--config", metavar="FILE", help="YAML file of settings, such as OUT/config.yaml")
    difficulty.add_argument(
        "--set", nargs="+", default=[], action="extend", metavar="KEY=VALUE",
        help="any setting: prompt.frames.num_frames=64, difficulty.options={low: 0.2}, max_new_tokens=512, …",
    )  # fmt: skip
    difficulty.set_defaults(run=_difficulty)


def _difficulty(args: argparse.Namespace) -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    from videostr.training.processes import join_processes

    transformers.utils.logging.disable_progress_bar()
    processes = join_processes()

    from pathlib import Path

    from videostr.config import load_config
    from videostr.recipe.grounding.difficulty import DifficultyRunConfig, run_difficulty

    names = {"model": "model", "data": "data", "seed": "seed", "prompt": "prompt.name"}
    names |= {name: f"difficulty.{name}" for name in ("sampler", "count", "answers")}
    given = {key: getattr(args, name) for name, key in names.items() if getattr(args, name) is not None}
    pairs = [f"{key}={json.dumps(value)}" for key, value in given.items()]
    try:
        report = run_difficulty(load_config(DifficultyRunConfig, args.config, [*pairs, *args.set]), Path(args.out))
    except (ValueError, OSError, ImportError) as error:
        return fail(error)
    if processes.is_main_process:
        print(_chosen(report))
        if not report["kept"]:
            print("videostr: no sample was chosen", file=sys.stderr)
    processes.destroy_process_group()
    return 0 if report["kept"] else 1


def _chosen(report: dict) -> str:
    """The report for people."""
    lines = [f"{report['sampler']}: {report['kept']:,} of {report['scored']:,} samples chosen"]
    lines += [f"  {reason}: {count:,}" for reason, count in report["dropped"].items()]
    if report["unreadable"]:
        lines.append(f"  videos that cannot be read: {len(report['unreadable']):,}")
    edges, before, after = (report["histogram"][name] for name in ("edges", "before", "after"))
    lines.append("  mean IoU     scored    chosen")
    lines += [
        f"  {low:.2f}-{high:.2f}{count:>10,}{kept:>10,}"
        for low, high, count, kept in zip(edges, edges[1:], before, after, strict=False)
        if count
    ]
    for model in report["models"]:
        if model["samples"]:
            lines.append(f"  model {model['model']}: mean IoU {model['mean_iou']:.3f} of {model['samples']:,} samples")
    return "\n".join(lines)
