"""A packed row's attention, as a policy's layers ask for it."""

from dataclasses import dataclass

from torch import Tensor, nn

from videostr import ops


@dataclass
class PrefixAttention:
    """An `Attend` (see attention.py) for one packed row: (1, H, T, D) queries, (1, Hk, T, D) keys and values."""

    layout: ops.PrefixLayout

    def __call__(self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        rows = (states[0].transpose(0, 1) for states in (query, key, value))
        return ops.prefix_attention(*rows, self.layout, scaling)[None]
