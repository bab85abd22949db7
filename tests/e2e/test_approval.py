"""Cases of kinds that are numbered at their approval: they wait without a number, and end so, or
are confirmed by their signer and get number and date then."""
import datetime
import json
import os
import shutil
import signal

import grpc
import pytest

import harness
from sample import KIND, SIGNER, UNITS, case, send
from test_mirror import Pair

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
    receipts = []
    while len(receipts) < n:
        answer = send(stubs, [case(unit=unit) for _ in range(min(n - len(receipts), 300))])
        assert not answer.rejects, answer.rejects
        receipts += answer.receipts
    return receipts


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


def fails(code, call, *args):
    with pytest.raises(grpc.RpcError) as e:
        call(*args, timeout=20)
    assert e.value.code() == code, e.value
    return e.value


def refuse(stubs, rid, reason="thiếu giấy tờ"):
    m = harness.modules()["signing"]
    return stubs.signing.RefuseWaiting(m.RefuseWaitingRequest(result_id=rid, reason=reason),
                                       timeout=20)


def withdraw(stubs, rid, reason="người dân rút hồ sơ"):
    m = harness.modules()["issuance"]
    return stubs.issuance.WithdrawResult(m.WithdrawResultRequest(result_id=rid, reason=reason),
                                         timeout=20)


def states(stubs, receipts):
    return [result(stubs, r.result_id).state for r in receipts]


def watched(stubs, receipts):
    """The end that WatchResults tells of each."""
    m = harness.modules()["issuance"]
    last = {}
    for change in stubs.issuance.WatchResults(m.WatchResultsRequest(
            result_ids=[r.result_id for r in receipts]), timeout=30):
        last[change.result_id] = change.state
    return [last[r.result_id] for r in receipts]


def test_sent_back_or_withdrawn_it_ends_without_a_number_and_says_so_for_ever(office):
    stubs = office.stubs()
    cases = [case() for _ in range(3)]
    receipts = send(stubs, cases).receipts
    waits(stubs, receipts)
    refuse(stubs, receipts[0].result_id)
    withdraw(stubs, receipts[1].result_id)
    m = harness.modules()
    for again in range(3):
        assert states(stubs, receipts) == [REFUSED, WITHDRAWN, AWAITING]
        got = [result(stubs, r.result_id) for r in receipts[:2]]
        assert [r.void_reason for r in got] == ["thiếu giấy tờ", "người dân rút hồ sơ"]
        assert not any(r.number or r.number_text or r.HasField("issue_time") for r in got)
        assert watched(stubs, receipts[:2]) == [REFUSED, WITHDRAWN]
        # The same case again: its receipt, with the state of today. Other content: refused.
        repeated = send(stubs, cases).receipts
        assert [r.result_id for r in repeated] == [r.result_id for r in receipts]
        assert [r.state for r in repeated] == [REFUSED, WITHDRAWN, AWAITING]
        other = m["case"].Case()
        other.CopyFrom(cases[0])
        other.holders[0].name = "Trần Thị Bích Ngà"
        assert send(stubs, [other]).rejects[0].reason == "CASE_CONTENT_CONFLICT"
        for r in receipts[:2]:
            for act in (refuse, withdraw):
                with pytest.raises(grpc.RpcError):
                    act(stubs, r.result_id)
        for r, why in zip(receipts, ("its signer refused it, it never will be",
                                     "it was withdrawn, it never will be",
                                     "it waits for its signer (trien sign list)")):
            failed = fails(grpc.StatusCode.FAILED_PRECONDITION, stubs.repository.ListEvents,
                           m["repository"].ListEventsRequest(result_id=r.result_id))
            assert failed.details() == f"the result is not in the store: {why}"
        if again == 0:
            assert office.stop() == 0
            office.start()
        elif again == 1:
            office.kill()
            office.start()
        stubs = office.stubs()
    confirm(stubs, [receipts[2].result_id])
    assert office.wait_stored(stubs, [receipts[2].result_id])[receipts[2].result_id].number == 1
    with pytest.raises(grpc.RpcError):
        withdraw(stubs, receipts[2].result_id)
    assert (number(office).given, number(office).voided) == (1, 0)


def test_a_list_is_by_time_of_issue(office):
    """Not by that of acceptance, which is what pages go by."""
    stubs, m = office.stubs(), harness.modules()["repository"]
    number = "001099000931"
    ids = [r.result_id for r in send(stubs, [case(number=number) for _ in range(3)]).receipts]
    waits(stubs, [result(stubs, i) for i in ids])
    for i in (1, 2, 0):
        confirm(stubs, [ids[i]])
        office.wait_stored(stubs, [ids[i]])

    def listed(size, token=""):
        page = stubs.repository.ListResults(m.ListResultsRequest(
            id_kind=1, number=number, page_size=size, page_token=token), timeout=20)
        return [h.result.result_id for h in page.holdings], page.next_page_token

    assert listed(50) == ([ids[0], ids[2], ids[1]], "")
    first, token = listed(2)
    assert (first, listed(2, token)) == ([ids[2], ids[1]], ([ids[0]], ""))


def test_a_register_that_is_not_open_leaves_it_waiting_and_leaves_no_gap(tmp_path):
    with harness.Engine(tmp_path / "e", schemas=awaiting_schemas(tmp_path / "s")) as e:
        e.prepare().start(registers=False)
        stubs = e.stubs()
        receipts = submit(stubs, 2)
        waits(stubs, receipts)
        confirm(stubs, [r.result_id for r in receipts])
        assert states(stubs, receipts) == [AWAITING, AWAITING]
        e.open_registers(first=7)
        confirm(stubs, [r.result_id for r in reversed(receipts)])
        stored = e.wait_stored(stubs, [r.result_id for r in receipts])
        assert [stored[r.result_id].number for r in receipts] == [8, 7]


def test_who_submitted_a_draft_does_not_approve_it(tmp_path):
    schemas = awaiting_schemas(tmp_path / "schemas", own_draft=False)
    with harness.Engine(tmp_path / "e", schemas=schemas) as e:
        e.prepare().start()
        stubs = e.stubs()
        receipts = submit(stubs, 1)
        waits(stubs, receipts)
        confirm(stubs, [receipts[0].result_id])
        assert states(stubs, receipts) == [AWAITING]


DRAFT = f"{KIND}-du-thao"


@pytest.fixture
def mixed(tmp_path):
    """Two kinds of the same form: one is numbered at once, the other at its approval."""
    shutil.copytree(harness.ROOT / "schemas", tmp_path / "schemas")
    folder = tmp_path / "schemas" / "results"
    doc = json.loads((folder / f"{KIND}.json").read_text())
    doc["code"] = DRAFT
    for version in doc["versions"]:
        version["numbered"] = "at_approval"
        version["approval"] = {"own_draft": True}
        version["number"]["register"] = "DUTHAO"
    (folder / f"{DRAFT}.json").write_text(json.dumps(doc, ensure_ascii=False))
    e = harness.Engine(tmp_path / "e", schemas=tmp_path / "schemas")
    e.prepare().start()
    yield e
    e.kill()


def with_draft(c):
    c.results.add().CopyFrom(c.results[0])
    c.results[0 if int(c.code[-1]) % 2 else 1].kind = DRAFT
    return c


def test_a_case_of_both_kinds(mixed):
    stubs = mixed.stubs()
    cases = [with_draft(case()) for _ in range(40)]
    answer = send(stubs, cases)
    assert not answer.rejects
    at_once = [r for r in answer.receipts if r.state == NUMBERED]
    drafts = [r for r in answer.receipts if r.state == AWAITING]
    assert len(at_once) == len(drafts) == 40
    assert sorted(int(r.number_text.split("/")[0]) for r in at_once) == list(range(1, 41))
    mixed.kill()
    mixed.start()
    stubs = mixed.stubs()
    mixed.wait_stored(stubs, [r.result_id for r in at_once])
    waits(stubs, drafts)
    confirm(stubs, [r.result_id for r in reversed(drafts)])
    stored = mixed.wait_stored(stubs, [r.result_id for r in drafts])
    assert [stored[r.result_id].number for r in reversed(drafts)] == list(range(1, 41))
    # What was answered once is answered again, with number and date of the approval.
    for a, b in zip(answer.receipts, send(stubs, cases).receipts):
        assert a.result_id == b.result_id and b.state == STORED
        if a.state == AWAITING:
            s = stored[a.result_id]
            assert (b.number_text, b.issue_time) == (s.number_text, s.issue_time)
        else:
            assert (a.number_text, a.issue_time) == (b.number_text, b.issue_time)


# ---- kill -9 in each waiting state ----

def check_numbers(engine, stubs, in_order, first=1):
    """All of them stored, numbered in this order without a gap; time rises with the number."""
    stored = engine.wait_stored(stubs, in_order)
    rows = [stored[rid] for rid in in_order]
    assert [r.number for r in rows] == list(range(first, first + len(rows)))
    times = [r.issue_time.ToNanoseconds() for r in rows]
    assert times == sorted(times)
    assert len({r.number_text for r in rows}) == len(rows)
    return rows


def test_killed_before_it_is_in_the_waiting_room(office):
    stubs = office.stubs()
    receipts = submit(stubs, 300)
    for _ in range(3):
        office.kill()
        office.start()
    stubs = office.stubs()
    waits(stubs, receipts)
    ids = [r.result_id for r in receipts]
    confirm(stubs, ids)
    check_numbers(office, stubs, ids)


def test_killed_while_it_waits(office):
    stubs = office.stubs()
    receipts = submit(stubs, 20)
    waits(stubs, receipts)
    office.kill()
    office.start()
    stubs = office.stubs()
    assert states(stubs, receipts) == [AWAITING] * 20
    ids = [r.result_id for r in receipts[::-1]]
    confirm(stubs, ids)
    check_numbers(office, stubs, ids)


def test_killed_between_confirmation_and_numbers(office):
    stubs = office.stubs()
    receipts = submit(stubs, 400)
    waits(stubs, receipts)
    ids = [r.result_id for r in receipts]
    for part in (ids[200:], ids[:200]):
        confirm(stubs, part)
        office.kill()
        office.start()
        stubs = office.stubs()
    check_numbers(office, stubs, ids[200:] + ids[:200])


def test_killed_between_numbers_and_store(office):
    stubs = office.stubs()
    receipts = submit(stubs, 150)
    waits(stubs, receipts)
    ids = [r.result_id for r in receipts]
    os.kill(office.children()["signer"], signal.SIGSTOP)
    confirm(stubs, ids)
    harness.wait_for(lambda: number(office).given == 150)
    assert set(states(stubs, receipts)) == {NUMBERED}
    shown = {r.result_id: result(stubs, r.result_id).number_text for r in receipts}
    office.kill()
    office.start()
    stubs = office.stubs()
    for row in check_numbers(office, stubs, ids):
        assert row.number_text == shown[row.result_id]


def test_killed_at_an_end(office):
    stubs = office.stubs()
    receipts = submit(stubs, 60)
    waits(stubs, receipts)
    m = harness.modules()
    calls = []
    for i, r in enumerate(receipts[:40]):
        if i % 2:
            calls.append(stubs.signing.RefuseWaiting.future(m["signing"].RefuseWaitingRequest(
                result_id=r.result_id, reason="thiếu"), timeout=20))
        else:
            calls.append(stubs.issuance.WithdrawResult.future(m["issuance"].WithdrawResultRequest(
                result_id=r.result_id, reason="rút"), timeout=20))
    harness.wait_for(lambda: sum(c.done() for c in calls) >= 5, every=0.001)
    office.kill()
    answered = [c.done() and c.exception() is None for c in calls]
    office.start()
    stubs = office.stubs()
    now = states(stubs, receipts)
    assert now[40:] == [AWAITING] * 20
    for i in range(40):
        end = REFUSED if i % 2 else WITHDRAWN
        assert now[i] in ((end,) if answered[i] else (end, AWAITING))
    left = [r.result_id for r, state in zip(receipts, now) if state == AWAITING]
    confirm(stubs, left)
    check_numbers(office, stubs, left)
    for r, state in zip(receipts, now):
        if state != AWAITING:
            assert result(stubs, r.result_id).state == state


# ---- the mirror ----

@pytest.mark.embedded
def test_taken_over_in_every_state(tmp_path):
    """Parked, ended, confirmed with and without number, stored: the mirror's folder goes on."""
    schemas = awaiting_schemas(tmp_path / "schemas")
    p = Pair(tmp_path, schemas=schemas)
    try:
        p.engine.start()
        stubs = p.engine.stubs()
        receipts = submit(stubs, 260)
        waits(stubs, receipts)
        ids = [r.result_id for r in receipts]
        confirm(stubs, ids[:5])
        p.engine.wait_stored(stubs, ids[:5])
        refuse(stubs, ids[10])
        withdraw(stubs, ids[11])
        unparked = submit(stubs, 100)
        confirm(stubs, ids[20:250])
        p.engine.kill()
        p.mirror.kill()
        p.take_over()
        second = p.go_on(start=False)
        second.schemas = schemas
        second.start(registers=False)
        stubs = second.stubs()
        check_numbers(second, stubs, ids[:5] + ids[20:250])
        assert states(stubs, receipts[10:12]) == [REFUSED, WITHDRAWN]
        waits(stubs, receipts[12:20] + receipts[250:] + unparked)
        left = ids[5:10] + ids[12:20] + ids[250:] + [r.result_id for r in unparked]
        confirm(stubs, left)
        check_numbers(second, stubs, left, first=236)
    finally:
        p.close()
