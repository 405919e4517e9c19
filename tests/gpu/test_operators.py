"""Every operator on a CUDA device against plain torch in float64 on the CPU. `pytest -m gpu` runs this folder alone."""

import pytest
import torch
from operator_cases import OPERATORS, assert_close, truth, wide_advantage_case

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DTYPES = (torch.float32, torch.float64)
HALVES = (torch.bfloat16, torch.float16)


def on_device(arguments):
    return [a.cuda() if isinstance(a, torch.Tensor) else a for a in arguments]


def run(name, arguments):
    arguments = on_device(arguments)
    outputs = getattr(torch.ops.videostr, name)(*arguments)
    outputs = arguments[0] if outputs is None else outputs  # in place
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.fixture(autouse=True)
def poisoned_memory():
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("name", OPERATORS)
def test_has_a_kernel_of_its_own(name):
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"videostr::{name}", "CUDA")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_against_the_reference(name, dtype):
    for case, arguments in OPERATORS[name].cases(dtype):
        try:
            assert_close(run(name, arguments), truth(name, arguments), dtype, OPERATORS[name].roundings)
        except AssertionError as error:
            raise AssertionError(f"{name}, {case}: {error}") from error


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", ("logprob_rows", "logprob_rows_backward_"))
def test_half_precision_logits(name, dtype):
    for _, arguments in OPERATORS[name].cases(dtype):
        out = dtype if name.endswith("_") else torch.float32
        assert_close(run(name, arguments), truth(name, arguments), out, roundings=1 if name.endswith("_") else 32)


def test_views_that_are_not_aligned():
    for name in ("temporal_iou", "temporal_iou_pairwise"):
        pred, target = torch.rand(100, 2).sort(-1).values, torch.rand(96, 2).sort(-1).values
        pred = pred[: len(target)] if name == "temporal_iou" else pred
        shifted = []
        for value in (pred, target):
            store = torch.empty(value.numel() + 1, device="cuda")
            view = store[1:].view(value.shape)
            view.copy_(value)
            shifted.append(view)
        result = getattr(torch.ops.videostr, name)(*shifted, "giou")
        assert_close((result,), truth(name, (pred, target, "giou")), torch.float32)


def test_wide_grids_and_other_streams():
    _, arguments = wide_advantage_case(torch.float32)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        advantage, mean, std, low, high, count, informative = run("group_advantage", arguments)
    stream.synchronize()
    assert all(torch.equal(x.cpu(), arguments[0][:, 0]) for x in (mean, low, high)) and bool((count == 1).all())
    assert not std.any() and not advantage.any() and not informative.any()
    pred = torch.rand(2_200_000, 2).sort(-1).values  # more than 65,535 tiles of rows
    result = torch.ops.videostr.temporal_iou_pairwise(pred.cuda(), pred[:3].cuda(), "iou")
    expected = torch.ops.videostr.temporal_iou_pairwise(pred, pred[:3].contiguous(), "iou")
    torch.testing.assert_close(result.cpu(), expected)


@pytest.mark.parametrize("name", OPERATORS)
def test_opcheck(name):
    for _, arguments in list(OPERATORS[name].cases(torch.float32))[-3:]:
        checks = ("test_schema", "test_autograd_registration", "test_faketensor")
        torch.library.opcheck(getattr(torch.ops.videostr, name).default, on_device(arguments), test_utils=checks)
