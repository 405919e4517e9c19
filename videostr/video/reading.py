"""How a run reads its videos: through a store on disk, by worker processes or by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from videostr.video.errors import VideoError
from videostr.video.loader import Clip, Loaded, VideoLoader, as_clip
from videostr.video.policy import FramePolicy
from videostr.video.quarantine import Quarantine
from videostr.video.store import PatchStore


@dataclass(kw_only=True)
class ReadingConfig:
    """store: folder for decoded videos, which runs may share (null: `patches` of the run's own); store_gib: its largest
    size. workers: processes that read videos ahead; a file may then take time_limit seconds. 0: videos are read when
    they are needed, by the run itself, and nothing stops a file that hangs or crashes the decoder.
    """

    store: str | None = None
    store_gib: float = 20.0
    workers: int = 0
    time_limit: float = 120.0

    def __post_init__(self) -> None:
        for name in ("store_gib", "workers"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not self.time_limit > 0:
            raise ValueError(f"time_limit must be above 0, got {self.time_limit}")

    def patch_store(self, out: Path) -> PatchStore:
        """The store of a run whose folder is `out`."""
        return PatchStore(self.store or out / "patches", int(self.store_gib * 2**30))


def read_clips(
    clips: Sequence[str | Clip],
    policy: FramePolicy,
    reading: ReadingConfig,
    store: PatchStore,
    quarantine: Quarantine,
    prefetch: int = 8,
) -> Iterator[Loaded]:
    """Every clip in order, with its video (uint8 pixel_values) or what is wrong with it; errors go to the quarantine.

    prefetch: clips that workers may read beyond the one handed out last, if that is enough for all of them to work.
    Raises RuntimeError as `VideoLoader`.
    """
    if reading.workers:
        with VideoLoader(
            clips,
            policy,
            store=store,
            workers=reading.workers,
            prefetch=max(prefetch, reading.workers),
            time_limit=reading.time_limit,
            quarantine=quarantine,
        ) as loader:
            yield from loader
        return
    for position, clip in enumerate(map(as_clip, clips)):
        video = error = None
        try:
            quarantine.check(*clip)
            video = store.load(clip.path, policy, start=clip.start, end=clip.end)
        except VideoError as caught:
            quarantine.add(caught, clip.start, clip.end)
            error = caught
        yield Loaded(position, clip, video, error)
