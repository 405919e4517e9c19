"""What was built, what is installed, what each operator will use, what to install for more."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

# package -> (what it is for, how to get it); probed by metadata, never imported: some take seconds, some need a GPU
OPTIONAL = {
    "triton": ("GPU kernels", "comes with the CUDA build of torch"),
    "peft": ("LoRA policies", "pip install 'videostr[lora]'"),
    "av": ("video reader (PyAV)", "pip install av"),
    "torchcodec": ("video readers torchcodec and nvdec", "pip install 'videostr[nvdec]'"),
    "decord": ("video reader", "pip install 'videostr[decord]'"),
    "vllm": ("rollouts on GPUs", "pip install 'videostr[vllm]'"),
    "trl": ("using videostr inside TRL's trainer", "pip install 'videostr[trl]'"),
}
OPERATORS = (
    "frames_to_patches",
    "frames_to_patches_ragged",
    "normalise_patches",
    "linear_logprob",
    "linear_policy_loss",
    "group_advantage",
    "policy_loss",
    "prefix_attention",
    "temporal_iou",
    "temporal_iou_pairwise",
    "temporal_set_scores",
    "temporal_nms",
    "temporal_average_precision",
    "box_iou",
    "box_iou_pairwise",
    "box3d_iou",
    "box3d_iou_pairwise",
    "tube_iou",
    "assignment",
    "assignment_ragged",
    "relation_graph",
)


def examine() -> dict:
    """Look at this environment. The result holds plain JSON values; `ok` is whether the operators can be used."""
    problems: list[str] = []
    report = {
        "ok": True,
        "videostr": _version("videostr") or "not installed (running from its source tree)",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": _torch(problems),
        "built": _built(problems),
        "found": {name: _version(name) for name in OPTIONAL},
        "compiler": _first_line(shutil.which(os.environ.get("CXX", "c++").split()[0]), "--version"),
        "nvcc": _nvcc(),
    }
    report["operators"] = {name: _kernels(name) for name in OPERATORS} if report["built"]["cpu"] else {}
    report["readers"] = _readers() if report["built"]["cpu"] else {}
    report["advice"] = _advice(report)
    report["problems"] = problems
    report["ok"] = not problems
    return report


def to_text(report: dict) -> str:
    torch, built = report["torch"], report["built"]
    lines = [f"videostr {report['videostr']}, Python {report['python']}, {report['platform']}", "", "built"]
    lines += [f"  CPU operators   {built['cpu'] or 'missing'}", f"  CUDA operators  {built['cuda'] or 'not built'}"]
    lines += ["", "found", f"  torch        {torch.get('version') or 'missing'}"]
    if torch.get("version"):
        lines.append(f"  CUDA torch   {torch['cuda'] or 'no'}")
        lines.append(f"  GPU          {', '.join(torch['gpus']) or 'none'}")
    lines += [f"  compiler     {report['compiler'] or 'none'}", f"  nvcc         {report['nvcc'] or 'none'}"]
    lines += [f"  {name:<12} {version or '-':<12} {OPTIONAL[name][0]}" for name, version in report["found"].items()]
    if report["readers"]:
        lines += ["", "video reader  ('auto' takes pyav for files; image folders and arrays have their own)"]
        lines += [
            f"  {name:<12} {'ok ' if use['ok'] else '-  '} {use['note']}" for name, use in report["readers"].items()
        ]
    if report["operators"]:
        lines += ["", f"{'operator':<24} {'CPU':<8} GPU"]
        lines += [f"{name:<24} {use['cpu']:<8} {use['cuda']}" for name, use in report["operators"].items()]
    for title in ("advice", "problems"):
        if report[title]:
            lines += ["", title, *(f"  {line}" for line in report[title])]
    return "\n".join(lines)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _torch(problems: list[str]) -> dict:
    try:
        import torch
    except (ImportError, OSError) as error:
        problems.append(f"torch does not import: {error}; pip install 'torch>=2.10'")
        return {"version": None}
    if tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2]) < (2, 10):
        problems.append(f"torch {torch.__version__} is too old: pip install 'torch>=2.10'")
    gpus = []
    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"version": torch.__version__, "cuda": torch.version.cuda, "gpus": gpus, "threads": torch.get_num_threads()}


def _built(problems: list[str]) -> dict:
    built = {"cpu": None, "cuda": None}
    if "torch" not in sys.modules:
        return built
    import torch

    try:
        from videostr.ops._library import library_path
    except ImportError as error:
        problems.append(str(error))
        return built
    built["cpu"] = f"{library_path().name} ({torch.ops.videostr.build_info()})"
    if cuda := library_path("_C_cuda"):
        built["cuda"] = cuda.name
    return built


def _kernels(name: str) -> dict:
    import torch

    if name == "prefix_attention":  # flash-attention's CUDA kernels are part of torch, where float16 or bfloat16 goes
        return {"cpu": "torch's flash kernel", "cuda": "torch's flash kernel, else flex_attention"}
    # Matrix products by torch around a kernel for the rows of logits; an operator that writes into its argument.
    inner = {"linear_logprob": "logprob_rows", "linear_policy_loss": "logprob_rows"}
    name = (inner | dict.fromkeys(("frames_to_patches", "frames_to_patches_ragged"), "frames_to_patches_")).get(
        name, name
    )

    def use(key: str) -> str:
        return "kernel" if torch._C._dispatch_has_kernel_for_dispatch_key(f"videostr::{name}", key) else "torch"

    return {"cpu": use("CPU"), "cuda": use("CUDA")}


def _readers() -> dict:
    """Which video readers work here; each is loaded to find out."""
    from videostr.video import available_readers

    return {name: {"ok": status.available, "note": status.note} for name, status in available_readers().items()}


def _first_line(program: str | None, *arguments: str) -> str | None:
    if program is None:
        return None
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return next(iter(done.stdout.splitlines()), None)


def _nvcc() -> str | None:
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    inside = Path(home, "bin", "nvcc") if home else None
    program = str(inside) if inside and inside.is_file() else shutil.which("nvcc")
    if program is None:
        return None
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"release (\d+\.\d+)", done.stdout)
    return found.group(1) if found else None


def _advice(report: dict) -> list[str]:
    found, torch, advice = report["found"], report["torch"], []
    readers = ("av", "torchcodec", "decord")
    if not any(found[name] for name in readers):
        advice.append("no video reader: pip install av")
    gpu = bool(torch.get("gpus"))
    for name in ("vllm",) if gpu else ():
        if not found[name]:
            advice.append(f"{OPTIONAL[name][0]}: {OPTIONAL[name][1]}")
    for name in ("peft", "trl"):
        if not found[name]:
            advice.append(f"{OPTIONAL[name][0]}: {OPTIONAL[name][1]}")
    if torch.get("version") and not gpu:
        advice.append(
            "no GPU visible: everything runs on the CPU" + ("" if torch["cuda"] else " (this torch has no CUDA)")
        )
    return advice
