"""Successors whose keys are elsewhere, and certificates that end while somebody's signature is
awaited: the number stays, its reason and the handover are told, the rest goes on."""
import datetime
import json

import pytest

import harness
from authority import DAY, Authority, utc_now
from office import DONE, HELD, SIGNS, STORED, Signer, submit
from officers import AWAITING_SIGNATURE, TAKEN, Device, to_devices
from remote_rig import Rig, whole_register
from sample import UNITS, case, send
from test_held import held
from test_successor import (NEXT, OTHER_KIND, all_held, check_event, check_signed_by, hand, other,
                            prepared, result, revoked, split)

PLACES = ("service", "device")


class Elsewhere:
    """
    One key of the engine's, at a service or on its officer's device. It signs nothing yet. A
    service with transactions (form "later") answers that they are pending, another one not at all.
    """

    def __init__(self, place, engine, folder, tls, only, form="array"):
        path = engine.data / "certs" / "keys.json"
        self.key, = (k for k in json.loads(path.read_text())["keys"]
                     if k["role"] == "person" and only(k))
        self.engine, self.rig = engine, None
        mine = lambda k: k["id"] == self.key["id"] and only(k)
        if place == "service":
            self.rig = Rig(folder, tls, engine=engine).remote("person", only=mine, form=form)
            self.rig.service.control(mute=form == "array", pending=True)
        else:
            to_devices(engine, mine)

    def asked(self, n):
        """Once it was asked to sign n."""
        if self.rig:
            harness.wait_for(lambda: len(self.rig.service.diary().asked) == n)
        else:
            self.device().taken(n)

    def device(self):
        return Device(self.engine, UNITS[0], signer=self.key["signer"], key=self.key["id"])

    def sign(self, n):
        if self.rig:
            self.rig.service.control(mute=False, pending=False)
            return
        device = self.device()
        assert device.give(device.given(a) for a in device.taken(n)) == [TAKEN] * n

    def end(self):
        if self.rig:
            self.rig.service.kill()


def await_signature(engine, ids):
    harness.wait_for(lambda: {result(engine, i).state for i in ids} == {AWAITING_SIGNATURE})


@pytest.mark.parametrize("place", PLACES)
def test_the_successors_key_is_elsewhere(tmp_path, keys, place):
    office = prepared(tmp_path)
    away = Elsewhere(place, office, tmp_path, keys, lambda k: k.get("signer") == NEXT)
    try:
        ids, sequences = revoked(office, 3)
        before = [result(office, i) for i in ids]
        for sequence in sequences[:2]:
            assert hand(office, sequence).retried == 1
        await_signature(office, ids[:2])
        away.asked(2)
        assert [result(office, i).number_text for i in ids] == [r.number_text for r in before]
        # Neither the act nor what waits for its signature is lost; the third stays held.
        office.kill()
        office.start(registers=False)
        all_held(office, "CERT_REVOKED", 1)
        away.sign(2)
        after = office.wait_stored(office.stubs(), ids[:2])
        hand(office, sequences[2])
        if place == "device":
            away.sign(1)
        after.update(office.wait_stored(office.stubs(), ids))
        same = lambda r: (r.result_id, r.number_text, r.sequence, r.issue_time)
        assert [same(after[i]) for i in ids] == [same(r) for r in before]
        for i in ids:
            check_signed_by(office, i, tmp_path)
        whole_register(office, after.values())
        assert held(office) == []
        assert office.stop() == 0, office.log()
        check_event(office, times=3)
    finally:
        office.kill()
        away.end()


@pytest.mark.sampled
@pytest.mark.parametrize("how", ["revoked", "expired"])
@pytest.mark.parametrize("place", PLACES)
def test_a_certificate_that_ends_meanwhile(tmp_path, keys, place, how):
    office = prepared(tmp_path)
    ca = Authority(office)
    end = utc_now() + (datetime.timedelta(seconds=12) if how == "expired" else 30 * DAY)
    cert = split(office, ca, end)
    away = Elsewhere(place, office, tmp_path, keys, lambda k: k.get("signer") == SIGNS and
                     OTHER_KIND not in k.get("kinds", []))
    reason = f"CERT_{how.upper()}"
    try:
        office.start()
        cases = [case(), other(case()), case()]
        ids = submit(office, cases)
        desk = Signer(office)
        s = desk.open(ids)
        assert desk.confirm(s).approved == 3
        office.wait_stored(office.stubs(), [ids[1]])
        mine = [ids[0], ids[2]]
        # Frozen for some seconds it has none to wait for; then it is held all the same.
        harness.wait_for(lambda: utc_now() > end or
                         {result(office, i).state for i in mine} == {AWAITING_SIGNATURE})
        if how == "revoked":
            away.asked(2)
            ca.revoke(cert)
        else:
            harness.wait_for(lambda: utc_now() > end)
        if how == "revoked":    # who expires tells nobody
            office.hup()
        rows = all_held(office, reason, 2)
        if (place, how) == ("service", "revoked"):
            away.sign(2)        # too late
        assert sorted(r.number for r in rows) == [1, 3]
        assert {result(office, i).held_reason for i in (ids[0], ids[2])} == {reason}
        receipts = send(office.stubs(), cases).receipts
        assert [(r.state, r.number) for r in receipts] == [(HELD, 1), (STORED, 2), (HELD, 3)]
        more = submit(office, [other(case())])
        assert desk.confirm(desk.open(more)).approved == 1
        office.wait_stored(office.stubs(), more)
        assert {r.reason for r in held(office)} == {reason}
        for r in rows:
            assert hand(office, r.sequence).retried == 1
        stored = office.wait_stored(office.stubs(), ids + more)
        assert [stored[i].number for i in ids + more] == [1, 2, 3, 4]
        check_signed_by(office, ids[0], tmp_path)
        check_signed_by(office, ids[2], tmp_path)
        check_signed_by(office, ids[1], tmp_path, "Nguyễn Thị Hoài Thư", signer=SIGNS,
                        kind=OTHER_KIND)
        harness.wait_for(lambda: desk.get(s).state == DONE)
        whole_register(office, stored.values())
        assert office.stop() == 0, office.log()
        check_event(office, times=2)
    finally:
        office.kill()
        away.end()
