"""What is asked: a sample and its frames as an OpenAI-compatible request."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from videostr.data.prompts import render_prompt
from videostr.data.samples import Sample

SYSTEM = "You are shown a video as a series of frames. Before each frame stands its time in seconds."


def request_body(
    sample: Sample, frames: Sequence[tuple[float, bytes]], *, model: str, prompt: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a chat completion.

    frames: (seconds, JPEG). prompt: a name of `videostr.data.prompts.PROMPTS`. options: further fields of the body,
    such as max_tokens and temperature; None leaves one out. Raises ValueError for meta that the prompt needs and lacks.
    """
    *system, user = render_prompt(prompt, sample.query, [seconds for seconds, _ in frames], sample.meta)
    images = iter(frames)
    content = [_image(next(images)[1]) if part["type"] == "video" else part for part in user["content"]]
    told = "\n".join([*(message["content"].strip() for message in system), SYSTEM])
    messages = [{"role": "system", "content": told}, {"role": "user", "content": content}]
    fields = {name: value for name, value in options.items() if value is not None}
    return {"model": model, "messages": messages, **fields}


def request_key(sample: Sample, settings: Mapping[str, Any]) -> str:
    """The name of a sample's request: the same question has the same one, in every run."""
    about = [sample.id, PurePath(sample.video).name, sample.query, settings]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode("utf-8", "replace")).hexdigest()[:32]


def _image(jpeg: bytes) -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}
