"""Settings shared by every trainer."""

from dataclasses import dataclass, field


@dataclass
class OptimConfig:
    """AdamW and its schedule.

    lr_vision: of the vision tower; None: `lr`. lr_muon: of the matrices between embeddings and head, the vision tower's
    among them, which Muon then moves (Jordan et al. 2024, kellerjordan.github.io/posts/muon) with `beta1` as its
    momentum; None: AdamW moves them too. schedule: "cosine" (to zero) or "constant", after `warmup_ratio` of the steps.
    """

    lr: float = 1e-6
    lr_vision: float | None = None
    lr_muon: float | None = None
    weight_decay: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.999
    max_grad_norm: float = 1.0
    schedule: str = "constant"
    warmup_ratio: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"optim.schedule must be 'cosine' or 'constant', got {self.schedule!r}")
        for name in ("lr", "lr_vision", "lr_muon", "max_grad_norm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"optim.{name} must be above 0, got {value}")
        for name in ("beta1", "beta2", "warmup_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"optim.{name} must be in [0, 1], got {getattr(self, name)}")
        at_least("optim", self, 0, "weight_decay")


@dataclass
class LoopConfig:
    """How often a run is saved and scored, and where its numbers go.

    save_every: steps between checkpoints. keep: checkpoints kept.
    eval_every: steps between held-out scores, which go into the step's row as "eval/…"; 0: none.
    trackers: accelerate's logging back-ends beside metrics/NAME.jsonl, such as "tensorboard" or "wandb".
    """

    save_every: int = 50
    keep: int = 2
    eval_every: int = 0
    trackers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        at_least("loop", self, 1, "save_every", "keep")
        at_least("loop", self, 0, "eval_every")


def at_least(section: str, config: object, least: float, *names: str) -> None:
    """Raise ValueError naming the first of the settings `names` that is below `least`; None is no number and passes."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not value >= least:
            raise ValueError(f"{section}.{name} must be at least {least}, got {value}")
