"""Compile the Triton kernels of the table, as a launch on the GPU would."""

import contextlib
import importlib
import io
import itertools
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .compiled import Compiled
from .kernel_table import TritonKernel, TritonVariant
from .sass import parse_ptxas, parse_sass
from .toolchain import ToolError, disassemble, require_triton


def compile_triton(rows: Sequence[TritonKernel], archs: Sequence[int]) -> Iterator[Compiled]:
    """Every configuration of the rows. Raises ToolError without Triton and for a row that does not fit its kernel."""
    require_triton()
    for row in rows:
        function, tuned = _kernel(row)
        for variant in row.variants:
            for values in itertools.product(*variant.constexprs.values()):
                constexprs = dict(zip(variant.constexprs, values, strict=True))
                for tuned_constexprs, tuned_options in tuned:
                    options = {**variant.options, **tuned_options}
                    for arch in archs:
                        yield _compile(row, variant, function, {**constexprs, **tuned_constexprs}, options, arch)


def _kernel(row: TritonKernel) -> tuple[Any, list[tuple[dict, dict]]]:
    """The jitted function and (constexprs, options) of each configuration that it is tuned over."""
    found = getattr(importlib.import_module(f"videostr.kernels.{row.module}"), row.kernel, None)
    if found is None:
        raise ToolError(f"kernels/{row.module}.py: there is no {row.kernel}")
    configs = getattr(found, "configs", None)
    if configs is None:
        return found, [({}, {})]
    return found.fn, [(c.kwargs, {"num_warps": c.num_warps, "num_stages": c.num_stages}) for c in configs]


def _compile(
    row: TritonKernel, variant: TritonVariant, function: Any, constexprs: dict[str, Any], options: dict, arch: int
) -> Compiled:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.errors import TritonError

    signature = {**variant.types, **dict.fromkeys(constexprs, "constexpr")}
    if set(signature) != set(function.arg_names):
        raise ToolError(f"{row.kernel}: its arguments are {function.arg_names}, its row has {sorted(signature)}")
    config = _config(variant, constexprs, options)
    signature = {name: signature[name] for name in function.arg_names}
    by_16 = [name for name, kind in signature.items() if kind.startswith("*") or name in variant.divisible]
    attributes = {(function.arg_names.index(name),): [["tt.divisibility", 16]] for name in by_16}
    source = ASTSource(fn=function, signature=signature, constexprs=constexprs, attrs=attributes)
    log = io.StringIO()
    with triton.knobs.compilation.scope(), triton.knobs.nvidia.scope(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        triton.knobs.compilation.always_compile = True  # what the cache keeps has no log
        triton.knobs.nvidia.dump_ptxas_log = True
        try:
            with contextlib.redirect_stdout(log):
                compiled = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
        except TritonError as error:
            raise ToolError(f"{row.kernel} [{config}] sm_{arch} does not compile: {error}") from error
    metadata = compiled.metadata
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder, "kernel.cubin")
        cubin.write_bytes(compiled.asm["cubin"])
        mixes = parse_sass(disassemble(cubin))
    return Compiled(
        operator=row.operator,
        kernel=row.kernel,
        source=f"kernels/{row.module}.py",
        config=config,
        arch=arch,
        threads=32 * metadata.num_warps,
        dynamic_shared_bytes=metadata.shared,
        demands=variant,
        resources=parse_ptxas(log.getvalue())[metadata.name],
        mix=mixes[metadata.name],
    )


def _config(variant: TritonVariant, constexprs: dict[str, Any], options: dict) -> str:
    pointers = dict.fromkeys(kind for kind in variant.types.values() if kind.startswith("*"))
    multiples = [f"{name} % 16 = 0" for name in variant.divisible]
    values = [f"{name}={value}" for name, value in {**constexprs, **options}.items()]
    return ", ".join([" ".join(pointers), *multiples, *values])
