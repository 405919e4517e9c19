"""Spatio-temporal reasoning with relation graphs; `recipes/video_str.py` is its command line."""

from videostr.recipe.video_str.ablation import run_ablation
from videostr.recipe.video_str.config import VideoStrConfig
from videostr.recipe.video_str.stages import run_video_str

__all__ = ["VideoStrConfig", "run_ablation", "run_video_str"]
