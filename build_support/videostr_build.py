"""PEP 517 backend: setuptools, plus one question asked first: must pip fetch a torch to build against?

pip builds in an isolated environment that sees none of the target's packages. The extension uses torch's stable ABI, so
any torch >= 2.10 will do to build it: the target's own where there is one (no second download of several GB), a fresh
one only where there is none. Under isolation the interpreter still knows its prefix, hence where the target keeps them.
"""

import importlib.metadata
import re
import shutil
import site
import sys
import sysconfig
from pathlib import Path

from setuptools import build_meta as _setuptools

TORCH_REQUIREMENT = "torch>=2.10"
TORCH_MINIMUM = (2, 10)


def target_paths() -> list[str]:
    """Where the interpreter that will import videostr keeps its packages, isolated or not."""
    paths = [sysconfig.get_path("platlib"), sysconfig.get_path("purelib")]
    config = Path(sys.prefix, "pyvenv.cfg")
    shared = "true" in _setting(config, "include-system-site-packages") if config.exists() else True
    if shared:
        paths += [*site.getsitepackages([sys.base_prefix]), site.getusersitepackages()]
    return list(dict.fromkeys(path for path in paths if Path(path).is_dir()))


def _setting(config: Path, key: str) -> str:
    found = re.search(rf"^\s*{re.escape(key)}\s*=\s*(.*)$", config.read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1).strip().lower() if found else ""


def torch_version(paths: list[str]) -> tuple[int, ...] | None:
    """Version of the torch installed in `paths`, read from its metadata; None where there is none."""
    for found in importlib.metadata.distributions(name="torch", path=paths):
        return tuple(int(part) for part in re.findall(r"\d+", found.version)[:2])
    return None


def _build_requirements() -> list[str]:
    found = torch_version(target_paths())
    return [] if found is not None and found >= TORCH_MINIMUM else [TORCH_REQUIREMENT]


def _reach_torch() -> None:
    """Put the target's packages behind the build environment's own, for `import torch` to find."""
    if not _build_requirements():
        sys.path.extend(path for path in target_paths() if path not in sys.path)


def get_requires_for_build_wheel(config_settings=None):
    return _build_requirements()


get_requires_for_build_editable = get_requires_for_build_wheel


def get_requires_for_build_sdist(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    _reach_torch()
    return _setuptools.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def prepare_metadata_for_build_editable(metadata_directory, config_settings=None):
    _reach_torch()
    return _setuptools.prepare_metadata_for_build_editable(metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _reach_torch()
    for stale in Path("build").glob("lib*"):  # setuptools would pack modules that were since deleted
        shutil.rmtree(stale)
    return _setuptools.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    _reach_torch()
    return _setuptools.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory, config_settings=None):
    return _setuptools.build_sdist(sdist_directory, config_settings)
