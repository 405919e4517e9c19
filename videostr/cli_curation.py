"""`videostr data curate` and `annotate`: what is done with samples before a model is trained on them."""

import argparse
import functools
import json
import os
import sys

from videostr.cli_progress import Progress, fail


def add_commands(actions: argparse._SubParsersAction) -> None:
    _add_curate(actions)
    _add_annotate(actions)


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
            steps.append(curation.Answer(load_reward(args.reward).parse, args.min_iou, args.reward))
        steps.append(curation.Length(args.query_words, args.response_words, response_counts=sft))
        if args.language:
            steps.append(curation.Language(args.language, response_counts=sft))
        if args.benchmark:
            steps.append(curation.Contamination(args.benchmark, args.similar, args.contamination_words))
        if args.duplicates != "none":
            steps.append(curation.Duplicates(args.similar, args.duplicates))
        report = curation.curate(args.samples, args.out, steps, Progress("{:,} samples read, {:,} kept"))
    except (ValueError, OSError, ImportError) as error:
        return fail(error)
    print(curation.to_text(report))
    if not report["kept"]:
        print(f"videostr: no sample was kept; {args.out} was not touched", file=sys.stderr)
    return 0 if report["kept"] else 1


def _add_annotate(actions: argparse._SubParsersAction) -> None:
    annotate = actions.add_parser(
        "annotate",
        help="samples -> the same with a chain of thought and an interval from an OpenAI-compatible endpoint",
        description="Asks for every sample once, with frames of its video. Every answer is on the disk before the next "
        "request is sent; killed, the same command asks for the rest. Writes OUT, and beside it .journal.jsonl (every "
        "request) and .report.json (counts, tokens, cost). Ctrl-C waits for what is in flight. See docs/curation.md.",
    )
    annotate.add_argument("samples", metavar="SAMPLES.jsonl")
    annotate.add_argument("--out", required=True, metavar="FILE.jsonl")
    annotate.add_argument("--endpoint", required=True, metavar="URL", help="such as http://localhost:8000/v1")
    annotate.add_argument("--model", required=True, metavar="NAME", help="as the endpoint calls it")
    annotate.add_argument(
        "--api-key-env", default="OPENAI_API_KEY", metavar="NAME", help="variable that holds the key, if one is needed"
    )
    ask = annotate.add_argument_group("the question")
    ask.add_argument("--prompt", default="tvg_think", help="name of the prompt (default: tvg_think)")
    ask.add_argument("--frames", type=int, default=32, help="a video, evenly; with --fps at most so many (default: 32)")
    ask.add_argument("--fps", type=float, help="frames a second")
    ask.add_argument("--pixels", type=int, default=448 * 448, help="of a frame, at most (default: 448 x 448)")
    ask.add_argument("--quality", type=int, default=85, help="of the JPEGs (default: 85)")
    ask.add_argument("--max-tokens", type=int, default=2048)
    ask.add_argument("--temperature", type=float, default=0.7)
    ask.add_argument("--body", default="{}", metavar="JSON", help="more fields of the request; null removes one")
    send = annotate.add_argument_group("sending")
    send.add_argument("--concurrency", type=int, default=8, help="requests in flight (default: 8)")
    send.add_argument("--rpm", type=float, help="requests a minute")
    send.add_argument("--tpm", type=float, help="tokens a minute")
    send.add_argument("--retries", type=int, default=6, help="of a request (default: 6)")
    send.add_argument("--timeout", type=float, default=180.0, help="seconds without a byte (default: 180)")
    send.add_argument("--limit", type=int, help="ask for at most so many samples in this run")
    send.add_argument(
        "--in-doubt", choices=("ask", "leave"), default="ask",
        help="requests that were in flight when the program was killed: ask again with the same Idempotency-Key, or "
        "never pay twice (default: ask)",
    )  # fmt: skip
    send.add_argument("--retry-failed", action="store_true", help="try samples again that an earlier run gave up")
    cost = annotate.add_argument_group("cost")
    cost.add_argument("--price-prompt", type=float, metavar="PRICE", help="of a million prompt tokens")
    cost.add_argument("--price-completion", type=float, metavar="PRICE", help="of a million completion tokens")
    cost.add_argument("--max-cost", type=float, metavar="SUM", help="send nothing new once so much is spent")
    annotate.set_defaults(run=_annotate)


def _annotate(args: argparse.Namespace) -> int:
    from videostr import atomic
    from videostr.data import read_samples
    from videostr.data.annotate import Prices, Settings, annotate
    from videostr.video import FramePolicy
    from videostr.video.jpeg import jpeg_frames

    progress = Progress("{:,} of {:,} samples answered{}")
    try:
        atomic.check_not_a_source(args.out, [args.samples])
        policy = FramePolicy(
            fps=args.fps or 1.0,
            num_frames=None if args.fps else args.frames,
            max_frames=args.frames,
            min_frames=min(4, args.frames),
            min_pixels=min(args.pixels, 28 * 28),
            max_pixels=args.pixels,
        )
        frames = {"fps": args.fps, "frames": args.frames, "pixels": args.pixels, "quality": args.quality}
        settings = Settings(
            endpoint=args.endpoint,
            model=args.model,
            prompt=args.prompt,
            options={"max_tokens": args.max_tokens, "temperature": args.temperature} | _object(args.body),
            frames=frames,
            concurrency=args.concurrency,
            requests_per_minute=args.rpm,
            tokens_per_minute=args.tpm,
            retries=args.retries,
            timeout=args.timeout,
            prices=_prices(args, Prices),
            max_cost=args.max_cost,
            limit=args.limit,
            in_doubt=args.in_doubt,
            retry_failed=args.retry_failed,
        )
        report = annotate(
            read_samples(args.samples),
            args.out,
            settings,
            functools.lru_cache(maxsize=16)(lambda path: jpeg_frames(path, policy, args.quality)),
            api_key=os.environ.get(args.api_key_env),
            progress=lambda answered, total, cost: progress(
                answered, total, "" if cost is None else f", cost {cost:.2f}"
            ),
        )
    except (ValueError, OSError, ImportError) as error:
        return fail(error)
    print(_annotated(report))
    return 0 if report["answered"] else 1


def _object(text: str) -> dict:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--body: not JSON: {error}") from error
    if not isinstance(value, dict) or value.keys() & {"model", "messages", "stream"}:
        raise ValueError(f"--body: expected an object without model, messages and stream, got {text:.80}")
    return value


def _prices(args: argparse.Namespace, make: type) -> object | None:
    given = (args.price_prompt, args.price_completion)
    if (given[0] is None) != (given[1] is None):
        raise ValueError("--price-prompt, --price-completion: give both or none")
    return None if given[0] is None else make(*given)


def _annotated(report: dict) -> str:
    """The report for people."""
    requests, tokens, cost = report["requests"], report["tokens"], report["cost"]
    lines = [f"{report['answered']:,} of {report['samples']:,} samples answered, {report['left']:,} left to ask"]
    for name in ("failed", "unreadable"):
        lines += [f"  {name}: {reason} {count:,}" for reason, count in report[name].items()]
    errors = ", ".join(f"{reason} {count:,}" for reason, count in requests["errors"].items()) or "no errors"
    lines.append(
        f"  {requests['started']:,} requests: {errors}; perhaps paid without an answer: {requests['unknown']:,}"
    )
    lines.append(f"  tokens: {tokens['prompt']:,} prompt, {tokens['completion']:,} completion")
    if cost is not None:
        lines.append(f"  cost: {cost['total']:.4f}, of which {cost['wasted']:.4f} for responses without an answer")
    if report["stopped"]:
        lines.append(f"  stopped: {report['stopped']}")
    return "\n".join(lines)
