"""Keys elsewhere, from the case to the stored result: the engine, its remote signer, and a service
that is late, wrong, away, or killed."""
import collections
import contextlib
import datetime
import json
import os
import shutil
import signal
import sqlite3
import time

import pytest

import harness
import remote_service
from remote_child import QUICK, RemoteService, make_keys
from sample import UNITS, case, send
from test_mirror import Pair

AWAITING_SIGNATURE, HELD, STORED = 4, 5, 6


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("remote") / "keys")


class Rig:
    """An engine of which some keys lie at a stand-in service."""

    def __init__(self, folder, keys, engine=None, **settings):
        self.engine = engine or harness.Engine(folder / "engine", **settings).prepare()
        self.data = self.engine.data
        self.certs = self.data / "certs"
        self.folder = folder
        self.tls = keys
        self.service = None

    def policy(self):
        path = self.certs / "keys.json"
        return path, json.loads(path.read_text())

    def remote(self, *roles, unit=UNITS[0], form="array", **more):
        """Keys of these roles of the unit go to a service."""
        path, doc = self.policy()
        held = self.folder / "held"
        held.mkdir()
        for name in ("tls.pem", "ca.pem", "rsa2.key", "rsa2.pem"):
            shutil.copy(self.tls / name, held / name)
        for key in doc["keys"]:
            if key["role"] in roles and key["unit"] == unit:
                private = self.data / "keys" / key.pop("key")
                private.rename(held / f"{key['id']}.key")
                shutil.copy(self.certs / key["certificate"], held / f"{key['id']}.pem")
                key.update(source="remote", service="one")
                if form == "later":
                    key["credential"] = f"CRED/{key['id']}"
        path.write_text(json.dumps(doc))
        secrets = self.data / "remote"
        secrets.mkdir(mode=0o700)
        for name, text in (("service.secret", remote_service.SECRET), ("pin", remote_service.PIN)):
            (secrets / name).write_text(text + "\n")
            (secrets / name).chmod(0o600)
        shutil.copy(self.tls / "ca.pem", self.certs / "service-ca.pem")
        self.service = RemoteService(held, self.folder / "service")
        self.services([getattr(self, form)(**more)])
        return self

    def services(self, rows):
        (self.certs / "remote.json").write_text(json.dumps({"version": 1, "services": rows}))

    def csc(self, **more):
        s = self.service
        return {"name": "one", "api": "csc", "url": s.url("/csc/v2"), "ca": "service-ca.pem",
                "oauth": {"url": s.url("/oauth2/token"), "client": remote_service.CLIENT,
                          "secret": "service.secret", "scope": "service"},
                "auth_data": [{"id": "PIN", "value": {"$secret": "pin"}}], **QUICK, **more}

    def csc_later(self, **more):
        return self.csc(mode="asynchronous", **more)

    def later(self, **more):
        s = self.service
        return {"name": "one", "api": "hash_array", "url": s.url("/later"),
                "ca": "service-ca.pem",
                "body": {"user": "$credential", "password": {"$secret": "service.secret"},
                         "files": "$hashes"},
                "item": {"doc_id": "$id", "hash": "$hash", "title": "$name"}, "hash": "hex",
                "answer": {"signatures": "/data/files", "signature": "/value", "id": "/doc_id",
                           "encoding": "hex", "transaction": "/data/transaction",
                           "status": "/code", "done": [0], "pending": [1], "refused": [4],
                           "lost": [9]},
                "poll": {"url": s.url("/status/$transaction")}, "form": "raw", **QUICK, **more}

    def array(self, **more):
        return {"name": "one", "api": "hash_array", "url": self.service.url("/sign"),
                "ca": "service-ca.pem", "headers": {"X-Api-Key": {"secret": "service.secret"}},
                "body": {"serial": "$serial", "hashes": "$hashes"},
                "answer": {"signatures": "/signatures"}, "form": "raw", **QUICK, **more}

    def start(self, **kw):
        self.engine.start(**kw)
        self.up()
        return self

    def up(self):
        harness.wait_for(lambda: self.status().remote_signer == "up", 20)

    def status(self):
        request = harness.modules()["operations"].GetStatusRequest()
        return self.engine.stubs().operations.GetStatus(request, timeout=20)

    def rows(self):
        """Results in the waiting room."""
        with contextlib.closing(sqlite3.connect(
                f"file:{self.data}/waiting/index.db?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM waiting").fetchone()[0]

    def end(self):
        self.engine.kill()
        if self.service:
            self.service.kill()


@pytest.fixture
def rig(tmp_path, keys):
    r = Rig(tmp_path, keys)
    yield r
    r.end()


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

def held(rig):
    request = harness.modules()["operations"].ListHeldRequest(page_size=200)
    return list(rig.engine.stubs().operations.ListHeld(request, timeout=20).held)


def submit(rig, n, unit=UNITS[0]):
    stubs = rig.engine.stubs()
    out = []
    for first in range(0, n, 200):
        out += send(stubs, [case(unit=unit) for _ in range(min(200, n - first))]).receipts
    return [r.result_id for r in out]


def states(rig, ids):
    m = harness.modules()["repository"]
    got = rig.engine.stubs().repository.BatchGetResults(
        m.BatchGetResultsRequest(result_ids=ids), timeout=20)
    assert not got.missing_ids
    return collections.Counter(r.state for r in got.results)


def waiting(rig, ids, seconds=20):
    harness.wait_for(lambda: states(rig, ids) == {AWAITING_SIGNATURE: len(ids)}, seconds)


def stored(rig, ids, seconds=60):
    return rig.engine.wait_stored(rig.engine.stubs(), ids, seconds)


def check(rig, ids, folder="pdf"):
    """Each verifies, with all its signatures."""
    folder = rig.folder / folder
    folder.mkdir(exist_ok=True)
    for i in ids:
        (folder / f"{i}.pdf").write_bytes(rig.engine.download(rig.engine.stubs(), i)[0])
    rig.engine.trien("verify", "--data", rig.data, *sorted(folder.glob("*.pdf")))


def asked_once(rig):
    asked = rig.service.control()["asked"]
    assert set(asked.values()) == {1}, [n for n in asked.values() if n > 1]
    return len(asked)


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


def test_others_go_on_while_a_service_is_late(rig):
    rig.remote("person").start()
    rig.service.control(slow_s=4)
    late = submit(rig, 30)
    others = submit(rig, 60, UNITS[1])
    begun = time.monotonic()
    stored(rig, others)
    assert time.monotonic() - begun < 3
    waiting(rig, late)
    stored(rig, late)
    assert asked_once(rig) == 30


# ---- answers that are none ----

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
    rig.engine.trien("held", "retry", "--connect", sock)
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
    rig.service.start()
    harness.wait_for(lambda: len(held(rig)) == 4)
    assert {r.reason for r in held(rig)} == {"CERT_EXPIRED"} and all(r.number for r in held(rig))


# ---- whatever is killed ----

@pytest.mark.parametrize("form", ["csc_later", "later"])
@pytest.mark.parametrize("whom", ["engine", "remote", "service", "all"])
@pytest.mark.parametrize("parked", [False, True])
def test_nobody_is_asked_twice_for_what_he_gave(rig, form, whom, parked):
    rig.remote("person", form=form, poll_ms=300, poll_max_ms=300).start()
    rig.service.control(pending=True)
    ids = submit(rig, 20)
    harness.wait_for(lambda: len(rig.service.control()["asked"]) == 20)
    waiting(rig, ids)
    time.sleep(0.5)
    if parked:
        harness.wait_for(lambda: rig.rows() == 20, 40)
    if whom in ("service", "all"):
        rig.service.kill()
        rig.service.start()
    if whom == "remote":
        os.kill(rig.engine.children()["remote"], signal.SIGKILL)
    elif whom == "engine":
        before = rig.engine.log().count("ready on")
        os.kill(rig.engine.children()["engine"], signal.SIGKILL)
        harness.wait_for(lambda: rig.engine.log().count("ready on") > before, 20)
    elif whom == "all":
        rig.engine.kill()
        rig.start(registers=False)
    rig.service.control(pending=False)
    stored(rig, ids)
    asked = rig.service.control()["asked"]
    assert set(asked.values()) <= {1} and len(asked) == (0 if whom in ("service", "all") else 20)
    check(rig, ids[:2])


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
        harness.wait_for(lambda: len(rig.service.control()["asked"]) == 15)
        waiting(rig, ids)
        if parked:
            harness.wait_for(lambda: rig.rows() == 15, 40)
        time.sleep(1)
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


def test_kill_loop(rig):
    """Engine and remote signer are killed again and again; all is stored once, with one number."""
    rig.remote("person").start()
    rig.service.control(slow_s=0.3)
    ids = []
    for round_no in range(6):
        ids += submit(rig, 50)
        time.sleep(0.2 * round_no)
        if round_no % 2:
            os.kill(rig.engine.children()["remote"], signal.SIGKILL)
        else:
            rig.engine.kill()
            rig.start(registers=False)
    got = stored(rig, ids)
    assert sorted(r.number for r in got.values()) == list(range(1, 301))
    assert rig.engine.stop() == 0, rig.engine.log()


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
