import pytest

import harness


@pytest.fixture(scope="session", autouse=True)
def protos(tmp_path_factory):
    harness.load_protos(tmp_path_factory.mktemp("protos"))
    assert harness.TRIEN.exists(), f"{harness.TRIEN} is not built: ./run build"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One running engine for the tests of a module that do not disturb it."""
    e = harness.Engine(tmp_path_factory.mktemp("engine"))
    e.prepare().start()
    yield e
    assert e.stop() == 0, e.log()


@pytest.fixture
def engine(tmp_path):
    """A prepared engine, not started; ended whatever happens."""
    e = harness.Engine(tmp_path)
    e.prepare()
    yield e
    e.kill()


@pytest.fixture
def stubs(shared):
    return shared.stubs()
