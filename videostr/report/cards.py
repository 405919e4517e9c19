"""What the pages are made of: templates, pictures inside the page, a clip over its time axis."""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from videostr.report.run import is_number
from videostr.report.strips import film_strip, to_jpeg
from videostr.video import VideoError


def render(template: str, **context: Any) -> str:
    """A template of report/templates, filled in; what it is given is escaped."""
    environment = Environment(
        loader=PackageLoader("videostr.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**context)


def data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


class Film(NamedTuple):
    """strip: the clip as a picture inside the page, None where the file cannot be read, and then `problem` says why.
    duration: seconds, above 0. ticks: {"at": per cent of the axis, "label"}."""

    strip: str | None
    problem: str | None
    duration: float
    ticks: list[dict[str, Any]]


def film_of(video: str, duration: Any, spans: Sequence[Sequence[float]]) -> Film:
    """A clip with its axis. The file says how long it is; without it `duration` does, without that the last of `spans`
    ends the axis."""
    strip, problem, seconds = None, None, duration if is_number(duration) else 0.0
    try:
        film = film_strip(video)
        strip, seconds = data_uri(to_jpeg(film.image), "jpeg"), film.duration
    except VideoError as error:
        problem = str(error)
    seconds = max(seconds, 1e-9) if seconds > 0 else max((end for _, end in spans), default=1.0)
    return Film(strip, problem, seconds, [{"at": 100 * t / seconds, "label": f"{t:g} s"} for t in ticks(seconds)])


def bar(span: Sequence[float], duration: float) -> dict[str, float]:
    """Left edge and width in per cent of the axis, cut to it; never so thin that it cannot be seen."""
    start, end = (min(max(float(x) / duration, 0.0), 1.0) for x in span)
    return {"left": 100 * min(start, 0.994), "width": max(100 * (end - start), 0.6)}


def ticks(duration: float) -> list[float]:
    """Round times from 0 to at most `duration`, between 4 and 9 of them."""
    step = 10.0**-6
    while True:
        for factor in (1, 2, 5):
            if duration / (step * factor) <= 8:
                return [round(i * step * factor, 9) for i in range(int(duration / (step * factor) + 1e-9) + 1)]
        step *= 10
