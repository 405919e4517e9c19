import json

import pytest
import torch

from videostr import cli, doctor, ops
from videostr.ops import _library
from videostr.video.readers import READERS


def test_json_report(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] and report["problems"] == []
    assert report["torch"]["version"] == torch.__version__
    assert "_C.abi3.so" in report["built"]["cpu"]
    assert set(report["operators"]) == {name for name in ops.__all__ if name.islower()}
    assert all("kernel" in use["cpu"] for use in report["operators"].values())
    assert report["found"]["av"]
    assert report["readers"]["pyav"]["ok"] and set(report["readers"]) == set(READERS)
    assert report["readers"]["nvdec"]["ok"] or report["readers"]["nvdec"]["note"]


def test_text_report(capsys):
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    for word in ("built", "CPU operators", "torch", "nvcc", "vllm", "video reader", "pyav", "nvdec", "linear_logprob"):
        assert word in text


def test_missing_packages_come_with_what_to_install(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    report = doctor.examine()
    assert "no video reader: pip install av" in report["advice"]
    assert any("videostr[trl]" in line for line in report["advice"])


def test_missing_object_is_named_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(_library, "PACKAGE", tmp_path)
    with pytest.raises(ImportError, match="compiled operators are missing from .* run `pip install -e .`"):
        _library.load()
    (tmp_path / "_C.abi3.so").write_text("not a shared object")
    with pytest.raises(ImportError, match="does not load into torch .* build again"):
        _library.load()


@pytest.mark.parametrize("arguments", [[], ["nonsense"]])
def test_unknown_command(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "doctor" in capsys.readouterr().err or not arguments
