import pytest

from recipe.runs import Server


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("recipe_logs"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def finished(recipe, tmp_path_factory):
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("finished") / "out"
    result = recipe(out, report=True)
    assert result.status == 0, result.stderr
    return out
