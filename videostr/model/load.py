"""Load a Qwen2-VL, Qwen2.5-VL or Qwen3-VL checkpoint as a policy."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
)
from transformers.utils import cached_file

from videostr.model.attention import IMPLEMENTATION
from videostr.model.byte_patches import take_byte_patches
from videostr.model.vision_attention import VISION_IMPLEMENTATION
from videostr.model.vision_patches import project_by_product

FAMILIES: dict[str, type[PreTrainedModel]] = {
    "qwen2_vl": Qwen2VLForConditionalGeneration,
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
}
IMAGE_PAD, VIDEO_PAD = "<|image_pad|>", "<|video_pad|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
# LoRA without `target_modules` adapts the language model only.
LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


@dataclass
class Policy:
    """A video language model with what is needed to prompt, sample and train it.

    model: the transformers model, or peft's wrapper around it.
    family: "qwen2_vl", "qwen2_5_vl" or "qwen3_vl".
    suppressed_ids: ids that neither sampling nor training gives any probability: vision placeholders in an answer
        would be filled with vision features by the next training forward.
    eos_ids: ids that end an answer.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    family: str
    suppressed_ids: tuple[int, ...]
    eos_ids: tuple[int, ...]

    @property
    def base(self) -> PreTrainedModel:
        """The transformers model itself, without peft's wrapper (LoRA layers inside it stay active)."""
        return base_model(self.model)

    @property
    def device(self) -> torch.device:
        return self.base.lm_head.weight.device

    @property
    def vocab_size(self) -> int:
        return self.base.config.text_config.vocab_size


def base_model(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside `model`, which may be peft's wrapper around it."""
    return model if isinstance(model, PreTrainedModel) else model.get_base_model()


def load_policy(
    path: str | Path,
    *,
    dtype: torch.dtype | str = torch.float32,
    device: torch.device | str = "cpu",
    freeze_vision: bool = False,
    lora: dict | None = None,
    gradient_checkpointing: bool = False,
) -> Policy:
    """Load model, tokenizer and chat template from a local directory or a hub id.

    lora: arguments of `peft.LoraConfig` (`{}` for its defaults); without `target_modules` the language model's linear
        layers are adapted.
    gradient_checkpointing: recompute each layer in the backward (non-reentrant), in train mode only.

    Raises ValueError for another model family, sliding-window layers, attention dropout or a tokenizer whose vision
    tokens are not the config's; ImportError with what to install when `lora` is given without peft.
    """
    path = str(path)
    config = AutoConfig.from_pretrained(path)
    if config.model_type not in FAMILIES:
        raise ValueError(
            f"path {path!r} holds a model of type {config.model_type!r}; expected one of {', '.join(FAMILIES)}"
        )
    text = config.text_config
    if "sliding_attention" in (getattr(text, "layer_types", None) or ()):
        raise ValueError(
            f"path {path!r}: sliding-window attention layers are not supported, set use_sliding_window=false"
        )
    if text.attention_dropout:
        raise ValueError(f"path {path!r}: attention_dropout must be 0, got {text.attention_dropout}")
    tokenizer = load_tokenizer(path)
    model = FAMILIES[config.model_type].from_pretrained(path, dtype=dtype)
    return make_policy(
        model.to(device),
        tokenizer,
        freeze_vision=freeze_vision,
        lora=lora,
        gradient_checkpointing=gradient_checkpointing,
    )


def make_policy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    freeze_vision: bool = False,
    lora: dict | None = None,
    gradient_checkpointing: bool = False,
) -> Policy:
    """Make a policy of a model that is already in memory. Arguments and errors as in `load_policy`."""
    config = model.config
    if config.model_type not in FAMILIES:
        raise ValueError(f"model is of type {config.model_type!r}; expected one of {', '.join(FAMILIES)}")
    model.set_attn_implementation({"text_config": IMPLEMENTATION})
    if model.config.vision_config._attn_implementation == "sdpa":
        # Set on the config itself: `set_attn_implementation` would look for flash-attn because of the name.
        model.model.visual.config._attn_implementation = VISION_IMPLEMENTATION
    project_by_product(model.model.visual)
    take_byte_patches(model.model, config.model_type)
    if freeze_vision:
        model.model.visual.requires_grad_(False)
    if gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    suppressed = _vision_ids(config, tokenizer)
    eos = model.generation_config.eos_token_id
    eos = tokenizer.eos_token_id if eos is None else eos
    eos_ids = tuple(eos) if isinstance(eos, (list, tuple)) else () if eos is None else (eos,)
    return Policy(
        model=model if lora is None else _with_lora(model, lora),
        tokenizer=tokenizer,
        family=config.model_type,
        suppressed_ids=suppressed,
        eos_ids=eos_ids,
    )


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer with the chat template that the checkpoint's processor would use.

    Qwen's checkpoints keep the template for vision messages beside the tokenizer (`chat_template.jinja` or
    `chat_template.json`), and a text-only one in the tokenizer's own config: the former wins, as in transformers.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(path))
    for name in ("chat_template.jinja", "chat_template.json"):
        file = cached_file(
            str(path), name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
        )
        if file is not None:
            content = Path(file).read_text(encoding="utf-8")
            tokenizer.chat_template = json.loads(content)["chat_template"] if name.endswith("json") else content
            break
    if not tokenizer.chat_template:
        raise ValueError(
            f"path {str(path)!r} has no chat template: no chat_template.jinja or .json, and none in its tokenizer"
        )
    return tokenizer


def _vision_ids(config, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    expected = {
        IMAGE_PAD: config.image_token_id,
        VIDEO_PAD: config.video_token_id,
        VISION_START: config.vision_start_token_id,
        VISION_END: config.vision_end_token_id,
    }
    for token, expected_id in expected.items():
        found = tokenizer.convert_tokens_to_ids(token)
        if found != expected_id:
            raise ValueError(f"tokenizer gives {token} the id {found}, but the model's config says {expected_id}")
    return tuple(sorted(expected.values()))


def _with_lora(model: PreTrainedModel, lora: dict) -> nn.Module:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError("LoRA needs peft: pip install peft") from error
    settings = {"task_type": "CAUSAL_LM", "target_modules": LORA_TARGETS, **lora}
    try:
        config = LoraConfig(**settings)
    except TypeError as error:
        raise ValueError(f"lora must hold arguments of peft.LoraConfig, got {sorted(lora)}: {error}") from error
    return get_peft_model(model, config)
