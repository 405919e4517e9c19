"""The bytes and FLOPs that operators declare, and the floors made from them."""

from pathlib import Path

import pytest

from benchmarks import accounting, costs
from benchmarks.peaks import GPUS
from videostr.doctor import OPERATORS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_operator_declares_its_cost():
    assert set(costs.SHAPES) == set(OPERATORS)


def test_costs_by_hand():
    # 6 N D V, and two bytes an element for hidden, weight and their gradients
    cost = costs.linear_logprob(N=10, D=4, V=7)
    assert cost.flops == {"bf16_tensor": 6 * 10 * 4 * 7}
    assert cost.bytes == 2 * 2 * (10 * 4 + 7 * 4) + 10 * 8 + 4 * 10 * 4
    # reward 4, id 8, advantage 4 bytes an answer; mean 4, std 4, flag 1 a group
    assert costs.group_advantage(100, 10).bytes == 100 * 16 + 10 * 25
    # four numbers in, one out
    assert costs.temporal_iou(3, itemsize=8).bytes == 3 * 5 * 8
    assert costs.temporal_iou_pairwise(3, 5).bytes == (6 + 10 + 15) * 4
    # 14 intervals of 8 bytes, two offsets of 8, five numbers of 4 an answer
    assert costs.temporal_set_scores(2, 8, 6).bytes == 2 * (14 * 8 + 16 + 20)
    # 2 x 3 boxes of 16 bytes and a frame of 8, two offsets and a number
    assert costs.tube_iou(1, 3).bytes == 6 * 24 + 16 + 4


def test_the_floor_is_the_longer_time():
    h100 = next(gpu for gpu in GPUS if gpu.name.startswith("H100"))
    seconds, limit = h100.floor(costs.linear_logprob(8192, 4096, 151_936))
    assert limit == "bf16_tensor" and seconds == pytest.approx(30.9e-3, rel=2e-3)  # the design notes' figure
    seconds, limit = h100.floor(costs.Cost(335, {"fp64": 1.0}, 1))
    assert limit == "memory" and seconds == pytest.approx(1e-10)


def test_the_page_in_docs_is_what_the_command_writes(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["accounting", "--out", str(tmp_path)])
    accounting.main()
    assert (tmp_path / "gpu_floor.md").read_text() == (DOCS / "gpu-floor.md").read_text()
    assert len((tmp_path / "gpu_floor.csv").read_text().splitlines()) == 1 + len(accounting.rows())
