"""The filters and the draw on logits alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from videostr.rollout.sampling import SamplingParams, draw, keep_top


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    vocab=st.integers(2, 40),
    top_k=st.integers(0, 50),
    top_p=st.floats(0.05, 1.0),
    temperature=st.floats(0.3, 3.0),
)
def test_kept_sets_equal_transformers(seed, vocab, top_k, top_p, temperature):
    logits_NV = 3 * torch.randn(4, vocab, generator=torch.Generator().manual_seed(seed))
    expected_NV = TemperatureLogitsWarper(temperature)(None, logits_NV)
    if top_k:
        expected_NV = TopKLogitsWarper(top_k)(None, expected_NV)
    if top_p < 1:
        expected_NV = TopPLogitsWarper(top_p)(None, expected_NV)
    kept_NV = keep_top((logits_NV / temperature).log_softmax(-1), top_k, top_p)
    assert torch.equal(kept_NV.isfinite(), expected_NV.isfinite())
    torch.testing.assert_close(kept_NV.softmax(-1), expected_NV.softmax(-1))


def test_draw_follows_the_filtered_distribution():
    logits_V = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, 4.0])
    bias_V = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, float("-inf")])
    rows = 20_000
    uniform_N = torch.rand(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    params = SamplingParams(temperature=0.8, top_k=4, top_p=0.95)
    id_N, logprob_N, sampled_N = draw(logits_V.expand(rows, -1), bias_V, params, uniform_N)
    full_V = (logits_V[:5] / 0.8).softmax(-1)
    kept_V = TopPLogitsWarper(0.95)(None, TopKLogitsWarper(4)(None, full_V.log()[None]))[0].softmax(-1)
    counts_V = torch.bincount(id_N, minlength=5)
    kept = kept_V > 0
    assert not counts_V[:5][~kept].any() and len(counts_V) == 5
    assert (
        chisquare(counts_V[kept].numpy(), (kept_V[kept].double() / kept_V[kept].double().sum() * rows).numpy()).pvalue
        > 1e-3
    )
    torch.testing.assert_close(logprob_N, full_V.log()[id_N])
    torch.testing.assert_close(sampled_N, kept_V.log()[id_N])


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-53])
def test_extreme_numbers_give_possible_ids(uniform):
    bias_V = torch.zeros(10)
    bias_V[[0, 9]] = float("-inf")
    id_N, logprob_N, _ = draw(
        torch.zeros(1, 10), bias_V, SamplingParams(), torch.tensor([uniform], dtype=torch.float64)
    )
    assert 1 <= id_N.item() <= 8 and logprob_N.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"temperature": 0.0}, "temperature must be > 0"),
        ({"temperature": float("nan")}, "temperature must be > 0"),
        ({"top_p": 0.0}, "top_p must be in"),
        ({"top_p": 1.5}, "top_p must be in"),
        ({"top_k": -1}, "top_k must be >= 0"),
        ({"max_new_tokens": 0}, "max_new_tokens must be >= 1"),
    ],
)
def test_wrong_params(arguments, match):
    with pytest.raises(ValueError, match=match):
        SamplingParams(**arguments)
