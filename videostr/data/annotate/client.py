"""One request to an OpenAI-compatible endpoint, and what its response means."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_RAW = 2000  # characters kept of a response that cannot be used


@dataclass(frozen=True)
class Answer:
    """text: with the thinking in <think> tags. finish: the endpoint's finish_reason. usage: prompt and completion
    tokens, where it says. model: what answered."""

    text: str
    finish: str | None
    usage: dict[str, int]
    model: str | None


@dataclass(frozen=True)
class Problem:
    """reason: short, to count by. paid: whether it cost money; None is not known. retry: whether asking again may help;
    wait: seconds the endpoint asks for. fatal: no other request would do better."""

    reason: str
    detail: str = ""
    paid: bool | None = False
    retry: bool = False
    wait: float | None = None
    fatal: bool = False
    usage: dict[str, int] | None = None


def import_client() -> Any:
    """httpx2. Raises ImportError that says how to install it."""
    try:
        import httpx2
    except ImportError as error:
        raise ImportError("the annotator needs the package httpx2: pip install 'videostr[annotate]'") from error
    return httpx2


class Client:
    """POST {endpoint}/chat/completions. An async context manager.

    endpoint: up to and with the version, such as http://localhost:8000/v1. api_key: None sends none. timeout: seconds
    without a byte. Raises ValueError for an endpoint that is no http(s) URL.
    """

    def __init__(self, endpoint: str, api_key: str | None, timeout: float, connections: int):
        self.httpx = import_client()
        url = self.httpx.URL(endpoint)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"endpoint: expected a URL such as http://localhost:8000/v1, got {endpoint!r}")
        if not timeout > 0:
            raise ValueError(f"timeout: expected seconds above 0, got {timeout!r}")
        self.url = f"{endpoint.rstrip('/')}/chat/completions"
        self._http = self.httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=self.httpx.Timeout(timeout, connect=min(timeout, 15.0), pool=None),
            limits=self.httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def __aenter__(self) -> Client:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._http.__aexit__(*error)

    async def ask(self, body: Mapping[str, Any], key: str) -> Answer | Problem:
        """key: sent as Idempotency-Key, so that an endpoint that honours it neither computes nor bills a repeat."""
        try:
            response = await self._http.post(self.url, json=body, headers={"Idempotency-Key": key})
        except self.httpx.ConnectError as error:
            return Problem("connection", str(error), retry=True)
        except self.httpx.TimeoutException as error:
            sent = not isinstance(error, self.httpx.ConnectTimeout)
            return Problem("timeout", type(error).__name__, paid=None if sent else False, retry=True)
        except self.httpx.RequestError as error:  # it broke off, or cannot be decoded: the endpoint may have answered
            return Problem("connection", f"{type(error).__name__}: {error}", paid=None, retry=True)
        return read_response(response.status_code, response.headers, response)


def read_response(status: int, headers: Mapping[str, str], response: Any) -> Answer | Problem:
    """What a response means. Anything may come: nothing raises."""
    if status != 200:
        return _refusal(status, headers, response.text)
    try:
        body = response.json()
    except (ValueError, RecursionError) as error:
        detail = f"{error}: {response.content[:MAX_RAW].decode('utf-8', 'replace')}"
        return Problem("malformed", detail, paid=True, retry=True)
    usage = _usage(body)
    try:
        choice = body["choices"][0]
        text = _text(choice["message"])
    except (LookupError, TypeError, AttributeError) as error:
        return Problem("malformed", f"{error!r}: {response.text[:MAX_RAW]}", paid=True, retry=True, usage=usage)
    finish = choice.get("finish_reason")
    if not text.strip():
        return Problem("empty", f"finish_reason {finish!r}", paid=True, usage=usage)
    model = body.get("model")
    return Answer(text, finish if isinstance(finish, str) else None, usage, model if isinstance(model, str) else None)


def _refusal(status: int, headers: Mapping[str, str], text: str) -> Problem:
    detail = text[:MAX_RAW]
    if status in (401, 402, 403, 404) or (status == 429 and "insufficient_quota" in text):
        return Problem(f"http_{status}", detail, fatal=True)
    retry = status in (408, 409, 425, 429) or status >= 500
    return Problem(f"http_{status}", detail, retry=retry, wait=retry_after(headers.get("retry-after")))


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds of a Retry-After header, which is a number of them or an HTTP date (RFC 9110, 10.2.3); None for anything
    else."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        seconds = date.timestamp() - (time.time() if now is None else now)
    return max(0.0, seconds) if seconds < 1e6 else None


def _text(message: dict[str, Any]) -> str:
    """The answer; thinking that a server has split off goes back in front of it."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    content = content or ""
    thinking = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thinking, str) and thinking.strip() and "<think>" not in content:
        content = f"<think>{thinking.strip()}</think>{content.removeprefix('</think>')}"
    if not isinstance(content, str):
        raise TypeError(f"content: expected text, got {type(content).__name__}")
    return content.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair cannot be written


def _usage(body: Any) -> dict[str, int]:
    usage = body.get("usage") if isinstance(body, dict) else None
    found = {}
    for name in ("prompt_tokens", "completion_tokens"):
        value = usage.get(name) if isinstance(usage, dict) else None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            found[name] = value
    return found
