"""Which held-out samples are worth looking at."""

from typing import Any

from videostr.report.run import Run, is_number, is_span


def comparable(run: Run) -> dict[str, dict[str, dict[str, Any]]]:
    """Sample id -> stage -> evaluation row, for the samples that the last stage scored."""
    stages = [stage for stage in run.stages if stage in run.evals]
    if not stages:
        return {}
    by_stage = {s: {str(row["id"]): row for row in run.evals[s] if _usable(run, row)} for s in stages}
    return {name: {s: by_stage[s][name] for s in stages if name in by_stage[s]} for name in by_stage[stages[-1]]}


def choose_samples(run: Run, each: int = 3) -> dict[str, list[str]]:
    """Group -> ids: the samples that the last stage improved most over the one before, typical ones (nearest the median
    score), the best, the worst.

    No sample is shown twice, and as far as possible no video. Ties go to the smaller id, so the same run shows the same
    samples.
    """
    rows = comparable(run)
    if not rows:
        return {}
    key = run.measures.row
    final = {name: list(stages.values())[-1][key] for name, stages in rows.items()}
    before = {name: list(stages.values())[-2][key] for name, stages in rows.items() if len(stages) > 1}
    gain = {name: final[name] - before[name] for name in before if final[name] > before[name]}
    median = sorted(final.values())[len(final) // 2]
    orders = {
        "most improved": sorted(gain, key=lambda name: (-gain[name], name)),
        "typical": sorted(final, key=lambda name: (abs(final[name] - median), name)),
        "best": sorted(final, key=lambda name: (-final[name], name)),
        "worst": sorted(final, key=lambda name: (final[name], name)),
    }
    chosen: dict[str, list[str]] = {}
    seen_ids: set[str] = set()
    seen_videos: set[str] = set()
    for group, order in orders.items():
        picks: list[str] = []
        for fresh_video_only in (True, False):
            for name in order:
                video = str(list(rows[name].values())[-1].get("video"))
                if len(picks) == each or name in seen_ids or (fresh_video_only and video in seen_videos):
                    continue
                picks.append(name)
                seen_ids.add(name)
                seen_videos.add(video)
        if picks:
            chosen[group] = picks
    return chosen


def _usable(run: Run, row: dict[str, Any]) -> bool:
    spans = row.get("spans")
    return (
        "id" in row
        and is_number(row.get(run.measures.row))
        and isinstance(spans, list)
        and bool(spans)
        and all(map(is_span, spans))
    )
