"""Samples -> answers: videos are read ahead by threads, prompts sampled in batches, a batch written when it is done.

Batches are fixed by the samples' places and dealt to the processes in turn, so a resumed run samples what an
uninterrupted one would have; of a batch that a kill cut in two while it was written, the rest is sampled alone.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from accelerate import Accelerator

from videostr.data.samples import Sample
from videostr.eval.clips import clip_of, load_clip
from videostr.eval.results import AnswerLog, Row
from videostr.model import Prompt
from videostr.rollout import SamplingParams, sample_groups
from videostr.training.order import group_seed
from videostr.training.prompter import Prompter
from videostr.video import VideoError, VideoInputs

AHEAD = 2  # batches whose videos are read while one is sampled
Pending = list[tuple[Sample, "Future[VideoInputs]"]]


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
    workers: int,
    accelerator: Accelerator,
    on_batch: Callable[[int, int], None] | None = None,
) -> None:
    """Answer what is not `done`; one row a sample goes to `log`: id, answers (question -> text, tokens, finished,
    prompt), input (frames, fps, height, width, video_tokens), or error (reason, detail) where its video cannot be read.

    ask: sample -> question -> its text. questions: about how many a sample has. batch_size: prompts sampled together.
    on_batch: called with (samples finished, samples of this process).
    """
    size = max(1, batch_size // questions)
    batches = [samples[start : start + size] for start in range(0, len(samples), size)]
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    # A video that could not be read is tried again: it may be there by now.
    open_ = [[s for s in batch if s.id not in done or done[s.id].get("error")] for batch in mine]
    total = sum(map(len, mine))
    finished = total - sum(map(len, open_))
    for pending in _read_ahead(open_, prompter, workers):
        log.add(_answer(prompter, pending, ask, params, seed, batch_size, accelerator))
        finished += len(pending)
        if on_batch is not None:
            on_batch(finished, total)


def _read_ahead(batches: Sequence[Sequence[Sample]], prompter: Prompter, workers: int) -> Iterator[Pending]:
    """The batches in order, their videos being read; a video that neighbouring batches share is read once."""
    queue: deque[Pending] = deque()
    last: Pending = []
    with ThreadPoolExecutor(workers, thread_name_prefix="videos") as pool:
        try:
            for batch in batches:
                if not batch:
                    continue
                shown = [(sample.video, clip_of(sample)) for sample in batch]
                known = {(s.video, clip_of(s)): future for pending in (last, *queue) for s, future in pending}
                for video, clip in shown:
                    if (video, clip) not in known:
                        known[video, clip] = pool.submit(load_clip, video, prompter.frames, clip, prompter.store)
                queue.append([(sample, known[key]) for sample, key in zip(batch, shown, strict=True)])
                if len(queue) > AHEAD:
                    last = queue.popleft()
                    yield last
            while queue:
                last = queue.popleft()
                yield last
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _answer(
    prompter: Prompter,
    pending: Pending,
    ask: Callable[[Sample], dict[str, str]],
    params: SamplingParams,
    seed: int,
    batch_size: int,
    accelerator: Accelerator,
) -> list[Row]:
    rows: list[Row] = []
    asked: list[tuple[Row, str, Prompt]] = []
    for sample, future in pending:
        try:
            video = future.result()
        except VideoError as error:
            rows.append({"id": sample.id, "error": {"reason": error.reason, "detail": str(error)}})
            continue
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
