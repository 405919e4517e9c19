"""Compile every GPU kernel without a GPU, and refuse spills, local memory and accesses narrower than declared.

    python -m benchmarks.compile_report [--out DIR] [--arch 80 90 100] [--only NAME]

writes DIR/compile_report.csv and DIR/compile_report.md. Exit status: 0, 1 where a kernel breaks what its row in
kernel_table.py declares, 2 where nothing could be compiled.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from .compile_cuda import compile_cuda
from .compile_triton import compile_triton
from .compiled import Compiled
from .kernel_table import TABLE, CudaKernel, TritonKernel
from .occupancy import LIMITS
from .toolchain import ToolError

HEADER = """# Compiled kernels

Compiled, not run: registers, spills and instructions are the compilers' own output for each architecture, occupancy is
theoretical, and nothing here is a speed. Widths are the widest global load and store in bytes.
"""


def compile_table(table: Sequence[CudaKernel | TritonKernel], archs: Sequence[int]) -> list[Compiled]:
    """Every configuration of every row, for every architecture. Raises ToolError (toolchain.py)."""
    cuda = [row for row in table if isinstance(row, CudaKernel)]
    triton = [row for row in table if isinstance(row, TritonKernel)]
    compiled = list(compile_cuda(cuda, archs))
    if triton:
        compiled += compile_triton(triton, archs)
    return compiled


def write_csv(compiled: Sequence[Compiled], path: Path) -> None:
    rows = [item.row() for item in compiled]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def markdown(compiled: Sequence[Compiled]) -> str:
    """A table an operator; what is refused comes first."""
    offences = [offence for item in compiled for offence in item.offences()]
    lines = [HEADER, *(f"- refused: {offence}" for offence in offences)]
    for operator in dict.fromkeys(item.operator for item in compiled):
        rows = [item.row() for item in compiled if item.operator == operator]
        columns = [name for name in rows[0] if name != "source"]
        lines += ["", f"## {operator}", "", _cells(columns), _cells(["---"] * len(columns))]
        lines += [_cells([row[name] for name in columns]) for row in rows]
    return "\n".join(lines) + "\n"


def _cells(values: Sequence[object]) -> str:
    return "| " + " | ".join(str(value).replace("|", r"\|") for value in values) + " |"


def main(arguments: Sequence[str] | None = None, table: Sequence[CudaKernel | TritonKernel] = TABLE) -> int:
    names = sorted({name for row in table for name in (row.operator, row.kernel)})
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile_report", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/compile_report"), help="folder of the report")
    parser.add_argument("--arch", type=int, nargs="+", choices=sorted(LIMITS), default=sorted(LIMITS))
    parser.add_argument("--only", choices=names, help="one operator or one kernel")
    options = parser.parse_args(arguments)
    rows = [row for row in table if options.only in (None, row.operator, row.kernel)]
    try:
        compiled = compile_table(rows, options.arch)
    except ToolError as error:
        print(f"compile_report: {error}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    write_csv(compiled, options.out / "compile_report.csv")
    (options.out / "compile_report.md").write_text(markdown(compiled))
    offences = [offence for item in compiled for offence in item.offences()]
    for offence in offences:
        print(f"refused: {offence}", file=sys.stderr)
    print(f"{len(compiled)} compiled, {len(offences)} refused: {options.out}/compile_report.csv")
    return 1 if offences else 0


if __name__ == "__main__":
    raise SystemExit(main())
