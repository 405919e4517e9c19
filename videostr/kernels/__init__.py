"""Triton kernels, one file an operator. In a source tree the files lie in its kernels/; a wheel has them here."""

from pathlib import Path

_TREE = Path(__file__).resolve().parent.parent.parent
if (_TREE / "build_support").is_dir():  # not site-packages, where `kernels` would be another project
    __path__.append(str(_TREE / "kernels"))
