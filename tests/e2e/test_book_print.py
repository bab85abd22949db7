"""The official books on paper: what has become of results stands in the notes, and a certification
book goes on from volume to volume."""
import datetime
import os
import re
import subprocess

import pytest

import harness
import originals
from copying import certify, copy_case, issue_copy
from sample import UNITS, send
from test_life import correct, get, issued, replacing, revoke

UNIT = UNITS[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    e = harness.Engine(tmp_path_factory.mktemp("print"))
    e.prepare().start(registers=False)
    e.open_registers(first=998)     # a volume of a certification book has 1,000
    yield e
    assert e.stop() == 0, e.log()


def printed(engine, path, code):
    engine.trien("register", "print", "--unit", UNIT, "--code", code, "--output", path,
                 "--connect", f"unix:{engine.data}/engine.sock",
                 env={**os.environ, "TRIEN_SCHEMAS": str(engine.schemas)})
    done = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True,
                           check=True, timeout=60).stdout.split("\f")[:-1]
    return pages


def rows(pages, form):
    """{number: all words of its row}; form: how its first line begins."""
    out = {}
    for page in pages:
        number = None
        for line in page.splitlines():
            found = re.match(form, line.strip())
            if found:
                number = int(found[1])
                out[number] = ""
            elif re.match(r"(Tổng cộng|Quyển số)", line.strip()):
                number = None
            if number is not None:
                out[number] += " " + " ".join(line.split())
    return out


def said(pages, form, number):
    return rows(pages, form)[number]


def has(text, *words):
    assert all(w in text for w in words), text


def lived(engine, stubs, first):
    """Four results: corrected, revoked, replaced, and the one in its place; as they stand."""
    corrected, revoked, replaced = (get(stubs, r.result_id) for r in first)
    for i in range(6):
        correct(stubs, get(stubs, corrected.result_id), number=f"{i + 10}/ĐC-UBND")
    correct(stubs, revoked, number="9/ĐC-UBND")
    revoke(stubs, get(stubs, revoked.result_id))
    return replaced


def today():
    return datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).strftime(
        "%d/%m/%Y")


def test_an_ordinary_register(shared, tmp_path):
    stubs = shared.stubs()
    results = issued(shared, stubs, 4)
    old = lived(shared, stubs, results[:3])
    new = send(stubs, [replacing(old)]).receipts[0]
    shared.wait_stored(stubs, [new.result_id])
    pages = printed(shared, tmp_path / "van-ban.pdf", "XNTTHN")
    form = r"(\d+)/XNTTHN-UBND +\d\d/"
    note = said(pages, form, 998)
    has(note, "Đính chính theo", *(f"{i}/ĐC-UBND" for i in range(12, 16)), today(),
        "trước đó: 2")
    assert "11/ĐC-UBND" not in note
    has(said(pages, form, 999), "Thu hồi theo", "45/QĐ-UBND", "9/ĐC-UBND", today())
    has(said(pages, form, 1000), "Được thay thế", "1002/XNTTHN-UBND", today())
    assert "thay thế" not in said(pages, form, 1001).lower()
    has(said(pages, form, 1002), "Thay thế số", "1000/XNTTHN-UBND", today())
    assert "Quyển số" not in "".join(pages)


def test_a_certification_book_of_two_volumes(shared, tmp_path):
    stubs = shared.stubs()
    cases = [copy_case() for _ in range(4)]
    cases[0].results[0].fields.add(name="le_phi").number.value = 12000
    receipts = [certify(stubs, c, originals.jpeg(quality=50 + i)) for i, c in enumerate(cases)]
    shared.wait_stored(stubs, [r.result_id for r in receipts])
    assert [r.number for r in receipts] == [998, 999, 1000, 1001]
    old = lived(shared, stubs, receipts[:3])
    c = copy_case(code=old.case_code)
    c.results[0].replaces, c.results[0].revision = old.result_id, 1
    new = certify(stubs, c, originals.jpeg(quality=70))
    shared.wait_stored(stubs, [new.result_id])
    pages = printed(shared, tmp_path / "chung-thuc.pdf", "SCT/BS")
    year = today()[-4:]
    assert len(pages) == 2
    for page, volume in zip(pages, (f"01/{year}-SCT/BS", f"02/{year}-SCT/BS")):
        assert f"Quyển số: {volume}" in page
        assert page.index("Quyển số") < page.index("Số chứng thực", page.index("Quyển số"))
    form = rf"(\d+)/{year}-SCT/BS +\d\d/"
    assert [sorted(rows([p], form)) for p in pages] == [[998, 999, 1000], [1001, 1002]]
    has(said(pages, form, 998), "Đính chính theo", "12/ĐC-UBND", today(),
        "Bằng tốt nghiệp", "Trần Thị Bích")
    assert " 01 12.000 " in said(pages, form, 998)
    assert not re.search(r" 01 \d", said(pages, form, 999))
    has(said(pages, form, 999), "Thu hồi theo", "45/QĐ-UBND", today())
    has(said(pages, form, 1000), "Được thay thế", f"1002/{year}-SCT/BS", today())
    has(said(pages, form, 1002), "Thay thế số", f"1000/{year}-SCT/BS", today())
    assert "5 số đã ban hành" in pages[1] and "đến số 1002" in " ".join(pages[1].split())


def test_copies_from_the_register(shared, tmp_path):
    """Their book is no certification book: it has no volumes, and an agency's number."""
    stubs = shared.stubs()
    (result,) = issued(shared, stubs)
    receipt = issue_copy(stubs, copy_case(kind="ban-sao-tu-so-goc"), result.result_id)
    shared.wait_stored(stubs, [receipt.result_id])
    pages = printed(shared, tmp_path / "so-goc.pdf", "BSSG")
    has(pages[0], "SỔ ĐĂNG KÝ VĂN BẢN ĐI", receipt.number_text)
    assert "Quyển số" not in pages[0]


def test_lives_are_told_where_they_are_asked_for(shared):
    stubs = shared.stubs()
    m = harness.modules()["audit"]

    def entries(**more):
        return {e.number: e for p in stubs.audit.ListRegister(m.ListRegisterRequest(
            unit=UNIT, code="XNTTHN", **more), timeout=30) for e in p.entries}

    plain, lives = entries(), entries(lives=True)
    assert {e.life for e in plain.values()} == {0} and not any(
        e.paper_number or e.replaced_by for e in plain.values())
    corrected, revoked, old, valid, new = (lives[n] for n in range(998, 1003))
    assert [e.life for e in (corrected, revoked, old, valid, new)] == [2, 4, 3, 1, 1]
    assert (corrected.paper_number, revoked.paper_number) == ("15/ĐC-UBND", "45/QĐ-UBND")
    assert [c.number for c in corrected.corrections] == [f"{i}/ĐC-UBND" for i in range(12, 16)]
    assert corrected.corrections_before == 2
    assert [c.number for c in revoked.corrections] == ["9/ĐC-UBND"]
    assert (old.replaced_by, old.replaced_by_number) == (new.result_id, new.number_text)
    assert old.replaced_by_time == new.issue_time and new.replaces_time == old.issue_time
    assert (new.replaces, new.replaces_number) == (old.result_id, old.number_text)
