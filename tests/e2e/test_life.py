"""The life of a stored result: corrected, replaced, revoked; hidden and restricted; its history."""
import contextlib
import datetime
import json
import shutil
import subprocess

import grpc
import pytest

import harness
import postgres
from harness import UNITS, caller
from outage import engine_on, status
from sample import case, over, send, takes_over

VALID, CORRECTED, REPLACED, REVOKED, EXPIRED = 1, 2, 3, 4, 5
HIDDEN_BY_HOLDER, SHOWN_BY_HOLDER, RESTRICTED_FOR_ALL, RELEASED = 7, 8, 9, 10      # Event.Kind
SHOWN, HIDDEN, RESTRICTED = 1, 2, 3                             # SetVisibilityRequest.Visibility
OLD, NEW = UNITS[1], UNITS[0]                                   # NEW takes over from OLD
ALL = ["submit", "read", "portal", "audit", "registry"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One engine for all that do not disturb it; one of its agencies succeeds the other."""
    folder = tmp_path_factory.mktemp("life")
    shutil.copytree(harness.ROOT / "schemas", folder / "schemas")
    takes_over(folder / "schemas", NEW, OLD)
    e = harness.Engine(folder, schemas=folder / "schemas")
    e.prepare().start()
    yield e
    assert e.stop() == 0, e.log()


def today():
    """In Vietnam; a paper is not older than the result that it is about."""
    return datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).date()


def decision(number="45/QĐ-UBND", day=None, ground="Cấp sai đối tượng", actor="vt.lan", **kw):
    m = harness.modules()
    day = day or today().timetuple()
    return m["issuance"].Decision(number=number, ground=ground, actor=actor,
                                  date=m["case"].Date(year=day[0], month=day[1], day=day[2]), **kw)


def get(stubs, result_id):
    m = harness.modules()["repository"]
    return stubs.repository.GetResult(m.GetResultRequest(result_id=result_id), timeout=20)


def events(stubs, result_id, page_size=0):
    m = harness.modules()["repository"]
    out, token = [], ""
    while True:
        page = stubs.repository.ListEvents(m.ListEventsRequest(
            result_id=result_id, page_size=page_size, page_token=token), timeout=20)
        out += page.events
        token = page.next_page_token
        if not token:
            return out


def revoke(stubs, r, etag=None, **kw):
    m = harness.modules()["issuance"]
    return stubs.issuance.RevokeResult(m.RevokeResultRequest(
        result_id=r.result_id, etag=r.etag if etag is None else etag, decision=decision(**kw)),
        timeout=20)


def correct(stubs, r, etag=None, paper_result_id="", **kw):
    m = harness.modules()["issuance"]
    return stubs.issuance.CorrectResult(m.CorrectResultRequest(
        result_id=r.result_id, etag=r.etag if etag is None else etag,
        paper=decision(**{"number": "12/ĐC-UBND", **kw}), paper_result_id=paper_result_id),
        timeout=20)


def show(stubs, r, visibility, number=None, etag=None, **kw):
    m = harness.modules()
    q = m["issuance"].SetVisibilityRequest(
        result_id=r.result_id, etag=r.etag if etag is None else etag, visibility=visibility)
    if number:
        q.holder.CopyFrom(m["case"].Holder(id_kind=1, number=number))
    else:
        q.decision.CopyFrom(decision(**kw))
    return stubs.issuance.SetVisibility(q, timeout=20)


def refused(code, reason, what, *args, **kw):
    with pytest.raises(grpc.RpcError) as e:
        what(*args, **kw)
    d = harness.details(e.value)
    assert (d["code"], d["reason"]) == (code, reason), d
    return d


def issued(engine, stubs, n=1, **kw):
    ids = [r.result_id for r in send(stubs, [case(**kw) for _ in range(n)]).receipts]
    stored = engine.wait_stored(stubs, ids)
    return [stored[i] for i in ids]


def test_corrected_then_revoked(shared, stubs):
    r, paper = issued(shared, stubs, 2)
    file = shared.download(stubs, r.result_id)[0]
    assert (r.life, len(r.etag), r.paper_number) == (VALID, 24, "")
    first = correct(stubs, r, paper_result_id=paper.result_id, actor="nv.hoa")
    assert not first.pending and first.etag != r.etag
    now = get(stubs, r.result_id)
    assert (now.life, now.paper_number, now.paper_result_id, now.etag) == \
        (CORRECTED, "12/ĐC-UBND", paper.result_id, first.etag)
    # Told again, with the etag of before, it is the same act.
    assert correct(stubs, r, paper_result_id=paper.result_id, actor="nv.hoa") == first
    refused("ABORTED", "ETAG_STALE", correct, stubs, r, number="13/ĐC-UBND")
    refused("ABORTED", "ETAG_STALE", revoke, stubs, r)
    second = correct(stubs, now, number="13/ĐC-UBND")
    assert get(stubs, r.result_id).paper_number == "13/ĐC-UBND"
    last = revoke(stubs, now, etag=second.etag)
    now = get(stubs, r.result_id)
    assert (now.life, now.paper_number) == (REVOKED, "45/QĐ-UBND")
    said = now.paper_date
    assert datetime.date(said.year, said.month, said.day) == today()
    assert revoke(stubs, r) == last
    refused("FAILED_PRECONDITION", "RESULT_ENDED", correct, stubs, now, number="14/ĐC-UBND")
    refused("FAILED_PRECONDITION", "RESULT_ENDED", revoke, stubs, now, number="46/QĐ-UBND")
    rows = events(stubs, r.result_id, page_size=1)
    assert [e.kind for e in rows] == [CORRECTED, CORRECTED, REVOKED]
    assert [e.actor for e in rows] == ["nv.hoa", "vt.lan", "vt.lan"]
    assert {(e.principal, e.unit) for e in rows} == {("tester", UNITS[0])}
    assert rows[0].other_result_id == paper.result_id
    assert (rows[2].ground, rows[2].paper_number) == ("Cấp sai đối tượng", "45/QĐ-UBND")
    times = [e.event_time.ToMilliseconds() for e in rows]
    assert times == sorted(times) and len(set(times)) == 3
    assert shared.download(stubs, r.result_id)[0] == file


def test_an_act_told_again_is_the_same_one(shared, stubs):
    """Whatever came after it, and whatever etag it brings."""
    number = "001099000921"
    r, = issued(shared, stubs, number=number)

    def fresh(act, *args, **kw):
        return act(stubs, get(stubs, r.result_id), *args, **kw)

    fresh(correct, number="1/ĐC-UBND")
    fresh(show, HIDDEN, number=number)
    fresh(correct, number="2/ĐC-UBND")
    fresh(show, RESTRICTED, actor="nv.hoa")
    fresh(show, SHOWN, actor="nv.hoa")
    fresh(revoke)
    last = fresh(show, SHOWN, number=number).etag
    kinds = [CORRECTED, HIDDEN_BY_HOLDER, CORRECTED, RESTRICTED_FOR_ALL, RELEASED, REVOKED,
             SHOWN_BY_HOLDER]
    now = get(stubs, r.result_id)
    for etag in (r.etag, last, "0" * 24):
        for one in ("1", "2"):
            assert correct(stubs, r, etag=etag, number=f"{one}/ĐC-UBND").etag == last
        assert revoke(stubs, r, etag=etag).etag == last
        for one in (RESTRICTED, SHOWN):
            assert show(stubs, r, one, etag=etag, actor="nv.hoa").etag == last
        assert show(stubs, r, SHOWN, number=number, etag=etag).etag == last
        assert get(stubs, r.result_id) == now
    assert [e.kind for e in events(stubs, r.result_id)] == kinds
    # Who did not see that it was shown again tells the old act; who did hides it once more.
    assert show(stubs, r, HIDDEN, number=number).etag == last
    assert [e.kind for e in events(stubs, r.result_id)] == kinds
    assert show(stubs, r, HIDDEN, number=number, etag=last).etag != last
    assert [e.kind for e in events(stubs, r.result_id)] == kinds + [HIDDEN_BY_HOLDER]
    assert r.result_id not in listed(stubs, number)


def test_a_paper_is_not_older_than_the_result(shared, stubs):
    """Nor, by when the case came, while nobody can tell when it was issued."""
    r, = issued(shared, stubs)
    yesterday = (today() - datetime.timedelta(days=1)).timetuple()
    for act, field in ((revoke, "decision.date"), (correct, "paper.date")):
        d = refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", act, stubs, r, day=yesterday)
        assert d["fields"] == [field]
    assert events(stubs, r.result_id) == []
    # One about persons may be older than what it is applied to.
    show(stubs, r, RESTRICTED, day=yesterday)


def test_what_is_wrong_with_an_act(shared, stubs):
    r, = issued(shared, stubs)
    for what, field in ((dict(number=""), "number"), (dict(number="x" * 81), "number"),
                        (dict(ground="a\nb"), "ground"), (dict(ground="\u202e"), "ground"),
                        (dict(ground="ă" * 201), "ground"), (dict(actor=""), "actor"),
                        (dict(day=(2026, 2, 30)), "date"), (dict(day=(2026, 2, 0)), "date"),
                        (dict(day=(9999, 1, 1)), "date")):
        d = refused("INVALID_ARGUMENT", "ARGUMENT_MISSING" if "" in what.values() else
                    "ARGUMENT_INVALID", revoke, stubs, r, **what)
        assert d["fields"] == [f"decision.{field}"]
    refused("INVALID_ARGUMENT", "ARGUMENT_MISSING", revoke, stubs, r, etag="")
    other = get(stubs, issued(shared, stubs)[0].result_id)
    for etag in ("0" * 24, r.etag[:-1], "00010" + r.etag[5:], other.etag):
        refused("ABORTED", "ETAG_STALE", revoke, stubs, r, etag=etag)
    for paper in ("0" * 26, r.result_id, "x"):
        d = refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", correct, stubs, r,
                    paper_result_id=paper)
        assert d["fields"] == ["paper_result_id"]
    r.result_id = "0" * 26
    refused("NOT_FOUND", "RESULT_NOT_FOUND", revoke, stubs, r)
    refused("NOT_FOUND", "RESULT_NOT_FOUND", events, stubs, r.result_id)


def test_expired_is_what_the_calendar_says(shared, stubs):
    """A permit whose last day is over."""
    answer = send(stubs, [over("001099000931")])
    assert not answer.rejects, answer.rejects[0]
    r, = shared.wait_stored(stubs, [x.result_id for x in answer.receipts]).values()
    assert r.valid_until.year
    assert r.life == EXPIRED
    assert [e.kind for e in events(stubs, r.result_id)] == [EXPIRED]
    # An end by the calendar forbids no act.
    revoke(stubs, r)
    assert get(stubs, r.result_id).life == REVOKED


def data_of(pdf, folder):
    """What machines read, and the text of its pages."""
    (folder / "a.pdf").write_bytes(pdf)
    shown = subprocess.run(["qpdf", "--show-attachment=result.json", "a.pdf"], cwd=folder,
                           capture_output=True, check=True, timeout=20).stdout
    text = subprocess.run(["pdftotext", "a.pdf", "-"], cwd=folder, capture_output=True, text=True,
                          check=True, timeout=20).stdout
    return json.loads(shown), " ".join(text.split())


def replacing(old, code=None, revision=1, unit=None):
    c = case(code=code or old.case_code, unit=unit or old.unit)
    c.results[0].replaces = old.result_id
    c.results[0].revision = revision
    c.approval.approver = "lacxuan.lanhdao"
    return c


def test_a_replacement_names_the_old_one(shared, stubs, tmp_path):
    """On its face and in its data; also of one that was revoked, and of a predecessor's."""
    sock = ("--connect", f"unix:{shared.data}/engine.sock")
    old, gone, theirs = (*issued(shared, stubs, 2), *issued(shared, stubs, unit=OLD))
    revoke(stubs, gone)
    cases = [replacing(old), replacing(gone, code="H99.11-other", revision=0),
             replacing(theirs, code=theirs.case_code + "-new", revision=0, unit=NEW)]
    receipts = send(stubs, cases).receipts
    stored = shared.wait_stored(stubs, [r.result_id for r in receipts])
    # Sent again, each stands in the old one's place already.
    again = send(stubs, cases)
    assert [r.result_id for r in again.receipts] == [r.result_id for r in receipts], again.rejects
    for before, r, life in zip((old, gone, theirs), receipts, (REPLACED, REVOKED, REPLACED)):
        new, now = stored[r.result_id], get(stubs, before.result_id)
        assert (new.replaces, new.life) == (before.result_id, VALID)
        assert (now.replaced_by, now.life) == (new.result_id, life) and now.etag != before.etag
        data, text = data_of(shared.download(stubs, r.result_id)[0], tmp_path)
        day = before.issue_time.ToDatetime() + datetime.timedelta(hours=7)
        month = f"{day.month:02d}" if day.month < 3 else day.month    # Decree 30 annex I
        named = {"id": before.result_id, "number": before.number_text,
                 "date": f"{day:%Y-%m-%d}"}
        said = f"(Thay thế văn bản số {before.number_text} ngày {day:%d} tháng {month} " \
               f"năm {day.year}"
        if before is theirs:
            named["agency"] = "Ủy ban nhân dân xã Suối Mây"
            said += " của Ủy ban nhân dân xã Suối Mây"
        assert data["replaces"] == named
        assert f"{said}, mã kết quả {before.result_id})" in text
        ended = [e for e in events(stubs, before.result_id) if e.kind == REPLACED]
        assert [(e.other_result_id, e.unit, e.actor) for e in ended] == \
            [(new.result_id, new.unit, "lacxuan.lanhdao")]
        m = harness.modules()["repository"]
        whole = stubs.repository.GetCase(m.GetCaseRequest(unit=before.unit, code=before.case_code),
                                         timeout=20)
        assert {x.life for x in whole.results if x.result_id == before.result_id} == {life}
        said = shared.trien("case", before.unit, before.case_code, *sock).stdout
        assert ("REVOKED" if life == REVOKED else "REPLACED") in said
        if life == REVOKED:
            path = tmp_path / "gone.pdf"
            path.write_bytes(shared.download(stubs, before.result_id)[0])
            said = shared.trien("verify", path, "--engine", "--data", shared.data, check=False)
            assert f"Kết quả thay thế là {new.result_id}." in said.stdout
            said = shared.trien("get", before.result_id, *sock).stdout
            assert f"by paper     45/QĐ-UBND of {today()}; all: trien history" in said
        refused("FAILED_PRECONDITION", "RESULT_ENDED", correct, stubs, now)
        refused("FAILED_PRECONDITION", "RESULT_ENDED", revoke, stubs, now, number="47/QĐ-UBND")


TAKEN = "another takes its place already: replace that one"


def test_one_place_is_taken_once(shared, stubs):
    """Whether both come in one batch or one behind the other, before anything is stored."""
    old, other = issued(shared, stubs, 2)
    batch = send(stubs, [replacing(old), replacing(old, code="H99.11-twice", revision=0)])
    assert [(len(batch.receipts), r.reason, r.detail) for r in batch.rejects] == \
        [(1, "REPLACES_MISMATCH", TAKEN)]
    m = harness.modules()["issuance"]
    stream = stubs.issuance.SubmitStream(iter([
        m.SubmitStreamRequest(client_seq=1, want_receipts=True, cases=[replacing(other)]),
        m.SubmitStreamRequest(client_seq=2, want_receipts=True, cases=[
            replacing(other, code="H99.11-late", revision=0), replacing(other)])]), timeout=20)
    answers = list(stream)
    receipts = [r for a in answers for r in a.receipts]
    assert len({r.result_id for r in receipts}) == 1 and receipts[-1].duplicate
    reject, = [r.reject for a in answers for r in a.rejects]
    # The first of them may stand in the store by now.
    assert reject.detail in (
        TAKEN, f"it was replaced by {receipts[0].result_id}: replace that one")
    shared.wait_stored(stubs, [batch.receipts[0].result_id, receipts[0].result_id])
    assert get(stubs, other.result_id).replaced_by == receipts[0].result_id


def listed(stubs, number, hidden=False):
    m = harness.modules()["repository"]
    page = stubs.repository.ListResults(m.ListResultsRequest(
        id_kind=1, number=number, show_hidden=hidden), timeout=20)
    return {h.result.result_id: h for h in page.holdings}


def test_a_list_says_what_became_of_each(shared, stubs):
    number = "001099000921"
    good, corrected, old, gone = issued(shared, stubs, 4, number=number)
    correct(stubs, corrected)
    revoke(stubs, gone)
    instead = replacing(old)
    instead.holders[0].number = number
    answer = send(stubs, [instead, over(number)])
    assert not answer.rejects, answer.rejects[0]
    new, ended = (r.result_id for r in answer.receipts)
    shared.wait_stored(stubs, [new, ended])
    lives = {good.result_id: VALID, corrected.result_id: CORRECTED, old.result_id: REPLACED,
             gone.result_id: REVOKED, new: VALID, ended: EXPIRED}
    rows = {i: h.result for i, h in listed(stubs, number).items()}
    assert {i: r.life for i, r in rows.items()} == lives
    for i, row in rows.items():
        one = get(stubs, i)
        assert (row.life, row.replaced_by, row.paper_number, row.etag) == \
            (one.life, one.replaced_by, one.paper_number, one.etag)
    assert rows[old.result_id].replaced_by == new
    assert [rows[r.result_id].paper_number for r in (corrected, gone)] == ["12/ĐC-UBND",
                                                                           "45/QĐ-UBND"]


def test_a_holder_hides_it_from_the_own_list(shared, stubs):
    m = harness.modules()["case"]
    one, two = "001099000901", "001099000902"
    c = case(number=one)
    c.holders.add(id_kind=1, number=two, name="Nguyễn Văn An", role=m.Holder.SPOUSE)
    result_id = send(stubs, [c]).receipts[0].result_id
    r = shared.wait_stored(stubs, [result_id])[result_id]
    hidden = show(stubs, r, HIDDEN, number=one)
    assert show(stubs, r, HIDDEN, number=one) == hidden
    assert result_id not in listed(stubs, one) and result_id in listed(stubs, two)
    row = listed(stubs, one, hidden=True)[result_id]
    assert (row.visibility, row.result.life, row.result.etag) == (2, VALID, hidden.etag)
    assert get(stubs, result_id).life == VALID
    refused("ABORTED", "ETAG_STALE", show, stubs, r, HIDDEN, number=two)
    show(stubs, r, HIDDEN, number=two, etag=hidden.etag)
    hidden = show(stubs, r, SHOWN, number=two, etag=get(stubs, result_id).etag)
    assert [e.holder for e in events(stubs, result_id)] == [1, 2, 2]
    said = shared.trien("history", result_id, "--connect", f"unix:{shared.data}/engine.sock")
    assert said.stdout.count("number 2 of its case, in that one's list") == 2
    show(stubs, r, SHOWN, number=one, etag=hidden.etag)
    assert listed(stubs, one)[result_id].visibility == 1
    assert [e.kind for e in events(stubs, result_id)] == [HIDDEN_BY_HOLDER, HIDDEN_BY_HOLDER,
                                                          SHOWN_BY_HOLDER, SHOWN_BY_HOLDER]
    now = get(stubs, result_id)
    d = refused("NOT_FOUND", "HOLDER_NOT_FOUND", show, stubs, now, HIDDEN, number="001099000903")
    assert d["fields"] == ["holder"]
    refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", show, stubs, now, RESTRICTED, number=one)
    refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", show, stubs, now, HIDDEN)
    with caller(shared, "registry"):
        refused("PERMISSION_DENIED", "ROLE_MISSING", show, stubs, now, HIDDEN, number=one)


def test_holders_cannot_use_up_the_acts(shared, stubs):
    """However often they hide and show it, what was issued in error can be revoked."""
    number = "001099000904"
    r, = issued(shared, stubs, number=number)
    etag = r.etag
    for i in range(200):
        etag = show(stubs, r, SHOWN if i % 2 else HIDDEN, number=number, etag=etag).etag
    refused("FAILED_PRECONDITION", "RESULT_ENDED", show, stubs, r, HIDDEN, number=number,
            etag=etag)
    assert r.result_id in listed(stubs, number)
    etag = correct(stubs, r, etag=etag).etag
    revoke(stubs, r, etag=etag)
    assert get(stubs, r.result_id).life == REVOKED
    assert len(events(stubs, r.result_id)) == 202


def test_restricted_is_answered_like_none(shared, stubs):
    m = harness.modules()["repository"]
    r, = issued(shared, stubs, number="001099000911")
    with caller(shared, "portal"):
        refused("PERMISSION_DENIED", "ROLE_MISSING", show, stubs, r, RESTRICTED)
    act = show(stubs, r, RESTRICTED)
    assert get(stubs, r.result_id).restricted
    for roles in (("portal", "read"), ("submit",)):
        with caller(shared, *roles):
            refused("NOT_FOUND", "RESULT_NOT_FOUND", get, stubs, r.result_id)
    with caller(shared, "portal"):
        assert listed(stubs, "001099000911", hidden=True) == {}
        many = stubs.repository.BatchGetResults(
            m.BatchGetResultsRequest(result_ids=[r.result_id]), timeout=20)
        assert list(many.missing_ids) == [r.result_id]
        refused("NOT_FOUND", "RESULT_NOT_FOUND", shared.download, stubs, r.result_id)
        refused("NOT_FOUND", "RESULT_NOT_FOUND", events, stubs, r.result_id)
        whole = stubs.repository.GetCase(
            m.GetCaseRequest(unit=r.unit, code=r.case_code), timeout=20)
        assert [(x.state, x.result_id, x.number_text) for x in whole.results] == [(6, "", "")]
        refused("NOT_FOUND", "RESULT_NOT_FOUND", show, stubs, r, HIDDEN, number="001099000911",
                etag=act.etag)
    with caller(shared, "audit", units=[UNITS[0]]):
        assert get(stubs, r.result_id).restricted
    with caller(shared, "audit", "registry", units=[UNITS[1]]):
        refused("NOT_FOUND", "RESULT_NOT_FOUND", get, stubs, r.result_id)
    show(stubs, r, SHOWN, etag=act.etag, number=None)
    with caller(shared, "portal"):
        assert not get(stubs, r.result_id).restricted
        assert r.result_id in listed(stubs, "001099000911")
    assert [e.kind for e in events(stubs, r.result_id)] == [RESTRICTED_FOR_ALL, RELEASED]


def test_a_successor_acts_on_what_its_predecessor_issued(shared, stubs):
    old, = issued(shared, stubs, unit=OLD)
    new, = issued(shared, stubs, unit=NEW)
    with caller(shared, "submit", "read", units=[NEW]):
        assert get(stubs, old.result_id).etag == old.etag
        refused("PERMISSION_DENIED", "UNIT_DENIED", revoke, stubs, old)
        refused("PERMISSION_DENIED", "UNIT_DENIED", revoke, stubs, old, unit=OLD)
        d = correct(stubs, old, unit=NEW, paper_result_id=new.result_id)
        assert [(e.kind, e.unit) for e in events(stubs, old.result_id)] == [(CORRECTED, NEW)]
        revoke(stubs, old, etag=d.etag, unit=NEW)
    assert get(stubs, old.result_id).life == REVOKED
    with caller(shared, "submit", "read", units=[OLD]):
        refused("NOT_FOUND", "RESULT_NOT_FOUND", revoke, stubs, new)
        refused("NOT_FOUND", "RESULT_NOT_FOUND", revoke, stubs, new, unit=OLD)
        # Whether a paper is there that is another's is not told, whatever else is wrong.
        for paper in (new.result_id, "0" * 26):
            d = refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", correct, stubs, old, etag="",
                        paper_result_id=paper)
            assert d["fields"] == ["paper_result_id"]
    with caller(shared, "read", "portal", "audit"):
        refused("PERMISSION_DENIED", "ROLE_MISSING", revoke, stubs, new)


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_acts_while_the_store_is_away(tmp_path):
    """They are taken by their etags, told in order once it is back; a kill changes nothing."""
    cluster = postgres.Cluster(durable=True).start()
    try:
        with engine_on(tmp_path, postgres.Store(cluster)) as e:
            away(e, cluster)
    finally:
        cluster.remove()


HOLDER = "001099000931"


def away(e, cluster):
    stubs = e.stubs()
    one, two, three, four = issued(e, stubs, 4, number=HOLDER)
    place, = send(stubs, [replacing(three)]).receipts
    e.wait_stored(stubs, [place.result_id])
    ended = get(stubs, three.result_id)
    cluster.stop()
    harness.wait_for(lambda: not status(e).store_up)
    first = correct(stubs, one)
    assert first.pending and correct(stubs, one).etag == first.etag
    refused("ABORTED", "ETAG_STALE", revoke, stubs, one)
    refused("ABORTED", "ETAG_STALE", revoke, stubs, one, etag=two.etag)
    # What would stand in another one's place has to come again.
    late, = send(stubs, [replacing(two)]).rejects
    assert (late.reason, late.retryable) == ("STORE_AWAY", True)
    last = revoke(stubs, one, etag=first.etag)
    assert last.pending and last.etag not in (one.etag, first.etag)
    refused("FAILED_PRECONDITION", "RESULT_ENDED", correct, stubs, one, etag=last.etag,
            number="13/ĐC-UBND")
    assert [correct(stubs, one, etag=x).etag for x in (one.etag, last.etag)] == [last.etag] * 2
    yesterday = (today() - datetime.timedelta(days=1)).timetuple()
    refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", revoke, stubs, two, day=yesterday)
    assert revoke(stubs, two).pending
    # A decision on who sees it, too; whether somebody holds it only the store knows.
    restricted = show(stubs, four, RESTRICTED)
    assert restricted.pending and show(stubs, four, RESTRICTED) == restricted
    refused("ABORTED", "ETAG_STALE", correct, stubs, four)
    with pytest.raises(grpc.RpcError) as why:
        show(stubs, four, HIDDEN, number=HOLDER, etag=restricted.etag)
    assert why.value.code() == grpc.StatusCode.UNAVAILABLE
    # What was replaced is at its end, as it is while the store is there.
    for act in (correct, revoke):
        refused("FAILED_PRECONDITION", "RESULT_ENDED", act, stubs, ended)
        refused("ABORTED", "ETAG_STALE", act, stubs, three)
    e.kill()
    cluster.start()
    e.start()
    stubs = e.stubs()
    now = get(stubs, one.result_id)
    assert (now.life, now.etag) == (REVOKED, last.etag)
    assert [x.kind for x in events(stubs, one.result_id)] == [CORRECTED, REVOKED]
    assert [x.kind for x in events(stubs, two.result_id)] == [REVOKED]
    assert [x.kind for x in events(stubs, three.result_id)] == [REPLACED]
    assert [x.kind for x in events(stubs, four.result_id)] == [RESTRICTED_FOR_ALL]
    again = show(stubs, four, RESTRICTED)
    assert not again.pending and again.etag == restricted.etag == get(stubs, four.result_id).etag
    for act in (revoke, correct):
        again = act(stubs, one)
        assert not again.pending and again.etag == last.etag
    # What a start read from the journal says it, too, when the store does not.
    cluster.stop()
    harness.wait_for(lambda: not status(e).store_up)
    for act in (revoke, correct):
        again = act(stubs, one)
        assert again.pending and again.etag == last.etag
    cluster.start()
    harness.wait_for(lambda: status(e).store_up)
    assert [x.kind for x in events(stubs, one.result_id)] == [CORRECTED, REVOKED]
    assert e.stop() == 0


def asked(stubs, act, r):
    """The act, sent; nobody waits for its answer yet."""
    m = harness.modules()["issuance"]
    if act == "replace":
        return stubs.issuance.SubmitBatch.future(m.SubmitBatchRequest(cases=[replacing(r)]),
                                                 timeout=20)
    if act == "revoke":
        q, call = m.RevokeResultRequest(decision=decision()), stubs.issuance.RevokeResult
    elif act == "correct":
        q, call = m.CorrectResultRequest(paper=decision()), stubs.issuance.CorrectResult
    else:
        q = m.SetVisibilityRequest(decision=decision(), visibility=RESTRICTED)
        call = stubs.issuance.SetVisibility
    q.result_id, q.etag = r.result_id, r.etag
    return call.future(q, timeout=20)


def test_killed_around_acts(tmp_path):
    """What was answered stands; what was not is told again: each of them once."""
    acts = {"revoke": (REVOKED, REVOKED), "correct": (CORRECTED, CORRECTED),
            "restrict": (VALID, RESTRICTED_FOR_ALL), "replace": (REPLACED, REPLACED)}
    with harness.Engine(tmp_path) as e:
        e.prepare().start()
        rows = issued(e, e.stubs(), 40)
        answered, groups = {}, {act: rows[i::4] for i, act in enumerate(acts)}
        for act, group in groups.items():
            stubs = e.stubs()
            calls = [(r, asked(stubs, act, r)) for r in group]
            harness.wait_for(lambda: sum(c.done() for _, c in calls) >= 3)
            e.process.kill()
            for r, c in calls:
                with contextlib.suppress(grpc.RpcError):
                    answered[r.result_id] = c.result()
            e.kill()
            e.start()
        stubs, new = e.stubs(), {}
        assert len(answered) >= 12
        for act, group in groups.items():
            for r in group:
                again = asked(stubs, act, r).result()
                before = answered.get(r.result_id)
                if act != "replace":
                    assert before is None or before.etag == again.etag
                    continue
                assert not again.rejects
                new[r.result_id] = again.receipts[0].result_id
                # One that ends may still say that it cannot look just now.
                assert before is None or all(x.retryable for x in before.rejects)
                assert before is None or [x.result_id for x in before.receipts] in (
                    [], [new[r.result_id]])
        e.wait_stored(stubs, list(new.values()))
        for act, (life, kind) in acts.items():
            for r in groups[act]:
                now = get(stubs, r.result_id)
                assert (now.life, now.file_sha256) == (life, r.file_sha256)
                assert now.replaced_by == new.get(r.result_id, "")
                assert [ev.kind for ev in events(stubs, r.result_id)] == [kind]
        given = next(r for r in e.registers() if (r.unit, r.code) == (NEW, "XNTTHN"))
        assert given.given == given.next - 1 == 50
        assert e.stop() == 0
        if e.store is None:
            e.trien("fsck", "--data", e.data)
