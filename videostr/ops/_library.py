"""Loads the compiled operators (torch.ops.videostr) and holds what their Python halves share."""

import importlib.util
import math
import numbers
from pathlib import Path

import torch
from torch import Tensor

PACKAGE = Path(__file__).resolve().parent.parent
NAMESPACE = "videostr"


def library_path(name: str = "_C") -> Path | None:
    """The compiled object of that name (`_C`: CPU, `_C_cuda`: CUDA), None where it was not built."""
    return next(iter(sorted(PACKAGE.glob(f"{name}.*"))), None)


def load() -> None:
    """Register every compiled operator with torch.

    Raises ImportError, saying what to run, where the CPU object is missing or does not load.
    """
    path = library_path()
    if path is None:
        raise ImportError(
            f"videostr's compiled operators are missing from {PACKAGE}: run `pip install -e .` in its source tree"
        )
    for found in filter(None, (path, library_path("_C_cuda") if torch.version.cuda else None)):
        try:
            torch.ops.load_library(found)
        except OSError as error:
            raise ImportError(
                f"{found} does not load into torch {torch.__version__}; build again with `pip install -e .`: {error}"
            ) from error


def any_device(name: str):
    """Register a torch implementation for every device that has no kernel of its own, and leave it callable."""

    def register(function):
        torch.library.impl(f"{NAMESPACE}::{name}", "CompositeExplicitAutograd", function)
        return function

    return register


def on_cuda(name: str):
    """Register a Triton implementation for CUDA devices; nothing where there is no Triton, as with a CPU torch."""

    def register(function):
        if importlib.util.find_spec("triton") is not None:
            torch.library.impl(f"{NAMESPACE}::{name}", "CUDA", function)
        return function

    return register


# ---- argument checks: the name, what was expected, what came


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_number(name: str, value: float, *, above: float = -math.inf, at_least: float = -math.inf) -> None:
    """Raise unless `value` is a finite number, > above and >= at_least."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real | torch.SymInt | torch.SymFloat):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not (value > above and value >= at_least and abs(value) < math.inf):
        bound = f" > {above:g}" if above > -math.inf else f" >= {at_least:g}" if at_least > -math.inf else ""
        raise ValueError(f"{name} must be a finite number{bound}, got {value}")


def check_tensor(name: str, value: Tensor, *, ndim: int | None = None, floating: bool | None = None) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if ndim is not None and value.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s), got shape {tuple(value.shape)}")
    if floating is True and not value.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {value.dtype}")
    if floating is False and (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool):
        raise TypeError(f"{name} must hold integers, got {value.dtype}")


def check_shape(name: str, value: Tensor, expected: tuple[int, ...], like: str) -> None:
    if tuple(value.shape) != tuple(expected):
        raise ValueError(f"{name} must have shape {tuple(expected)} ({like}), got {tuple(value.shape)}")


def check_device(name: str, value: Tensor, device: torch.device, like: str) -> None:
    if value.device != device:
        raise ValueError(f"{name} must be on {device} like {like}, got {value.device}")


def check_offsets(
    name: str, offsets: Tensor, end: int, device: torch.device, like: str, as_long_as: Tensor | None = None
) -> Tensor:
    """Raise unless `offsets` is (B + 1,), of integers, on the device of `like`, from 0 to `end` without falling (values
    are looked at on the CPU only), and as long as those given; returns it as int64."""
    check_tensor(name, offsets, ndim=1, floating=False)
    check_device(name, offsets, device, like)
    if offsets.numel() == 0:
        raise ValueError(f"{name} must have at least one entry (B + 1), got none")
    if readable(offsets) and (int(offsets[0]) != 0 or int(offsets[-1]) != end or bool((offsets.diff() < 0).any())):
        raise ValueError(f"{name} must run from 0 to {end} without falling, got {offsets.tolist()}")
    if as_long_as is not None:
        check_shape(name, offsets, tuple(as_long_as.shape), "as pred_offsets")
    return offsets.long()


def has_values(tensor: Tensor) -> bool:
    """Whether there are values to look at: a real tensor outside torch.compile."""
    if torch.compiler.is_compiling():
        return False
    return tensor.device.type != "meta" and type(tensor) is not torch._subclasses.FakeTensor


def readable(*tensors: Tensor) -> bool:
    """Whether values may be looked at without a wait: those of real tensors on the CPU."""
    return all(has_values(x) and x.device.type == "cpu" for x in tensors)


def check_texts(text_C: Tensor, offsets_N1: Tensor) -> None:
    """Raises unless they are N texts, one behind the other, and where each begins."""
    check_tensor("text", text_C, ndim=1, floating=False)
    if text_C.dtype != torch.uint8:
        raise TypeError(f"text must be uint8, got {text_C.dtype}")
    check_device("text", text_C, torch.device("cpu"), "any text")
    check_tensor("offsets", offsets_N1, ndim=1, floating=False)
    check_device("offsets", offsets_N1, text_C.device, "text")
    if offsets_N1.numel() == 0:
        raise ValueError("offsets must have at least one entry (N + 1), got none")
    if readable(offsets_N1):
        first, last = int(offsets_N1[0]), int(offsets_N1[-1])
        if first != 0 or last != text_C.numel() or bool((offsets_N1.diff() < 0).any()):
            raise ValueError(f"offsets must run from 0 to {text_C.numel()} without falling, got {offsets_N1.tolist()}")
