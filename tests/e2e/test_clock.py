"""Time as offices meet it: a new year, a clock that steps back, a case sent again a year later.

The engine's wall clock is led by libfaketime through a file; where that is not installed these
tests are skipped.
"""
import datetime
import glob
import json
import os
import shutil

import pytest

import harness
from sample import SIGNER, UNITS, case, send

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
VIETNAM = datetime.timezone(datetime.timedelta(hours=7))
pytestmark = pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")


class Clock:
    def __init__(self, engine):
        # A folder that the engine's sandbox leaves open.
        self.path = engine.data / "counters" / "clock"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def set(self, when):
        """From now on the engine's clock goes on from `when`."""
        ahead = (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        temporary = self.path.with_suffix(".new")
        temporary.write_text(f"{ahead:+.3f}s\n")
        os.replace(temporary, self.path)


@pytest.fixture
def led(tmp_path, monkeypatch):
    """An engine whose schemas and clock are the test's."""
    shutil.copytree(harness.ROOT / "schemas", tmp_path / "schemas")
    e = harness.Engine(tmp_path / "e", schemas=tmp_path / "schemas", crl_hours_max="8760")
    e.prepare()
    clock = Clock(e)
    for name, value in {"LD_PRELOAD": LIBRARY[0], "FAKETIME_TIMESTAMP_FILE": str(clock.path),
                        "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}.items():
        e.environment[name] = value
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
