"""What policy_loss refuses, and what it says then."""

import pytest
import torch

from videostr import ops

GOOD = dict(
    logprob_NL=torch.zeros(2, 3),
    old_logprob_NL=torch.zeros(2, 3),
    advantage_N=torch.zeros(2),
    mask_NL=torch.ones(2, 3, dtype=torch.bool),
)


@pytest.mark.parametrize(
    "change,error,message",
    [
        ({"logprob_NL": torch.zeros(2)}, ValueError, "logprob must have 2 dimension"),
        ({"old_logprob_NL": torch.zeros(2, 4)}, ValueError, r"old_logprob must have shape \(2, 3\)"),
        ({"advantage_N": torch.zeros(3)}, ValueError, r"advantage must have shape \(2,\)"),
        ({"advantage_N": torch.zeros(2, dtype=torch.long)}, TypeError, "advantage must be floating point"),
        ({"mask_NL": torch.ones(3, 2)}, ValueError, "mask must have shape"),
        ({"loss_type": "ppo"}, ValueError, "loss_type must be one of bnpo, grpo, dr_grpo, .*, vespo, got 'ppo'"),
        ({"clip": 0.1}, TypeError, "unknown option 'clip'; there are clip_low, clip_high, ratio_cap"),
        ({"kl_type": "k4"}, ValueError, "kl_type"),
        ({"kl_coef": 0.1}, ValueError, "ref_logprob must be given"),
        ({"entropy_coef": 0.1}, ValueError, "entropy must be given"),
        ({"importance": "token_mask"}, ValueError, "sampler_logprob must be given"),
        ({"importance": "token"}, ValueError, "importance must be one of token_truncate, token_mask"),
        (
            {
                "loss_type": "vespo",
                "importance": "sequence_mask",
                "sampler_logprob": torch.zeros(2, 3),
                "normalizer": 1,
            },
            ValueError,
            "importance must be of tokens with vespo",
        ),
        ({"ratio_cap": 1.1}, ValueError, r"ratio_cap must be a finite number > 1.2"),
        ({"loss_type": "sapo", "ratio_cap": 2.0}, ValueError, "ratio_cap is for the loss types that clip"),
        ({"loss_type": "sapo", "sapo_temperature": 1.0}, TypeError, "sapo_temperature must be two numbers"),
        ({"vespo_k": (1.0, 0.0)}, ValueError, "vespo_k must be a finite number > 0"),
        ({"kl_bias_correction": 1}, TypeError, "kl_bias_correction must be True or False"),
        ({"loss_type": "dapo"}, ValueError, "normalizer must be given"),
        ({"normalizer": 3.0}, ValueError, "normalizer must be given for dr_grpo, dapo, cispo, vespo only"),
        ({"loss_type": "dapo", "normalizer": 0}, ValueError, "normalizer must be a finite number > 0"),
        ({"importance_min": 3.0}, ValueError, r"importance_min must be at most importance_max \(2.0\), got 3.0"),
        ({"clip_low": -0.1}, ValueError, "clip_low"),
        ({"kl_clamp": 0.0}, ValueError, "kl_clamp"),
        ({"entropy": torch.zeros(2, 2)}, ValueError, "entropy must have shape"),
    ],
)
def test_wrong_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ops.policy_loss(**{**GOOD, **change})
