"""The compilers and the disassembler that the report needs, or what to install."""

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent


class ToolError(Exception):
    """A tool is missing or a kernel does not compile; the message says what to do."""


@lru_cache
def build_settings() -> ModuleType:
    """build_support/native.py, which is no package: where nvcc is and what it is called with."""
    spec = importlib.util.spec_from_file_location("_native_build", ROOT / "build_support" / "native.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look it up
    spec.loader.exec_module(module)
    return module


def find_nvcc() -> Path:
    """The nvcc that compiles the package. Raises ToolError where there is none."""
    toolkit = build_settings().cuda_toolkit()
    if toolkit is None:
        raise ToolError(
            "no nvcc found (looked in CUDA_HOME and on PATH). Install the CUDA toolkit, 12.8 or newer for sm_100, or "
            "ask for Triton kernels only: --only NAME"
        )
    return toolkit[0] / "bin" / "nvcc"


def find_disassembler() -> Path:
    """nvdisasm: the one in Triton's wheel, else the CUDA toolkit's. Raises ToolError where there is none."""
    triton = importlib.util.find_spec("triton")
    folders = [Path(triton.origin).parent / "backends" / "nvidia" / "bin"] if triton else []
    if home := os.environ.get("CUDA_HOME"):
        folders.append(Path(home, "bin"))
    for folder in folders:
        if (folder / "nvdisasm").is_file():
            return folder / "nvdisasm"
    if found := shutil.which("nvdisasm"):
        return Path(found)
    raise ToolError("no nvdisasm found. Install Triton, whose wheel has it (pip install triton), or the CUDA toolkit")


def require_triton() -> None:
    """Raises ToolError where Triton is missing or is set to interpret kernels instead of compiling them."""
    if importlib.util.find_spec("triton") is None:
        raise ToolError("Triton is not installed: pip install triton (Linux)")
    if os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y"):
        raise ToolError("TRITON_INTERPRET is set, and Triton then compiles nothing: unset it and run again")


def disassemble(cubin: Path) -> str:
    """The listing of a cubin's functions. Raises ToolError where nvdisasm cannot read it."""
    return run(find_disassembler(), "-c", "-ndf", cubin)


def run(*command: str | Path, stdin: str | None = None, stderr: bool = False) -> str:
    """What a tool prints, on stderr where asked. Raises ToolError with what it said where it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"{Path(command[0]).name} failed ({done.returncode}):\n{done.stderr or done.stdout}")
    return done.stderr if stderr else done.stdout
