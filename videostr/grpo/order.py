"""Which samples a step of GRPO sees."""

from collections.abc import Callable, Sequence

from videostr.data.samples import Sample
from videostr.training.order import step_indices

# The samples of an epoch (from 0), chosen when it begins. Asked again about an epoch that has begun, also by a run that
# was killed and goes on, it must give the same answer.
EpochSamples = Callable[[int], Sequence[Sample]]


class SampleOrder:
    """The samples of each step, shuffled by the seed.

    A fixed set is gone through without a gap: a step may end one epoch and begin the next. Where every epoch chooses
    anew, it begins with a step of its own, and its last step is filled up from the epoch's own beginning.

    Raises ValueError when there is no sample.
    """

    def __init__(self, samples: Sequence[Sample] | EpochSamples, per_step: int, seed: int):
        self.per_step, self.seed = per_step, seed
        self._choose = samples if callable(samples) else None
        self.first = samples(0) if callable(samples) else samples
        self._epoch, self._begins, self._samples = 0, 0, self.first
        if not self.first:
            raise ValueError("samples is empty: GRPO has nothing to train on")

    def batch(self, step: int) -> list[Sample]:
        """The samples of step `step` (from 0). Steps are asked for in ascending order."""
        while self._choose is not None and step >= self._begins + self._steps():
            self._begins += self._steps()
            self._epoch += 1
            # An epoch for which nothing was chosen goes on with the samples of the one before.
            self._samples = self._choose(self._epoch) or self._samples
        seed = f"{self.seed}/{self._epoch}" if self._choose is not None else self.seed
        indices = step_indices(len(self._samples), self.per_step, step - self._begins, seed)
        return [self._samples[index] for index in indices]

    def _steps(self) -> int:
        return -(-len(self._samples) // self.per_step)
