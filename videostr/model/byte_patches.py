"""Vision inputs as uint8 patches, a quarter of the bytes to keep and to ship; normalised as a step of the forward."""

from typing import Any

from torch import nn, uint8

from videostr import ops

HALF = (0.5, 0.5, 0.5)
# mean and std that each family's checkpoints ship in their preprocessor's configuration
NORMALISATION = {
    "qwen2_vl": (ops.CLIP_MEAN, ops.CLIP_STD),
    "qwen2_5_vl": (ops.CLIP_MEAN, ops.CLIP_STD),
    "qwen3_vl": (HALF, HALF),
}
VISION_INPUTS = ("pixel_values", "pixel_values_videos")


def take_byte_patches(model: nn.Module, family: str) -> None:
    """Let the model (transformers' `…Model`) take uint8 patches beside float ones.

    They become the vision tower's dtype on the device they are on, before the model sees them, by `normalise_patches`:
    the bits of patches that were normalised in float32 and cast. Not folded into the projection's weights: those are
    trained, and in bfloat16 the result would differ.
    """
    mean, std = NORMALISATION[family]

    def normalise(module: nn.Module, args: tuple, kwargs: dict[str, Any]):
        for name in VISION_INPUTS:
            patches = kwargs.get(name)
            if patches is not None and patches.dtype == uint8:
                dtype = module.visual.dtype
                kwargs[name] = ops.normalise_patches(patches, mean=mean, std=std, dtype=dtype)
        return args, kwargs

    model.register_forward_pre_hook(normalise, with_kwargs=True)
