"""Which samples a step sees: a fixed set, and one that every epoch chooses anew."""

from collections import Counter

import pytest
from training.toys import toy_samples

from videostr.grpo.order import SampleOrder
from videostr.training.order import step_indices

SAMPLES = toy_samples(12)
CHOSEN = {0: SAMPLES[:7], 1: SAMPLES[5:], 2: [], 3: SAMPLES[:1]}


def ids(samples):
    return [sample.id for sample in samples]


def test_a_fixed_set_is_gone_through_without_a_gap():
    order = SampleOrder(SAMPLES, 5, seed=3)
    for step in range(6):
        assert ids(order.batch(step)) == [SAMPLES[i].id for i in step_indices(12, 5, step, 3)]


def test_every_epoch_has_its_own_samples():
    asked = []

    def choose(epoch):
        asked.append(epoch)
        return CHOSEN[epoch]

    order = SampleOrder(choose, 3, seed=0)
    batches = [ids(order.batch(step)) for step in range(9)]
    assert all(len(batch) == 3 for batch in batches)
    # Seven samples make three steps each; nothing is chosen for the third epoch, which keeps the second's.
    for epoch, samples in ((0, CHOSEN[0]), (1, CHOSEN[1]), (2, CHOSEN[1])):
        seen = Counter(name for batch in batches[3 * epoch : 3 * epoch + 3] for name in batch)
        assert set(seen) == set(ids(samples)) and sum(seen.values()) == 9
        assert max(seen.values()) <= 2
    assert batches[3:6] != batches[6:9]
    assert asked == [0, 1, 2]
    assert ids(order.batch(9)) == ["s0"] * 3 and asked == [0, 1, 2, 3]


def test_an_epoch_is_chosen_when_it_begins_and_found_again():
    asked = []
    order = SampleOrder(lambda epoch: asked.append(epoch) or CHOSEN[epoch], 3, seed=0)
    before = [order.batch(step) for step in range(3)]
    assert asked == [0]
    after = order.batch(3)
    assert asked == [0, 1]
    resumed = SampleOrder(lambda epoch: CHOSEN[epoch], 3, seed=0)
    assert resumed.batch(2) == before[2] and resumed.batch(3) == after
    assert SampleOrder(lambda epoch: CHOSEN[epoch], 3, seed=0).batch(3) == after


def test_nothing_to_train_on():
    for nothing in ([], lambda epoch: []):
        with pytest.raises(ValueError, match="samples is empty"):
            SampleOrder(nothing, 4, seed=0)
