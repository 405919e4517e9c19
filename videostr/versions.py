"""Which software a run used."""

import platform
from importlib import metadata

PACKAGES = ("videostr", "torch", "transformers", "accelerate", "tokenizers", "av", "numpy", "peft")


def software_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a run's numbers; a missing package is left out."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
