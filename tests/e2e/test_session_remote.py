"""A signing session whose signer's key is at a service that takes two seconds for an array of 200:
lines are cut and processes killed, and every document is signed and stored once."""
import collections
import os
import random

import grpc
import pytest

import harness
from office import CONFIRMED, DONE, Signer, office_schemas, submit
from proxy import Proxy
from remote_rig import STORED, Askings, Rig, check, held, stored_once, whole_register
from sample import case

FULL = os.environ.get("TRIEN_FULL") == "1"     # ./run soak
N = 1000 if FULL else 300
ARRAY, LATENCY_S = 200, 2
LATE_S = 180        # against hanging only: tests/bench/session_bench.py measures


@pytest.fixture
def rig(tmp_path, keys):
    e = harness.Engine(tmp_path / "engine", algorithm="rsa2048",
                       schemas=office_schemas(tmp_path / "schemas"))
    r = Rig(tmp_path, keys, engine=e.prepare())
    yield r
    r.end()


class Session:
    """N documents confirmed at once, and a client that has each outcome once, over all cuts."""

    def __init__(self, rig, how=None, **more):
        # Time enough for whole arrays.
        self.rig = rig.remote("person", age_ms=1000, **more).start()
        engine = rig.engine
        rig.service.control(slow_s=LATENCY_S, **(how or {}))
        cases = [case() for _ in range(N)]
        self.ids = [i for at in range(0, N, 250) for i in submit(engine, cases[at:at + 250])]
        random.Random(20261129).shuffle(self.ids)
        self.signer = Signer(engine)
        self.session = self.signer.open(self.ids)
        assert self.signer.confirm(self.session).approved == N
        self.cursor, self.told = 0, []

    def watch(self, signer, enough=lambda: False):
        """The stream from the last cursor on: to its end, or until enough() or its line breaks."""
        for o in signer.watch(self.session, self.cursor, timeout=LATE_S):
            assert o.cursor > self.cursor and o.approved
            self.cursor = o.cursor
            self.told.append((o.result_id, o.state))
            if enough():
                return

    def at_end(self):
        return sum(state == STORED for _, state in self.told)

    def check_end(self):
        rig, engine = self.rig, self.rig.engine
        signer = Signer(engine)
        self.watch(signer)
        ends = collections.Counter(i for i, state in self.told if state == STORED)
        assert ends == dict.fromkeys(self.ids, 1), "each is told once as stored"
        assert dict(self.told) == dict.fromkeys(self.ids, STORED), "and nothing behind that"
        end = signer.get(self.session)
        assert (end.state, end.approved, end.settled) == (DONE, N, N)
        assert list(signer.watch(self.session, self.cursor)) == []
        got = engine.wait_stored(engine.stubs(), self.ids)
        assert [got[i].number for i in self.ids] == list(range(1, N + 1)), "in the session's order"
        assert all(len(r.signatures) == 2 for r in got.values())
        whole_register(engine, got.values())
        assert held(rig) == [] and signer.waiting() == []
        check(rig, self.ids[::N // 5])
        diary = rig.service.diary()
        assert len(diary.asked) == N and max(diary.arrays) <= ARRAY, diary.arrays
        assert engine.stop() == 0, engine.log()
        stored_once(engine, N)
        return diary


def in_work(rig, arrays):
    """Once the service has begun so many arrays, and given all but the last."""
    harness.wait_for(lambda: len(rig.service.diary().arrays) >= arrays and
                     rig.service.diary().answers >= arrays - 1, 60)


@pytest.mark.parametrize("form", ["array", "csc"])
def test_both_lines_are_cut_in_the_middle(rig, form):
    """The service's in the middle of an answer, the client's in the middle of its stream."""
    s = Session(rig, how={"next": ["torn"]}, form=form)
    proxy = Proxy(rig.data / "engine.sock")
    try:
        client = Signer(rig.engine, rig.engine.channel(f"127.0.0.1:{proxy.port}"))
        cuts = 0
        for part in (N // 10, N // 2, N * 9 // 10):
            try:
                s.watch(client, lambda: s.at_end() == part and proxy.cut())
            except grpc.RpcError as e:
                assert e.code() == grpc.StatusCode.UNAVAILABLE, e
                cuts += 1
        assert cuts, "a stream was cut before its end"
    finally:
        proxy.close()
    diary = s.check_end()
    assert set(diary.given.values()) == {1} and len(diary.given) == N
    again = [d for d, n in diary.asked.items() if n > 1]
    assert diary.halves == 1 and len(again) == diary.arrays[0] == ARRAY
    assert {diary.asked[d] for d in again} == {2}, "what the torn answer had, and only that"


@pytest.mark.parametrize("form", ["array", "later"])
def test_the_service_restarts(rig, form):
    s = Session(rig, form=form, calls_max=1)
    in_work(rig, 2)
    given = set(rig.service.diary().given)
    rig.service.kill()
    rig.service.start()
    rig.service.control(slow_s=LATENCY_S)
    diary = s.check_end()
    if form == "array":
        assert len(given) >= ARRAY
        assert {diary.asked[d] for d in given} == {1}
    assert set(diary.asked.values()) <= {1, 2} and 1 in diary.asked.values()


@pytest.mark.sampled
@pytest.mark.parametrize("whom", ["all", "engine"])
@pytest.mark.parametrize("when", ["confirmed", "asked", "half", "given"])
def test_the_engine_is_killed(rig, whom, when):
    """It goes on by itself; the client comes again with its cursor."""
    half = {"halt": True, "next": ["halting"]} if when == "half" else None
    s = Session(rig, half, calls_max=1)
    askings = Askings(rig)
    if when == "asked":
        in_work(rig, 1)
    elif when == "half":
        harness.wait_for(lambda: rig.service.diary().halves == 1, 60)
    elif when == "given":
        s.watch(s.signer, lambda: s.at_end() == ARRAY // 2)
    rig.engine.kill() if whom == "all" else rig.restart(whom)
    askings.look()
    if whom == "all":
        rig.start(registers=False)
    rig.service.control(halt=False)
    now = Signer(rig.engine).get(s.session)
    assert now.approved == N and now.state in (CONFIRMED, DONE)
    s.check_end()
    askings.check()
    assert when != "given" or len(askings.kept) >= ARRAY // 2
