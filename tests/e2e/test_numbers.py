"""Numbers that never had a result: used outside of the engine, and given but found nowhere."""
import json
import os
import sqlite3
import time

import grpc
import pytest

import harness
import postgres
from outage import engine_on, status
from sample import UNITS, case, send
from test_mirror import pair  # noqa: F401
from test_register_book import (ISSUED, OUTSIDE, PENDING, VOIDED, book, findings, text_of,
                                without_key)

WHY = "Mất điện ngày 29/11, ba giấy viết tay"


@pytest.fixture(params=["embedded", "postgres"])
def office(request, tmp_path):
    store, settings = harness.store_of(request.param)
    e = harness.Engine(tmp_path / "e", **settings).prepare().start()
    e.store_of = store
    yield e
    e.kill()


def use(stubs, first, count=1, reason=WHY, unit=UNITS[0], **kw):
    m = harness.modules()["operations"]
    return stubs.operations.UseNumbers(m.UseNumbersRequest(
        unit=unit, code="XNTTHN", first=first, count=count, reason=reason, **kw), timeout=20)


def void(stubs, number, reason="Mất khi phục hồi bản sao lưu", unit=UNITS[0], **kw):
    m = harness.modules()["operations"]
    return stubs.operations.VoidNumber(m.VoidNumberRequest(
        unit=unit, code="XNTTHN", number=number, reason=reason, **kw), timeout=20)


def refused(code, what, *args, **kw):
    with pytest.raises(grpc.RpcError) as e:
        what(*args, **kw)
    assert e.value.code().name == code, e.value.details()
    return e.value.details()


def issue(engine, n=1, **kw):
    stubs = engine.stubs()
    receipts = send(stubs, [case(**kw) for _ in range(n)]).receipts
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    return [r.number for r in receipts]


def states(stubs, **kw):
    return [(r.number, r.state) for r in book(stubs, **kw)[1]]


def cli(engine, *words, check=True, **kw):
    return engine.trien("register", *words, "--connect", f"unix:{engine.data}/engine.sock",
                        check=check, **kw)


NAMES = ("--unit", UNITS[0], "--code", "XNTTHN")


def test_papers_written_by_hand(office, tmp_path):
    """The engine goes on behind them; the book, its check, its print and its total know of them."""
    stubs = office.stubs()
    assert issue(office, 2) == [1, 2]
    cli(office, "use", *NAMES, "--next", 3, "--count", 3, "--reason", WHY)
    assert issue(office) == [6]
    head, rows = book(stubs)
    assert (head.first, head.next, head.given, head.voided) == (1, 7, 6, 0)
    assert [(r.number, r.state) for r in rows] == [
        (1, ISSUED), (2, ISSUED), (3, OUTSIDE), (4, OUTSIDE), (5, OUTSIDE), (6, ISSUED)]
    for r in rows[2:5]:
        assert (r.end_reason, r.end_actor, r.result_id, r.damaged) == (WHY, "tester", "", False)
        assert rows[1].issue_time.ToMilliseconds() <= r.end_time.ToMilliseconds() <= \
            rows[5].issue_time.ToMilliseconds()
    assert findings(office) == (0, set())
    assert "1 to 6: 3 issued, 0 pending, 0 void, 3 used outside: whole" in \
        cli(office, "check", *NAMES).stdout
    path = tmp_path / "book.pdf"
    cli(office, "print", *NAMES, "--output", path,
        env={**os.environ, "TRIEN_SCHEMAS": str(office.schemas)})
    text = " ".join(text_of(path).split())
    assert text.count("Cấp ngoài hệ thống:") == 3 and "3 số cấp ngoài hệ thống" in text
    m = harness.modules()["audit"]
    counts = stubs.audit.GetStatistics(m.GetStatisticsRequest(units=[UNITS[0]]), timeout=20).total
    assert (counts.results, counts.outside, counts.solved) == (3, 3, 6)
    # Told again it is the same, however the book went on; told otherwise it is none.
    assert use(stubs, 3, 3) == head
    for first, count, reason in ((3, 2, WHY), (3, 3, "khác"), (4, 1, WHY)):
        assert "told before" in refused("ALREADY_EXISTS", use, stubs, first, count, reason)
    for first in (2, 6):
        assert "next number is 7" in refused("ALREADY_EXISTS", use, stubs, first)
    assert "next number is 7" in refused("FAILED_PRECONDITION", use, stubs, 8)
    for wrong in (dict(first=0), dict(first=7, count=0), dict(first=7, count=201),
                  dict(first=7, reason="")):
        refused("INVALID_ARGUMENT", use, stubs, **wrong)
    refused("NOT_FOUND", use, stubs, 7, year=2025)
    assert cli(office, "use", *NAMES, "--reason", "x", check=False).returncode == 2
    assert states(stubs)[-1] == (6, ISSUED)
    # A power cut, the journal's snapshot, and all of the store's own checks.
    office.kill()
    office.start(registers=False)
    assert book(office.stubs()) == (head, rows)
    assert issue(office) == [7]
    assert office.stop() == 0
    if office.store_of is None:
        office.trien("fsck", "--data", office.data)
    office.start(registers=False)
    stubs = office.stubs()
    assert states(stubs)[2:] == [(3, OUTSIDE), (4, OUTSIDE), (5, OUTSIDE), (6, ISSUED),
                                 (7, ISSUED)]
    m = harness.modules()["operations"]
    closed = stubs.operations.CloseRegister(m.CloseRegisterRequest(
        unit=UNITS[0], code="XNTTHN", reason="Hết năm", with_total=True), timeout=20)
    assert (closed.total.issued, closed.total.voided, closed.total.used_outside) == (4, 0, 3)
    assert "closed" in refused("FAILED_PRECONDITION", use, stubs, 8)
    assert use(stubs, 3, 3).next == 8


def test_who_may(office):
    stubs = office.stubs()
    issue(office)
    for roles, units in ((["submit", "read", "audit", "portal"], ["*"]),
                         (["registry"], [UNITS[1]])):
        office.principals([{"name": "tester", "roles": roles, "units": units}])
        office.hup()
        for what in (use, void):
            refused("PERMISSION_DENIED", what, stubs, 2)
    office.prepare_principals()
    office.hup()
    assert states(stubs) == [(1, ISSUED)]


def lost(engine, number):
    """The book's row of a number goes out of a stopped engine's store; its result stays there."""
    if engine.store_of is not None:
        engine.store_of.sql(f"DELETE FROM number_register WHERE number = {number}")
        return
    db = sqlite3.connect(engine.data / "store" / "index.db")
    with db:
        db.execute("DELETE FROM number_register WHERE number = ?", (number,))
    db.close()


def test_a_lost_row_is_no_lost_number(office):
    """The audit misses it, but its result is stored: that is to be repaired, not to be voided,
    whether the key index has it in memory or on disk by now."""
    stubs = office.stubs()
    assert issue(office, 3) == [1, 2, 3]
    assert office.stop() == 0
    lost(office, 2)
    office.start(registers=False)
    stubs = office.stubs()
    assert findings(office, "--unit", UNITS[0]) == (1, {(2, "MISSING")})
    assert "stands in the book" in refused("FAILED_PRECONDITION", void, stubs, 2)
    runs = office.data / "keys-index"
    while not list(runs.glob("*.run")):
        issue(office, 400)
    assert "stands in the book" in refused("FAILED_PRECONDITION", void, stubs, 2)
    assert (2, VOIDED) not in states(stubs)


def test_killed_between_act_and_book(tmp_path):
    """What was answered stands; told again, each number is given once."""
    with harness.Engine(tmp_path) as e:
        e.prepare().start()
        assert issue(e) == [1]
        expected = 2
        m = harness.modules()["operations"]
        for i in range(8):
            stubs = e.stubs()
            future = stubs.operations.UseNumbers.future(m.UseNumbersRequest(
                unit=UNITS[0], code="XNTTHN", first=expected, count=2, reason=f"tờ {i}"),
                timeout=20)
            time.sleep(0.001 * i)
            e.process.kill()
            try:
                future.result()
            except grpc.RpcError:
                pass
            e.kill()
            e.start(registers=False)
            assert use(e.stubs(), expected, 2, f"tờ {i}").next == expected + 2
            expected += 2
            assert issue(e) == [expected]
            expected += 1
        rows = book(e.stubs())[1]
        assert [r.number for r in rows] == list(range(1, expected))
        assert sum(r.state == OUTSIDE for r in rows) == 16
        assert findings(e) == (0, set())
        assert e.stop() == 0
        if e.store is None:
            e.trien("fsck", "--data", e.data)


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_while_the_store_is_away(tmp_path):
    """The numbers are given from then on; the book tells of them once the store is back."""
    cluster = postgres.Cluster(durable=True).start()
    store = postgres.Store(cluster)
    try:
        with engine_on(tmp_path, store) as e:
            assert issue(e) == [1]
            stubs = e.stubs()
            cluster.stop()
            harness.wait_for(lambda: not status(e).store_up)
            assert use(stubs, 2, 3).next == 5
            assert use(stubs, 2, 3).next == 5
            refused("UNAVAILABLE", void, stubs, 1)
            assert send(stubs, [case()]).receipts[0].number == 5
            e.kill()
            cluster.start()
            e.start(registers=False)
            stubs = e.stubs()
            harness.wait_for(lambda: states(stubs) == [
                (1, ISSUED), (2, OUTSIDE), (3, OUTSIDE), (4, OUTSIDE), (5, ISSUED)])
            assert findings(e) == (0, set())
            assert use(stubs, 2, 3).next == 6
            e.trien("store", "check", "--deep", *store_words(store))
            assert e.stop() == 0
    finally:
        cluster.remove()


def store_words(store):
    words = store.settings()["postgres"]
    return words if isinstance(words, list) else [words]


def test_a_mirror_knows_them(pair):  # noqa: F811
    """Its registers go on behind them, and the book has them, though the first engine's folder and
    whatever it had not told the store are gone."""
    p = pair(algorithm="p256")
    p.engine.start()
    assert issue(p.engine) == [1]
    assert use(p.engine.stubs(), 2, 2).next == 4
    p.engine.kill()
    assert p.mirror.stop() == 0
    p.take_over()
    p.go_on()
    stubs = p.second.stubs()
    assert use(stubs, 2, 2).next == 4
    assert issue(p.second) == [4]
    assert states(stubs) == [(1, ISSUED), (2, OUTSIDE), (3, OUTSIDE), (4, ISSUED)]


@pytest.mark.embedded
def test_a_number_that_stands_nowhere(engine, tmp_path):
    """After a restored backup a person let numbering go on: what was issued in between is lost, the
    audit finds it, and the registry voids it, number by number."""
    engine.start()
    assert issue(engine, 5) == [1, 2, 3, 4, 5]
    assert engine.stop() == 0
    engine.trien("backup", "--data", engine.data, tmp_path / "old")
    engine.start(registers=False)
    assert issue(engine, 3) == [6, 7, 8]
    assert engine.stop() == 0
    engine.data.rename(tmp_path / "newer")
    engine.trien("restore", tmp_path / "old", "--data", engine.data)
    for name in ("keys", "principals.json", "tls"):
        if not (engine.data / name).exists() and (tmp_path / "newer" / name).exists():
            (tmp_path / "newer" / name).rename(engine.data / name)
    good = without_key(engine, UNITS[1])
    engine.settings["accept_behind"] = "true"
    engine.start(registers=False)
    stubs = engine.stubs()
    assert issue(engine) == [9]
    assert findings(engine, "--unit", UNITS[0]) == (1, {(6, "MISSING")})
    before = engine.registers()
    # What stands somewhere is not voided so: issued, held, or not given at all.
    assert send(stubs, [case(unit=UNITS[1])]).receipts[0].number == 1
    harness.wait_for(lambda: states(stubs, unit=UNITS[1]) == [(1, PENDING)])
    for number in (5, 9):
        refused("FAILED_PRECONDITION", void, stubs, number)
    assert "stands in the book" in refused("FAILED_PRECONDITION", void, stubs, 1, unit=UNITS[1])
    assert "next number is 10" in refused("FAILED_PRECONDITION", void, stubs, 10)
    refused("INVALID_ARGUMENT", void, stubs, 0)
    refused("INVALID_ARGUMENT", void, stubs, 6, "")
    assert engine.registers()[:1] == before[:1]
    cli(engine, "void", *NAMES, "--number", 6, "--reason", "Mất khi phục hồi bản sao lưu")
    assert findings(engine, "--unit", UNITS[0]) == (1, {(7, "MISSING")})
    assert void(stubs, 7).voided == 2
    # Many at once, and again after a power cut: each is void once.
    m = harness.modules()["operations"]
    asked = [stubs.operations.VoidNumber.future(m.VoidNumberRequest(
        unit=UNITS[0], code="XNTTHN", number=8, reason="Mất"), timeout=20) for _ in range(4)]
    assert {f.result().voided for f in asked} == {3}
    refused("ALREADY_EXISTS", void, stubs, 8, "khác")
    head, rows = book(stubs)
    assert [(r.number, r.state) for r in rows[5:8]] == [(6, VOIDED), (7, VOIDED), (8, VOIDED)]
    assert {(r.end_actor, r.result_id) for r in rows[5:8]} == {("tester", "")}
    assert (head.given, head.voided) == (9, 3)
    engine.kill()
    engine.start(registers=False)
    stubs = engine.stubs()
    assert book(stubs) == (head, rows)
    assert void(stubs, 7).voided == 3
    assert findings(engine, "--unit", UNITS[0]) == (0, set())
    listed = json.loads(cli(engine, "list", *NAMES, "--json").stdout)["entries"]
    assert [e["state"] for e in listed[5:8]] == ["VOIDED"] * 3
    good()
    assert engine.stop() == 0
    engine.trien("fsck", "--data", engine.data)


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_a_number_that_stands_nowhere_on_postgres(tmp_path):
    """Numbering went on behind a number that the store only seemed to have."""
    store = postgres.Store()
    with engine_on(tmp_path, store) as e:
        assert issue(e, 5) == [1, 2, 3, 4, 5]
        assert e.stop() == 0
        store.sql("UPDATE number_register SET number = 8 WHERE number = 5")
        e.settings["accept_behind"] = "true"
        e.start(registers=False)
        assert issue(e) == [9]
        assert e.stop() == 0
        store.sql("UPDATE number_register SET number = 5 WHERE number = 8")
        e.start(registers=False)
        stubs = e.stubs()
        assert findings(e, "--unit", UNITS[0]) == (1, {(6, "MISSING")})
        assert [void(stubs, n).voided for n in (6, 7, 8, 7)] == [1, 2, 3, 3]
        assert findings(e, "--unit", UNITS[0]) == (0, set())
        assert states(stubs)[4:] == [(5, ISSUED), (6, VOIDED), (7, VOIDED), (8, VOIDED),
                                     (9, ISSUED)]
        refused("FAILED_PRECONDITION", void, stubs, 5)
        e.trien("store", "check", "--deep", *store_words(store))
        assert e.stop() == 0
