"""Several engines: each unit belongs to one of them."""
import grpc
import pytest

import harness
from sample import UNITS, case, send


@pytest.fixture
def half(tmp_path):
    """An engine for one of the two agencies."""
    with harness.Engine(tmp_path / "e", units=UNITS[0], address="here:7443") as e:
        yield e.prepare()


def owners(engine):
    return sorted((engine.data / "store/owners").read_text().splitlines())


def open_own(engine):
    stubs = engine.stubs()
    m = harness.modules()["operations"]
    for code in sorted(harness.register_codes()):
        stubs.operations.OpenRegister(m.OpenRegisterRequest(unit=UNITS[0], code=code, first=1,
                                                            reason="test"), timeout=20)
    return stubs


def test_another_engines_case_is_refused_naming_it(half):
    (half.data / "store").mkdir(exist_ok=True)
    (half.data / "store/owners").write_text(f"{UNITS[1]} 7 there:7443\n")
    half.start(registers=False)
    assert owners(half) == sorted([f"{UNITS[0]} 0 here:7443", f"{UNITS[1]} 7 there:7443"])
    stubs = open_own(half)
    answer = send(stubs, [case(), case(unit=UNITS[1]), case()])
    assert [r.number for r in answer.receipts] == [1, 2]
    assert [(r.index, r.reason, r.field, r.detail, r.retryable) for r in answer.rejects] == [
        (1, "UNIT_ELSEWHERE", "results[0].unit", "engine 7 at there:7443", False)]
    m = harness.modules()
    with pytest.raises(grpc.RpcError) as error:
        stubs.issuance.SubmitCase(m["issuance"].SubmitCaseRequest(case=case(unit=UNITS[1])),
                                  timeout=20)
    told = harness.details(error.value)
    assert (told["reason"], told["metadata"]) == \
        ("UNIT_ELSEWHERE", {"owner": "engine 7 at there:7443"})
    with pytest.raises(grpc.RpcError) as error:
        stubs.operations.OpenRegister(m["operations"].OpenRegisterRequest(
            unit=UNITS[1], code="XNTTHN", first=1, reason="x"), timeout=20)
    assert "engine 7 at there:7443" in error.value.details()
    assert {r.unit for r in half.registers()} == {UNITS[0]}


def test_a_case_of_two_engines_is_refused_whole(half):
    half.start(registers=False)
    stubs = open_own(half)
    both = case()
    both.results.append(case(unit=UNITS[1]).results[0])
    both.results[1].ordinal = 2
    answer = send(stubs, [both, case()])
    assert [(r.reason, r.field) for r in answer.rejects] == [("UNIT_ELSEWHERE", "results[1].unit")]
    assert [r.number for r in answer.receipts] == [1]


@pytest.mark.parametrize("row", [f"{UNITS[0]} 7 there:7443", "* 7 there:7443"])
def test_a_unit_has_one_engine(half, row):
    (half.data / "store").mkdir(exist_ok=True)
    (half.data / "store/owners").write_text(row + "\n")
    half.start(ready=False)
    assert half.wait_end() != 0
    assert "engine 7 at there:7443" in half.log()


def test_what_was_issued_here_before_is_still_answered_here(half):
    half.settings["units"] = ",".join(UNITS)
    half.start()
    c = case(unit=UNITS[1])
    first = send(half.stubs(), [c]).receipts[0]
    assert half.stop() == 0
    half.settings["units"] = UNITS[0]
    half.start(registers=False)
    again = send(half.stubs(), [c, case(unit=UNITS[1])])
    assert again.receipts[0].result_id == first.result_id
    assert [r.reason for r in again.rejects] == ["UNIT_ELSEWHERE"]
