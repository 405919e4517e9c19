"""The compile report: it covers every kernel, our kernels pass, and what it is there to refuse is refused."""

import ast
import csv
import importlib.util
import os
import re
import subprocess
import sys

import pytest

from benchmarks import compile_report, toolchain
from benchmarks.kernel_table import TABLE, CudaKernel, CudaVariant, TritonKernel
from benchmarks.toolchain import ROOT, ToolError

COLUMNS = "kernel,source,config,arch,registers,spill_bytes,stack_bytes,shared_bytes,occupancy,load_width,store_width"


def needs(*tools):
    for tool in tools:
        try:
            tool()
        except ToolError as missing:
            pytest.skip(str(missing))


def triton_is_there():
    return importlib.util.find_spec("triton") is not None


def run_report(*arguments, code="from benchmarks.compile_report import main; raise SystemExit(main())", **environment):
    """In a process of its own: TRITON_INTERPRET, which other tests need, holds for a whole process."""
    kept = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, check=False)


def triton_kernels(text):
    """Names of the jitted functions that are launched: called as f[grid](…), or named …_kernel."""
    tree = ast.parse(text)
    jitted = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any("triton.jit" in ast.unparse(d) for d in node.decorator_list)
    }
    launched = {
        node.func.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name)
    }
    return {name for name in jitted if name in launched or name.endswith("_kernel")}


def cuda_kernels(text):
    text = re.sub(r"//.*|/\*(?s:.*?)\*/", "", text)
    text = re.sub(r"__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)", "", text)
    return set(re.findall(r"__global__\s+(?:\w+\s+)*?(\w+)\s*\(", text))


def test_every_kernel_has_a_row():
    in_tree = {(f"kernels/{p.name}", n) for p in (ROOT / "kernels").glob("*.py") for n in triton_kernels(p.read_text())}
    for path in (ROOT / "csrc" / "cuda").glob("*.cu*"):
        in_tree |= {(f"csrc/cuda/{path.name}", name) for name in cuda_kernels(path.read_text())}
    in_table = {
        (row.source if isinstance(row, CudaKernel) else f"kernels/{row.module}.py", row.kernel) for row in TABLE
    }
    assert in_tree and in_tree == in_table, "add the kernel's row to benchmarks/kernel_table.py"


def test_kernels_are_found():
    text = "@triton.jit\ndef _part(x): ...\n@triton.autotune(c)\n@triton.jit()\ndef sums(x): ...\nsums[(1,)](x)\n"
    assert triton_kernels(text) == {"sums"}
    text = (
        "// __global__ void no(\n__global__ void __launch_bounds__(f(1))\n  a_kernel(int x);\n__global__ static void b("
    )
    assert cuda_kernels(text) == {"a_kernel", "b"}


@pytest.mark.slow
def test_our_kernels_keep_what_their_rows_declare(tmp_path):
    needs(toolchain.find_nvcc, toolchain.find_disassembler)
    if not triton_is_there():
        pytest.skip("Triton is not installed")
    done = run_report("--out", tmp_path)
    with (tmp_path / "compile_report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]).startswith(f"{COLUMNS},tensor_core,")
    assert {row["kernel"] for row in rows} == {row.kernel for row in TABLE}
    for kernel in TABLE:
        assert {row["arch"] for row in rows if row["kernel"] == kernel.kernel} == {"sm_80", "sm_90", "sm_100"}
    assert all(int(row["registers"]) > 0 and 0 < float(row["occupancy"]) <= 1 for row in rows)
    page = (tmp_path / "compile_report.md").read_text()
    assert "Compiled, not run" in page and all(f"## {row.operator}" in page for row in TABLE)
    assert done.returncode == 0, done.stderr


BAD = """
#include <cstdint>
namespace videostr::cuda {
enum class Shade { light, dark };
template <Shade shade>
__global__ void dynamic_array(const int* in, int* out, int n) {
  int kept[512];
  for (int i = 0; i < 512; ++i) kept[i] = in[i * n];
  for (int i = 0; i < n; ++i) kept[in[i] & 511] += i;
  out[threadIdx.x] = kept[in[n] & 511] + static_cast<int>(shade);
}
__global__ void __launch_bounds__(1024, 2) crowded(const double* in, double* out) {
  double kept[48];
#pragma unroll
  for (int i = 0; i < 48; ++i) kept[i] = in[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 48; ++i) out[i * 1024 + threadIdx.x] = kept[47 - i] * kept[i];
}
__global__ void copy(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x]; }
}
"""


@pytest.mark.parametrize(
    "kernel,variant,offence",
    [
        ("dynamic_array", CudaVariant((("Shade::dark",),)), "instructions go to local memory"),
        ("crowded", CudaVariant(), "bytes of registers are spilled"),
        ("copy", CudaVariant(load_bytes=16), "its widest global load has 4 bytes, declared are 16"),
        ("copy", CudaVariant(store_bytes=16), "its widest global store has 4 bytes, declared are 16"),
        ("copy", CudaVariant(tensor_core=True), "no MMA instruction"),
    ],
)
def test_bad_cuda_kernel_is_refused(tmp_path, capfd, kernel, variant, offence):
    needs(toolchain.find_nvcc, toolchain.find_disassembler)
    source = tmp_path / "bad.cuh"
    source.write_text(BAD)
    table = [CudaKernel("bad", str(source), kernel, threads=256, variants=(variant,))]
    arguments = ["--out", str(tmp_path / "out"), "--arch", "80", "100"]
    assert compile_report.main(arguments, table) == 1
    refused = capfd.readouterr().err
    for arch in ("sm_80", "sm_100"):
        assert re.search(rf"refused: {kernel} \[.*\] {arch}: .*{re.escape(offence)}", refused), refused
    assert "refused: " in (tmp_path / "out" / "compile_report.md").read_text()


def test_good_cuda_kernel_passes(tmp_path):
    needs(toolchain.find_nvcc, toolchain.find_disassembler)
    source = tmp_path / "bad.cuh"
    source.write_text(BAD)
    variant = CudaVariant(load_bytes=4, store_bytes=4)
    table = [CudaKernel("copy", str(source), "copy", threads=256, variants=(variant,), shared_bytes=1024)]
    assert compile_report.main(["--out", str(tmp_path), "--arch", "90"], table) == 0
    with (tmp_path / "compile_report.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["arch"], row["load_width"], row["store_width"], row["shared_bytes"]) == ("sm_90", "4", "4", "1024")
    assert float(row["occupancy"]) == 1


def test_what_does_not_compile_is_shown(tmp_path, capfd):
    needs(toolchain.find_nvcc, toolchain.find_disassembler)
    source = tmp_path / "broken.cuh"
    source.write_text("namespace videostr::cuda { __global__ void broken() { undeclared(); } }")
    table = [CudaKernel("bad", str(source), "broken", threads=32, variants=(CudaVariant(),))]
    assert compile_report.main(["--out", str(tmp_path), "--arch", "80"], table) == 2
    assert "undeclared" in capfd.readouterr().err


WRONG_ROW = """
import sys
from dataclasses import replace
from benchmarks.compile_report import main
from benchmarks.kernel_table import TABLE
row = next(row for row in TABLE if row.operator == "group_advantage")
scalars = next(v for v in row.variants if not v.divisible)
one = {name: values[:1] for name, values in scalars.constexprs.items()}
raise SystemExit(main(sys.argv[1:], [replace(row, variants=(replace(scalars, constexprs=one, %s),))]))
"""


def test_bad_triton_row_is_refused(tmp_path):
    needs(toolchain.find_disassembler)
    if not triton_is_there():
        pytest.skip("Triton is not installed")
    narrow = run_report("--out", tmp_path, "--arch", "90", code=WRONG_ROW % "load_bytes=16, tensor_core=True")
    assert narrow.returncode == 1, narrow.stderr
    assert re.search(r"group_advantage_kernel \[.*\] sm_90: its widest global load has 8 bytes", narrow.stderr)
    assert "no MMA instruction" in narrow.stderr
    mistyped = run_report("--out", tmp_path, code=WRONG_ROW % "types={'N': 'i32'}")
    assert mistyped.returncode == 2 and "its arguments are" in mistyped.stderr


TUNED = """
import sys
from dataclasses import replace
import triton
from benchmarks.compile_report import main
from benchmarks.kernel_table import TABLE
from videostr.kernels import group_advantage as module
configs = [triton.Config({"BLOCK": 512}, num_warps=8), triton.Config({"BLOCK": 256}, num_warps=2)]
module.tuned = triton.autotune(configs, key=["N"])(module.group_advantage_kernel)
row = next(row for row in TABLE if row.operator == "group_advantage")
one = {name: values[:1] for name, values in row.variants[0].constexprs.items() if name != "BLOCK"}
row = replace(row, kernel="tuned", variants=(replace(row.variants[0], constexprs=one),))
raise SystemExit(main(sys.argv[1:], [row]))
"""


def test_every_configuration_of_an_autotuned_kernel_is_compiled(tmp_path):
    needs(toolchain.find_disassembler)
    if not triton_is_there():
        pytest.skip("Triton is not installed")
    done = run_report("--out", tmp_path, "--arch", "90", code=TUNED)
    assert done.returncode in (0, 1), done.stderr
    with (tmp_path / "compile_report.csv").open() as file:
        configs = [row["config"] for row in csv.DictReader(file)]
    assert len(configs) == 2
    assert "BLOCK=512, num_warps=8" in configs[0] and "BLOCK=256, num_warps=2" in configs[1]


def test_interpreting_is_refused(tmp_path):
    if not triton_is_there():
        pytest.skip("Triton is not installed")
    name = next(row.kernel for row in TABLE if isinstance(row, TritonKernel))
    done = run_report("--out", tmp_path, "--only", name, TRITON_INTERPRET="1")
    assert done.returncode == 2 and "TRITON_INTERPRET is set" in done.stderr


def test_missing_tools_are_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(toolchain.build_settings(), "cuda_toolkit", lambda: None)
    cuda = [row for row in TABLE if isinstance(row, CudaKernel)]
    assert compile_report.main(["--out", str(tmp_path)], cuda) == 2
    assert "no nvcc found" in capsys.readouterr().err
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_HOME", raising=False)
    with pytest.raises(ToolError, match="nvdisasm.*pip install triton"):
        toolchain.find_disassembler()
    with pytest.raises(ToolError, match="pip install triton"):
        toolchain.require_triton()


def test_rows_have_the_launchers_options():
    if not triton_is_there():
        pytest.skip("Triton is not installed")
    from videostr.kernels import group_advantage

    rows = [row for row in TABLE if isinstance(row, TritonKernel) and row.module == "group_advantage"]
    assert {variant.options["num_warps"] for row in rows for variant in row.variants} == {group_advantage.NUM_WARPS}
    for row in (row for row in TABLE if isinstance(row, CudaKernel)):
        # of the header itself, or of what it shares with others
        named = re.search(rf"__launch_bounds__\((\w+)[,)][^(]*\b{row.kernel}\(", (ROOT / row.source).read_text()).group(
            1
        )
        texts = [path.read_text() for path in (ROOT / row.source, ROOT / "csrc/cuda/warp.cuh")]
        found = [re.search(rf"constexpr int {named} = (\d+);", text) for text in texts]
        assert {int(match.group(1)) for match in found if match} == {row.threads}, row.kernel
