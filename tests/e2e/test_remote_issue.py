"""Keys elsewhere, from the case to the stored result: the engine, its remote signer, and a service
that is late, wrong, away, or killed."""
import json
import os
import shutil
import signal

import pytest

import harness
import remote_service
from remote_child import QUICK, RemoteService, make_keys
from sample import UNITS


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("remote") / "keys")


class Rig:
    """An engine of which some keys lie at a stand-in service."""

    def __init__(self, folder, keys, **settings):
        self.engine = harness.Engine(folder / "engine", **settings)
        self.engine.prepare()
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

    def array(self, **more):
        return {"name": "one", "api": "hash_array", "url": self.service.url("/sign"),
                "ca": "service-ca.pem", "headers": {"X-Api-Key": {"secret": "service.secret"}},
                "body": {"serial": "$serial", "hashes": "$hashes"},
                "answer": {"signatures": "/signatures"}, **QUICK, **more}

    def start(self, **kw):
        self.engine.start(**kw)
        self.up()
        return self

    def up(self):
        harness.wait_for(lambda: self.status().remote_signer == "up", 20)

    def status(self):
        request = harness.modules()["operations"].GetStatusRequest()
        return self.engine.stubs().operations.GetStatus(request, timeout=20)

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
