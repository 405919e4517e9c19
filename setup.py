"""Compiles csrc/ (build_support/native.py says what and when); everything static is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import find_packages, setup

sys.path.insert(0, str(Path(__file__).resolve().parent / "build_support"))
import native  # noqa: E402

packages = find_packages(include=["videostr", "videostr.*"])
package_dir = {}
if any(Path("kernels").glob("*.py")):  # never installed as `kernels`: that name is another project's
    packages.append("videostr.kernels")
    package_dir["videostr.kernels"] = "kernels"

ext_modules, build_ext = native.extensions_and_command()
setup(
    packages=packages,
    package_dir=package_dir,
    ext_modules=ext_modules,
    cmdclass={"build_ext": build_ext},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
