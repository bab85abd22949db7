"""Repository: a holder's results by pages, many at once, holders linked later."""
import hashlib
import ssl
import subprocess
import time

import grpc
import pytest

import harness
from sample import UNITS, case, send


def listed(stubs, number, page_size=0, id_kind=1, **kw):
    m = harness.modules()["repository"]
    out, token, pages = [], "", 0
    while True:
        page = stubs.repository.ListResults(
            m.ListResultsRequest(id_kind=id_kind, number=number, page_size=page_size,
                                 page_token=token, **kw), timeout=20)
        out += page.holdings
        token, pages = page.next_page_token, pages + 1
        if not token:
            return out, pages


def test_newest_first_by_pages(shared, stubs):
    number = "001099000777"
    ids = []
    for _ in range(3):
        r = send(stubs, [case(number=number) for _ in range(9)]).receipts
        ids += [x.result_id for x in r]
    shared.wait_stored(stubs, ids)
    holdings, pages = listed(stubs, number, page_size=10)
    assert [h.result.result_id for h in holdings] == ids[::-1] and pages >= 3
    assert listed(stubs, "001099000778")[0] == []
    assert listed(stubs, number, id_kind=3)[0] == []


def test_two_holders_see_one_result(shared, stubs):
    m = harness.modules()["case"]
    c = case(number="001099000801")
    c.holders.add(id_kind=m.Holder.PASSPORT, country="FR", number="21AB12345", name="Rémi Lefèvre",
                  role=m.Holder.SPOUSE)
    c.holders.add(id_kind=m.Holder.CITIZEN, number="001099000803", name="Người Giám Hộ",
                  role=m.Holder.GUARDIAN, visibility=m.Holder.HIDDEN)
    r = send(stubs, [c]).receipts[0]
    shared.wait_stored(stubs, [r.result_id])
    mine, _ = listed(stubs, "001099000801")
    theirs, _ = listed(stubs, "21AB12345", id_kind=3, country="FR")
    assert mine[0].result.result_id == theirs[0].result.result_id == r.result_id
    assert theirs[0].role == m.Holder.SPOUSE
    assert listed(stubs, "001099000803")[0] == []
    shown, _ = listed(stubs, "001099000803", show_hidden=True)
    assert [h.role for h in shown] == [m.Holder.GUARDIAN]


def test_a_result_names_what_its_certificates_rest_on(shared, stubs):
    receipts = send(stubs, [case() for _ in range(3)]).receipts
    stored = shared.wait_stored(stubs, [r.result_id for r in receipts]).values()
    sets = {s.evidence_sha256 for r in stored for s in r.signatures}
    assert len(sets) == 1 and len(sets.pop()) == 32, "one authority, one list, one set"


def fetched(stubs, result_id, sha256):
    """The object, from its pieces."""
    m = harness.modules()["repository"]
    parts = list(stubs.repository.DownloadObject(
        m.DownloadObjectRequest(result_id=result_id, sha256=sha256), timeout=20))
    body = b"".join(p.chunk for p in parts)
    assert parts[0].size == len(body) and hashlib.sha256(body).digest() == sha256
    return body


def test_what_a_result_rests_on_can_be_fetched(shared, stubs):
    r, other = (send(stubs, [case(unit=u)]).receipts[0] for u in UNITS)
    stored = shared.wait_stored(stubs, [r.result_id, other.result_id])
    for s in stored[r.result_id].signatures:
        assert fetched(stubs, r.result_id, s.certificate_sha256)[:1] == b"\x30"
        lines = fetched(stubs, r.result_id, s.evidence_sha256).decode().splitlines()
        assert lines[0] == "trien evidence 1"
        named = [bytes.fromhex(x.split()[1]) for x in lines
                 if x.startswith(("list ", "certificate ")) and x.split()[1] != "none"]
        assert len(named) == 4, "the authority and its root, a list of either"
        for sha256 in named:
            assert fetched(stubs, r.result_id, sha256)[:1] == b"\x30"
    theirs = stored[other.result_id].signatures[0].certificate_sha256
    for sha256, code, reason in (
            (theirs, "NOT_FOUND", "OBJECT_NOT_FOUND"),
            (stored[r.result_id].template_version, "NOT_FOUND", "OBJECT_NOT_FOUND"),
            (bytes(32), "NOT_FOUND", "OBJECT_NOT_FOUND"),
            (theirs[:31], "INVALID_ARGUMENT", "ARGUMENT_INVALID")):
        with pytest.raises(grpc.RpcError) as e:
            fetched(stubs, r.result_id, sha256)
        d = harness.details(e.value)
        assert (d["code"], d["reason"]) == (code, reason)
    with pytest.raises(grpc.RpcError) as e:
        fetched(stubs, "0" * 26, theirs)
    assert harness.details(e.value)["reason"] == "RESULT_NOT_FOUND"


def test_objects_of_a_result_that_one_may_not_read(tmp_path):
    with harness.Engine(tmp_path) as engine:
        engine.prepare()
        engine.start()
        r = send(engine.stubs(), [case(unit=UNITS[1])]).receipts[0]
        sig = engine.wait_stored(engine.stubs(), [r.result_id])[r.result_id].signatures[0]
        engine.principals([{"name": "tester", "roles": ["read"], "units": [UNITS[0]]}])
        engine.hup()
        with pytest.raises(grpc.RpcError) as e:
            fetched(engine.stubs(), r.result_id, sig.certificate_sha256)
        assert harness.details(e.value)["reason"] == "RESULT_NOT_FOUND"
        engine.principals([{"name": "tester", "roles": ["submit"], "units": ["*"]}])
        engine.hup()
        with pytest.raises(grpc.RpcError) as e:
            fetched(engine.stubs(), r.result_id, sig.certificate_sha256)
        assert harness.details(e.value)["reason"] == "ROLE_MISSING"


def test_the_tool_writes_what_a_result_rests_on(shared, stubs, tmp_path):
    r = send(stubs, [case()]).receipts[0]
    stored = shared.wait_stored(stubs, [r.result_id])[r.result_id]
    sock = ("--connect", f"unix:{shared.data}/engine.sock")
    shared.trien("get", r.result_id, "--evidence", tmp_path / "why", "--output", tmp_path / "a.pdf",
                 *sock)
    assert (tmp_path / "a.pdf").read_bytes()[:5] == b"%PDF-"
    folder = tmp_path / "why" / r.result_id
    assert {p.name for p in folder.iterdir()} == {
        f"{role}{what}" for role in ("person", "agency") for what in (".pem", ".crl.pem", ".txt")}
    for role, sig in (("person", stored.signatures[0]), ("agency", stored.signatures[1])):
        chain = (folder / f"{role}.pem").read_text()
        first, _, root = (x + "-----END CERTIFICATE-----\n"
                          for x in chain.split("-----END CERTIFICATE-----\n")[:-1])
        assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).digest() == sig.certificate_sha256
        (tmp_path / "root.pem").write_text(root)
        subprocess.run(["openssl", "verify", "-crl_check_all", "-CAfile", tmp_path / "root.pem",
                        "-untrusted", folder / f"{role}.pem", "-CRLfile",
                        folder / f"{role}.crl.pem", folder / f"{role}.pem"],
                       check=True, timeout=20, capture_output=True)
        assert hashlib.sha256((folder / f"{role}.txt").read_bytes()).digest() == sig.evidence_sha256
    done = shared.trien("get", "0" * 26, "--evidence", tmp_path / "none", *sock, check=False)
    assert done.returncode == 1 and not (tmp_path / "none").exists()


def test_a_child_gets_its_number_later(shared, stubs):
    m = harness.modules()["issuance"]
    Holder = harness.modules()["case"].Holder
    c = case()
    c.holders[0].id_kind = 0
    c.holders[0].number = ""
    c.holders[0].role = Holder.CHILD
    r = send(stubs, [c]).receipts[0]
    shared.wait_stored(stubs, [r.result_id])
    holder = Holder(id_kind=1, number="001125000001", name="Bé Ngọc", role=Holder.CHILD)
    request = m.LinkHolderRequest(result_id=r.result_id, holder=holder,
                                  reason="Cấp số định danh 24/11/2026")
    assert stubs.issuance.LinkHolder(request, timeout=20).result_id == r.result_id
    harness.wait_for(lambda: listed(stubs, "001125000001")[0])
    assert listed(stubs, "001125000001")[0][0].result.result_id == r.result_id
    stubs.issuance.LinkHolder(request, timeout=20)
    assert len(listed(stubs, "001125000001")[0]) == 1
    m = harness.modules()["repository"]
    told = stubs.repository.ListEvents(m.ListEventsRequest(result_id=r.result_id), timeout=20)
    event, = told.events
    assert (event.kind, event.principal, event.ground) == (m.Event.LINKED, "tester", request.reason)
    assert 0 <= time.time() - event.event_time.ToMilliseconds() / 1000 < 60
    assert " LINKED" in shared.trien("history", r.result_id, "--data", shared.data).stdout
    with pytest.raises(grpc.RpcError) as e:
        request.reason = ""
        stubs.issuance.LinkHolder(request, timeout=20)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_many_at_once_names_the_missing(shared, stubs):
    m = harness.modules()["repository"]
    ids = [r.result_id for r in send(stubs, [case() for _ in range(5)]).receipts]
    shared.wait_stored(stubs, ids)
    unknown = ["0" * 26, ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1")]
    answer = stubs.repository.BatchGetResults(
        m.BatchGetResultsRequest(result_ids=ids[:2] + unknown + ids[2:]), timeout=20)
    assert [r.result_id for r in answer.results] == ids
    assert list(answer.missing_ids) == unknown
    with pytest.raises(grpc.RpcError) as e:
        stubs.repository.GetResult(m.GetResultRequest(result_id=unknown[1]), timeout=20)
    assert harness.details(e.value)["reason"] == "RESULT_NOT_FOUND"
    with pytest.raises(grpc.RpcError) as e:
        stubs.repository.BatchGetResults(m.BatchGetResultsRequest(result_ids=ids * 300), timeout=20)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_an_id_in_small_letters_is_the_same(shared, stubs):
    m = harness.modules()["repository"]
    r = send(stubs, [case(unit=UNITS[1])]).receipts[0]
    shared.wait_stored(stubs, [r.result_id])
    got = stubs.repository.GetResult(m.GetResultRequest(result_id=r.result_id.lower()), timeout=20)
    assert got.result_id == r.result_id and got.unit == UNITS[1]
