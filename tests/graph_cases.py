"""Ragged relation graphs at random, for every test that runs them."""

import itertools

import torch


def random_graphs(rng, graphs, dimensions=2, classes=5, most=9):
    """Graphs of several frames, objects that go on from frame to frame, a noisy prediction of most nodes.

    The arguments of `ops.relation_graph` in order (float64), and its object ids by name.
    """
    frames = torch.randint(0, 4, (graphs,), generator=rng).tolist()
    sides = {side: {"kind": [], "place": [], "object": [], "count": []} for side in ("pred", "true")}
    for count in frames:
        objects = int(torch.randint(0, most, (1,), generator=rng))
        kind = torch.randint(0, classes, (objects,), generator=rng)
        for _ in range(count):
            place = torch.rand(objects, dimensions, generator=rng, dtype=torch.float64) * 10
            seen = place + torch.randn(place.shape, generator=rng, dtype=torch.float64)
            for side, here in (("pred", seen), ("true", place)):
                kept = torch.nonzero(torch.rand(objects, generator=rng) < 0.8)[:, 0]
                for name, value in {"kind": kind[kept], "place": here[kept], "object": kept}.items():
                    sides[side][name].append(value)
                sides[side]["count"].append(len(kept))
    arguments, ids = [], {}
    for side, key in (("pred", "pred_object_M"), ("true", "true_object_J")):
        nodes = sides[side]
        nothing = torch.zeros(0, dtype=torch.int64)
        arguments.append(torch.cat([nothing, *nodes["kind"]]))
        arguments.append(torch.cat([torch.zeros(0, dimensions, dtype=torch.float64), *nodes["place"]]))
        arguments.append(torch.tensor([0, *itertools.accumulate(nodes["count"])]))
        ids[key] = torch.cat([nothing, *nodes["object"]])
    return [*arguments, torch.tensor([0, *itertools.accumulate(frames)])], ids


def node_boxes(rng, arguments, wild=False):
    """Boxes for `random_graphs`' nodes, by name: around their positions, a fifth of the rows NaN.

    wild: some of the predicted ones are reversed, or not finite.
    """
    boxes = {}
    for name, position in (("pred_box_M4", arguments[1]), ("true_box_J4", arguments[4])):
        half = 1 + 2 * torch.rand(len(position), 2, generator=rng, dtype=torch.float64)
        box = torch.cat([position[:, :2] - half, position[:, :2] + half], 1)
        boxes[name] = torch.where(torch.rand(len(box), 1, generator=rng) < 0.2, torch.nan, box)
    if wild:
        box = boxes["pred_box_M4"]
        odd = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e200, -40.0], dtype=torch.float64)
        drawn = odd[torch.randint(0, len(odd), box.shape, generator=rng)]
        boxes["pred_box_M4"] = torch.where(torch.rand(box.shape, generator=rng) < 0.1, drawn, box)
    return boxes
