"""Compile the CUDA kernels of the table: one nvcc call for a source and an architecture."""

import itertools
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .compiled import Compiled
from .kernel_table import CudaKernel, CudaVariant
from .sass import parse_ptxas, parse_sass
from .toolchain import ROOT, ToolError, build_settings, disassemble, find_nvcc, run


def compile_cuda(rows: Sequence[CudaKernel], archs: Sequence[int]) -> Iterator[Compiled]:
    """Every instance of the rows, source by source. Raises ToolError for a missing tool and what does not compile."""
    for source in dict.fromkeys(row.source for row in rows):
        instances = [
            (row, variant, arguments)
            for row in rows
            if row.source == source
            for variant in row.variants
            for arguments in itertools.product(*variant.arguments)
        ]
        for arch in archs:
            yield from _compile_source(source, instances, arch)


def _compile_source(source: str, instances: list[tuple[CudaKernel, CudaVariant, tuple[str, ...]]], arch: int):
    lines = [f'#include "{ROOT / source}"', "namespace videostr::cuda {"]
    for i, (row, _, arguments) in enumerate(instances):  # a kernel whose address is taken is compiled
        template = f"<{', '.join(arguments)}>" if arguments else ""
        lines.append(f"auto* instance_{i} = &{row.kernel}{template};")
    with tempfile.TemporaryDirectory() as folder:
        generated, cubin = Path(folder, "instances.cu"), Path(folder, "instances.cubin")
        generated.write_text("\n".join([*lines, "}\n"]))
        flags = [flag for flag in build_settings().NVCC_FLAGS if not flag.startswith("-D")]  # those are torch's
        include = f"-I{ROOT / 'csrc'}"
        command = [find_nvcc(), "-cubin", f"-arch=sm_{arch}", *flags, "--ptxas-options=-v", include]
        log = run(*command, "-o", cubin, generated, stderr=True)
        mixes = parse_sass(disassemble(cubin))
    resources = parse_ptxas(log)
    names = _readable(list(resources), _enumerators([ROOT / source, *(ROOT / "csrc").rglob("*.h")]))
    for row, variant, arguments in instances:
        mangled = names.get((row.kernel, tuple(_bare(argument) for argument in arguments)))
        if mangled is None:
            raise ToolError(f"{source}: nvcc made no {row.kernel}<{', '.join(arguments)}>; it made {sorted(names)}")
        yield Compiled(
            operator=row.operator,
            kernel=row.kernel,
            source=row.source,
            config=", ".join(arguments),
            arch=arch,
            threads=row.threads,
            dynamic_shared_bytes=row.shared_bytes,
            demands=variant,
            resources=resources[mangled],
            mix=mixes[mangled],
        )


def _readable(mangled: list[str], enumerators: dict[tuple[str, str], str]) -> dict[tuple[str, tuple[str, ...]], str]:
    """(kernel, its template's arguments without namespaces) -> the mangled name."""
    demangler = shutil.which("cu++filt") or shutil.which("c++filt")
    if demangler is None:
        raise ToolError("no c++filt found: install binutils")
    names = {}
    for name, plain in zip(mangled, run(demangler, stdin="\n".join(mangled)).splitlines(), strict=True):
        # (videostr::Kind)2 -> diou
        plain = re.sub(r"\((?:\w+::)*(\w+)\)(\d+)", lambda m: enumerators.get(m.groups(), m.group()), plain)
        found = re.match(r"(?:void )?(?:[\w:]+::)?(\w+)(?:<([^()]*)>)?\(", plain)
        if found:
            kernel, template = found.groups()
            names[kernel, tuple(_bare(argument) for argument in template.split(", ")) if template else ()] = name
    return names


def _bare(name: str) -> str:
    return name.rsplit("::", 1)[-1]


def _enumerators(sources: list[Path]) -> dict[tuple[str, str], str]:
    """(enum class, its number) -> the enumerator's name: a demangled name has the number only."""
    found = {}
    for source in sources:
        for enum, body in re.findall(r"enum class (\w+)[^{;]*\{([^}]*)\}", source.read_text()):
            number = -1
            for entry in filter(None, map(str.strip, body.split(","))):
                name, _, value = map(str.strip, entry.partition("="))
                number = int(value, 0) if value else number + 1
                found[enum, str(number)] = name
    return found
