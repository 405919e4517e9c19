"""Builds a simulation: one file of kernels and bindings, compiled with checks, and the runtime that carries them out.

g++'s own calls before every memory access are the hook: `-fsanitize=thread`, without its library. The runtime is not
instrumented. Everything is kept in `build/` under a hash of what went into it.
"""

import functools
import hashlib
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"
CACHE = HERE / "build"

COMMON = ["-std=c++20", "-fPIC", "-fvisibility=hidden", "-Wno-unknown-pragmas"]
RUNTIME = [*COMMON, "-O2"]
KERNELS = [
    *COMMON,
    *("-O1", "-gdwarf-4", "-g1", "-ffp-contract=off", "-DVIDEOSTR_CUDA_SIM"),
    "-fsanitize=thread,alignment,bounds,shift,signed-integer-overflow",
    *("--param", "tsan-distinguish-volatile=1"),
    "-fno-tree-sra",  # a 16-byte load stays one access, and is checked as one
    # every shared array a symbol of its own, that no other module shares
    *("-fdata-sections", "-fno-gnu-unique", "-fno-threadsafe-statics"),
]
COMDAT = re.compile(r'^(\s*\.section\s+[^,]+,"\w*)G(\w*",@\w+(?:,\d+)?),[^,]+,comdat$')
LIBRARY_CALL = re.compile(r"\t(memcpy|memmove|memset)@PLT")
GAP = 64  # bytes after every shared array: an overrun hits no other array


def why_not() -> str | None:
    """Why nothing can be built here, or None."""
    missing = [tool for tool in ("g++", "nm", "addr2line", "c++filt") if shutil.which(tool) is None]
    if importlib.util.find_spec("pybind11") is None:
        missing.append("pybind11")
    if not (sys.platform.startswith("linux") and os.uname().machine == "x86_64"):
        return "the simulator switches stacks on x86-64 Linux only"
    return f"the simulator needs {', '.join(missing)}" if missing else None


class CudaSimError(Exception):
    """What a kernel did wrong: its kind, and where; `lines` are the source lines, the access first."""

    library = ""

    def __init__(self, kind, kernel, block, thread, message, addresses):
        self.kind, self.kernel, self.block, self.thread = kind, kernel, block, thread
        self.message = message
        self.lines = source_lines(self.library, addresses)
        where = f" ({', then '.join(self.lines)})" if self.lines else ""
        super().__init__(f"{kind} in {kernel}, block {block}, thread {thread}: {message}{where}")


def source_lines(library, addresses) -> list[str]:
    if not addresses:
        return []
    out = run(["addr2line", "-s", "-e", str(library), *map(hex, addresses)])
    return [line.split(" ")[0] for line in out.splitlines()]


def run(command) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


@functools.cache
def compiler() -> str:
    return run(["g++", "--version"]).splitlines()[0]


def headers() -> list[Path]:
    folders = [HERE / "include", HERE / "runtime", CSRC / "common", CSRC / "cuda"]
    return sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in (".h", ".cuh"))


def cached(stem: str, suffix: str, inputs: list[Path], flags: list[str], make) -> Path:
    """The file that `make(path)` writes, made again only where an input, a flag or the compiler is another."""
    digest = hashlib.sha256(repr([compiler(), sys.version, GAP, flags, *(p.read_bytes() for p in inputs)]).encode())
    path = CACHE / f"{stem}-{digest.hexdigest()[:16]}{suffix}"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        for old in CACHE.glob(f"{stem}-{'?' * 16}{suffix}"):
            old.unlink(missing_ok=True)
        part = path.with_name(f"{os.getpid()}-{path.name}")
        make(part)
        part.replace(path)  # whole or not at all, also when two runs build at once
    return path


def runtime_objects() -> list[Path]:
    import pybind11

    includes = [f"-I{HERE / 'include'}", f"-I{pybind11.get_include()}", f"-I{sysconfig.get_paths()['include']}"]
    flags = [*RUNTIME, *includes]

    def compile_to(source):
        return lambda part: run(["g++", *flags, "-c", source, "-o", part])

    return [
        cached(f"runtime-{s.stem}", ".o", [s, *headers()], [*flags, pybind11.__version__], compile_to(s))
        for s in sorted((HERE / "runtime").glob("*.cpp"))
    ]


def prepare(assembly: str) -> str:
    """The instrumented file's assembly, with gaps behind shared arrays and nothing that the linker would merge.

    An inline function that the runtime uses too would otherwise be taken from one object for both.
    """
    lines, in_shared = [], False
    for line in assembly.splitlines():
        if line.endswith(":"):
            in_shared = line.startswith("_ZZ")
        elif ",comdat" in line:
            line = COMDAT.sub(r"\1\2", line)
        elif line.startswith("\t.weak\t"):
            line = line.replace(".weak", ".local")
        elif in_shared and line.startswith("\t.zero\t"):
            line += f"\n\t.zero\t{GAP}"
        elif "@PLT" in line:
            line = LIBRARY_CALL.sub(r"\tcuda_sim_\1@PLT", line)
        lines.append(line)
    return "\n".join(lines) + "\n"


def kernels_object(source: Path, first_include: Path | None) -> Path:
    folders = ([first_include] if first_include else []) + [CSRC, HERE / "include"]
    flags = [*KERNELS, *(f"-I{folder}" for folder in folders)]
    inputs = [source, *headers(), *(sorted(first_include.rglob("*.cuh")) if first_include else [])]

    def make(part):
        assembly = part.with_suffix(".s")
        run(["g++", *flags, "-x", "c++", "-S", source, "-o", assembly])
        assembly.write_text(prepare(assembly.read_text()))
        run(["g++", "-c", assembly, "-o", part])
        assembly.unlink()

    name = f"kernels-{first_include.name}-{source.stem}" if first_include else f"kernels-{source.stem}"
    return cached(name, ".o", inputs, flags[: len(KERNELS)], make)


def symbols(path: Path) -> list[list[str]]:
    return [line.split() for line in run(["nm", "-p", "-S", str(path)]).splitlines()]


def shared_variables(library: Path, kernels: Path) -> list[tuple[str, int, int]]:
    """(name, offset, bytes) of what the kernels' functions declare `__shared__`, that is, static."""
    inside = {fields[-1] for fields in symbols(kernels) if fields[-1].startswith("_ZZ") and fields[-2] in "bd"}
    for fields in symbols(kernels):
        if fields[-1].startswith("_ZGVZ"):
            raise RuntimeError(f"a shared variable has a constructor, which CUDA refuses: {fields[-1]}")
    found = [fields for fields in symbols(library) if fields[-1] in inside]
    names = run(["c++filt", *(fields[-1] for fields in found)]).splitlines() if found else []
    return [(n.rpartition("::")[2], int(f[0], 16), int(f[1], 16)) for n, f in zip(names, found, strict=True)]


def load(source: Path, first_include: Path | None = None):
    """The module `simulation` with a function for every launcher that `source` binds.

    Headers in the folder `first_include` go before csrc's.
    """
    kernels = kernels_object(source, first_include)
    objects = [kernels, *runtime_objects()]

    def link(part):
        run(["g++", "-shared", *objects, "-o", part, "-ldl", "-lpthread"])

    library = cached(kernels.name[:-19], ".so", objects, [], link)
    name = f"{library.stem}.simulation"  # pybind11 keeps one module a name
    loader = importlib.machinery.ExtensionFileLoader(name, str(library))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    error = type("CudaSimError", (CudaSimError,), {"library": library})
    module._configure(shared_variables(library, kernels), error)
    return module
