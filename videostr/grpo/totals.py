"""A step's loss numbers over updates, micro-batches and processes."""

from accelerate import Accelerator
from accelerate.utils import gather_object

SUMMED_BY_WEIGHT = ("policy", "kl", "entropy")  # parts of the loss, normalised like it
MAXIMA = ("ratio_max", "mismatch_max")


class Totals:
    """Adds up the `stats` of `ops.policy_loss`.

    Parts of the loss are added with the micro-batches' weights and averaged over the updates, so that they are the loss
    that was minimised, whatever the micro-batch size. `tokens` is a sum, maxima are maxima, everything else is a mean
    over the tokens of the step.
    """

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.updates = 0
        self.grad_norm = 0.0
        self.sums: dict[str, float] = {}
        self.maxima: dict[str, float] = {}

    def add(self, stats: dict[str, float], weight: float) -> None:
        """The stats of one micro-batch, whose loss counts `weight` in its update."""
        for key, value in stats.items():
            if key in MAXIMA:
                self.maxima[key] = max(value, self.maxima.get(key, value))
            else:
                factor = weight if key in SUMMED_BY_WEIGHT else 1.0 if key == "tokens" else stats["tokens"]
                self.sums[key] = self.sums.get(key, 0.0) + value * factor

    def row(self) -> dict[str, float]:
        """The numbers of all processes together; empty when there was no update. All processes call it."""
        ranks = gather_object([(self.sums, self.maxima)])
        if not self.updates:
            return {}
        row = {"grad_norm": self.grad_norm / self.updates}
        tokens = sum(sums.get("tokens", 0.0) for sums, _ in ranks)
        for key in sorted({key for sums, _ in ranks for key in sums}):
            total = sum(sums.get(key, 0.0) for sums, _ in ranks)
            row[key] = total if key == "tokens" else total / (self.updates if key in SUMMED_BY_WEIGHT else tokens)
        for _, maxima in ranks:
            for key, value in maxima.items():
                row[key] = max(value, row.get(key, value))
        return row
