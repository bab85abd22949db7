import pytest

import harness
import postgres


def pytest_configure(config):
    config.addinivalue_line("markers", "embedded: about the embedded store's own files")


def pytest_collection_modifyitems(items):
    """Where the environment puts all stores on PostgreSQL, what cannot be so is left out."""
    why = harness.SERVERS and (postgres.citus_missing() if harness.CITUS == "1" else
                               postgres.missing())
    for item in items:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        elif harness.SERVERS and item.get_closest_marker("embedded"):
            item.add_marker(pytest.mark.skip(reason="about the embedded store's own files"))


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
