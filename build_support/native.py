"""What setup.py compiles: csrc/ for the CPU always, csrc/cuda/ into a second shared object where that can work.

Both objects use torch's stable ABI and Python's limited API: one build serves every torch >= 2.10, CPU or CUDA, and
every Python >= 3.10.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import setuptools
from setuptools.command.build_ext import build_ext as plain_build_ext

TORCH_TARGET = "0x020a000000000000"  # torch 2.10: the oldest the objects load into
# what if-conversion and reductions need to be vectorised; inf, NaN and the order of plain sums keep their meaning
VECTOR_FLAGS = ["-fopenmp-simd", "-fno-trapping-math", "-fno-math-errno"]
CXX_FLAGS = ["-O3", "-g0", "-fvisibility=hidden", *VECTOR_FLAGS, "-Wall", f"-DTORCH_TARGET_VERSION={TORCH_TARGET}"]
NVCC_FLAGS = ["-O3", "-lineinfo", "-DUSE_CUDA", f"-DTORCH_TARGET_VERSION={TORCH_TARGET}"]
DEFAULT_ARCHS = "8.0;9.0;10.0+PTX"

NO_COMPILER = """
videostr: no C++ compiler found (looked for $CXX, c++, g++, clang++), and its operators are C++.
Install one, then run the same command again:
  Debian, Ubuntu   apt install g++
  Fedora, RHEL     dnf install gcc-c++
  conda            conda install -c conda-forge cxx-compiler
  macOS            xcode-select --install
"""
NO_TORCH = """
videostr: torch >= 2.10 is needed to compile and was not found in this environment.
Either leave out --no-build-isolation (pip then fetches what the build needs), or install it first:
  pip install 'torch>=2.10' 'setuptools>=77' ninja
"""


@dataclass(frozen=True)
class CudaDecision:
    """Whether csrc/cuda is compiled, and why."""

    build: bool
    reason: str


def decide_cuda(setting: str, sources: list[str], torch_cuda: str | None, nvcc: str | None) -> CudaDecision:
    """Decide on the CUDA object.

    setting: VIDEOSTR_CUDA, one of auto, 0, 1. sources: the .cu files. torch_cuda, nvcc: versions such as "13.0", None
    where there is none. Raises SystemExit with the reason where 1 asks for what cannot be built, or on another setting.
    """
    if setting not in ("auto", "0", "1"):
        raise SystemExit(f"videostr: VIDEOSTR_CUDA must be auto, 0 or 1, got {setting!r}")
    if setting == "0":
        return CudaDecision(False, "VIDEOSTR_CUDA=0")
    if not sources:
        return CudaDecision(False, "there are no CUDA sources")
    if torch_cuda is None:
        decision = CudaDecision(False, "this torch is not a CUDA build")
    elif nvcc is None:
        decision = CudaDecision(False, "no nvcc found (looked in CUDA_HOME and on PATH)")
    elif nvcc.split(".")[0] != torch_cuda.split(".")[0]:
        decision = CudaDecision(False, f"nvcc is CUDA {nvcc}, torch is CUDA {torch_cuda}: the major must be the same")
    else:
        decision = CudaDecision(True, f"nvcc {nvcc}, torch CUDA {torch_cuda}")
    if setting == "1" and not decision.build:
        raise SystemExit(f"videostr: VIDEOSTR_CUDA=1, but {decision.reason}")
    return decision


def find_compiler() -> str | None:
    named = os.environ.get("CXX", "").split()
    candidates = named[:1] or ["c++", "g++", "clang++"]
    return next((path for path in map(shutil.which, candidates) if path), None)


def cuda_toolkit() -> tuple[Path, str] | None:
    """(root, version) of the CUDA toolkit: of CUDA_HOME where it is set, else of the nvcc on PATH."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    nvcc = Path(home, "bin", "nvcc") if home else shutil.which("nvcc")
    if nvcc is None or not Path(nvcc).is_file():
        return None
    version = re.search(r"release (\d+\.\d+)", _output(nvcc, "--version"))
    # nvcc names its own folder: the one on PATH may be a link or a script that calls it
    folder = re.search(r"^#\$ _HERE_=(.+)$", _output(nvcc, "--dryrun", "none.cu"), re.MULTILINE)
    root = Path(folder.group(1)).parent if folder else Path(nvcc).resolve().parent.parent
    return (root, version.group(1)) if version else None


def _output(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout


def extensions_and_command() -> tuple[list[setuptools.Extension], type]:
    """The extensions for `setup(ext_modules=…)` and the build_ext command that can compile them."""
    sources = sorted(map(str, Path("csrc").glob("*.cpp"))) + sorted(map(str, Path("csrc/cpu").glob("*.cpp")))
    headers = sorted(str(path) for path in Path("csrc").rglob("*") if path.suffix in (".h", ".cuh"))
    toolkit = cuda_toolkit()
    if toolkit is not None:
        os.environ["CUDA_HOME"] = str(toolkit[0])  # read by torch as cpp_extension is imported
    try:
        import torch
        from torch.utils import cpp_extension
    except ImportError:  # metadata and sdist need no torch; compiling does, and says so
        return [setuptools.Extension("videostr._C", sources, py_limited_api=True)], _WithoutTorch

    common = {"include_dirs": [str(Path("csrc").absolute())], "depends": headers, "py_limited_api": True}
    extensions = [cpp_extension.CppExtension("videostr._C", sources, extra_compile_args={"cxx": CXX_FLAGS}, **common)]
    cuda_sources = sorted(map(str, Path("csrc/cuda").glob("*.cu")))
    decision = decide_cuda(
        os.environ.get("VIDEOSTR_CUDA", "auto"),
        cuda_sources,
        torch.version.cuda,
        toolkit[1] if toolkit else None,
    )
    print(f"videostr: CUDA object {'on' if decision.build else 'off'}: {decision.reason}")
    if decision.build:
        if not torch.cuda.is_available():  # with no GPU to ask, torch would compile for every one it knows
            os.environ.setdefault("TORCH_CUDA_ARCH_LIST", DEFAULT_ARCHS)
        flags = {"cxx": [*CXX_FLAGS, "-DUSE_CUDA"], "nvcc": NVCC_FLAGS}
        extensions.append(
            cpp_extension.CUDAExtension("videostr._C_cuda", cuda_sources, extra_compile_args=flags, **common)
        )

    class BuildExt(cpp_extension.BuildExtension):
        def finalize_options(self):
            super().finalize_options()
            # editable builds get a throw-away directory from setuptools; a fixed one makes the next build incremental
            self.build_temp = str(Path("build", f"temp.{sysconfig.get_platform()}").absolute())

        def run(self):
            if find_compiler() is None:
                raise SystemExit(NO_COMPILER)
            super().run()

    return extensions, BuildExt


class _WithoutTorch(plain_build_ext):
    def run(self):
        raise SystemExit(NO_COMPILER if find_compiler() is None else NO_TORCH)
