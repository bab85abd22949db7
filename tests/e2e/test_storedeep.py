"""`trien store check --deep`: whether all that lies on PostgreSQL is whole, as an operator asks."""
import json
import subprocess
import threading
import time

import pytest

import harness
import postgres
from sample import UNITS, case, send

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())


def deep(*words, code=0):
    done = subprocess.run([str(harness.TRIEN), "store", "check", "--deep", *words],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def told(*words, code=0):
    return json.loads(deep(*words, "--json", code=code).stdout)


def as_user(store, name):
    return [c.replace("user=trien", f"user={name}") for c in store.conninfos]


@pytest.fixture(params=[1, 4])
def store(request):
    s = postgres.Store(servers=request.param)
    s.init()
    yield s
    s.remove()


def results_of(engine, n):
    """Of two agencies, one of two holders; one with a holder added."""
    stubs, m = engine.stubs(), harness.modules()
    cases = [case(number=f"0010990{i:05d}", unit=UNITS[i % 2]) for i in range(n)]
    cases[0].holders.add(id_kind=1, number="001099900001", name="Hai", role=2)
    ids = [r.result_id for r in send(stubs, cases).receipts]
    engine.wait_stored(stubs, ids)
    issuance = m["issuance"]
    stubs.issuance.LinkHolder(issuance.LinkHolderRequest(
        result_id=ids[3], reason="test",
        holder=m["case"].Holder(id_kind=1, number="001099900002", name="Ba", role=3)), timeout=20)
    return ids


def test_whole_and_then_not(tmp_path, store):
    with harness.Engine(tmp_path, **store.settings()) as engine:
        engine.prepare().start()
        results_of(engine, 60)
        assert engine.stop() == 0
    row = told(*store.conninfos)
    assert (row["faults"], row["open"], row["lines"]) == (0, 0, [])
    assert row["rows"]["results"] == row["rows"]["numbers"] == row["rows"]["locators"] == 60
    assert row["rows"]["holdings"] == 62 and row["rows"]["events"] == 1
    assert row["files"] and row["counters"] and row["file_bytes"] > 60 * 10000
    assert "all as it should be" in deep(*store.conninfos).stdout
    # The servers of a data folder.
    conf = tmp_path / "other"
    conf.mkdir()
    (conf / "trien.conf").write_text("store = postgres\npostgres = {%s}\n" %
                                     ", ".join(f'"{c}"' for c in store.conninfos))
    assert told("--data", str(conf)) == row
    server = next(i for i in range(len(store.names))
                  if store.sql("SELECT count(*) FROM result", i)[0][0] != "0")
    store.sql("UPDATE result SET body = set_byte(body, 99, get_byte(body, 99) # 1)", server)
    damaged = int(store.sql("SELECT count(*) FROM result", server)[0][0])
    out = deep(*store.conninfos, "--lines", "2", code=65).stdout
    assert out.count("the file does not match its digest") == 2
    assert f"DAMAGED: {damaged} faults" in out and f"and {damaged - 2} more" in out
    row = told(*store.conninfos, code=65)
    assert row["faults"] == len(row["lines"]) == damaged
    assert {line["kind"] for line in row["lines"]} == {"fault"}
    assert "Trần" not in out and "00109" not in out


def test_while_results_come(tmp_path, store):
    """What is on its way is no fault: rows of one result come one after the other."""
    with harness.Engine(tmp_path, **store.settings()) as engine:
        engine.prepare().start()
        stubs, ids, stop = engine.stubs(), [], threading.Event()

        def feed():
            while not stop.is_set():
                answer = send(stubs, [case(number=f"0010990{i:05d}") for i in range(20)])
                ids.extend(r.result_id for r in answer.receipts)
                time.sleep(0.05)

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            harness.wait_for(lambda: store.count("result") > 200)
            rows = [told(*store.conninfos) for _ in range(2)]
        finally:
            stop.set()
            feeder.join(60)
        assert not feeder.is_alive()
        assert rows[1]["rows"]["results"] > rows[0]["rows"]["results"] > 0
        engine.wait_stored(stubs, ids)
        assert told(*store.conninfos)["rows"]["results"] == len(ids)


def test_who_may_look(tmp_path, store):
    with harness.Engine(tmp_path, **store.settings()) as engine:
        engine.prepare().start()
        results_of(engine, 20)
        assert engine.stop() == 0
    for i in range(len(store.names)):
        store.sql("DROP ROLE IF EXISTS looker; CREATE ROLE looker LOGIN" if i == 0 else
                  "SELECT 1", i)
    none = deep(*as_user(store, "looker"), code=78)
    assert "GRANT trien_" in none.stderr
    store.sql("GRANT trien_auditor TO looker")
    row = told(*as_user(store, "looker"), code=3)
    assert (row["faults"], row["files"], row["counters"]) == (0, False, True)
    assert row["rows"]["numbers"] == 20 and row["rows"]["holdings"] == 0
    assert "not looked at: files" in deep(*as_user(store, "looker"), code=3).stdout
    store.sql("REVOKE trien_auditor FROM looker; GRANT trien_reader TO looker")
    row = told(*as_user(store, "looker"))
    assert (row["faults"], row["files"], row["counters"]) == (0, True, True)
    assert row["rows"]["holdings"] == 22
    store.sql("GRANT trien_auditor TO looker")
    row = told(*as_user(store, "looker"))
    assert row["files"] and row["counters"]
    for i in range(len(store.names)):
        store.sql("DELETE FROM number_register WHERE number = 3", i)
    # An auditor sees the gaps of both registers, others also whose numbers they were.
    row = told(*as_user(store, "looker"), code=65)
    assert (row["faults"], row["open"]) == (2, 2)
    store.sql("REVOKE trien_reader FROM looker")
    row = told(*as_user(store, "looker"), code=3)
    assert (row["faults"], row["open"]) == (0, 2)
    assert {line["kind"] for line in row["lines"]} == {"open"}
    store.sql("REVOKE trien_auditor FROM looker; DROP ROLE looker")


def test_wrong_words_and_a_server_that_is_away(tmp_path):
    away = deep(f"host={tmp_path} dbname=none", code=75)
    assert "server 1" in away.stderr
    deep(code=2)
    deep(f"host={tmp_path}", "--lines", "many", code=2)
    deep(f"host={tmp_path}", "--lines", code=2)
    init = subprocess.run([str(harness.TRIEN), "store", "init", "--deep", f"host={tmp_path}"],
                          capture_output=True, text=True, timeout=60)
    assert init.returncode == 2 and "--deep is for check" in init.stderr
