"""relation_graph: how far predicted scene graphs agree with true ones; nodes, distances, turn angles, displacements."""

import math

import torch
from torch import Tensor

from . import reference
from ._library import (
    any_device,
    check_choice,
    check_device,
    check_number,
    check_offsets,
    check_shape,
    check_tensor,
    readable,
)
from .reference import RelationGraph

ANGLES = ("turn", "direction", "none")
MATCHINGS = ("optimal", "greedy")
EDGE_MATCHINGS = ("shape", "position")
GRID_SCALE = 10 * math.sqrt(2)  # the diagonal of SpaceR's 10 x 10 grid


def relation_graph(
    pred_class_M: Tensor,
    pred_position_MD: Tensor,
    pred_offsets_F1: Tensor,
    true_class_J: Tensor,
    true_position_JD: Tensor,
    true_offsets_F1: Tensor,
    frame_offsets_B1: Tensor,
    *,
    scale: float | str | Tensor = "grid",
    angle: str = "turn",
    matching: str = "optimal",
    count_extra: bool = True,
    scale_invariant: bool = False,
    edge_matching: str = "shape",
    pred_object_M: Tensor | None = None,
    true_object_J: Tensor | None = None,
    pred_box_M4: Tensor | None = None,
    true_box_J4: Tensor | None = None,
    displacement_scale: float | Tensor | None = None,
) -> RelationGraph:
    """Agreement of B predicted relation graphs with the true ones, in parts of [0, 1].

    Graph b is the frames from frame_offsets[b] to frame_offsets[b + 1], a frame f the predicted nodes from
    pred_offsets[f] to pred_offsets[f + 1] and likewise the true ones. A node is an object: its class and its
    position. Per frame, nodes of one class are matched one to one; with p(i) where true node i stands in the
    prediction, g(i) where it is, and close(x) = max(0, 1 - x / scale):

        node          Σ_c n_true(c) acc_c / Σ_c n_true(c), acc_c = Σ_matched close(|p - g|) / max(n_pred(c), n_true(c)):
                      SpaceR's map score (grade C for SpaceR). With count_extra the divisor also has the predicted
                      nodes of classes that the frame does not have (O).
        distance      mean over the true edges i < j of close(| |g(j) - g(i)| - |p(j) - p(i)| |) (O)
        angle         "turn": mean over i and over j < k of 1 - |Δφ| / π, φ the signed angle at i from j to k. It does
                      not change when a scene is turned, and sees a mirror image. "direction": mean over the edges of
                      1 - |Δθ| / π, θ the edge's own direction, which does change. (O)
        edge          (distance + angle) / 2
        graph         (node + edge) / 2
        displacement  mean over the true objects that are in a frame and in the one before it of
                      close(| |g' - g| - |p' - p| |), how far they moved (O). Not a part of graph.

    The last three rows' means are of what there is: a frame without edges (one true node) has graph = node; one without
    turns (two nodes, or all in one place) edge = distance. Every part is averaged over the frames of the graph in
    which it is defined; `frames` counts those, and a part that is defined in none is 0. A frame without true nodes
    has nothing to score, except under count_extra where something was predicted in it: node 0.

    An edge or angle with an end that is not matched scores 0. So does an angle of two predicted nodes in one place; a
    true edge without length has no angle and is left out. A predicted position that is not finite is matched with
    nothing, and counts as predicted. The result is never NaN.

    3-D: the first two coordinates are the ground plane, the third points up. Distances are in space, angles are between
    the projections on the ground: what a camera that turns about the vertical leaves unchanged.

    With boxes (O) close(|p - g|) in the node score is, for a true node that has a box, (close(|p - g|) + IoU) / 2, the
    IoU being 0 where its predicted node has no box, or one that is reversed or not finite. A true node without a box
    goes by position alone. Only node and match_M look at boxes, and displacement through match_M; edges do not, except
    with edge_matching="position".

    "optimal" matching makes the sum of these greatest, and of such matchings takes one of least distances (an
    assignment problem, O); "greedy" takes the closest pair again and again (SpaceR's, C), with boxes the most alike
    (O). Both look at positions, and at boxes where there are any; node, displacement and match_M go by them.

    Distance and angle have a matching of their own, edge_matching="shape" (O), so that they do not change when the
    prediction is turned, moved or mirrored as a whole (scaled: with scale_invariant). Within a class it is an
    assignment whose costs compare lengths alone: how far the predicted node lies from each class's centre against how
    far the true one does, and then once more from the nodes that were matched by these instead of the centres. In a
    layout that is symmetric, or nearly, nodes that lengths cannot tell apart go by position; nor can they tell the two
    sides of a line on which all the rest stands, so a turned prediction may there be matched mirrored. "position":
    by the nodes' matching. The two are one where no class occurs twice in a frame of either side.

    Args:
        pred_class_M, true_class_J: integers.
        pred_position_MD, true_position_JD: (M, D), (J, D), D = 2 or 3, one dtype, float32 or float64, one unit of
            length. True ones are finite.
        pred_offsets_F1, true_offsets_F1: (F + 1,) integers from 0 to M (J) that do not fall.
        frame_offsets_B1: (B + 1,) integers from 0 to F that do not fall.
        scale: what is too far: a number > 0 (metres, for positions in metres), (B,) numbers, "grid" (10 √2, the
            diagonal of SpaceR's 10 x 10 cells) or "diagonal", that of the axis-aligned box around the graph's true
            nodes. Where that is 0 only an exact hit scores.
        angle: "turn", "direction", or "none": then edge = distance.
        matching: "optimal" or "greedy".
        count_extra: whether predicted nodes of a class that the frame does not have lower the node score.
        edge_matching: "shape" or "position".
        scale_invariant: multiply the prediction's lengths by the number that makes its matched edges, over the whole
            graph, sum to the true ones: distance and displacement are then of shape alone. The node score is not.
        true_object_J: which object a true node is, one id at most once a frame; with them displacement is scored.
        pred_object_M: the same of the predicted ones: a displacement counts only where both ends are one predicted
            object. Default: a predicted node is the object that it was matched with.
        pred_box_M4, true_box_J4: x0, y0, x1, y1, in the positions' dtype, in one unit; both or neither. A row of NaN
            is a node without a box; all others of the truth are finite and not reversed.
        displacement_scale: > 0, the scale of displacement, one number or (B,); default: as scale. Objects move much
            less far than a room is wide, and against its diagonal a still picture of a moving scene scores nearly 1.

    Returns:
        RelationGraph(node_B, distance_B, angle_B, edge_B, displacement_B, graph_B, match_M, frames_B6): parts in the
        dtype of the positions (computed in float64); match_M (int64) the true node, as an index into true_class_J,
        that each predicted node was matched with, or -1; frames_B6 (int64) in how many frames each of the six parts,
        in this order, is defined. Not differentiable.

    Raises:
        TypeError, ValueError: an argument is not as above (values are checked on the CPU only).
    """
    checked = (pred_class_M, pred_position_MD, pred_offsets_F1, true_class_J, true_position_JD, true_offsets_F1)
    _check_nodes("pred", *checked[:3])
    _check_nodes("true", *checked[3:])
    if pred_position_MD.dtype != true_position_JD.dtype:
        raise TypeError(
            "pred_position and true_position must have one dtype, "
            f"got {pred_position_MD.dtype} and {true_position_JD.dtype}"
        )
    if pred_position_MD.shape[1] != true_position_JD.shape[1]:
        raise ValueError(
            f"true_position must have shape (J, {pred_position_MD.shape[1]}) like pred_position, "
            f"got {tuple(true_position_JD.shape)}"
        )
    device = pred_position_MD.device
    check_device("true_position", true_position_JD, device, "pred_position")
    check_shape("true_offsets", true_offsets_F1, tuple(pred_offsets_F1.shape), "as pred_offsets")
    check_offsets("frame_offsets", frame_offsets_B1, pred_offsets_F1.shape[0] - 1, device, "the positions")
    if readable(true_position_JD) and not bool(torch.isfinite(true_position_JD).all()):
        raise ValueError("true_position must be finite, got NaN or infinity")
    check_choice("angle", angle, ANGLES)
    check_choice("matching", matching, MATCHINGS)
    check_choice("edge_matching", edge_matching, EDGE_MATCHINGS)
    objects = {"pred_object": (pred_object_M, pred_class_M), "true_object": (true_object_J, true_class_J)}
    for name, (value, like) in objects.items():
        if value is not None:
            check_tensor(name, value, ndim=1, floating=False)
            check_shape(name, value, tuple(like.shape), "one a node")
            check_device(name, value, device, "pred_position")
    _check_boxes(pred_box_M4, true_box_J4, pred_position_MD, true_position_JD)
    if true_object_J is None and (pred_object_M is not None or displacement_scale is not None):
        raise ValueError("pred_object and displacement_scale need true_object, got None")
    graphs = frame_offsets_B1.shape[0] - 1
    scale_B = None if isinstance(scale, str) and scale == "diagonal" else _scale("scale", scale, graphs, device)
    reach_B = None
    if displacement_scale is not None:
        if isinstance(displacement_scale, str):
            raise TypeError("displacement_scale must be a number or a tensor, got str")
        reach_B = _scale("displacement_scale", displacement_scale, graphs, device)
    score_B6, match_M, frames_B6 = torch.ops.videostr.relation_graph(
        pred_class_M.long(),
        pred_position_MD.detach(),
        None if pred_object_M is None else pred_object_M.long(),
        None if pred_box_M4 is None else pred_box_M4.detach(),
        pred_offsets_F1.long(),
        true_class_J.long(),
        true_position_JD.detach(),
        None if true_object_J is None else true_object_J.long(),
        None if true_box_J4 is None else true_box_J4.detach(),
        true_offsets_F1.long(),
        frame_offsets_B1.long(),
        scale_B,
        reach_B,
        angle,
        matching,
        bool(count_extra),
        bool(scale_invariant),
        edge_matching,
    )
    return RelationGraph(*score_B6.unbind(1), match_M, frames_B6)


@torch.library.register_fake("videostr::relation_graph")
def _fake(pred_class, pred_position, *arguments):
    frame_offsets = arguments[8]
    parts = (frame_offsets.shape[0] - 1, len(reference.PARTS))
    match = pred_position.new_empty(pred_position.shape[:1], dtype=torch.int64)
    return pred_position.new_empty(parts), match, pred_position.new_empty(parts, dtype=torch.int64)


@any_device("relation_graph")
def _torch(pred_class, pred_position, *arguments):
    device = pred_position.device
    arguments = [x.cpu() if isinstance(x, Tensor) else x for x in (pred_class, pred_position, *arguments)]
    *parts, match, frames = reference.relation_graph(*arguments)
    return torch.stack(parts, 1).to(device), match.to(device), frames.to(device)


def _check_nodes(side: str, class_M: Tensor, position_MD: Tensor, offsets_F1: Tensor) -> None:
    check_tensor(f"{side}_position", position_MD, ndim=2, floating=True)
    if position_MD.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{side}_position must be float32 or float64, got {position_MD.dtype}")
    if position_MD.shape[1] not in (2, 3):
        raise ValueError(f"{side}_position must have 2 or 3 coordinates a node, got shape {tuple(position_MD.shape)}")
    check_tensor(f"{side}_class", class_M, ndim=1, floating=False)
    check_shape(f"{side}_class", class_M, (position_MD.shape[0],), "one a node")
    check_device(f"{side}_class", class_M, position_MD.device, f"{side}_position")
    check_offsets(f"{side}_offsets", offsets_F1, position_MD.shape[0], position_MD.device, f"{side}_position")


def _check_boxes(pred: Tensor | None, true: Tensor | None, pred_position: Tensor, true_position: Tensor) -> None:
    if (pred is None) != (true is None):
        raise ValueError("pred_box and true_box must be given both or neither")
    for name, box, position in (("pred_box", pred, pred_position), ("true_box", true, true_position)):
        if box is None:
            return
        check_tensor(name, box, ndim=2, floating=True)
        if box.dtype != position.dtype:
            raise TypeError(f"{name} must have the positions' dtype {position.dtype}, got {box.dtype}")
        check_shape(name, box, (position.shape[0], 4), "one box a node")
        check_device(name, box, position.device, "pred_position")
    if readable(true):
        fine = torch.isfinite(true).all(1) & (true[:, 2:] >= true[:, :2]).all(1)
        if not bool((fine | true.isnan().all(1)).all()):
            raise ValueError("true_box must hold boxes x0 <= x1, y0 <= y1, finite, or rows of NaN")


def _scale(name: str, scale: float | str | Tensor, graphs: int, device: torch.device) -> Tensor:
    """(B,) float64."""
    if isinstance(scale, Tensor):
        check_tensor(name, scale)
        check_shape(name, scale, (graphs,), "one a graph")
        check_device(name, scale, device, "the positions")
        if readable(scale) and not bool(((scale > 0) & torch.isfinite(scale)).all()):
            raise ValueError(f"{name} must hold finite numbers > 0, got {scale.tolist()}")
        return scale.detach().double()
    if isinstance(scale, str):
        check_choice(name, scale, ("grid", "diagonal"))
        scale = GRID_SCALE
    check_number(name, scale, above=0)
    return torch.full((graphs,), float(scale), dtype=torch.float64, device=device)
