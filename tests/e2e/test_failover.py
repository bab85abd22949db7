"""A primary with a synchronous standby: it dies under load, the standby is promoted, and the engine
finds it by itself. Nothing that was told as stored is lost, as nothing was told without both."""
import os
import time

import pytest

import harness
import postgres
from outage import STORED, Feeder, engine_on, state_of, status, submit, wait_read, whole

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

FULL = os.environ.get("TRIEN_FULL") == "1"     # ./run soak


@pytest.fixture
def pair():
    """Both of them, the primary first."""
    first = postgres.Cluster(durable=True).start()
    clusters = [first]
    try:
        clusters.append(postgres.Cluster(durable=True))
        clusters[1].follow(first)
        yield clusters
    finally:
        for c in reversed(clusters):
            c.remove()


class PairStore(postgres.Store):
    """One database of a pair; looked at where it is asked for."""

    def __init__(self, pair, more="", order=None):
        super().__init__(pair[0])
        hosts = ",".join(str(c.folder) for c in (order or pair))
        self.conninfos = [f"host={hosts} dbname={self.names[0]} user=trien{more}"]


def fail_over(engine, store, feeder, primary, standby, known):
    """The primary dies under load; the standby takes over. known: a result that was stored."""
    stubs, told = feeder.stubs, len(feeder.receipts)
    harness.wait_for(lambda: len(feeder.receipts) > told + 200)
    primary.stop("immediate")
    # There is a server, and it takes nothing: it is waited for, and reads nothing either.
    harness.wait_for(lambda: not status(engine).store_up)
    told = len(feeder.receipts)
    harness.wait_for(lambda: len(feeder.receipts) > told + 200)
    assert state_of(stubs, known) is None
    store.cluster = standby
    assert store.count("result") < len(feeder.receipts)
    standby.promote()
    harness.wait_for(lambda: status(engine).store_up)
    wait_read(stubs, known)


def test_failover_under_load(tmp_path, pair):
    """Once, or there and back again and again."""
    primary, standby = pair
    store = PairStore(pair, " target_session_attrs=read-write")
    with engine_on(tmp_path, store, algorithm="p256") as e:
        stubs = e.stubs()
        first = submit(stubs, 50)
        e.wait_stored(stubs, [r.result_id for r in first])
        feeder = Feeder(e)
        try:
            fail_over(e, store, feeder, primary, standby, first[0].result_id)
            for _ in range(5 if FULL else 0):
                primary, standby = standby, primary.follow(standby)
                fail_over(e, store, feeder, primary, standby, first[0].result_id)
        finally:
            receipts = first + feeder.stop()
        e.wait_stored(stubs, [r.result_id for r in receipts])
        whole(store, receipts)
        log = e.log()
        assert log.count("trying again") <= 3 * log.count("takes results again")
        # A start finds the one that is left, too.
        e.kill()
        e.start(registers=False)
        stubs = e.stubs()
        receipts += submit(stubs, 50)
        e.wait_stored(stubs, [r.result_id for r in receipts])
        whole(store, receipts)
        assert e.stop() == 0


def test_without_its_standby_nothing_is_confirmed(tmp_path, pair):
    """Commits hang: they are given up and sent again, and no sessions pile up that wait."""
    primary, standby = pair
    store = PairStore(pair)
    with engine_on(tmp_path, store, algorithm="p256", postgres_timeout_ms="1000") as e:
        stubs = e.stubs()
        receipts = submit(stubs, 50)
        e.wait_stored(stubs, [r.result_id for r in receipts])
        standby.stop("immediate")
        receipts += submit(stubs, 300)
        harness.wait_for(lambda: not status(e).store_up)
        m = harness.modules()["repository"]
        ids = [r.result_id for r in receipts[50:]]
        seen = stubs.repository.BatchGetResults(m.BatchGetResultsRequest(result_ids=ids),
                                                timeout=20).results
        assert len(seen) == 300 and not any(r.state == STORED for r in seen)
        # As long as some retries take: each session that hangs is one that was given up.
        sessions = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{store.names[0]}'"
        most = 0
        for _ in range(20):
            most = max(most, int(store.sql(sessions)[0][0]))
            time.sleep(0.25)
        assert most <= 12, most
        assert e.log().count("trying again") <= 4
        standby.start()
        e.wait_stored(stubs, [r.result_id for r in receipts])
        whole(store, receipts)
        assert status(e).store_up


def test_a_start_with_a_standby_only_waits(tmp_path, pair):
    """It numbers nothing before there is a primary; the first host is the standby here."""
    primary, standby = pair
    store = PairStore(pair, order=[standby, primary])
    with engine_on(tmp_path, store, algorithm="p256") as e:
        stubs = e.stubs()
        receipts = submit(stubs, 50)
        e.wait_stored(stubs, [r.result_id for r in receipts])
        assert state_of(stubs, receipts[0].result_id) == STORED
        primary.stop("immediate")
        receipts += submit(stubs, 50)
        e.kill()
        e.start(ready=False)
        harness.wait_for(lambda: "the engine waits for it" in e.log())
        assert not e.is_ready()
        standby.promote()
        store.cluster = standby
        harness.wait_for(e.is_ready, 40)
        stubs = e.stubs()
        receipts += submit(stubs, 50)
        e.wait_stored(stubs, [r.result_id for r in receipts])
        whole(store, receipts)
