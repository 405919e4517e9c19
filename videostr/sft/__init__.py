"""Cold start: supervised fine-tuning on written answers. See docs/training.md."""

from videostr.sft.trainer import SFTConfig, likelihood_update, train_sft

__all__ = ["SFTConfig", "likelihood_update", "train_sft"]
