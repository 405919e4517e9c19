"""The benchmark runner end to end, in its smallest size. What it measures is checked, how fast it was is not."""

import csv
import importlib
import json
import pkgutil

import pytest
import torch

from benchmarks import operators, run

COLUMNS = "operator provider version mode shape metric unit median p20 p80 bytes flops error device threads".split()
NAMES = ("group_advantage", "temporal_iou")
ALL = tuple(sorted(module.name for module in pkgutil.iter_modules(operators.__path__)))


@pytest.fixture
def rows(tmp_path):
    assert run.main([*NAMES, "--quick", "--out", str(tmp_path)]) == 0
    return {name: list(csv.DictReader((tmp_path / f"{name}.csv").open())) for name in NAMES}


@pytest.mark.slow
def test_rows_of_every_provider(rows, tmp_path):
    for name, table in rows.items():
        assert list(table[0]) == COLUMNS
        assert {row["operator"] for row in table} == {name}
        assert {row["metric"] for row in table} == {"time", "peak_memory"}
        providers = {row["provider"] for row in table}
        assert "videostr" in providers and len(providers) > 1
        for row in table:
            assert float(row["error"]) < (0.02 if row["mode"] == "bfloat16" else 1e-5)
            assert int(row["bytes"]) > 0 and float(row["flops"]) > 0
            if row["metric"] == "time":
                assert 0 < float(row["p20"]) <= float(row["median"]) <= float(row["p80"])
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["environment"]["versions"]["torch"] and len(results["rows"]) == sum(map(len, rows.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_provider_runs_and_is_right(name):
    """In this process and at the smallest size: what the runner does around it is the test above."""
    module = importlib.import_module(f"benchmarks.operators.{name}")
    for mode, size in module.sizes(torch.device("cpu"), True):
        assert module.cost(mode, size).bytes > 0 and module.shape(size)
        for provider in module.providers(mode, size):
            module.make(provider, mode, "cpu", "tiny")()
            bound = 0.02 if mode == "bfloat16" else 1e-5
            assert module.error(provider, mode, "cpu", size) < bound, (provider, mode)


@pytest.mark.parametrize(
    "arguments,message", [(["nonsense"], "no benchmark nonsense"), (["--device", "cuda"], "no CUDA device")]
)
def test_wrong_arguments_are_named(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        run.main(arguments)
    assert message in capsys.readouterr().err
