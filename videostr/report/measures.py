"""Which numbers a run's evaluation has: temporal grounding's, or spatio-temporal reasoning's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from videostr.eval.metrics import THRESHOLDS
from videostr.eval.spatial import MEASURES as OF_KIND

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measures:
    """main, label: the score that comes first, and its name. row: the same of one evaluation row.

    columns: the scores of the table -> their titles; bars: those of the picture.
    of_row: (row, score) -> the row's part in a mean, or None where it has none.
    """

    main: str
    label: str
    row: str
    columns: dict[str, str]
    bars: tuple[str, ...]
    of_row: Callable[[Row, str], Any]


def _grounding(row: Row, score: str) -> Any:
    if score == "miou":
        return row.get("iou")
    if score.startswith("r1@") and row.get("iou") is not None:
        return float(row["iou"] >= float(score[3:]))
    return None


def _spatial(row: Row, score: str) -> Any:
    if score in ("accuracy", "mra", "iou"):
        return row.get("score") if OF_KIND.get(str(row.get("kind"))) == score else None
    # The score of all kinds is a mean of means, which no row has a part in.
    return None if score == "score" else row.get(score)


_RECALLS = tuple(f"r1@{m}" for m in THRESHOLDS)
GROUNDING = Measures(
    main="miou",
    label="mIoU",
    row="iou",
    columns={"miou": "mIoU"} | {r: r.upper() for r in _RECALLS} | {"iop": "IoP", "parse_rate": "answers read"},
    bars=("miou", *_RECALLS),
    of_row=_grounding,
)
SPATIAL = Measures(
    main="score",
    label="score",
    row="score",
    columns={
        "score": "mean of kinds",
        "accuracy": "choices: accuracy",
        "mra": "numbers: MRA",
        "iou": "boxes: IoU",
        "node": "graph: node",
        "distance": "distance",
        "angle": "turn angle",
        "format": "well-formed",
    },
    bars=("accuracy", "mra", "iou", "node", "distance", "angle"),
    of_row=_spatial,
)
