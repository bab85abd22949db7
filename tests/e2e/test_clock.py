"""Time as offices meet it: a new year, a clock that steps back, a case sent again a year later.

The engine's wall clock is led by libfaketime through a file; where that is not installed these
tests are skipped.
"""
import datetime
import glob
import json
import os
import re
import shutil
import time

import pytest

import harness
import originals
from copying import certify, certify_all, copy_case
from office import pdf_text
from sample import SIGNER, UNITS, case, send

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
VIETNAM = datetime.timezone(datetime.timedelta(hours=7))
pytestmark = pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")


class Clock:
    """An engine's, which it follows from its next start."""

    # Read at each look at the time, the file costs more than all else that an engine does. With
    # a cache of 0 s it is read in each second in which somebody looks at the time.
    READ_S = 1

    def __init__(self, engine):
        self.engine = engine
        # A folder that the engine's sandbox leaves open.
        self.path = engine.data / "counters" / "clock"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        engine.environment.update(
            LD_PRELOAD=LIBRARY[0], FAKETIME_TIMESTAMP_FILE=str(self.path),
            FAKETIME_CACHE_DURATION="0", FAKETIME_DONT_FAKE_MONOTONIC="1",
            # Else a thread that waits for a while by the monotonic clock does not wait at all.
            FAKETIME_FORCE_MONOTONIC_FIX="0",
            # A sanitized build's library wants to be the first one.
            ASAN_OPTIONS="verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", ""))

    def set(self, when):
        """Once this is back the engine's clock goes on from `when`."""
        running = self.engine.process is not None and self.engine.process.poll() is None
        wait = self.READ_S + 0.1 if running else 0
        ahead = (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds() - wait
        temporary = self.path.with_suffix(".new")
        temporary.write_text(f"{ahead:+.3f}s\n")
        os.replace(temporary, self.path)
        time.sleep(wait)


@pytest.fixture
def led(tmp_path, monkeypatch):
    """An engine whose schemas and clock are the test's."""
    shutil.copytree(harness.ROOT / "schemas", tmp_path / "schemas")
    e = harness.Engine(tmp_path / "e", schemas=tmp_path / "schemas", crl_hours_max="8760")
    e.prepare()
    clock = Clock(e)
    yield e, clock
    e.kill()


def in_vietnam(year, month, day, hour=0, minute=0, second=0):
    return datetime.datetime(year, month, day, hour, minute, second, tzinfo=VIETNAM)


def one(stubs, c=None):
    answer = send(stubs, [c or case()])
    assert not answer.rejects, answer.rejects[0]
    return answer.receipts[0]


def test_numbers_begin_again_on_1_january_of_vietnam(led):
    engine, clock = led
    clock.set(in_vietnam(2026, 12, 31, 23, 59, 0))
    engine.start()
    stubs = engine.stubs()
    assert [one(stubs).number for _ in range(3)] == [1, 2, 3]
    clock.set(in_vietnam(2027, 1, 1, 0, 0, 0) - datetime.timedelta(seconds=2))
    last = one(stubs)
    assert last.number == 4
    clock.set(in_vietnam(2027, 1, 1, 0, 0, 1))
    first = one(stubs)
    assert (first.number, first.number_text) == (1, "01/XNTTHN-UBND")
    # In UTC it is still December.
    assert first.issue_time.ToDatetime(datetime.timezone.utc).year == 2026
    rows = [r for r in engine.registers() if r.code == "XNTTHN" and r.unit == UNITS[0]]
    assert sorted((r.year, r.next) for r in rows) == [(2026, 5), (2027, 2)]
    got = engine.wait_stored(stubs, [last.result_id, first.result_id])
    assert [got[r.result_id].register_year for r in (last, first)] == [2026, 2027]
    engine.kill()
    engine.start(registers=False)
    assert one(engine.stubs()).number == 2


def test_a_certification_book_goes_on_from_volume_to_volume(led, tmp_path):
    """Its numbers are continuous through the year, over the end of a volume and over a kill; the
    new year begins the first volume of another book."""
    engine, clock = led
    clock.set(in_vietnam(2026, 12, 31, 23, 50))
    engine.start(registers=False)
    engine.open_registers(first=998)        # a volume has 1,000
    receipts = [certify(engine.stubs(), copy_case(), originals.jpeg()) for _ in range(2)]
    engine.kill()
    engine.start(registers=False)
    stubs = engine.stubs()
    receipts += certify_all(stubs, [
        (copy_case(), originals.jpeg()), (copy_case(), originals.scanned(2).bytes())]).receipts
    clock.set(in_vietnam(2027, 1, 1) - datetime.timedelta(seconds=20))
    receipts.append(certify(stubs, copy_case(), originals.jpeg()))
    clock.set(in_vietnam(2027, 1, 1, second=1))
    receipts += [certify(stubs, copy_case(), originals.jpeg()) for _ in range(2)]
    books = [(998, "01/2026-SCT/BS"), (999, "01/2026-SCT/BS"), (1000, "01/2026-SCT/BS"),
             (1001, "02/2026-SCT/BS"), (1002, "02/2026-SCT/BS"), (1, "01/2027-SCT/BS"),
             (2, "01/2027-SCT/BS")]
    assert [r.number for r in receipts] == [number for number, _ in books]
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    for receipt, (number, book) in zip(receipts, books):
        pdf, _ = engine.download(stubs, receipt.result_id)
        assert f"Số chứng thực: {number:02}, quyển số: {book}" in \
            " ".join(pdf_text(pdf, tmp_path).split())
    rows = [r for r in engine.registers() if r.code == "SCT/BS" and r.unit == UNITS[0]]
    assert sorted((r.year, r.first, r.next) for r in rows) == [(2026, 998, 1003), (2027, 1, 3)]
    connect = ("--connect", f"unix:{engine.data}/engine.sock")
    engine.trien("register", "check", *connect)


def test_a_certification_book_is_printed_month_by_month(led, tmp_path):
    """A month of Vietnam has its numbers and their total, and says so if it has not ended yet."""
    engine, clock = led
    clock.set(in_vietnam(2027, 1, 31, 23, 50))
    engine.start()
    stubs = engine.stubs()
    connect = ("--connect", f"unix:{engine.data}/engine.sock")
    book = ("--unit", UNITS[0], "--code", "SCT/BS", "--year", 2027)
    receipts = [certify(stubs, copy_case(), originals.jpeg()) for _ in range(2)]
    engine.trien("register", "use", *book, "--next", 3, "--reason", "mất điện", *connect)
    # In UTC it is still January.
    clock.set(in_vietnam(2027, 2, 1, 0, 0, 1))
    receipts.append(certify(stubs, copy_case(), originals.jpeg()))
    engine.wait_stored(stubs, [r.result_id for r in receipts])

    def printed(*month):
        path = tmp_path / "book.pdf"
        engine.trien("register", "print", *book, *month, "--output", path, *connect,
                     env={**engine.environment, "TRIEN_SCHEMAS": str(engine.schemas)})
        text = " ".join(pdf_text(path.read_bytes(), tmp_path).split())
        return text, sorted(int(n) for n in re.findall(r"(\d+)/2027-SCT/BS \d\d/", text))

    unfinished = "khi tháng chưa kết thúc"
    text, numbers = printed("--month", 1)
    assert numbers == [1, 2] and text.count("Cấp ngoài hệ thống: mất điện") == 1
    assert "Tháng 01 năm 2027. Sổ: SCT/BS" in text and unfinished not in text
    assert "Cộng trong tháng: từ số 01 đến số 03: 2 số đã ban hành, 0 số bị hủy, " \
        "1 số cấp ngoài hệ thống, 0 số chưa ban hành." in text
    text, numbers = printed("--month", 2)
    assert numbers == [4] and "mất điện" not in text and "Quyển số: 01/2027-SCT/BS" in text
    assert "Cộng trong tháng: từ số 04 đến số 04: 1 số đã ban hành, 0 số" in text
    assert f"In ngày 01/02/2027, {unfinished}" in text
    text, numbers = printed("--month", 3)
    assert numbers == [] and "Trong tháng không có số nào." in text and "Sổ: SCT/BS" in text
    text, numbers = printed()
    assert numbers == [1, 2, 4] and text.count("mất điện") == 1 and unfinished not in text
    assert "Tổng cộng: từ số 01 đến số 04: 3 số đã ban hành" in text
    assert engine.trien("register", "print", *book, "--month", 13, "--output", tmp_path / "x",
                        *connect, check=False).returncode == 2


def test_a_clock_that_steps_back_stops_numbering(led):
    engine, clock = led
    noon = in_vietnam(2026, 12, 1, 12)
    clock.set(noon)
    engine.start()
    stubs = engine.stubs()
    first = one(stubs)
    clock.set(noon - datetime.timedelta(hours=1))
    answer = send(stubs, [case()])
    assert answer.rejects[0].reason == "CLOCK_STEP" and answer.rejects[0].retryable
    clock.set(noon + datetime.timedelta(minutes=1))
    second = one(stubs)
    assert second.number == first.number + 1
    assert second.issue_time.ToMilliseconds() > first.issue_time.ToMilliseconds()
    clock.set(noon + datetime.timedelta(minutes=1, milliseconds=-500))
    third = one(stubs)       # a small step is no stop: time stands until the clock has caught up
    assert third.issue_time.ToMilliseconds() >= second.issue_time.ToMilliseconds()


def test_a_year_later_the_same_receipt(led):
    """The signer has gone, the kind has another form: what was issued stays issued, once."""
    engine, clock = led
    clock.set(in_vietnam(2026, 12, 1, 9))
    engine.start()
    stubs = engine.stubs()
    c = case()
    first = one(stubs, c)
    engine.wait_stored(stubs, [first.result_id])

    path = engine.schemas / "signers" / f"{SIGNER[UNITS[0]]}.json"
    doc = json.loads(path.read_text())
    doc["versions"][-1]["to"] = "2026-12-31"
    path.write_text(json.dumps(doc, ensure_ascii=False))
    path = engine.schemas / "results" / "xac-nhan-tinh-trang-hon-nhan.json"
    doc = json.loads(path.read_text())
    later = json.loads(json.dumps(doc["versions"][-1]))
    doc["versions"][-1]["to"] = "2026-12-31"
    later["from"] = "2027-01-01"
    later["fields"].reverse()
    later["fields"].append({"name": "them", "type": "text", "label": {"vi": "Thêm", "en": "More"}})
    doc["versions"].append(later)
    path.write_text(json.dumps(doc, ensure_ascii=False))
    engine.hup()
    clock.set(in_vietnam(2027, 10, 1, 9))

    again = one(stubs, c)
    assert again.duplicate
    assert (again.result_id, again.number, again.number_text) == (
        first.result_id, first.number, first.number_text)
    m = harness.modules()["issuance"]
    streamed = list(stubs.issuance.SubmitStream(iter([m.SubmitStreamRequest(
        client_seq=1, cases=[c, case()], want_receipts=True)]), timeout=20))[-1]
    assert [r.result_id for r in streamed.receipts] == [first.result_id]
    assert streamed.rejects[0].reject.reason == "SIGNER_UNKNOWN"
    changed = case(c.code, tinh_trang="Đã ly hôn")
    answer = send(stubs, [changed])
    assert answer.rejects[0].reason == "CASE_CONTENT_CONFLICT"
    assert send(stubs, [case()]).rejects[0].reason == "SIGNER_UNKNOWN"
