"""Samples -> answers: worker processes read videos ahead, prompts are sampled in batches, a batch written when done.

Batches are fixed by the samples' places and dealt to the processes in turn, so a resumed run samples what an
uninterrupted one would have; of a batch that a kill cut in two while it was written, the rest is sampled alone.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise

import numpy as np
from accelerate import Accelerator

from videostr.data.samples import Sample
from videostr.eval.clips import alone, clip_of
from videostr.eval.results import AnswerLog, Row
from videostr.model import Prompt
from videostr.rollout import SamplingParams, sample_groups
from videostr.training.order import group_seed
from videostr.training.prompter import Prompter
from videostr.video import Clip, Loaded, ReadingConfig, VideoError, VideoInputs, read_clips

AHEAD = 2  # batches whose videos are read, and bound the memory, while one is sampled


def generate(
    prompter: Prompter,
    samples: Sequence[Sample],
    ask: Callable[[Sample], dict[str, str]],
    log: AnswerLog,
    done: Mapping[str, Row],
    *,
    questions: int,
    params: SamplingParams,
    seed: int,
    batch_size: int,
    reading: ReadingConfig,
    accelerator: Accelerator,
    on_batch: Callable[[int, int], None] | None = None,
) -> None:
    """Answer what is not `done`; one row a sample goes to `log`: id, answers (question -> text, tokens, finished,
    prompt), input (frames, fps, height, width, video_tokens), or error (reason, detail) where its video cannot be read.

    prompter: with a store, and a Quarantine for what cannot be read. ask: sample -> question -> its text. questions:
    about how many a sample has. batch_size: prompts sampled together. on_batch: called with (samples finished, samples
    of this process).
    """
    size = max(1, batch_size // questions)
    batches = [samples[start : start + size] for start in range(0, len(samples), size)]
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    # A video that could not be read is tried again: it may be there by now.
    open_ = [[s for s in batch if s.id not in done or done[s.id].get("error")] for batch in mine]
    total = sum(map(len, mine))
    finished = total - sum(map(len, open_))
    for batch in _read_ahead([batch for batch in open_ if batch], prompter, reading):
        log.add(_answer(prompter, batch, ask, params, seed, batch_size, accelerator))
        finished += len(batch)
        if on_batch is not None:
            on_batch(finished, total)


def _read_ahead(
    batches: Sequence[Sequence[Sample]], prompter: Prompter, reading: ReadingConfig
) -> Iterator[list[tuple[Sample, Loaded]]]:
    """The batches in order, each sample with its video; of what the batch before has, nothing is read again."""
    wanted = [list(dict.fromkeys(map(clip_of, batch))) for batch in batches]
    clips = [clip for before, now in pairwise([[], *wanted]) for clip in now if clip not in before]
    ahead = AHEAD * max(map(len, batches), default=1)
    videos: dict[Clip, Loaded] = {}
    with closing(read_clips(clips, prompter.frames, reading, prompter.store, prompter.skipped, ahead)) as loaded:
        for batch, now in zip(batches, wanted, strict=True):
            videos = {clip: videos[clip] if clip in videos else next(loaded) for clip in now}
            yield [(sample, videos[clip_of(sample)]) for sample in batch]


def _answer(
    prompter: Prompter,
    batch: Sequence[tuple[Sample, Loaded]],
    ask: Callable[[Sample], dict[str, str]],
    params: SamplingParams,
    seed: int,
    batch_size: int,
    accelerator: Accelerator,
) -> list[Row]:
    rows: list[Row] = []
    asked: list[tuple[Row, str, Prompt]] = []
    for sample, loaded in batch:
        if loaded.error is not None:
            reason, detail = loaded.error.reason, loaded.error.detail
            told = str(VideoError(sample.video, reason, detail))  # the quarantine has absolute paths, a first try not
            rows.append({"id": sample.id, "error": {"reason": reason, "detail": told}})
            continue
        video = alone(loaded.video, loaded.clip)
        row = {"id": sample.id, "input": _input(video, prompter), "answers": {}}
        rows.append(row)
        asked += [(row, name, prompter.ask(text, video, sample.meta)) for name, text in ask(sample).items()]
    for start in range(0, len(asked), batch_size):
        part = asked[start : start + batch_size]
        seeds = [group_seed(seed, 0, f"{row['id']}/{name}") for row, name, _ in part]
        with accelerator.autocast():
            groups = sample_groups(prompter.policy, [prompt for _, _, prompt in part], 1, params, seeds)
        for (row, name, prompt), (completion,) in zip(part, groups, strict=True):
            row["answers"][name] = {
                "text": completion.text,
                "tokens": len(completion.ids_L),
                "finished": completion.finished,
                "prompt_tokens": len(prompt),
                "prompt_sha256": hashlib.sha256(prompt.text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
            }
    return rows


def _input(video: VideoInputs, prompter: Prompter) -> Row:
    """What the model saw of a video. frames: without a repeat that pairs an odd number; fps: between first and last."""
    pairs, height, width = video.grid_thw.tolist()
    times = np.unique(video.timestamps)
    seconds = float(times[-1] - times[0])
    patch, merge = prompter.frames.patch_size, prompter.frames.merge_size
    return {
        "frames": len(times),
        "fps": round((len(times) - 1) / seconds, 4) if seconds > 0 else None,
        "height": height * patch,
        "width": width * patch,
        "video_tokens": pairs * height * width // merge**2,
        "seconds": round(float(video.duration), 4),
    }
