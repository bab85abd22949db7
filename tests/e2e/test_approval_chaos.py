"""kill -9 at any time while cases are accepted, confirmed, sent back and withdrawn: none is lost,
none is issued twice, and the register has no gap."""
import contextlib
import random
import threading
import time

import grpc
import pytest

import harness
from sample import SIGNER, UNITS, case, send
from test_approval import (AWAITING, REFUSED, STORED, WITHDRAWN, awaiting_schemas, confirm, number,
                           refuse, withdraw)


def results(stubs, ids):
    m = harness.modules()["repository"]
    for i in range(0, len(ids), 500):
        answer = stubs.repository.BatchGetResults(
            m.BatchGetResultsRequest(result_ids=ids[i:i + 500]), timeout=20)
        assert not answer.missing_ids
        yield from answer.results


class Office:
    """A case system and an officer, who go on whatever the engine does."""

    def __init__(self, engine, seed):
        self.engine, self.random = engine, random.Random(seed)
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.cases, self.receipts = {}, {}     # by code
        self.ended, self.confirmed = {}, []    # answered: id → state; lists of ids, in order
        self.wrong = []
        self.threads = [threading.Thread(target=self.loop, args=(f,))
                        for f in (self.submit, self.confirm, self.end)]

    def loop(self, act):
        while not self.stop.is_set():
            try:
                # IndexError: an engine that is killed just now has no port yet.
                with contextlib.suppress(grpc.RpcError, AssertionError, IndexError, KeyError,
                                         OSError), self.engine.new_channel() as channel:
                    act(self.engine.stubs(channel))
            except Exception as e:  # noqa: BLE001
                self.wrong.append(e)
                raise
            time.sleep(0.05)

    def submit(self, stubs):
        some = [case() for _ in range(self.random.randint(1, 25))]
        with self.lock:
            self.cases.update({c.code: c for c in some})
        self.keep(send(stubs, some, timeout=5).receipts)

    def keep(self, receipts):
        with self.lock:
            for r in receipts:
                old = self.receipts.setdefault(r.case_code, r.result_id)
                if old != r.result_id:
                    self.wrong.append((r.case_code, old, r.result_id))

    def waiting(self, stubs, n):
        m = harness.modules()["signing"]
        page = stubs.signing.ListWaiting(m.ListWaitingRequest(
            signer=SIGNER[UNITS[0]], page_size=n), timeout=5)
        ids = [w.result_id for w in page.waiting]
        self.random.shuffle(ids)
        return ids

    def confirm(self, stubs):
        m = harness.modules()["signing"]
        ids = self.waiting(stubs, self.random.randint(1, 120))
        s = confirm(stubs, ids)
        outcomes = stubs.signing.WatchSession(m.WatchSessionRequest(session_id=s.session_id),
                                              timeout=5)
        # What a session before it approved, gone on with after a kill, may still have been listed;
        # those are in the order of that session.
        mine = {o.result_id for o in outcomes if o.approved}
        self.confirmed.append([i for i in ids if i in mine])

    def end(self, stubs):
        for rid in self.waiting(stubs, 50)[:2]:
            act, state = self.random.choice([(refuse, REFUSED), (withdraw, WITHDRAWN)])
            act(stubs, rid)
            self.ended[rid] = state

    def close(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_time(tmp_path, seed):
    engine = harness.Engine(tmp_path / "e", schemas=awaiting_schemas(tmp_path / "schemas"))
    with engine:
        engine.prepare().start()
        office = Office(engine, seed)
        for t in office.threads:
            t.start()
        try:
            for _ in range(8):
                time.sleep(office.random.uniform(0.1, 1.2))
                engine.kill()
                engine.start(registers=False)
            time.sleep(1)
        finally:
            office.close()
        assert not office.wrong, office.wrong
        stubs = engine.stubs()
        codes = list(office.cases)
        for i in range(0, len(codes), 200):
            office.keep(send(stubs, [office.cases[c] for c in codes[i:i + 200]]).receipts)
        assert not office.wrong, office.wrong
        ids = list(office.receipts.values())
        assert len(set(ids)) == len(codes)

        def settled():
            left = office.waiting(stubs, 200)
            # One that a restart has just confirmed may have been listed.
            with contextlib.suppress(grpc.RpcError):
                if left:
                    confirm(stubs, left)
            rows.update({r.result_id: r for r in results(stubs, ids)})
            return not left and all(r.state in (STORED, REFUSED, WITHDRAWN)
                                    for r in rows.values())

        rows = {}
        harness.wait_for(settled, 100, 0.2)
        assert all(rows[i].state == state for i, state in office.ended.items())
        numbers = sorted(r.number for r in rows.values() if r.state == STORED)
        assert numbers == list(range(1, len(numbers) + 1)) and numbers
        assert number(engine).next == len(numbers) + 1 and number(engine).voided == 0
        by_number = sorted((r for r in rows.values() if r.state == STORED), key=lambda r: r.number)
        times = [r.issue_time.ToNanoseconds() for r in by_number]
        assert times == sorted(times)
        assert office.ended and any(office.confirmed)
        for ids in office.confirmed:
            given = [rows[i].number for i in ids if rows[i].state == STORED]
            assert given == sorted(given)
        assert not any(r.number for r in rows.values() if r.state != STORED)
        assert AWAITING not in {r.state for r in rows.values()}
        assert engine.stop() == 0, engine.log()
        engine.trien("fsck", "--data", engine.data)
