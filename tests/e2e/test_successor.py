"""Certificates that end in the middle of a session: what cannot be signed is held with its number,
and another person of the agency signs it under the same number."""
import datetime
import io
import json
import os
import random
import signal
import subprocess
import threading
import time

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.reader import PdfFileReader

import harness
from authority import DAY, Authority, utc_now
from office import (DONE, HELD, SIGNS, STORED, Signer, office_schemas, pdf_text, refused, submit)
from sample import KIND, SIGNER, UNITS, case, send
from test_clock import LIBRARY, Clock, in_vietnam
from test_held import held
from test_mirror import Pair

OTHER_KIND = "xac-nhan-khac"
NEXT = "lac-xuan-pham-duc-long"
REASON = "Chứng thư số của người ký hết hiệu lực"

PEOPLE = {
    NEXT: {"from": "2025-07-01", "name": "Phạm Đức Long", "title": "PHÓ CHỦ TỊCH",
           "authority": "KT", "authority_line": "TM. ỦY BAN NHÂN DÂN\nKT. CHỦ TỊCH"},
    "lac-xuan-da-nghi": {"from": "2025-07-01", "to": "2026-01-31", "name": "Trần Văn Nghỉ",
                         "title": "CHỦ TỊCH"},
    "lac-xuan-uy-quyen": {"from": "2025-07-01", "to": "2026-01-31", "name": "Lê Thị Quyền",
                          "title": "CÔNG CHỨC", "authority": "TUQ",
                          "authority_line": "TUQ. CHỦ TỊCH", "delegation": "12/QĐ-UBND"},
    "lac-xuan-khong-khoa": {"from": "2025-07-01", "name": "Vũ Chưa Khóa", "title": "PHÓ CHỦ TỊCH"},
}


def people(folder):
    """Whom a result could be handed to, and a second kind that waits for its signer."""
    for code, version in PEOPLE.items():
        (folder / "signers" / f"{code}.json").write_text(json.dumps(
            {"code": code, "versions": [{"unit": UNITS[0], **version}]}, ensure_ascii=False))
    doc = json.loads((folder / "results" / f"{KIND}.json").read_text())
    doc["code"] = OTHER_KIND
    (folder / "results" / f"{OTHER_KIND}.json").write_text(json.dumps(doc, ensure_ascii=False))
    return folder


def without_key(engine, signer):
    path = engine.data / "certs" / "keys.json"
    doc = json.loads(path.read_text())
    doc["keys"] = [k for k in doc["keys"] if k.get("signer") != signer]
    path.write_text(json.dumps(doc))


def prepared(tmp_path, **settings):
    e = harness.Engine(tmp_path / "e", schemas=people(office_schemas(tmp_path / "schemas")),
                       algorithm="p256", **settings)
    e.prepare()
    without_key(e, "lac-xuan-khong-khoa")
    return e


@pytest.fixture
def office(tmp_path):
    e = prepared(tmp_path)
    yield e
    e.kill()


def split(engine, authority, until):
    """The signer's key for one kind is of the test's authority, that for the other stays."""
    path = engine.data / "certs" / "keys.json"
    mine = next(k for k in json.loads(path.read_text())["keys"] if k.get("signer") == SIGNS)
    cert = authority.issue(SIGNS, until, kinds=[KIND])
    doc = json.loads(path.read_text())
    doc["keys"].append({**mine, "kinds": [OTHER_KIND]})
    path.write_text(json.dumps(doc))
    return cert


def other(c):
    c.results[0].kind = OTHER_KIND
    return c


def result(engine, rid):
    m = harness.modules()["repository"]
    return engine.stubs().repository.GetResult(m.GetResultRequest(result_id=rid), timeout=20)


def retry(engine, sequence, timeout=20, **kw):
    m = harness.modules()["operations"]
    return engine.stubs().operations.RetryHeld(
        m.RetryHeldRequest(sequence=sequence, **kw), timeout=timeout)


def hand(engine, sequence, signer=NEXT, reason=REASON, **kw):
    return retry(engine, sequence, signer=signer, reason=reason, **kw)


def all_held(engine, reason, n):
    rows = harness.wait_for(lambda: [r for r in [held(engine)] if len(r) == n])[0]
    assert {r.reason for r in rows} == {reason}
    return rows


def attached(pdf, folder):
    path = folder / "attached.pdf"
    path.write_bytes(pdf)
    run = lambda *a: subprocess.run(["qpdf", *a, path], capture_output=True, check=True,
                                    timeout=30).stdout
    name, = json.loads(run("--json", "--json-key=attachments"))["attachments"]
    return json.loads(run(f"--show-attachment={name}"))


def certificate_of(engine, signer, kind=KIND):
    """Of the one key in the policy that signs this kind for that signer."""
    keys = json.loads((engine.data / "certs" / "keys.json").read_text())["keys"]
    file, = (k["certificate"] for k in keys if k.get("signer") == signer and
             kind in k.get("kinds", [kind]))
    return x509.load_pem_x509_certificate((engine.data / "certs" / file).read_bytes())


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def check_signed_by(engine, rid, folder, name=PEOPLE[NEXT]["name"], first="Nguyễn Thị Hoài Thư",
                    signer=NEXT, kind=KIND):
    """The page, the data attached to it and the signature are the successor's."""
    pdf, _ = engine.download(engine.stubs(), rid)
    person, seal = (s.signer_cert for s in PdfFileReader(io.BytesIO(pdf)).embedded_signatures)
    own = certificate_of(engine, signer, kind)
    assert (person.serial_number, person.issuer.dump(), person.subject.dump()) == \
        (own.serial_number, own.issuer.public_bytes(), own.subject.public_bytes())
    assert seal.serial_number != person.serial_number
    text = pdf_text(pdf, folder)
    assert name in text and (name == first or first not in text)
    assert attached(pdf, folder)["signer"]["name"] == name
    (folder / "held.pdf").write_bytes(pdf)
    said = json.loads(engine.trien("verify", "--trust", engine.data / "certs", "--json",
                                   folder / "held.pdf").stdout)
    assert [(v["verdict"], v["subject"]) for v in said[0]["signatures"]] == \
        [("TOTAL-PASSED", common_name(own)), ("TOTAL-PASSED", "Ủy ban nhân dân phường Lạc Xuân")]


def check_event(engine, frm=SIGNS, to=NEXT, reason=REASON, times=1):
    """Of a stopped engine: from whom to whom, by whose act and why stands in the store."""
    kept = engine.kept()
    assert kept.count("\n".join([frm, to, reason]).encode()) == times
    at = kept.index("\n".join([frm, to, reason]).encode())
    assert b"tester" in kept[max(at - 40, 0):at], "who did it"


# ---- held in mid-session, the rest goes on ----

@pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")
@pytest.mark.parametrize("when", ["before the confirmation", "behind it"])
def test_a_certificate_that_expires_in_mid_session(tmp_path, when):
    engine = prepared(tmp_path, crl_hours_max="8760")
    clock = Clock(engine)
    noon = in_vietnam(2026, 12, 1, 12)
    split(engine, Authority(engine, noon - 7 * DAY), noon + datetime.timedelta(minutes=5))
    clock.set(noon)
    later = lambda: clock.set(noon + datetime.timedelta(minutes=10))
    try:
        engine.start()
        cases = [case(), other(case()), case()]
        ids = submit(engine, cases)
        s = Signer(engine).open(ids)
        warned = [(w.reason, w.items, w.later) for w in s.warnings]
        assert warned == [("CERT_EXPIRED", 2, True)]
        if when == "before the confirmation":
            later()
            assert Signer(engine).confirm(s).approved == 3
            s2 = Signer(engine).open(submit(engine, [case()]))
            warned = [(w.reason, w.items, w.later) for w in s2.warnings]
            assert warned == [("CERT_EXPIRED", 1, False)]
            Signer(engine).cancel(s2)
        else:
            # What was confirmed gets its numbers when the engine is back.
            os.kill(engine.children()["signer"], signal.SIGSTOP)
            assert Signer(engine).confirm(s).approved == 3
            engine.kill()
            clock.set(noon + datetime.timedelta(minutes=30))
            engine.start()
        rows = all_held(engine, "CERT_EXPIRED", 2)
        engine.wait_stored(engine.stubs(), [ids[1]])
        outcomes = {}
        stream = Signer(engine).watch(s)
        while [outcomes.get(i) for i in ids] != [HELD, STORED, HELD]:
            o = next(stream)
            outcomes[o.result_id] = o.state
        stream.cancel()
        assert sorted(r.number for r in rows) == [1, 3]
        assert all(result(engine, i).held_reason == "CERT_EXPIRED" for i in (ids[0], ids[2]))
        assert [(r.state, r.number) for r in send(engine.stubs(), cases).receipts] == \
            [(HELD, 1), (STORED, 2), (HELD, 3)]
        for r in rows:
            assert hand(engine, r.sequence).retried == 1
        stored = engine.wait_stored(engine.stubs(), ids)
        assert [stored[i].number for i in ids] == [1, 2, 3]
        check_signed_by(engine, ids[0], tmp_path)
        check_signed_by(engine, ids[1], tmp_path, "Nguyễn Thị Hoài Thư", signer=SIGNS,
                        kind=OTHER_KIND)
        assert engine.stop() == 0
        check_event(engine, times=2)
    finally:
        engine.kill()


def test_revoked_in_mid_session_and_signed_by_a_successor(office, tmp_path):
    ca = Authority(office)
    cert = split(office, ca, utc_now() + 30 * DAY)
    office.start()
    cases = [case(), other(case()), case()]
    ids = submit(office, cases)
    desk = Signer(office)
    first = desk.open([ids[2]])
    assert desk.confirm(first).approved == 1
    office.wait_stored(office.stubs(), [ids[2]])
    s = desk.open(ids[:2])
    ca.revoke(cert)
    office.hup()
    assert desk.confirm(s).approved == 2
    row, = all_held(office, "CERT_REVOKED", 1)
    office.wait_stored(office.stubs(), [ids[1]])
    assert (result(office, ids[0]).held_reason, row.number) == ("CERT_REVOKED", 2)
    before = send(office.stubs(), cases).receipts[0]
    assert (before.state, before.number, before.result_id) == (HELD, 2, ids[0])
    watch = harness.modules()["issuance"].WatchResultsRequest(result_ids=[ids[0]])
    changes = []
    watcher = threading.Thread(target=lambda: changes.extend(
        c.state for c in office.stubs().issuance.WatchResults(watch, timeout=60)))
    watcher.start()
    out = office.trien("held", "retry", ids[0], "--signer", NEXT, "--reason", REASON, "--connect",
                       f"unix:{office.data}/engine.sock")
    assert "1 on their way again" in out.stdout
    after = office.wait_stored(office.stubs(), [ids[0]])[ids[0]]
    watcher.join(30)
    assert changes[-1] == STORED
    same = lambda r: (r.result_id, r.number, r.number_text, r.sequence, r.accept_time,
                      r.issue_time)
    assert same(after) == same(before)
    assert len(after.signatures) == 2 and after.signatures[0].sign_time.ToMilliseconds() >= \
        after.issue_time.ToMilliseconds()
    check_signed_by(office, ids[0], tmp_path)
    again = send(office.stubs(), cases).receipts
    assert [(r.duplicate, r.state, r.result_id) for r in again] == \
        [(True, STORED, i) for i in ids]
    assert same(again[0]) == same(before)
    changed = case(cases[0].code, tinh_trang="Đã ly hôn")
    assert send(office.stubs(), [changed]).rejects[0].reason == "CASE_CONTENT_CONFLICT"
    assert desk.get(s).state == DONE
    assert held(office) == []
    assert office.stop() == 0
    check_event(office)


def test_a_key_replaced_in_mid_session(office, tmp_path):
    """The same signer, another certificate: nothing is held, the new one signs."""
    ca = Authority(office)
    old = split(office, ca, utc_now() + 30 * DAY)
    office.start()
    ids = submit(office, [case() for _ in range(4)])
    desk = Signer(office)
    s = desk.open(ids)
    ca.revoke(old)
    ca.issue(SIGNS, utc_now() + 60 * DAY, key_id="moi")
    office.hup()
    assert desk.confirm(s).approved == 4
    stored = office.wait_stored(office.stubs(), ids)
    assert {r.signatures[0].subject for r in stored.values()} == {"moi"}
    assert {o.state for o in desk.outcomes(s).values()} == {STORED}
    assert held(office) == []


def test_the_key_comes_back_and_its_signer_signs(office, tmp_path):
    ca = Authority(office)
    old = split(office, ca, utc_now() + 30 * DAY)
    office.start()
    rid, = submit(office, [case()])
    desk = Signer(office)
    s = desk.open([rid])
    ca.revoke(old)
    office.hup()
    desk.confirm(s)
    row, = all_held(office, "CERT_REVOKED", 1)
    ca.issue(SIGNS, utc_now() + 60 * DAY, key_id="moi")
    office.hup()
    assert retry(office, row.sequence).retried == 1
    assert office.wait_stored(office.stubs(), [rid])[rid].number == row.number
    check_signed_by(office, rid, tmp_path, "Nguyễn Thị Hoài Thư", signer=SIGNS)


# ---- who may be a successor ----

def revoked(engine, n=1):
    """n results held with their numbers, for the signer's certificate is revoked."""
    ca = Authority(engine)
    cert = split(engine, ca, utc_now() + 30 * DAY)
    ca.revoke(cert)
    engine.start()
    ids = submit(engine, [case() for _ in range(n)])
    s = Signer(engine).open(ids)
    Signer(engine).confirm(s)
    rows = all_held(engine, "CERT_REVOKED", n)
    by_number = {r.number: r.sequence for r in rows}
    return ids, [by_number[k] for k in sorted(by_number)]


def test_a_wrong_successor_is_refused(office):
    ids, (sequence,) = revoked(office)
    before = result(office, ids[0])
    for signer, reason in (
            (SIGNER[UNITS[1]], "SIGNER_NOT_ALLOWED"),           # of another agency
            ("lac-xuan-le-minh-chau", "SIGNER_NOT_ALLOWED"),    # not for this kind
            ("lac-xuan-da-nghi", "SIGNER_UNKNOWN"),             # not in office today
            ("lac-xuan-uy-quyen", "DELEGATION_ENDED"),
            ("khong-co-ai", "SIGNER_UNKNOWN"),
            ("lac-xuan-khong-khoa", "KEY_MISSING")):
        d = refused(lambda: hand(office, sequence, signer), reason)
        assert d["fields"] == ["signer"], d
    refused(lambda: hand(office, sequence, reason=""), "ARGUMENT_MISSING")
    refused(lambda: hand(office, 0), "ARGUMENT_MISSING")
    with pytest.raises(grpc.RpcError) as e:
        hand(office, sequence, SIGNS)
    assert e.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "already" in e.value.details()
    with pytest.raises(grpc.RpcError) as e:
        hand(office, sequence + 1)
    assert e.value.code() == grpc.StatusCode.NOT_FOUND
    assert result(office, ids[0]) == before, "nothing happened to it"
    sock = f"unix:{office.data}/engine.sock"
    assert office.trien("held", "retry", ids[0], "--signer", NEXT, "--connect", sock,
                        check=False).returncode == 2
    hand(office, sequence)
    office.wait_stored(office.stubs(), ids)
    with pytest.raises(grpc.RpcError) as e:
        hand(office, sequence)
    assert e.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION)
    assert office.stop() == 0
    check_event(office)


def test_whoever_drafted_it_is_no_successor(tmp_path):
    engine = harness.Engine(tmp_path / "e", algorithm="p256", schemas=people(
        office_schemas(tmp_path / "schemas", own_draft=False)))
    engine.prepare()
    with engine:
        ca = Authority(engine)
        ca.revoke(ca.issue(SIGNS, utc_now() + 30 * DAY))
        engine.principals([
            {"name": "tester", "roles": ["submit", "read", "portal", "audit", "registry"],
             "units": ["*"], "uids": [os.getuid()]},
            {"name": "officer", "roles": ["sign", "read"], "units": ["*"], "signers": ["*"],
             "uids": []}])
        engine.settings["insecure_loopback"] = "officer"
        engine.start(registers=False)
        sock = engine.channel(f"unix:{engine.data}/engine.sock")
        stubs = engine.stubs(sock)
        m = harness.modules()["operations"]
        stubs.operations.OpenRegister(m.OpenRegisterRequest(
            unit=UNITS[0], code="XNTTHN", first=1, reason="test"), timeout=20)
        c = case()
        c.approval.drafter = NEXT
        rid, = submit(engine, [c], stubs)
        desk = Signer(engine)
        desk.confirm(desk.open([rid]))
        rows = lambda: stubs.operations.ListHeld(m.ListHeldRequest(), timeout=20).held
        row = harness.wait_for(rows)[0]
        refused(lambda: stubs.operations.RetryHeld(m.RetryHeldRequest(
            sequence=row.sequence, signer=NEXT, reason=REASON), timeout=20), "OWN_DRAFT")


# ---- whatever crashes ----

def test_killed_right_after_the_act(office, tmp_path):
    ids, sequences = revoked(office, 3)
    os.kill(office.children()["signer"], signal.SIGSTOP)
    for sequence in sequences[:2]:
        assert hand(office, sequence).retried == 1
    office.kill()
    office.start(registers=False)
    stored = office.wait_stored(office.stubs(), ids[:2])
    assert [stored[i].number for i in ids[:2]] == [1, 2]
    for rid in ids[:2]:
        check_signed_by(office, rid, tmp_path)
    assert [r.sequence for r in all_held(office, "CERT_REVOKED", 1)] == [sequences[2]]
    office.kill()
    office.start(registers=False)
    hand(office, sequences[2])
    office.wait_stored(office.stubs(), ids)
    assert office.stop() == 0
    check_event(office, times=3)


def test_killed_at_any_time(office):
    """Done or not, never half: in the end one event, one document, one number each."""
    ids, sequences = revoked(office, 6)
    rng = random.Random(20261128)
    for rid, sequence in zip(ids, sequences):
        def act():
            try:
                hand(office, sequence, timeout=5)
            except (grpc.RpcError, ValueError):
                pass            # the engine is gone: that is the test
        t = threading.Thread(target=act)
        t.start()
        time.sleep(rng.random() * 0.02)
        office.kill()
        t.join(20)
        office.start(registers=False)

    def all_stored():
        # The start tries all that is held: such a one is on its way, and held again in a moment.
        for row in held(office):
            try:
                hand(office, row.sequence)
            except grpc.RpcError as e:
                assert e.code() in (grpc.StatusCode.FAILED_PRECONDITION,
                                    grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE,
                                    grpc.StatusCode.NOT_FOUND), e.details()
        return all(result(office, i).state == STORED for i in ids)
    harness.wait_for(all_stored)
    stored = office.wait_stored(office.stubs(), ids)
    assert [stored[i].number for i in ids] == [1, 2, 3, 4, 5, 6]
    assert held(office) == []
    assert office.stop() == 0
    check_event(office, times=6)


def test_handed_on_twice(office, tmp_path):
    """The successor's key is gone as well: a third person signs; both acts are told."""
    ca = Authority(office)
    second = ca.issue(NEXT, utc_now() + 30 * DAY)
    cert = split(office, ca, utc_now() + 30 * DAY)
    ca.revoke(cert)
    office.start()
    rid, = submit(office, [case()])
    desk = Signer(office)
    desk.confirm(desk.open([rid]))
    row, = all_held(office, "CERT_REVOKED", 1)
    # Planned with a key that is revoked before it signs.
    os.kill(office.children()["signer"], signal.SIGSTOP)
    hand(office, row.sequence)
    office.kill()
    ca.revoke(second)
    third = "lac-xuan-khong-khoa"
    path = office.data / "certs" / "keys.json"
    doc = json.loads(path.read_text())
    mine = next(k for k in doc["keys"] if k.get("signer") == NEXT)
    doc["keys"].append({**mine, "id": "ba", "signer": third})
    path.write_text(json.dumps(doc))
    ca.issue(third, utc_now() + 30 * DAY, key_id="ba-moi")
    office.start(registers=False)
    all_held(office, "CERT_REVOKED", 1)
    hand(office, row.sequence, third, "Người thứ hai cũng không ký được")
    assert office.wait_stored(office.stubs(), [rid])[rid].number == row.number
    check_signed_by(office, rid, tmp_path, "Vũ Chưa Khóa", signer=third)
    assert office.stop() == 0
    check_event(office)
    check_event(office, NEXT, third, "Người thứ hai cũng không ký được")


def test_a_mirror_takes_over_what_was_handed_on(tmp_path):
    schemas = people(office_schemas(tmp_path / "schemas"))
    p = Pair(tmp_path, algorithm="p256", schemas=schemas)
    try:
        without_key(p.engine, "lac-xuan-khong-khoa")
        ids, sequences = revoked(p.engine, 2)
        os.kill(p.engine.children()["signer"], signal.SIGSTOP)
        hand(p.engine, sequences[0])
        second = p.engine_is_lost(tmp_path)
        second.schemas = schemas
        second.start(registers=False)
        assert second.wait_stored(second.stubs(), ids[:1])[ids[0]].number == 1
        check_signed_by(second, ids[0], tmp_path)
        assert [r.sequence for r in all_held(second, "CERT_REVOKED", 1)] == [sequences[1]]
        hand(second, sequences[1])
        second.wait_stored(second.stubs(), ids)
        assert second.stop() == 0
        check_event(second, times=2)
    finally:
        p.close()
