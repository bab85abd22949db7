"""Wrong input of every kind: a clear answer that says what and where, and the engine goes on."""
import copy
import json
import random
import shutil

import grpc
import pytest

import harness
from harness import caller
from sample import UNITS, batch, case, send


def reject(stubs, c):
    answer = send(stubs, [c])
    assert answer.accepted == 0 and len(answer.rejects) == 1
    return answer.rejects[0]


def changed(**kw):
    c = case()
    for path, value in kw.items():
        target = {"case": c, "result": c.results[0], "holder": c.holders[0]}[path.split("__")[0]]
        setattr(target, path.split("__")[1], value)
    return c


def with_field(name, **value):
    c = case()
    c.results[0].fields.add(name=name, **value)
    return c


@pytest.mark.parametrize("build, reason, field", [
    (lambda: changed(case__code=""), "CASE_CODE_INVALID", "code"),
    (lambda: changed(case__code="có dấu"), "CASE_CODE_INVALID", "code"),
    (lambda: changed(case__code="x" * 65), "CASE_CODE_INVALID", "code"),
    (lambda: changed(result__unit="ubnd-khong-co"), "UNIT_UNKNOWN", "results[0].unit"),
    (lambda: changed(result__kind="khong-co"), "KIND_UNKNOWN", "results[0].kind"),
    (lambda: changed(result__kind="ban-sao-chung-thuc-dien-tu"), "ORIGINAL_MISSING",
     "results[0].kind"),
    (lambda: changed(result__signer="khong-co"), "SIGNER_UNKNOWN", "results[0].signer"),
    (lambda: changed(result__signer="suoi-may-do-quang-vinh"), "SIGNER_NOT_ALLOWED",
     "results[0].signer"),
    (lambda: changed(result__given_number=7), "NUMBER_GIVEN_REFUSED", "results[0].given_number"),
    (lambda: case(ho_ten=None), "FIELD_MISSING", "results[0].fields.ho_ten"),
    (lambda: case(ho_ten=""), "FIELD_MISSING", "results[0].fields.ho_ten"),
    (lambda: case(ho_ten="x" * 401), "FIELD_TOO_LONG", "results[0].fields.ho_ten"),
    (lambda: case(gioi_tinh="Khác"), "FIELD_VALUE", "results[0].fields.gioi_tinh"),
    (lambda: case(ngay_sinh=(1990, 2, 30)), "DATE_INVALID", "results[0].fields.ngay_sinh"),
    (lambda: case(ngay_sinh="1990"), "FIELD_TYPE", "results[0].fields.ngay_sinh"),
    (lambda: with_field("khong_co", text="x"), "FIELD_UNKNOWN", "results[0].fields.khong_co"),
    (lambda: with_field("ho_ten", text="x"), "FIELD_DUPLICATE", "results[0].fields.ho_ten"),
    (lambda: case(ho_ten="Tên\x07"), "CHARACTER_REFUSED", "results[0].fields.ho_ten"),
    (lambda: case(ho_ten="Tên \U0001f600"), "GLYPH_MISSING", "results[0].fields.ho_ten"),
    (lambda: case(ho_ten="漢字"), "GLYPH_MISSING", "results[0].fields.ho_ten"),
    (lambda: changed(holder__number="không phải số"), "HOLDER_INVALID", "holders[0].number"),
    (lambda: changed(holder__name=""), "HOLDER_INVALID", "holders[0].name"),
])
def test_each_wrong_case_is_named(shared, stubs, build, reason, field):
    before = {(r.unit, r.code): r.next for r in shared.registers()}
    r = reject(stubs, build())
    assert (r.reason, r.field) == (reason, field), r
    assert r.message_vi and r.message_en and not r.retryable
    assert before == {(r.unit, r.code): r.next for r in shared.registers()}, "a number was used"


def test_facts_and_approval_keep_their_bounds(stubs):
    m = harness.modules()["case"]
    c = case()
    c.facts.procedure_code = "x" * 41
    r = reject(stubs, c)
    assert (r.reason, r.field) == ("FIELD_TOO_LONG", "facts") and "procedure_code" in r.detail
    c = case()
    c.approval.shown_sha256 = b"short"
    assert reject(stubs, c).reason == "FIELD_VALUE"
    c = case()
    c.facts.reused_results.extend(["KQ.1"] * 32)
    c.facts.data_sources.extend([m.DataSource(database="CSDLQGDC")] * 32)
    assert send(stubs, [c]).accepted == 1
    c = case()
    c.facts.reused_results.extend(["KQ.1"] * 33)
    assert reject(stubs, c).reason == "TOO_LARGE"


def test_counts_of_parts(stubs):
    c = case()
    del c.results[:]
    assert reject(stubs, c).reason == "RESULT_MISSING"
    c = case()
    del c.holders[:]
    assert reject(stubs, c).reason == "HOLDER_MISSING"
    c = case()
    c.results.add().CopyFrom(c.results[0])
    assert reject(stubs, c).reason == "RESULT_DUPLICATE"
    c = case()
    for i in range(1, 9):
        c.results.add().CopyFrom(c.results[0])
        c.results[i].ordinal = i
    assert reject(stubs, c).reason == "TOO_LARGE"


def test_replaces(shared, stubs):
    first = case()
    r = send(stubs, [first]).receipts[0]
    shared.wait_stored(stubs, [r.result_id])
    second = copy.deepcopy(first)
    second.results[0].revision = 1
    second.results[0].replaces = "0" * 26
    assert (reject(stubs, second).reason) == "REPLACES_UNKNOWN"
    second.results[0].replaces = r.result_id
    wrong = copy.deepcopy(second)
    wrong.results[0].revision = 2
    refused = reject(stubs, wrong)
    assert (refused.reason, refused.detail) == ("REPLACES_MISMATCH", "revision must be 1")
    assert "kind" not in refused.message_en
    again = send(stubs, [second]).receipts[0]
    shared.wait_stored(stubs, [again.result_id])
    m = harness.modules()["repository"]
    old = stubs.repository.GetResult(m.GetResultRequest(result_id=r.result_id), timeout=20)
    assert (old.life, old.replaced_by) == (m.REPLACED, again.result_id)
    repeated = send(stubs, [second]).receipts[0]
    assert repeated.duplicate and repeated.result_id == again.result_id
    other = copy.deepcopy(second)
    other.code += "-x"
    other.results[0].revision = 0
    refused = reject(stubs, other)
    assert (refused.reason, refused.detail) == (
        "REPLACES_MISMATCH", f"it was replaced by {again.result_id}: replace that one")
    # Another agency's case system learns nothing of it: what it says is as of one that is none.
    with caller(shared, "submit", units=[UNITS[1]]):
        c, told = case(unit=UNITS[1]), []
        for replaced in (r.result_id, again.result_id, "0" * 26):
            c.results[0].replaces = replaced
            told.append(reject(stubs, c))
        assert told[0].reason == "REPLACES_UNKNOWN" and told == [told[0]] * 3


def test_hostile_bytes(shared):
    """Truncations and mutations of a good request: an answer or a status, and it goes on."""
    rng = random.Random(20261124)
    call = shared.channel().unary_unary("/trien.v1.Issuance/SubmitBatch", request_serializer=None,
                                        response_deserializer=None)
    good = batch([case(), case()]).SerializeToString()
    codes = set()
    for i in range(600):
        body = bytearray(good)
        if i % 3 == 0:
            del body[rng.randrange(len(body)):]
        for _ in range(rng.randrange(1, 8)):
            if body:
                body[rng.randrange(len(body))] = rng.randrange(256)
        try:
            call(bytes(body), timeout=20)
        except grpc.RpcError as e:
            codes.add(e.code())
    assert codes <= {grpc.StatusCode.INVALID_ARGUMENT}, codes
    assert send(shared.stubs(), [case()]).accepted == 1


def test_a_message_that_is_no_protobuf(shared):
    m = harness.modules()["issuance"]
    call = shared.channel().unary_unary("/trien.v1.Issuance/SubmitCase", request_serializer=None,
                                        response_deserializer=None)
    with pytest.raises(grpc.RpcError) as e:
        call(b"\xff" * 100, timeout=20)
    assert harness.details(e.value)["reason"] == "MALFORMED"
    bad_text = bytearray(m.SubmitCaseRequest(case=case(ho_ten="Zzzz")).SerializeToString())
    at = bad_text.index(b"Zzzz")
    bad_text[at] = 0xff
    with pytest.raises(grpc.RpcError) as e:
        call(bytes(bad_text), timeout=20)
    d = harness.details(e.value)
    assert d["reason"] == "UTF8_INVALID" and d["fields"] == ["case.results[0].fields.ho_ten"]


def test_an_unknown_method_and_service(shared):
    for path in ("/trien.v1.Issuance/NoSuch", "/no.such.Service/Call"):
        with pytest.raises(grpc.RpcError) as e:
            shared.channel().unary_unary(path, request_serializer=None,
                                         response_deserializer=None)(b"", timeout=10)
        assert e.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture
def own_schemas(tmp_path):
    shutil.copytree(harness.ROOT / "schemas", tmp_path / "schemas")
    e = harness.Engine(tmp_path / "e", schemas=tmp_path / "schemas")
    e.prepare()
    yield e
    e.kill()


def test_a_broken_schema_file_is_named_with_its_line(own_schemas):
    e = own_schemas
    path = e.schemas / "results" / "xac-nhan-tinh-trang-hon-nhan.json"
    text = path.read_text()
    path.write_text(text.replace('"date", "partial": true', '"dates", "partial": true', 1))
    line = next(i for i, l in enumerate(path.read_text().splitlines(), 1) if '"dates"' in l)
    e.start(ready=False)
    assert e.wait_end() != 0
    assert f"xac-nhan-tinh-trang-hon-nhan.json:{line}:" in e.log(), e.log()
    done = e.trien("schema", "check", path, check=False)
    assert done.returncode == 1 and f":{line}:" in done.stdout + done.stderr


def test_a_broken_reload_leaves_the_old_in_force(own_schemas):
    e = own_schemas
    e.start()
    stubs = e.stubs()
    path = e.schemas / "results" / "xac-nhan-tinh-trang-hon-nhan.json"
    good = path.read_text()
    path.write_text("{")
    e.hup()
    assert "stay as they were" in e.log()
    assert send(stubs, [case()]).accepted == 1
    doc = json.loads(good)
    doc["versions"][0]["fields"][0]["required"] = False
    path.write_text(json.dumps(doc, ensure_ascii=False))
    e.hup()
    answer = send(stubs, [case(nguoi_yeu_cau=None)])
    assert answer.accepted == 1
    e.wait_stored(stubs, [answer.receipts[0].result_id])


def test_a_key_that_does_not_match_its_certificate(engine):
    keys = engine.data / "keys"
    files = sorted(keys.glob("*.pem"))
    files[0].write_bytes(files[1].read_bytes())
    engine.start(ready=False)
    assert engine.wait_end() != 0
    assert f"{files[0].name} is not the key of the certificate" in engine.log()


def test_a_broken_key_at_sighup_leaves_the_old_in_force(engine):
    """The signer that runs signs on, and the other settings are read."""
    engine.start()
    stubs = engine.stubs()
    key = engine.data / "keys" / f"{UNITS[0]}.seal.pem"
    good, signer = key.read_bytes(), engine.children()["signer"]
    key.write_text("no key")
    policy = engine.data / "certs" / "keys.json"
    rows = json.loads(policy.read_text())
    before = policy.read_text()
    rows["keys"] = [k for k in rows["keys"] if k["id"] != f"{UNITS[1]}.seal"]
    policy.write_text(json.dumps(rows))
    engine.hup()
    assert engine.children()["signer"] == signer
    assert key.name in engine.log() and "send SIGHUP again" in engine.log(), engine.log()
    answer = send(stubs, [case(), case(unit=UNITS[1])])
    engine.wait_stored(stubs, [r.result_id for r in answer.receipts])
    assert "starting it again" not in engine.log()
    # So with the one that asks services: both, or none.
    key.write_bytes(good)
    policy.write_text(before)
    remote = engine.data / "certs" / "remote.json"
    remote.write_text("{")
    engine.hup()
    assert engine.children()["signer"] == signer and "remote" not in engine.children()
    assert "remote.json:1:" in engine.log() and "a new remote does not start" in engine.log()
    remote.unlink()
    engine.hup()
    assert engine.children()["signer"] != signer
    engine.wait_stored(stubs, [send(stubs, [case()]).receipts[0].result_id])


def test_a_second_engine_on_the_same_data(engine):
    engine.start(registers=False)
    other = harness.Engine(engine.folder)
    other.log_path = engine.folder / "second.log"
    other.settings["listen"] = "127.0.0.1:0"
    other.start(ready=False)
    try:
        assert other.wait_end() != 0
        assert str(engine.children()["engine"]) in other.log()
    finally:
        other.kill()
    m = harness.modules()["operations"]
    engine.stubs().operations.GetStatus(m.GetStatusRequest(), timeout=10)


def test_another_units_register(engine):
    engine.settings["insecure_loopback"] = "one-stop"
    engine.start(registers=False)
    answer = send(engine.stubs(), [case(unit=UNITS[1])])
    assert answer.rejects[0].reason == "UNIT_DENIED"
