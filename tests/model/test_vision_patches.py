"""The patch embedding as a product against torch's convolution."""

import copy

import pytest
import torch
from torch import nn

from videostr.model.vision_patches import PatchProjection, project_by_product


class Tower(nn.Module):
    def __init__(self, projection):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = projection


@pytest.mark.parametrize("bias", [False, True])
def test_equals_the_convolution(bias):
    torch.manual_seed(0)
    tower = Tower(nn.Conv3d(3, 10, (2, 4, 4), stride=(2, 4, 4), bias=bias).double())
    convolution = copy.deepcopy(tower.patch_embed.proj)
    project_by_product(tower)
    product = tower.patch_embed.proj
    assert type(product) is PatchProjection
    patches = torch.randn(7, 3, 2, 4, 4, dtype=torch.float64)
    results = []
    for module in (product, convolution):
        leaf = patches.clone().requires_grad_()
        out = module(leaf)
        out.square().sum().backward()
        results.append([out.detach(), leaf.grad, *(p.grad for p in module.parameters())])
    for ours, right in zip(*results, strict=True):
        torch.testing.assert_close(ours, right)
    assert tower.state_dict().keys() == Tower(convolution).state_dict().keys()


def test_other_convolutions_are_left_alone():
    tower = Tower(nn.Conv3d(3, 4, (2, 4, 4), stride=(1, 4, 4)))
    project_by_product(tower)
    assert type(tower.patch_embed.proj) is nn.Conv3d
