"""Keys elsewhere, from the case to the stored result: the engine, its remote signer, and a service
that is late, wrong, away, or killed."""
import datetime
import itertools
import json
import os
import shutil
import signal
import time

import pytest

import harness
from copying import by_each_call, check_copies
from remote_rig import (HELD, STORED, Askings, Rig, asked_once, check, held, states, stored,
                        same_receipts, submit, waiting, whole_register)
from sample import SIGNER, UNITS, case, send
from test_clock import LIBRARY, VIETNAM, Clock
from test_mirror import Pair


# ---- the process ----

def test_it_runs_where_services_are_configured_only(rig):
    rig.engine.start()
    assert "remote" not in rig.engine.children() and rig.status().remote_signer == ""
    rig.remote("person")
    rig.engine.hup()
    rig.up()
    first = rig.engine.children()["remote"]
    os.kill(first, signal.SIGKILL)
    harness.wait_for(lambda: rig.engine.children().get("remote", first) != first)
    rig.up()
    os.kill(rig.engine.children()["engine"], signal.SIGKILL)
    harness.wait_for(lambda: rig.engine.log().count("ready on") == 2, 20)
    rig.up()
    shown = rig.engine.trien("status", "--connect", f"unix:{rig.data}/engine.sock").stdout
    assert "remote signer        up" in shown
    assert rig.engine.stop() == 0, rig.engine.log()
    assert not rig.engine.children_left()


def test_what_is_configured_wrongly_stops_the_first_start(rig):
    rig.remote("person")
    (rig.data / "remote" / "service.secret").chmod(0o644)
    rig.engine.start(ready=False)
    assert rig.engine.wait_end() == 78
    assert "chmod 600" in rig.engine.log()


# ---- the way of a result ----

@pytest.mark.sampled
@pytest.mark.parametrize("form", ["array", "csc", "csc_later", "later"])
@pytest.mark.parametrize("algorithm", ["rsa2048", "p256"])
def test_an_officers_key_at_a_service(tmp_path, keys, form, algorithm):
    rig = Rig(tmp_path, keys, algorithm=algorithm).remote("person", form=form)
    try:
        rig.start()
        ids = submit(rig, 40)
        got = stored(rig, ids)
        assert asked_once(rig) == 40 and held(rig) == []
        assert all(len(r.signatures) == 2 for r in got.values())
        check(rig, ids[:4])
        assert rig.engine.stop() == 0, rig.engine.log()
    finally:
        rig.end()


@pytest.mark.parametrize("roles", [("agency",), ("person", "agency")])
def test_the_seal_at_a_service_too(rig, roles):
    rig.remote(*roles).start()
    ids = submit(rig, 30)
    stored(rig, ids)
    assert asked_once(rig) == 30 * len(roles)
    check(rig, ids[:4])


@pytest.mark.parametrize("form", ["csc", "csc_later"])
def test_copies_are_signed_at_a_service(rig, tmp_path, form):
    rig.remote("person", form=form).start()
    stubs = rig.engine.stubs()
    first, = submit(rig, 1)
    stored(rig, [first])
    wanted = by_each_call(stubs, (first, rig.engine.download(stubs, first)[0]))
    check_copies(rig.engine, wanted, tmp_path / "pdf")
    assert asked_once(rig) == 1 + len(wanted) and held(rig) == []


def test_others_go_on_while_a_service_is_late(rig):
    rig.remote("person").start()
    rig.service.control(mute=True)
    late = submit(rig, 30)
    harness.wait_for(lambda: len(rig.service.diary().asked) == 30)
    others = submit(rig, 60, UNITS[1])
    stored(rig, others)
    assert not rig.service.diary().given, "not one of the late ones was signed meanwhile"
    waiting(rig, late)
    rig.service.control(mute=False)
    stored(rig, late)
    assert asked_once(rig) == 30


# ---- answers that are none ----

@pytest.mark.sampled
@pytest.mark.parametrize("fault", ["500", "close", "cut", "wrong", "foreign", "reordered",
                                   "truncated", "partly", "twice"])
def test_what_is_spoiled_once_is_asked_again(rig, fault):
    rig.remote("person").start()
    rig.service.control(next=[fault])
    ids = submit(rig, 12)
    stored(rig, ids)
    check(rig, ids[:3])
    assert held(rig) == []


def test_always_wrong_harms_its_own_result_only(tmp_path, keys):
    rig = Rig(tmp_path, keys, metrics="127.0.0.1:0").remote("person")
    try:
        rig.start()
        rig.service.control(always="hang")
        ids = submit(rig, 8)
        harness.wait_for(lambda: len(rig.service.control()["asked"]) == 8)
        victim = sorted(rig.service.control()["asked"])[3]
        rig.service.control(always="swap", victim=victim)
        os.kill(rig.engine.children()["remote"], signal.SIGKILL)
        harness.wait_for(lambda: states(rig, ids) == {STORED: 7, HELD: 1}, 40)
        row, = held(rig)
        assert row.reason == "SIGNATURE_WRONG" and row.number
        assert "ALARM" in rig.engine.log() and rig.engine.metrics()["signatures_wrong_total"] == 1
        rig.service.control(always=None)
        rig.engine.trien("held", "retry", "--connect", f"unix:{rig.data}/engine.sock")
        stored(rig, ids)
    finally:
        rig.end()


@pytest.mark.parametrize("form", ["csc_later", "later"])
def test_a_person_may_say_no(rig, form):
    rig.remote("person", form=form).start()
    rig.service.control(confirm=True, pending=True)
    ids = submit(rig, 3)
    harness.wait_for(lambda: rig.service.control()["calls"].get("authorize") or
                     rig.service.control()["calls"].get("later"))
    rig.service.control(refused=True)
    harness.wait_for(lambda: len(held(rig)) == 3)
    rows = held(rig)
    assert {r.reason for r in rows} == {"SIGNATURE_REFUSED"}
    assert sorted(r.number for r in rows) == [1, 2, 3]
    # A start does not ask the person again; an operator does.
    rig.engine.kill()
    asked = rig.service.control()["calls"]
    rig.start(registers=False)
    assert len(held(rig)) == 3 and rig.service.control()["calls"] == asked
    rig.service.control(refused=False, pending=False)
    sock = f"unix:{rig.data}/engine.sock"
    rig.engine.trien("held", "void", ids[0], "--reason", "Không ký", "--connect", sock)
    again = lambda *args: rig.engine.trien("held", "retry", *args, "--connect", sock).stdout
    # Who refused is asked again by name only.
    assert again().startswith("0 ")
    assert again("--reason", "SIGNER_AWAY").startswith("0 ")
    assert again("--reason", "SIGNATURE_REFUSED").startswith("2 ")
    stored(rig, ids[1:])


def test_a_service_that_is_away_loses_none(rig):
    rig.remote("person").start()
    rig.service.kill()
    ids = submit(rig, 300)
    others = submit(rig, 40, UNITS[1])
    stored(rig, others, 10)
    waiting(rig, ids)
    # Longer than the journal holds them: in the waiting room now.
    harness.wait_for(lambda: rig.rows() == 300, 40)
    assert rig.status().in_flight == 0 and held(rig) == []
    assert rig.status().awaiting_signature == 300
    rig.service.start()
    stored(rig, ids)
    assert asked_once(rig) == 300
    harness.wait_for(lambda: rig.rows() == 0)
    assert rig.engine.stop() == 0, rig.engine.log()


def test_a_certificate_that_ends_meanwhile(rig):
    rig.remote("person").start()
    rig.service.kill()
    ids = submit(rig, 4)
    waiting(rig, ids)
    path, doc = rig.policy()
    for key in doc["keys"]:
        if key["source"] == "remote":
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    path.write_text(json.dumps(doc))
    rig.engine.hup()
    # Not before: the service may be asked until the keys are read.
    harness.wait_for(lambda: len(held(rig)) == 4, 40)
    assert {r.reason for r in held(rig)} == {"CERT_EXPIRED"} and all(r.number for r in held(rig))


def delegated(rig, last_day):
    """The officer signs for another, until that day."""
    path = rig.engine.schemas / "signers" / f"{SIGNER[UNITS[0]]}.json"
    doc = json.loads(path.read_text())
    doc["versions"][-1].update(authority="KT", authority_line="KT. CHỦ TỊCH", to=last_day)
    path.write_text(json.dumps(doc, ensure_ascii=False))


@pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")
def test_a_delegation_that_ends_meanwhile(tmp_path, keys):
    """What was asked for by the officer's last day and not given is not signed on the next one,
    whether the engine ran on or was started then."""
    shutil.copytree(harness.ROOT / "schemas", tmp_path / "schemas")
    rig = Rig(tmp_path, keys, schemas=tmp_path / "schemas", crl_hours_max="8760").remote("person")
    day = datetime.datetime.now(VIETNAM).replace(hour=16, minute=0) + datetime.timedelta(days=1)
    delegated(rig, day.strftime("%Y-%m-%d"))
    clock = Clock(rig.engine)
    try:
        clock.set(day)
        rig.start()
        rig.service.kill()
        ids = submit(rig, 3)
        waiting(rig, ids)
        rig.restart("all")
        waiting(rig, ids)
        more = submit(rig, 2)
        waiting(rig, more)
        clock.set(day + datetime.timedelta(hours=16))
        # It looks once a second; the service has no clock of ours.
        harness.wait_for(lambda: "not asked for any more" in rig.engine.log(), 40)
        rig.service.start()
        harness.wait_for(lambda: len(held(rig)) == 5, 40)
        assert {r.reason for r in held(rig)} == {"DELEGATION_ENDED"}
        assert all(r.number for r in held(rig))
        assert not rig.service.diary().asked
    finally:
        rig.end()


# ---- whatever is killed ----

@pytest.mark.sampled
@pytest.mark.parametrize("form", ["csc_later", "later"])
@pytest.mark.parametrize("whom", ["engine", "remote", "service", "all"])
@pytest.mark.parametrize("parked", [False, True])
def test_nobody_is_asked_twice_for_what_he_gave(rig, form, whom, parked):
    rig.remote("person", form=form, poll_ms=300, poll_max_ms=300).start()
    rig.service.control(pending=True)
    ids = submit(rig, 20)
    waiting(rig, ids)
    rig.wait_tickets(20)
    if parked:
        harness.wait_for(lambda: rig.rows() == 20, 40)
    if whom in ("service", "all"):
        rig.service.kill()
        rig.service.start()
    if whom != "service":
        rig.restart(whom)
    rig.service.control(pending=False)
    stored(rig, ids)
    assert asked_once(rig) == 20
    check(rig, ids[:2])


def seals_awaited(rig, n, parked):
    """(cases, receipts, ids, digests): each seal was asked for once, and none has come."""
    cases = [case() for _ in range(n)]
    receipts = send(rig.engine.stubs(), cases).receipts
    ids = [r.result_id for r in receipts]
    waiting(rig, ids)
    harness.wait_for(lambda: len(rig.service.diary().asked) == n)
    if parked:
        harness.wait_for(lambda: rig.rows() == n, 40)
    return cases, receipts, ids, rig.service.diary().asked


def nothing_anew(rig, ids, asked, seconds=3):
    """All that time: long enough for whoever gives up his waiting to ask for another digest."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert rig.service.diary().asked == asked
        time.sleep(0.1)
    waiting(rig, ids)


def sealed_as_asked(rig, cases, receipts, asked):
    """All are stored, sealed with what was asked for at first, and the receipts still hold."""
    got = stored(rig, [r.result_id for r in receipts])
    assert rig.service.diary().asked == asked and held(rig) == []
    for r in receipts:
        assert (got[r.result_id].number, got[r.result_id].number_text) == \
            (r.number, r.number_text)
        assert len(got[r.result_id].signatures) == 2
    same_receipts(rig.engine, cases, receipts)
    whole_register(rig.engine, got.values())
    check(rig, [r.result_id for r in receipts[:2]])


@pytest.mark.sampled
@pytest.mark.parametrize("whom, parked",
                         list(itertools.product([None, "engine", "all"], [False, True])))
def test_a_seal_is_awaited_over_reload_and_restart(rig, whom, parked):
    rig.remote("agency", form="later", poll_ms=300, poll_max_ms=300).start()
    rig.service.control(pending=True)
    cases, receipts, ids, asked = seals_awaited(rig, 6, parked)
    rig.wait_tickets(6)
    rig.engine.hup()
    nothing_anew(rig, ids, asked)
    if whom:
        rig.restart(whom)
        nothing_anew(rig, ids, asked)
    rig.service.control(pending=False)
    sealed_as_asked(rig, cases, receipts, asked)
    assert asked_once(rig) == 6
    assert rig.engine.stop() == 0, rig.engine.log()


@pytest.mark.sampled
@pytest.mark.parametrize("parked", [False, True])
def test_a_seal_that_is_late_is_awaited_over_a_reload(rig, parked):
    """There is no ticket, and a reload replaces the remote signer: the new one asks for what the
    old one did, once. Whoever gave up would ask for another digest."""
    rig.remote("agency").start()
    rig.service.control(mute=True)
    cases, receipts, ids, first = seals_awaited(rig, 6, parked)
    for times in (2, 3):
        rig.engine.hup()
        asked = {d: times for d in first}
        harness.wait_for(lambda: sum(rig.service.diary().asked.values()) >= 6 * times)
        nothing_anew(rig, ids, asked)
    assert not rig.service.diary().given
    rig.service.control(mute=False)
    sealed_as_asked(rig, cases, receipts, asked)
    assert rig.engine.stop() == 0, rig.engine.log()


def test_a_signature_that_came_is_kept_while_the_seal_is_missing(rig):
    rig.remote("person").start()
    path, doc = rig.policy()
    good = path.read_text()
    rig.service.control(slow_s=2)
    ids = submit(rig, 6)
    harness.wait_for(lambda: rig.service.control()["sizes"])
    for key in doc["keys"]:
        if key["role"] == "agency" and key["unit"] == UNITS[0]:
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    path.write_text(json.dumps(doc))
    rig.engine.hup()
    harness.wait_for(lambda: len(held(rig)) == 6)
    asked = rig.service.control()["asked"]
    rig.engine.kill()
    rig.start(registers=False)
    harness.wait_for(lambda: len(held(rig)) == 6)
    path.write_text(good)
    rig.engine.hup()
    rig.engine.trien("held", "retry", "--connect", f"unix:{rig.data}/engine.sock")
    got = stored(rig, ids)
    assert rig.service.control()["asked"] == asked
    for r in got.values():
        first, second = r.signatures
        assert first.sign_time.ToMilliseconds() < second.sign_time.ToMilliseconds()
    check(rig, ids[:2])


def test_what_came_for_another_drawing_is_held(rig):
    """The signature is kept; an operator's retry drops it, and the person is asked again."""
    rig.remote("person").start()
    path, doc = rig.policy()
    good = path.read_text()
    for key in doc["keys"]:
        if key["role"] == "agency" and key["unit"] == UNITS[0]:
            key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    rig.service.control(slow_s=2)
    ids = submit(rig, 3)
    harness.wait_for(lambda: rig.service.control()["sizes"])
    path.write_text(json.dumps(doc))
    rig.engine.hup()
    harness.wait_for(lambda: len(held(rig)) == 3)
    assert rig.engine.stop() == 0
    path.write_text(good)
    rig.engine.settings["verify_host"] = "HTTPS://KHAC.EXAMPLE"
    rig.start(registers=False)
    harness.wait_for(lambda: {r.reason for r in held(rig)} == {"SIGNATURE_OUTDATED"})
    asked = rig.service.control()["asked"]
    assert len(asked) == 3
    rig.service.control(slow_s=0)
    rig.engine.trien("held", "retry", "--connect", f"unix:{rig.data}/engine.sock")
    stored(rig, ids)
    assert len(rig.service.control()["asked"]) == 6
    check(rig, ids)


@pytest.mark.parametrize("parked", [False, True])
def test_taken_over(tmp_path, keys, parked):
    """The mirror has the tickets, and what came: it goes on, and nobody is asked again."""
    p = Pair(tmp_path)
    rig = Rig(tmp_path, keys, engine=p.engine)
    try:
        rig.remote("person", form="later", poll_ms=300, poll_max_ms=300).start()
        rig.service.control(pending=True)
        ids = submit(rig, 15)
        waiting(rig, ids)
        rig.wait_tickets(15, p.mirror.data)
        if parked:
            harness.wait_for(lambda: rig.rows() == 15, 40)
        p.engine.kill()
        p.mirror.kill()
        p.take_over()
        second = p.go_on(start=False)
        shutil.copytree(rig.data / "remote", p.mirror.data / "remote")
        rig.engine = second
        rig.start(registers=False)
        rig.service.control(pending=False)
        stored(rig, ids)
        assert asked_once(rig) == 15
    finally:
        p.close()
        rig.end()


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["array", "later"])
def test_kill_loop(rig, form):
    """Engine and remote signer are killed again and again; all is stored once, with one number."""
    rig.remote("person", form=form).start()
    rig.service.control(slow_s=0.3)
    askings, ids = Askings(rig), []
    for round_no in range(6):
        ids += submit(rig, 50)
        time.sleep(0.2 * round_no)
        rig.restart("remote" if round_no % 2 else "all")
        askings.look()
    got = stored(rig, ids)
    assert [got[i].number for i in ids] == list(range(1, 301))
    whole_register(rig.engine, got.values())
    askings.check()
    assert len(rig.service.diary().asked) == 300, "the same digests over all restarts"
    assert rig.engine.stop() == 0, rig.engine.log()


@pytest.mark.alone
def test_a_thousand_cost_the_services_time_and_little_more(rig):
    """2 s an array of 200, four at a time: the service needs 4 s."""
    rig.remote("person").start()
    stored(rig, submit(rig, 1))
    rig.service.control(slow_s=2)
    begun = time.monotonic()
    ids = submit(rig, 1000)
    stored(rig, ids)
    took = time.monotonic() - begun
    print(f"{took:.2f} s")
    assert took < 4 + 2
    assert asked_once(rig) == 1001
