"""Officers whose keys are on their own devices, and the bridges that bring their signatures."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

import harness
from sample import SIGNER

BRIDGE = harness.ROOT / "tests" / "bridge" / "bridge.py"
MODULE = next((p for p in map(pathlib.Path, ("/usr/lib/softhsm/libsofthsm2.so",
                                             "/usr/lib64/softhsm/libsofthsm2.so"))
               if p.exists()), None)
PIN = "741852"
AWAITING_SIGNATURE, HELD, STORED = 4, 5, 6
TAKEN, GIVEN_BEFORE, NOT_WAITED_FOR, OTHER_DIGEST, WRONG, NOT_NOW = range(1, 7)


def key_of(unit):
    return f"{SIGNER[unit]}.sign"


def to_devices(engine, only=lambda key: True):
    """Officers' keys, or some, leave the engine for engine.devices, and are reached by bridges."""
    engine.devices = engine.folder / "devices"
    engine.devices.mkdir()
    path = engine.data / "certs" / "keys.json"
    policy = json.loads(path.read_text())
    for key in policy["keys"]:
        if key["role"] == "person" and only(key):
            (engine.data / "keys" / key.pop("key")).rename(engine.devices / f"{key['id']}.pem")
            key["source"] = "bridge"
    path.write_text(json.dumps(policy, ensure_ascii=False))


class Office(harness.Engine):
    """An engine where every officer's key is reached by a bridge; the seals are files."""

    def prepare(self, *args):
        super().prepare(*args)
        to_devices(self)
        return self

    def policy(self, change):
        """keys.json with every officer's entry changed; read again."""
        path = self.data / "certs" / "keys.json"
        policy = json.loads(path.read_text())
        policy["keys"] = [k for k in policy["keys"]
                          if k["role"] != "person" or change(k) is not False]
        path.write_text(json.dumps(policy, ensure_ascii=False))
        self.hup()


class Device:
    """An officer's bridge as a test wants it: it signs with the key in a file, and may lie."""

    def __init__(self, engine, unit, devices=None, signer=None, key=None):
        self.m = harness.modules()["signing"]
        self.engine, self.signer = engine, signer or SIGNER[unit]
        self.stub = engine.stubs().signing
        file = (devices or engine.devices) / f"{key or key_of(unit)}.pem"
        self.key = serialization.load_pem_private_key(file.read_bytes(), None)
        self.signed = 0

    def take(self, wait_s=0, timeout=60, **kw):
        args = {"signer": self.signer, **kw}
        return list(self.stub.TakeDigests(self.m.TakeDigestsRequest(
            wait_seconds=wait_s, **args), timeout=timeout).awaited)

    def taken(self, n):
        """Once n of them are waited for."""
        return harness.wait_for(lambda: [a for a in [self.take(max_digests=500)]
                                         if len(a) == n])[0]

    def value(self, a):
        how, self.signed = utils.Prehashed(hashes.SHA256()), self.signed + 1
        if a.algorithm == self.m.ECDSA_P256_SHA256:
            return self.key.sign(a.digest, ec.ECDSA(how))
        if a.algorithm == self.m.RSA_PSS_SHA256:
            return self.key.sign(a.digest, padding.PSS(padding.MGF1(hashes.SHA256()), 32), how)
        return self.key.sign(a.digest, padding.PKCS1v15(), how)

    def given(self, a, value=None, **changes):
        return self.m.GivenSignature(**{
            "result_id": a.result_id, "slot": a.slot, "digest": a.digest,
            "signature": self.value(a) if value is None else value, **changes})

    def give(self, given):
        """The outcomes, in order."""
        given = list(given)
        answers = self.stub.GiveSignatures(self.m.GiveSignaturesRequest(given=given),
                                           timeout=60).answers
        assert [(a.result_id, a.slot) for a in answers] == [(g.result_id, g.slot) for g in given]
        assert all((a.outcome == TAKEN) == (a.message_vi == a.message_en == "") for a in answers)
        return [a.outcome for a in answers]

    def sign_all(self, n):
        assert self.give(self.given(a) for a in self.taken(n)) == [TAKEN] * n


class Token:
    """An officer's token in SoftHSM, and the reference bridge that signs with it."""

    def __init__(self, engine, unit):
        self.engine, self.unit = engine, unit
        self.folder = engine.folder / f"token-{unit}"
        (self.folder / "tokens").mkdir(parents=True)
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.folder / 'tokens'}\n"
                        "objectstore.backend = file\n")
        self.environment = {**os.environ, "SOFTHSM2_CONF": str(conf)}
        self.log_path = self.folder / "bridge.log"
        self.pin_file = self.folder / "pin"
        self.pin_file.write_text(PIN + "\n")
        self.process = None
        self.util("--init-token", "--free", "--label", "desk", "--pin", PIN, "--so-pin", "111111")
        self.util("--import", engine.devices / f"{key_of(unit)}.pem", "--token", "desk", "--pin",
                  PIN, "--label", "sign", "--id", "01")

    def util(self, *args):
        subprocess.run(["softhsm2-util", *map(str, args)], env=self.environment, check=True,
                       capture_output=True, timeout=60)

    def words(self, *args):
        return [sys.executable, str(BRIDGE), "--engine", f"127.0.0.1:{self.engine.port()}",
                "--module", str(MODULE), "--token", "desk", "--label", "sign", "--pin-file",
                str(self.pin_file), "--signer", SIGNER[self.unit], "--certificate",
                str(self.engine.data / "certs" / f"{key_of(self.unit)}.pem"), *args]

    def start(self):
        self.process = subprocess.Popen(self.words(), env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=self.log_path.open("ab"),
                                        stderr=subprocess.STDOUT)
        return self

    def once(self, *args):
        return subprocess.run(self.words("--once", *args), env=self.environment, check=True,
                              text=True, capture_output=True, timeout=120).stdout

    def log(self):
        return self.log_path.read_text()

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


def has_pkcs11():
    return MODULE is not None and importlib.util.find_spec("pkcs11") is not None
