import pytest
from eval_runs import ANSWER, make_clips, teach


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("clips"), 6)


@pytest.fixture(scope="session")
def grounder(tmp_path_factory, clips):
    return teach(tmp_path_factory.mktemp("grounder"), clips, ANSWER)
