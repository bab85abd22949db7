"""Thousands of results that wait cost a start neither time nor memory, and stay what they are."""
import datetime
import json
import math
import os

import pytest

import harness
from parked import (FEW, Parked, held_tried, lived_bytes, resident, schemas_of_both, start_s,
                    start_timed, started_bytes, status, unapproved, unsigned)
from remote_child import make_keys
from remote_rig import Rig
from sample import UNITS, case, send

PARKED = 2400
FULL = os.environ.get("TRIEN_FULL") == "1"
STORED = 7

pytestmark = pytest.mark.embedded


def policy_without(engine, unit):
    """The officer's key of this unit is not valid any more; gives the good policy back."""
    path = engine.data / "certs" / "keys.json"
    good = path.read_text()
    doc = json.loads(good)
    for key in doc["keys"]:
        if key["role"] == "person" and key["unit"] == unit:
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    path.write_text(json.dumps(doc))
    return path, good


def held(engine):
    """All pages."""
    m = harness.modules()["operations"]
    stub, rows, token = engine.stubs().operations, [], ""
    while True:
        page = stub.ListHeld(m.ListHeldRequest(page_size=200, page_token=token), timeout=30)
        rows += page.held
        token = page.next_page_token
        if not token:
            return rows


def settled(engine, n):
    """All n are held and none is on its way; a start tries each of them once. n may be a function:
    asked when nothing is on its way any more."""
    def quiet():
        s = status(engine)
        return s.in_flight == 0 and s.held == (n() if callable(n) else n)
    harness.wait_for(quiet, 120, 0.1)


def get(stubs, result_id):
    m = harness.modules()["repository"]
    return stubs.repository.GetResult(m.GetResultRequest(result_id=result_id), timeout=20)


def test_many_wait(engine):
    engine.settings["metrics"] = "127.0.0.1:0"
    engine.start()
    engine.stop()
    path, good = policy_without(engine, UNITS[0])

    empty_s = min(start_timed(engine) for _ in range(2) if engine.stop() == 0)
    stubs = engine.stubs()

    cases = [case() for _ in range(PARKED)]
    receipts = []
    for i in range(0, PARKED, 200):
        receipts += send(stubs, cases[i:i + 200], timeout=60).receipts
    settled(engine, PARKED)

    # Killed with all of them there; nothing but the index knows them after the start.
    engine.kill()
    full_s = start_timed(engine)
    stubs = engine.stubs()
    print(f"start {empty_s:.2f} s empty, {full_s:.2f} s with {PARKED}")
    assert full_s - empty_s < start_s(PARKED)
    held_tried(engine, PARKED)
    settled(engine, PARKED)

    # They answer as before.
    rows = held(engine)
    assert len(rows) == PARKED
    assert [r.sequence for r in rows] == sorted(r.sequence for r in rows)
    assert {r.number_text for r in rows} == {r.number_text for r in receipts}
    reason = rows[0].reason
    assert {r.reason for r in rows} == {reason}
    for r in receipts[::PARKED // 20]:
        got = get(stubs, r.result_id)
        assert (got.state, got.held_reason, got.number_text) == (5, reason, r.number_text)
        assert (got.accept_time, got.issue_time) == (r.accept_time, r.issue_time)
    again = send(stubs, cases[:100], timeout=60).receipts
    assert all(a.duplicate and a.state == 5 and a.held_reason == reason for a in again)
    assert [(a.result_id, a.accept_time, a.number) for a in again] == \
        [(r.result_id, r.accept_time, r.number) for r in receipts[:100]]
    m = harness.modules()["issuance"]
    name = m.CaseName(unit=UNITS[0], code=cases[5].code)
    watch = stubs.issuance.WatchResults(m.WatchResultsRequest(cases=[name]), timeout=20)
    first = next(iter(watch))
    assert (first.result_id, first.state, first.held_reason) == \
        (receipts[5].result_id, 5, reason)
    watch.cancel()

    # Without its index the next start makes another.
    assert engine.stop() == 0
    for p in (engine.data / "waiting").glob("index.db*"):
        p.unlink()
    engine.start(registers=False)
    stubs = engine.stubs()
    held_tried(engine, PARKED)
    settled(engine, PARKED)

    # One is voided, the others go on with the numbers that they have.
    sock = f"unix:{engine.data}/engine.sock"
    engine.trien("held", "void", receipts[0].result_id, "--reason", "Cấp nhầm", "--connect", sock)
    assert get(stubs, receipts[0].result_id).state == 10
    assert status(engine).held == PARKED - 1
    path.write_text(good)
    engine.hup()
    engine.trien("held", "retry", "--connect", sock, timeout=180)
    stored = engine.wait_stored(stubs, [r.result_id for r in receipts[1:]], 180)
    assert {stored[r.result_id].number for r in receipts[1:]} == \
        {r.number for r in receipts[1:]}
    harness.wait_for(lambda: status(engine).held == 0)
    assert held(engine) == []
    # The last row takes the segments with it.
    harness.wait_for(lambda: not list((engine.data / "waiting").glob("*.seg")))
    engine.kill()
    engine.start(registers=False)
    assert held(engine) == [] and status(engine).held == 0
    assert get(engine.stubs(), receipts[0].result_id).state == 10
    assert engine.stop() == 0


# The other two have bounds in test_parked_long.py, too.
@pytest.mark.parametrize("state", ["held", "unapproved", "unsigned"] if FULL else ["held"])
def test_a_row_costs_no_memory(tmp_path, state):
    """Neither in the life that parked it nor after a start; each state on its own."""
    e = harness.Engine(tmp_path / "e", schemas=schemas_of_both(tmp_path / "schemas"),
                       metrics="127.0.0.1:0").prepare()
    rig = Rig(tmp_path, None, engine=e)
    if state == "held":
        policy_without(e, UNITS[0])
    elif state == "unsigned":
        rig.tls = make_keys(tmp_path / "tls")
        rig.remote("person").service.kill()
    make = unapproved if state == "unapproved" else unsigned
    parked = Parked(120)
    receipts = getattr(parked, state)

    def started():
        e.start(registers=False)
        held_tried(e, len(parked.held))
        parked.settled(e)
        return resident(e)

    try:
        e.start()
        parked.more(e, receipts, make, FEW)
        assert e.stop() == 0
        before = started()
        # What the parking of any needs stands after a FEW.
        parked.more(e, receipts, make, FEW)
        grown = []
        # What a row costs is seen each time; how many were on their way at once, on a busy machine
        # more than before, once.
        while len(grown) < 3 and min(grown, default=math.inf) >= lived_bytes(PARKED):
            few = resident(e, "RssAnon")
            parked.more(e, receipts, make, PARKED)
            grown.append(resident(e, "RssAnon") - few)
        e.kill()
        after = started()
        # Once more: an allocator differs from start to start.
        assert e.stop() == 0
        after = min(after, started())
        more = FEW + len(grown) * PARKED
        print(f"{state}: {[g >> 10 for g in grown]} KiB for {PARKED} rows as they came, "
              f"{(after - before) >> 10} KiB for {more} after a start")
        assert min(grown) < lived_bytes(PARKED)
        # A start tries each held one: it does with them what the life did that parked them.
        bound = lived_bytes if state == "held" else started_bytes
        assert after - before < bound(more)
    finally:
        rig.end()


def test_whoever_reads_misses_no_move(engine):
    """Parked, resumed, parked again, stored, void: somebody who always reads always finds it."""
    path, good = policy_without(engine, UNITS[0])
    bad = path.read_text()
    engine.start()
    stubs = engine.stubs()
    receipts = send(stubs, [case() for _ in range(20)]).receipts
    sock = f"unix:{engine.data}/engine.sock"
    m = harness.modules()["repository"]
    ids = [r.result_id for r in receipts]
    order = {3: 0, 5: 0, 6: 1, 10: 1}
    seen = {}

    def look():
        answer = stubs.repository.BatchGetResults(
            m.BatchGetResultsRequest(result_ids=ids), timeout=20)
        assert not answer.missing_ids
        for r in answer.results:
            # What has ended never waits again.
            assert order[r.state] >= seen.get(r.result_id, 0), r
            seen[r.result_id] = order[r.state]
        return answer.results

    harness.wait_for(lambda: all(r.state == 5 for r in look()))
    for _ in range(5):
        engine.trien("held", "retry", "--connect", sock)
        for _ in range(20):
            look()
    harness.wait_for(lambda: all(r.state == 5 for r in look()))
    engine.trien("held", "void", ids[0], "--reason", "Cấp nhầm", "--connect", sock)
    assert get(stubs, ids[0]).state == 10
    path.write_text(good)
    engine.hup()
    engine.trien("held", "retry", "--connect", sock)
    harness.wait_for(lambda: all(r.state in (6, 10) for r in look()), every=0)
    path.write_text(bad)
    engine.hup()
    for _ in range(50):
        look()
    assert held(engine) == []
    assert engine.stop() == 0


def test_a_stored_result_whose_row_stayed(engine):
    """Killed between the store and the waiting room, again and again: nothing is told twice."""
    path, good = policy_without(engine, UNITS[0])
    bad = path.read_text()
    engine.start()
    receipts = []
    for _ in range(STORED):
        path.write_text(bad)
        engine.hup()
        stubs = engine.stubs()
        new = send(stubs, [case() for _ in range(40)]).receipts
        receipts += new
        harness.wait_for(lambda: all(get(stubs, r.result_id).state == 5 for r in new[::10]))
        path.write_text(good)
        engine.hup()
        retry = harness.modules()["operations"].RetryHeldRequest()
        call = stubs.operations.RetryHeld.future(retry, timeout=20)
        harness.wait_for(lambda: any(get(stubs, r.result_id).state == 6 for r in new), every=0)
        engine.kill()
        call.exception(timeout=20)
        path.write_text(bad)
        engine.start(registers=False)
        # What is stored stays stored, though it could not be signed now.
        stubs = engine.stubs()
        states = [get(stubs, r.result_id).state for r in new]
        assert 6 in states and set(states) <= {3, 5, 6}
        settled(engine, lambda: sum(get(stubs, r.result_id).state == 5 for r in receipts))
        assert {r.number for r in held(engine)}.isdisjoint(
            r.number for r, s in zip(new, states) if s == 6)
    path.write_text(good)
    engine.hup()
    engine.trien("held", "retry", "--connect", f"unix:{engine.data}/engine.sock")
    stored = engine.wait_stored(stubs, [r.result_id for r in receipts])
    assert [stored[r.result_id].number for r in receipts] == [r.number for r in receipts]
    assert engine.stop() == 0
    assert engine.trien("fsck", "--data", engine.data).returncode == 0
