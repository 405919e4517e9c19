"""A slice of the video fuzz; `python tests/fuzz/fuzz_videos.py` runs the whole of it."""

from fuzz_videos import SEEDS, fuzz


def test_mutated_files_through_the_loader(tmp_path):
    result = fuzz(tmp_path, files=120, seed=1, workers=2, keep=None)
    outcomes = result["outcomes"]
    assert sum(outcomes.values()) == 120 and len(SEEDS) > 10
    assert {"ok", "truncated", "corrupt"} <= outcomes.keys()
    assert not {"crashed", "timeout"} & outcomes.keys()
