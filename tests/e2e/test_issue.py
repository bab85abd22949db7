"""The main way: submit, receipt, stored, downloaded, the same for ever."""
import hashlib
import unicodedata

import grpc
import pytest

import harness
from sample import KIND, case, send


def test_receipt_then_stored_then_bytes(shared, stubs):
    m = harness.modules()
    answer = send(stubs, [case() for _ in range(10)])
    assert answer.accepted == 10 and not answer.rejects
    numbers = [r.number for r in answer.receipts]
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    assert all(r.number_text.endswith("/XNTTHN-UBND") for r in answer.receipts)
    stored = shared.wait_stored(stubs, [r.result_id for r in answer.receipts])
    for r in answer.receipts:
        pdf, first = shared.download(stubs, r.result_id)
        assert pdf.startswith(b"%PDF-1.7") and pdf.endswith(b"%%EOF\n")
        assert len(pdf) == first.file_size == stored[r.result_id].file_size
        assert hashlib.sha256(pdf).digest() == first.file_sha256
        again, _ = shared.download(stubs, r.result_id, offset=1000)
        assert again == pdf[1000:]
        assert [s.role for s in stored[r.result_id].signatures] == [
            m["repository"].Signature.PERSON, m["repository"].Signature.AGENCY]


def test_repetition_gives_the_same_receipt(shared, stubs):
    c = case()
    first = send(stubs, [c]).receipts[0]
    c.priority = 1
    c.request_id = "another"
    second = send(stubs, [c]).receipts[0]
    assert not first.duplicate and second.duplicate
    assert (first.result_id, first.number, first.number_text) == (
        second.result_id, second.number, second.number_text)
    shared.wait_stored(stubs, [first.result_id])
    third = stubs.issuance.SubmitCase(
        harness.modules()["issuance"].SubmitCaseRequest(case=c), timeout=20).receipts[0]
    assert third.duplicate and third.result_id == first.result_id and third.state == 6


def test_other_content_is_refused_with_both_digests(stubs):
    c = case()
    send(stubs, [c])
    c.results[0].fields[0].text = "Người khác"
    reject = send(stubs, [c]).rejects[0]
    assert reject.reason == "CASE_CONTENT_CONFLICT" and reject.index == 0
    assert len(reject.stored_sha256) == len(reject.given_sha256) == 32
    assert reject.stored_sha256 != reject.given_sha256
    with pytest.raises(grpc.RpcError) as e:
        stubs.issuance.SubmitCase(
            harness.modules()["issuance"].SubmitCaseRequest(case=c), timeout=20)
    d = harness.details(e.value)
    assert d["code"] == "ALREADY_EXISTS" and d["reason"] == "CASE_CONTENT_CONFLICT"
    assert reject.stored_sha256.hex() in d["metadata"].values()


def test_one_bad_case_does_not_harm_its_batch(stubs):
    cases = [case() for _ in range(5)]
    cases[1].results[0].kind = "khong-co"
    cases[3].results[0].fields[1].text = "Tên có \u202e đảo chiều"
    answer = send(stubs, cases)
    assert answer.accepted == 3
    assert [(r.index, r.reason, r.case_code) for r in answer.rejects] == [
        (1, "KIND_UNKNOWN", cases[1].code), (3, "CHARACTER_REFUSED", cases[3].code)]
    assert answer.rejects[1].field == "results[0].fields.ho_ten"
    assert "U+202E" in answer.rejects[1].detail
    assert answer.rejects[0].message_vi and answer.rejects[0].message_en


def test_validate_only_binds_nothing(shared, stubs):
    before = {(r.unit, r.code): r.next for r in shared.registers()}
    answer = send(stubs, [case()], validate_only=True)
    assert answer.accepted == 1 and not answer.receipts and not answer.rejects
    assert before == {(r.unit, r.code): r.next for r in shared.registers()}


def test_decomposed_text_comes_out_composed(shared, stubs):
    name = "Nguyễn Thị Ngọc Ánh"
    composed = case("H99.11-NFC-1", name=name)
    first = send(stubs, [composed]).receipts[0]
    decomposed = case("H99.11-NFC-1", name=unicodedata.normalize("NFD", name))
    second = send(stubs, [decomposed])
    assert second.receipts[0].duplicate and second.receipts[0].result_id == first.result_id
    shared.wait_stored(stubs, [first.result_id])
    m = harness.modules()["repository"]
    got = stubs.repository.GetResult(m.GetResultRequest(result_id=first.result_id), timeout=20)
    assert {f.name: f.text for f in got.fields}["ho_ten"] == name


def test_a_case_of_several_results_is_taken_or_refused_whole(stubs):
    c = case()
    c.results.add().CopyFrom(c.results[0])
    c.results[1].ordinal = 1
    assert len(send(stubs, [c]).receipts) == 2
    bad = case()
    bad.results.add().CopyFrom(bad.results[0])
    bad.results[1].ordinal = 1
    bad.results[1].fields[2].date.month = 13
    answer = send(stubs, [bad])
    assert answer.accepted == 0 and answer.rejects[0].reason == "DATE_INVALID"
    assert answer.rejects[0].field == "results[1].fields.ngay_sinh"


def test_kind_is_named_in_the_result(shared, stubs):
    c = case()
    r = send(stubs, [c]).receipts[0]
    got = shared.wait_stored(stubs, [r.result_id])[r.result_id]
    assert (got.kind, got.case_code, got.unit) == (KIND, c.code, c.results[0].unit)
    assert got.accept_time.ToMilliseconds() <= got.store_time.ToMilliseconds()
    assert got.issue_time.ToMilliseconds() <= got.signatures[0].sign_time.ToMilliseconds() + 1000
