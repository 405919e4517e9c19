"""`videostr data curate`, `annotate` and `difficulty`: what is done with samples before a model is trained on them."""

import argparse
import sys

from videostr.cli_progress import Progress, fail


def add_commands(actions: argparse._SubParsersAction) -> None:
    _add_curate(actions)


def _add_curate(actions: argparse._SubParsersAction) -> None:
    curate = actions.add_parser(
        "curate",
        help="sample files -> the samples worth training on, with counts at each step",
        description="Steps, in order: reading (malformed lines, ids used twice), the answer's format and IoU, length, "
        "language, contamination by benchmarks, near-duplicate sentences. Writes OUT and, beside it, the report "
        "(.report.json) and every refused entry with file, line and reason (.rejected.jsonl). Killed, the same command "
        "continues. See docs/curation.md.",
    )
    curate.add_argument("samples", metavar="SAMPLES.jsonl", nargs="+")
    curate.add_argument("--out", required=True, metavar="FILE.jsonl")
    curate.add_argument(
        "--for", choices=("sft", "rl"), default="sft", dest="purpose",
        help="sft: a cold start, every sample needs a good response; rl: responses are not looked at (default: sft)",
    )  # fmt: skip
    curate.add_argument(
        "--min-iou", type=float, default=0.5, help="of the response with a true interval (default: 0.5)"
    )
    curate.add_argument("--reward", default="tvg", help="the reward whose parser reads responses (default: tvg)")
    curate.add_argument("--query-words", type=int, nargs=2, default=(2, 60), metavar=("MIN", "MAX"))
    curate.add_argument("--response-words", type=int, nargs=2, default=(5, 1500), metavar=("MIN", "MAX"))
    curate.add_argument(
        "--language", metavar="CODE", help="keep one language, such as en (needs the package py3langid)"
    )
    curate.add_argument(
        "--benchmark", action="append", default=[], metavar="FILE",
        help="samples of a benchmark, or a .txt of its videos, that must not be trained on (repeatable)",
    )  # fmt: skip
    curate.add_argument(
        "--contamination-words", type=int, default=8, metavar="N",
        help="a benchmark's sentences of fewer words are not compared (default: 8)",
    )  # fmt: skip
    curate.add_argument(
        "--duplicates", choices=("all", "video", "none"), default="all",
        help="near-duplicate sentences: among all samples, of one video only, or not looked for (default: all)",
    )  # fmt: skip
    curate.add_argument("--similar", type=float, default=0.8, help="Jaccard index of near-duplicates (default: 0.8)")
    curate.set_defaults(run=_curate)


def _curate(args: argparse.Namespace) -> int:
    from videostr.data import curation
    from videostr.rewards import load_reward

    try:
        sft = args.purpose == "sft"
        steps: list[curation.Step] = []
        if sft:
            steps.append(curation.Answer(load_reward(args.reward).parse, args.min_iou))
        steps.append(curation.Length(args.query_words, args.response_words, response_counts=sft))
        if args.language:
            steps.append(curation.Language(args.language, response_counts=sft))
        if args.benchmark:
            steps.append(curation.Contamination(args.benchmark, args.similar, args.contamination_words))
        if args.duplicates != "none":
            steps.append(curation.Duplicates(args.similar, args.duplicates))
        report = curation.curate(args.samples, args.out, steps, Progress("samples read", "kept"))
    except (ValueError, OSError, ImportError) as error:
        return fail(error)
    print(curation.to_text(report))
    if not report["kept"]:
        print(f"videostr: no sample was kept; {args.out} was not touched", file=sys.stderr)
    return 0 if report["kept"] else 1
