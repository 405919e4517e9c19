"""Cold start: supervised fine-tuning on written answers. See docs/training.md."""

from videostr.sft.trainer import SFTConfig, train_sft

__all__ = ["SFTConfig", "train_sft"]
