"""`videostr eval BENCH …`: score a model on a public benchmark; `videostr eval compare A B`: two such runs."""

import argparse
import os
import sys
from pathlib import Path

from videostr.cli_progress import Progress, fail

EPILOG = """\
videostr eval list                what can be evaluated, and where each metric is defined
videostr eval compare A B         paired differences of two evaluations, with intervals and p-values
videostr eval page OUT            draw OUT/index.html again

Further settings: --set, for example --set frames.fps=2 frames.num_frames=null decoding.temperature=0.7
decoding.greedy=false judge.url=http://localhost:8000/v1. docs/evaluation.md lists all.
"""


def add_commands(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser(
        "eval",
        help="score a model on a public benchmark, or compare two such runs",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("benchmark", metavar="BENCH", help="a benchmark, or list, compare, page")
    command.add_argument("runs", nargs="*", metavar="RUN", help="folders, for compare and page")
    command.add_argument("--model", help="folder or hub id of a Qwen2-VL, Qwen2.5-VL or Qwen3-VL checkpoint")
    command.add_argument("--data", nargs="+", default=[], metavar="SOURCE", help="the benchmark's own files or folder")
    command.add_argument(
        "--videos", action="append", default=[], metavar="DIR", help="where the videos are (repeatable)"
    )
    command.add_argument("--durations", metavar="FILE", help="seconds by video, for sets that do not give them")
    command.add_argument(
        "--out", type=Path, help="folder of this evaluation; a killed one goes on (default: eval/BENCH)"
    )
    command.add_argument("--prompt", help="name of the prompt (default: the benchmark's)")
    command.add_argument("--frames", metavar="POLICY", help="name of a frame policy (default: the benchmark's)")
    command.add_argument(
        "--thinking",
        action=argparse.BooleanOptionalAction,
        help="ask for thinking, or for none (default: as the prompt)",
    )
    command.add_argument(
        "--written-times", action="store_true", default=None, help="write each frame pair's time before it"
    )
    command.add_argument("--parser", help="how an interval is read (default: the prompt's)")
    command.add_argument("--limit", type=int, help="the first so many samples")
    command.add_argument("--batch-size", type=int, help="prompts sampled together (default: 8)")
    command.add_argument("--workers", type=int, help="processes that read videos ahead (default: 4)")
    command.add_argument("--time-limit", type=float, metavar="SECONDS", help="that a file may take (default: 120)")
    command.add_argument("--config", type=Path, help="YAML file of settings, such as OUT/config.yaml of another run")
    command.add_argument("--set", nargs="+", default=[], action="extend", metavar="KEY=VALUE", help="any other setting")
    command.add_argument("--json", action="store_true", help="print the summary or the comparison as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    actions = {"list": _list, "compare": _compare, "page": _page}
    try:
        return actions.get(args.benchmark, _evaluate)(args)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("VIDEOSTR_TRACEBACK"):
            raise
        return fail(error)
    except KeyboardInterrupt:
        print("\nvideostr: interrupted; the same command goes on", file=sys.stderr)
        return 130


def _list(args: argparse.Namespace) -> int:
    from videostr.eval.benchmarks import BENCHMARKS

    for spec in BENCHMARKS.values():
        print(f"{spec.name:<22}{spec.title}\n{'':<22}metrics: {spec.source}\n{'':<22}prompt: {spec.prompt}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from videostr.eval.comparison import compare_runs, to_text

    if len(args.runs) != 2:
        raise ValueError(f"compare: expected two folders of evaluations, got {len(args.runs)}")
    report = compare_runs(*args.runs)
    print(_json(report) if args.json else to_text(report))
    return 0


def _page(args: argparse.Namespace) -> int:
    from videostr.report.evaluation import write_evaluation_page

    if not args.runs:
        raise ValueError("page: expected the folder of an evaluation")
    for folder in args.runs:
        print(write_evaluation_page(folder))
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    if args.runs:
        raise ValueError(f"{args.benchmark}: unexpected {args.runs[0]!r} (data go behind --data)")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    from videostr.training.processes import join_processes

    transformers.utils.logging.disable_progress_bar()
    processes = join_processes()

    from videostr.eval.run import evaluate
    from videostr.eval.summary import to_text

    config = _config(args)
    out = args.out or Path("eval") / args.benchmark
    main = processes.is_main_process
    summary = evaluate(
        config,
        out,
        say=lambda text: print(text, file=sys.stderr, flush=True) if main else None,
        on_batch=Progress("{:,} of {:,} samples of this process") if main else None,
    )
    if main:
        from videostr.report.evaluation import write_evaluation_page

        print(_json(summary) if args.json else to_text(summary))
        page = write_evaluation_page(out)
        print(f"page: {page}", file=sys.stderr)
    processes.destroy_process_group()
    return 0


def _config(args: argparse.Namespace):
    """Defaults of the benchmark, under the file, under the options, under --set."""
    from videostr.config import load_config, to_dict
    from videostr.eval.config import EvalConfig, defaults_of
    from videostr.video import named_policy

    given = {
        "model": args.model,
        "data": args.data or None,
        "videos": args.videos or None,
        "durations": args.durations,
        "prompt": args.prompt,
        "frames": named_policy(args.frames) if args.frames else None,
        "thinking": args.thinking,
        "written_times": args.written_times,
        "parser": args.parser,
        "limit": args.limit,
        "batch_size": args.batch_size,
        "workers": args.workers,
        "time_limit": args.time_limit,
    }
    base, options = (
        [f"{key}={_json(value)}" for key, value in _flat(values, to_dict)]
        for values in (defaults_of(args.benchmark), {k: v for k, v in given.items() if v is not None})
    )
    named = _keys_of(args.config) if args.config is not None else set()
    base = [pair for pair in base if pair.startswith("benchmark=") or pair.partition("=")[0] not in named]
    return load_config(EvalConfig, args.config, [*base, *options, *args.set])


def _keys_of(file: Path) -> set[str]:
    """The dotted keys that a settings file has; nothing where it cannot be read, which `load_config` says better."""
    import yaml

    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return set()

    def keys(values: object, prefix: str) -> set[str]:
        if not isinstance(values, dict):
            return {prefix.rstrip(".")}
        return set().union(*(keys(value, f"{prefix}{key}.") for key, value in values.items()))

    return keys(loaded, "")


def _flat(values: dict, to_dict) -> list[tuple[str, object]]:
    pairs = []
    for key, value in values.items():
        if hasattr(value, "__dataclass_fields__"):
            pairs += [(f"{key}.{name}", item) for name, item in to_dict(value).items()]
        else:
            pairs.append((key, value))
    return pairs


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2 if isinstance(value, dict) else None)
