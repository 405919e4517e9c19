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


_KINDS = ("Kind::iou", "Kind::giou", "Kind::diou", "Kind::hull", "Kind::iop", "Kind::time_r1")
_OVERLAPS = (
    CudaVariant((("float", "double"), _KINDS, ("true",)), load_bytes=16, store_bytes=16),
    CudaVariant((("float",), _KINDS, ("false",)), load_bytes=4, store_bytes=4),
    CudaVariant((("double",), _KINDS, ("false",)), load_bytes=8, store_bytes=8),
)


def _by_dtype(*arguments: tuple[str, ...], load: tuple[int, int] = (4, 8), store: tuple[int, int] = (4, 8)):
    """A variant for float and one for double; load, store: bytes of (float, double)."""
    return tuple(
        CudaVariant(((dtype,), *arguments), load_bytes=load[i], store_bytes=store[i])
        for i, dtype in enumerate(("float", "double"))
    )


_FLAG = ("false", "true")
_BOXES = (
    *_by_dtype(_FLAG, ("true",), load=(16, 16)),
    *_by_dtype(_FLAG, ("false",)),
)
_RAGGED_LOAD = (8, 8)  # offsets; intervals begin anywhere


def _group_advantage(dtype: str, divisible: tuple[str, ...], offsets: bool, load_bytes: int) -> TritonVariant:
    """With offsets a group's rows begin anywhere; with ids and any N the mask may end inside 16 bytes."""
    wide = ("reward", "weights", "task", "advantage", "mean", "std", "min", "max")
    dtypes = {f"{name}_ptr": f"*{dtype}" for name in wide}
    return TritonVariant(
        types={**dtypes, "index_ptr": "*i64", "count_ptr": "*i64", "informative_ptr": "*i1", "N": "i32"},
        constexprs={
            "EPS": (1e-6,),
            "MIN_STD": (0.0,),
            "SCALE": (0, 1, 2, 3),
            "HAS_TASK": (True,),
            "K": (1,) if divisible else (3,),
            "HAS_WEIGHTS": (not divisible,),
            "HAS_OFFSETS": (offsets,),
            "BLOCK": (512,),
        },
        divisible=divisible,
        options={"num_warps": 8, "maxnreg": 96},
        load_bytes=load_bytes,
        store_bytes=4 if dtype == "fp32" else 8,  # of one value: a group's rows need not lie beside each other
    )


def _logprob_rows(backward: bool) -> tuple[TritonVariant, ...]:
    """Rows begin at multiples of 16 bytes where V is a multiple of 16, as that of every model is.

    What is not a model's usual case is compiled with everything on: it needs the most registers.
    """
    rows = ("entropy_ptr", "lse_ptr", "bias_ptr", "temperature_ptr")
    rows += ("grad_logprob_ptr", "grad_entropy_ptr") if backward else ("logprob_ptr",)
    return tuple(
        TritonVariant(
            types={"logits_ptr": f"*{dtype}", "target_ptr": "*i64", "V": "i32"} | dict.fromkeys(rows, f"*{wide}"),
            constexprs={"SCALE": (1.25,), "BLOCK": (2048,)}
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


_LOSS_INPUTS = ("logprob_ptr", "old_ptr", "advantage_ptr", "weight_ptr", "ref_ptr", "entropy_ptr", "sampler_ptr")


def _policy_loss(dtype: str, size: int, divisible: bool, **constexprs: tuple) -> TritonVariant:
    """Bare, and with every input: what lies between needs no more registers."""
    wide = dict.fromkeys((*_LOSS_INPUTS, "grad_logprob_ptr", "grad_entropy_ptr"), f"*{dtype}")
    numbers = {
        "LOW": 0.8,
        "HIGH": 1.2,
        "CAP": 3.0,
        "SAPO_ABOVE": 1.0,
        "SAPO_BELOW": 1.05,
        "K_ABOVE": 2.0,
        "K_BELOW": 3.0,
    }
    numbers |= {"LAMBDA_ABOVE": 3.0, "LAMBDA_BELOW": 2.0, "KL_COEF": 0.04, "KL_CLAMP": 10.0, "ENTROPY_COEF": 1e-3}
    numbers |= {"IMPORTANCE_MIN": 0.5, "IMPORTANCE_MAX": 2.0, "TERMS": 9 if dtype == "fp32" else 18, "STATS": 14}
    numbers |= {"KL_TYPE": 3, "ROWS": 1, "COLUMNS": 512}
    return TritonVariant(
        types={**wide, "mask_ptr": "*i1", "partial_ptr": "*fp64", "N": "i32", "L": "i32"},
        constexprs={name: (value,) for name, value in numbers.items()} | constexprs,
        divisible=("L",) if divisible else (),
        load_bytes=16 if divisible else size,
        store_bytes=16 if divisible else size,
    )


_BARE = {"HAS_REF": (False,), "HAS_ENTROPY": (False,), "HAS_SAMPLER": (False,), "IMPORTANCE": (0,)}
_FULL = {"HAS_REF": (True,), "HAS_ENTROPY": (True,), "HAS_SAMPLER": (True,), "KL_BIAS_CORRECTION": (True,)}
_BARE |= {"KL_BIAS_CORRECTION": (False,)}

TABLE: tuple[CudaKernel | TritonKernel, ...] = (
    CudaKernel(
        "frames_to_patches",
        "csrc/cuda/frames_to_patches.cuh",
        "patches_kernel",
        threads=256,
        # single samples come in: the planes' rows begin anywhere; an element of the output's size goes out
        variants=tuple(
            CudaVariant(((name,), ("short", "float"), ("false", "true")), load_bytes=1, store_bytes=size)
            for name, size in (("unsigned int", 4), ("unsigned short", 2), ("unsigned char", 1))
        ),
        shared_bytes=8 * 3 * 44 + 3 * 42 * 28,  # 720p to 560 x 1008 in blocks of 28 x 28
    ),
    CudaKernel("temporal_iou", "csrc/cuda/temporal_iou.cuh", "matched_kernel", threads=256, variants=_OVERLAPS),
    CudaKernel("temporal_iou", "csrc/cuda/temporal_iou.cuh", "pairwise_kernel", threads=256, variants=_OVERLAPS),
    CudaKernel(
        *("temporal_set_scores", "csrc/cuda/temporal_set_scores.cuh", "set_scores_kernel"),
        threads=128,
        variants=_by_dtype(("Pairing::written", "Pairing::ordered"), load=_RAGGED_LOAD),
    ),
    CudaKernel(
        *("temporal_nms", "csrc/cuda/temporal_nms.cuh", "nms_kernel"),
        threads=128,
        variants=_by_dtype(load=_RAGGED_LOAD, store=(1, 1)),
    ),
    CudaKernel("box_iou", "csrc/cuda/box_iou.cuh", "box_matched_kernel", threads=256, variants=_BOXES),
    CudaKernel("box_iou", "csrc/cuda/box_iou.cuh", "box_pairwise_kernel", threads=256, variants=_BOXES),
    CudaKernel("box3d_iou", "csrc/cuda/box3d_iou.cuh", "box3d_matched_kernel", threads=64, variants=_by_dtype(_FLAG)),
    CudaKernel("box3d_iou", "csrc/cuda/box3d_iou.cuh", "box3d_pairwise_kernel", threads=64, variants=_by_dtype(_FLAG)),
    CudaKernel(
        *("tube_iou", "csrc/cuda/tube_iou.cuh", "tube_kernel"),
        threads=128,
        variants=_by_dtype(_FLAG, load=_RAGGED_LOAD),
    ),
    CudaKernel(
        "assignment",
        "csrc/cuda/assignment.cuh",
        "assignment_kernel",
        threads=128,
        variants=(CudaVariant((("float", "double"), ("false", "true")), load_bytes=8, store_bytes=8),),
        shared_bytes=4 * 64 * 36,  # problems of up to 64 x 64
    ),
    CudaKernel(
        "assignment",
        "csrc/cuda/assignment.cuh",
        "assignment_ragged_kernel",
        threads=128,
        variants=(CudaVariant((("float", "double"),), load_bytes=8, store_bytes=8),),
    ),
    CudaKernel(
        "relation_graph",
        "csrc/cuda/relation_graph.cuh",
        "relation_graph_kernel",
        threads=128,
        variants=(CudaVariant((("float", "double"),), load_bytes=8, store_bytes=8),),
    ),
    TritonKernel("logprob_rows", "logprob_rows", "logprob_rows_kernel", variants=_logprob_rows(backward=False)),
    TritonKernel(
        "logprob_rows_backward_", "logprob_rows", "logprob_rows_backward_kernel", variants=_logprob_rows(backward=True)
    ),
    TritonKernel(
        "policy_loss",
        "policy_loss",
        "policy_loss_kernel",
        variants=(
            _policy_loss("fp32", 4, True, **_BARE, OBJECTIVE=(0,)),
            _policy_loss("fp32", 4, True, **_FULL, OBJECTIVE=(0, 1, 2, 3), IMPORTANCE=(1, 4)),
            _policy_loss("fp32", 4, True, **_FULL, OBJECTIVE=(4,), IMPORTANCE=(2,)),
            _policy_loss("fp32", 4, False, **_FULL, OBJECTIVE=(0, 1), IMPORTANCE=(4,)),
            _policy_loss("fp64", 8, True, **_FULL, OBJECTIVE=(0, 1), IMPORTANCE=(4,)),
        ),
    ),
    TritonKernel(
        "policy_loss",
        "policy_loss",
        "policy_loss_total_kernel",
        variants=tuple(
            TritonVariant(
                types={"partial_ptr": "*fp64", "loss_ptr": f"*{dtype}", "stats_ptr": f"*{dtype}", "P": "i32"},
                constexprs={"KL_COEF": (0.04,), "ENTROPY_COEF": (1e-3,), "STATS": (14,), "BLOCK": (64,)},
                load_bytes=8,
            )
            for dtype in ("fp32", "fp64")
        ),
    ),
    TritonKernel(
        "normalise_patches",
        "normalise_patches",
        "normalise_patches_kernel",
        variants=tuple(
            TritonVariant(
                types={"patches_ptr": "*u8", "table_ptr": f"*{dtype}", "out_ptr": f"*{dtype}"},
                constexprs={"COLUMNS": (columns,), "BLOCK": (512,)},
                options={"num_warps": 1},
                load_bytes=load,
                store_bytes=16,
            )
            for dtype in ("fp32", "bf16", "fp16")
            for columns, load in ((392, 8), (512, 16))  # of patches of 14 x 14 and 16 x 16 pixels
        ),
    ),
    TritonKernel(
        "group_advantage",
        "group_advantage",
        "group_advantage_kernel",
        variants=(
            _group_advantage("fp32", ("N",), offsets=False, load_bytes=16),
            _group_advantage("fp64", ("N",), offsets=False, load_bytes=16),
            _group_advantage("fp32", (), offsets=False, load_bytes=8),
            _group_advantage("fp64", (), offsets=False, load_bytes=8),
            _group_advantage("fp32", (), offsets=True, load_bytes=4),
            _group_advantage("fp64", ("N",), offsets=True, load_bytes=8),
        ),
    ),
)
