"""What tests of a store that fails have in common: an engine on it, cases all the time, and the
proof that all of them stand there once."""
import threading
import time

import grpc

import harness
from sample import case, send

STORED = 6


def engine_on(tmp_path, store, **settings):
    store.init()
    return harness.Engine(tmp_path / "engine", **{**store.settings(), **settings}).prepare().start()


def status(engine):
    m = harness.modules()["operations"]
    return engine.stubs().operations.GetStatus(m.GetStatusRequest(), timeout=20)


def submit(stubs, n, size=50, **kw):
    receipts = []
    for i in range(0, n, size):
        answer = send(stubs, [case(**kw) for _ in range(min(size, n - i))])
        assert not answer.rejects, answer.rejects[0]
        receipts += answer.receipts
    return receipts


def state_of(stubs, result_id):
    """None: the store is away."""
    m = harness.modules()["repository"]
    try:
        return stubs.repository.GetResult(m.GetResultRequest(result_id=result_id), timeout=15).state
    except grpc.RpcError as e:
        assert e.code().name == "UNAVAILABLE", e
        return None


def wait_read(stubs, result_id):
    """Until one that is stored can be read: readers try again within a second."""
    harness.wait_for(lambda: state_of(stubs, result_id) == STORED)


def whole(store, receipts):
    """Each of them is in every table once, and the book has no gaps."""
    n = len({r.result_id for r in receipts})
    assert n == len(receipts)
    for table in ("result", "holding", "locator", "number_register"):
        assert store.count(table) == n, table
    counted = [store.sql("SELECT coalesce(sum(results), 0) FROM counter", i)[0][0]
               for i in range(len(store.names))]
    assert sum(map(int, counted)) == n
    numbers = sorted(int(row[0]) for i in range(len(store.names))
                     for row in store.sql("SELECT number FROM number_register", i))
    assert numbers == sorted(r.number for r in receipts)
    assert numbers == list(range(1, n + 1))


class Feeder:
    """Cases all the time, in a thread of its own, until stop(): then all their receipts."""

    def __init__(self, engine):
        self.stubs = engine.stubs()
        self.receipts, self.rejects = [], []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            answer = send(self.stubs, [case() for _ in range(20)])
            self.receipts.extend(answer.receipts)
            self.rejects.extend(answer.rejects)
            time.sleep(0.01)

    def stop(self):
        self.over.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        # While the server is away the journal may fill up.
        assert all(r.reason == "JOURNAL_FULL" for r in self.rejects), self.rejects[0]
        return self.receipts


def disturbed(engine, disturb, times, pause):
    """Something done to the server again and again, under load; all is stored then."""
    feeder = Feeder(engine)
    try:
        for _ in range(times):
            time.sleep(pause)
            disturb()
    finally:
        receipts = feeder.stop()
    engine.wait_stored(feeder.stubs, [r.result_id for r in receipts])
    return receipts
