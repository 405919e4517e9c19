"""Two evaluations of one benchmark side by side: differences, whether chance explains them, what was not the same."""

import os
from typing import Any

from videostr.eval.benchmarks import get_benchmark
from videostr.eval.resampling import compare
from videostr.eval.results import EvalError, Row, read_results

_IGNORED = ("model", "limit", "thinking")


def compare_runs(a: str | os.PathLike, b: str | os.PathLike, *, resamples: int = 10_000, seed: int = 0) -> Row:
    """Run b against run a, on the samples that both answered.

    Returns: benchmark, a, b (folders), samples (shared), only_a, only_b (counts), metrics (name -> a, b, difference,
    low, high, p_value), changed (setting -> [a's, b's]), better, worse, same (samples by their score), resamples.

    Raises EvalError: a folder without a finished evaluation, different benchmarks, other truths of one id, or no shared
    sample. ValueError: resamples < 1.
    """
    (rows_a, summary_a), (rows_b, summary_b) = read_results(a), read_results(b)
    if summary_a["benchmark"] != summary_b["benchmark"]:
        raise EvalError(f"{a} is of {summary_a['benchmark']}, {b} of {summary_b['benchmark']}: nothing to compare")
    by_id = {row["id"]: row for row in rows_b}
    pairs = [(row, by_id[row["id"]]) for row in rows_a if row["id"] in by_id]
    if not pairs:
        raise EvalError(f"{a} and {b} share no sample")
    for one, other in pairs:
        if _truth(one) != _truth(other):
            raise EvalError(f"sample {one['id']!r} is not the same in {a} and {b}: other data")
    aggregate = get_benchmark(summary_a["benchmark"]).aggregate
    clusters = [one["video"].replace(os.sep, "/").rsplit("/", 1)[-1] for one, _ in pairs]
    differences = compare(
        [one["cells"] for one, _ in pairs],
        [other["cells"] for _, other in pairs],
        clusters,
        aggregate,
        seed=seed,
        resamples=resamples,
    )
    gaps = [other["score"] - one["score"] for one, other in pairs]
    return {
        "benchmark": summary_a["benchmark"],
        "title": summary_a["title"],
        "headline": [name for name in summary_a["headline"] if name in differences],
        "a": os.fspath(a),
        "b": os.fspath(b),
        "samples": len(pairs),
        "videos": len(set(clusters)),
        "only_a": len(rows_a) - len(pairs),
        "only_b": len(rows_b) - len(pairs),
        "metrics": {name: difference._asdict() for name, difference in differences.items()},
        "changed": _changed(summary_a, summary_b),
        "better": sum(gap > 0 for gap in gaps),
        "worse": sum(gap < 0 for gap in gaps),
        "same": sum(gap == 0 for gap in gaps),
        "resamples": resamples,
    }


def _truth(row: Row) -> list[Any]:
    """What a sample asks, and what is right."""
    return [row["query"], row["spans"], *(row["meta"].get(name) for name in ("options", "answer", "ans", "boxes"))]


def _changed(a: Row, b: Row) -> dict[str, list[Any]]:
    changed = {}
    for section in ("run", "versions"):
        for name in {**a[section], **b[section]}:
            pair = [a[section].get(name), b[section].get(name)]
            if pair[0] != pair[1] and name not in _IGNORED:
                changed[name] = pair
    return changed


def to_text(report: Row) -> str:
    """The comparison for people."""
    lines = [
        f"{report['title']}: {report['samples']:,} shared samples of {report['videos']:,} videos"
        f" (only in a {report['only_a']:,}, only in b {report['only_b']:,})",
        f"  a  {report['a']}",
        f"  b  {report['b']}",
    ]
    names = [*report["headline"], *(name for name in report["metrics"] if name not in report["headline"])]
    width = max(map(len, names))
    lines.append(f"  {'':<{width}}  {'a':>7}  {'b':>7}  {'b - a':>8}  {'95 %':<20}  p")
    for name in names:
        row = report["metrics"][name]
        if row["difference"] is None:
            lines.append(f"  {name:<{width}}  not in both")
            continue
        spread = "-" if row["low"] is None else f"[{row['low']:+.4f}, {row['high']:+.4f}]"
        shown = f"{row['a']:7.4f}  {row['b']:7.4f}  {row['difference']:+8.4f}  {spread:<20}  {row['p_value']:.4f}"
        lines.append(f"  {name:<{width}}  {shown}")
    lines.append(f"  samples: {report['better']:,} better in b, {report['worse']:,} worse, {report['same']:,} the same")
    lines += [f"  not the same: {name}: {first!r} -> {second!r}" for name, (first, second) in report["changed"].items()]
    lines.append(
        f"  paired bootstrap and permutation over videos, {report['resamples']:,} each; p is not corrected for"
        " looking at several metrics"
    )
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")
