"""One sample as one row of another trainer's data set.

Where each format was read:
- ms-swift: docs/source_en/Customization/Custom-dataset.md of modelscope/ms-swift ("messages", "videos", <video> where
  a video stands; GRPO hands every other field to the reward).
- TRL: its data_utils.py (`is_conversational`, `prepare_multimodal_messages`) and what `apply_chat_template` of
  transformers takes: a video is a part of the message. Version 1.16 has no column of videos; `videos` is there for
  rewards and own collators.
- verl: docs/preparation/prepare_data.rst and verl/utils/dataset/rl_dataset.py of volcengine/verl (columns
  data_source, prompt, ability, reward_model, extra_info; <video> in the text, and in the column videos what
  qwen-vl-utils takes).
- EasyR1: verl/utils/dataset.py of hiyouga/EasyR1 and its forks with video_key (columns prompt, answer, videos; prompt
  is text, videos are paths, answer becomes the reward's ground_truth).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from videostr.data.prompts import render_prompt
from videostr.data.samples import Sample

PLACEHOLDERS = ("<video>", "<image>", "<audio>")
"""What three of the trainers replace in any text: a sentence that contains one cannot be asked there."""

Row = dict[str, Any]


class Format(NamedTuple):
    """title; row: (sample, prompt's name, number from 0) -> row; suffixes: of the files it can be written to;
    placeholders: whether the trainer replaces `PLACEHOLDERS` in the text."""

    title: str
    row: Callable[[Sample, str, int], Row]
    suffixes: tuple[str, ...]
    placeholders: bool = True


def prompt_text(sample: Sample, prompt: str) -> str:
    """The user's message as text, <video> where the video stands."""
    return _messages(sample, prompt)[-1]["content"]


def _messages(sample: Sample, prompt: str) -> list[Row]:
    """The prompt's messages with their contents as text."""
    *system, user = render_prompt(prompt, sample.query, meta=sample.meta)
    text = "".join("<video>" if part["type"] == "video" else part["text"] for part in user["content"])
    return [*system, {"role": "user", "content": text}]


def _facts(sample: Sample) -> Row:
    """What a reward needs: spans in seconds, and to find the sample again."""
    return {
        "id": sample.id,
        "query": sample.query,
        "spans": [list(span) for span in sample.spans],
        "duration": sample.duration,
        "source": sample.source,
        **_answer(sample),
    }


def _answer(sample: Sample) -> Row:
    """The columns that the rewards of questions and answers read, where the sample has them. What differs in type from
    sample to sample, or may be missing, is text: tables have one type a column."""
    meta = sample.meta
    if "answer_kind" not in meta:
        return {}
    answer = meta["answer"]
    return {
        "task": meta.get("task"),
        "answer_kind": meta["answer_kind"],
        "answer": answer if isinstance(answer, str) else json.dumps(answer),
        "options": json.dumps(meta["options"], ensure_ascii=False) if meta.get("options") else None,
        "unit": meta.get("unit"),
        "graph": json.dumps(meta["graph"], ensure_ascii=False) if "graph" in meta else None,
    }


def ms_swift(sample: Sample, prompt: str, number: int) -> Row:
    """For `swift rlhf --rlhf_type grpo`. `solution` is what its own rewards are given."""
    messages = _messages(sample, prompt)
    return {"messages": messages, "videos": [sample.video], "solution": _ground_truth(sample), **_facts(sample)}


def ms_swift_sft(sample: Sample, prompt: str, number: int) -> Row:
    """For `swift sft`: the annotator's response is the answer."""
    messages = [*_messages(sample, prompt), {"role": "assistant", "content": sample.response}]
    return {"messages": messages, "videos": [sample.video]}


def trl(sample: Sample, prompt: str, number: int) -> Row:
    """A conversational data set of prompts, for GRPOTrainer and its like."""
    *system, user = render_prompt(prompt, sample.query, meta=sample.meta)
    # One type for every message's content, as Arrow's columns need it.
    system = [{"role": "system", "content": [{"type": "text", "text": message["content"]}]} for message in system]
    content = [{**part, "video": sample.video} if part["type"] == "video" else part for part in user["content"]]
    return {"prompt": [*system, {"role": "user", "content": content}], "videos": [sample.video], **_facts(sample)}


def verl(sample: Sample, prompt: str, number: int) -> Row:
    facts = _facts(sample)
    return {
        "data_source": sample.source or "videostr",
        "prompt": _messages(sample, prompt),
        "ability": sample.meta.get("task", "temporal_grounding"),
        "reward_model": {"style": "rule", "ground_truth": _ground_truth(sample)},
        "extra_info": {"index": number, **facts},
        "videos": [{"type": "video", "video": sample.video}],
    }


def easyr1(sample: Sample, prompt: str, number: int) -> Row:
    """A prompt's system message is not in the row: EasyR1 takes it from its own configuration (data.system_prompt)."""
    return {
        **_facts(sample),
        "prompt": prompt_text(sample, prompt),
        "answer": _ground_truth(sample),
        "videos": [sample.video],
        "data_source": sample.source or "videostr",
    }


def _ground_truth(sample: Sample) -> str:
    """The truth as JSON text, the one type every trainer's ground truth may have: the intervals, "[[12.4, 17.0]]", or
    what the rewards read of a question with an answer."""
    if "answer_kind" in sample.meta:
        return json.dumps({name: value for name, value in _answer(sample).items() if value is not None})
    return json.dumps([list(span) for span in sample.spans])


JSON_LINES, TABLES = (".jsonl",), (".parquet", ".jsonl", ".json")
FORMATS: dict[str, Format] = {
    "ms-swift": Format("ms-swift, GRPO", ms_swift, JSON_LINES),
    "ms-swift-sft": Format("ms-swift, SFT on the responses", ms_swift_sft, JSON_LINES),
    "trl": Format("TRL, prompts", trl, JSON_LINES, placeholders=False),
    "verl": Format("verl", verl, TABLES),
    "easyr1": Format("EasyR1", easyr1, TABLES),
}
