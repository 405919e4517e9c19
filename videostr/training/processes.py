"""The processes of a run: those of a torchrun, or one."""

import torch
from accelerate import PartialState


def join_processes() -> PartialState:
    """What every command begins with that can run in several processes. It ends with `.destroy_process_group()` on the
    result: left to the interpreter's end, threads of the group may abort there."""
    # Without `cpu` accelerate takes the processes of a torchrun on a machine without accelerators for separate runs.
    return PartialState(cpu=not torch.accelerator.is_available())
