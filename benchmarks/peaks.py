"""Datasheet peaks of the GPUs in the accounting table: SXM boards, dense rates, without sparsity."""

from dataclasses import dataclass

from benchmarks.costs import Cost


@dataclass(frozen=True)
class Gpu:
    """bandwidth: bytes a second. flops: unit -> FLOP a second. source: the document the numbers are from."""

    name: str
    bandwidth: float
    flops: dict[str, float]
    source: str

    def floor(self, cost: Cost) -> tuple[float, str]:
        """(seconds, what sets them): no implementation can be faster than its bytes or its FLOPs at peak."""
        times = {"memory": cost.bytes / self.bandwidth}
        times |= {unit: count / self.flops[unit] for unit, count in cost.flops.items()}
        limit = max(times, key=times.__getitem__)
        return times[limit], limit


def _flops(bf16_tensor: float, fp32: float, fp64: float) -> dict[str, float]:
    return {"bf16_tensor": bf16_tensor * 1e12, "fp32": fp32 * 1e12, "fp64": fp64 * 1e12}


GPUS = (
    Gpu("A100 80GB SXM", 2.039e12, _flops(312, 19.5, 9.7), "NVIDIA A100 Tensor Core GPU datasheet (2021)"),
    Gpu("H100 SXM", 3.35e12, _flops(989.4, 66.9, 33.5), "NVIDIA H100 Tensor Core GPU datasheet and architecture paper"),
    Gpu("H200 SXM", 4.8e12, _flops(989.4, 66.9, 33.5), "NVIDIA H200 Tensor Core GPU datasheet"),
    Gpu("B200", 8.0e12, _flops(2250, 75, 37), "NVIDIA HGX B200 datasheet, an eighth of the board"),
)
