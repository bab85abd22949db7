"""What cannot be signed now keeps its number and waits, with its reason."""
import datetime
import hashlib
import json
import os
import shutil
import signal

import grpc
import pytest

import harness
import originals
from copying import REGISTER, Paper, certify, copy_case, issue_copy
from parked import damaged
from sample import UNITS, case, send
from test_life import correct, revoke


def held(engine):
    request = harness.modules()["operations"].ListHeldRequest(page_size=200)
    return list(engine.stubs().operations.ListHeld(request, timeout=20).held)


def policy(engine):
    path = engine.data / "certs" / "keys.json"
    return path, json.loads(path.read_text())


@pytest.fixture
def without_officer(engine):
    """The officer's key is not valid any more."""
    path, doc = policy(engine)
    for key in doc["keys"]:
        if key["role"] == "person" and key["unit"] == UNITS[0]:
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    good = path.read_text()
    path.write_text(json.dumps(doc))
    engine.start()
    return engine, path, good


def test_held_then_retried(without_officer):
    engine, path, good = without_officer
    bad = path.read_text()
    stubs = engine.stubs()
    receipts = send(stubs, [case() for _ in range(5)] + [case(unit=UNITS[1])]).receipts
    engine.wait_stored(stubs, [receipts[5].result_id])
    rows = harness.wait_for(lambda: [r for r in [held(engine)] if len(r) == 5])[0]
    assert {r.number_text for r in rows} == {r.number_text for r in receipts[:5]}
    assert all(r.reason and r.message_vi and r.unit == UNITS[0] for r in rows)
    m = harness.modules()
    got = stubs.repository.GetResult(
        m["repository"].GetResultRequest(result_id=receipts[0].result_id), timeout=20)
    assert got.state == 5 and got.held_reason == rows[0].reason
    engine.kill()
    engine.start(registers=False)
    assert len(harness.wait_for(lambda: [r for r in [held(engine)] if len(r) == 5])[0]) == 5
    path.write_text(good)
    engine.hup()
    stubs = engine.stubs()
    sock = f"unix:{engine.data}/engine.sock"
    engine.trien("held", "retry", "--connect", sock)
    stored = engine.wait_stored(stubs, [r.result_id for r in receipts])
    assert held(engine) == []
    for r in receipts[:5]:
        s = stored[r.result_id]
        assert s.number == r.number and s.issue_time == r.issue_time
        assert s.signatures[0].sign_time.ToMilliseconds() > s.issue_time.ToMilliseconds()

    # A copy that waits is not signed any more once its original is not in force, or was corrected
    # by what it does not name; others are.
    gone, corrected, named, good_one = (stored[r.result_id] for r in receipts[:4])
    correct(stubs, named)
    path.write_text(bad)
    engine.hup()
    waiting = [issue_copy(stubs, copy_case(kind=REGISTER), r.result_id)
               for r in (gone, corrected, named, good_one)]
    harness.wait_for(lambda: len(held(engine)) == 4)
    revoke(stubs, gone)
    correct(stubs, corrected)
    engine.kill()
    path.write_text(good)
    engine.start(registers=False)
    stubs = engine.stubs()
    engine.trien("held", "retry", "--connect", sock)
    engine.wait_stored(stubs, [r.result_id for r in waiting[2:]])
    reasons = harness.wait_for(lambda: [x for x in [{h.number_text: h.reason for h in held(engine)}]
                                        if set(x.values()) >= {"COPY_OF_INVALID", "COPY_OUTDATED"}])
    assert reasons == [{waiting[0].number_text: "COPY_OF_INVALID",
                        waiting[1].number_text: "COPY_OUTDATED"}]


@pytest.mark.embedded
def test_an_original_that_is_missing_holds_its_copy_alone(without_officer, tmp_path):
    """Gone between its number and its press; what stands beside it goes on."""
    engine, path, good = without_officer
    stubs = engine.stubs()
    scans = [originals.jpeg(quality=90 + i) for i in range(3)]
    receipts = [certify(stubs, copy_case(), scan) for scan in scans]
    receipts += send(stubs, [case()]).receipts
    harness.wait_for(lambda: len(held(engine)) == 4)
    # A row that cannot be read stops no start; as it may name any original, none is taken away.
    waiting = engine.data / "store/objects/waiting"
    (waiting / ("0" * 64)).write_bytes(b"x")
    engine.kill()
    with damaged(engine, receipts[0].case_code):
        engine.start(registers=False)
        assert f"{receipts[0].case_code}: its row" in engine.log()
        assert len(list(waiting.iterdir())) == 4
        engine.kill()
    engine.start(registers=False)
    stubs = engine.stubs()
    assert len(list(waiting.iterdir())) == 3
    name = hashlib.sha256(scans[1]).hexdigest()
    file, = (engine.data / "store/objects/waiting").glob(f"{name}*")
    kept = file.rename(tmp_path / "kept")
    path.write_text(good)
    engine.hup()
    sock = f"unix:{engine.data}/engine.sock"
    engine.trien("held", "retry", "--connect", sock)
    engine.wait_stored(stubs, [r.result_id for i, r in enumerate(receipts) if i != 1])
    row, = harness.wait_for(lambda: [h for h in held(engine) if h.reason == "OBJECT_MISSING"])
    assert (row.number_text, len(held(engine))) == (receipts[1].number_text, 1)
    # As long as it is gone it is held again.
    looked = engine.log().count("an original is missing")
    assert looked > 0
    engine.trien("held", "retry", "--connect", sock)
    harness.wait_for(lambda: engine.log().count("an original is missing") > looked)
    harness.wait_for(lambda: [h.reason for h in held(engine)] == ["OBJECT_MISSING"])
    shutil.copy(kept, file)
    engine.trien("held", "retry", receipts[1].result_id, "--connect", sock)
    stored = engine.wait_stored(stubs, [receipts[1].result_id])[receipts[1].result_id]
    assert (stored.number, stored.issue_time) == (receipts[1].number, receipts[1].issue_time)
    assert Paper(engine.download(stubs, stored.result_id)[0]).original()[1] == scans[1]
    assert held(engine) == []


def test_held_then_void(without_officer):
    engine, path, good = without_officer
    stubs = engine.stubs()
    c = case()
    r = send(stubs, [c, case()]).receipts[0]
    reason = harness.wait_for(lambda: [h for h in [held(engine)] if len(h) == 2])[0][0].reason
    sock = f"unix:{engine.data}/engine.sock"
    assert engine.trien("held", "void", r.result_id, "--connect", sock, check=False).returncode == 2
    # Whoever acts on it, or downloads it, is told where it is.
    paper = ("--number", "1/QĐ", "--date", "2026-11-01", "--ground", "x", "--actor", "y")
    for act in (("revoke", r.result_id, *paper), ("history", r.result_id)):
        done = engine.trien(*act, "--connect", sock, check=False)
        assert done.returncode and "not in the store: it is held (trien held list)" in done.stderr
    engine.trien("held", "void", r.result_id, "--reason", "Cấp nhầm", "--connect", sock)
    assert [h.number for h in held(engine)] == [2]
    again = send(stubs, [c]).receipts[0]
    assert again.duplicate and again.state == 10 and again.number == 1
    check_void(engine, r, reason)
    row = next(x for x in engine.registers() if x.unit == UNITS[0] and x.code == "XNTTHN")
    assert (row.voided, row.next) == (1, 3)
    engine.kill()
    engine.start(registers=False)
    again = send(engine.stubs(), [c]).receipts[0]
    assert again.state == 10
    check_void(engine, r, reason)
    path.write_text(good)
    engine.hup()
    engine.trien("held", "retry", "--connect", sock)
    harness.wait_for(lambda: held(engine) == [])
    listing = engine.trien("held", "list", "--connect", sock, "--json")
    assert json.loads(listing.stdout or "[]") in ([], {"held": []})


def check_void(engine, receipt, reason):
    """Whoever asks after a voided result learns its end; a watch on it ends."""
    stubs = engine.stubs()
    m = harness.modules()
    get = m["repository"].GetResultRequest(result_id=receipt.result_id)
    got = stubs.repository.GetResult(get, timeout=20)
    assert (got.state, got.held_reason, got.void_reason) == (10, reason, "Cấp nhầm")
    assert (got.unit, got.kind, got.ordinal) == (receipt.unit, receipt.kind, receipt.ordinal)
    assert (got.number, got.number_text) == (receipt.number, receipt.number_text)
    assert got.register == "XNTTHN" and got.register_year > 2000
    assert (got.result_id, got.sequence) == (receipt.result_id, receipt.sequence)
    assert (got.accept_time, got.issue_time) == (receipt.accept_time, receipt.issue_time)
    assert got.void_time.ToMilliseconds() >= got.accept_time.ToMilliseconds()
    assert not got.HasField("store_time") and not got.file_size
    several = stubs.repository.BatchGetResults(
        m["repository"].BatchGetResultsRequest(result_ids=[receipt.result_id]), timeout=20)
    assert several.results[0] == got and not several.missing_ids
    with pytest.raises(grpc.RpcError) as e:
        engine.download(stubs, receipt.result_id)
    assert harness.details(e.value)["reason"] == "RESULT_NOT_STORED"
    watch = m["issuance"].WatchResultsRequest
    case_name = m["issuance"].CaseName(unit=receipt.unit, code=receipt.case_code)
    for what in (watch(result_ids=[receipt.result_id]), watch(cases=[case_name])):
        changes = list(stubs.issuance.WatchResults(what, timeout=20))
        assert [(c.result_id, c.state, c.held_reason, c.number_text) for c in changes] == \
            [(receipt.result_id, 10, reason, receipt.number_text)]
        assert changes[0].change_time == got.void_time


def test_a_stale_revocation_list_holds(engine):
    engine.settings["crl_hours_max"] = "1"
    for crl in (engine.data / "certs").glob("*.crl"):
        crl.unlink()
    engine.start(ready=False)
    harness.wait_for(lambda: "ready on" in engine.log() or engine.process.poll() is not None, 30)
    assert engine.process.poll() is None, engine.log()
    engine.open_registers()
    stubs = engine.stubs()
    send(stubs, [case()])
    harness.wait_for(lambda: [h.reason for h in held(engine)] == ["CRL_STALE"])


def test_a_dead_signer_comes_back_and_nothing_is_held(engine):
    engine.start()
    stubs = engine.stubs()
    receipts = []
    for _ in range(5):
        receipts += send(stubs, [case() for _ in range(60)]).receipts
        old = engine.children()["signer"]
        os.kill(old, signal.SIGKILL)
        harness.wait_for(lambda: engine.children().get("signer", old) != old, 20)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    assert held(engine) == []
