"""Argument checks and shapes of the batch parser; what it reads is in tests/rewards/test_tags.py, against Python's."""

import pytest
import torch

from videostr import ops
from videostr.ops.parse_interval import CODES

TEXTS = [
    b"<think>a</think><time>[2, 6.5]</time>",
    b"",
    b"<time>[6, 2]</time>",
    b"<time>[1s, 2s]</time>",
    b"<time>[1, 2",
]


def pack(texts):
    ends = torch.tensor([0, *map(len, texts)]).cumsum(0)
    return torch.tensor(list(b"".join(texts)), dtype=torch.uint8), ends


def test_by_hand():
    span_N2, code_N = ops.parse_interval(*pack(TEXTS))
    assert [CODES[code] if code >= 0 else "ask" for code in code_N] == [
        "ok",
        "no_tag",
        "reversed",
        "ask",
        "unclosed_tag",
    ]
    assert span_N2[0].tolist() == [2, 6.5] and span_N2[1:].isnan().all()
    assert span_N2.dtype == torch.float64 and code_N.dtype == torch.int64
    span_N2, code_N = ops.parse_interval(*pack(TEXTS[:1]), think=False)
    assert CODES[code_N[0]] == "unexpected_think" and span_N2[0].tolist() == [2, 6.5]


def test_nothing():
    span_N2, code_N = ops.parse_interval(*pack([]))
    assert span_N2.shape == (0, 2) and code_N.shape == (0,)


def test_many_texts_over_threads():
    texts = [b"x" * (i % 700) + b"<time>[%d, %d]</time>" % (i, i + 1) for i in range(5000)]
    span_N2, code_N = ops.parse_interval(*pack(texts), think=False)
    assert (code_N == 0).all()
    assert span_N2.tolist() == [[i, i + 1] for i in range(5000)]


def test_a_view_of_every_other_byte():
    text_C, offsets_N1 = pack(TEXTS)
    spread = torch.stack([text_C, torch.zeros_like(text_C)], 1).flatten()[::2]
    for got, expected in zip(
        ops.parse_interval(spread, offsets_N1.int()), ops.parse_interval(text_C, offsets_N1), strict=True
    ):
        torch.testing.assert_close(got, expected, equal_nan=True)


def test_wrong_arguments_are_named():
    text_C, offsets_N1 = pack(TEXTS)
    with pytest.raises(TypeError, match="text must be uint8, got torch.int64"):
        ops.parse_interval(text_C.long(), offsets_N1)
    with pytest.raises(ValueError, match=r"text must have 1 dimension\(s\)"):
        ops.parse_interval(text_C[None], offsets_N1)
    with pytest.raises(TypeError, match="offsets must hold integers"):
        ops.parse_interval(text_C, offsets_N1.double())
    with pytest.raises(ValueError, match="offsets must have at least one entry"):
        ops.parse_interval(text_C, offsets_N1[:0])
    for wrong in (offsets_N1[1:], offsets_N1[:-1], offsets_N1.flip(0), torch.tensor([0, 9, 5, len(text_C)])):
        with pytest.raises(ValueError, match="offsets must run from 0 to"):
            ops.parse_interval(text_C, wrong)
