"""The benchmarks by name."""

from videostr.eval.benchmarks import grounded_qa, grounding, moments, sti_bench, v_star, vsi_bench
from videostr.eval.benchmarks.base import Answers, Benchmark, Context, Scored

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        grounding.CHARADES_STA,
        grounding.ACTIVITYNET_CAPTIONS,
        moments.QVHIGHLIGHTS,
        grounded_qa.NEXTGQA,
        grounded_qa.REXTIME,
        grounding.TVGBENCH,
        grounding.TIMELENS_BENCH,
        sti_bench.STI_BENCH,
        vsi_bench.VSI_BENCH,
        v_star.V_STAR,
        grounding.SAMPLES,
    )
}


def get_benchmark(name: str) -> Benchmark:
    """Raises ValueError for a name that is not in `BENCHMARKS`."""
    if name not in BENCHMARKS:
        raise ValueError(f"benchmark: expected one of {', '.join(BENCHMARKS)}, got {name!r}")
    return BENCHMARKS[name]


__all__ = ["BENCHMARKS", "Answers", "Benchmark", "Context", "Scored", "get_benchmark"]
