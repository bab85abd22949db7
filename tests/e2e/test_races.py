"""Calls that end when they like: cancelled, late, never begun, cut off by the engine's end."""
import os
import random
import signal
import threading
import time

import grpc
import pytest

import harness
from harness import UNITS
from sample import batch, case, send

WATCH = "/trien.v1.Issuance/WatchResults"
BROKEN = ("ended by signal", "calls left at the stop", "Sanitizer", "runtime error:",
          "batch refused")


def clean(engine):
    log = engine.log()
    assert not [b for b in BROKEN if b in log], log[-6000:]


def quiet(hold):
    """A client that opens its call and says nothing."""
    hold.wait(20)
    return
    yield


def test_watches_that_never_asked_for_anything(engine):
    engine.start()
    before, hold = engine.children(), threading.Event()
    calls = [engine.channel().stream_stream(WATCH)(quiet(hold), timeout=20) for _ in range(20)]
    time.sleep(0.3)
    for c in calls:
        c.cancel()
    assert send(engine.stubs(), [case()]).accepted == 1
    hold.set()
    assert engine.children() == before
    clean(engine)


def test_the_engine_ends_while_watches_have_not_asked_yet(engine):
    engine.settings["drain_ms"] = "500"
    engine.start()
    hold = threading.Event()
    calls = [engine.channel().stream_stream(WATCH)(quiet(hold), timeout=20) for _ in range(20)]
    time.sleep(0.3)
    assert engine.stop() == 0
    hold.set()
    assert {c.code() for c in calls} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    clean(engine)


def test_watches_refused_and_cancelled_at_once(engine):
    engine.start()
    before = engine.children()
    channel = engine.channel()
    for body in (b"", b"\xff\xff\xff", b"\x0a\x02\x0a\x00"):
        for i in range(100):
            calls = [channel.unary_stream(WATCH)(body, timeout=20) for _ in range(20)]
            time.sleep(0.0005 * (i % 7))
            for c in calls:
                c.cancel()
    assert send(engine.stubs(), [case()]).accepted == 1
    assert engine.children() == before
    clean(engine)


class Restless:
    """Clients that give up at any moment; what they got as a receipt they keep."""

    def __init__(self, engine):
        self.engine, self.end, self.failed = engine, threading.Event(), []
        self.receipts, self.codes = [], []
        self.counts, self.lock = {}, threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i, what)) for i, what in enumerate(
            [self.submit, self.submit, self.stream, self.watch, self.read, self.operate])]

    def run(self, seed, what):
        rng, stubs = random.Random(seed), self.engine.stubs()
        while not self.end.is_set():
            try:
                what(stubs, rng)
            except (grpc.RpcError, grpc.FutureCancelledError, ValueError):
                pass               # given up, refused, or the channel is closed
            except Exception as e:
                self.failed.append(e)
                return
            with self.lock:
                self.counts[what.__name__] = self.counts.get(what.__name__, 0) + 1

    def cases(self, n):
        with self.lock:
            made = [case() for _ in range(n)]
            self.codes += [c.code for c in made]
        return made

    def given_up(self, rng, calls):
        time.sleep(rng.choice([0, 0.0005, 0.002, 0.008]))
        for c in calls:
            if rng.random() < 0.6:
                c.cancel()

    def submit(self, stubs, rng):
        # A batch is made once and sent often: repetitions take the quickest way to an answer.
        calls = []
        for _ in range(8):
            cases = self.cases(rng.choice([1, 5, 20]))
            timeout = rng.choice([0.001, 0.003, 0.01, 5])
            calls += [stubs.issuance.SubmitBatch.future(batch(cases), timeout=timeout)
                      for _ in range(2)]
        self.given_up(rng, calls)
        for c in calls:
            if not c.cancelled() and c.exception() is None:
                with self.lock:
                    self.receipts += c.result().receipts

    def stream(self, stubs, rng):
        m = harness.modules()["issuance"]

        def messages():
            for i in range(rng.randrange(1, 20)):
                yield m.SubmitStreamRequest(client_seq=i + 1, cases=self.cases(5),
                                            want_receipts=True)

        call = stubs.issuance.SubmitStream(messages(), timeout=rng.choice([0.005, 0.05, 5]))
        stop = rng.randrange(0, 25)
        for i, answer in enumerate(call):
            with self.lock:
                self.receipts += answer.receipts
            if i == stop:
                call.cancel()

    def watch(self, stubs, rng):
        m = harness.modules()["issuance"]
        with self.lock:
            codes = self.codes[-200:]
        calls = [stubs.issuance.WatchResults(m.WatchResultsRequest(cases=[
            m.CaseName(unit=UNITS[0], code=code) for code in rng.sample(codes, min(4, len(codes)))]
            ), timeout=rng.choice([0.002, 0.02, 0.2])) for _ in range(8)]
        self.given_up(rng, calls)
        for c in calls:
            if rng.random() < 0.5:
                list(c)

    def read(self, stubs, rng):
        m = harness.modules()["repository"]
        with self.lock:
            ids = [r.result_id for r in rng.sample(self.receipts, min(20, len(self.receipts)))]
        calls = [stubs.repository.DownloadResult(m.DownloadResultRequest(result_id=i), timeout=2)
                 for i in ids]
        self.given_up(rng, calls)
        for c in calls[:3]:
            next(iter(c), None)
        stubs.repository.BatchGetResults(m.BatchGetResultsRequest(result_ids=ids), timeout=0.02)

    def operate(self, stubs, rng):
        m = harness.modules()["operations"]
        calls = [stubs.operations.ListHeld.future(m.ListHeldRequest(), timeout=0.01),
                 stubs.operations.GetStatus.future(m.GetStatusRequest(), timeout=0.002),
                 stubs.operations.ListRegisters.future(m.ListRegistersRequest(), timeout=2)] * 4
        self.given_up(rng, calls)
        time.sleep(0.005)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.end.set()
        for t in self.threads:
            t.join(30)
        assert not self.failed and not any(t.is_alive() for t in self.threads), self.failed


@pytest.mark.parametrize("seconds", [1.2, 0.3])
def test_clients_that_give_up_and_an_end_under_load(engine, seconds):
    """Two ends under load in one data folder; then each receipt is there, no number twice."""
    engine.settings.update(intake_threads="2", reader_threads="4", drain_ms="5000")
    receipts = []
    for life in range(2):
        engine.start(registers=life == 0)
        with Restless(engine) as clients:
            time.sleep(seconds)
            assert engine.process.poll() is None
            os.kill(engine.process.pid, signal.SIGTERM)
            assert engine.wait_end() == 0, engine.log()[-6000:]
        receipts += clients.receipts
        clean(engine)
        assert len(clients.counts) == 5 and min(clients.counts.values()) > 0, clients.counts
    engine.start(registers=False)
    by_id = {r.result_id: r for r in receipts}
    assert len(by_id) > 20
    stored = engine.wait_stored(engine.stubs(), by_id)
    assert {i: r.number for i, r in stored.items()} == {i: r.number for i, r in by_id.items()}
    assert len({r.number for r in stored.values()}) == len(by_id)
    assert engine.stop() == 0
    clean(engine)
