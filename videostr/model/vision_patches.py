"""The vision tower's patch embedding as the matrix product it is.

transformers has a Conv3d whose kernel is as large as its input: one output a patch. Convolution libraries are slower at
that than the product is. Weights, their names and their shapes stay.
"""

from torch import Tensor, nn
from torch.nn.functional import linear


class PatchProjection(nn.Conv3d):
    """A Conv3d for inputs of exactly its kernel's size: (N, C, T, H, W) -> (N, D, 1, 1, 1)."""

    def forward(self, patches: Tensor) -> Tensor:
        return linear(patches.flatten(1), self.weight.flatten(1), self.bias)[..., None, None, None]


def project_by_product(visual: nn.Module) -> None:
    """Let the tower's own projection, the very module, multiply instead of convolve."""
    projection = visual.patch_embed.proj
    if type(projection) is not nn.Conv3d or projection.stride != projection.kernel_size or projection.groups != 1:
        return
    if set(projection.padding) == {0} and set(projection.dilation) == {1}:
        projection.__class__ = PatchProjection
