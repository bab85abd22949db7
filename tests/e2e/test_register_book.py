"""The official book: every number of a register, whatever became of it, and what proves it."""
import datetime
import json
import os
import sqlite3
import subprocess

import grpc
import pytest

import harness
import postgres
from office import Signer, office_schemas, submit
from sample import KIND, UNITS, case, send
from test_clock import LIBRARY, Clock, in_vietnam, one
from test_held import held

ISSUED, PENDING, VOIDED, OUTSIDE = 1, 2, 3, 4
HELD = 5


def book(stubs, code="XNTTHN", unit=UNITS[0], **more):
    """(its head, its entries), message after message."""
    m = harness.modules()["audit"]
    parts = list(stubs.audit.ListRegister(
        m.ListRegisterRequest(unit=unit, code=code, **more), timeout=30))
    assert all(not p.HasField("register") for p in parts[1:])
    return parts[0].register, [e for p in parts for e in p.entries]


def without_key(engine, unit):
    """The officer's key of an agency is not valid any more: what it signs is held. The way back."""
    path = engine.data / "certs" / "keys.json"
    good = path.read_text()
    doc = json.loads(good)
    for key in doc["keys"]:
        if key["role"] == "person" and key["unit"] == unit:
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    path.write_text(json.dumps(doc))
    return lambda: path.write_text(good)


@pytest.fixture(scope="module", params=["embedded", "postgres"])
def office(request, tmp_path_factory):
    """An engine with a book in which numbers are issued, void and pending."""
    store, settings = harness.store_of(request.param)
    e = harness.Engine(tmp_path_factory.mktemp("book"), **settings)
    e.prepare()
    e.store_of = store
    e.good = without_key(e, UNITS[1])
    e.start()
    yield e
    e.kill()


def test_every_number_is_told(office):
    stubs = office.stubs()
    first = send(stubs, [case(unit=UNITS[1]) for _ in range(4)]).receipts
    harness.wait_for(lambda: len(held(office)) == 4)
    office.trien("held", "void", first[1].result_id, "--reason", "Cấp nhầm", "--connect",
                 f"unix:{office.data}/engine.sock")
    head, rows = book(stubs, unit=UNITS[1])
    assert (head.first, head.next, head.given, head.voided) == (1, 5, 4, 1)
    assert [(r.number, r.state) for r in rows] == [
        (1, PENDING), (2, VOIDED), (3, PENDING), (4, PENDING)]
    assert {r.progress for r in rows if r.state == PENDING} == {HELD}
    void = rows[1]
    assert (void.end_reason, void.end_actor, void.end_cause) == ("Cấp nhầm", "tester",
                                                                 "KEY_MISSING")
    assert void.end_time.ToMilliseconds() >= void.issue_time.ToMilliseconds()
    m = harness.modules()["operations"]
    with pytest.raises(grpc.RpcError) as e:
        stubs.operations.CloseRegister(m.CloseRegisterRequest(
            unit=UNITS[1], code="XNTTHN", reason="hết năm", with_total=True), timeout=20)
    assert harness.details(e.value)["reason"] == "REGISTER_INCOMPLETE"
    assert "number 1 is pending" in e.value.details()
    office.good()
    office.hup()
    office.trien("held", "retry", "--connect", f"unix:{office.data}/engine.sock")
    office.wait_stored(stubs, [r.result_id for i, r in enumerate(first) if i != 1])
    book(stubs, unit=UNITS[1])
    assert "with its recipients" not in office.log()
    head, rows = book(stubs, unit=UNITS[1], recipients=True)
    told, = (x for x in office.log().splitlines() if "with its recipients" in x)
    assert f"register {UNITS[1]} XNTTHN {head.year} is listed" in told and told.endswith(": tester")
    assert [(r.number, r.state) for r in rows] == [
        (1, ISSUED), (2, VOIDED), (3, ISSUED), (4, ISSUED)]
    for r, was in zip(rows, first):
        assert (r.number_text, r.result_id) == (was.number_text, was.result_id)
        assert (r.issue_time, r.case_code) == (was.issue_time, was.case_code)
        assert r.kind_name == "Giấy xác nhận tình trạng hôn nhân" and not r.damaged
    assert rows[0].signer_name == "Đỗ Quang Vinh" and rows[0].recipients == ["Trần Thị Bích Ngọc"]
    listed = office.trien("register", "list", "--unit", UNITS[1], "--code", "XNTTHN",
                          "--recipients", "--connect", f"unix:{office.data}/engine.sock").stdout
    assert listed.count("to Trần Thị Bích Ngọc\n") == 3
    assert book(stubs, unit=UNITS[1], after_number=2)[1][0].number == 3
    office.kill()
    office.start(registers=False)
    assert book(office.stubs(), unit=UNITS[1], recipients=True) == (head, rows)


def test_a_book_is_read_while_it_is_written(office):
    """Whatever is on its way between journal, waiting room and store: no number is missed."""
    stubs = office.stubs()
    futures = [stubs.issuance.SubmitBatch.future(_batch(40), timeout=60) for _ in range(10)]
    last = 0
    while last < 400:
        head, rows = book(stubs)
        assert [r.number for r in rows] == list(range(1, head.next))
        last = sum(r.state == ISSUED for r in rows)
    assert all(not f.result().rejects for f in futures)


def _batch(n):
    return harness.modules()["issuance"].SubmitBatchRequest(cases=[case() for _ in range(n)])


def test_who_may_read(office):
    stubs = office.stubs()
    office.principals([
        {"name": "tester", "roles": ["audit"], "units": [UNITS[1]], "uids": []},
    ])
    office.hup()
    try:
        assert book(stubs, unit=UNITS[1])[0].next == 5
        for more, reason in (({}, "UNIT_DENIED"), ({"unit": UNITS[1], "recipients": True},
                                                   "ROLE_MISSING")):
            with pytest.raises(grpc.RpcError) as e:
                book(stubs, **more)
            assert harness.details(e.value)["reason"] == reason
    finally:
        office.prepare_principals()
        office.hup()
    for more, reason in (({"code": ""}, "ARGUMENT_MISSING"), ({"code": "X" * 41},
                                                              "ARGUMENT_INVALID"),
                         ({"code": "KHONG"}, "REGISTER_NOT_FOUND"),
                         ({"year": 2021}, "REGISTER_NOT_FOUND")):
        with pytest.raises(grpc.RpcError) as e:
            book(stubs, **more)
        assert harness.details(e.value)["reason"] == reason


# ---- the command line ----

def cli(engine, *words, check=True):
    return engine.trien("register", *words, "--connect", f"unix:{engine.data}/engine.sock",
                        check=check)


def findings(engine, *words):
    """What `check` finds: (exit code, {(number, fault)})."""
    done = cli(engine, "check", *words, "--json", check=False)
    doc = json.loads(done.stdout)
    assert all(f["what"] and f["todo"] for f in doc["findings"])
    return done.returncode, {(f["number"], f["fault"]) for f in doc["findings"]}


def test_a_whole_book_is_said_to_be_so(office, tmp_path):
    done = cli(office, "check")
    assert f"{UNITS[1]} XNTTHN" in done.stdout
    assert "1 to 4: 3 issued, 0 pending, 1 void, 0 used outside: whole" in done.stdout
    assert "NOT WHOLE" not in done.stdout
    names = ("--unit", UNITS[1], "--code", "XNTTHN")
    listing = cli(office, "list", *names, "--json").stdout
    doc = json.loads(listing)
    assert [e["state"] for e in doc["entries"]] == ["ISSUED", "VOIDED", "ISSUED", "ISSUED"]
    assert "Cấp nhầm" in cli(office, "list", *names).stdout
    path = tmp_path / "copy.json"

    def verdict(change):
        copy = json.loads(listing)
        change(copy["entries"])
        path.write_text(json.dumps(copy))
        done = office.trien("register", "check", "--file", path, check=False)
        assert "number" in done.stdout or done.returncode == 0
        return done.returncode, done.stdout

    assert verdict(lambda rows: None)[0] == 0
    code, said = verdict(lambda rows: rows.pop(2))
    assert code == 1 and "number 3 stands nowhere" in said
    code, said = verdict(lambda rows: rows.insert(2, dict(rows[2], resultId="0" * 26)))
    assert code == 1 and "number 3 is claimed by two results" in said
    early = f"{doc['register']['year']}-01-02T00:00:00Z"
    code, said = verdict(lambda rows: rows[2].update(issueTime=early))
    assert code == 1 and "number 3 was given on" in said and "TIME" in said
    code, said = verdict(lambda rows: rows[1].pop("endReason"))
    assert code == 1 and "number 2 is void without a reason" in said
    assert office.trien("register", "check", "--file", "/none", check=False).returncode == 65
    for wrong in (("close-year", "x", "--reason", "r"), ("list", "--code", "XNTTHN"), ("none",),
                  ("open-year", "--reason", "r"), ("open-year", "2027"), ("print",)):
        assert cli(office, *wrong, check=False).returncode == 2
    year = str(datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).year)
    assert cli(office, "close-year", year, "--reason", "r", check=False).returncode == 2


def text_of(pdf):
    return subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True,
                          check=True, timeout=60).stdout


def test_a_book_on_paper(office, tmp_path):
    """In the form of the law, from the same data; each page says which book it is of."""
    short, long, certified = (tmp_path / n for n in ("a.pdf", "b.pdf", "c.pdf"))
    env = {**os.environ, "TRIEN_SCHEMAS": str(office.schemas)}

    def printed(path, unit, *words, check=True):
        return office.trien("register", "print", "--unit", unit, "--code", "XNTTHN", *words,
                            "--output", path, "--connect", f"unix:{office.data}/engine.sock",
                            env=env, check=check)

    printed(short, UNITS[1])
    printed(long, UNITS[0])
    printed(certified, UNITS[1], "--form", "chung-thuc")
    assert printed(short, UNITS[1], "--form", "x", check=False).returncode == 2
    for path in (short, long, certified):
        done = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert path.stat().st_mode & 0o777 == 0o600
    text = text_of(short)
    for words in ("SỔ ĐĂNG KÝ VĂN BẢN ĐI", "Số, ký hiệu", "Nơi nhận văn bản", "Ghi chú", "(8)",
                  "01/XNTTHN-UBND", "Đỗ Quang Vinh", "Trần Thị Bích Ngọc", "Số bị hủy", "nhầm",
                  "3 số đã ban hành, 1 số bị hủy", "ỦY BAN NHÂN DÂN"):
        assert words in text, words
    assert "001099000001" not in text and "1990" not in text
    text = text_of(certified)
    assert "SỔ CHỨNG THỰC BẢN SAO TỪ BẢN CHÍNH" in text and "CHỦ TỊCH" in text
    pages = text_of(long).split("\f")[:-1]
    assert len(pages) > 10 and all("Người ký" in p for p in pages)
    assert all("Sổ đăng ký văn bản đi năm" in p for p in pages[1:])
    assert sum(p.count("/XNTTHN-UBND") for p in pages) == 400


def plant(engine):
    """Damages the book of a stopped engine: 3 is lost, 4 leads to what is another number's."""
    if engine.settings.get("store") == "postgres":
        engine.store_of.sql(f"DELETE FROM number_register WHERE number = 3 AND unit = '{UNITS[1]}'")
        engine.store_of.sql("UPDATE number_register SET (sequence, result_lane) = (SELECT sequence,"
                            f" result_lane FROM number_register WHERE number = 1 AND unit = "
                            f"'{UNITS[1]}') WHERE number = 4 AND unit = '{UNITS[1]}'")
        return
    db = sqlite3.connect(engine.data / "store" / "index.db")
    with db:
        of = "register = (SELECT id FROM register WHERE unit = ? AND code = 'XNTTHN')"
        db.execute(f"DELETE FROM number_register WHERE number = 3 AND {of}", (UNITS[1],))
        db.execute("UPDATE number_register SET (sequence, position) = (SELECT sequence, position "
                   f"FROM number_register WHERE number = 1 AND {of}) WHERE number = 4 AND {of}",
                   (UNITS[1], UNITS[1]))
    db.close()


def test_a_damaged_copy_is_said_to_be_so(office):
    """The last one of this engine: its store is damaged."""
    assert findings(office)[0] == 0
    head = book(office.stubs(), unit=UNITS[1])[0]
    assert (head.opened_by, head.open_reason) == ("tester", "test")
    assert office.stop() == 0
    plant(office)
    office.start(registers=False)
    assert book(office.stubs(), unit=UNITS[1])[0] == head
    assert findings(office, "--unit", UNITS[1]) == (1, {(3, "MISSING"), (4, "DAMAGED")})
    assert findings(office, "--unit", UNITS[0])[0] == 0
    done = cli(office, "close-year", "2020", "--reason", "hết năm", check=False)
    assert done.returncode == 3 and "2020" in done.stderr


# ---- the turn of the year ----

@pytest.fixture
def led(tmp_path):
    """Its clock is the test's; two kinds share one series, and one of them waits for approval."""
    schemas = office_schemas(tmp_path / "schemas")
    twin = schemas / "results" / "xac-nhan-doc-than.json"
    doc = json.loads((harness.ROOT / "schemas/results" / f"{KIND}.json").read_text())
    doc["code"] = twin.stem
    twin.write_text(json.dumps(doc, ensure_ascii=False))
    e = harness.Engine(tmp_path / "e", schemas=schemas, crl_hours_max="8760")
    e.prepare()
    clock = Clock(e)
    yield e, clock
    e.kill()


def at_once():
    c = case()
    c.results[0].kind = "xac-nhan-doc-than"
    return c


@pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")
def test_the_turn_of_the_year(led):
    engine, clock = led
    midnight = in_vietnam(2027, 1, 1)
    clock.set(midnight - datetime.timedelta(minutes=2))
    engine.start()

    def trien(*words, **kw):
        return engine.trien("register", *words, "--connect", f"unix:{engine.data}/engine.sock",
                            env=engine.environment, **kw)

    opening = ("open-year", "2027", "--reason", "Mở sổ năm 2027")
    assert f"{UNITS[0]} XNTTHN 2027: opened at 1" in trien(*opening).stdout
    assert trien(*opening).stdout == ""
    early = trien("open-year", "2029", "--reason", "x", check=False)
    assert early.returncode == 3 and "open-year 2028" in early.stderr
    done = trien("open", "--unit", UNITS[0], "--code", "XNTTHN", "--year", "2030", "--reason", "x",
                 check=False)
    assert done.returncode == 1 and "this year or the next one" in done.stderr
    assert trien("close-year", "2026", "--reason", "x", check=False).returncode == 2

    stubs = engine.stubs()
    waiting = submit(engine, [case() for _ in range(3)])
    desk = Signer(engine)
    assert desk.confirm(desk.open(waiting[:2])).approved == 2
    receipts = [one(stubs, at_once())]
    clock.set(midnight - datetime.timedelta(seconds=2))
    while receipts[-1].issue_time.ToDatetime(datetime.timezone.utc) < midnight:
        receipts.append(one(stubs, at_once()))
    # Submitted last year, confirmed in this one.
    assert desk.confirm(desk.open(waiting[2:])).approved == 1
    receipts.append(one(stubs, at_once()))
    got = engine.wait_stored(stubs, waiting + [r.result_id for r in receipts])
    for r in got.values():
        given = r.issue_time.ToDatetime(datetime.timezone.utc)
        assert r.register_year == (2026 if given < midnight else 2027)
    assert {got[i].register_year for i in waiting} == {2026, 2027}
    last = [got[r.result_id] for r in receipts[-2:]]
    assert [(r.register_year, r.number) for r in last] == [(2027, 1), (2027, 3)]
    assert trien("check").stdout.count("NOT WHOLE") == 0

    # Two papers by hand on the last evening are told of in the new year: last year's next numbers.
    old = len([r for r in got.values() if r.register_year == 2026])
    using = ("use", "--unit", UNITS[0], "--code", "XNTTHN", "--count", "2", "--reason", "Viết tay")
    assert trien(*using, "--next", old + 1, check=False).returncode == 1
    trien(*using, "--next", old + 1, "--year", "2026")
    for year, taken in (("2027", 3), ("2026", old + 2)):
        done = trien(*using, "--next", taken + 2, "--year", year, check=False)
        assert done.returncode == 1 and f"next number is {taken + 1}" in done.stderr
    assert trien("check").stdout.count("NOT WHOLE") == 0
    closing = ("close-year", "2026", "--reason", "Khóa sổ năm 2026")
    given = old + 2
    said = f"{UNITS[0]} XNTTHN 2026: closed: {given} given, 1 to {given}: {old} issued, 0 void"
    assert said in trien(*closing).stdout
    assert trien(*closing).stdout == ""
    assert "closed" in trien(*using, "--next", given + 1, "--year", "2026", check=False).stderr
    engine.kill()
    engine.start(registers=False)
    head, rows = book(engine.stubs(), year=2026)
    assert len(rows) == given and head.closed
    assert (head.closed_by, head.close_reason) == ("tester", "Khóa sổ năm 2026")
    assert head.close_time.ToDatetime(datetime.timezone.utc) > midnight
    total = head.total
    assert (total.given, total.first_number, total.last_number, total.issued,
            total.voided, total.used_outside) == (given, 1, given, old, 0, 2)
    head = book(engine.stubs(), year=2027)[0]
    assert (head.opened_by, head.open_reason) == ("tester", "Mở sổ năm 2027")
    assert one(engine.stubs(), at_once()).number == 4
    pdf = engine.folder / "book.pdf"
    trien("print", "--unit", UNITS[0], "--code", "XNTTHN", "--year", "2026", "--output", pdf)
    text = " ".join(text_of(pdf).split())
    assert f"từ số 01 đến số {given:02}: {old} số đã ban hành" in text
    assert "2 số cấp ngoài hệ thống" in text
    assert "Khóa sổ ngày 01 tháng 01 năm 2027: Khóa sổ năm 2026. Người thực hiện: tester." in text

    # A series goes on by itself behind its closed book, and over a year without a number; one that
    # somebody ended does not, though it got its total with the others.
    ended = ("--unit", UNITS[1], "--code", "XNTTHN")
    trien("close", *ended, "--year", "2027", "--reason", "Sáp nhập")
    harness.wait_for(lambda: trien("check", check=False).returncode == 0)
    engine.kill()
    clock.set(in_vietnam(2028, 1, 3))
    engine.start(registers=False)
    assert f"{UNITS[1]} XNTTHN 2027: closed: 0 given" in trien(
        "close-year", "2027", "--reason", "Khóa sổ năm 2027").stdout
    said = trien("open-year", "2028", "--reason", "Mở sổ năm 2028", "--unit", UNITS[1]).stdout
    assert f"{UNITS[1]} XNTTHN 2027: closed, not opened anew" in said and "XNTTHN 2028" not in said
    engine.kill()
    clock.set(in_vietnam(2029, 2, 1))
    engine.start(registers=False)
    assert one(engine.stubs(), at_once()).number == 1
    assert {(r.unit, r.first, r.next) for r in engine.registers()
            if r.year == 2029 and r.code == "XNTTHN"} == {(UNITS[0], 1, 2)}
    c = case(unit=UNITS[1])
    c.results[0].kind = "xac-nhan-doc-than"
    refused, = send(engine.stubs(), [c]).rejects
    assert (refused.reason, refused.detail) == ("REGISTER_NOT_OPEN", "XNTTHN 2029")
    assert trien("check").returncode == 0
