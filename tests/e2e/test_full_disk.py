"""The server has a full disk: it gets ENOSPC where it writes, its tables or its log of changes.
Intake goes on, and says where it stands; with room again the rest comes by itself."""
import pytest

import harness
import postgres
from outage import Feeder, engine_on, status, submit, wait_read, whole

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

MODULE = harness.BUILD / "tests" / "full_disk.so"


@pytest.fixture(scope="module")
def cluster():
    # Segments of a megabyte, none kept for later: each new one needs room.
    c = postgres.Cluster(durable=True, full_disk=MODULE, initdb=["--wal-segsize=1"],
                         max_wal_size="'8MB'", min_wal_size="'2MB'", wal_recycle="off").start()
    yield c
    c.remove()


@pytest.fixture
def store(cluster):
    return postgres.Store(cluster)


@pytest.fixture
def engine(tmp_path, store):
    with engine_on(tmp_path, store, algorithm="p256") as e:
        yield e


def test_no_room_for_tables(engine, cluster, store):
    """SQLSTATE 53100, from a table that could not be extended."""
    stubs = engine.stubs()
    receipts = submit(stubs, 50)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    cluster.fill("base")
    try:
        receipts += submit(stubs, 500, 100)
        harness.wait_for(lambda: "SQLSTATE 53100 at " in engine.log())
        harness.wait_for(lambda: not status(engine).store_up)
        assert "No space left on device" in cluster.log()
        receipts += submit(stubs, 100)
        assert status(engine).held == 0 and store.count("result") < len(receipts)
        told = engine.log().count("trying again")
        assert told <= 3
    finally:
        cluster.free()
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    harness.wait_for(lambda: status(engine).store_up)
    whole(store, receipts)
    log = engine.log()
    assert log.count("trying again") <= 3 and "refuses" not in log
    assert "takes results again" in log


def test_no_room_for_the_log_of_changes(engine, cluster, store):
    """The server panics in the middle of a commit, and again while it recovers; somebody makes room
    and starts it."""
    stubs = engine.stubs()
    receipts = submit(stubs, 50)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    feeder = Feeder(engine)
    try:
        cluster.fill("pg_wal")
        harness.wait_for(lambda: "PANIC" in cluster.log())
        harness.wait_for(lambda: not status(engine).store_up)
        told = len(feeder.receipts)
        harness.wait_for(lambda: len(feeder.receipts) > told + 200)
    finally:
        cluster.free()
        receipts += feeder.stop()

    def back():
        if not cluster.running():
            cluster.start()
        return status(engine).store_up

    harness.wait_for(back, 60, 0.2)
    wait_read(stubs, receipts[0].result_id)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    whole(store, receipts)
    assert "refuses" not in engine.log() and status(engine).held == 0
    assert engine.log().count("trying again") <= 8
    assert engine.stop() == 0
