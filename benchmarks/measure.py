"""Timing that survives a noisy machine: the sides take turns, and every side is timed in many rounds."""

import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

ROUND_S = 0.02  # a timed round repeats a short call for at least so long
ENOUGH_S = 150.0  # calls that take seconds get fewer rounds, 5 at least


def take_turns(
    calls: dict[str, Callable[[], object]], device: torch.device, rounds: int = 15
) -> dict[str, list[float]]:
    """Seconds a call, one figure a round and side. The order changes every round; the first round is not counted."""
    repeats = {}
    for name, call in calls.items():
        call()
        seconds = _timed(call, 1, device)
        repeats[name] = max(1, round(ROUND_S / max(seconds, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    started = time.perf_counter()
    for number in range(rounds + 1):
        if number > 5 and time.perf_counter() - started > ENOUGH_S:
            break
        order = list(calls) if number % 2 else list(calls)[::-1]
        for name in order:
            seconds = _timed(calls[name], repeats[name], device) / repeats[name]
            if number:
                times[name].append(seconds)
    return times


def _timed(call: Callable[[], object], repeats: int, device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def peak_memory(make: Callable[..., Callable[[], object]], arguments: tuple, device: torch.device) -> int:
    """Bytes that `make(*arguments)()` needs at its worst beyond its inputs.

    On a GPU by torch's allocator; on the CPU by the kernel's count of a fresh process's resident memory (Linux).
    """
    if device.type == "cuda":
        return _cuda_peak(make(*arguments))
    # A fresh process, so that no page an earlier call has touched is there already.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_resident_peak, make, arguments, torch.get_num_threads()).result()


def _cuda_peak(call: Callable[[], object]) -> int:
    call()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _resident_peak(make: Callable[..., Callable[[], object]], arguments: tuple, threads: int) -> int:
    torch.set_num_threads(threads)
    make(*arguments[:-1], "tiny")()  # libraries load, threads start
    call = make(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts at what is resident now
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    text = Path(f"/proc/{os.getpid()}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) * 1024
