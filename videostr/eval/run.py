"""An evaluation from start to end: samples, answers, scores."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from videostr.config import save_config, to_dict
from videostr.data.prompts import PROMPTS, SYSTEM, WITHOUT_FULL_STOP
from videostr.data.readers import convert, load_durations
from videostr.data.samples import Sample, read_samples, write_samples
from videostr.eval.benchmarks.choices import said
from videostr.eval.config import EvalConfig
from videostr.eval.generate import generate
from videostr.eval.judge import ToRate, rate
from videostr.eval.results import AnswerLog, EvalError, Row, check_same_run, read_answers, write_results
from videostr.eval.scoring import score_rows
from videostr.eval.summary import summarise
from videostr.fingerprint import digest, fingerprint
from videostr.model import Policy, load_policy
from videostr.training.prompter import Prompter, model_frames
from videostr.video import Quarantine

Say = Callable[[str], None]
SKIPPED = "skipped.jsonl"


def evaluate(
    config: EvalConfig,
    out: Path,
    *,
    say: Say = lambda text: None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Row:
    """Answer and score a benchmark; writes what `results` lists into `out` and returns the summary.

    Started again after it was killed, or with other settings for reading the answers, it goes on from the answers that
    are there; in several processes (torchrun, accelerate launch) each answers its share.

    Raises ValueError (EvalError, ConfigError, SampleError, …) or OSError naming what is wrong: a source that cannot be
    read or holds no sample, a folder that holds another evaluation's answers, a checkpoint that cannot be loaded.
    """
    accelerator = Accelerator()
    started = time.monotonic()
    samples, conversion = _on_main(accelerator, lambda: _samples(config, out))
    policy = _policy(config, accelerator)
    identity = _identity(config, policy, samples, _on_main(accelerator, lambda: fingerprint(config.model)))
    _on_main(accelerator, lambda: check_same_run(out, identity))
    samples = samples[: config.limit]
    done = read_answers(out)
    accelerator.wait_for_everyone()  # nobody may answer while another still reads what is there
    todo = sum(sample.id not in done or bool(done[sample.id].get("error")) for sample in samples)
    absent = f", {conversion['missing']:,} videos missing" if conversion["missing"] else ""
    say(f"{len(samples):,} samples, {len(samples) - todo:,} already answered{absent}; {_asked(identity)}")
    name, prefill = config.asked_with
    frames = model_frames(policy, config.frames)
    store, skipped = config.patch_store(out), Quarantine(out / SKIPPED)
    prompter = Prompter(policy, name, config.written_times, frames, store, skipped, prefill)
    generate(
        prompter,
        samples,
        lambda sample: config.spec.ask(sample, name),
        AnswerLog(out, accelerator.process_index),
        done,
        questions=config.spec.questions,
        params=config.decoding,
        seed=config.seed,
        batch_size=config.batch_size,
        reading=config,
        accelerator=accelerator,
        on_batch=on_batch,
    )
    accelerator.wait_for_everyone()
    seconds = time.monotonic() - started
    return _on_main(accelerator, lambda: _finish(config, out, samples, conversion, identity, policy.family, seconds))


def _finish(
    config: EvalConfig,
    out: Path,
    samples: Sequence[Sample],
    conversion: Row,
    identity: Row,
    family: str,
    seconds: float,
) -> Row:
    answers = read_answers(out)
    missing = [sample.id for sample in samples if sample.id not in answers]
    if missing:
        raise EvalError(f"{out}: {len(missing)} samples were not answered, {missing[0]!r} the first: run it again")
    given = [answers[sample.id] for sample in samples]
    rows = score_rows(config, samples, given, family, _judged(config, out, samples, given))
    summary = summarise(config, rows, conversion, identity, seconds)
    write_results(out, rows, summary)
    save_config(config, out / "config.yaml")
    (out / SKIPPED).unlink(missing_ok=True)  # it spares a killed run; whoever asks again wants them tried again
    return summary


def _judged(
    config: EvalConfig, out: Path, samples: Sequence[Sample], given: Sequence[Row]
) -> dict[str, dict[str, int]] | None:
    """The judge's ratings; None where the benchmark wants none or nobody is asked."""
    if config.judge.url is None or not config.spec.judged:
        return None
    items = [
        ToRate(sample.id, name, sample.query, str(sample.meta["answer"]), said(answers["answers"][name]["text"]))
        for sample, answers in zip(samples, given, strict=True)
        for name in config.spec.judged
        if not answers.get("error")
    ]
    return rate(items, config.judge, out / "judge.jsonl")


def _samples(config: EvalConfig, out: Path) -> tuple[list[Sample], Row]:
    """The benchmark's samples as published, those whose video is missing included, and the conversion's report."""
    if config.benchmark == "samples":  # files of the package's own format
        samples = [sample for file in config.data for sample in read_samples(file)]
        write_samples(out / "samples.jsonl", samples)
        without = next((sample.id for sample in samples if not sample.spans), None)
        if without is not None:
            raise EvalError(f"data: sample {without!r} has no interval to find")
        missing = {sample.video for sample in samples if not os.path.exists(sample.video)}
        return samples, {"rejected": {}, "notes": {}, "missing": len(missing)}
    report = convert(
        config.benchmark,
        config.data,
        out / "samples.jsonl",
        videos=config.videos,
        durations=load_durations(Path(config.durations)) if config.durations else None,
        keep_missing=True,
        segments=config.segments,
        as_published=True,
    )
    if not report["written"]:
        raise EvalError(f"data: {', '.join(config.data)} holds no sample; left out: {report['rejected'] or 'nothing'}")
    told = {"rejected": report["rejected"], "notes": report["notes"], "missing": report["videos"]["missing"]}
    return read_samples(out / "samples.jsonl"), told


def _policy(config: EvalConfig, accelerator: Accelerator) -> Policy:
    policy = load_policy(config.model, dtype=getattr(torch, config.dtype), device=accelerator.device)
    policy.model.requires_grad_(False)
    return policy


def _identity(config: EvalConfig, policy: Policy, samples: Sequence[Sample], model_hash: str) -> Row:
    """What the answers depend on, as JSON."""
    name, prefill = config.asked_with
    sampling = to_dict(config.decoding)
    told = [(sample.id, sample.query, sample.spans, sample.meta) for sample in samples]
    return {
        "benchmark": config.benchmark,
        "samples_sha256": digest(told),
        "model": config.model,
        "model_sha256": model_hash[:16],
        "prompt": name,
        "prompt_sha256": prompt_hash(name, prefill),
        "prefill": prefill,
        "written_times": config.written_times,
        "frames": to_dict(model_frames(policy, config.frames)),
        "decoding": {"greedy": True, "max_new_tokens": sampling["max_new_tokens"]} if sampling["greedy"] else sampling,
        "seed": None if sampling["greedy"] else config.seed,
        "dtype": config.dtype,
    }


def prompt_hash(name: str, prefill: str = "") -> str:
    """16 hexadecimal digits of a prompt's words, system message and beginning of the answer included, and of whether
    the sentence loses its full stop."""
    told = json.dumps([SYSTEM.get(name), PROMPTS[name], prefill, name in WITHOUT_FULL_STOP])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _asked(identity: Row) -> str:
    return f"prompt {identity['prompt']} ({identity['prompt_sha256']}), model {identity['model_sha256']}"


def _on_main(accelerator: Accelerator, work: Callable[[], Any]) -> Any:
    """What `work` gives in the main process, in all of them; what it raises there, all raise."""
    result: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            result = [work(), None]
        except (ValueError, OSError) as error:
            if accelerator.num_processes == 1:
                raise
            result = [None, f"{error}"]
    broadcast_object_list(result, from_process=0)
    if result[1] is not None:
        raise EvalError(result[1])
    return result[0]
