"""A Qwen2.5-VL of 4 million random parameters and a group on a video of noise: what the end-to-end benchmarks run."""

import tempfile
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from videostr.model import Policy, Prompt, build_prompt, load_policy
from videostr.model.tiny import TinyConfig, write_tiny_policy

MODEL = TinyConfig(hidden=256, layers=4, heads=4, kv_heads=2, mlp=768)
GRID = (16, 16)  # patches of a frame pair: 64 tokens
TEXT_WEIGHTS = (
    MODEL.layers * MODEL.hidden * (2 * MODEL.hidden + 2 * MODEL.hidden * MODEL.kv_heads // MODEL.heads + 3 * MODEL.mlp)
)
VISION_WEIGHTS = MODEL.vision_layers * MODEL.vision_hidden * (4 * MODEL.vision_hidden + 3 * MODEL.vision_mlp)


@lru_cache(maxsize=2)
def build_group(size: tuple[int, int, int], device: str) -> tuple[Policy, PreTrainedModel, Prompt, list[Tensor]]:
    """Policy, the same weights as transformers loads them, a prompt of about `tokens` video tokens, and `group` answers
    of `length` random tokens."""
    tokens, group, length = size
    with tempfile.TemporaryDirectory() as folder:
        write_tiny_policy(Path(folder), ["When does the square turn red?"], MODEL, seed=0)
        policy = load_policy(folder, dtype="float32", device=device)
        plain = type(policy.model).from_pretrained(folder, dtype=torch.float32).to(device)
    pairs = max(1, tokens // (GRID[0] * GRID[1] // 4))
    rng = torch.Generator().manual_seed(0)
    video = SimpleNamespace(
        pixel_values=torch.randn(pairs * GRID[0] * GRID[1], 3 * 2 * 14 * 14, generator=rng),
        grid_thw=torch.tensor([pairs, *GRID]),
        timestamps=torch.arange(pairs, dtype=torch.float32),
        seconds_per_grid=1.0,
        duration=float(pairs),
    )
    content = [{"type": "video"}, {"type": "text", "text": "When does the square turn red?"}]
    prompt = build_prompt(policy, [{"role": "user", "content": content}], videos=[video])
    low, high = len(policy.suppressed_ids) + 8, policy.vocab_size - 8
    return policy, plain, prompt, [torch.randint(low, high, (length,), generator=rng) for _ in range(group)]
