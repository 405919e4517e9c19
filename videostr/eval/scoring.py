"""Answers -> rows of results: what was read, and what it scores."""

from collections.abc import Mapping, Sequence

from videostr.data.samples import Sample
from videostr.eval.benchmarks import Context
from videostr.eval.config import EvalConfig
from videostr.eval.parsers import PARSERS
from videostr.eval.results import Row


def score_rows(
    config: EvalConfig,
    samples: Sequence[Sample],
    answers: Sequence[Row],
    family: str,
    judged: Mapping[str, Mapping[str, int]] | None = None,
) -> list[Row]:
    """One row of results.jsonl a sample: id, video, query, spans, duration, meta, error, input, answers (with reason
    and parsed), score, cells. answers: rows of the answer log. judged: sample id -> question -> a judge's rating."""
    parser, prefill = PARSERS[config.read_with], config.asked_with[1]
    rows = []
    for sample, given in zip(samples, answers, strict=True):
        error, told = given.get("error"), given.get("answers") or {}
        seen = given.get("input")
        context = Context(
            parser,
            config.asked_with[0],
            size=(seen["height"], seen["width"]) if seen else None,
            family=family,
            judges=judged is not None,
            judged=(judged or {}).get(sample.id, {}),
        )
        texts = None if error else {name: prefill + answer["text"] for name, answer in told.items()}
        scored = config.spec.score(sample, texts, context)
        rows.append(
            {
                "id": sample.id,
                "video": sample.video,
                "query": sample.query,
                "spans": [list(span) for span in sample.spans],
                "duration": sample.duration,
                "meta": sample.meta,
                "error": error,
                "input": seen,
                "answers": {
                    name: answer | {"reason": scored.reasons.get(name), "parsed": scored.parsed.get(name)}
                    for name, answer in told.items()
                },
                "judged": dict(context.judged),
                "score": scored.score,
                "cells": scored.cells,
            }
        )
    return rows
