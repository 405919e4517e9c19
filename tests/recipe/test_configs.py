"""The configurations in recipes/configs are what the recipes understand."""

from pathlib import Path

import pytest

from videostr.config import load_config
from videostr.recipe.grounding import TwoStageConfig
from videostr.recipe.video_str import VideoStrConfig

FOLDER = Path(__file__).parents[2] / "recipes/configs"
CLASSES = {"tvg_r1": TwoStageConfig, "video_str": VideoStrConfig}


def test_every_configuration_is_a_recipes():
    files = [path for path in FOLDER.glob("*.yaml") if not path.name.startswith("accelerate_")]
    assert files
    for path in files:
        (config_class,) = [found for name, found in CLASSES.items() if path.name.startswith(name)]
        config = load_config(config_class, path, [])
        assert config.model.path and config.data.train


def test_video_str_7b_has_the_known_settings():
    """G = 8 is the paper's; the rest is in SpaceR's code."""
    config = load_config(VideoStrConfig, FOLDER / "video_str_qwen2_5_vl_7b.yaml", [])
    grpo, frames = config.grpo, config.prompt.frames
    assert (grpo.group_size, grpo.loss.kl_coef, grpo.loss.loss_type) == (8, 0.04, "grpo")
    assert (grpo.optim.lr, grpo.optim.weight_decay, grpo.optim.max_grad_norm) == (1e-6, 0.01, 5.0)
    assert (grpo.sampling.temperature, grpo.sampling.top_p, grpo.sampling.max_new_tokens) == (1.0, 0.95, 1024)
    assert (frames.fps, frames.min_frames, frames.max_frames, frames.max_pixels) == (2.0, 4, 16, 128 * 28 * 28)
    assert grpo.steps * grpo.prompts_per_step == pytest.approx(205_000, rel=0.01)  # one epoch
    terms = config.scorer().terms
    assert terms["node"].gate.above == terms["edge"].gate.above == 0.5
    assert (terms["length"].options["least"], terms["length"].options["most"]) == (320, 512)
