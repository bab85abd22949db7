"""VerifyDocument: the verdict on a file, whether it is the one that was issued, and its life."""
import datetime
import hashlib
import io
import json
import re

import grpc
import jsonschema
import pytest
from PIL import Image

import harness
import postgres
from copying import certify, copy_case
from outage import engine_on
from sample import UNITS, case, send
from test_life import (CORRECTED, EXPIRED, REPLACED, RESTRICTED, REVOKED, SHOWN, VALID, caller,
                       correct, get, issued, refused, replacing, revoke, show, today)

PASSED, FAILED, UNDETERMINED = 1, 2, 3
ISSUED, DIFFERENT, UNKNOWN, PENDING = 1, 2, 3, 4                # VerifyDocumentResponse.Standing
CITIZEN = "001099000001"


def verify(stubs, document=None, **kw):
    m = harness.modules()["audit"]
    q = m.VerifyDocumentRequest(**kw)
    if document is not None:
        q.document = document
    return stubs.audit.VerifyDocument(q, timeout=20)


def reads(stubs, result_id):
    m = harness.modules()["repository"]
    page = stubs.repository.ListReads(m.ListReadsRequest(result_id=result_id), timeout=20)
    return [(r.reader, r.call) for r in page.reads]


def test_what_an_issued_file_says(shared, stubs):
    r, = issued(shared, stubs)
    file = shared.download(stubs, r.result_id)[0]
    before = reads(stubs, r.result_id)
    a = verify(stubs, file)
    assert (a.verdict, a.indication, a.why, a.standing) == (PASSED, "", "", ISSUED)
    assert (a.file_size, a.file_sha256) == (len(file), hashlib.sha256(file).digest())
    assert [(s.verdict, s.unit) for s in a.signatures] == [(PASSED, r.unit)] * 2
    assert a.signatures[-1].covered_bytes == len(file) and a.signatures[0].certifies
    d = a.issued
    assert (d.result_id, d.unit, d.kind, d.number_text, d.issue_time, d.life) == \
        (r.result_id, r.unit, r.kind, r.number_text, r.issue_time, VALID)
    assert (d.unit_name, d.kind_name) == ("Ủy ban nhân dân phường Lạc Xuân",
                                          "Giấy xác nhận tình trạng hôn nhân")
    assert list(d.signatures) == list(r.signatures)
    assert not d.HasField("life_time") and d.paper_number == "" and a.result_id == ""
    # By what is left of it when it is too large to be sent: nobody looked at its bytes.
    b = verify(stubs, result_id=r.result_id.lower(), file_sha256=a.file_sha256)
    assert (b.verdict, b.standing, b.issued, len(b.signatures)) == (0, ISSUED, d, 0)
    # Whoever has it in hand learns nothing that needs to be noted.
    assert reads(stubs, r.result_id) == before
    whole = verify(stubs, result_id=r.result_id)
    assert whole == a
    assert reads(stubs, r.result_id) == [("tester", 7), *before]


def test_each_act_changes_the_answer(shared, stubs, tmp_path):
    """At once; the file is what it was, and so is the verdict on its bytes."""
    corrected, revoked, replaced, both = issued(shared, stubs, 4)
    paper, = issued(shared, stubs)
    files = {r.result_id: shared.download(stubs, r.result_id)[0]
             for r in (corrected, revoked, replaced, both)}
    correct(stubs, corrected, paper_result_id=paper.result_id, ground="Sai chính tả")
    revoke(stubs, revoked)
    revoke(stubs, both, etag=correct(stubs, both, ground="Sai ngày").etag, number="46/QĐ-UBND")
    new = send(stubs, [replacing(replaced)]).receipts[0].result_id
    shared.wait_stored(stubs, [new])

    def life(r):
        a = verify(stubs, files[r.result_id])
        assert (a.verdict, a.standing, a.issued.result_id) == (PASSED, ISSUED, r.result_id)
        assert a.issued.life == get(stubs, r.result_id).life
        return a.issued

    d = life(corrected)
    assert (d.life, d.paper_number, d.ground, d.paper_unit, d.paper_result_id) == \
        (CORRECTED, "12/ĐC-UBND", "Sai chính tả", UNITS[0], paper.result_id)
    d = life(revoked)
    assert (d.life, d.paper_number, d.ground) == (REVOKED, "45/QĐ-UBND", "Cấp sai đối tượng")
    said = d.paper_date
    assert datetime.date(said.year, said.month, said.day) == today()
    assert d.life_time.ToMilliseconds() > d.issue_time.ToMilliseconds()
    d = life(both)
    assert (d.life, d.paper_number, d.ground) == (REVOKED, "46/QĐ-UBND", "Cấp sai đối tượng")
    d = life(replaced)
    assert (d.life, d.replaced_by, d.paper_number) == (REPLACED, new, "")
    assert d.life_time.ToMilliseconds() > d.issue_time.ToMilliseconds()
    assert verify(stubs, shared.download(stubs, new)[0]).issued.replaces == replaced.result_id
    # What a person is told.
    by_decision = f"thu hồi theo quyết định số 45/QĐ-UBND ngày {today():%d/%m/%Y}"
    for r, word, code in ((corrected, "đã đính chính theo công văn số 12/ĐC-UBND", 0),
                          (revoked, by_decision, 1),
                          (replaced, f"thay thế bởi kết quả {new}", 1), (paper, "Còn hiệu lực", 0)):
        path = tmp_path / f"{r.result_id}.pdf"
        path.write_bytes(files.get(r.result_id) or shared.download(stubs, r.result_id)[0])
        done = shared.trien("verify", path, "--engine", "--data", shared.data, check=False)
        assert done.returncode == code, done
        assert "TOTAL-PASSED" in done.stdout and word in done.stdout and not done.stderr
    alone = shared.trien("verify", path, "--data", shared.data).stdout
    assert "Chưa hỏi kết quả này còn hiệu lực hay không." in alone
    done = shared.trien("verify", *tmp_path.glob("*.pdf"), "--engine", "--quiet", "--data",
                        shared.data, check=False)
    assert done.returncode == 1 and done.stdout.count("TOTAL-PASSED\n  Tệp ") == 2


def test_expired(shared, stubs):
    c = next(c for c in map(harness.as_case, harness.generated(400, seed=7))
             if any(f.name == "den_ngay" for r in c.results for f in r.fields))
    next(f for r in c.results for f in r.fields if f.name == "den_ngay").date.year -= 3
    stored = shared.wait_stored(stubs, [r.result_id for r in send(stubs, [c]).receipts])
    r = next(r for r in stored.values() if r.valid_until.year)
    a = verify(stubs, shared.download(stubs, r.result_id)[0])
    assert (a.verdict, a.issued.life, a.issued.valid_until) == (PASSED, EXPIRED, r.valid_until)
    ended = a.issued.life_time.ToDatetime()
    assert (ended.hour, ended.minute) == (17, 0)                # midnight in Vietnam


def test_changed_bytes_and_foreign_files(shared, stubs, tmp_path):
    r, other = issued(shared, stubs, 2)
    file = shared.download(stubs, r.result_id)[0]
    trailer = file.rindex(b"/ID[<")
    for at in (0, len(file) // 2, file.index(b"/Contents"), len(file) - 2):
        changed = bytearray(file)
        changed[at] ^= 1
        a = verify(stubs, bytes(changed))
        assert (a.standing, a.result_id) == (DIFFERENT, r.result_id) and a.verdict != PASSED, at
        # Who made it up learns nothing of the one that it pretends to be.
        assert not a.HasField("issued")
    path = tmp_path / "changed.pdf"
    path.write_bytes(changed)
    done = shared.trien("verify", path, "--engine", "--data", shared.data, check=False)
    assert done.returncode == 1 and f"KHÔNG phải tệp đã được cấp là {r.result_id}" in done.stdout
    longer = verify(stubs, file + b"\n")
    assert (longer.verdict, longer.standing) == (FAILED, DIFFERENT)
    # Its own bytes under another's name; no name; no PDF at all; another office's.
    renamed = file.replace(file[trailer + 5:trailer + 37],
                           verify_id(shared.download(stubs, other.result_id)[0]))
    a = verify(stubs, renamed)
    assert (a.verdict, a.standing, a.result_id) == (FAILED, DIFFERENT, other.result_id)
    for foreign in (file[:file.index(b"/ID[<")], b"%PDF-1.7\n", b"\0" * 100, b"x"):
        a = verify(stubs, foreign)
        assert (a.verdict != PASSED, a.standing, a.HasField("issued")) == (True, UNKNOWN, False)
    with harness.Engine(tmp_path / "other") as e:
        e.prepare(own_keys=True).start()
        theirs, = issued(e, e.stubs())
        path.write_bytes(e.download(e.stubs(), theirs.result_id)[0])
    a = verify(stubs, path.read_bytes())
    assert (a.verdict, a.indication) == (UNDETERMINED, "NO_CERTIFICATE_CHAIN_FOUND")
    assert a.standing == UNKNOWN
    done = shared.trien("verify", path, "--engine", "--json", "--data", shared.data, check=False)
    assert done.returncode == 1
    row, = json.loads(done.stdout)
    assert (row["verdict"], row["engine"]["standing"]) == ("INDETERMINATE", "UNKNOWN")


def test_evidence_that_is_added_makes_no_other_file(shared, stubs, tmp_path, monkeypatch):
    stamping = pytest.importorskip("stamping")
    stamping.no_new_metadata(monkeypatch)
    r, = issued(shared, stubs)
    file = shared.download(stubs, r.result_id)[0]
    stamped = stamping.Authority(tmp_path).stamped(file)
    a = verify(stubs, stamped)
    assert (a.verdict, a.standing, a.added_bytes) == (PASSED, ISSUED, len(stamped) - len(file))
    assert (a.issued.result_id, a.issued.life, a.result_id) == (r.result_id, VALID, "")
    assert (a.file_size, a.file_sha256) == (len(stamped), hashlib.sha256(stamped).digest())
    # What is added has to be evidence, behind what was issued.
    changed = bytearray(stamped)
    changed[len(file) // 2] ^= 1
    for wrong in (stamped + b"\n", stamped.replace(b"/DocTimeStamp", b"/DocTimeStamq"),
                  bytes(changed)):
        b = verify(stubs, wrong)
        assert (b.verdict, b.standing, b.added_bytes) == (FAILED, DIFFERENT, 0)
    path = tmp_path / "stamped.pdf"
    path.write_bytes(stamped)
    row, = report(shared, path, "--engine")
    assert (row["standing"], row["addedBytes"]) == ("ISSUED", a.added_bytes)
    assert row["sentences"]["vi"][0].endswith("phía sau chỉ có bằng chứng được bổ sung).")
    done = shared.trien("verify", path, "--engine", "--data", shared.data, check=False)
    assert done.returncode == 0 and "Còn hiệu lực." in done.stdout


def report(shared, *words):
    """As `trien verify --json` has it, of the published form."""
    rows = json.loads(shared.trien("verify", "--json", "--data", shared.data, *words,
                                   check=False).stdout)
    schema = json.loads((harness.ROOT / "schemas" / "verification-report.json").read_text())
    checker = jsonschema.Draft202012Validator(schema)
    for row in rows:
        checker.validate(row)
    with pytest.raises(jsonschema.ValidationError):
        checker.validate(rows[0] | {"standing": "PERHAPS"})
    return rows


def test_the_report_is_of_the_published_form(shared, stubs, tmp_path):
    r, gone = issued(shared, stubs, 2)
    revoke(stubs, gone)
    good, changed, none = (tmp_path / f"{n}.pdf" for n in ("good", "changed", "none"))
    good.write_bytes(shared.download(stubs, r.result_id)[0])
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    none.write_bytes(b"no PDF")
    revoked = tmp_path / "revoked.pdf"
    revoked.write_bytes(shared.download(stubs, gone.result_id)[0])
    a, b, c, d = report(shared, good, changed, none, revoked)
    assert [x["verdict"] for x in (a, b, c, d)] == ["TOTAL-PASSED", "TOTAL-FAILED", "TOTAL-FAILED",
                                                   "TOTAL-PASSED"]
    assert (a["form"], a["resultId"], a["standing"]) == ("OWN", r.result_id, "NOT_ASKED")
    said = a["document"]
    assert (said["unit"], said["kind"], said["number"]) == (r.unit, r.kind, r.number_text)
    assert [s["unit"] for s in a["signatures"]] == [r.unit] * 2
    assert "document" not in c and c["signatures"] == []
    a, b, c, d = report(shared, good, changed, none, revoked, "--engine")
    assert [x["standing"] for x in (a, b, c, d)] == ["ISSUED", "DIFFERENT", "UNKNOWN", "ISSUED"]
    assert (a["issued"]["life"], d["issued"]["life"]) == ("VALID", "REVOKED")
    assert d["issued"]["paperNumber"] == "45/QĐ-UBND"
    for lang in ("vi", "en"):
        told = shared.trien("verify", revoked, "--engine", "--lang", lang, "--data", shared.data,
                            check=False).stdout.splitlines()
        assert [line.strip() for line in told[1:4]] == d["sentences"][lang]
    assert shared.trien("verify", good, "--lang", "fr", check=False).returncode == 2


def verify_id(file):
    return re.search(rb"/ID\[<([0-9a-fA-F]{32})>", file).group(1)


def test_what_is_wrong_with_a_question(shared, stubs):
    r, = issued(shared, stubs)
    for q, field in ((dict(), "document"), (dict(document=b"x", result_id=r.result_id), "document"),
                     (dict(document=b"x", file_sha256=b"y" * 32), "file_sha256"),
                     (dict(result_id=r.result_id, file_sha256=b"y"), "file_sha256")):
        assert refused("INVALID_ARGUMENT", "ARGUMENT_INVALID", verify, stubs, **q)["fields"] == \
            [field]
    a = verify(stubs, result_id=r.result_id, file_sha256=b"y" * 32)
    assert (a.standing, a.result_id, a.HasField("issued")) == (DIFFERENT, r.result_id, False)
    for unknown in ("0" * 26, "x"):
        refused("NOT_FOUND", "RESULT_NOT_FOUND", verify, stubs, result_id=unknown)
        a = verify(stubs, result_id=unknown, file_sha256=b"y" * 32)
        assert (a.standing, a.result_id) == (UNKNOWN, "")
    # The largest that one request takes, and one that is larger.
    assert verify(stubs, b"\0" * ((2 << 20) - 64)).standing == UNKNOWN
    with pytest.raises(grpc.RpcError) as e:
        verify(stubs, b"\0" * (2 << 20))
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_who_may_ask(shared, stubs):
    m = harness.modules()["repository"]
    r, = issued(shared, stubs, number=CITIZEN)
    file = shared.download(stubs, r.result_id)[0]
    why = m.Purpose(purpose="Đăng ký kết hôn", legal_basis="Điều 18 Luật Hộ tịch", case_code="H1")
    before = reads(stubs, r.result_id)
    with caller(shared, "read", "submit", units=[UNITS[1]]):
        # Another agency, with the paper in hand; and without it.
        assert verify(stubs, file).issued.life == VALID
        refused("NOT_FOUND", "RESULT_NOT_FOUND", verify, stubs, result_id=r.result_id)
    with caller(shared, "reuse", units=[UNITS[1]]):
        refused("INVALID_ARGUMENT", "ARGUMENT_MISSING", verify, stubs, result_id=r.result_id)
        assert verify(stubs, result_id=r.result_id, purpose=why).verdict == PASSED
    assert reads(stubs, r.result_id) == [("tester", 7), *before]
    with caller(shared, "portal"):
        who = m.Person(id_kind=1, number=CITIZEN)
        assert verify(stubs, result_id=r.result_id, as_holder=who).standing == ISSUED
        who.number = "001099000777"
        refused("NOT_FOUND", "RESULT_NOT_FOUND", verify, stubs, result_id=r.result_id,
                as_holder=who)
    assert reads(stubs, r.result_id) == [("tester", 7), *before]
    # Restricted by decision: to the world there is no such result.
    act = show(stubs, r, RESTRICTED)
    with caller(shared, "portal", "submit"):
        a = verify(stubs, file)
        assert (a.verdict, a.standing, a.HasField("issued")) == (PASSED, UNKNOWN, False)
        refused("NOT_FOUND", "RESULT_NOT_FOUND", verify, stubs, result_id=r.result_id)
    with caller(shared, "audit", units=[UNITS[0]]):
        assert verify(stubs, file).standing == ISSUED
    show(stubs, r, SHOWN, etag=act.etag)
    with caller(shared, "portal"):
        assert verify(stubs, file).standing == ISSUED


def test_certificates_are_read_again(shared, stubs, tmp_path):
    """Whom the office trusts from now on, it passes from now on; issued here it was not."""
    with harness.Engine(tmp_path / "other") as e:
        e.prepare(own_keys=True).start()
        theirs, = issued(e, e.stubs())
        file = e.download(e.stubs(), theirs.result_id)[0]
    certs = shared.data / "certs"
    added = [certs / f"other-{path.name}" for path in (e.data / "certs").glob("*.crl")]
    added.append(certs / "other-root.pem")
    assert verify(stubs, file).verdict == UNDETERMINED
    try:
        for path in added:
            path.write_bytes((e.data / "certs" / path.name.removeprefix("other-")).read_bytes())
        assert verify(stubs, file).verdict == UNDETERMINED
        shared.hup()
        a = verify(stubs, file)
        assert (a.verdict, a.standing) == (PASSED, UNKNOWN)
    finally:
        for path in added:
            path.unlink()
        shared.hup()
    assert verify(stubs, file).verdict == UNDETERMINED


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_while_the_store_is_away(tmp_path):
    """The verdict is the bytes' alone; what became of it is told once the store is back."""
    cluster = postgres.Cluster(durable=True).start()
    try:
        with engine_on(tmp_path, postgres.Store(cluster)) as e:
            stubs = e.stubs()
            r, = issued(e, stubs)
            file = e.download(stubs, r.result_id)[0]
            path = tmp_path / "a.pdf"
            path.write_bytes(file)
            cluster.stop()
            harness.wait_for(lambda: verify(stubs, file).standing == PENDING)
            a = verify(stubs, file)
            assert (a.verdict, a.HasField("issued")) == (PASSED, False)
            assert revoke(stubs, r).pending
            done = e.trien("verify", path, "--engine", "--data", e.data, check=False)
            assert done.returncode == 3 and "hãy hỏi lại" in done.stdout
            refused("UNAVAILABLE", "STORE_AWAY", verify, stubs, result_id=r.result_id)
            cluster.start()
            harness.wait_for(lambda: verify(stubs, file).issued.life == REVOKED)
            assert e.stop() == 0
    finally:
        cluster.remove()


def test_a_file_too_large_for_a_request(shared, stubs, tmp_path):
    """A copy with its scan: told by id and SHA-256, and by its id alone its bytes are judged."""
    image = io.BytesIO()
    Image.effect_noise((1600, 1600), 90).save(image, "JPEG", quality=95)
    r = certify(stubs, copy_case(), image.getvalue())
    shared.wait_stored(stubs, [r.result_id])
    file = shared.download(stubs, r.result_id)[0]
    assert len(file) > 2 << 20
    a = verify(stubs, result_id=r.result_id, file_sha256=hashlib.sha256(file).digest())
    assert (a.verdict, a.standing, a.issued.life) == (0, ISSUED, VALID)
    a = verify(stubs, result_id=r.result_id)
    assert (a.verdict, a.standing, a.file_size) == (PASSED, ISSUED, len(file))
    assert a.file_sha256 == hashlib.sha256(file).digest()
    with caller(shared, "read"):
        assert verify(stubs, result_id=r.result_id) == a
    assert reads(stubs, r.result_id)[:2] == [("tester", 7)] * 2
    path = tmp_path / "copy.pdf"
    path.write_bytes(file)
    said = shared.trien("verify", path, "--engine", "--lang", "en", "--data", shared.data).stdout
    assert "TOTAL-PASSED" in said and "Still in force." in said
