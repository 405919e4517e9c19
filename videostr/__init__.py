"""GRPO post-training for video language models, fast."""

__version__ = "0.1.0"
