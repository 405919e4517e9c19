"""A stage's videos into the patch store before it begins."""

from collections.abc import Iterator, Sequence

from videostr.recipe.config import PromptConfig
from videostr.video import FramePolicy, PatchStore, Quarantine, VideoError, VideoLoader


def read_videos(
    videos: Sequence[str], frames: FramePolicy, store: PatchStore, skipped: Quarantine, prompt: PromptConfig
) -> Iterator[tuple[str, VideoError | None]]:
    """Each video, once it is in the store, with what is wrong with it; by `prompt.workers` processes or none."""
    if prompt.workers:
        options = {"workers": prompt.workers, "time_limit": prompt.time_limit, "quarantine": skipped}
        with VideoLoader(videos, frames, store=store, **options) as loader:
            yield from ((loaded.clip.path, loaded.error) for loaded in loader)
        return
    for video in videos:
        try:
            skipped.check(video)
            store.load(video, frames)
        except VideoError as error:
            yield video, error
        else:
            yield video, None
