from __future__ import annotations  # so that the hints are strings, as in a recipe that does the same

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videostr.config import ConfigError, load_config, save_config, to_dict


@dataclass
class Sft:
    lr: float = 1e-4
    steps: int = 700
    schedule: Literal["cosine", "constant"] = "cosine"
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self):
        if self.steps < 0:
            raise ValueError(f"steps: expected >= 0, got {self.steps}")


@dataclass
class Lora:
    rank: int  # no default: whoever writes a lora section says how large


@dataclass
class Recipe:
    out: Path = Path("runs/default")
    seed: int = 0
    model: str = "tiny"
    limit: int | None = None
    sft: Sft = field(default_factory=Sft)
    lora: Lora | None = None
    stages: list[str] = field(default_factory=lambda: ["base", "sft"])
    extra: dict[str, Any] = field(default_factory=dict)
    resume: bool = True


def write(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_defaults():
    assert load_config(Recipe) == Recipe()


def test_file_over_defaults_and_set_over_file(tmp_path):
    file = write(tmp_path, "sft:\n  lr: 1e-5\n  steps: 3\nmodel: big\nstages: [rl]\n")
    config = load_config(Recipe, file, ["sft.lr=2e-6", "limit=4", "out=a/b", "lora.rank=8", "extra.a.b=[1, x]"])
    assert config.sft == Sft(lr=2e-6, steps=3)
    assert (config.model, config.limit, config.out) == ("big", 4, Path("a/b"))
    assert config.stages == ["rl"]
    assert config.lora == Lora(8)
    assert config.extra == {"a": {"b": [1, "x"]}}


def test_later_set_wins_and_null_clears():
    assert load_config(Recipe, None, ["limit=4", "limit=5"]).limit == 5
    assert load_config(Recipe, None, ["limit=4", "limit=null"]).limit is None


def test_a_whole_number_is_a_float_but_not_the_reverse():
    config = load_config(Recipe, None, ["sft.lr=1", "sft.betas=[0, 1]"])
    assert config.sft.lr == 1.0 and type(config.sft.lr) is float and config.sft.betas == (0.0, 1.0)
    with pytest.raises(ConfigError, match=r"sft.steps: expected int, got 3.5 \(float\)"):
        load_config(Recipe, None, ["sft.steps=3.5"])


def test_text_on_the_command_line_needs_no_quotes():
    for text in ("123", "1e-4", "true", "a=b: c", "[x", "it's"):
        assert load_config(Recipe, None, [f"model={text}"]).model == text


def test_references(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "/data")
    file = write(tmp_path, "out: ${oc.env:DATA_ROOT}/run\nmodel: ${out}/model\nsft: {steps: '${seed}'}\n")
    config = load_config(Recipe, file, ["seed=7"])
    assert (config.out, config.model, config.sft.steps) == (Path("/data/run"), "/data/run/model", 7)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("sft: {lrr: 1}", r"unknown key sft.lrr \(in .*recipe.yaml\); did you mean sft.lr\?"),
        ("lr: 1", r"unknown key lr \(in .*\); did you mean sft.lr\?"),
        ("lora: {rnak: 1}", r"unknown key lora.rnak \(in .*\); did you mean lora.rank\?"),
        ("zzzzzz: 1", r"unknown key zzzzzz \(in .*recipe.yaml\)$"),
        ("seed: zero", r"seed: expected int, got 'zero' \(str\) \(in .*recipe.yaml\)"),
        ("seed: true", r"seed: expected int, got True \(bool\)"),
        ("seed: null", r"seed: expected int, got null"),
        ("resume: 1", r"resume: expected bool, got 1 \(int\)"),
        ("model: 3", r"model: expected str, got 3 \(int\)"),
        ("limit: many", r"limit: expected int \| None, got 'many' \(str\)"),
        ("sft: 3", r"sft: expected a section with keys lr, steps, schedule, betas, got 3 \(int\)"),
        ("stages: base", r"stages: expected list\[str\], got 'base' \(str\)"),
        ("stages: [base, 2]", r"stages\[1\]: expected str, got 2 \(int\)"),
        ("sft: {betas: [0.9]}", r"sft.betas: expected tuple\[float, float\], got \[0.9\] \(list\)"),
        ("sft: {schedule: cosin}", r"sft.schedule: expected one of 'cosine', 'constant', got 'cosin' .*'cosine'\?"),
        ("sft: {steps: -1}", r"sft: steps: expected >= 0, got -1"),
        ("lora: {}", r"lora.rank: a value is required \(int\) and none was given"),
        ("model: ${nowhere}", r"model: Interpolation key 'nowhere' not found"),
        ("seed: ${model}", r"seed: expected int, got 'tiny' \(str\)"),
        ("- a", r"expected a mapping of keys to values, got a list"),
        ("sft: [1", r"recipe.yaml:\d+: not valid YAML"),
        ("seed: 1\nseed: 2", r"recipe.yaml:2: not valid YAML: found duplicate key seed"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, yaml, message):
    with pytest.raises(ConfigError, match=message):
        load_config(Recipe, write(tmp_path, yaml))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("sft.leraning=1", r"unknown key sft.leraning \(in --set sft.leraning=1\)"),
        ("sfft.lr=1", r"unknown key sfft \(in --set sfft.lr=1\); did you mean sft\?"),
        ("sft.lr=fast", r"sft.lr: expected float, got 'fast' \(str\) \(in --set sft.lr=fast\)"),
        ("sft.lr", r"--set sft.lr: expected key=value"),
        ("=3", r"--set =3: expected key=value"),
        ("sft..lr=3", r"expected key=value"),
        ("seed.x=3", r"seed: expected int, got \{'x': 3\} \(dict\)"),
    ],
)
def test_what_is_wrong_in_a_set_is_named(argument, message):
    with pytest.raises(ConfigError, match=message):
        load_config(Recipe, None, [argument])


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="missing.yaml: no such configuration file"):
        load_config(Recipe, tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Recipe, tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="binary.yaml"):
        load_config(Recipe, binary)


def test_an_empty_file_changes_nothing(tmp_path):
    assert load_config(Recipe, write(tmp_path, "# nothing yet\n")) == Recipe()


def test_arguments_of_the_wrong_kind():
    with pytest.raises(TypeError, match="cls: expected a dataclass"):
        load_config(dict)
    with pytest.raises(TypeError, match="cfg: expected a dataclass instance"):
        to_dict(Recipe)


def test_to_dict_is_plain():
    assert to_dict(Recipe(lora=Lora(4)))["lora"] == {"rank": 4}
    assert to_dict(Recipe())["out"] == "runs/default" and to_dict(Recipe())["sft"]["betas"] == [0.9, 0.999]


printable = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


@given(
    model=printable,
    lr=st.floats(allow_nan=False, allow_infinity=False),
    stages=st.lists(printable, max_size=3),
    limit=st.none() | st.integers(),
    rank=st.none() | st.integers(),
)
@settings(deadline=None, max_examples=60)
def test_a_saved_configuration_reads_back_equal(tmp_path_factory, model, lr, stages, limit, rank):
    config = Recipe(model=model, sft=Sft(lr=lr), stages=stages, limit=limit, lora=None if rank is None else Lora(rank))
    path = tmp_path_factory.mktemp("saved") / "config.yaml"
    save_config(config, path)
    assert load_config(Recipe, path) == config


@given(st.lists(st.sampled_from(["${", "$", "{", "}", "\\", "a", ":", "'", "."]), max_size=10).map("".join))
@settings(deadline=None, max_examples=200)
def test_a_literal_dollar_brace_is_text(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("saved") / "config.yaml"
    save_config(Recipe(model=text), path)
    assert load_config(Recipe, path).model == text
