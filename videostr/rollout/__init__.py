"""Sampling answers from a policy, and the check that sampling and training see the same model."""

from videostr.rollout.check import Mismatch, RolloutMismatchError, check_rollout, logprob_mismatch, pad_logprobs
from videostr.rollout.sampler import Completion, sample_groups
from videostr.rollout.sampling import SamplingParams

__all__ = [
    "Completion",
    "Mismatch",
    "RolloutMismatchError",
    "SamplingParams",
    "check_rollout",
    "logprob_mismatch",
    "pad_logprobs",
    "sample_groups",
]
