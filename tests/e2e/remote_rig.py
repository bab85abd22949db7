"""An engine of which some keys lie at a stand-in service, and what tests ask of both."""
import collections
import contextlib
import json
import os
import shutil
import signal
import sqlite3

import harness
import remote_service
from remote_child import RemoteService, array_row, csc_row, later_row
from sample import UNITS, case, send

AWAITING_SIGNATURE, HELD, STORED = 4, 5, 6


class Rig:
    """An engine of which some keys lie at a stand-in service."""

    def __init__(self, folder, keys, engine=None, algorithm="rsa2048", **settings):
        self.engine = engine or harness.Engine(folder / "engine", algorithm=algorithm,
                                               **settings).prepare()
        self.data = self.engine.data
        self.certs = self.data / "certs"
        self.folder = folder
        self.tls = keys
        self.service = None

    def policy(self):
        path = self.certs / "keys.json"
        return path, json.loads(path.read_text())

    def remote(self, *roles, unit=UNITS[0], form="array", only=lambda key: True, **more):
        """Keys of these roles of the unit, or only some of them, go to a service."""
        path, doc = self.policy()
        held = self.folder / "held"
        held.mkdir()
        for name in ("tls.pem", "ca.pem", "rsa2.key", "rsa2.pem"):
            shutil.copy(self.tls / name, held / name)
        for key in doc["keys"]:
            if key["role"] in roles and key["unit"] == unit and only(key):
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
        return csc_row("one", self.service, **{"ca": "service-ca.pem", **more})

    def csc_later(self, **more):
        return self.csc(mode="asynchronous", **more)

    def later(self, **more):
        return later_row("one", self.service, **{"ca": "service-ca.pem", **more})

    def array(self, **more):
        return array_row("one", self.service, **{"ca": "service-ca.pem", **more})

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

    def journal(self, folder=None):
        """Its bytes, also behind a kill; of this engine, or of a mirror's folder."""
        return b"".join(p.read_bytes() for p in ((folder or self.data) / "journal").iterdir()
                        if p.is_file())

    def wait_tickets(self, n, folder=None):
        """Until the journal has the ticket of each of n results: their person is not asked anew."""
        def all_there():
            names = self.service.transactions()
            journal = self.journal(folder) if names else b""
            return sum(journal.count(name.encode()) for name in names) >= n
        harness.wait_for(all_there, 20, 0.1)

    def restart(self, whom):
        """kill -9 of the "remote" signer, of the "engine" process, or of "all", and up again."""
        if whom == "all":
            self.engine.kill()
            return self.start(registers=False)
        before, lives = self.engine.children()[whom], self.engine.log().count("ready on")
        os.kill(before, signal.SIGKILL)
        harness.wait_for(lambda: self.engine.children().get(whom, before) != before)
        if whom == "engine":
            harness.wait_for(lambda: self.engine.log().count("ready on") > lives, 20)
        self.up()
        return self

    def end(self):
        self.engine.kill()
        if self.service:
            self.service.kill()


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


class Askings:
    """Nobody is asked again for what he gave and the journal has, whatever is killed."""

    def __init__(self, rig):
        self.rig, self.kept = rig, {}

    def look(self):
        """Notes what the journal has now: of each, how often it was asked for."""
        journal = self.rig.journal()
        diary = self.rig.service.diary()
        self.kept.update({d: diary.asked[d] for d, value in diary.made.items()
                          if d not in self.kept and value in journal})
        return len(self.kept)

    def check(self):
        asked = self.rig.service.diary().asked
        again = {d: (n, asked[d]) for d, n in self.kept.items() if asked[d] != n}
        assert not again, again


def whole_register(engine, got, unit=UNITS[0], code="XNTTHN"):
    """The results have the numbers from 1 on, each once, and the register knows no other."""
    assert sorted(r.number for r in got) == list(range(1, len(got) + 1))
    assert len({r.number_text for r in got}) == len(got)
    row, = (r for r in engine.registers() if r.unit == unit and r.code == code)
    assert (row.given, row.voided, row.next) == (len(got), 0, len(got) + 1)


def stored_once(engine, n):
    """Of a stopped engine: so many results in the store, and in its statistics."""
    asked = ("SELECT count(*) FROM result", "SELECT sum(results) FROM counter")
    if engine.store:
        servers = range(len(engine.store.names))
        got = [sum(int(engine.store.sql(q, i)[0][0] or 0) for i in servers) for q in asked]
    else:
        with contextlib.closing(sqlite3.connect(engine.data / "store" / "index.db")) as db:
            got = [db.execute(q).fetchone()[0] for q in asked]
    assert got == [n, n]


def same_receipts(engine, cases, receipts):
    """Submitted once more they are answered as they were."""
    stubs = engine.stubs()
    what = lambda r: (r.case_code, r.result_id, r.sequence, r.number, r.number_text,
                      r.accept_time.ToNanoseconds(), r.issue_time.ToNanoseconds())
    for first in range(0, len(cases), 200):
        answer = send(stubs, cases[first:first + 200], timeout=60)
        assert not answer.rejects and all(r.duplicate for r in answer.receipts)
        assert list(map(what, answer.receipts)) == list(map(what, receipts[first:first + 200]))


def asked_once(rig):
    """Of each that was asked for, over all restarts of the service: how many."""
    asked = rig.service.diary().asked
    assert set(asked.values()) == {1}, [n for n in asked.values() if n > 1]
    return len(asked)
