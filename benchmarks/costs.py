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


def temporal_iou(n: int, itemsize: int = 4) -> Cost:
    """Two intervals in, one number out; about 20 FLOPs with the division, in double whatever the dtype."""
    return Cost(n * 5 * itemsize, {"fp64": 20.0 * n}, 1)


def temporal_iou_pairwise(rows: int, columns: int, itemsize: int = 4) -> Cost:
    """Both lists in once, the matrix out."""
    return Cost((2 * (rows + columns) + rows * columns) * itemsize, {"fp64": 20.0 * rows * columns}, 1)


def temporal_iou_sets(answers: int, pred: int, target: int, itemsize: int = 4) -> Cost:
    """pred and target intervals an answer, two int64 offsets an answer, one number out."""
    spans = answers * (pred + target)
    return Cost(spans * 2 * itemsize + answers * (16 + itemsize), {"fp64": 10.0 * spans}, None)


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


def relation_graph(graphs: int, nodes: int, itemsize: int = 4) -> Cost:
    """2-D positions and classes of as many predicted as true nodes and three offsets a graph in; scores, counts and
    matches out.

    Of a frame of n nodes n² distances of classes (10), n² edges (60 with their angles) and n³ / 2 turns (4), in double.
    """
    moved = graphs * (2 * nodes * (2 * itemsize + 8) + 3 * 8 + nodes * 8 + 6 * (itemsize + 8))
    return Cost(moved, {"fp64": graphs * (70.0 * nodes**2 + 2.0 * nodes**3)}, 1)


# operator -> (cost, the shapes its table row and its benchmark are about)
SHAPES: dict[str, tuple[Callable[..., Cost], tuple[dict[str, int], ...]]] = {
    "linear_logprob": (linear_logprob, ({"N": 8192, "D": 4096, "V": 151_936}, {"N": 4096, "D": 3584, "V": 152_064})),
    "linear_policy_loss": (linear_policy_loss, ({"N": 8192, "D": 4096, "V": 151_936},)),
    "group_advantage": (group_advantage, ({"N": 2048, "B": 256}, {"N": 65_536, "B": 4096})),
    "policy_loss": (policy_loss, ({"N": 2048, "L": 512},)),
    "temporal_iou": (temporal_iou, ({"n": 65_536}, {"n": 1 << 24})),
    "temporal_iou_pairwise": (temporal_iou_pairwise, ({"rows": 4096, "columns": 4096},)),
    "assignment": (assignment, tuple({"problems": 4096, "side": side} for side in (8, 16, 32))),
    "assignment_ragged": (assignment_ragged, ({"problems": 4096, "side": 12},)),
    "relation_graph": (relation_graph, ({"graphs": 2048, "nodes": 12},)),
    "temporal_iou_sets": (temporal_iou_sets, ({"answers": 4096, "pred": 8, "target": 6},)),
}
