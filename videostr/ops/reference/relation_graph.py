"""Agreement of two relation graphs: nodes matched within their class, then distances, angles and displacements."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .assignment import solve
from .box_iou import box_iou_pairwise
from .shape_matching import match_cost, match_shapes

PARTS = ("node", "distance", "angle", "edge", "displacement", "graph")


class RelationGraph(NamedTuple):
    """Parts in [0, 1], one a graph; match: the true node of each predicted one, -1 for none; frames: where each part,
    in the order of PARTS, has something to score."""

    node_B: Tensor
    distance_B: Tensor
    angle_B: Tensor
    edge_B: Tensor
    displacement_B: Tensor
    graph_B: Tensor
    match_M: Tensor
    frames_B6: Tensor


def relation_graph(
    pred_class_M: Tensor,
    pred_position_MD: Tensor,
    pred_object_M: Tensor | None,
    pred_box_M4: Tensor | None,
    pred_offsets_F1: Tensor,
    true_class_J: Tensor,
    true_position_JD: Tensor,
    true_object_J: Tensor | None,
    true_box_J4: Tensor | None,
    true_offsets_F1: Tensor,
    frame_offsets_B1: Tensor,
    scale_B: Tensor | None,
    displacement_scale_B: Tensor | None,
    angle: str,
    matching: str,
    count_extra: bool,
    scale_invariant: bool,
    edge_matching: str,
) -> RelationGraph:
    """`scale` None: the diagonal of the box around a graph's true nodes; `displacement_scale` None: as `scale`."""
    p, t, frame_offsets = pred_offsets_F1.tolist(), true_offsets_F1.tolist(), frame_offsets_B1.tolist()
    pred, true = pred_position_MD.double(), true_position_JD.double()
    match_M = torch.full((pred.shape[0],), -1, dtype=torch.int64)
    score_BP, frames_BP = torch.zeros(len(frame_offsets) - 1, 6, dtype=torch.float64), []
    for b, (first, last) in enumerate(zip(frame_offsets[:-1], frame_offsets[1:], strict=True)):
        frames = [(slice(p[f], p[f + 1]), slice(t[f], t[f + 1])) for f in range(first, last)]
        scale = _diagonal(true[t[first] : t[last]]) if scale_B is None else float(scale_B[b])
        ious = [_ious(pred_box_M4, true_box_J4, *frame) for frame in frames]
        for (pred_f, true_f), iou_MJ in zip(frames, ious, strict=True):
            match_M[pred_f] = _match(
                pred_class_M[pred_f], pred[pred_f], true_class_J[true_f], true[true_f], iou_MJ, scale, matching
            )
        # where a true node stands in the prediction: NaN for one that is not matched
        seen_JD = torch.full_like(true, math.nan)
        for pred_f, true_f in frames:
            matched = match_M[pred_f] >= 0
            seen_JD[match_M[pred_f][matched] + true_f.start] = pred[pred_f][matched]
        edge_JD = seen_JD
        if edge_matching == "shape":
            edge_JD = torch.full_like(true, math.nan)
            for pred_f, true_f in frames:
                nodes = pred_class_M[pred_f], pred[pred_f], true_class_J[true_f], true[true_f]
                edge_JD[true_f] = match_shapes(*nodes, scale, scale_invariant)
        unit = _unit(true, edge_JD, frames) if scale_invariant else 1.0
        parts: dict[str, list[float]] = {part: [] for part in PARTS}
        for (pred_f, true_f), iou_MJ in zip(frames, ious, strict=True):
            close_J = _closeness((true[true_f] - seen_JD[true_f]).norm(dim=1), scale)
            if iou_MJ is not None:
                close_J = _with_boxes(close_J, match_M[pred_f], iou_MJ)
            of_frame = {
                "node": _node_score(pred_class_M[pred_f], true_class_J[true_f], close_J, count_extra),
                "distance": _distance_score(true[true_f], edge_JD[true_f], unit, scale),
                "angle": _ANGLES[angle](true[true_f], edge_JD[true_f]),
            }
            of_frame["edge"] = _mean(x for x in (of_frame["distance"], of_frame["angle"]) if x is not None)
            of_frame["graph"] = _mean(x for x in (of_frame["node"], of_frame["edge"]) if x is not None)
            for part, value in of_frame.items():
                if value is not None:
                    parts[part].append(value)
        if true_object_J is not None:
            reach = scale if displacement_scale_B is None else float(displacement_scale_B[b])
            identity_J = _identity(pred_object_M, match_M, true_object_J.shape[0], frames)
            for (_, before), (_, after) in zip(frames[:-1], frames[1:], strict=True):
                value = _displacement_score(true, seen_JD, true_object_J, identity_J, before, after, unit, reach)
                if value is not None:
                    parts["displacement"].append(value)
        score_BP[b] = torch.tensor([_mean(parts[part]) or 0.0 for part in PARTS], dtype=torch.float64)
        frames_BP.append([len(parts[part]) for part in PARTS])
        for pred_f, true_f in frames:
            match_M[pred_f] += torch.where(match_M[pred_f] >= 0, true_f.start, 0)
    score_BP = score_BP.to(pred_position_MD.dtype)
    frames_B6 = torch.tensor(frames_BP, dtype=torch.int64).reshape(-1, 6)
    return RelationGraph(*score_BP.unbind(1), match_M, frames_B6)


def _mean(values) -> float | None:
    values = list(values)
    return math.fsum(values) / len(values) if values else None


def _diagonal(true_JD: Tensor) -> float:
    true_JD = true_JD[torch.isfinite(true_JD).all(1)]
    return float((true_JD.amax(0) - true_JD.amin(0)).norm()) if len(true_JD) else 0.0


def _closeness(gap: Tensor, scale: float) -> Tensor:
    """1 at gap 0, 0 from `scale` on; NaN, which stands for a node that is not there, is 0."""
    score = (1 - gap / scale).clamp(min=0) if scale > 0 else (gap == 0).double()
    return torch.nan_to_num(score, nan=0.0)


def _ious(pred_box_M4, true_box_J4, pred_f, true_f) -> Tensor | None:
    """(M, J) of one frame: 0 where the predicted node has no box; NaN where the true one has none."""
    if true_box_J4 is None:
        return None
    true_box = true_box_J4[true_f].double()
    iou_MJ = box_iou_pairwise(pred_box_M4[pred_f].double(), true_box)
    return torch.where(true_box.isnan().any(1), math.nan, iou_MJ)


def _with_boxes(close_J, match_M, iou_MJ) -> Tensor:
    """The similarity of each true node with its match: the mean of closeness and IoU, where it has a box."""
    close_J = close_J.clone()
    for m, j in enumerate(match_M.tolist()):
        if j >= 0 and not iou_MJ[m, j].isnan():
            close_J[j] = (close_J[j] + iou_MJ[m, j]) / 2
    return close_J


def _match(pred_class, pred, true_class, true, iou_MJ, scale, matching) -> Tensor:
    """Index into the frame's true nodes, -1 for none."""
    match_M = torch.full(pred_class.shape, -1, dtype=torch.int64)
    there_M, there_J = torch.isfinite(pred).all(1), torch.isfinite(true).all(1)
    for c in true_class.unique().tolist():
        rows = torch.nonzero((pred_class == c) & there_M)[:, 0]
        columns = torch.nonzero((true_class == c) & there_J)[:, 0]
        gap_RC = torch.cdist(pred[rows], true[columns], compute_mode="donot_use_mm_for_euclid_dist")
        cost_RC = match_cost(gap_RC, scale)
        if iou_MJ is not None:
            iou_RC = iou_MJ[rows][:, columns]
            cost_RC = torch.where(iou_RC.isnan(), cost_RC, (cost_RC + (1 - iou_RC)) / 2)
        if matching == "greedy":
            pairs = _closest_first(gap_RC, torch.zeros_like(gap_RC) if iou_MJ is None else cost_RC)
        else:
            pairs = [(r, k) for r, k in enumerate(solve(cost_RC.tolist())) if k >= 0]
        for r, k in pairs:
            match_M[rows[r]] = columns[k]
    return match_M


def _closest_first(gap_RC: Tensor, cost_RC: Tensor) -> list[tuple[int, int]]:
    """SpaceR's matching: of the pairs whose ends are both free the one of least cost, again and again; ties by gap,
    then by index."""
    pairs, rows, columns = [], set(), set()
    gaps, costs = gap_RC.tolist(), cost_RC.tolist()
    every = ((costs[r][k], gaps[r][k], r, k) for r in range(len(gaps)) for k in range(len(gaps[r])))
    for _, _, r, k in sorted(every):
        if r not in rows and k not in columns:
            pairs.append((r, k))
            rows.add(r)
            columns.add(k)
    return pairs


def _node_score(pred_class, true_class, close_J, count_extra) -> float | None:
    score, weight = 0.0, 0
    for c in true_class.unique().tolist():
        here, count = true_class == c, int((true_class == c).sum())
        score += count * float(close_J[here].sum()) / max(count, int((pred_class == c).sum()))
        weight += count
    if count_extra:
        weight += int((~torch.isin(pred_class, true_class)).sum())
    return score / weight if weight else None


def _pairs(count: int) -> tuple[Tensor, Tensor]:
    return torch.triu_indices(count, count, 1).unbind(0)


def _distance_score(true, seen, unit, scale) -> float | None:
    i, j = _pairs(len(true))
    if len(i) == 0:
        return None
    gap = (true[i] - true[j]).norm(dim=1) - unit * (seen[i] - seen[j]).norm(dim=1)
    return float(_closeness(gap.abs(), scale).mean())


def _direction(position: Tensor) -> Tensor:
    """(n, n) angle of the edge from row to column in the ground plane; NaN where it has none."""
    x, y = (position[None, :, :2] - position[:, None, :2]).unbind(-1)
    return torch.where((x != 0) | (y != 0), torch.atan2(y, x), math.nan)


def _same_angle(a: Tensor, b: Tensor) -> Tensor:
    """1 for one angle, 0 for opposite ones and for NaN."""
    difference = torch.remainder(a - b + math.pi, 2 * math.pi) - math.pi
    return torch.nan_to_num(1 - difference.abs() / math.pi, nan=0.0)


def _turn_score(true, seen) -> float | None:
    true_angle, seen_angle = _direction(true), _direction(seen)
    j, k = _pairs(len(true))
    turn, seen_turn = true_angle[:, k] - true_angle[:, j], seen_angle[:, k] - seen_angle[:, j]
    there = ~turn.isnan()
    return float(_same_angle(turn, seen_turn)[there].mean()) if there.any() else None


def _direction_score(true, seen) -> float | None:
    i, j = _pairs(len(true))
    true_angle, seen_angle = _direction(true)[i, j], _direction(seen)[i, j]
    there = ~true_angle.isnan()
    return float(_same_angle(true_angle, seen_angle)[there].mean()) if there.any() else None


_ANGLES = {"turn": _turn_score, "direction": _direction_score, "none": lambda true, seen: None}


def _unit(true, seen, frames) -> float:
    """What the prediction's lengths are multiplied by, so that the matched edges of the graph sum to the true ones."""
    long, short = 0.0, 0.0
    for _, true_f in frames:
        i, j = _pairs(true_f.stop - true_f.start)
        gap, seen_gap = ((x[true_f][i] - x[true_f][j]).norm(dim=1) for x in (true, seen))
        there = ~seen_gap.isnan()
        long += float(gap[there].sum())
        short += float(seen_gap[there].sum())
    return long / short if short > 0 else 1.0


def _identity(pred_object_M, match_M, count, frames) -> list[int] | None:
    """The predicted object that stands for each true node."""
    if pred_object_M is None:
        return None
    identity_J = [-1] * count
    for pred_f, true_f in frames:
        for m in range(pred_f.start, pred_f.stop):
            if match_M[m] >= 0:
                identity_J[true_f.start + int(match_M[m])] = int(pred_object_M[m])
    return identity_J


def _displacement_score(true, seen, true_object_J, identity_J, before, after, unit, scale) -> float | None:
    objects, gaps = true_object_J.tolist(), []
    for j in range(after.start, after.stop):
        i = next((i for i in range(before.start, before.stop) if objects[i] == objects[j]), None)
        if i is None:
            continue
        gap = (true[j] - true[i]).norm() - unit * (seen[j] - seen[i]).norm()
        same = identity_J is None or identity_J[i] == identity_J[j]
        gaps.append(gap.abs() if same else gap.new_tensor(math.nan))
    return float(_closeness(torch.stack(gaps), scale).mean()) if gaps else None
