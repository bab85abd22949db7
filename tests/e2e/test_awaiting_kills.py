"""kill -9 while results wait for a signature from elsewhere: the same receipts, numbers without
gaps, and nobody is asked again for what he gave."""
import os
import random
import time

import grpc
import pytest

import harness
from remote_rig import (STORED, Askings, check, held, same_receipts, states, stored,
                        stored_once, waiting, whole_register)
from sample import case, send

FULL = os.environ.get("TRIEN_FULL") == "1"     # ./run soak
ROUNDS = 30 if FULL else 6
EACH = 30
VICTIMS = ("all", "engine", "remote")
LATER = ("csc_later", "later")


class Submitted:
    """All cases, with their receipts."""

    def __init__(self, rig):
        self.rig, self.cases, self.receipts = rig, [], []

    def more(self, n):
        cases = [case() for _ in range(n)]
        answer = send(self.rig.engine.stubs(), cases)
        assert not answer.rejects
        self.cases += cases
        self.receipts += answer.receipts

    def ids(self):
        return [r.result_id for r in self.receipts]

    def check(self):
        same_receipts(self.rig.engine, self.cases, self.receipts)

    def check_end(self):
        """All are stored, once, each with the number of its receipt; and stay what they are."""
        rig, ids = self.rig, self.ids()
        got = stored(rig, ids, 120)
        assert [got[i].number for i in ids] == [r.number for r in self.receipts]
        whole_register(rig.engine, got.values())
        self.check()
        assert held(rig) == []
        some = ids[::max(1, len(ids) // 5)]
        check(rig, some)
        bytes_of = lambda: [rig.engine.download(rig.engine.stubs(), i)[0] for i in some]
        before = bytes_of()
        rig.restart("all")
        assert bytes_of() == before
        harness.wait_for(lambda: rig.rows() == 0)
        assert rig.engine.stop() == 0, rig.engine.log()
        stored_once(rig.engine, len(ids))


def not_shown(rig, result_id):
    m = harness.modules()["repository"]
    with pytest.raises(grpc.RpcError) as e:
        list(rig.engine.stubs().repository.DownloadResult(
            m.DownloadResultRequest(result_id=result_id), timeout=20))
    assert e.value.code() == grpc.StatusCode.FAILED_PRECONDITION, e.value


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["array", "csc", *LATER])
def test_in_the_middle_of_an_answer(rig, form):
    """Half of an answer has gone out, to whoever is killed now."""
    rig.remote("person", form=form).start()
    askings, all_of = Askings(rig), Submitted(rig)
    for n in range(ROUNDS):
        halves = rig.service.diary().halves
        rig.service.control(halt=True, always="halting", poll="halting")
        all_of.more(EACH)
        harness.wait_for(lambda: rig.service.diary().halves > halves)
        assert states(rig, all_of.ids()[-EACH:])[STORED] == 0
        if n == 0:
            not_shown(rig, all_of.ids()[0])
        rig.restart(VICTIMS[n % len(VICTIMS)])
        askings.look()
        all_of.check()
        rig.service.control(halt=False)
        stored(rig, all_of.ids())
    askings.look()
    all_of.check_end()
    askings.check()
    asked = rig.service.diary().asked
    assert len(asked) == len(askings.kept) == ROUNDS * EACH
    assert set(asked.values()) <= ({1} if form in LATER else {1, 2})


@pytest.mark.parametrize("form", ["array", "later"])
def test_around_an_answer(rig, form):
    """The answer is out: it has come, or is noted, or durable, or bound, or stored already."""
    rig.remote("person", form=form).start()
    askings, all_of = Askings(rig), Submitted(rig)
    rng = random.Random(20261129)
    for n in range(ROUNDS):
        rig.service.control(mute=True, pending=True)
        all_of.more(EACH)
        newest = all_of.ids()[-EACH:]
        waiting(rig, newest)
        if form == "later":
            harness.wait_for(lambda: len(rig.service.diary().asked) == len(all_of.cases))
        given = rig.service.diary().answers
        rig.service.control(mute=False, pending=False)
        harness.wait_for(lambda: rig.service.diary().answers > given, every=0.001)
        time.sleep(rng.random() * 0.05)
        if n % 2 == 0:
            rig.engine.kill()
            askings.look()
            rig.start(registers=False)
        else:
            rig.restart("engine")
            askings.look()
        all_of.check()
    stored(rig, all_of.ids())
    askings.check()
    all_of.check_end()
    askings.check()


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["array", "later"])
def test_while_they_stand_in_the_waiting_room(rig, form):
    """The service is away for longer than the journal holds them."""
    rig.remote("person", form=form).start()
    rig.service.control(mute=form == "array", pending=True)
    askings, all_of = Askings(rig), Submitted(rig)
    all_of.more(EACH)
    waiting(rig, all_of.ids())
    if form == "later":
        rig.wait_tickets(EACH)
    rig.service.kill()
    harness.wait_for(lambda: rig.rows() == EACH, 40)
    for whom in VICTIMS:
        rig.restart(whom)
        all_of.check()
        assert states(rig, all_of.ids())[STORED] == 0
    rig.service.start()
    stored(rig, all_of.ids())
    askings.look()
    all_of.check_end()
    askings.check()
    assert len(rig.service.diary().asked) == EACH
    if form == "later":
        assert set(rig.service.diary().asked.values()) == {1}
