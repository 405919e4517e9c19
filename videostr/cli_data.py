"""`videostr data …`: public sets to samples, and samples to other trainers' formats.

What is done with samples in between is in cli_curation and cli_difficulty.
"""

import argparse
import sys
from pathlib import Path

from videostr import cli_curation, cli_difficulty
from videostr.cli_progress import Progress, fail


def add_commands(commands: argparse._SubParsersAction) -> None:
    data = commands.add_parser("data", help="convert, curate, annotate, choose and export samples")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    sets = actions.add_parser("sets", help="the sets that can be converted, and where their formats are documented")
    sets.set_defaults(run=_sets)

    convert = actions.add_parser(
        "convert",
        help="a public set's own files -> a sample file",
        description="Writes OUT and, beside it, the report (.report.json), every entry that was left out with file, "
        "line and reason (.rejected.jsonl), and the missing videos (.missing.jsonl). OUT comes last and whole; after "
        "a kill, run the same command again. See docs/data.md.",
    )
    convert.add_argument("name", metavar="NAME", help="the set; `videostr data sets` lists them")
    convert.add_argument("sources", metavar="SOURCE", nargs="+", help="file, folder, or hf://NAME[#CONFIG][@SPLIT]")
    convert.add_argument("--out", required=True, metavar="FILE.jsonl")
    convert.add_argument(
        "--videos", action="append", default=[], metavar="DIR", help="where the videos are, at any depth (repeatable)"
    )
    convert.add_argument("--durations", metavar="FILE", help="seconds by video: JSON object, or CSV with id and length")
    convert.add_argument(
        "--probe", action="store_true", help="read each video's real length from its packets, and count what differs"
    )
    convert.add_argument(
        "--overrun",
        choices=("clip", "reject"),
        default="clip",
        help="what to do with an interval that ends more than 1 s behind its video (default: clip)",
    )
    convert.add_argument("--keep-missing", action="store_true", help="keep samples whose video is missing")
    convert.add_argument(
        "--as-published",
        action="store_true",
        help="for an evaluation: intervals are not clipped, repeated entries stay",
    )
    convert.add_argument(
        "--segments",
        choices=("auto", "whole", "cut"),
        default="auto",
        help="Time-R1's sets: whether files are the whole videos or the cut segments (default: by the file's name)",
    )
    convert.add_argument(
        "--field", action="append", default=[], metavar="OURS=THEIRS", help="for the set `fields`: names of the fields"
    )
    convert.set_defaults(run=_convert)

    export = actions.add_parser("export", help="a sample file -> ms-swift, TRL, verl, EasyR1")
    export.add_argument("format", metavar="FORMAT", help="ms-swift, ms-swift-sft, trl, verl, easyr1")
    export.add_argument("samples", metavar="SAMPLES.jsonl")
    export.add_argument("--out", required=True, metavar="FILE", help=".jsonl; verl and easyr1 also .parquet and .json")
    export.add_argument("--prompt", default="tvg_think", help="name of the prompt (default: tvg_think)")
    export.set_defaults(run=_export)
    cli_curation.add_commands(actions)
    cli_difficulty.add_command(actions)


def _sets(args: argparse.Namespace) -> int:
    from videostr.data.readers import READERS

    for reader in READERS.values():
        print(f"{reader.name:<22}{reader.title}\n{'':<22}files: {', '.join(reader.files)}\n{'':<22}seen: {reader.seen}")
    return 0


def _convert(args: argparse.Namespace) -> int:
    from videostr.data.readers import convert, load_durations, to_text

    try:
        fields = dict(_assignment(text) for text in args.field)
        report = convert(
            args.name,
            args.sources,
            args.out,
            videos=args.videos,
            durations=load_durations(Path(args.durations)) if args.durations else None,
            overrun=args.overrun,
            keep_missing=args.keep_missing,
            segments=args.segments,
            fields=fields,
            probe=_seconds if args.probe else None,
            as_published=args.as_published,
            progress=Progress("{:,} entries read, {:,} samples written"),
        )
    except (ValueError, OSError) as error:
        return fail(error)
    print(to_text(report))
    if not report["written"]:
        print(f"videostr: no sample was written; {args.out} was not touched", file=sys.stderr)
    return 0 if report["written"] else 1


def _export(args: argparse.Namespace) -> int:
    from videostr.data.export import export

    try:
        report = export(args.format, args.samples, args.out, prompt=args.prompt)
    except (ValueError, OSError) as error:
        return fail(error)
    skipped = "".join(f", {count:,} left out: {reason}" for reason, count in report["skipped"].items())
    print(f"{args.out}: {report['written']:,} of {report['read']:,} samples{skipped}")
    return 0


def _assignment(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not (name and mark and value):
        raise ValueError(f"--field: expected OURS=THEIRS, got {text!r}")
    return name, value


def _seconds(path: str) -> float:
    """A file's real length. Raises VideoError."""
    from videostr.video.index import read_index

    index = read_index(path)
    return float(index.seconds(index.end))
