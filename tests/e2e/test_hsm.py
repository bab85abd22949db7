"""Keys in a PKCS#11 token (SoftHSM): made there, signed with there; it goes and comes."""
import json
import pathlib
import re
import subprocess

import pytest

import harness
from copying import by_each_call, check_copies
from sample import UNITS, case, send

MODULE = next((p for p in map(pathlib.Path, ("/usr/lib/softhsm/libsofthsm2.so",
                                             "/usr/lib64/softhsm/libsofthsm2.so"))
               if p.exists()), None)
pytestmark = pytest.mark.skipif(MODULE is None, reason="SoftHSM is not installed")
PIN = "482913"


class Token:
    """A token of a test's own, and an engine whose keys are in it."""

    def __init__(self, folder, algorithm="rsa2048", **settings):
        self.folder = folder / "hsm"
        self.tokens = self.folder / "tokens"
        self.tokens.mkdir(parents=True)
        self.conf = self.folder / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        self.pin_file = folder / "pin"
        self.write_pin(PIN)
        self.engine = harness.Engine(folder / "engine", algorithm, **settings)
        self.engine.environment["SOFTHSM2_CONF"] = str(self.conf)
        self.util("--init-token", "--free", "--label", "trien", "--pin", PIN, "--so-pin", "999999")

    def write_pin(self, pin):
        self.pin_file.write_text(pin + "\n")
        self.pin_file.chmod(0o600)

    def util(self, *args, check=True):
        return subprocess.run(["softhsm2-util", *args], env=self.engine.environment, check=check,
                              capture_output=True, text=True, timeout=60).stdout

    def prepare(self, *args, module=MODULE):
        trien = self.engine.trien
        self.engine.trien = lambda *a, **kw: trien(*a, env=self.engine.environment, **kw)
        self.engine.prepare("--pkcs11", module, "--token", "trien", "--pin-file", self.pin_file,
                            "--token-path", self.folder, *args)
        return self.engine

    def prepare_slow(self, *args):
        """It signs nothing as long as self.closed is there."""
        self.closed = self.folder / "closed"
        self.engine.environment.update(TRIEN_TOKEN_MODULE=str(MODULE),
                                       TRIEN_TOKEN_CLOSED=str(self.closed))
        return self.prepare(*args, module=harness.BUILD / "tests" / "slow_token.so")


@pytest.fixture
def token(tmp_path):
    t = Token(tmp_path)
    yield t
    t.engine.kill()


def held(engine):
    request = harness.modules()["operations"].ListHeldRequest(page_size=200)
    return list(engine.stubs().operations.ListHeld(request, timeout=20).held)


def maps(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text()


def pdfs(engine, ids, folder):
    folder.mkdir(exist_ok=True)
    for i in ids:
        (folder / f"{i}.pdf").write_bytes(engine.download(engine.stubs(), i)[0])
    return sorted(folder.glob("*.pdf"))


@pytest.mark.parametrize("algorithm", ["rsa2048", "pss2048", "p256"])
def test_a_token_signs(tmp_path, algorithm):
    token = Token(tmp_path, algorithm, check_one_in="64")
    engine = token.prepare()
    try:
        assert list((engine.data / "keys").iterdir()) == []
        assert PIN not in (engine.data / "certs" / "keys.json").read_text()
        engine.start()
        stubs = engine.stubs()
        receipts = send(stubs, [case(unit=UNITS[i % 2]) for i in range(40)]).receipts
        stored = engine.wait_stored(stubs, [r.result_id for r in receipts])
        files = pdfs(engine, list(stored)[:3], tmp_path / "pdf")
        engine.trien("verify", "--data", engine.data, *files)
        assert held(engine) == []
        pids = engine.children()
        # P6: others' code and the keys are in no process that reads what callers send.
        assert MODULE.name not in maps(pids["engine"])
        assert PIN not in engine.log()
        assert engine.stop() == 0, engine.log()
    finally:
        engine.kill()


def test_a_token_signs_copies(token, tmp_path):
    engine = token.prepare()
    engine.start()
    stubs = engine.stubs()
    first = send(stubs, [case()]).receipts[0].result_id
    engine.wait_stored(stubs, [first])
    check_copies(engine, by_each_call(stubs, (first, engine.download(stubs, first)[0])),
                 tmp_path / "pdf")
    assert held(engine) == []
    assert engine.stop() == 0, engine.log()


def test_files_and_token_side_by_side(token):
    seal = f"{UNITS[0]}.seal"
    engine = token.prepare("--in-token", seal, "--sessions", "1")
    assert not (engine.data / "keys" / f"{seal}.pem").exists()
    assert (engine.data / "keys" / f"{UNITS[1]}.seal.pem").exists()
    engine.start()
    stubs = engine.stubs()
    receipts = send(stubs, [case(unit=UNITS[i % 2]) for i in range(30)]).receipts
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    rows = json.loads(engine.trien("keys", "list", "--data", engine.data, "--json").stdout)
    assert [r["id"] for r in rows if r["source"] == "pkcs11"] == [seal]
    assert engine.stop() == 0, engine.log()


def test_a_slow_token_holds_up_its_own_keys_only(tmp_path):
    """In one batch with what keys in files sign, and with more waiting than batches there are."""
    token = Token(tmp_path, "p256")
    engine = token.prepare_slow("--in-token", f"{UNITS[0]}.seal")
    try:
        engine.start()
        stubs = engine.stubs()
        token.closed.touch()
        mixed = send(stubs, [case(unit=UNITS[i % 2]) for i in range(30)]).receipts
        engine.wait_stored(stubs, [r.result_id for r in mixed[1::2]])
        slow = [r for _ in range(5)
                for r in send(stubs, [case() for _ in range(195)]).receipts] + mixed[::2]
        last = send(stubs, [case(unit=UNITS[1])]).receipts
        engine.wait_stored(stubs, [last[0].result_id])
        waits = stubs.repository.BatchGetResults(
            harness.modules()["repository"].BatchGetResultsRequest(
                result_ids=[r.result_id for r in slow]), timeout=20).results
        assert len(waits) == 990 and 6 not in {r.state for r in waits}
        # What waits apart stands in the journal as all does.
        engine.kill()
        token.closed.unlink()
        engine.start(registers=False)
        every = [*slow, *mixed, *last]
        stored = engine.wait_stored(engine.stubs(), [r.result_id for r in every])
        assert all(stored[r.result_id].number == r.number for r in every)
        assert held(engine) == []
        assert engine.stop() == 0, engine.log()
    finally:
        engine.kill()


def test_a_slot_by_its_number(token):
    """Of two tokens the one in that slot signs, whatever they are called."""
    seal = f"{UNITS[0]}.seal"
    engine = token.prepare("--in-token", seal)
    token.util("--init-token", "--free", "--label", "other", "--pin", PIN, "--so-pin", "999999")
    slots = {label: int(slot) for slot, label in re.findall(
        r"^Slot (\d+)$(?:(?!^Slot).)*?Label: +(\w+)", token.util("--show-slots"), re.M | re.S)}
    path = engine.data / "certs" / "keys.json"
    doc = json.loads(path.read_text())
    mine, = doc["tokens"]
    del mine["token"]

    def in_slot(number):
        mine["slot"] = number
        path.write_text(json.dumps(doc))

    in_slot(slots["trien"])
    engine.start()
    stubs = engine.stubs()
    receipts = send(stubs, [case() for _ in range(10)]).receipts
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    engine.trien("verify", "--data", engine.data,
                 *pdfs(engine, [r.result_id for r in receipts[:2]], token.folder / "pdf"))
    assert engine.stop() == 0, engine.log()
    # That token has no such key.
    in_slot(slots["other"])
    engine.start(ready=False)
    assert engine.wait_end() != 0
    assert "has no such private key" in engine.log()


def test_a_wrong_pin_is_sent_once(token):
    engine = token.prepare("--in-token", f"{UNITS[0]}.seal")
    token.write_pin("000000")
    engine.start()
    stubs = engine.stubs()
    receipts = send(stubs, [case() for _ in range(20)] + [case(unit=UNITS[1])]).receipts
    engine.wait_stored(stubs, [receipts[-1].result_id])
    harness.wait_for(lambda: len(held(engine)) == 20)
    assert {h.reason for h in held(engine)} == {"SIGNER_AWAY"}
    # Another signer, even with the right PIN, does not spend what tries may be left.
    token.write_pin(PIN)
    engine.hup()
    harness.wait_for(lambda: engine.log().count("refuses the PIN") == 2)
    engine.stop()
    # Somebody who knows the PIN logs in by hand; that clears the token's flag.
    token.util("--token", "trien", "--pin", PIN, "--import", str(throw_away(engine)), "--label",
               "x", "--id", "aa", check=True)
    engine.start(registers=False)
    engine.trien("held", "retry", "--connect", f"unix:{engine.data}/engine.sock")
    engine.wait_stored(engine.stubs(), [r.result_id for r in receipts])
    assert engine.stop() == 0, engine.log()


def throw_away(engine):
    path = engine.folder / "throw-away.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", str(path)], check=True, timeout=60,
                   capture_output=True)
    return path


def test_the_token_goes_and_comes_back(token):
    engine = token.prepare("--in-token", f"{UNITS[0]}.seal")
    engine.start()
    stubs = engine.stubs()
    first = send(stubs, [case() for _ in range(20)]).receipts
    engine.wait_stored(stubs, [r.result_id for r in first])
    away = token.folder / "away"
    token.tokens.rename(away)
    receipts = send(stubs, [case() for _ in range(20)]).receipts
    harness.wait_for(lambda: len(held(engine)) == 20, 40)
    assert {h.reason for h in held(engine)} == {"SIGNER_AWAY"}
    signer = engine.children()["signer"]
    others = send(stubs, [case(unit=UNITS[1]) for _ in range(20)]).receipts
    engine.wait_stored(stubs, [r.result_id for r in others])
    away.rename(token.tokens)

    def all_signed():
        """Once it signs again what it held up goes on by itself."""
        send(stubs, [case()])
        return held(engine) == []

    harness.wait_for(all_signed, 60, 0.5)
    stored = engine.wait_stored(stubs, [r.result_id for r in receipts])
    assert [stored[r.result_id].number for r in receipts] == [r.number for r in receipts]
    assert engine.children()["signer"] == signer
    assert engine.stop() == 0, engine.log()


def test_a_key_that_the_token_has_not_stops_the_start_and_later_only_itself(token):
    engine = token.prepare()
    engine.start()
    stubs = engine.stubs()
    path = engine.data / "certs" / "keys.json"
    doc = json.loads(path.read_text())
    seal = next(k for k in doc["keys"] if k["id"] == f"{UNITS[0]}.seal")
    seal["label"] = "no such key"
    path.write_text(json.dumps(doc))
    signer = engine.children()["signer"]
    engine.hup()
    harness.wait_for(lambda: "ALARM: key" in engine.log())
    assert engine.children()["signer"] != signer
    mine, theirs = send(stubs, [case(), case(unit=UNITS[1])]).receipts
    engine.wait_stored(stubs, [theirs.result_id])
    harness.wait_for(lambda: [h.result_id for h in held(engine)] == [mine.result_id])
    assert held(engine)[0].reason == "SIGNER_AWAY"
    assert engine.stop() == 0, engine.log()
    engine.start(ready=False)
    assert engine.wait_end() != 0
    assert "has no such private key" in engine.log()
