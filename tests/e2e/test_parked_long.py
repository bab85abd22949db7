"""Parked for ten days and over an upgrade that draws everything otherwise: what is signed then is
what the engine and the catalogue of the first day would have signed, but for the time of signing;
and what waits costs no memory. ./run soak: 100,000 of them.

The reference is a twin: a copy of the data folder from when all were parked, that goes on under the
old catalogue. Two files of one result may differ in these places and nowhere else:

- /M of a signature, when that was made later;
- in /Contents of that signature, the message digest and the signature value (and each is checked to
  be what the file says, so that nothing hides behind it);
- "issued" of the attached data, of what got its number by a confirmation: both lives confirm on the
  same day, not in the same second.

An officer's own signature at a service was asked for before the ten days, for the bytes of then: it
is the same in both, /M and all, and only the seal is of today.
"""
import datetime
import hashlib
import json
import os
import re
import shutil
import time

import pytest
from asn1crypto import cms

import harness
from office import pdf_text
from parked import (FEW, WAITS_KIND, Parked, held_tried, lived_bytes, on_disk, resident, rows,
                    schemas_of_both, start_s, start_timed, started_bytes, unapproved, unsigned)
from remote_child import make_keys
from remote_rig import Rig
from sample import KIND, SIGNER, UNITS, case, send
from test_approval import confirm, waits
from test_clock import LIBRARY, VIETNAM, Clock

FULL = os.environ.get("TRIEN_FULL") == "1"
PARKED = 100_000 if FULL else 4000      # one half each, beyond a FEW
HELD_N = 40
PATIENCE_S = 3600 if FULL else 120
COMPARED = 2500 if FULL else 250        # of each, at most, byte for byte
SESSION = 1000
NEW = "theo mẫu mới"
DAY = datetime.timedelta(days=1)
UTC = datetime.timezone.utc

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(7200 if FULL else 600),
              pytest.mark.skipif(not LIBRARY, reason="libfaketime is not installed")]


# ---- the catalogue before and after ----

def edit(path, change):
    doc = json.loads(path.read_text())
    for version in doc["versions"]:
        change(version)
    path.write_text(json.dumps(doc, ensure_ascii=False))


def image(path, byte):
    path.write_bytes(b"P4\n64 64\n" + bytes([byte]) * (8 * 64))


def schemas_before(folder):
    """The first agency, whose results a service signs, with seal and officer's hand."""
    schemas_of_both(folder)
    image(folder / "agencies" / f"{UNITS[0]}.pbm", 0x18)
    image(folder / "signers" / f"{SIGNER[UNITS[0]]}.pbm", 0x81)
    return folder


def schemas_after(before, folder, day):
    """From that day on both kinds in other words and another order, and the first agency with other
    seal, place and officer's title. What was has left the files: only the engine knows it."""
    shutil.copytree(before, folder)

    def kind(v):
        v["from"] = day
        v["name"]["vi"] += f" {NEW}"
        v["fields"].reverse()
        v["fields"].append({"name": "them", "type": "text", "required": False,
                            "label": {"vi": "Thêm", "en": "More"}})
        v["layout"].insert(3, {"type": "paragraph", "text": f"Lập {NEW}."})

    for code in (KIND, WAITS_KIND):
        edit(folder / "results" / f"{code}.json", kind)
    edit(folder / "agencies" / f"{UNITS[0]}.json", lambda v: v.update(place="Nơi Khác"))
    edit(folder / "signers" / f"{SIGNER[UNITS[0]]}.json", lambda v: v.update(title="CHỦ TỊCH"))
    image(folder / "agencies" / f"{UNITS[0]}.pbm", 0x3c)
    image(folder / "signers" / f"{SIGNER[UNITS[0]]}.pbm", 0xc3)
    return folder


# ---- the engine and its twin ----

def without_key(engine, unit):
    """The officer's key leaves keys.json; gives what stood there."""
    path = engine.data / "certs" / "keys.json"
    good = path.read_text()
    doc = json.loads(good)
    doc["keys"] = [k for k in doc["keys"] if k["role"] != "person" or k["unit"] != unit]
    path.write_text(json.dumps(doc, ensure_ascii=False))
    return good


def with_keys(engine, text):
    (engine.data / "certs" / "keys.json").write_text(text)


def heldable():
    return case(unit=UNITS[1])


def all_settled(engine, parked):
    held_tried(engine, len(parked.held))
    parked.settled(engine)


def confirmed(stubs, receipts):
    for i in range(0, len(receipts), SESSION):
        confirm(stubs, [r.result_id for r in receipts[i:i + SESSION]], UNITS[1])


def files(engine, stubs, receipts, of):
    return {r.result_id: of(engine.download(stubs, r.result_id)[0]) for r in receipts}


# ---- what may differ ----

class Apart:
    """A file with zeros in the places that may differ; what stood there, checked, in `times`."""

    def __init__(self, pdf):
        out = bytearray(pdf)
        self.size, self.whole, self.times = len(pdf), hashlib.sha256(pdf).digest(), []
        moments = [m.span(1) for m in re.finditer(rb"/M\(D:(\d{14})\+07'00'\)", pdf)]
        holes = [tuple(map(int, r)) for r in
                 re.findall(rb"/ByteRange\[0 (\d+) (\d+) (\d+) *\]", pdf)]
        assert len(moments) == len(holes) == 2
        self.signed = []
        for (at, end), (a, b, n) in zip(moments, holes):
            self.times.append(datetime.datetime.strptime(
                pdf[at:end].decode() + "+0700", "%Y%m%d%H%M%S%z"))
            out[at:end] = b"0" * (end - at)
            self.signed.append(self.hole(pdf, out, a, b, n))
        issued = re.findall(rb'"issued":"([^"]*)"', pdf)
        assert len(issued) == 1
        self.issued = datetime.datetime.fromisoformat(issued[0].decode())
        self.with_issued = hashlib.sha256(out).digest()
        at = pdf.index(b'"issued":"') + 10
        out[at:at + len(issued[0])] = b"0" * len(issued[0])
        self.rest = hashlib.sha256(out).digest()

    @staticmethod
    def hole(pdf, out, a, b, n):
        assert pdf[a:a + 1] + pdf[b - 1:b] == b"<>"
        der = bytes.fromhex(pdf[a + 1:b - 1].decode())
        signer = cms.ContentInfo.load(der, strict=True)["content"]["signer_infos"][0]
        digest = next(x for x in signer["signed_attrs"]
                      if x["type"].native == "message_digest")["values"][0].native
        assert digest == hashlib.sha256(pdf[:a] + pdf[b:b + n]).digest()
        for part in (digest, signer["signature"].native):
            assert der.count(part) == 1
            at = a + 1 + 2 * der.index(part)
            out[at:at + 2 * len(part)] = b"0" * (2 * len(part))
        return digest, signer["signature"].native


def moment(stamp):
    return stamp.ToDatetime(UTC).replace(microsecond=0)


def check(now, then, new, old, later):
    """later: which signatures were made at another time than the twin's."""
    assert (new.rest, new.size) == (old.rest, old.size)
    assert (now.number, now.number_text) == (then.number, then.number_text)
    assert (now.template_version, now.kind_version, now.unit_version, now.signer_version) == \
        (then.template_version, then.kind_version, then.unit_version, then.signer_version)
    assert new.issued == moment(now.issue_time) and old.issued == moment(then.issue_time)
    for i, (a, b) in enumerate(zip(now.signatures, then.signatures, strict=True)):
        assert (new.times[i], old.times[i]) == (moment(a.sign_time), moment(b.sign_time))
        assert i in later or new.times[i] == old.times[i]
    if 0 not in later:      # the officer's signature, to the last byte
        assert new.signed[0] == old.signed[0]


def check_all(some, now, then, new, old):
    for r in some.unsigned:
        # The officer's own was asked for ten days ago, for those bytes; the seal is of today.
        i = r.result_id
        check(now[i], then[i], new[i], old[i], later={1})
        assert new[i].with_issued == old[i].with_issued and now[i].number == r.number
        assert new[i].times[1] - old[i].times[1] >= 9 * DAY
    for r in some.held:
        i = r.result_id
        check(now[i], then[i], new[i], old[i], later={0, 1})
        assert new[i].with_issued == old[i].with_issued and now[i].number == r.number
        assert all(t - b >= 9 * DAY for t, b in zip(new[i].times, old[i].times))
    for r in some.unapproved:
        # Number and date are those of the confirmation, in both lives of that day.
        i = r.result_id
        check(now[i], then[i], new[i], old[i], later={0, 1})
        assert new[i].issued - r.accept_time.ToDatetime(UTC) >= 9 * DAY


def check_new(engine, results, folder):
    """A case of today is drawn in the new way: the upgrade was one."""
    stubs = engine.stubs()
    receipts = list(send(stubs, [case(), unapproved()]).receipts)
    waits(stubs, receipts[1:], UNITS[1])
    confirm(stubs, [receipts[1].result_id], UNITS[1])
    stored = engine.wait_stored(stubs, [r.result_id for r in receipts])
    versions = {r.template_version for r in results.values()}
    assert len(versions) == 2       # one an agency
    for r in receipts:
        assert stored[r.result_id].template_version not in versions
        assert NEW in pdf_text(engine.download(stubs, r.result_id)[0], folder)


# ---- the life of the twin ----

def twins(twin, rig, some, days):
    """Results and files by id: what the old engine and the old catalogue give."""
    clock = Clock(twin)
    rig.service.start()
    twin.start(registers=False)
    stubs = twin.stubs()
    at_once = some.unsigned + some.held
    results = twin.wait_stored(stubs, [r.result_id for r in at_once], PATIENCE_S)
    pdfs = files(twin, stubs, at_once, Apart)
    clock.set(days)
    confirmed(stubs, some.unapproved)
    results.update(twin.wait_stored(stubs, [r.result_id for r in some.unapproved], PATIENCE_S))
    pdfs.update(files(twin, stubs, some.unapproved, Apart))
    twin.kill()
    rig.service.kill()
    return results, pdfs


# ---- the test ----

class Said:
    def __init__(self):
        self.at = time.monotonic()

    def __call__(self, text):
        now = time.monotonic()
        print(f"{now - self.at:8.1f} s  {text}", flush=True)
        self.at = now


def test_parked_over_ten_days_and_an_upgrade(tmp_path):
    before = schemas_before(tmp_path / "before")
    make = {"algorithm": "rsa2048", "schemas": before, "crl_hours_max": "8760",
            "metrics": "127.0.0.1:0"}
    engine = harness.Engine(tmp_path / "e", **make).prepare()
    twin = harness.Engine(tmp_path / "twin", **make)
    rig = Rig(tmp_path, make_keys(tmp_path / "tls"), engine=engine).remote("person")
    try:
        whole_life(engine, twin, rig, tmp_path)
    finally:
        twin.kill()
        rig.end()


def lived_growth(engine, parked, more, n):
    """By how many KiB a life that parks grows with n more of each, and once more of one that found
    batches or threads' arenas not yet grown to their bounds: those grow once, rows each time."""
    grown, before = [], resident(engine, "RssAnon")
    for receipts, make in more:
        for _ in range(4):
            parked.more(engine, receipts, make, n)
            after = resident(engine, "RssAnon")
            grown.append((after - before) >> 10)
            over, before = after - before >= lived_bytes(n), after
            if not over:
                break
        else:
            raise AssertionError(f"{n} more each time: {grown} KiB")
    return grown


def all_parked(engine, parked, say):
    """How long a start took with a FEW of each, and how much memory the engine had then."""
    parked.more(engine, parked.held, heldable, HELD_N)
    parked.more(engine, parked.unapproved, unapproved, FEW)
    parked.more(engine, parked.unsigned, unsigned, FEW)
    assert engine.stop() == 0
    few_s = start_timed(engine)
    all_settled(engine, parked)
    few = resident(engine)
    say(f"{FEW} of each parked: a start {few_s:.2f} s, {few >> 10} KiB")
    assert engine.stop() == 0
    engine.start(registers=False)
    # The life that parks: what it needs for a FEW it has.
    parked.more(engine, parked.unapproved, unapproved, FEW)
    parked.more(engine, parked.unsigned, unsigned, FEW)
    disk, had = on_disk(engine), len(parked.ids())
    both = (parked.unapproved, unapproved), (parked.unsigned, unsigned)
    grown = lived_growth(engine, parked, both, PARKED // 2)
    say(f"{PARKED // 2} more of each: {grown} KiB more without files, "
        f"{(on_disk(engine) - disk) // (len(parked.ids()) - had)} bytes a row on disk")
    return few_s, few


def whole_life(engine, twin, rig, folder):
    say = Said()
    first_day = datetime.datetime.now(UTC)
    upgrade_day = (first_day + 4 * DAY).date()
    # At nine in the morning: both lives confirm on the same day.
    last_day = (first_day.astimezone(VIETNAM) + 10 * DAY).replace(hour=9, minute=0)
    clock = Clock(engine)
    clock.set(first_day)
    engine.start()
    good = without_key(engine, UNITS[1])
    engine.hup()
    rig.service.kill()

    parked = Parked(PATIENCE_S)
    few_s, few = all_parked(engine, parked, say)
    assert engine.stop() == 0
    shutil.copytree(engine.data, twin.data, ignore=shutil.ignore_patterns("*.sock"))
    with_keys(twin, good)
    some = parked.evenly(COMPARED)
    then, old = twins(twin, rig, some, last_day)
    shutil.rmtree(twin.data)
    say(f"the twin: {len(then)} signed")

    # The upgrade, and the rest of the ten days.
    clock.set(first_day + 5 * DAY)
    engine.schemas = schemas_after(engine.schemas, folder / "after", upgrade_day.isoformat())
    full_s = start_timed(engine)
    all_settled(engine, parked)
    started = resident(engine)
    # Once more: an allocator differs from start to start.
    assert engine.stop() == 0
    engine.start(registers=False)
    all_settled(engine, parked)
    started = min(started, resident(engine))
    n = len(parked.unapproved) + len(parked.unsigned) - 2 * FEW
    say(f"a start with {n} more: {full_s:.2f} s, {started >> 10} KiB")
    assert full_s - few_s < start_s(n)
    assert started - few < started_bytes(n)
    clock.set(last_day)
    parked.settled(engine)

    rig.service.start()
    with_keys(engine, good)
    engine.hup()
    stubs = engine.stubs()
    stubs.operations.RetryHeld(harness.modules()["operations"].RetryHeldRequest(), timeout=60)
    # First those that the twin's officer confirmed, in their order.
    chosen = {r.result_id for r in some.unapproved}
    confirmed(stubs, some.unapproved)
    confirmed(stubs, [r for r in parked.unapproved if r.result_id not in chosen])
    now = engine.wait_stored(stubs, parked.ids(), PATIENCE_S)
    say(f"{len(now)} signed and stored")
    harness.wait_for(lambda: rows(engine) == {})
    new = files(engine, stubs, some.unsigned + some.unapproved + some.held, Apart)
    check_all(some, now, then, new, old)
    say(f"{len(new)} compared")
    assert [now[r.result_id].number for r in parked.unsigned] == \
        [r.number for r in parked.unsigned]
    assert sorted(now[r.result_id].number for r in parked.unapproved) == \
        list(range(1, len(parked.unapproved) + 1))
    check_new(engine, {i: now[i] for i in new}, folder)
    assert engine.stop() == 0
    assert engine.trien("fsck", "--data", engine.data, timeout=3600).returncode == 0
    say("stopped and checked")
