"""Small random policies of all three families and random vision inputs, for the tests of model and rollout."""

from dataclasses import dataclass

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3VLConfig,
)

from videostr.model import Policy, make_policy
from videostr.model.load import FAMILIES

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:?!<>/()'\n"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FAMILY_NAMES = tuple(FAMILIES)


@dataclass
class Vision:
    """What `videostr.video.VideoInputs` has, filled with noise; an image leaves the times out."""

    pixel_values: torch.Tensor
    grid_thw: torch.Tensor
    timestamps: torch.Tensor
    seconds_per_grid: float
    duration: float = 0.0


def make_tokenizer() -> PreTrainedTokenizerFast:
    vocab = {token: index for index, token in enumerate([*SPECIAL, *CHARS])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[t for t in SPECIAL if t not in ("<|im_end|>", "<|endoftext|>")],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    return fast


def make_config(family: str, tokenizer, tied: bool):
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    text = {
        "vocab_size": len(tokenizer) + 5,  # a padded vocabulary, as in the real checkpoints
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        "tie_word_embeddings": tied,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}
    common = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": tied,
    }
    if family == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
        return Qwen2VLConfig(text_config=text, vision_config=vision, **common)
    if family == "qwen2_5_vl":
        vision |= {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 64, "window_size": 16}
        vision |= {"fullatt_block_indexes": [1], "tokens_per_second": 2}
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **common)
    text |= {"head_dim": 16}
    text["rope_parameters"] |= {"mrope_interleaved": True}
    vision |= {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 64, "num_position_embeddings": 16}
    vision |= {"deepstack_visual_indexes": [0]}
    return Qwen3VLConfig(text_config=text, vision_config=vision, **common)


def make_model(family: str, tied: bool = True, seed: int = 0, scale: float = 4.0):
    """Random weights, `scale` times the usual spread so that the distributions are far from uniform."""
    tokenizer = make_tokenizer()
    config = make_config(family, tokenizer, tied)
    torch.manual_seed(seed)
    model = FAMILIES[family](config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model.eval(), tokenizer


def tiny_policy(family: str, tied: bool = True, seed: int = 0, **options) -> Policy:
    return make_policy(*make_model(family, tied, seed), **options)


def make_vision(grid: tuple[int, int, int], seconds: float = 1.0, seed: int = 0) -> Vision:
    """Noise patches for `grid` (t, h, w), with temporal patches `seconds` apart."""
    generator = torch.Generator().manual_seed(seed)
    t, h, w = grid
    return Vision(
        pixel_values=torch.randn(t * h * w, 3 * 2 * 4 * 4, generator=generator),
        grid_thw=torch.tensor(grid),
        timestamps=torch.arange(2 * t, dtype=torch.float64) * seconds / 2,
        seconds_per_grid=seconds,
    )


def messages(*kinds: str, text: str = "when does it move?") -> list[dict]:
    """A user message with vision parts of the given kinds ("image", "video") before the text."""
    return [{"role": "user", "content": [*({"type": kind} for kind in kinds), {"type": "text", "text": text}]}]
