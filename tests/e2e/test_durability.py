"""Rare orders of events around a crash: parked, voided, retried, several results of one case."""
import concurrent.futures
import datetime
import json
import os
import shutil
import signal
import sqlite3
import time

import harness
from harness import UNITS
from sample import case, send

VOID, HELD, STORED = 10, 5, 6


def held(engine):
    m = harness.modules()["operations"]
    rows, token = [], ""
    while True:
        page = engine.stubs().operations.ListHeld(
            m.ListHeldRequest(page_size=200, page_token=token), timeout=20)
        rows += page.held
        token = page.next_page_token
        if not token:
            return rows


def officer_expires(engine):
    """The first agency's officer cannot sign any more; what is needed to let him again."""
    path = engine.data / "certs" / "keys.json"
    good = path.read_text()
    doc = json.loads(good)
    for key in doc["keys"]:
        if key["role"] == "person" and key["unit"] == UNITS[0]:
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    path.write_text(json.dumps(doc))
    return path, good


def two_results(**changes):
    """One case, a result of either agency: the first is held, the second issued."""
    c = case(**changes)
    c.results.append(case(unit=UNITS[1], **changes).results[0])
    return c


def submit(engine, cases, size=100):
    stubs, receipts = engine.stubs(), []
    for i in range(0, len(cases), size):
        answer = send(stubs, cases[i:i + size], timeout=60)
        assert not answer.rejects, answer.rejects[0]
        receipts += answer.receipts
    return receipts


def states(engine, ids):
    m = harness.modules()["repository"]
    out = {}
    for i in range(0, len(ids), 500):
        answer = engine.stubs().repository.BatchGetResults(
            m.BatchGetResultsRequest(result_ids=ids[i:i + 500]), timeout=30)
        out.update({r.result_id: r.state for r in answer.results})
    return out


def test_one_result_of_a_case_is_stored_and_the_other_not_yet_held(engine):
    """Killed between the store and the waiting room: the rest of each case goes on alone."""
    officer_expires(engine)
    engine.start()
    receipts = submit(engine, [two_results() for _ in range(400)])
    second = [r.result_id for r in receipts if r.unit == UNITS[1]]
    assert len(second) == 400
    harness.wait_for(lambda: list(states(engine, second).values()).count(STORED) > 150, 60)
    engine.kill()
    engine.start(registers=False)
    engine.wait_stored(engine.stubs(), second)
    harness.wait_for(lambda: len(held(engine)) == 400, 60)
    assert "ended by signal" not in engine.log()
    assert engine.stop() == 0
    engine.trien("fsck", "--data", engine.data)


def test_a_signer_that_hangs_at_its_start_is_replaced(engine, tmp_path):
    """It waits for ever for its passphrase: each successor gets more time, one gets ready."""
    secret = tmp_path / "passphrase"
    os.mkfifo(secret)
    engine.settings.update(passphrase_file=secret, signer_start_ms="300")
    engine.start()
    first = engine.children()["signer"]
    r = submit(engine, [case()])[0]
    harness.wait_for(lambda: engine.log().count("asking the supervisor for a new one") >= 2)
    assert "not ready for 300 ms" in engine.log() and "not ready for 600 ms" in engine.log()
    harness.wait_for(lambda: engine.children().get("signer", first) != first)
    assert states(engine, [r.result_id])[r.result_id] != STORED
    secret.unlink()
    secret.write_text("not needed\n")
    engine.wait_stored(engine.stubs(), [r.result_id])
    time.sleep(1.5)
    assert engine.log().count("asking the supervisor") < 5 and "ended by signal" not in engine.log()
    assert engine.stop() == 0


def test_a_void_number_stays_void_over_a_crash(engine):
    """Although the journal's place of its case was not passed yet."""
    officer_expires(engine)
    engine.start()
    os.kill(engine.children()["signer"], signal.SIGSTOP)
    waits = submit(engine, [case(unit=UNITS[1])])[0]
    r = submit(engine, [case()])[0]
    harness.wait_for(lambda: len(held(engine)) == 1)
    engine.trien("held", "void", r.result_id, "--reason", "Cấp nhầm",
                 "--connect", f"unix:{engine.data}/engine.sock")
    engine.kill()
    engine.start(registers=False)
    engine.wait_stored(engine.stubs(), [waits.result_id])
    time.sleep(0.5)
    assert held(engine) == []
    row = next(x for x in engine.registers() if x.unit == UNITS[0] and x.code == "XNTTHN")
    assert (row.voided, row.next) == (1, 2)


def test_void_and_retry_at_the_same_time(engine):
    """Each number is either issued or void, and voided once."""
    path, good = officer_expires(engine)
    engine.start()
    cases = [case() for _ in range(120)]
    submit(engine, cases)
    rows = harness.wait_for(lambda: [h for h in [held(engine)] if len(h) == 120])[0]
    path.write_text(good)
    engine.hup()
    m = harness.modules()["operations"]
    ops = engine.stubs().operations

    def void(h):
        try:
            ops.VoidHeld(m.VoidHeldRequest(sequence=h.sequence, reason="Cấp nhầm"), timeout=60)
            return 1
        except harness.grpc.RpcError:
            return 0

    def retry(h):
        try:
            ops.RetryHeld(m.RetryHeldRequest(sequence=h.sequence), timeout=60)
        except harness.grpc.RpcError:
            pass
        return 0

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        jobs = []
        for h in rows:
            jobs += [pool.submit(f, h) for f in (void, retry, void, retry)]
        voided = sum(j.result() for j in jobs)
    ops.RetryHeld(m.RetryHeldRequest(), timeout=60)
    again = {}

    def settled():
        again.update({r.case_code: r for r in submit(engine, cases)})
        return all(r.state in (STORED, VOID) for r in again.values())

    harness.wait_for(settled, 30, 0.2)
    assert held(engine) == []
    row = next(x for x in engine.registers() if x.unit == UNITS[0] and x.code == "XNTTHN")
    assert row.voided == voided == sum(r.state == VOID for r in again.values())
    engine.kill()
    engine.start(registers=False)
    assert {r.case_code: r.state for r in submit(engine, cases)} == {
        k: r.state for k, r in again.items()}
    row = next(x for x in engine.registers() if x.unit == UNITS[0] and x.code == "XNTTHN")
    assert row.voided == voided


def test_a_number_given_twice_in_one_case(engine):
    line = next(x for x in harness.generated(400, seed=5) if "ho-kinh-doanh" in x)
    c = harness.as_case(line)
    other = c.results.add()
    other.CopyFrom(c.results[0])
    other.ordinal = c.results[0].ordinal + 1
    engine.start()
    answer = send(engine.stubs(), [c])
    assert [r.reason for r in answer.rejects] == ["NUMBER_TAKEN"], answer


def test_of_two_results_with_one_number_the_held_one_can_be_voided(engine):
    """The engine forgot a number that a case brought, the store did not: the first one keeps it."""
    engine.settings["metrics"] = "127.0.0.1:0"
    line = next(x for x in harness.generated(400, seed=5) if "ho-kinh-doanh" in x)

    def bringing(code):
        c = harness.as_case(line)
        c.code = f"H99.11-261124-{code:06d}"
        c.results[0].given_number = 77
        return c

    engine.start(registers=False)
    first = submit(engine, [bringing(5)])[0]
    engine.wait_stored(engine.stubs(), [first.result_id])
    assert engine.stop() == 0
    for name in ("journal", "keys-index", "counters"):
        shutil.rmtree(engine.data / name)
    engine.start(registers=False)
    second = submit(engine, [bringing(6)])[0]
    assert second.number == first.number == 77
    row = harness.wait_for(lambda: held(engine))[0]
    assert row.reason == "STORE_CONFLICT"
    assert engine.metrics()["store_conflicts_total"] == 1
    engine.kill()
    engine.start(registers=False)
    harness.wait_for(lambda: [h.sequence for h in held(engine)] == [row.sequence])
    void = ("held", "void", second.result_id, "--reason", "Trùng số",
            "--connect", f"unix:{engine.data}/engine.sock")
    # A start tries what is held once more; meanwhile it is on its way.
    harness.wait_for(lambda: engine.trien(*void, check=False).returncode == 0)
    for _ in range(2):
        assert held(engine) == []
        assert states(engine, [first.result_id, second.result_id]) == {
            first.result_id: STORED, second.result_id: VOID}
        assert submit(engine, [bringing(6)])[0].state == VOID
        engine.kill()
        engine.start(registers=False)
    assert engine.stop() == 0
    engine.trien("fsck", "--data", engine.data)


def test_many_held_results_come_back_at_a_start(engine):
    """All of them are tried again, a few at a time."""
    path, good = officer_expires(engine)
    engine.start()
    receipts = submit(engine, [case() for _ in range(3000)])
    harness.wait_for(lambda: len(held(engine)) == 3000, 90)
    assert engine.stop() == 0
    path.write_text(good)
    engine.start(registers=False)
    engine.wait_stored(engine.stubs(), [r.result_id for r in receipts], 120)
    assert held(engine) == []
    assert engine.stop() == 0


def test_a_second_engine_touches_nothing(engine):
    engine.start()
    left = engine.data / "keys-index" / "keys-0-0.run.tmp"
    left.write_bytes(b"being written")
    other = harness.Engine(engine.folder, **engine.settings, listen="127.0.0.1:0")
    other.log_path = engine.folder / "other.log"
    other.start(ready=False)
    assert other.wait_end() == 75, other.log()
    assert "in use by process" in other.log()
    assert left.exists()


def test_a_full_journal_refuses_and_loses_nothing(tmp_path):
    """The store is busy for long: new cases are refused early, all accepted ones go on later."""
    e = harness.Engine(tmp_path, journal_segment_mb="4", journal_slots="4")
    e.prepare().start()
    try:
        index = sqlite3.connect(next((e.data / "store").glob("index.db")), isolation_level=None)
        index.execute("BEGIN IMMEDIATE")
        stubs, receipts, full, codes = e.stubs(), {}, 0, {}
        end = time.monotonic() + 90
        while full < 3 and time.monotonic() < end:
            cases = [case() for _ in range(100)]
            codes.update({c.code: c for c in cases})
            answer = send(stubs, cases, timeout=60)
            receipts.update({r.case_code: r for r in answer.receipts})
            full += any(r.reason == "JOURNAL_FULL" and r.retryable for r in answer.rejects)
            assert all(r.reason == "JOURNAL_FULL" for r in answer.rejects), answer.rejects[0]
        assert full == 3
        e.kill()
        index.close()
        e.start(registers=False)
        rest = [c for code, c in codes.items() if code not in receipts]
        harness.wait_for(lambda: not submit_some(e, rest, receipts), 120, 0.2)
        stored = e.wait_stored(e.stubs(), [r.result_id for r in receipts.values()], 120)
        assert sorted(r.number for r in stored.values()) == list(range(1, len(codes) + 1))
        assert e.stop() == 0
        e.trien("fsck", "--data", e.data)
    finally:
        e.kill()


def submit_some(engine, rest, receipts):
    """What is still refused after one more try."""
    if rest:
        answer = send(engine.stubs(), rest[:100], timeout=60)
        receipts.update({r.case_code: r for r in answer.receipts})
        rest[:] = [c for c in rest if c.code not in receipts]
    return rest
