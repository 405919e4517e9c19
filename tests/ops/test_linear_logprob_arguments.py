"""What linear_logprob refuses, and what it says then."""

import numpy as np
import pytest
import torch

from videostr import ops

GOOD = {"hidden_ND": torch.zeros(2, 3), "weight_VD": torch.zeros(5, 3), "target_N": torch.tensor([0, 4])}


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"hidden_ND": torch.zeros(2, 3, 1)}, ValueError, "hidden must have 2 dimension"),
        ({"hidden_ND": [[0.0]]}, TypeError, "hidden must be a tensor, got list"),
        ({"weight_VD": torch.zeros(5, 4)}, ValueError, r"weight must have shape \(V, 3\)"),
        ({"weight_VD": torch.zeros(0, 3)}, ValueError, "V > 0"),
        ({"weight_VD": torch.zeros(5, 3).double()}, TypeError, "one dtype, got torch.float32 and torch.float64"),
        ({"target_N": torch.tensor([0.0, 1.0])}, TypeError, "target must hold integers"),
        ({"target_N": torch.tensor([0])}, ValueError, r"target must have shape \(2,\)"),
        ({"target_N": torch.tensor([0, 5])}, ValueError, r"ids in \[0, 5\), got 5"),
        ({"target_N": torch.tensor([-100, 0])}, ValueError, "got -100; drop masked rows first"),
        ({"bias": torch.zeros(4)}, ValueError, r"bias must have shape \(5,\)"),
        ({"bias": torch.zeros(5, dtype=torch.long)}, TypeError, "bias must be floating point"),
        ({"temperature": 0.0}, ValueError, "temperature must be a finite number > 0, got 0.0"),
        ({"temperature": float("nan")}, ValueError, "temperature"),
        ({"temperature": "1"}, TypeError, "temperature must be a number, got str"),
        ({"temperature": torch.ones(3)}, ValueError, r"temperature must have shape \(2,\) \(one a row of hidden\)"),
        ({"temperature": torch.ones(2).long()}, TypeError, "temperature must be floating point"),
        ({"temperature": torch.tensor([1.0, 0.0])}, ValueError, "finite and > 0, got 0.0 at index 1"),
        ({"temperature": torch.tensor([torch.inf, 1.0])}, ValueError, "temperature must be finite"),
        ({"logit_scale": 0.0}, ValueError, "logit_scale must be a finite number > 0"),
        ({"softcap": -1.0}, ValueError, "softcap must be a finite number > 0"),
        ({"weight_VD": torch.zeros(5, 3, device="meta")}, ValueError, "weight must be on cpu"),
    ],
)
def test_wrong_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ops.linear_logprob(**{**GOOD, **change})


def test_operator_guards_its_memory_itself():
    with pytest.raises(ValueError, match=r"target must hold ids in \[0, 5\), got 9"):
        torch.ops.videostr.linear_logprob(
            torch.zeros(2, 3), torch.zeros(5, 3), torch.tensor([0, 9]), None, torch.ones(2), None, 1.0, False
        )


def test_numpy_scalars_are_numbers():
    first, second = (ops.linear_logprob(**GOOD, temperature=t) for t in (0.5, np.float32(0.5)))
    torch.testing.assert_close(first, second)
