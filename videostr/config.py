"""Typed configuration: nested dataclasses, a YAML file over their defaults, then `--set a.b=value` pairs.

The dataclass is the schema. A key it does not have, or a value of another type, is a `ConfigError` that names the key,
where it was written, and the nearest key there is. Values may refer to one another (`${out}/eval`) and to the
environment (`${oc.env:HOME}`).
"""

import dataclasses
import difflib
import os
import re
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from videostr import atomic

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key, its source and what was expected."""


def load_config(cls: type[T], file: str | os.PathLike | None = None, overrides: typing.Sequence[str] = ()) -> T:
    """An instance of the dataclass `cls`: its defaults, overwritten by the YAML `file`, overwritten by `overrides` in
    order.

    Args:
        cls: a dataclass whose fields are bool, int, float, str, Path, Any, Literal, Optional / union, list, tuple,
        dict, or a dataclass.
        file: a YAML mapping; an empty file changes nothing.
        overrides: `"a.b=value"`; the value is read as YAML (`null`, `true`, `1e-4`, `[1, 2]`), or taken as it is for a
        str field.

    Raises:
        ConfigError: missing or malformed file, unknown key, wrong type, missing required value, or a ValueError of a
        `__post_init__`.
    """
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise TypeError(f"cls: expected a dataclass, got {cls!r}")
    layers = []
    if file is not None:
        layers.append((f"in {file}", _read_yaml(Path(file))))
    layers += [(f"in --set {text}", _read_override(cls, text)) for text in overrides]
    for source, layer in layers:
        _convert(cls, layer, "", source, cls, partial=True)
    try:
        merged = OmegaConf.create({})
        for layer in [_defaults(cls), *(layer for _, layer in layers)]:
            merged = OmegaConf.merge(merged, layer)
        values = OmegaConf.to_container(merged, resolve=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from error
    source = "in the merged configuration" if len(layers) != 1 else layers[0][0]
    return _convert(cls, values, "", source, cls, partial=False)


def from_dict(cls: type[T], values: dict[str, Any], key: str = "", source: str = "given") -> T:
    """An instance of the dataclass `cls` from plain values, checked as `load_config` checks a file.

    key: what stands before its keys in messages; source: where the values are from, for messages.
    Raises ConfigError as `load_config`.
    """
    return _convert(cls, values, key, source, cls, partial=False)


def to_dict(cfg: Any) -> dict[str, Any]:
    """The dataclass instance `cfg` as plain dicts, lists, numbers, strings and None (a Path becomes its string)."""
    if not dataclasses.is_dataclass(cfg) or isinstance(cfg, type):
        raise TypeError(f"cfg: expected a dataclass instance, got {cfg!r}")
    return _plain(cfg)


def save_config(cfg: Any, path: str | os.PathLike) -> None:
    """Write `cfg` as YAML that `load_config(type(cfg), path)` reads back as an equal instance. Atomic; OSError as
    `atomic.write_bytes`."""
    atomic.write_text(path, yaml.safe_dump(_escape(to_dict(cfg)), sort_keys=False, allow_unicode=True, width=120))


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        loaded = OmegaConf.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise ConfigError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{file}: {error}") from error
    values = OmegaConf.to_container(loaded, resolve=False)
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: expected a mapping of keys to values, got a {type(values).__name__}")
    return values


def _read_override(cls: type, text: str) -> dict[str, Any]:
    if not isinstance(text, str) or "=" not in text or not all(text.split("=", 1)[0].strip().split(".")):
        raise ConfigError(f"--set {text}: expected key=value, such as sft.lr=1e-4")
    key, value_text = (part.strip() for part in text.split("=", 1))
    try:
        # OmegaConf's YAML, unlike plain PyYAML, reads 1e-4 as a number.
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={value_text}"]), resolve=False)["value"]
    except (yaml.YAMLError, OmegaConfBaseException):
        value = value_text
    if value is not None and _field_type(cls, key.split(".")) in (str, str | None, Path, Path | None):
        # Text for a text field needs no quotes, whatever YAML would make of it; quotes that are there are YAML's.
        value = value if isinstance(value, str) else value_text
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _field_type(cls: Any, parts: list[str]) -> Any:
    for part in parts:
        section = _section(cls)
        cls = typing.get_type_hints(section).get(part) if section else None
    return cls


def _section(hint: Any) -> type | None:
    """The dataclass in a type, also when it is optional."""
    for option in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        if isinstance(option, type) and dataclasses.is_dataclass(option):
            return option
    return None


def _defaults(cls: type) -> dict[str, Any]:
    values = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            values[field.name] = _escape(_plain(field.default))
        elif field.default_factory is not dataclasses.MISSING:
            factory = field.default_factory
            # A section's class may itself have fields without default, which the file then has to give.
            nested = factory if isinstance(factory, type) and dataclasses.is_dataclass(factory) else None
            values[field.name] = _defaults(nested) if nested else _escape(_plain(factory()))
        elif isinstance(hints[field.name], type) and dataclasses.is_dataclass(hints[field.name]):
            values[field.name] = _defaults(hints[field.name])
    return values


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _escape(value: Any) -> Any:
    """A literal "${" in a value is no reference."""
    if isinstance(value, dict):
        return {key: _escape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escape(item) for item in value]
    # n backslashes before it become 2n + 1: OmegaConf reads pairs as one backslash, the last as "what follows is text".
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _convert(hint: Any, value: Any, key: str, source: str, root: type, partial: bool) -> Any:
    """`value` as an instance of the type `hint`. `partial`: only check the keys that are there; references are not
    resolved yet."""
    if partial and isinstance(value, str) and "${" in value:
        return value
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _convert_section(hint, value, key, source, root, partial)
    if origin in (Union, types.UnionType):
        for option in args:
            if option is type(None) and value is None:
                return None
        options = [option for option in args if option is not type(None)]
        for option in options[:-1]:
            try:
                return _convert(option, value, key, source, root, partial)
            except ConfigError:
                continue
        if len(options) == 1 and (get_origin(options[0]) or dataclasses.is_dataclass(options[0])) and value is not None:
            return _convert(options[0], value, key, source, root, partial)
        try:
            return _convert(options[-1], value, key, source, root, partial)
        except ConfigError:
            raise _wrong_type(hint, value, key, source) from None
    if origin is Literal:
        for option in args:
            if value == option and type(value) is type(option):
                return value
        near = difflib.get_close_matches(str(value), [str(option) for option in args], n=1)
        hint_text = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{key}: expected one of {', '.join(map(repr, args))}, got {value!r} ({source}){hint_text}")
    if origin in (list, tuple) and isinstance(value, list):
        return _convert_sequence(hint, value, key, source, root, partial)
    if (origin is dict or hint is dict) and isinstance(value, dict):
        key_type, item_type = args or (Any, Any)
        return {
            _convert(key_type, name, f"{key} (key)", source, root, partial): _convert(
                item_type, item, f"{key}.{name}", source, root, partial
            )
            for name, item in value.items()
        }
    if hint in (list, tuple) and isinstance(value, list):
        return hint(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    raise _wrong_type(hint, value, key, source)


def _convert_section(cls: type, value: Any, key: str, source: str, root: type, partial: bool) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(f"{key}: expected a section with keys {_names(cls)}, got {_got(value)} ({source})")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in fields:
            raise ConfigError(f"unknown key {prefix}{name} ({source}){_suggest(root, f'{prefix}{name}')}")
    converted = {
        name: _convert(hints[name], item, f"{prefix}{name}", source, root, partial) for name, item in value.items()
    }
    if partial:
        return converted
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in converted and not has_default:
            raise ConfigError(f"{prefix}{name}: a value is required ({_type_name(hints[name])}) and none was given")
    try:
        return cls(**converted)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{key or 'configuration'}: {error} ({source})") from error


def _convert_sequence(hint: Any, value: list, key: str, source: str, root: type, partial: bool) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        if len(args) != len(value):
            raise _wrong_type(hint, value, key, source)
        item_types = args
    else:
        item_types = [args[0]] * len(value)
    items = [
        _convert(item_type, item, f"{key}[{index}]", source, root, partial)
        for index, (item_type, item) in enumerate(zip(item_types, value, strict=True))
    ]
    return origin(items)


def _suggest(root: type, key: str) -> str:
    """The nearest dotted key, where "nearest" looks at the whole key and at its last part alone (the section may be
    what is wrong)."""

    def ratio(left: str, right: str) -> float:
        return difflib.SequenceMatcher(None, left.lower(), right.lower()).ratio()

    def score(candidate: str) -> float:
        return max(ratio(key, candidate), ratio(key.rsplit(".", 1)[-1], candidate.rsplit(".", 1)[-1]) - 0.05)

    best = max(_all_keys(root), key=score, default=None)
    return f"; did you mean {best}?" if best is not None and score(best) >= 0.6 else ""


def _all_keys(cls: type, prefix: str = "") -> list[str]:
    keys = []
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        keys.append(prefix + field.name)
        section = _section(hints[field.name])
        if section is not None and section is not cls:
            keys += _all_keys(section, f"{prefix}{field.name}.")
    return keys


def _names(cls: type) -> str:
    return ", ".join(field.name for field in dataclasses.fields(cls))


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def _got(value: Any) -> str:
    return "null" if value is None else f"{value!r} ({type(value).__name__})"


def _wrong_type(hint: Any, value: Any, key: str, source: str) -> ConfigError:
    return ConfigError(f"{key}: expected {_type_name(hint)}, got {_got(value)} ({source})")
