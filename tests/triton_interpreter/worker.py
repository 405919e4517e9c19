"""Runs Triton kernels under Triton's interpreter, in a process of its own.

Triton decides when it is imported whether kernels are interpreted, and torch imports it whenever it likes; a process
that is told before anything else keeps the rest of the tests as they are.
"""

import os


def start() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    import torch
    from triton.runtime.interpreter import InterpretedFunction

    from videostr.kernels import group_advantage

    assert isinstance(group_advantage.group_advantage_kernel, InterpretedFunction)
    torch.set_num_threads(1)
    # `torch.empty` gives NaN: an output that a kernel forgets to write shows.
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(True)


def call(module: str, name: str, arguments: tuple, options: dict) -> tuple:
    """The launcher `name` of kernels/MODULE.py on CPU tensors; what works in place gives its first argument."""
    import importlib

    import torch

    # The tensors are shared with the process that asks.
    arguments = [a.clone() if isinstance(a, torch.Tensor) else a for a in arguments]
    outputs = getattr(importlib.import_module(f"videostr.kernels.{module}"), name)(*arguments, **options)
    if outputs is None:
        return tuple(arguments[:1])
    return outputs if isinstance(outputs, tuple) else (outputs,)
