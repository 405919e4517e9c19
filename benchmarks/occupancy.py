"""Theoretical occupancy: the share of a multiprocessor's warps that registers, shared memory and threads allow."""

from dataclasses import dataclass

WARP = 32


@dataclass(frozen=True)
class Limits:
    """Of one multiprocessor."""

    shared_bytes: int
    registers: int = 65536
    warps: int = 64
    blocks: int = 32


# CUDA C++ Programming Guide, "Compute Capabilities", table "Technical Specifications per Compute Capability" (grade O)
LIMITS = {80: Limits(164 * 1024), 90: Limits(228 * 1024), 100: Limits(228 * 1024)}
RESERVED_SHARED = 1024  # per block, kept by the system; the same guide, "Compute Capability 8.x", "Shared Memory"
# how they are handed out: the CUDA toolkit's cuda_occupancy.h (grade C)
REGISTERS_AT_ONCE = 256  # a warp gets a multiple
SHARED_AT_ONCE = 128  # a block gets a multiple
PARTITIONS = 4  # of a multiprocessor's registers; a warp's registers lie in one


def occupancy(arch: int, threads: int, registers: int, shared_bytes: int) -> float:
    """Active warps over the most there can be, 0 to 1.

    arch: 80, 90 or 100. threads: of a block. registers: of a thread. shared_bytes: of a block, static and dynamic.
    0: the block does not fit. Raises ValueError for another arch and for fewer than one thread.
    """
    if arch not in LIMITS:
        raise ValueError(f"arch: expected one of {sorted(LIMITS)}, got {arch}")
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, got {threads}")
    limits = LIMITS[arch]
    warps = -(-threads // WARP)
    warp_registers = _round_up(max(registers, 1) * WARP, REGISTERS_AT_ONCE)
    warps_with_registers = limits.registers // PARTITIONS // warp_registers * PARTITIONS
    block_shared = _round_up(shared_bytes + RESERVED_SHARED, SHARED_AT_ONCE)
    blocks = min(
        limits.blocks,
        limits.warps // warps,
        warps_with_registers // warps,
        limits.shared_bytes // block_shared,
    )
    return blocks * warps / limits.warps


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
