"""A signature that does not come: an operator hands the result to a successor, or voids its number;
whoever was asked is not asked any more, and what he still gives does not count."""
import json
import os
import signal
import threading
import time

import grpc
import pytest

import harness
from office import SIGNS, STORED, Signer, VOID, office_schemas, submit
from officers import AWAITING_SIGNATURE, NOT_WAITED_FOR, TAKEN, Device, to_devices
from remote_rig import Rig, whole_register
from sample import UNITS, case, send
from test_held import held
from test_mirror import Pair
from test_successor import (NEXT, PEOPLE, REASON, check_event, check_signed_by, hand, people,
                            prepared, result, retry, without_key)
from test_successor_elsewhere import Elsewhere, await_signature

WHY = "Người ký không quay lại"
PLACES = ("device", "array", "later")


class Waiting:
    """An engine where results await the signature of one who does not come."""

    def __init__(self, place, folder, keys, n, parked=False):
        self.engine = prepared(folder)
        form = "array" if place == "device" else place
        self.away = Elsewhere("device" if place == "device" else "service", self.engine, folder,
                              keys, lambda k: k.get("signer") == SIGNS, form)
        self.engine.start()
        self.cases = [case() for _ in range(n)]
        self.ids = confirmed(self.engine, self.cases)
        self.away.asked(n)
        self.late = self.given() if place == "device" else None
        if parked:
            harness.wait_for(lambda: self.away.rig.rows() == n, 40)
        self.sequences = [result(self.engine, i).sequence for i in self.ids]

    def given(self):
        """What the officer signed, and has not brought yet: in the order of the ids."""
        self.device = self.away.device()
        mine = {a.result_id: self.device.given(a) for a in self.device.taken(len(self.ids))}
        return [mine[i] for i in self.ids]

    def again(self):
        self.engine.kill()
        self.engine.start(registers=False)
        if self.away.rig:
            self.away.rig.up()

    def comes_late(self, n):
        """The signatures of the first n come after all; the others' are as welcome as ever."""
        if self.late:
            assert n == 0 or self.away.device().give(self.late[:n]) == [NOT_WAITED_FOR] * n
            assert self.away.device().give(self.late[n:]) == [TAKEN] * (len(self.ids) - n)
        else:
            self.away.sign(len(self.ids) - n)

    def trien(self, *args, **kw):
        return self.engine.trien(*args, "--connect", f"unix:{self.engine.data}/engine.sock", **kw)

    def end(self):
        self.engine.kill()
        self.away.end()


@pytest.fixture
def make(tmp_path, keys):
    made = []

    def one(place, n, **kw):
        made.append(Waiting(place, tmp_path, keys, n, **kw))
        return made[-1]
    yield one
    for w in made:
        w.end()


def confirmed(engine, cases):
    ids = submit(engine, cases)
    desk = Signer(engine)
    assert desk.confirm(desk.open(ids)).approved == len(ids)
    await_signature(engine, ids)
    return ids


def awaiting(engine):
    request = harness.modules()["operations"].ListHeldRequest(page_size=200,
                                                              awaiting_signature=True)
    return list(engine.stubs().operations.ListHeld(request, timeout=20).held)


def void(engine, sequence, reason=WHY):
    m = harness.modules()["operations"]
    return engine.stubs().operations.VoidHeld(
        m.VoidHeldRequest(sequence=sequence, reason=reason), timeout=20)


def register(engine):
    return next(r for r in engine.registers() if r.unit == UNITS[0] and r.code == "XNTTHN")


def signer_of(r):
    names = {PEOPLE[NEXT]["name"]: NEXT, "Nguyễn Thị Hoài Thư": SIGNS}
    return names[r.signatures[0].subject]


def check_voided(w, i):
    got = result(w.engine, w.ids[i])
    assert (got.state, got.held_reason, got.void_reason) == (VOID, "SIGNATURE_NOT_GIVEN", WHY)
    assert got.number == i + 1
    again = send(w.engine.stubs(), [w.cases[i]]).receipts[0]
    assert (again.duplicate, again.state, again.number) == (True, VOID, i + 1)


# ---- to a successor ----

@pytest.mark.sampled
@pytest.mark.parametrize("place,parked", [("device", False), ("array", False), ("array", True),
                                          ("later", False), ("later", True)])
@pytest.mark.parametrize("killed", [False, True])
def test_a_successor_signs_instead(make, tmp_path, place, parked, killed):
    w = make(place, 3, parked=parked)
    before = [result(w.engine, i) for i in w.ids]
    remote = w.engine.children().get("remote")
    assert hand(w.engine, w.sequences[0]).retried == 1
    out = w.trien("held", "retry", w.ids[1], "--signer", NEXT, "--reason", REASON)
    assert "1 on their way again" in out.stdout
    if killed:
        w.again()
    after = w.engine.wait_stored(w.engine.stubs(), w.ids[:2])
    asked = w.away.rig and w.away.rig.service.diary().asked
    w.comes_late(2)
    after.update(w.engine.wait_stored(w.engine.stubs(), w.ids))
    same = lambda r: (r.result_id, r.number_text, r.sequence, r.accept_time,
                      r.issue_time)
    assert [same(after[i]) for i in w.ids] == [same(r) for r in before]
    check_signed_by(w.engine, w.ids[0], tmp_path)
    check_signed_by(w.engine, w.ids[1], tmp_path)
    check_signed_by(w.engine, w.ids[2], tmp_path, "Nguyễn Thị Hoài Thư", signer=SIGNS)
    whole_register(w.engine, after.values())
    assert "ALARM" not in w.engine.log() and held(w.engine) == awaiting(w.engine) == []
    if w.late:
        assert w.away.device().give(w.late[:2]) == [NOT_WAITED_FOR] * 2
        assert w.away.device().take() == []
    elif not killed:
        assert w.engine.children()["remote"] == remote, "a late answer is no breach"
    if w.away.rig and not killed:
        assert len(w.away.rig.service.diary().asked) == len(asked) == 3
    assert w.engine.stop() == 0, w.engine.log()
    check_event(w.engine, times=2)


def test_who_may_and_who_can(make):
    w = make("device", 2)
    assert refusal(lambda: hand(w.engine, w.sequences[0], "khong-co-ai")) == "SIGNER_UNKNOWN"
    assert refusal(lambda: hand(w.engine, w.sequences[0], SIGNS)) is not None
    assert refusal(lambda: retry(w.engine, w.sequences[0])) is not None
    w.engine.principals([{"name": "tester", "roles": ["registry"], "units": [UNITS[1]]}])
    w.engine.hup()
    missing = refusal(lambda: void(w.engine, w.sequences[0] + 12345))
    assert refusal(lambda: hand(w.engine, w.sequences[0])) == missing
    assert refusal(lambda: void(w.engine, w.sequences[0])) == missing
    assert awaiting(w.engine) == []
    w.engine.principals([{"name": "tester", "roles": ["registry", "sign", "read"],
                          "units": ["*"], "signers": ["*"]}])
    w.engine.hup()
    rows = awaiting(w.engine)
    assert [(r.sequence, r.signer, r.state, r.reason) for r in rows] == \
        [(s, SIGNS, AWAITING_SIGNATURE, "") for s in w.sequences]
    # Nothing of all that has ended the waiting.
    w.comes_late(0)
    w.engine.wait_stored(w.engine.stubs(), w.ids)


def refusal(call):
    with pytest.raises(grpc.RpcError) as e:
        call()
    return harness.details(e.value)["reason"]


# ---- void ----

@pytest.mark.sampled
@pytest.mark.parametrize("place,parked", [("device", False), ("array", False), ("array", True),
                                          ("later", False), ("later", True)])
@pytest.mark.parametrize("killed", [False, True])
def test_void_instead_of_a_signature(make, place, parked, killed):
    w = make(place, 3, parked=parked)
    changes = []
    watch = harness.modules()["issuance"].WatchResultsRequest(result_ids=w.ids[:1])
    watcher = threading.Thread(target=lambda: changes.extend(
        c.state for c in w.engine.stubs().issuance.WatchResults(watch, timeout=60)))
    if not killed:
        watcher.start()
    out = w.trien("held", "void", w.ids[0], "--reason", WHY)
    assert "is void" in out.stdout
    assert void(w.engine, w.sequences[1]).sequence == w.sequences[1]
    if killed:
        w.again()
    else:
        watcher.join(30)
        assert changes[-1] == VOID
    for i in range(2):
        check_voided(w, i)
    listed = json.loads(w.trien("held", "list", "--awaiting", "--json").stdout)
    assert [r["number"] for r in listed] == ["3"] if listed else not parked and not w.late
    w.comes_late(2)
    got = w.engine.wait_stored(w.engine.stubs(), w.ids[2:])
    assert got[w.ids[2]].number == 3
    r = register(w.engine)
    assert (r.given, r.voided, r.next) == (3, 2, 4)
    w.trien("register", "close", "--unit", UNITS[0], "--code", "XNTTHN", "--reason", WHY)
    assert register(w.engine).closed and register(w.engine).next == 4
    assert "ALARM" not in w.engine.log() and held(w.engine) == awaiting(w.engine) == []
    w.again()
    for i in range(2):
        check_voided(w, i)
    if w.late:
        assert w.away.device().give(w.late[:2]) == [NOT_WAITED_FOR] * 2
    assert w.engine.stop() == 0, w.engine.log()


# ---- whatever is killed, whoever is faster ----

@pytest.mark.sampled
@pytest.mark.parametrize("delay_ms", [0, 1, 2, 4, 8, 16])
@pytest.mark.parametrize("how", ["hand", "void"])
def test_the_officer_comes_at_that_moment(make, tmp_path, how, delay_ms):
    """Either his signature counts or the act does, never both, never neither."""
    n = 20
    w = make("device", n)
    device = w.away.device()
    act = hand if how == "hand" else void
    acted, outcomes = [False] * n, [None] * n

    def acts():
        for i in range(n):
            try:
                act(w.engine, w.sequences[i])
                acted[i] = True
            except grpc.RpcError:
                pass

    def gives():
        time.sleep(delay_ms / 1000)
        for i in reversed(range(n)):
            outcomes[i], = device.give([w.late[i]])

    threads = [threading.Thread(target=t) for t in (acts, gives)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    w.again()
    assert all(a != (o == TAKEN) for a, o in zip(acted, outcomes)), list(zip(acted, outcomes))
    signed = [i for i in range(n) if how == "hand" or not acted[i]]
    got = w.engine.wait_stored(w.engine.stubs(), [w.ids[i] for i in signed])
    for i in signed:
        assert got[w.ids[i]].number == i + 1
        assert signer_of(got[w.ids[i]]) == (NEXT if acted[i] else SIGNS)
    for i in set(range(n)) - set(signed):
        check_voided(w, i)
    assert register(w.engine).voided == n - len(signed)
    assert held(w.engine) == awaiting(w.engine) == []


@pytest.mark.sampled
@pytest.mark.parametrize("how", ["hand", "void"])
@pytest.mark.parametrize("place", PLACES)
def test_killed_while_it_is_done(make, place, how):
    """Told or not, each is either as it was or as the act says; done again it is done."""
    n = 12
    w = make(place, n)
    done = set()

    def acts(sequences):
        for s in sequences:
            try:
                (hand if how == "hand" else void)(w.engine, s)
                done.add(s)
            except grpc.RpcError:
                return

    for k in range(3):
        t = threading.Thread(target=acts, args=(w.sequences[4 * k:4 * k + 4],))
        t.start()
        time.sleep(0.004 * k)
        w.again()
        t.join(30)
    for i, s in enumerate(w.sequences):
        harness.wait_for(lambda: result(w.engine, w.ids[i]).state in
                         (AWAITING_SIGNATURE, STORED, VOID))
        if result(w.engine, w.ids[i]).state == AWAITING_SIGNATURE:
            assert s not in done
            harness.wait_for(lambda: not refused_now(lambda: acts_one(w, how, s)))
    if how == "hand":
        got = w.engine.wait_stored(w.engine.stubs(), w.ids)
        assert [got[i].number for i in w.ids] == list(range(1, n + 1))
        assert {signer_of(r) for r in got.values()} == {NEXT}
    else:
        for i in range(n):
            check_voided(w, i)
    assert (register(w.engine).voided, register(w.engine).next) == \
        (n if how == "void" else 0, n + 1)
    assert w.engine.stop() == 0, w.engine.log()
    if how == "hand":
        check_event(w.engine, times=n)


def acts_one(w, how, sequence):
    (hand if how == "hand" else void)(w.engine, sequence)


def refused_now(call):
    try:
        call()
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.UNAVAILABLE, e
        return True
    return False


# ---- a mirror ----

@pytest.mark.parametrize("place", ["device", "later"])
def test_a_mirror_knows_how_the_waiting_ended(tmp_path, keys, place):
    schemas = people(office_schemas(tmp_path / "schemas"))
    p = Pair(tmp_path, algorithm="p256", schemas=schemas)
    rig = None
    try:
        without_key(p.engine, "lac-xuan-khong-khoa")
        mine = lambda k: k.get("signer") == SIGNS
        if place == "later":
            rig = Rig(tmp_path, keys, engine=p.engine).remote("person", only=mine, form="later",
                                                              poll_ms=300, poll_max_ms=300)
            rig.service.control(pending=True)
        else:
            to_devices(p.engine, mine)
        p.engine.start()
        ids = confirmed(p.engine, [case() for _ in range(4)])
        if rig:
            rig.wait_tickets(4, p.mirror.data)
        else:
            device = Device(p.engine, UNITS[0], signer=SIGNS)
            late = {a.result_id: device.given(a) for a in device.taken(4)}
        sequences = [result(p.engine, i).sequence for i in ids]
        os.kill(p.engine.children()["signer"], signal.SIGSTOP)
        hand(p.engine, sequences[0])
        void(p.engine, sequences[1])
        second = p.engine_is_lost(tmp_path, ("certs", "keys") + (("remote", ) if rig else ()))
        second.schemas = schemas
        second.start(registers=False)
        assert second.wait_stored(second.stubs(), ids[:1])[ids[0]].number == 1
        check_signed_by(second, ids[0], tmp_path)
        assert result(second, ids[1]).state == VOID
        harness.wait_for(lambda: {result(second, i).state for i in ids[2:]} ==
                         {AWAITING_SIGNATURE})
        if rig:
            rig.service.control(pending=False)
        else:
            device = Device(second, UNITS[0], p.engine.devices, signer=SIGNS)
            assert device.give([late[i] for i in ids]) == [NOT_WAITED_FOR] * 2 + [TAKEN] * 2
        got = second.wait_stored(second.stubs(), ids[2:])
        assert [got[i].number for i in ids[2:]] == [3, 4]
        check_signed_by(second, ids[3], tmp_path, "Nguyễn Thị Hoài Thư", signer=SIGNS)
        r = register(second)
        assert (r.given, r.voided, r.next) == (4, 1, 5)
        assert second.stop() == 0
        check_event(second)
    finally:
        p.close()
        if rig:
            rig.end()
