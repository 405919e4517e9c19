"""`videostr data …`: public sets to samples, samples to other formats, spatial questions and a look at them.

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

    _add_stv(actions)

    export = actions.add_parser("export", help="a sample file -> ms-swift, TRL, verl, EasyR1")
    export.add_argument("format", metavar="FORMAT", help="ms-swift, ms-swift-sft, trl, verl, easyr1")
    export.add_argument("samples", metavar="SAMPLES.jsonl")
    export.add_argument("--out", required=True, metavar="FILE", help=".jsonl; verl and easyr1 also .parquet and .json")
    export.add_argument("--prompt", default="tvg_think", help="name of the prompt (default: tvg_think)")
    export.set_defaults(run=_export)
    cli_curation.add_commands(actions)
    cli_difficulty.add_command(actions)


def _add_stv(actions: argparse._SubParsersAction) -> None:
    stv = actions.add_parser(
        "stv",
        help="annotations of KITTI tracking, ScanNet and TAO -> spatial question-answer pairs",
        description="Writes OUT/train.jsonl, val.jsonl, card.md, report.json and problems.jsonl, and prints the report "
        "with its blind baseline. After a kill, run the same command again: it goes on. See docs/video-str.md for how "
        "the folders are laid out.",
    )
    for source, layout in (
        ("kitti", "label_02/, videos/; calib/ and oxts/ for the car's own motion"),
        ("scannet", "*.json of boxes or scans/; videos/"),
        ("tao", "annotations/, videos/"),
    ):
        stv.add_argument(f"--{source}", metavar="DIR", help=layout)
    stv.add_argument("--out", required=True, metavar="DIR")
    stv.add_argument("--count", type=int, default=205_000, metavar="N", help="pairs at most (default: 205000)")
    stv.add_argument("--seed", type=int, default=0)
    stv.add_argument("--val", type=float, default=0.02, metavar="SHARE", help="of the scenes (default: 0.02)")
    stv.add_argument(
        "--exclude", action="append", default=[], metavar="FILE", help="names of scenes to leave out, one a line"
    )
    stv.add_argument(
        "--graph", choices=("grid", "metres", "image"), default="grid", help="coordinates of the graphs (default: grid)"
    )
    stv.add_argument("--per-scene", type=int, metavar="N", help="questions a scene and task (default: by source)")
    stv.add_argument("--keep-missing", action="store_true", help="ask about videos that are not there, too")
    stv.set_defaults(run=_stv)

    view = actions.add_parser("view", help="a page with question-answer pairs: frames with boxes, graph, answer")
    view.add_argument("samples", metavar="SAMPLES.jsonl")
    view.add_argument("--out", required=True, metavar="PAGE.html")
    view.add_argument("--count", type=int, default=40, metavar="N", help="pairs on the page (default: 40)")
    view.add_argument("--task", metavar="NAME", help="only this task")
    view.add_argument("--seed", type=int, default=0)
    view.set_defaults(run=_view)


def _stv(args: argparse.Namespace) -> int:
    from videostr.data.stv.build import READERS, Options, build, read_exclusions
    from videostr.data.stv.card import to_text
    from videostr.data.stv.question import Rules
    from videostr.video.index import frame_seconds

    try:
        limits = {} if args.per_scene is None else {"limit": dict.fromkeys(READERS, args.per_scene)}
        options = Options(
            count=args.count,
            seed=args.seed,
            validation=args.val,
            exclude=read_exclusions(args.exclude),
            style=args.graph,
            keep_missing=args.keep_missing,
            rules=Rules(**limits),
        )
        folders = {name: getattr(args, name) for name in READERS if getattr(args, name)}
        progress = Progress("{:,} scenes read, {:,} questions written")
        report = build(folders, args.out, options, frame_times=frame_seconds, progress=progress)
    except (ValueError, OSError) as error:
        return fail(error)
    print(to_text(report))
    print(f"{args.out}: train.jsonl, val.jsonl, card.md, report.json, problems.jsonl")
    return 0 if report["written"] else 1


def _view(args: argparse.Namespace) -> int:
    from videostr.report import write_stv_page

    try:
        shown = write_stv_page(args.samples, args.out, count=args.count, seed=args.seed, task=args.task)
    except (ValueError, OSError) as error:
        return fail(error)
    print(f"{args.out}: {shown} of the pairs in {args.samples}")
    return 0


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
