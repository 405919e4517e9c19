"""What a call of each operator must do at least: bytes moved, FLOPs, kernel launches.

Bytes: every input read once, every output written once, nothing kept in a cache between calls. FLOPs: by the unit that
does them. Both are properties of the task, so they hold for every implementation; `launches` is ours.
A new operator is one more function and one more row of `SHAPES`.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """flops: unit ("bf16_tensor", "fp32", "fp64") -> how many. launches: None while our GPU path is torch code."""

    bytes: int
    flops: dict[str, float]
    launches: int | None


def linear_logprob(N: int, D: int, V: int, itemsize: int = 2) -> Cost:
    """Forward and backward with three GEMMs, 6 N D V: logits, hidden's gradient, weight's gradient.

    hidden and its gradient, weight and its gradient, target, log-prob, entropy and their gradients; no logits.
    """
    return Cost(2 * itemsize * (N * D + V * D) + N * (8 + 4 * 4), {"bf16_tensor": 6.0 * N * D * V}, None)


def linear_policy_loss(N: int, D: int, V: int, itemsize: int = 2) -> Cost:
    """As linear_logprob; of a token its id, old log-prob, advantage and weight come in, nothing goes out."""
    return Cost(2 * itemsize * (N * D + V * D) + N * (8 + 3 * 4), {"bf16_tensor": 6.0 * N * D * V}, None)


def group_advantage(N: int, B: int, itemsize: int = 4) -> Cost:
    """reward and id in, advantage out; mean, std, extremes, count and a flag a group. About 10 FLOPs an answer."""
    return Cost(N * (2 * itemsize + 8) + B * (4 * itemsize + 9), {"fp32": 10.0 * N}, 1)


def policy_loss(N: int, L: int, itemsize: int = 4) -> Cost:
    """Log-prob, old and reference log-prob and entropy in, two gradients out, a mask byte a token; about 30 FLOPs."""
    return Cost(N * L * (6 * itemsize + 1) + N * itemsize, {"fp32": 30.0 * N * L}, 2)


def prefix_attention(P: int, G: int, L: int, H: int, Hk: int, D: int, itemsize: int = 2) -> Cost:
    """Forward and backward, 12 FLOPs a pair of query and visible key, head and width; states and gradients once."""
    pairs = P * (P + 1) // 2 + G * (L * P + L * (L + 1) // 2)
    flops = {"bf16_tensor" if itemsize == 2 else "fp32": 12.0 * D * H * pairs}
    return Cost(2 * itemsize * (P + G * L) * D * 2 * (H + Hk), flops, None)


def frames_to_patches(frames: int, height: int, width: int, rows: int, columns: int, itemsize: int = 4) -> Cost:
    """4:2:0 planes in, rows x columns pixels of three channels out; a launch a frame. Integer work: no FLOPs."""
    return Cost(frames * (height * width * 3 // 2 + 3 * rows * columns * itemsize), {"fp32": 0.0}, frames)


def normalise_patches(rows: int, columns: int, itemsize: int = 2) -> Cost:
    """A byte in, an element out. No FLOPs: a table."""
    return Cost(rows * columns * (1 + itemsize), {"fp32": 0.0}, 1)


def temporal_iou(n: int, itemsize: int = 4) -> Cost:
    """Two intervals in, one number out; about 20 FLOPs with the division, in double whatever the dtype."""
    return Cost(n * 5 * itemsize, {"fp64": 20.0 * n}, 1)


def temporal_iou_pairwise(rows: int, columns: int, itemsize: int = 4) -> Cost:
    """Both lists in once, the matrix out."""
    return Cost((2 * (rows + columns) + rows * columns) * itemsize, {"fp64": 20.0 * rows * columns}, 1)


def temporal_set_scores(answers: int, pred: int, target: int, itemsize: int = 4) -> Cost:
    """pred and target intervals an answer and two int64 offsets in, five numbers out; with one pass over sorted ends
    about 10 FLOPs an interval, and about 25 a pair of the segments that are matched as written."""
    spans = answers * (pred + target)
    flops = 10.0 * spans + 25.0 * answers * min(pred, target)
    return Cost(spans * 2 * itemsize + answers * (16 + 5 * itemsize), {"fp64": flops}, 1)


def temporal_nms(problems: int, spans: int, kept: int, itemsize: int = 4) -> Cost:
    """`spans` intervals and scores a problem and an offset in, a byte each out. Each interval is compared with about
    half of those that stay: about 12 FLOPs a pair."""
    total = problems * spans
    return Cost(total * (3 * itemsize + 1) + problems * 8, {"fp64": 6.0 * total * kept}, 1)


def temporal_average_precision(problems: int, pred: int, target: int, thresholds: int, itemsize: int = 4) -> Cost:
    """Intervals, scores and two offsets in, a number a threshold out; every pair's IoU, 12 FLOPs."""
    moved = problems * ((3 * pred + 2 * target + thresholds) * itemsize + 16)
    return Cost(moved, {"fp64": 12.0 * problems * pred * target}, None)


def box_iou(n: int, itemsize: int = 4) -> Cost:
    """Two boxes in, one number out; about 20 FLOPs with the division, in double whatever the dtype."""
    return Cost(n * 9 * itemsize, {"fp64": 20.0 * n}, 1)


def box_iou_pairwise(rows: int, columns: int, itemsize: int = 4) -> Cost:
    """Both lists in once, the matrix out."""
    return Cost((4 * (rows + columns) + rows * columns) * itemsize, {"fp64": 20.0 * rows * columns}, 1)


def box3d_iou(n: int, itemsize: int = 4) -> Cost:
    """Two boxes of 7 in, one number out; four cuts of up to 8 corners and the area, about 250 FLOPs."""
    return Cost(n * 15 * itemsize, {"fp64": 250.0 * n}, 1)


def box3d_iou_pairwise(rows: int, columns: int, itemsize: int = 4) -> Cost:
    """Both lists in once, the matrix out."""
    return Cost((7 * (rows + columns) + rows * columns) * itemsize, {"fp64": 250.0 * rows * columns}, 1)


def tube_iou(answers: int, frames: int, itemsize: int = 4) -> Cost:
    """A box and an int64 frame a row, as many predicted as true ones, and two offsets in, a number an answer out."""
    rows = 2 * answers * frames
    return Cost(rows * (4 * itemsize + 8) + answers * (16 + itemsize), {"fp64": 20.0 * answers * frames}, 1)


def assignment(problems: int, side: int, itemsize: int = 4) -> Cost:
    """Square costs in; column of each row, row of each column and a total out. Its FLOPs depend on the numbers: at
    the least every cost is compared with a row's and a column's lowest so far, in double."""
    return Cost(
        problems * (side * side * itemsize + 2 * side * 8 + itemsize), {"fp64": 2.0 * problems * side * side}, 1
    )


def assignment_ragged(problems: int, side: int, itemsize: int = 4) -> Cost:
    """The same, and three offsets a problem."""
    dense = assignment(problems, side, itemsize)
    return Cost(dense.bytes + problems * 3 * 8, dense.flops, 1)


def relation_graph(graphs: int, nodes: int, by_shape: int = 0, itemsize: int = 4) -> Cost:
    """2-D positions and classes of as many predicted as true nodes and three offsets a graph in; scores, counts and
    matches out.

    Of a frame of n nodes n² distances of classes (10), n² edges (60 with their angles) and n³ / 2 turns (4), in double.
    by_shape: how many classes a frame has where its edges are matched by shape, of equal size; 0: they are matched as
    the nodes are. The matching by shape measures (8) both sides' nodes from C centres and then from n nodes, and
    compares (5) the n² / C pairs of a class by each.
    """
    moved = graphs * (2 * nodes * (2 * itemsize + 8) + 3 * 8 + nodes * 8 + 6 * (itemsize + 8))
    flops = 70.0 * nodes**2 + 2.0 * nodes**3
    if by_shape:
        flops += (by_shape + nodes) * (2 * 8.0 * nodes + 5.0 * nodes**2 / by_shape)
    return Cost(moved, {"fp64": graphs * flops}, 1)


# operator -> (cost, the shapes its table row and its benchmark are about)
SHAPES: dict[str, tuple[Callable[..., Cost], tuple[dict[str, int], ...]]] = {
    "linear_logprob": (linear_logprob, ({"N": 8192, "D": 4096, "V": 151_936}, {"N": 4096, "D": 3584, "V": 152_064})),
    "linear_policy_loss": (linear_policy_loss, ({"N": 8192, "D": 4096, "V": 151_936},)),
    "group_advantage": (group_advantage, ({"N": 2048, "B": 256}, {"N": 65_536, "B": 4096})),
    "policy_loss": (policy_loss, ({"N": 2048, "L": 512},)),
    "prefix_attention": (prefix_attention, ({"P": 4096, "G": 16, "L": 128, "H": 28, "Hk": 4, "D": 128},)),
    "frames_to_patches": (
        frames_to_patches,
        ({"frames": 120, "height": 720, "width": 1280, "rows": 560, "columns": 1008},),
    ),
    "frames_to_patches_ragged": (
        frames_to_patches,
        ({"frames": 8 * 64, "height": 720, "width": 1280, "rows": 224, "columns": 420},),
    ),
    "normalise_patches": (normalise_patches, ({"rows": 60 * 40 * 72, "columns": 1176},)),
    "temporal_iou": (temporal_iou, ({"n": 65_536}, {"n": 1 << 24})),
    "temporal_iou_pairwise": (temporal_iou_pairwise, ({"rows": 4096, "columns": 4096},)),
    "temporal_set_scores": (temporal_set_scores, ({"answers": 4096, "pred": 8, "target": 6},)),
    "temporal_nms": (temporal_nms, ({"problems": 1024, "spans": 200, "kept": 40},)),
    "temporal_average_precision": (
        temporal_average_precision,
        ({"problems": 1550, "pred": 10, "target": 2, "thresholds": 10},),
    ),
    "box_iou": (box_iou, ({"n": 65_536},)),
    "box_iou_pairwise": (box_iou_pairwise, ({"rows": 4096, "columns": 4096},)),
    "box3d_iou": (box3d_iou, ({"n": 65_536},)),
    "box3d_iou_pairwise": (box3d_iou_pairwise, ({"rows": 1024, "columns": 1024},)),
    "tube_iou": (tube_iou, ({"answers": 4096, "frames": 32},)),
    "assignment": (assignment, tuple({"problems": 4096, "side": side} for side in (8, 16, 32))),
    "assignment_ragged": (assignment_ragged, ({"problems": 4096, "side": 12},)),
    "relation_graph": (relation_graph, ({"graphs": 2048, "nodes": 12}, {"graphs": 2048, "nodes": 12, "by_shape": 6})),
}
