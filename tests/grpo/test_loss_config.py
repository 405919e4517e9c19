"""Settings of the loss are refused where they are made, not after the first rollout."""

import pytest

from videostr.config import from_dict
from videostr.grpo import GRPOConfig, LossConfig
from videostr.ops.reference import LOSS_TYPES


@pytest.mark.parametrize("loss_type", sorted(LOSS_TYPES))
def test_every_type_has_defaults_that_work(loss_type):
    assert LossConfig(loss_type=loss_type).loss_type == loss_type


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"loss_type": "ppo"}, "loss_type"),
        ({"clip_low": -0.1}, "clip_low"),
        ({"ratio_cap": 1.1}, "ratio_cap"),
        ({"ratio_cap": 3.0, "loss_type": "cispo"}, "ratio_cap"),
        ({"importance": "token_mask", "importance_min": 3.0}, "importance_min"),
        ({"importance": "sequence_mask", "loss_type": "vespo"}, "importance"),
        ({"kl_clamp": 0.0}, "kl_clamp"),
        ({"entropy_coef": float("nan")}, "entropy_coef"),
    ],
)
def test_refused(settings, names):
    with pytest.raises(ValueError, match=names):
        LossConfig(**settings)
    with pytest.raises(ValueError, match=names):
        from_dict(GRPOConfig, {"loss": settings})
