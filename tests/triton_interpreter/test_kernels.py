"""Every Triton kernel under the interpreter, against plain torch in float64. Blocks are small: many edges."""

from pathlib import Path

import pytest
import torch
from operator_cases import OPERATORS, assert_close, long_advantage_case, truth

# operator -> (file in kernels/, a launch small enough for an interpreter)
KERNELS = {
    "group_advantage": ("group_advantage", {"block": 16}),
    "normalise_patches": ("normalise_patches", {"block": 64}),
    "policy_loss": ("policy_loss", {"block": 16}),
    "logprob_rows": ("logprob_rows", {"block": 32}),
    "logprob_rows_backward_": ("logprob_rows", {"block": 32}),
}
DTYPES = (torch.float32, torch.float64)


def test_every_file_is_here():
    tree = Path(__file__).resolve().parents[2] / "kernels"
    assert {path.stem for path in tree.glob("*.py")} == {file for file, _ in KERNELS.values()}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", KERNELS)
def test_against_the_reference(interpreted, name, dtype):
    file, launch = KERNELS[name]
    for case, arguments in OPERATORS[name].cases(dtype):
        try:
            outputs = interpreted(file, name, arguments, **launch)
            assert_close(outputs, truth(name, arguments), dtype, OPERATORS[name].roundings)
        except AssertionError as error:
            raise AssertionError(f"{name}, {case}: {error}") from error


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16), ids=str)
@pytest.mark.parametrize("name", ("logprob_rows", "logprob_rows_backward_"))
def test_half_precision_logits(interpreted, name, dtype):
    file, launch = KERNELS[name]
    for _, arguments in OPERATORS[name].cases(dtype):
        out = dtype if name.endswith("_") else torch.float32
        assert_close(
            interpreted(file, name, arguments, **launch),
            truth(name, arguments),
            out,
            roundings=1 if name.endswith("_") else 32,
        )


@pytest.mark.parametrize("name", KERNELS)
def test_block_size_changes_nothing_but_rounding(interpreted, name):
    _, arguments = max(OPERATORS[name].cases(torch.float64), key=lambda row: row[1][0].numel())
    for block in (8, 128, 2048):
        outputs = interpreted(KERNELS[name][0], name, arguments, block=block)
        assert_close(outputs, truth(name, arguments), torch.float64, OPERATORS[name].roundings)


def test_more_rows_than_65535(interpreted):
    _, arguments = long_advantage_case(torch.float64)
    outputs = interpreted("group_advantage", "group_advantage", arguments, block=8192)
    # The truth itself, torch's std of 23,000 values, is no more exact than this.
    assert_close(outputs, truth("group_advantage", arguments), torch.float64, roundings=5000)
