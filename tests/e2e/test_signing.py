"""Signing sessions: what waits, what is shown of it, one confirmation, and what becomes of each."""
import datetime
import hashlib
import json
import os
import pathlib
import time

import pytest

import harness
import office
from office import (AWAITING, CANCELLED, CONFIRMED, DONE, EXPIRED, HELD, OPEN, REFUSED, SIGNS,
                    STORED, VOID, WITHDRAWN, Signer, refused, submit)
from sample import KIND, SIGNER, UNITS, case, send

VIETNAM = datetime.timezone(datetime.timedelta(hours=7))


@pytest.fixture
def desk(tmp_path):
    """An engine with a kind that waits for its signer; everybody may sign as everybody."""
    e = harness.Engine(tmp_path / "e", schemas=office.office_schemas(tmp_path / "schemas"))
    e.prepare().start()
    yield e
    e.kill()


@pytest.fixture
def signer(desk):
    return Signer(desk)


def due(c, hours):
    c.facts.due_time.seconds = int(time.time() + hours * 3600)
    return c


def urgent(c):
    c.priority = harness.modules()["case"].PRIORITY_INTERACTIVE
    return c


def numbers(engine, stubs, ids):
    stored = engine.wait_stored(stubs, ids)
    return [stored[i].number for i in ids]


def test_the_whole_way(desk, signer):
    stubs = desk.stubs()
    ids = submit(desk, [case() for _ in range(5)])
    order = ids[::-1]
    s = signer.open(order)
    assert (s.state, s.items, s.approved, s.signer) == (OPEN, 5, 0, SIGNS)
    assert s.expire_time.seconds - s.open_time.seconds == 1800
    m = signer.manifest(s)
    assert [i.result_id for i in m.items] == order
    assert hashlib.sha256(m.canonical).digest() == m.manifest_sha256 == s.manifest_sha256
    assert office.canonical(s.session_id, SIGNS, m.items) == m.canonical
    pdf, head = signer.preview(order[0])
    assert (head.file_sha256, head.case_sha256) == (m.items[0].preview_sha256,
                                                    m.items[0].case_sha256)
    done = signer.confirm(s)
    assert done.state in (CONFIRMED, DONE) and done.approved == 5
    outcomes = signer.outcomes(s)
    assert {(o.approved, o.state) for o in outcomes.values()} == {(True, STORED)}
    assert [outcomes[i].index for i in order] == list(range(5))
    assert numbers(desk, stubs, order) == [1, 2, 3, 4, 5], "in the order of the manifest"
    end = signer.get(s)
    assert (end.state, end.approved, end.settled) == (DONE, 5, 5)
    assert signer.waiting() == []
    assert desk.stop() == 0


def test_the_draft_is_the_document_without_number_and_signature(desk, signer, tmp_path):
    rid, = submit(desk, [case()])
    pdf, _ = signer.preview(rid)
    again, _ = signer.preview(rid)
    assert pdf == again
    assert b"/FT/Sig" not in pdf and b"/ByteRange" not in pdf
    text = office.pdf_text(pdf, tmp_path)
    assert "DỰ THẢO" in text and "Trần Thị Bích Ngọc" in text
    assert "ngày …… tháng …… năm ……" in text and "……" in text
    s = signer.open([rid])
    signer.confirm(s)
    desk.wait_stored(desk.stubs(), [rid])
    final = office.pdf_text(desk.download(desk.stubs(), rid)[0], tmp_path)
    assert "DỰ THẢO" not in final and "……" not in final
    today = datetime.datetime.now(VIETNAM)
    assert f"ngày {today.day:02d} tháng" in final


def test_what_is_urgent_comes_first_page_by_page(desk, signer):
    cases = [case(), due(case(), 50), due(case(), 2), urgent(case()), urgent(due(case(), 90)),
             due(case(), 20)]
    ids = submit(desk, cases)
    # Interactive with a deadline, without; then by deadline, those without one last.
    want = [ids[i] for i in (4, 3, 2, 5, 1, 0)]
    for size in (200, 1, 2, 4, 6):
        assert [w.result_id for w in signer.waiting(page_size=size)] == want
    first = signer.page(page_size=3)
    assert [w.result_id for w in first.waiting] == want[:3] and first.next_page_token
    refused(lambda: signer.page(page_size=3, page_token=first.next_page_token, kind=KIND),
            "PAGE_TOKEN_INVALID")
    refused(lambda: signer.page(page_token=first.next_page_token[:-1] + "g"),
            "PAGE_TOKEN_INVALID")
    # One that goes away between two pages leaves no gap.
    signer.refuse(want[2], "x")
    rest = signer.page(page_size=3, page_token=first.next_page_token)
    assert [w.result_id for w in rest.waiting] == want[3:]


def test_filters(tmp_path):
    kinds = (KIND, "thong-bao-tu-choi")
    with harness.Engine(tmp_path / "e", schemas=office.office_schemas(
            tmp_path / "s", kinds=kinds)) as e:
        e.prepare().start()
        mine, other = submit(e, [due(case(), 5), case()]), submit(e, [case(unit=UNITS[1])])
        s = Signer(e)
        ids = lambda **kw: [w.result_id for w in s.waiting(**kw)]
        assert ids() == mine
        assert ids(unit=UNITS[0]) == mine and ids(unit=UNITS[1]) == []
        assert ids(kind=KIND) == mine and ids(kind=kinds[1]) == []
        t = lambda h: {"due_before": {"seconds": int(time.time() + h * 3600)}}
        assert ids(**t(6)) == mine[:1] and ids(**t(4)) == []
        assert [w.result_id for w in Signer(e, signer=SIGNER[UNITS[1]]).waiting()] == other
        assert e.stop() == 0


def test_two_people_of_one_name(desk, signer):
    name = "Nguyễn Văn An"
    ids = submit(desk, [case(name=name, number="001099000011", ngay_sinh=(1990, 3, 5)),
                        case(name=name, number="001099000022", ngay_sinh=(1971, 12, 30))])
    rows = {w.result_id: w for w in signer.waiting()}
    assert [(rows[i].holder_name, rows[i].holder_number, rows[i].holder_birth) for i in ids] == \
        [(name, "001099000011", "1990-03-05"), (name, "001099000022", "1971-12-30")]
    row = rows[ids[0]]
    assert (row.unit, row.kind, row.signer, row.principal) == (UNITS[0], KIND, SIGNS, "tester")
    assert row.accept_time.seconds > 0 and not row.HasField("due_time")
    assert name not in desk.log() and "001099000011" not in desk.log()


def test_refused_ones_end_and_the_others_go_on(desk, signer):
    ids = submit(desk, [case() for _ in range(3)])
    assert signer.refuse(ids[1], "Thiếu chữ ký của người khai").result_id == ids[1]
    assert {w.result_id for w in signer.waiting()} == {ids[0], ids[2]}
    refused(lambda: signer.refuse(ids[1], "again"), "RESULT_NOT_WAITING")
    refused(lambda: signer.refuse(ids[0], ""), "ARGUMENT_MISSING")
    refused(lambda: signer.open(ids), "RESULT_NOT_WAITING")
    signer.confirm(signer.open([ids[0], ids[2]]))
    stubs = desk.stubs()
    assert numbers(desk, stubs, [ids[0], ids[2]]) == [1, 2]
    m = harness.modules()["repository"]
    assert stubs.repository.GetResult(m.GetResultRequest(result_id=ids[1]), timeout=20).state == \
        REFUSED
    refused(lambda: signer.preview(ids[1]), "RESULT_NOT_WAITING")


def test_a_session_is_cancelled_once(desk, signer):
    ids = submit(desk, [case(), case()])
    s = signer.open(ids)
    assert signer.cancel(s).state == CANCELLED
    assert signer.cancel(s).state == CANCELLED
    refused(lambda: signer.confirm(s), "SESSION_NOT_OPEN")
    refused(lambda: list(signer.watch(s)), "SESSION_NOT_CONFIRMED")
    assert {w.result_id for w in signer.waiting()} == set(ids)
    t = signer.open(ids)
    signer.confirm(t)
    refused(lambda: signer.cancel(t), "SESSION_NOT_OPEN")


def test_a_session_expires(desk, signer):
    ids = submit(desk, [case()])
    s = signer.open(ids, ttl_seconds=10)
    refused(lambda: signer.open(ids, ttl_seconds=9), "ARGUMENT_INVALID")
    refused(lambda: signer.open(ids, ttl_seconds=86401), "ARGUMENT_INVALID")
    harness.wait_for(lambda: signer.get(s).state == EXPIRED, 20, 0.2)
    refused(lambda: signer.confirm(s), "SESSION_NOT_OPEN")
    desk.kill()
    desk.start(registers=False)
    signer = Signer(desk)
    assert signer.get(s).state == EXPIRED
    assert [w.result_id for w in signer.waiting()] == ids


def test_confirmed_twice_is_confirmed_once(desk, signer):
    ids = submit(desk, [case() for _ in range(4)])
    s = signer.open(ids)
    first = signer.confirm(s)
    again = signer.confirm(s)
    assert (again.confirm_time, again.approved) == (first.confirm_time, 4)
    assert numbers(desk, desk.stubs(), ids) == [1, 2, 3, 4]
    signer.outcomes(s)
    last = signer.confirm(s)
    assert (last.state, last.confirm_time) == (DONE, first.confirm_time)
    row = next(r for r in desk.registers() if r.unit == UNITS[0] and r.code == "XNTTHN")
    assert (row.given, row.next) == (4, 5)


def test_a_foreign_hash_signs_nothing(desk, signer):
    ids = submit(desk, [case(), case()])
    s, t = signer.open(ids), signer.open(ids[:1])
    assert s.manifest_sha256 != t.manifest_sha256
    for wrong, reason in ((t.manifest_sha256, "MANIFEST_DIFFERS"), (bytes(32), "MANIFEST_DIFFERS"),
                          (b"", "ARGUMENT_INVALID"), (s.manifest_sha256[:31], "ARGUMENT_INVALID")):
        refused(lambda: signer.confirm(s, wrong), reason)
    assert signer.get(s).state == OPEN
    assert len(signer.waiting()) == 2


def test_overlapping_sessions_sign_each_document_once(desk, signer):
    ids = submit(desk, [case() for _ in range(3)])
    s, t = signer.open(ids[:2]), signer.open(ids[1:])
    signer.confirm(s)
    signer.confirm(t)
    got = signer.outcomes(t)
    assert not got[ids[1]].approved and got[ids[1]].reason == "NOT_WAITING"
    assert got[ids[2]].approved
    assert numbers(desk, desk.stubs(), ids) == [1, 2, 3]


def test_withdrawn_between_open_and_confirm(desk, signer):
    ids = submit(desk, [case() for _ in range(3)])
    s = signer.open(ids)
    m = harness.modules()["issuance"]
    desk.stubs().issuance.WithdrawResult(m.WithdrawResultRequest(
        result_id=ids[1], reason="Công dân rút hồ sơ"), timeout=20)
    manifest = signer.manifest(s)
    assert [i.HasField("waiting") for i in manifest.items] == [True, False, True]
    done = signer.confirm(s)
    assert done.approved == 2
    got = signer.outcomes(s)
    assert (got[ids[1]].approved, got[ids[1]].state, got[ids[1]].reason) == \
        (False, WITHDRAWN, "NOT_WAITING")
    assert got[ids[1]].message_vi and got[ids[1]].message_en
    assert numbers(desk, desk.stubs(), [ids[0], ids[2]]) == [1, 2]
    refused(lambda: desk.stubs().issuance.WithdrawResult(m.WithdrawResultRequest(
        result_id=ids[0], reason="x"), timeout=20), "RESULT_NOT_WAITING")


def signer_file(engine):
    return engine.schemas / "signers" / f"{SIGNS}.json"


def change_signer(engine, **changes):
    doc = json.loads(signer_file(engine).read_text())
    doc["versions"][-1].update(changes)
    signer_file(engine).write_text(json.dumps(doc, ensure_ascii=False))


def today(days=0):
    return (datetime.datetime.now(VIETNAM) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


def test_a_delegation_that_ended_approves_nothing(tmp_path):
    e = harness.Engine(tmp_path / "e", schemas=office.office_schemas(tmp_path / "s"))
    change_signer(e, authority="TUQ", authority_line="TUQ. CHỦ TỊCH",
                  delegation="Quyết định 12/QĐ-UBND ngày 01/7/2025", to=today(1))
    with e:
        e.prepare().start()
        s = Signer(e)
        ids = submit(e, [case(), case()])
        t = s.open(ids)
        change_signer(e, to=today(-1))
        e.hup()
        done = s.confirm(t)
        assert (done.state, done.approved) == (DONE, 0)
        got = s.outcomes(t)
        assert {(o.approved, o.state, o.reason) for o in got.values()} == \
            {(False, AWAITING, "DELEGATION_ENDED")}
        # It is given again: they still wait.
        change_signer(e, to=today(3))
        e.hup()
        assert s.confirm(s.open(ids)).approved == 2
        assert numbers(e, e.stubs(), ids) == [1, 2]
        assert e.stop() == 0


def test_a_title_that_was_not_shown_is_not_signed(desk, signer):
    ids = submit(desk, [case()])
    s = signer.open(ids)
    change_signer(desk, title="CHỦ TỊCH")
    desk.hup()
    signer.confirm(s)
    assert signer.outcomes(s)[ids[0]].reason == "DOCUMENT_CHANGED"
    # It still waits, and is shown, and signed, as it is now.
    s = signer.open(ids)
    assert signer.confirm(s).approved == 1
    desk.wait_stored(desk.stubs(), ids)


def agency_moves(engine, place):
    """From today on the agency's papers are dated elsewhere; what was in effect has ended."""
    path = engine.schemas / "agencies" / f"{UNITS[0]}.json"
    doc = json.loads(path.read_text())
    last = doc["versions"][-1]
    doc["versions"].append({**last, "from": today(), "place": place})
    last["to"] = today(-1)
    path.write_text(json.dumps(doc, ensure_ascii=False))
    engine.hup()
    assert "stay as they were" not in engine.log(), engine.log()


def test_a_draft_shows_the_agency_of_today_and_so_does_the_paper(desk, signer, tmp_path):
    rid, = submit(desk, [case()])
    before, _ = signer.preview(rid)
    assert "Lạc Xuân, ngày ……" in office.pdf_text(before, tmp_path)
    agency_moves(desk, "Bến Ngự")
    draft, head = signer.preview(rid)
    text = office.pdf_text(draft, tmp_path)
    assert "Bến Ngự, ngày ……" in text and "Lạc Xuân, ngày" not in text
    s = signer.open([rid])
    assert signer.manifest(s).items[0].preview_sha256 == head.file_sha256
    assert signer.confirm(s).approved == 1
    assert numbers(desk, desk.stubs(), [rid]) == [1]
    final = office.pdf_text(desk.download(desk.stubs(), rid)[0], tmp_path)
    day = datetime.datetime.now(VIETNAM).day
    assert f"Bến Ngự, ngày {day:02d}" in final and "Lạc Xuân, ngày" not in final


def test_an_agency_that_changed_since_it_was_shown_is_not_signed(desk, signer, tmp_path):
    """Only what is of that agency; over a new session it is signed as it is now."""
    desk_of = {UNITS[0]: signer, UNITS[1]: Signer(desk, signer=SIGNER[UNITS[1]])}
    ids = {u: submit(desk, [case(unit=u)])[0] for u in UNITS[:2]}
    sessions = {u: desk_of[u].open([ids[u]]) for u in ids}
    shown = signer.manifest(sessions[UNITS[0]]).items[0]
    agency_moves(desk, "Bến Ngự")
    assert desk_of[UNITS[1]].confirm(sessions[UNITS[1]]).approved == 1
    rid, s = ids[UNITS[0]], sessions[UNITS[0]]
    done = signer.confirm(s)
    assert (done.state, done.approved) == (DONE, 0)
    o = signer.outcomes(s)[rid]
    assert (o.approved, o.state, o.reason, o.number_text) == \
        (False, AWAITING, "DOCUMENT_CHANGED", "")
    assert o.message_vi and o.message_en
    assert [w.result_id for w in signer.waiting()] == [rid]
    t = signer.open([rid])
    again = signer.manifest(t).items[0]
    assert again.preview_sha256 != shown.preview_sha256
    assert again.case_sha256 == shown.case_sha256
    assert signer.confirm(t).approved == 1
    assert numbers(desk, desk.stubs(), [rid]) == [1]
    final = office.pdf_text(desk.download(desk.stubs(), rid)[0], tmp_path)
    assert "Bến Ngự, ngày" in final and "Lạc Xuân, ngày" not in final


def another_font():
    """Of the package whose serif fonts are the default."""
    # The newest: the first version has no Vietnamese letters.
    return max(map(str, pathlib.Path("/usr/share/fonts/truetype").glob(
        "liberation*/LiberationSans-Regular.ttf")))


def test_a_document_that_is_drawn_another_way_is_not_signed(desk, signer):
    """Here it is the engine that draws another way: another font, over a restart."""
    ids = submit(desk, [case(), case()])
    s = signer.open(ids)
    shown = signer.manifest(s).items
    assert desk.stop() == 0
    desk.settings["font_regular"] = another_font()
    desk.start(registers=False)
    signer = Signer(desk)
    done = signer.confirm(s)
    assert (done.state, done.approved) == (DONE, 0)
    got = signer.outcomes(s)
    assert [(got[i].approved, got[i].state, got[i].reason) for i in ids] == \
        [(False, AWAITING, "DOCUMENT_CHANGED")] * 2
    assert got[ids[0]].message_vi and got[ids[0]].message_en and got[ids[0]].number_text == ""
    # As it is drawn now it is shown, and signed.
    t = signer.open(ids)
    again = signer.manifest(t).items
    assert all(a.preview_sha256 != b.preview_sha256 and a.case_sha256 == b.case_sha256
               for a, b in zip(again, shown))
    assert signer.confirm(t).approved == 2
    assert numbers(desk, desk.stubs(), ids) == [1, 2]


def test_nobody_approves_their_own_draft(tmp_path):
    """The officer who submitted, and one whom the case names as its drafter."""
    e = harness.Engine(tmp_path / "e", schemas=office.office_schemas(tmp_path / "s", False),
                       insecure_loopback="officer")
    with e:
        e.prepare()
        e.principals([
            {"name": "tester", "roles": ["submit", "read", "registry", "sign"], "units": ["*"],
             "signers": ["*"], "uids": [os.getuid()]},
            {"name": "officer", "roles": ["sign"], "signers": [SIGNS]}])
        e.start(registers=False)
        socket = lambda: e.channel(f"unix:{e.data}/engine.sock")
        stubs = e.stubs(socket())
        ops = harness.modules()["operations"]
        stubs.operations.OpenRegister(ops.OpenRegisterRequest(
            unit=UNITS[0], code="XNTTHN", first=1, reason="x"), timeout=20)
        drafted = case()
        drafted.approval.drafter = "officer"
        answer = send(stubs, [case(), drafted])
        ids = [r.result_id for r in answer.receipts]
        own, officer = Signer(e, socket()), Signer(e)
        harness.wait_for(lambda: {w.result_id for w in own.waiting()} == set(ids))
        t = own.open(ids)
        own.confirm(t)
        got = own.outcomes(t)
        assert [got[i].reason for i in ids] == ["OWN_DRAFT", "OWN_DRAFT"]
        t = officer.open(ids)
        officer.confirm(t)
        got = officer.outcomes(t)
        assert (got[ids[0]].approved, got[ids[1]].reason) == (True, "OWN_DRAFT")
        assert e.stop() == 0


def test_only_as_ones_own_signers(tmp_path):
    e = harness.Engine(tmp_path / "e", schemas=office.office_schemas(tmp_path / "s"),
                       insecure_loopback="officer")
    with e:
        e.prepare()
        e.principals([
            {"name": "tester", "roles": ["submit", "read", "registry", "sign"], "units": ["*"],
             "signers": ["*"], "uids": [os.getuid()]},
            {"name": "officer", "roles": ["sign"], "signers": [SIGNER[UNITS[1]]]}])
        e.start(registers=False)
        mine = Signer(e, e.channel(f"unix:{e.data}/engine.sock"))
        officer = Signer(e)
        refused(lambda: officer.page(), "SIGNER_DENIED")
        officer.signer = ""
        assert officer.page().waiting == [], "the only one it may act as"
        mine.signer = ""
        refused(lambda: mine.page(), "ARGUMENT_MISSING")
        assert e.stop() == 0


def test_a_right_that_was_taken_away(desk, signer):
    ids = submit(desk, [case()])
    s = signer.open(ids)
    row = {"name": "tester", "roles": ["submit", "read", "sign"], "units": ["*"]}
    desk.principals([{**row, "signers": [SIGNER[UNITS[1]]]}])
    desk.hup()
    for call in (signer.get, signer.manifest, signer.confirm, signer.cancel,
                 lambda x: list(signer.watch(x))):
        refused(lambda: call(s), "SIGNER_DENIED")
    refused(lambda: signer.refuse(ids[0], "x"), "RESULT_NOT_FOUND")
    desk.principals([{**row, "signers": [SIGNS]}])
    desk.hup()
    assert signer.confirm(s).approved == 1


def test_another_ones_session_does_not_exist(desk, signer, tmp_path):
    ids = submit(desk, [case()])
    s = signer.open(ids)
    desk.principals([
        {"name": "tester", "roles": ["submit", "read"], "units": ["*"]},
        {"name": "other", "roles": ["sign"], "signers": [SIGNS, SIGNER[UNITS[1]]],
         "uids": [os.getuid()]}])
    desk.hup()
    other = Signer(desk, desk.channel(f"unix:{desk.data}/engine.sock"))
    for call in (other.get, other.confirm, other.cancel, other.manifest,
                 lambda x: list(other.watch(x))):
        refused(lambda: call(s), "SESSION_NOT_FOUND")
    refused(lambda: signer.get(s), "ROLE_MISSING")


def test_a_watch_goes_on_where_its_line_broke(desk, signer):
    ids = submit(desk, [case() for _ in range(30)])
    s = signer.open(ids)
    signer.confirm(s)
    seen, cursor = {}, 0
    for _ in range(200):
        call = signer.watch(s, cursor)
        for n, o in enumerate(call):
            assert o.cursor > cursor
            cursor = o.cursor
            seen[o.result_id] = o.state
            if n == 6:
                call.cancel()
                break
        else:
            break
    assert seen == dict.fromkeys(ids, STORED)
    assert list(signer.watch(s, cursor)) == [], "nothing is told twice"
    assert {o.result_id for o in signer.watch(s)} == set(ids), "unless it is asked for"


def test_held_behind_the_confirmation(desk, signer):
    """Approved, but no key: it has its number and is told as held until it is signed."""
    ids = submit(desk, [case(), case()])
    path = desk.data / "certs" / "keys.json"
    good = path.read_text()
    doc = json.loads(good)
    for key in doc["keys"]:
        if key["role"] == "person" and key["unit"] == UNITS[0]:
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    path.write_text(json.dumps(doc))
    desk.hup()
    run = lambda *args, **kw: desk.trien("sign", *args, "--data", desk.data, check=False, **kw)
    s = signer.open(ids)
    done = run("confirm", "--session", s.session_id, "--yes")
    assert done.returncode == 3, "approved, and not at their end"
    assert done.stdout.count(" HELD ") == 2 and "2 of 2 approved, 0 at their end" in done.stdout
    assert signer.get(s).state == CONFIRMED
    # One ends as void, the other is signed: whoever still watches is told.
    call = signer.watch(s)
    first = [next(call) for _ in ids]
    assert {(o.approved, o.state) for o in first} == {(True, HELD)}
    assert all(o.reason and o.message_vi and o.number_text for o in first)
    refused(lambda: signer.refuse(ids[0], "x"), "RESULT_NOT_WAITING")
    refused(lambda: signer.preview(ids[0]), "RESULT_NOT_WAITING")
    desk.trien("held", "void", ids[1], "--reason", "x", "--data", desk.data)
    path.write_text(good)
    desk.hup()
    desk.trien("held", "retry", "--data", desk.data)
    last = {o.result_id: o.state for o in call}
    assert last == {ids[0]: STORED, ids[1]: VOID}
    assert run("watch", s.session_id).returncode == 1
    assert signer.get(s).state == DONE


def test_outcomes_after_a_restart(desk, signer):
    ids = submit(desk, [case() for _ in range(6)])
    s = signer.open(ids)
    signer.confirm(s)
    got = signer.outcomes(s)
    cursor = max(o.cursor for o in got.values())
    assert desk.stop() == 0
    desk.start(registers=False)
    signer = Signer(desk)
    assert signer.get(s).state == DONE
    assert list(signer.watch(s, cursor)) == []
    assert signer.outcomes(s) == got
    assert signer.confirm(s).approved == 6


def test_killed_behind_a_confirmation(desk, signer):
    """Whatever was answered is signed, once, in order; the session tells so."""
    ids = submit(desk, [case() for _ in range(120)])
    s = signer.open(ids)
    assert signer.confirm(s).approved == 120
    desk.kill()
    desk.start(registers=False)
    signer = Signer(desk)
    assert signer.confirm(s).approved == 120
    got = signer.outcomes(s)
    assert {(o.approved, o.state) for o in got.values()} == {(True, STORED)}
    assert numbers(desk, desk.stubs(), ids) == list(range(1, 121))
    assert desk.stop() == 0


@pytest.mark.parametrize("delay_ms", [0, 3, 8, 15, 25])
def test_killed_within_a_confirmation(desk, signer, delay_ms):
    """Nobody knows what came of the call: asked again, it says, and nothing is signed twice."""
    ids = submit(desk, [case() for _ in range(60)])
    s = signer.open(ids)
    call = signer.stub.ConfirmSession.future(signer.m.ConfirmSessionRequest(
        session_id=s.session_id, manifest_sha256=s.manifest_sha256), timeout=60)
    time.sleep(delay_ms / 1000)
    desk.kill()
    call.cancel()
    desk.start(registers=False)
    signer = Signer(desk)
    done = signer.confirm(s)
    assert done.state in (CONFIRMED, DONE) and done.approved == 60
    got = signer.outcomes(s)
    assert {(o.approved, o.state) for o in got.values()} == {(True, STORED)}
    assert numbers(desk, desk.stubs(), ids) == list(range(1, 61))
    assert desk.stop() == 0


def test_an_open_session_outlives_a_kill(desk, signer):
    ids = submit(desk, [case(), case()])
    s = signer.open(ids)
    desk.kill()
    desk.start(registers=False)
    signer = Signer(desk)
    assert signer.get(s).state == OPEN
    assert signer.manifest(s).manifest_sha256 == s.manifest_sha256
    assert signer.preview(ids[0])[1].file_sha256 == signer.manifest(s).items[0].preview_sha256
    assert signer.confirm(s).approved == 2
    assert numbers(desk, desk.stubs(), ids) == [1, 2]


def test_bounds(desk, signer):
    ids = submit(desk, [case()])
    refused(lambda: signer.open([]), "ARGUMENT_MISSING")
    refused(lambda: signer.open(ids * 2), "ARGUMENT_INVALID")
    refused(lambda: signer.open(["0" * 26] * 1001), "TOO_MANY")
    refused(lambda: signer.open(["nonsense"]), "RESULT_NOT_FOUND")
    refused(lambda: signer.open(["0" * 26]), "RESULT_NOT_WAITING")
    sessions = [signer.open(ids) for _ in range(32)]
    refused(lambda: signer.open(ids), "SESSIONS_SHARE")
    signer.cancel(sessions[0])
    signer.open(ids)


def test_a_thousand_at_once(desk, signer):
    ids = []
    for i in range(4):
        ids += submit(desk, [case() for _ in range(250)])
    rows = signer.waiting()
    assert len(rows) == 1000
    s = signer.open(ids)
    assert signer.confirm(s).approved == 1000
    got = signer.outcomes(s)
    assert {o.state for o in got.values()} == {STORED} and len(got) == 1000
    assert numbers(desk, desk.stubs(), ids) == list(range(1, 1001))


# ---- the console ----

def test_the_console(desk, tmp_path):
    ids = submit(desk, [urgent(case(name="Nguyễn Văn An")), case(), case()])
    run = lambda *args, **kw: desk.trien("sign", *args, "--data", desk.data, **kw)
    lines = run("list", "--signer", SIGNS).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ids
    assert "Nguyễn Văn An" in lines[0] and "1990-03-05" in lines[0] and KIND in lines[0]
    rows = json.loads(run("list", "--signer", SIGNS, "--json").stdout)
    assert [r["resultId"] for r in rows] == ids
    pdf = run("show", ids[0], text=False).stdout
    assert pdf.startswith(b"%PDF-1.7") and pdf == Signer(desk).preview(ids[0])[0]
    run("show", ids[0], "--output", tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == pdf
    refusal = run("refuse", ids[2], "--reason", "Sai họ tên")
    assert ids[2] in refusal.stdout
    asked = run("confirm", ids[0], "--signer", SIGNS, input="no\n", check=False)
    assert asked.returncode == 1 and "stays open" in asked.stderr
    wrong = run("confirm", ids[0], "--signer", SIGNS, "--sha256", "0" * 64, "--yes", check=False)
    assert wrong.returncode == 1
    done = run("confirm", "--all", "--signer", SIGNS, "--yes")
    assert "2 of 2 approved, 2 at their end" in done.stdout
    assert done.stdout.count("STORED") == 2 and "manifest SHA-256" in done.stdout
    assert run("list", "--signer", SIGNS).stderr == "nothing waits\n"
    assert desk.trien("sign", "confirm", "--data", desk.data, check=False).returncode == 2


def test_the_console_goes_on_with_a_session(desk):
    ids = submit(desk, [case(), case()])
    run = lambda *args, **kw: desk.trien("sign", *args, "--data", desk.data, **kw)
    s = json.loads(run("open", *ids, "--signer", SIGNS, "--json").stdout)
    assert s["state"] == "SESSION_OPEN"
    m = harness.modules()["issuance"]
    desk.trien("withdraw", ids[0], "--reason", "x", "--data", desk.data)
    done = run("confirm", "--session", s["sessionId"], "--yes", "--json", check=False)
    assert done.returncode == 1, "one was not approved"
    doc = json.loads(done.stdout)
    assert doc["session"]["approved"] == 1
    assert {o["resultId"]: o.get("reason", "") for o in doc["outcomes"]} == \
        {ids[0]: "NOT_WAITING", ids[1]: ""}
    watched = run("watch", s["sessionId"], check=False)
    assert watched.returncode == 1 and ids[1] in watched.stdout
    t = run("cancel", s["sessionId"], check=False)
    assert t.returncode != 0 and "SESSION_NOT_OPEN" in t.stderr
