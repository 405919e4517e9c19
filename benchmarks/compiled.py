"""One compiled configuration of one kernel, and what is wrong with it."""

from dataclasses import dataclass

from .kernel_table import Demands
from .occupancy import occupancy
from .sass import Mix, Resources


@dataclass(frozen=True)
class Compiled:
    """A kernel's configuration for one architecture; `threads` of a block, `demands`: what its row promises."""

    operator: str
    kernel: str
    source: str
    config: str
    arch: int
    threads: int
    dynamic_shared_bytes: int
    demands: Demands
    resources: Resources
    mix: Mix

    def row(self) -> dict[str, str | int | float]:
        """The report's columns."""
        resources, mix = self.resources, self.mix
        shared_bytes = resources.shared_bytes + self.dynamic_shared_bytes
        return {
            "kernel": self.kernel,
            "source": self.source,
            "config": self.config,
            "arch": f"sm_{self.arch}",
            "registers": resources.registers,
            "spill_bytes": resources.spill_bytes,
            "stack_bytes": resources.stack_bytes,
            "shared_bytes": shared_bytes,
            "occupancy": round(occupancy(self.arch, self.threads, resources.registers, shared_bytes), 4),
            "load_width": mix.load_width,
            "store_width": mix.store_width,
            "tensor_core": mix.tensor_core,
            "instructions": mix.instructions,
            "global_loads": mix.global_loads,
            "global_stores": mix.global_stores,
            "local_accesses": mix.local_accesses,
            "barriers": mix.barriers,
            "fp64": mix.fp64,
            "fp32": mix.fp32,
            "integer": mix.integer,
            "byte_dots": mix.byte_dots,
            "branch": mix.branch,
        }

    def offences(self) -> list[str]:
        """What the row in the table does not allow, a sentence each."""
        mix, demands = self.mix, self.demands
        found = []
        if self.resources.spill_bytes:
            found.append(f"{self.resources.spill_bytes} bytes of registers are spilled")
        if mix.local_accesses:
            found.append(f"{mix.local_accesses} instructions go to local memory")
        if mix.load_width < demands.load_bytes:
            found.append(f"its widest global load has {mix.load_width} bytes, declared are {demands.load_bytes}")
        if mix.store_width < demands.store_bytes:
            found.append(f"its widest global store has {mix.store_width} bytes, declared are {demands.store_bytes}")
        if demands.tensor_core and not mix.tensor_core:
            found.append("declared a tensor-core kernel, it has no MMA instruction")
        return [f"{self.kernel} [{self.config}] sm_{self.arch}: {offence}" for offence in found]
