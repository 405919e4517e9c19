"""parse_graph: the relation graphs that many texts hold, for texts written as asked."""

from typing import NamedTuple

import torch
from torch import Tensor

from ._library import check_texts

CODES = ("ok", "no_tag", "unclosed_tag")
"""What `parse_graph`'s codes mean, as videostr.rewards.parse.REASONS says it; -1 is none of them."""


class PackedGraphs(NamedTuple):
    """The nodes of N texts' graphs. Text n has the frames frame_offsets[n] up to frame_offsets[n + 1], frame f the
    nodes node_offsets[f] up to node_offsets[f + 1].

    code_N: an index of `CODES`, or -1. time_F: seconds, NaN where there are none. name_K: which of the U different
    names is a node's class. position_K3: the third NaN where a node has two coordinates. spelling_U2: where each name
    stands in the text, [begin, end). int64, times and positions float64.
    """

    code_N: Tensor
    frame_offsets_N1: Tensor
    time_F: Tensor
    node_offsets_F1: Tensor
    name_K: Tensor
    position_K3: Tensor
    spelling_U2: Tensor


def parse_graph(text_C: Tensor, offsets_N1: Tensor) -> PackedGraphs:
    """What `videostr.graph.parse_graph` reads, of N texts at once; without the objects' ids.

    It decides texts without a closed <graph> or <map>, and those whose last closed one holds a map of classes,
    {"chair": [[3, 4], …], …}, or the compact graph, {"frames": [{"t": 0, "objects": [[1, "chair", 3, 4], …]}, …]} or
    one such frame without a time, with plain decimals and names of ASCII letters. Any other gets code -1: ask the
    function.

    Args:
        text_C: (C,) uint8, the texts in UTF-8, one behind the other; on the CPU.
        offsets_N1: (N + 1,) int64, from 0 to C, never falling: text n is text[offsets[n] : offsets[n + 1]].

    Raises:
        TypeError, ValueError: an argument is not as above.
    """
    check_texts(text_C, offsets_N1)
    return PackedGraphs(*torch.ops.videostr.parse_graph(text_C, offsets_N1.long()))


@torch.library.register_fake("videostr::parse_graph")
def _fake(text, offsets):
    frames, nodes, names = (torch.library.get_ctx().new_dynamic_size() for _ in range(3))
    rows = offsets.shape[0] - 1
    return (
        offsets.new_empty(rows),
        offsets.new_empty(rows + 1),
        offsets.new_empty(frames, dtype=torch.float64),
        offsets.new_empty(frames + 1),
        offsets.new_empty(nodes),
        offsets.new_empty(nodes, 3, dtype=torch.float64),
        offsets.new_empty(names, 2),
    )
