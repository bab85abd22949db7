"""A case that nobody approves in time, and one that is approved in another year."""
import datetime
import glob

import pytest

import harness
from office import Signer
from sample import case, send
from test_approval import (AWAITING, STORED, TIMED_OUT, awaiting_schemas, confirm, number, result,
                           states, submit, waits)
from test_clock import Clock, in_vietnam

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
pytestmark = pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")


@pytest.fixture
def led(tmp_path):
    e = harness.Engine(tmp_path / "e", crl_hours_max="8760",
                       schemas=awaiting_schemas(tmp_path / "schemas", expires_days=30))
    e.prepare()
    clock = Clock(e)
    yield e, clock
    e.kill()


def test_what_nobody_approves_times_out(led):
    engine, clock = led
    clock.set(in_vietnam(2026, 12, 1, 9))
    engine.start()
    stubs = engine.stubs()
    cases = [case() for _ in range(50)]
    receipts = list(send(stubs, cases).receipts)
    clock.set(in_vietnam(2026, 12, 5, 9))
    tried = submit(stubs, 1)
    clock.set(in_vietnam(2026, 12, 11, 9))
    later = submit(stubs, 2)
    waits(stubs, receipts + later)
    clock.set(in_vietnam(2026, 12, 31, 8, 59))
    assert states(stubs, receipts + later) == [AWAITING] * 52
    clock.set(in_vietnam(2026, 12, 31, 9, 0, 2))
    harness.wait_for(lambda: states(stubs, receipts) == [TIMED_OUT] * 50, 30, 0.2)
    assert states(stubs, later) == [AWAITING] * 2
    assert all(r.state == TIMED_OUT for r in send(stubs, cases).receipts)
    got = result(stubs, receipts[0].result_id)
    ended = got.void_time.ToDatetime(datetime.timezone.utc)
    assert datetime.timedelta() <= ended - in_vietnam(2026, 12, 31, 9) < \
        datetime.timedelta(minutes=1)
    # Confirmed too late, whether it has ended already or ends so in a moment.
    signer = Signer(engine)
    clock.set(in_vietnam(2027, 1, 4, 8, 59))
    session = signer.open([tried[0].result_id])
    clock.set(in_vietnam(2027, 1, 4, 9, 5))
    assert signer.confirm(session).approved == 0
    outcome = next(signer.watch(session))
    assert (outcome.state, outcome.reason) == (TIMED_OUT, "NOT_WAITING")
    # The other ones: while nobody ran.
    engine.kill()
    clock.set(in_vietnam(2027, 2, 1, 9))
    engine.start()
    stubs = engine.stubs()
    harness.wait_for(lambda: states(stubs, later) == [TIMED_OUT] * 2, 30, 0.2)
    assert number(engine).given == 0


def test_number_and_date_are_those_of_the_approval(led):
    """Accepted in one year, confirmed in the next: its register, its first number, its date."""
    engine, clock = led
    clock.set(in_vietnam(2026, 12, 20, 9))
    engine.start()
    stubs = engine.stubs()
    cases = [case() for _ in range(3)]
    receipts = list(send(stubs, cases).receipts)
    waits(stubs, receipts)
    confirm(stubs, [receipts[0].result_id])
    engine.wait_stored(stubs, [receipts[0].result_id])
    clock.set(in_vietnam(2027, 1, 4, 8))
    confirm(stubs, [receipts[2].result_id, receipts[1].result_id])
    stored = engine.wait_stored(stubs, [r.result_id for r in receipts])
    rows = [stored[r.result_id] for r in receipts]
    assert [(r.register_year, r.number) for r in rows] == [(2026, 1), (2027, 2), (2027, 1)]
    assert rows[2].issue_time.ToDatetime(datetime.timezone.utc) >= in_vietnam(2027, 1, 4, 8)
    assert rows[2].accept_time.ToDatetime(datetime.timezone.utc) < in_vietnam(2026, 12, 21)
    # The receipt of a repetition knows it after the journal has forgotten it, too.
    for _ in range(2):
        again = send(stubs, cases).receipts
        assert [r.state for r in again] == [STORED] * 3
        assert [r.issue_time for r in again] == [r.issue_time for r in rows]
        assert [r.number_text for r in again] == [r.number_text for r in rows]
        assert engine.stop() == 0
        engine.start()
        stubs = engine.stubs()
