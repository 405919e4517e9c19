"""Compiles csrc/ (build_support/native.py says what and when); everything static is in pyproject.toml."""

import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent / "build_support"))
import native  # noqa: E402


class BuildPy(build_py):
    """Puts kernels/*.py into videostr.kernels; never installed as `kernels`, which is another project's name."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for source in Path("kernels").glob("*.py"):
                shutil.copy(source, Path(self.build_lib, "videostr", "kernels"))


ext_modules, build_ext = native.extensions_and_command()
setup(
    packages=find_packages(include=["videostr", "videostr.*"]),
    ext_modules=ext_modules,
    cmdclass={"build_ext": build_ext, "build_py": BuildPy},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
