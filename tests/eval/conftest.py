import pytest
from eval_runs import make_clips, teach

ANSWER = "<think>there</think><time>[1, 4]</time>"


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("clips"), 6)


@pytest.fixture(scope="session")
def grounder(tmp_path_factory, clips):
    return teach(tmp_path_factory.mktemp("grounder"), clips, ANSWER)
