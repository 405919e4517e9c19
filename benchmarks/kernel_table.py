"""Every GPU kernel, one row each: what the compile report compiles and what it demands.

A new kernel is covered by adding its row. Every configuration of a variant must meet the variant's demands.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Demands:
    """Bytes that the widest global load and store must have, 0 for any; whether there must be an MMA instruction."""

    load_bytes: int = 0
    store_bytes: int = 0
    tensor_core: bool = False


@dataclass(frozen=True)
class CudaVariant(Demands):
    """Instances of a kernel's template that promise the same. Every combination of `arguments` is compiled.

    An argument is spelled as a C++ compiler prints it back (`long`, not `int64_t`), inside namespace videostr::cuda.
    """

    arguments: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class CudaKernel:
    """A `__global__` function of `source`; `shared_bytes` is what its launch adds to the static shared memory."""

    operator: str
    source: str
    kernel: str
    threads: int
    variants: tuple[CudaVariant, ...]
    shared_bytes: int = 0


@dataclass(frozen=True)
class TritonVariant(Demands):
    """Launches of a kernel that promise the same. Every combination of `constexprs` is compiled.

    types: of the other arguments, in Triton's spelling; pointers count as 16-byte aligned, as torch allocates them.
    divisible: the integer arguments that are multiples of 16, for which a launch compiles its own code.
    options: of the launch; an autotuned kernel is compiled with each of its own configurations as well.
    """

    types: dict[str, str]
    constexprs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    divisible: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=lambda: {"num_warps": 4})


@dataclass(frozen=True)
class TritonKernel:
    """A `@triton.jit` function that is launched, of kernels/`module`.py."""

    operator: str
    module: str
    kernel: str
    variants: tuple[TritonVariant, ...]


_KINDS = ("Kind::iou", "Kind::giou", "Kind::diou", "Kind::hull")
_OVERLAPS = (
    CudaVariant((("float", "double"), _KINDS, ("true",)), load_bytes=16, store_bytes=16),
    CudaVariant((("float",), _KINDS, ("false",)), load_bytes=4, store_bytes=4),
    CudaVariant((("double",), _KINDS, ("false",)), load_bytes=8, store_bytes=8),
)


def _group_advantage(dtype: str, divisible: tuple[str, ...], load_bytes: int, store_bytes: int) -> TritonVariant:
    dtypes = dict.fromkeys(("reward_ptr", "task_ptr", "advantage_ptr", "mean_ptr", "std_ptr"), f"*{dtype}")
    return TritonVariant(
        types={**dtypes, "group_ptr": "*i64", "informative_ptr": "*i1", "N": "i32"},
        constexprs={
            "EPS": (1e-6,),
            "MIN_STD": (0.0,),
            "SCALE": (0, 1, 2, 3),
            "HAS_TASK": (False, True),
            "BLOCK": (1024,),
        },
        divisible=divisible,
        options={"num_warps": 8},
        load_bytes=load_bytes,
        store_bytes=store_bytes,  # of one value: a group's rows need not lie beside each other
    )


def _logprob_rows(backward: bool) -> tuple[TritonVariant, ...]:
    """Rows begin at multiples of 16 bytes where V is a multiple of 16, as that of every model is.

    What is not a model's usual case is compiled with everything on: it needs the most registers.
    """
    rows = ("grad_logprob_ptr", "grad_entropy_ptr", "entropy_ptr", "lse_ptr", "bias_ptr")
    rows = rows if backward else ("logprob_ptr", "entropy_ptr", "lse_ptr", "bias_ptr")
    return tuple(
        TritonVariant(
            types={"logits_ptr": f"*{dtype}", "target_ptr": "*i64", "V": "i32"} | dict.fromkeys(rows, f"*{wide}"),
            constexprs={"INV_T": (1.25,), "BLOCK": (2048,)}
            | (
                {"CAP": (0.0, 30.0), "HAS_BIAS": (False, True)}
                if divisible and dtype in ("fp32", "bf16")
                else {"CAP": (30.0,), "HAS_BIAS": (True,)}
            ),
            divisible=divisible,
            options={"num_warps": 8},
            load_bytes=16 if divisible else size,
            store_bytes=(16 if divisible else size) if backward else 0,
        )
        for dtype, wide, size in (("fp32", "fp32", 4), ("bf16", "fp32", 2), ("fp16", "fp32", 2), ("fp64", "fp64", 8))
        for divisible in (("V",), ())
    )


TABLE: tuple[CudaKernel | TritonKernel, ...] = (
    CudaKernel("temporal_iou", "csrc/cuda/temporal_iou.cuh", "matched_kernel", threads=256, variants=_OVERLAPS),
    CudaKernel("temporal_iou", "csrc/cuda/temporal_iou.cuh", "pairwise_kernel", threads=256, variants=_OVERLAPS),
    TritonKernel("logprob_rows", "logprob_rows", "logprob_rows_kernel", variants=_logprob_rows(backward=False)),
    TritonKernel(
        "logprob_rows_backward_", "logprob_rows", "logprob_rows_backward_kernel", variants=_logprob_rows(backward=True)
    ),
    TritonKernel(
        "group_advantage",
        "group_advantage",
        "group_advantage_kernel",
        variants=(
            _group_advantage("fp32", ("N",), load_bytes=16, store_bytes=4),
            _group_advantage("fp64", ("N",), load_bytes=16, store_bytes=8),
            _group_advantage("fp32", (), load_bytes=8, store_bytes=4),  # any N: the mask may end inside 16 bytes
            _group_advantage("fp64", (), load_bytes=8, store_bytes=8),
        ),
    ),
)
