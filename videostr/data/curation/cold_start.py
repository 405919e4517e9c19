"""The cold-start filter: which annotator answers are good enough to imitate.

An answer is kept if its format is right and its interval fits one of the data set's own. That rule and its threshold
are ours (grade O: the paper's are not public); known is only that 13K of 56K annotations were used (C).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import torch

from videostr import ops
from videostr.data.curation.step import Step
from videostr.data.samples import Sample

PAPER_TOTAL, PAPER_KEPT = 56_000, 13_000


class Parsed(Protocol):
    """What `videostr.rewards.parse_interval` returns. It is passed in: this package does not import the ones that build
    on it."""

    span: tuple[float, float] | None
    format_ok: bool
    reason: str


class Answer(Step):
    """Refuses a sample whose `response` is missing ("no_response"), not well formed (the parser's code), or whose
    interval has an IoU below `min_iou` with every true one ("low_iou").

    parse: text -> interval, format, reason. parser: its name, for the report; a killed run is not continued with
    another. Raises ValueError for `min_iou` outside [0, 1].
    """

    name = "answer"

    def __init__(self, parse: Callable[[str], Parsed], min_iou: float = 0.5, parser: str | None = None):
        if not 0 <= min_iou <= 1:
            raise ValueError(f"min_iou: expected a number in [0, 1], got {min_iou!r}")
        self.parse, self.min_iou, self.parser = parse, min_iou, parser

    def settings(self) -> dict[str, Any]:
        return {"min_iou": self.min_iou, "parser": self.parser}

    def refuse(self, sample: Sample) -> tuple[str, str] | None:
        reason, iou = self.judge(sample)
        return None if reason is None else (reason, f"IoU {iou:.3f}" if reason == "low_iou" else "")

    def judge(self, sample: Sample) -> tuple[str | None, float]:
        """(why the sample is refused, or None; its IoU). A question without intervals is refused as "no_interval"."""
        if sample.response is None:
            return "no_response", 0.0
        if not sample.spans:
            return "no_interval", 0.0
        parsed = self.parse(sample.response)
        if parsed.span is None or not parsed.format_ok:
            return parsed.reason, 0.0
        pred_2 = torch.tensor(parsed.span, dtype=torch.float64)
        iou = ops.temporal_iou(pred_2, torch.tensor(sample.spans, dtype=torch.float64), kind="iou").max().item()
        return (None if iou >= self.min_iou else "low_iou"), iou


class CurationResult(NamedTuple):
    """samples: the kept ones, in order; report: plain numbers, ready for JSON."""

    samples: list[Sample]
    report: dict[str, Any]


def filter_cold_start(
    samples: Iterable[Sample], parse: Callable[[str], Parsed], min_iou: float = 0.5
) -> CurationResult:
    """Keep the samples that `Answer` does not refuse: the recipe's filter, in memory.

    Returns:
        the kept samples and a report: total, kept, kept_fraction, min_iou, paper_total, paper_kept, mean_iou_kept (None
        if none), and reasons, the count of each cause of refusal.

    Raises:
        ValueError: `min_iou` outside [0, 1].
    """
    step = Answer(parse, min_iou)
    kept, reasons, ious, total = [], {}, [], 0
    for sample in samples:
        total += 1
        reason, iou = step.judge(sample)
        if reason is None:
            kept.append(sample)
            ious.append(iou)
        else:
            reasons[reason] = reasons.get(reason, 0) + 1
    report = {
        "total": total,
        "kept": len(kept),
        "kept_fraction": len(kept) / total if total else 0.0,
        "min_iou": min_iou,
        "paper_total": PAPER_TOTAL,
        "paper_kept": PAPER_KEPT,
        "mean_iou_kept": sum(ious) / len(ious) if ious else None,
        "reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    }
    return CurationResult(kept, report)
