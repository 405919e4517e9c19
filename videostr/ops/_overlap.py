"""Argument checks that the overlap operators share."""

import torch
from torch import Tensor

from ._library import check_device, check_shape, check_tensor


def check_ids(name: str, value: Tensor, rows: Tensor, what: str) -> Tensor:
    """Raise unless `value` is (rows,), of integers, beside `rows`; returns it as int64."""
    check_tensor(name, value, ndim=1, floating=False)
    check_shape(name, value, (rows.shape[0],), what)
    check_device(name, value, rows.device, "its rows")
    return value.long()


def check_floats(name: str, value: Tensor, columns: int, meaning: str, like: Tensor | None = None) -> None:
    """Raise unless `value` is (…, columns), float32 or float64, of the dtype and on the device of `like`, pred."""
    check_tensor(name, value, floating=True)
    if value.ndim == 0 or value.shape[-1] != columns:
        raise ValueError(f"{name} must have shape (…, {columns}), {meaning}, got {tuple(value.shape)}")
    if value.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must be float32 or float64, got {value.dtype}")
    if like is not None:
        if value.dtype != like.dtype:
            raise TypeError(f"pred and {name} must have one dtype, got {like.dtype} and {value.dtype}")
        check_device(name, value, like.device, "pred")


def broadcast_pair(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one shape; ValueError where there is none."""
    try:
        pred, target = torch.broadcast_tensors(pred, target)
    except RuntimeError as error:
        raise ValueError(
            f"target must have a shape that broadcasts with pred's {tuple(pred.shape)}, got {tuple(target.shape)}"
        ) from error
    return pred, target
