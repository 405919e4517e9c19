"""The benchmark runner end to end, in its smallest size. What it measures is checked, how fast it was is not."""

import csv
import json
import pkgutil

import pytest

from benchmarks import operators, run

COLUMNS = "operator provider version mode shape metric unit median p20 p80 bytes flops error device threads".split()
NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(operators.__path__)))


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


@pytest.mark.parametrize(
    "arguments,message", [(["nonsense"], "no benchmark nonsense"), (["--device", "cuda"], "no CUDA device")]
)
def test_wrong_arguments_are_named(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        run.main(arguments)
    assert message in capsys.readouterr().err
