"""Cases of kinds that are numbered at their approval: they wait without a number, and end so, or
are confirmed by their signer and get number and date then."""
import datetime
import json
import shutil

import grpc
import pytest

import harness
from sample import KIND, SIGNER, UNITS, case, send

ACCEPTED, AWAITING, NUMBERED, HELD, STORED, REFUSED, WITHDRAWN, TIMED_OUT, VOID = \
    1, 2, 3, 5, 6, 7, 8, 9, 10


def awaiting_schemas(folder, own_draft=True, **approval):
    """The shipped kinds, of which one waits for approval."""
    shutil.copytree(harness.ROOT / "schemas", folder)
    path = folder / "results" / f"{KIND}.json"
    doc = json.loads(path.read_text())
    for version in doc["versions"]:
        version["numbered"] = "at_approval"
        version["approval"] = {"own_draft": own_draft, **approval}
    path.write_text(json.dumps(doc, ensure_ascii=False))
    return folder


@pytest.fixture
def office(tmp_path):
    e = harness.Engine(tmp_path / "e", schemas=awaiting_schemas(tmp_path / "schemas"))
    e.prepare().start()
    yield e
    e.kill()


def result(stubs, rid):
    m = harness.modules()["repository"]
    return stubs.repository.GetResult(m.GetResultRequest(result_id=rid), timeout=20)


def waits(stubs, receipts, unit=UNITS[0]):
    """They are listed as waiting."""
    m = harness.modules()["signing"]

    def listed():
        rows, token = [], ""
        while True:
            page = stubs.signing.ListWaiting(m.ListWaitingRequest(
                signer=SIGNER[unit], page_size=200, page_token=token), timeout=20)
            rows += page.waiting
            token = page.next_page_token
            if not token:
                return {r.result_id for r in rows} >= {r.result_id for r in receipts}

    harness.wait_for(listed)


def confirm(stubs, ids, unit=UNITS[0]):
    m = harness.modules()["signing"]
    s = stubs.signing.OpenSession(m.OpenSessionRequest(signer=SIGNER[unit], result_ids=ids),
                                  timeout=60)
    return stubs.signing.ConfirmSession(m.ConfirmSessionRequest(
        session_id=s.session_id, manifest_sha256=s.manifest_sha256), timeout=60)


def submit(stubs, n, unit=UNITS[0]):
    answer = send(stubs, [case(unit=unit) for _ in range(n)])
    assert not answer.rejects, answer.rejects
    return list(answer.receipts)


def number(engine, code="XNTTHN", unit=UNITS[0]):
    return next(r for r in engine.registers() if r.unit == unit and r.code == code)


def test_waits_without_a_number_then_gets_number_and_date(office):
    stubs = office.stubs()
    receipts = submit(stubs, 3)
    assert all(r.state == AWAITING and not r.number_text and not r.HasField("issue_time")
               for r in receipts)
    waits(stubs, receipts)
    assert office.registers() and all(r.given == 0 for r in office.registers())
    got = result(stubs, receipts[0].result_id)
    assert got.state == AWAITING and not got.number_text
    before = datetime.datetime.now(datetime.timezone.utc)
    confirm(stubs, [receipts[2].result_id, receipts[0].result_id])
    stored = office.wait_stored(stubs, [receipts[2].result_id, receipts[0].result_id])
    first, second = stored[receipts[2].result_id], stored[receipts[0].result_id]
    assert (first.number, second.number) == (1, 2)
    for s in (first, second):
        issued = s.issue_time.ToDatetime(datetime.timezone.utc)
        assert issued >= before and s.accept_time.ToDatetime(datetime.timezone.utc) < before
    assert result(stubs, receipts[1].result_id).state == AWAITING
