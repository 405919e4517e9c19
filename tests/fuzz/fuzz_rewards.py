"""Coverage-guided fuzzing of everything that reads model text.

    python tests/fuzz/fuzz_rewards.py -atheris_runs=100000

Needs atheris, which has wheels for Linux; tests/fuzz/test_fuzz.py runs it briefly where it is installed.
"""

import math
import sys

import atheris

with atheris.instrument_imports(include=["videostr.rewards", "videostr.text", "videostr.graph"]):
    from videostr.graph import parse_graph
    from videostr.graph.columns import parse_graphs
    from videostr.rewards import NAMES, load_reward
    from videostr.rewards.parse import REASONS, parse_interval, parse_intervals

SPECS = [load_reward(name) for name in NAMES]
STRICT = [
    spec
    for name, spec in zip(NAMES, SPECS, strict=True)
    if name not in ("spacer", "tvg_released") and "format" in spec.terms
]  # the two are as released, faults included
KINDS = {"choice": "B", "number": 3, "box": [0, 0, 2, 3], "tube": {"1": [0, 0, 2, 3]}}
TRUTH = {
    "spans": [[1, 2], [5, 8]],
    "duration": 10.0,
    "options": ["x", "y"],
    "unit": "m",
    "graph": {"chair": [[1, 2], [3, 4]]},
}
PIECES = [
    "<think>",
    "</think>",
    "<time>",
    "</time>",
    "<answer>",
    "</answer>",
    "<graph>",
    "</graph>",
    "\\boxed{",
    '{"chair": ',
    "[[1, 2.5]]}",
    "<map>",
    "</map>",
]


def one(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    text = ""
    while provider.remaining_bytes() and len(text) < 2000:
        choice = provider.ConsumeIntInRange(0, len(PIECES))
        text += PIECES[choice] if choice < len(PIECES) else provider.ConsumeUnicode(provider.ConsumeIntInRange(1, 12))
    for mode in ("strict", "paper"):
        (parsed,) = parse_intervals([text], mode)
        assert parsed == parse_interval(text, mode) and parsed.reason in REASONS
    read, written = parse_graphs([text]), parse_graph(text)
    assert read.reasons == [written.reason] and read.graphs.last_N[0] - read.graphs.first_N[0] == len(written.frames)
    assert len(read.graphs.name_K) == sum(len(frame.nodes) for frame in written.frames)
    for spec in SPECS:
        kinds = KINDS if "answer_kind" in spec.needs else {"choice": "B"}
        for kind, answer in kinds.items():
            row = TRUTH | {"answer": answer, "answer_kind": kind}
            batch = spec([text], {key: [value] for key, value in row.items()}, tokens=[400])
            total = batch.total_N.item()
            assert math.isfinite(total) and 0 <= total <= spec.highest + 1e-6, (text, total)
            for value_N in batch.terms.values():
                assert 0 <= value_N.item() <= 1, (text, batch.terms)
    # nothing but marks and white space in the tags: no credit for their being there
    marks = "".join(c for c in text if not c.isalnum() and c not in "<>")[:60]
    for tag in ("answer", "time"):
        for spec in STRICT:
            columns = {key: [value] for key, value in (TRUTH | {"answer": "B", "answer_kind": "choice"}).items()}
            batch = spec([f"<think>{marks}</think><{tag}>{marks}</{tag}>"], columns, tokens=[400])
            assert batch.terms["format"].item() == 0, (marks, tag)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
