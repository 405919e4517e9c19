"""relation_graph from nodes to score against what reward code ships: one answer at a time in Python.

Both peers are written here from what is public about their kind, with nothing in them that ours does not do:
"python loop" takes dicts of class -> centres and matches greedily, as SpaceR's map score does; "python cost, scipy"
builds its cost matrix pair by pair and solves it by scipy, as R1-SGG's does, and has numpy for the edges. Texts are
parsed beforehand. Both know one matching, by position, for nodes and edges alike; ours is timed as that and with its
default, edges matched by shape, which is a second matching that the peers do without.
"""

import itertools
import math
import platform
from collections.abc import Callable

import numpy as np
import scipy
import torch
from scipy.optimize import linear_sum_assignment

import videostr
from benchmarks import costs
from videostr import ops

SCALE = 10 * math.sqrt(2)
TINY = (4, 3, 4)
CLASSES = 6


def sizes(device: torch.device, quick: bool) -> list[tuple[str, tuple[int, int, int]]]:
    """(graphs, fewest nodes, most nodes)"""
    size = (32, 8, 16) if quick else (2048, 8, 16)
    return [(f"{nodes}, {edges}", size) for edges in ("position", "shape") for nodes in ("greedy", "optimal")]


def shape(size: tuple[int, int, int]) -> str:
    return f"B={size[0]} nodes={size[1]}-{size[2]}"


def cost(mode: str, size: tuple[int, int, int]) -> costs.Cost:
    return costs.relation_graph(size[0], (size[1] + size[2]) // 2, by_shape=CLASSES if mode.endswith("shape") else 0)


def providers(mode: str, size: tuple[int, int, int]) -> dict[str, str]:
    peer = {"greedy": ("python loop", platform.python_version()), "optimal": ("python cost, scipy", scipy.__version__)}
    return {"videostr": videostr.__version__} | dict([peer[_matchings(mode)[0]]])


def make(provider: str, mode: str, device: str, size: tuple[int, int, int] | str) -> Callable[[], torch.Tensor]:
    graphs = _graphs(*(TINY if size == "tiny" else size))
    if provider == "videostr":
        arguments = _packed(graphs, torch.float32, device)
        nodes, edges = _matchings(mode)
        return lambda: ops.relation_graph(*arguments, matching=nodes, count_extra=False, edge_matching=edges).graph_B
    if provider == "python loop":
        answers = [tuple(map(_by_class, graph)) for graph in graphs]
        return lambda: torch.tensor([_python_score(*answer) for answer in answers])
    answers = [tuple((c, np.array(x).reshape(-1, 2)) for c, x in graph) for graph in graphs]
    return lambda: torch.tensor([_scipy_score(*answer) for answer in answers])


def error(provider: str, mode: str, device: str, size: tuple[int, int, int]) -> float:
    arguments = _packed(_graphs(*size), torch.float64, "cpu")
    nodes = (arguments[0], arguments[1], None, arguments[2], arguments[3], arguments[4], None, *arguments[5:])
    scale_B = torch.full((size[0],), SCALE, dtype=torch.float64)
    matchings = _matchings(mode) if provider == "videostr" else (_matchings(mode)[0], "position")
    truth = ops.reference.relation_graph(
        *nodes, scale_B, None, "turn", matchings[0], False, False, matchings[1]
    ).graph_B
    return float((make(provider, mode, device, size)().cpu().double() - truth).abs().max())


def _matchings(mode: str) -> tuple[str, str]:
    """Of the nodes, of the edges."""
    nodes, edges = mode.split(", ")
    return nodes, edges


Nodes = tuple[list[int], list[tuple[float, float]]]


def _graphs(count: int, fewest: int, most: int) -> list[tuple[Nodes, Nodes]]:
    """(prediction, truth) a graph: classes and centres; the prediction is off by a cell or so and misses a tenth."""
    random = np.random.default_rng(0)
    graphs = []
    for _ in range(count):
        nodes = int(random.integers(fewest, most + 1))
        kind, place = random.integers(0, CLASSES, nodes), random.random((nodes, 2)) * 10
        kept, seen = random.random(nodes) < 0.9, place + random.normal(size=(nodes, 2))
        graphs.append(((kind[kept].tolist(), seen[kept].tolist()), (kind.tolist(), place.tolist())))
    return graphs


def _packed(graphs: list[tuple[Nodes, Nodes]], dtype: torch.dtype, device: str) -> tuple[torch.Tensor, ...]:
    packed = []
    for side in (0, 1):
        counts = [len(graph[side][0]) for graph in graphs]
        packed.append(torch.tensor([c for graph in graphs for c in graph[side][0]]))
        packed.append(torch.tensor([x for graph in graphs for x in graph[side][1]], dtype=dtype))
        packed.append(torch.tensor([0, *itertools.accumulate(counts)]))
    return tuple(x.to(device) for x in (*packed, torch.arange(len(graphs) + 1)))


def _by_class(nodes: Nodes) -> dict[int, list[tuple[float, float]]]:
    found: dict[int, list[tuple[float, float]]] = {}
    for c, x in zip(*nodes, strict=True):
        found.setdefault(c, []).append(x)
    return found


def _python_score(pred: dict, true: dict) -> float:
    node, weight, pairs = 0.0, 0, []  # of true nodes: (place, where it is in the prediction or None)
    for c, centres in true.items():
        seen = pred.get(c, [])
        gaps = sorted((math.dist(p, g), i, j) for i, p in enumerate(seen) for j, g in enumerate(centres))
        used, partner, score = set(), {}, 0.0
        for gap, i, j in gaps:
            if i in used or j in partner:
                continue
            used.add(i)
            partner[j] = seen[i]
            score += max(0.0, 1 - gap / SCALE)
        node += len(centres) * score / max(len(seen), len(centres))
        weight += len(centres)
        pairs += [(g, partner.get(j)) for j, g in enumerate(centres)]
    length, edges = 0.0, 0
    for (g, p), (h, q) in itertools.combinations(pairs, 2):
        edges += 1
        if p is not None and q is not None:
            length += max(0.0, 1 - abs(math.dist(g, h) - math.dist(p, q)) / SCALE)
    angle, turns = 0.0, 0
    for i, (g, p) in enumerate(pairs):
        for (h, q), (k, r) in itertools.combinations(pairs[:i] + pairs[i + 1 :], 2):
            turns += 1
            if p is not None and q is not None and r is not None:
                true_turn = math.atan2(k[1] - g[1], k[0] - g[0]) - math.atan2(h[1] - g[1], h[0] - g[0])
                seen_turn = math.atan2(r[1] - p[1], r[0] - p[0]) - math.atan2(q[1] - p[1], q[0] - p[0])
                angle += 1 - abs(math.remainder(true_turn - seen_turn, 2 * math.pi)) / math.pi
    return (node / weight + (length / edges + angle / turns) / 2) / 2


def _scipy_score(pred: tuple[list[int], np.ndarray], true: tuple[list[int], np.ndarray]) -> float:
    (pred_class, seen), (true_class, place) = pred, true
    cost = np.full((len(seen), len(place)), 1e3)
    for i, c in enumerate(pred_class):
        for j, k in enumerate(true_class):
            if c == k:
                cost[i, j] = np.linalg.norm(seen[i] - place[j])
    partner, score = np.full_like(place, np.nan), dict.fromkeys(true_class, 0.0)
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        if pred_class[i] == true_class[j]:
            partner[j] = seen[i]
            score[true_class[j]] += max(0.0, 1 - cost[i, j] / SCALE)
    node = 0.0
    for c, value in score.items():
        count = true_class.count(c)
        node += count * value / max(count, pred_class.count(c))
    edge, seen_edge = place[None] - place[:, None], partner[None] - partner[:, None]
    off = np.abs(np.linalg.norm(edge, axis=-1) - np.linalg.norm(seen_edge, axis=-1)) / SCALE
    upper = np.triu_indices(len(place), 1)
    length = np.nan_to_num(np.maximum(0, 1 - off))[upper].mean()
    direction, seen_direction = (np.arctan2(x[..., 1], x[..., 0]) for x in (edge, seen_edge))
    off = direction - seen_direction
    turn = off[:, None, :] - off[:, :, None]
    same = np.nan_to_num(1 - np.abs((turn + np.pi) % (2 * np.pi) - np.pi) / np.pi)
    j, k = upper
    i = np.arange(len(place))[:, None]
    angle = same[:, j, k][(i != j) & (i != k)].mean()
    return float((node / len(place) + (length + angle) / 2) / 2)
