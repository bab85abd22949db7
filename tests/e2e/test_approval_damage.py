"""Confirmed results that cannot be numbered as they are: others do not wait for them."""
import contextlib
import json
import os
import signal

import grpc
import pytest

import harness
from parked import damaged
from sample import KIND, SIGNER, UNITS, case, send
from test_approval import (AWAITING, DRAFT, awaiting_schemas, check_numbers, confirm, number,
                           result, states, submit, waits)

FIRST = 700         # more than two full batches and their backlog take while nothing is signed


def mended(path, change):
    doc = json.loads(path.read_text())
    for version in doc["versions"]:
        change(version)
    path.write_text(json.dumps(doc, ensure_ascii=False))


@pytest.fixture
def two_kinds(tmp_path):
    """Both are numbered at their approval, each in a register of its own."""
    schemas = awaiting_schemas(tmp_path / "schemas")
    doc = json.loads((schemas / "results" / f"{KIND}.json").read_text())
    doc["code"] = DRAFT
    for version in doc["versions"]:
        version["number"]["register"] = "DUTHAO"
    (schemas / "results" / f"{DRAFT}.json").write_text(json.dumps(doc, ensure_ascii=False))
    e = harness.Engine(tmp_path / "e", schemas=schemas, journal_slots="4", batches="2")
    e.prepare().start()
    yield e
    e.kill()


def draft():
    c = case()
    c.results[0].kind = DRAFT
    return c


def close(engine, stubs, code):
    m = harness.modules()["operations"]
    return stubs.operations.CloseRegister(m.CloseRegisterRequest(
        unit=UNITS[0], code=code, year=number(engine).year, reason="thử"), timeout=20)


def closed(engine, stubs, code):
    """False: it is to be called again."""
    try:
        close(engine, stubs, code)
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.UNAVAILABLE, e
        return False
    return True


def drop_version(engine):
    """The version that the drafts were accepted with is nowhere any more. Its bytes."""
    mended(engine.schemas / "results" / f"{DRAFT}.json",
           lambda v: v["name"].update(vi=v["name"]["vi"] + " (sửa)"))
    gone = [p for p in (engine.data / "catalogue").glob("*.json") if DRAFT in p.read_text()]
    assert len(gone) == 1
    kept = gone[0].read_bytes()
    gone[0].unlink()
    return gone[0], kept


def test_what_lost_its_version_after_its_confirmation_stops_nobody(two_kinds):
    e = two_kinds
    stubs = e.stubs()
    first = [r.result_id for r in submit(stubs, FIRST)]
    second = submit(stubs, 6)
    cases = [draft() for _ in range(3)]
    drafts = list(send(stubs, cases).receipts)
    waits(stubs, second + drafts)
    lost, good = [r.result_id for r in drafts], [r.result_id for r in second]
    os.kill(e.children()["signer"], signal.SIGSTOP)
    confirm(stubs, first)
    confirm(stubs, [lost[0], good[0], lost[1], good[1], lost[2]])
    confirm(stubs, good[2:])
    assert number(e).given < FIRST, "nothing of the second confirmation is numbered yet"
    e.kill()
    path, version = drop_version(e)
    broken = contextlib.ExitStack()
    broken.enter_context(damaged(e, cases[1].code))
    for _ in range(3):
        e.start(registers=False)
        stubs = e.stubs()
        check_numbers(e, stubs, first + good)
        assert states(stubs, drafts) == [AWAITING] * 3
        harness.wait_for(lambda: e.log().count("cannot be numbered") == 3)
        assert e.log().count(f"{cases[1].code}: its row") == 1
        # No register that they will need is closed before; others are.
        with pytest.raises(grpc.RpcError) as refused:
            close(e, stubs, "DUTHAO")
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE, refused.value
        e.kill()
    e.start(registers=False)
    stubs = e.stubs()
    harness.wait_for(lambda: e.log().count("cannot be numbered") == 3)
    # The confirmation may stand in the journal more than once: all are looked at first.
    harness.wait_for(lambda: closed(e, stubs, "XNTTHN"))
    path.write_bytes(version)
    broken.close()
    check_numbers(e, stubs, lost)
    assert e.log().count("cannot be numbered") == 3, "said once of each"
    harness.wait_for(lambda: closed(e, stubs, "DUTHAO"))
    assert e.stop() == 0


def test_the_journal_does_not_fill_for_what_cannot_be_numbered(two_kinds):
    e = two_kinds
    stubs = e.stubs()
    drafts = list(send(stubs, [draft() for _ in range(3)]).receipts)
    first = submit(stubs, FIRST)
    waits(stubs, drafts + first)
    os.kill(e.children()["signer"], signal.SIGSTOP)
    confirm(stubs, [r.result_id for r in first])
    confirm(stubs, [r.result_id for r in drafts])
    e.kill()
    path, version = drop_version(e)
    e.start(registers=False)
    stubs = e.stubs()
    e.wait_stored(stubs, [r.result_id for r in first])
    # Nobody is refused, and what lies behind is released again and again.
    for _ in range(30):
        waits(stubs, submit(stubs, 1000))
    assert e.log().count("released up to") > 6
    path.write_bytes(version)
    check_numbers(e, stubs, [r.result_id for r in drafts])


def test_what_the_disk_does_not_give_is_not_confirmed_and_holds_nobody_up(tmp_path):
    schemas = awaiting_schemas(tmp_path / "schemas")
    with harness.Engine(tmp_path / "e", schemas=schemas) as e:
        e.prepare().start()
        stubs, m = e.stubs(), harness.modules()["signing"]
        receipts = submit(stubs, 2)
        waits(stubs, receipts)
        ids = [r.result_id for r in receipts]
        s = stubs.signing.OpenSession(m.OpenSessionRequest(signer=SIGNER[UNITS[0]],
                                                           result_ids=ids), timeout=20)
        segment, = (e.data / "waiting").glob("*.seg")
        away = segment.rename(segment.with_suffix(".away"))
        segment.mkdir()         # reading it fails as reading a broken disk does
        s = stubs.signing.ConfirmSession(m.ConfirmSessionRequest(
            session_id=s.session_id, manifest_sha256=s.manifest_sha256), timeout=20)
        assert s.approved == 0 and s.state == m.SESSION_DONE
        segment.rmdir()
        away.rename(segment)
        confirm(stubs, ids)
        check_numbers(e, stubs, ids)


def test_a_number_that_became_too_long_is_not_confirmed(tmp_path):
    schemas = awaiting_schemas(tmp_path / "schemas")
    with harness.Engine(tmp_path / "e", schemas=schemas) as e:
        e.prepare().start()
        stubs = e.stubs()
        receipts = submit(stubs, 3)
        other = submit(stubs, 1, unit=UNITS[1])
        waits(stubs, receipts)
        waits(stubs, other, unit=UNITS[1])
        kept = {p: p.read_text() for part in ("agencies", "results")
                for p in (schemas / part).glob("*.json")}
        # Short forms let a long notation in; the drafts have the form of their acceptance.
        for path in (schemas / "results").glob("*.json"):
            mended(path, lambda v: v["number"].update(form="{n}/{unit}"))
        mended(schemas / "agencies" / f"{UNITS[0]}.json", lambda v: v.update(notation="U" * 30))
        e.hup()
        assert "were read again" in e.log(), e.log()
        confirm(stubs, [r.result_id for r in receipts])
        confirm(stubs, [other[0].result_id], unit=UNITS[1])
        e.wait_stored(stubs, [other[0].result_id])
        assert states(stubs, receipts) == [AWAITING] * 3
        assert e.log().count("cannot be confirmed: FIELD_TOO_LONG") == 3, e.log()
        for path, text in kept.items():
            path.write_text(text)
        e.hup()
        # They were not decided: their signer confirms them now.
        ids = [r.result_id for r in receipts]
        confirm(stubs, ids)
        check_numbers(e, stubs, ids)
        assert result(stubs, ids[0]).number_text.endswith("UBND")
