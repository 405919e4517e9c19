"""normalise_patches in one launch: a byte in, an element of the table out. A program does one channel of one row; its
256 entries stay in the first-level cache, and the patches move once."""

import torch
import triton
import triton.language as tl
from torch import Tensor

NUM_WARPS = 1  # a channel of a row is 392 or 512 bytes


@triton.jit
def normalise_patches_kernel(
    patches_ptr,  # uint8 [R, 3, COLUMNS]
    table_ptr,  # [3, 256]
    out_ptr,  # [R, 3, COLUMNS]
    COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    part = tl.program_id(0).to(tl.int64)
    table_ptr += part % 3 * 256
    for begin in tl.static_range(0, COLUMNS, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        inside = column < COLUMNS
        byte = tl.load(patches_ptr + part * COLUMNS + column, mask=inside, other=0)
        tl.store(out_ptr + part * COLUMNS + column, tl.load(table_ptr + byte.to(tl.int32)), mask=inside)


def normalise_patches(patches: Tensor, table: Tensor, block: int = 512) -> Tensor:
    """The operator `videostr::normalise_patches`."""
    patches, table = patches.contiguous(), table.contiguous()
    out = torch.empty(patches.shape, dtype=table.dtype, device=patches.device)
    if out.numel():
        normalise_patches_kernel[(3 * len(out),)](
            patches, table, out, COLUMNS=out.shape[1] // 3, BLOCK=block, num_warps=NUM_WARPS
        )
    return out
