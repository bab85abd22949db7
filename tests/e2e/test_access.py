"""Who may call what: principals, roles, units, quotas, TLS, and ports that must not open."""
import os
import re
import ssl
import threading
import time

import grpc
import pytest

import copying
import harness
from sample import UNITS, case, send


def tls_channel(engine, client=None, port=None):
    tls = engine.data / "tls"
    read = lambda name: (tls / name).read_bytes()
    own = (read(f"client-{client}.key"), read(f"client-{client}.pem")) if client else ()
    creds = grpc.ssl_channel_credentials(read("ca.pem"), *own)
    c = grpc.secure_channel(f"localhost:{port}", creds,
                            options=[("grpc.use_local_subchannel_pool", 1)])
    engine.channels.append(c)
    return c


@pytest.fixture
def tls(tmp_path):
    e = harness.Engine(tmp_path, insecure_loopback="tester")
    e.prepare()
    t = e.data / "tls"
    e.settings.update(listen="127.0.0.1:0", tls_cert=t / "server.pem", tls_key=t / "server.key",
                      tls_client_ca=t / "ca.pem")
    e.start(registers=False)
    yield e
    e.kill()


def test_mutual_tls_names_the_principal(tls):
    m = harness.modules()["operations"]
    stubs = tls.stubs(tls_channel(tls, "one-stop", tls.port()))
    assert stubs.operations.GetStatus(m.GetStatusRequest(), timeout=20).principal == "one-stop"
    with pytest.raises(grpc.RpcError) as e:
        stubs.operations.OpenRegister(m.OpenRegisterRequest(unit=UNITS[0], code="XNTTHN", first=1,
                                                            reason="x"), timeout=20)
    assert harness.details(e.value)["reason"] == "ROLE_MISSING"
    assert "one-stop has not role registry (principals.json)" in e.value.details()
    for nobody in (tls_channel(tls, None, tls.port()), tls.channel()):
        with pytest.raises(grpc.RpcError):
            tls.stubs(nobody).operations.GetStatus(m.GetStatusRequest(), timeout=5)


def test_certificates_reload_without_a_restart(tls, tmp_path):
    m = harness.modules()["operations"]
    old = (tls.data / "tls" / "server.pem").read_text()
    served = lambda: ssl.get_server_certificate(("127.0.0.1", tls.port()), timeout=10)
    kept = tls.stubs(tls_channel(tls, "one-stop", tls.port()))
    kept.operations.GetStatus(m.GetStatusRequest(), timeout=20)
    other = harness.Engine(tmp_path / "other")
    other.prepare(own_keys=True)
    new = other.data / "tls"
    for name in ("server.pem", "server.key", "ca.pem", "client-one-stop.pem",
                 "client-one-stop.key"):
        (tls.data / "tls" / name).write_bytes((new / name).read_bytes())
    tls.hup()
    first = lambda pem: pem.split("-----END")[0].replace("\n", "")
    harness.wait_for(lambda: first(served()) == first((new / "server.pem").read_text()), 20)
    assert first(served()) != first(old)
    kept.operations.GetStatus(m.GetStatusRequest(), timeout=20)
    stubs = tls.stubs(tls_channel(tls, "one-stop", tls.port()))
    assert stubs.operations.GetStatus(m.GetStatusRequest(), timeout=20).principal == "one-stop"


def test_a_clear_port_for_others_is_refused(engine):
    engine.settings["listen"] = "0.0.0.0:0"
    engine.start(ready=False)
    assert engine.wait_end() != 0
    assert "0.0.0.0" in engine.log() and re.search("loopback|TLS", engine.log())


def test_unix_socket_knows_the_uid(shared):
    m = harness.modules()["operations"]
    stubs = shared.stubs(shared.channel(f"unix:{shared.data}/engine.sock"))
    assert stubs.operations.GetStatus(m.GetStatusRequest(), timeout=20).principal == "tester"
    assert (shared.data / "engine.sock").stat().st_uid == os.getuid()


@pytest.fixture
def restricted(tmp_path):
    e = harness.Engine(tmp_path, insecure_loopback="one-stop")
    e.prepare()
    yield e
    e.kill()


def test_another_unit_is_refused_by_name(restricted):
    restricted.start(registers=False)
    ops = restricted.stubs(restricted.channel(f"unix:{restricted.data}/engine.sock")).operations
    m = harness.modules()["operations"]
    ops.OpenRegister(m.OpenRegisterRequest(unit=UNITS[0], code="XNTTHN", first=1, reason="x"),
                     timeout=20)
    stubs = restricted.stubs()
    answer = send(stubs, [case(), case(unit=UNITS[1])])
    assert answer.accepted == 1
    assert (answer.rejects[0].reason, answer.rejects[0].field) == ("UNIT_DENIED", "results[0].unit")
    assert re.fullmatch(r"\S+ has not unit ubnd-\S+", answer.rejects[0].detail)
    rows = ops.ListRegisters(m.ListRegistersRequest(), timeout=20).registers
    assert [(r.unit, r.next) for r in rows] == [(UNITS[0], 2)]


def test_quota_says_when_to_come_again(restricted):
    restricted.principals([
        {"name": "one-stop", "roles": ["submit", "read", "registry"], "units": ["*"],
         "cases_per_s": 50, "burst": 100}])
    restricted.start()
    stubs = restricted.stubs()
    send(stubs, [case() for _ in range(100)])
    with pytest.raises(grpc.RpcError) as e:
        send(stubs, [case() for _ in range(100)])
    d = harness.details(e.value)
    assert d["code"] == "RESOURCE_EXHAUSTED" and d["reason"] == "QUOTA_EXCEEDED"
    assert 500 <= d["retry_ms"] <= 2100
    time.sleep(d["retry_ms"] / 1000 + 0.05)
    assert send(stubs, [case() for _ in range(100)]).accepted == 100


def test_who_waits_for_each_answer_has_one_request_at_a_time(restricted):
    restricted.principals([{"name": "one-stop", "roles": ["submit", "read", "registry"],
                            "units": ["*"], "requests_max": 1}])
    restricted.start()
    stubs = restricted.stubs()
    for _ in range(100):
        assert send(stubs, [case()]).accepted == 1
        # What it brought is cleared away behind its answer.
        assert copying.certify_all(stubs, [(copying.copy_case(), b"no scan")] * 8).accepted == 0


def test_principals_reload(restricted):
    restricted.start(registers=False)
    m = harness.modules()["operations"]
    stubs = restricted.stubs()
    with pytest.raises(grpc.RpcError):
        stubs.operations.ListRegisters(m.ListRegistersRequest(), timeout=20)
    restricted.principals([{"name": "one-stop", "roles": ["audit"], "units": ["*"]}])
    restricted.hup()
    stubs.operations.ListRegisters(m.ListRegistersRequest(), timeout=20)
    (restricted.data / "principals.json").write_text("{ broken")
    restricted.hup()
    assert "principals stay as they were" in restricted.log()
    stubs.operations.ListRegisters(m.ListRegistersRequest(), timeout=20)


def test_anothers_result_is_read_with_a_purpose_that_is_kept(restricted):
    """Role `reuse`: purpose, legal basis and case, noted before the answer."""
    everyone = {"name": "tester", "roles": ["submit", "read", "registry", "audit"], "units": ["*"],
                "uids": [os.getuid()]}
    restricted.principals([everyone, {"name": "one-stop", "roles": ["reuse"], "units": [UNITS[1]]}])
    restricted.start(registers=False)
    mine = restricted.stubs(restricted.channel(f"unix:{restricted.data}/engine.sock"))
    ops = harness.modules()["operations"]
    mine.operations.OpenRegister(ops.OpenRegisterRequest(unit=UNITS[0], code="XNTTHN", first=1,
                                                         reason="x"), timeout=20)
    r = send(mine, [case()]).receipts[0]
    pdf = b""
    restricted.wait_stored(mine, [r.result_id])
    m = harness.modules()["repository"]
    reader = restricted.stubs().repository
    purpose = m.Purpose(purpose="Đăng ký kết hôn", legal_basis="NĐ 123/2015 Đ.10",
                        case_code="H99.12-1")
    for wrong in (None, m.Purpose(purpose="x", legal_basis="", case_code="y")):
        with pytest.raises(grpc.RpcError) as e:
            reader.GetResult(m.GetResultRequest(result_id=r.result_id, purpose=wrong), timeout=20)
        d = harness.details(e.value)
        assert (d["reason"], d["fields"]) == ("ARGUMENT_MISSING", ["purpose"])
    got = reader.GetResult(m.GetResultRequest(result_id=r.result_id, purpose=purpose), timeout=20)
    assert got.result_id == r.result_id and not got.HasField("facts")
    many = reader.BatchGetResults(
        m.BatchGetResultsRequest(result_ids=[r.result_id], purpose=purpose), timeout=20)
    assert [x.result_id for x in many.results] == [r.result_id]
    for part in reader.DownloadResult(
            m.DownloadResultRequest(result_id=r.result_id, purpose=purpose), timeout=20):
        pdf += part.chunk
    assert len(pdf) == got.file_size
    seen = mine.repository.ListReads(m.ListReadsRequest(result_id=r.result_id), timeout=20).reads
    assert [(x.reader, x.purpose) for x in seen if x.reuse] == 3 * [("one-stop", purpose)]
    assert restricted.stop() == 0
    assert "Đăng ký" not in restricted.log()


def test_copies_are_for_who_submits_for_the_agency(restricted):
    stop = {"name": "one-stop", "roles": ["submit", "registry"], "units": [UNITS[0]],
            "requests_max": 1}
    restricted.principals([stop])
    restricted.start(registers=False)
    stubs, gate = restricted.stubs(), threading.Event()
    elsewhere = copying.copy_case(unit=UNITS[1])

    def reason(call):
        with pytest.raises(grpc.RpcError) as e:
            call()
        d = harness.details(e.value)
        return d["reason"], d["fields"]

    def header(c):
        return stubs.issuance.CertifyCopy(iter([copying.head(c, b"x")]), timeout=20)

    assert reason(lambda: header(elsewhere)) == ("UNIT_DENIED", ["header.case.results[0].unit"])
    assert copying.certify_all(stubs, [(elsewhere, b"x")]).rejects[0].reason == "UNIT_DENIED"

    def never():
        yield copying.head(copying.copy_case(), b"xy", sha256=b"")
        yield from copying.chunks(b"x")
        gate.wait(60)

    # One upload is one request of so many at the same time.
    open_call = stubs.issuance.CertifyCopy.future(never(), timeout=60)
    harness.wait_for(lambda: list((restricted.data / "store/objects").glob("*/*.part")), 20)
    assert reason(lambda: header(elsewhere))[0] == "QUOTA_EXCEEDED"
    open_call.cancel()
    gate.set()
    harness.wait_for(lambda: reason(lambda: header(elsewhere))[0] == "UNIT_DENIED", 20)
    restricted.principals([{**stop, "roles": ["read", "audit"]}])
    restricted.hup()
    for call in (lambda: header(copying.copy_case()), lambda: copying.certify_all(stubs, []),
                 lambda: copying.issue_copy(stubs, copying.copy_case(), "0" * 26)):
        assert reason(call)[0] == "ROLE_MISSING"
