import collections
import os

# First of all: it adds names to asn1crypto.cms that no longer count once one was looked up.
import asn1crypto.tsp  # noqa: F401
import pytest

import harness
import postgres
from remote_child import make_keys
from remote_rig import Rig

# These files first, so that nobody waits for them at the end.
LONGEST = [f"test_{name}" for name in (
    "parked_long outage remote_issue readme interop hsm mirror remote demo load awaiting_kills "
    "recovery portal_browser bridge lanes network").split()]


def pytest_configure(config):
    config.addinivalue_line("markers", "embedded: about the embedded store's own files")
    config.addinivalue_line("markers", "sampled: each value of its parameters in ./run test, "
                            "every combination in ./run soak")
    config.addinivalue_line("markers", "alone: measures time, so nothing runs beside it")


def left_out(items):
    """Of the tests marked `sampled`: cases whose values others have already, one by one."""
    cases = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            cases.setdefault((item.path, item.originalname), []).append(item)
    for group in cases.values():
        values = {item: set(item.callspec.params.items()) for item in group}
        missing, played = set().union(*values.values()), collections.Counter()
        while missing:
            # Of those that bring most, the one whose other values were played least.
            best = max(group, key=lambda item: (len(values[item] & missing),
                                                -sum(played[v] for v in values[item])))
            missing -= values[best]
            played.update(values[best])
            group.remove(best)
        yield from group


def pytest_collection_modifyitems(config, items):
    """Where the environment puts all stores on PostgreSQL, what cannot be so is left out."""
    why = harness.SERVERS and (postgres.citus_missing() if harness.CITUS == "1" else
                               postgres.missing())
    for item in items:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        elif harness.SERVERS and item.get_closest_marker("embedded"):
            item.add_marker(pytest.mark.skip(reason="about the embedded store's own files"))
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else
               len(LONGEST))
    if os.environ.get("TRIEN_FULL") != "1":
        left = set(left_out(items))
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=list(left))


@pytest.fixture(scope="session", autouse=True)
def protos(tmp_path_factory):
    harness.load_protos(tmp_path_factory.mktemp("protos"))
    assert harness.TRIEN.exists(), f"{harness.TRIEN} is not built: ./run build"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Of stand-in services, and of TLS."""
    return make_keys(tmp_path_factory.mktemp("remote") / "keys")


@pytest.fixture
def rig(tmp_path, keys):
    """An engine of which some keys lie at a stand-in service."""
    r = Rig(tmp_path, keys)
    yield r
    r.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One running engine for the tests of a module that do not disturb it; with RSA keys, as most
    signers have. Who issues by the thousand is faster with others."""
    e = harness.Engine(tmp_path_factory.mktemp("engine"), algorithm="rsa2048")
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
