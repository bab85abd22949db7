"""Official numbers: opened by an act, continuous, in time order, for one year."""
import re

import grpc
import pytest

import harness
from sample import UNITS, batch, case, send


def test_a_paper_series_goes_on(engine):
    engine.start(registers=False)
    stubs = engine.stubs()
    answer = send(stubs, [case()])
    assert answer.rejects[0].reason == "REGISTER_NOT_OPEN"
    opening = ("register", "open", "--connect", f"unix:{engine.data}/engine.sock",
               "--unit", UNITS[0], "--code", "XNTTHN", "--year", "2026")
    engine.trien(*opening, "--next", "4313", "--reason", "Tiếp sổ giấy")
    again = engine.trien(*opening, "--next", "1", "--reason", "x", check=False)
    assert again.returncode != 0 and "already open" in again.stderr
    assert "Sổ đang mở cho năm này rồi" in again.stderr
    receipts = send(stubs, [case() for _ in range(3)]).receipts
    assert [r.number for r in receipts] == [4313, 4314, 4315]
    assert receipts[0].number_text == "4313/XNTTHN-UBND"
    engine.kill()
    engine.start(registers=False)
    r = send(engine.stubs(), [case()]).receipts[0]
    assert r.number == 4316
    row = next(r for r in engine.registers() if r.code == "XNTTHN")
    assert (row.first, row.next) == (4313, 4317)


def test_small_numbers_have_two_digits(engine):
    engine.start()
    r = send(engine.stubs(), [case()]).receipts[0]
    assert r.number_text == "01/XNTTHN-UBND"


def test_a_closed_register_gives_no_more(engine):
    engine.start()
    stubs = engine.stubs()
    m = harness.modules()["operations"]
    send(stubs, [case(), case()])
    closed = stubs.operations.CloseRegister(m.CloseRegisterRequest(
        unit=UNITS[0], code="XNTTHN", reason="hết sổ"), timeout=20)
    assert closed.closed and closed.next == 3
    reject = send(stubs, [case()]).rejects[0]
    assert reject.reason == "REGISTER_NOT_OPEN"
    assert reject.detail == f"XNTTHN {closed.year}: closed"
    again = engine.trien("register", "open", "--data", engine.data, "--unit", UNITS[0], "--code",
                         "XNTTHN", "--reason", "x", check=False)
    assert re.search(rf"the register of {closed.year} was closed on \d{{4}}-\d\d-\d\d by \S+; "
                     rf"it is not opened again: .* of {closed.year + 1}", again.stderr)
    assert f"Sổ năm {closed.year} đã khóa, không mở lại" in again.stderr
    assert "already open" not in again.stderr
    with pytest.raises(grpc.RpcError):
        stubs.operations.OpenRegister(m.OpenRegisterRequest(unit=UNITS[0], code="KHONG", first=1,
                                                            reason="x"), timeout=20)


def test_number_order_is_time_order(engine):
    engine.start()
    stubs = engine.stubs()
    futures = [stubs.issuance.SubmitBatch.future(batch([case() for _ in range(20)]), timeout=30)
               for _ in range(20)]
    receipts = sorted((r for f in futures for r in f.result().receipts), key=lambda r: r.number)
    assert [r.number for r in receipts] == list(range(1, 401))
    assert [r.sequence for r in receipts] == sorted(r.sequence for r in receipts)
    times = [r.issue_time.ToMilliseconds() for r in receipts]
    assert times == sorted(times)


def test_a_data_folder_older_than_the_store_is_refused(engine, tmp_path):
    engine.start()
    stubs = engine.stubs()
    ids = [r.result_id for r in send(stubs, [case() for _ in range(5)]).receipts]
    engine.wait_stored(stubs, ids)
    assert engine.stop() == 0
    engine.trien("backup", "--data", engine.data, tmp_path / "old")
    engine.start(registers=False)
    stubs = engine.stubs()
    ids = [r.result_id for r in send(stubs, [case() for _ in range(7)]).receipts]
    engine.wait_stored(stubs, ids)
    assert engine.stop() == 0
    kept = {name: (engine.data / name) for name in ("keys", "principals.json", "tls")}
    engine.data.rename(tmp_path / "newer")
    engine.trien("restore", tmp_path / "old", "--data", engine.data)
    for name, path in kept.items():
        if not path.exists():
            (tmp_path / "newer" / name).rename(path)
    engine.start(ready=False)
    assert engine.wait_end() != 0
    log = engine.log()
    assert re.search(r"remembers number 12, .*goes on at 6 \(7 behind\)", log), log
    engine.settings["accept_behind"] = "true"
    engine.start(registers=False)
    r = send(engine.stubs(), [case()]).receipts[0]
    assert r.number == 13
