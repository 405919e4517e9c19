"""uint8 patches into the three families' models: the bits of patches normalised beforehand."""

import pytest
import torch

from model.tiny import FAMILY_NAMES, Vision, messages, tiny_policy
from videostr import ops
from videostr.model import build_prompt
from videostr.model.byte_patches import NORMALISATION
from videostr.model.prompt import cat_patches


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_bytes_give_what_floats_give(family, dtype):
    policy = tiny_policy(family)
    policy.model.to(dtype)
    generator = torch.Generator().manual_seed(0)
    kept = torch.randint(0, 256, (2 * 4 * 4, 96), dtype=torch.uint8, generator=generator)
    mean, std = NORMALISATION[family]
    floats = ops.normalise_patches(kept, mean=mean, std=std)  # what load_video gives: float32, cast by the model
    outputs = []
    for patches in (kept, floats):
        video = Vision(patches, torch.tensor([2, 4, 4]), torch.arange(4, dtype=torch.float64) / 2, 1.0)
        prompt = build_prompt(policy, messages("video", "image"), [video], [video])
        inputs = prompt.model_inputs()
        assert inputs["pixel_values_videos"].dtype == patches.dtype
        outputs.append(policy.base(**inputs).logits)
    assert outputs[0].isfinite().all() and torch.equal(*outputs)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_projection_gets_its_gradient(family):
    policy = tiny_policy(family)
    kept = torch.randint(0, 256, (16, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    video = Vision(kept, torch.tensor([1, 4, 4]), torch.arange(2, dtype=torch.float64), 1.0)
    policy.base(**build_prompt(policy, messages("video"), [video]).model_inputs()).logits.square().mean().backward()
    assert policy.base.model.visual.patch_embed.proj.weight.grad.abs().max() > 0


def test_bytes_among_floats_are_refused():
    kept = torch.zeros(4, 96, dtype=torch.uint8)
    assert cat_patches([kept, kept]).dtype == torch.uint8
    with pytest.raises(ValueError, match="pixel_values"):
        cat_patches([kept, kept.float()])
