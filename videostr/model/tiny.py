"""A Qwen2.5-VL or Qwen3-VL of one to three million parameters, made from nothing, saved in the layout of a real
checkpoint.

Everything after this file treats it as any other folder of its family: it has a config, weights, a tokenizer with
Qwen's special tokens, a chat template and a generation config.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
TAGS = ("<think>", "</think>", "<time>", "</time>", "<answer>", "</answer>")
GRAPH_TAGS = (*TAGS, "<graph>", "</graph>", "<map>", "</map>")

WORDS = r" ?[A-Za-z]+| ?[0-9]|\s|."  # one sign a token
WORDS_AND_SIGNS = r" ?[A-Za-z]+| ?[0-9]|\s|[^A-Za-z0-9\s]+"  # what JSON puts between words and digits may be one token

EMBEDDING_STD = 0.2

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class TinyConfig:
    """Sizes of the small model: 1.4 million parameters by default.

    family: Qwen3-VL adds learned positions to its patches, Qwen2.5-VL only turns its queries and keys by them; at these
    widths and head sizes the turns of width and height are too slow to tell one token of a picture from the next, so
    a model that must say where things are should be a Qwen3-VL. position_side: those positions form a square of so
    many a side, which is stretched over the picture.
    """

    family: Literal["qwen2_5_vl", "qwen3_vl"] = "qwen2_5_vl"
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    mlp: int = 384
    vision_hidden: int = 96
    vision_layers: int = 2
    vision_heads: int = 4
    vision_mlp: int = 256
    patch_size: int = 14
    position_side: int = 8
    vocab_size: int = 512

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "heads", "kv_heads", "mlp", "patch_size", "position_side"):
            for field in (name, f"vision_{name}") if hasattr(self, f"vision_{name}") else (name,):
                if getattr(self, field) < 1:
                    raise ValueError(f"model.tiny.{field} must be at least 1, got {getattr(self, field)}")
        # A head's rotary pairs are shared out over time, height and width, or over height and width in the tower.
        for whole, part, times in (
            ("hidden", "heads", 2),
            ("heads", "kv_heads", 1),
            ("vision_hidden", "vision_heads", 4),
        ):
            if getattr(self, whole) % (times * getattr(self, part)):
                raise ValueError(
                    f"model.tiny.{whole} ({getattr(self, whole)}) must be a multiple of "
                    f"{f'{times} x ' if times > 1 else ''}{part} ({getattr(self, part)})"
                )


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, tags: Sequence[str] = TAGS, words: str = WORDS
) -> PreTrainedTokenizerFast:
    """Byte-level BPE over `texts`, digits one by one, so that any text round-trips and numbers are spelled out.

    tags: texts that are one token each. words: a pattern; no token crosses the border of what it matches.
    """
    tokenizer = Tokenizer(models.BPE())
    # A word keeps the space before it; digits stand alone, as numbers must not merge.
    split = pre_tokenizers.Split(Regex(words), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(tags),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(list(tags))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[t for t in SPECIAL_TOKENS if t not in ("<|im_end|>", "<|endoftext|>")],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def write_tiny_policy(
    directory: Path,
    texts: Iterable[str],
    config: TinyConfig,
    seed: int,
    tags: Sequence[str] = TAGS,
    words: str = WORDS,
) -> None:
    """Train the tokenizer (`train_tokenizer`) on `texts`, draw random weights from `seed`, and save both under
    `directory`."""
    tokenizer = train_tokenizer(texts, config.vocab_size, tags, words)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    hf_config = _CONFIGS[config.family](config, len(tokenizer), ids)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _MODELS[config.family](hf_config)
        _init_narrow(model)
    model.generation_config = GenerationConfig(
        eos_token_id=ids["<|im_end|>"], pad_token_id=ids["<|endoftext|>"], do_sample=False
    )
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _text_config(config: TinyConfig, vocab_size: int, ids: dict[str, int]) -> dict:
    return {
        "vocab_size": vocab_size,
        "hidden_size": config.hidden,
        "intermediate_size": config.mlp,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": _mrope_section(config.hidden // config.heads),
        },
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


def _vision_config(config: TinyConfig) -> dict:
    return {
        "depth": config.vision_layers,
        "hidden_size": config.vision_hidden,
        "intermediate_size": config.vision_mlp,
        "num_heads": config.vision_heads,
        "out_hidden_size": config.hidden,
        "patch_size": config.patch_size,
    }


def _common(ids: dict[str, int]) -> dict:
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": True,
    }


def _qwen2_5_vl(config: TinyConfig, vocab_size: int, ids: dict[str, int]) -> Qwen2_5_VLConfig:
    vision = _vision_config(config) | {
        "spatial_patch_size": config.patch_size,
        "window_size": 8 * config.patch_size,
        "fullatt_block_indexes": list(range(config.vision_layers)),
        "tokens_per_second": 2,
    }
    return Qwen2_5_VLConfig(text_config=_text_config(config, vocab_size, ids), vision_config=vision, **_common(ids))


def _qwen3_vl(config: TinyConfig, vocab_size: int, ids: dict[str, int]) -> Qwen3VLConfig:
    text = _text_config(config, vocab_size, ids) | {"head_dim": config.hidden // config.heads}
    text["rope_parameters"] |= {"mrope_interleaved": True}
    vision = _vision_config(config) | {
        "num_position_embeddings": config.position_side**2,
        "deepstack_visual_indexes": [0],
    }
    return Qwen3VLConfig(text_config=text, vision_config=vision, **_common(ids))


_CONFIGS = {"qwen2_5_vl": _qwen2_5_vl, "qwen3_vl": _qwen3_vl}
_MODELS: dict[str, type[PreTrainedModel]] = {
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
}


def _init_narrow(model: PreTrainedModel) -> None:
    """Draw the weights again with a variance that fits the width.

    transformers' fixed 0.02 suits thousands of channels; at a hundred the layers begin by adding next to nothing and
    the model takes thousands of steps to look at its input. Vision features start at the scale of the word embeddings,
    learned positions at that of the patches.
    """
    embeddings, visual = model.get_input_embeddings(), model.model.visual
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, torch.nn.Conv3d):
            torch.nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
    torch.nn.init.normal_(embeddings.weight, std=EMBEDDING_STD)
    model.tie_weights()
    if model.config.model_type == "qwen3_vl":
        torch.nn.init.normal_(visual.pos_embed.weight)
        last = [merger.linear_fc2 for merger in (visual.merger, *visual.deepstack_merger_list)]
    else:
        last = [visual.merger.mlp[-1]]
    with torch.no_grad():
        for layer in last:
            layer.weight.mul_(EMBEDDING_STD)


def _mrope_section(head_dim: int) -> list[int]:
    """Split half a head's rotary pairs over time, height and width in Qwen's proportion of 2 : 3 : 3."""
    pairs = head_dim // 2
    side = 3 * pairs // 8
    return [pairs - 2 * side, side, side]
