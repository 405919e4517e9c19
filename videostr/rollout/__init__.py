"""Sampling answers from a policy, and the check that sampling and training see the same model."""

from videostr.rollout.sampler import Completion, sample_groups
from videostr.rollout.sampling import SamplingParams

__all__ = ["Completion", "SamplingParams", "sample_groups"]
