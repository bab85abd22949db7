"""remote_child.py - the remote signer as the engine will see it: a child behind a socket pair, and
the folders and certificates that it reads."""

import collections
import datetime
import hashlib
import http.client
import json
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

import harness
import remote_service

STATUS = ("SIGNED LATER REFUSED WRONG_ANSWER UNAVAILABLE EXPIRED CANCELLED TICKET_LOST "
          "OTHER_CERTIFICATE UNKNOWN_KEY POLICY NOT_VALID_NOW NOT_GIVEN PIN_REFUSED").split()
WAIT_S = 60
UNIT, KIND = "ubnd-thu", "giay-thu"


def digest(i):
    return hashlib.sha256(str(i).encode()).digest()


# ---- certificates ----

def certificate(name, key, san=()):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    b = x509.CertificateBuilder().subject_name(subject).issuer_name(subject) \
        .public_key(key.public_key()).serial_number(x509.random_serial_number()) \
        .not_valid_before(now - datetime.timedelta(days=1)) \
        .not_valid_after(now + datetime.timedelta(days=30))
    if san:
        b = b.add_extension(x509.SubjectAlternativeName(list(san)), critical=False) \
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return b.sign(key, hashes.SHA256())


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def make_keys(folder):
    """rsa, rsa2, p256, p256b and the service's TLS, once for all tests."""
    folder.mkdir()
    for name in ("rsa", "rsa2"):
        save(folder, name, rsa.generate_private_key(65537, 2048))
    for name in ("p256", "p256b"):
        save(folder, name, ec.generate_private_key(ec.SECP256R1()))
    key = ec.generate_private_key(ec.SECP256R1())
    cert = certificate("localhost", key, [x509.DNSName("localhost")])
    text = cert.public_bytes(serialization.Encoding.PEM)
    (folder / "tls.pem").write_bytes(text + pem(key))
    (folder / "ca.pem").write_bytes(text)
    return folder


def save(folder, name, key):
    (folder / f"{name}.key").write_bytes(pem(key))
    (folder / f"{name}.pem").write_bytes(
        certificate(name, key).public_bytes(serialization.Encoding.PEM))


def verifies(folder, key, digest_of, signature):
    public = x509.load_pem_x509_certificate((folder / f"{key}.pem").read_bytes()).public_key()
    args = [padding.PKCS1v15()] if key.startswith("rsa") else []
    how = utils.Prehashed(hashes.SHA256())
    public.verify(signature, digest_of, *args, *([how] if args else [ec.ECDSA(how)]))
    return True


# ---- the service's process ----

class RemoteService:
    def __init__(self, keys, folder):
        folder.mkdir()
        for p in keys.iterdir():
            (folder / p.name).write_bytes(p.read_bytes())
        self.folder = folder
        self.port = 0
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, remote_service.__file__, str(self.folder), str(self.port)],
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def control(self, **how):
        c = http.client.HTTPSConnection("localhost", self.port, timeout=WAIT_S,
                                        context=ssl.create_default_context(
                                            cafile=self.folder / "ca.pem"))
        c.request("POST" if how else "GET", "/control", json.dumps(how) if how else None)
        told = json.loads(c.getresponse().read())
        c.close()
        return told

    def diary(self):
        return Diary((self.folder / "diary").read_text())

    def transactions(self):
        """Names of all that it ever began."""
        state = self.folder / "state.json"
        return list(json.loads(state.read_text())["transactions"]) if state.exists() else []

    def url(self, path):
        return f"https://localhost:{self.port}{path}"


class Diary:
    """What a service did, over all its restarts. Digests are in hexadecimal."""

    def __init__(self, text):
        self.asked = collections.Counter()      # digest → how often
        self.given = collections.Counter()      # and of those, whole answers of it
        self.made, self.arrays = {}, []
        self.halves = self.answers = 0          # halves and whole ones that have gone out
        # What is being written just now has no end yet.
        for line in map(json.loads, text.splitlines()[:None if text.endswith("\n") else -1]):
            self.asked.update(line.get("asked", ()))
            self.given.update(line.get("given", ()))
            self.made.update({d: bytes.fromhex(s) for d, s in line.get("made", {}).items()})
            self.halves += "half" in line
            self.answers += "given" in line
            if "asked" in line:
                self.arrays.append(len(line["asked"]))


# ---- the child ----

QUICK = {"back_off_ms": 20, "back_off_max_ms": 200, "poll_ms": 50, "poll_max_ms": 100,
         "age_ms": 30, "timeout_ms": 20000}


# Rows of remote.json.

def csc_row(name, service, **more):
    return {"name": name, "api": "csc", "url": service.url("/csc/v2"), "ca": "ca.pem",
            "oauth": {"url": service.url("/oauth2/token"), "client": remote_service.CLIENT,
                      "secret": "service.secret", "scope": "service"},
            "auth_data": [{"id": "PIN", "value": {"$secret": "pin"}}], **QUICK, **more}


def array_row(name, service, **more):
    return {"name": name, "api": "hash_array", "url": service.url("/sign"), "ca": "ca.pem",
            "headers": {"X-Api-Key": {"secret": "service.secret"}},
            "body": {"serial": "$serial", "hashes": "$hashes"},
            "answer": {"signatures": "/signatures"}, "form": "raw", **QUICK, **more}


def later_row(name, service, **more):
    return {"name": name, "api": "hash_array", "url": service.url("/later"), "ca": "ca.pem",
            "body": {"user": "$credential", "password": {"$secret": "service.secret"},
                     "files": "$hashes"},
            "item": {"doc_id": "$id", "hash": "$hash", "title": "$name"}, "hash": "hex",
            "answer": {"signatures": "/data/files", "signature": "/value", "id": "/doc_id",
                       "encoding": "hex", "transaction": "/data/transaction",
                       "status": "/code", "done": [0], "pending": [1], "refused": [4],
                       "lost": [9]},
            "poll": {"url": service.url("/status/$transaction")}, "form": "raw",
            **QUICK, **more}


class RemoteSigner:
    """One data folder and the child on it. Keys: key name → service; services: as remote.json."""

    def __init__(self, path, keys):
        self.data, self.keys = path, keys
        self.certs, self.secrets = path / "certs", path / "remote"
        self.certs.mkdir(parents=True)
        self.secrets.mkdir(mode=0o700)
        for p in keys.glob("*.pem"):
            if p.stem != "tls":
                (self.certs / p.name).write_bytes(p.read_bytes())
        self.secret("service.secret", remote_service.SECRET)
        self.secret("pin", remote_service.PIN)
        self.pid = self.socket = None
        self.answers = {}  # tag → [(status, bytes)…]
        self.buffer = b""

    def secret(self, name, text):
        (self.secrets / name).write_text(text + "\n")
        (self.secrets / name).chmod(0o600)

    csc, array, later = (staticmethod(row) for row in (csc_row, array_row, later_row))

    def configure(self, services, keys):
        (self.certs / "remote.json").write_text(json.dumps({"version": 1, "services": services}))
        (self.certs / "keys.json").write_text(json.dumps({"version": 1, "keys": [
            {"id": f"key.{key}", "role": "agency", "unit": UNIT,
             "algorithm": "rsa2048" if key.startswith("rsa") else "p256",
             "certificate": f"{key}.pem", "chain": [f"{key}.pem"], "source": "remote",
             **({"service": to} if isinstance(to, str) else to)} for key, to in keys.items()]}))

    def start(self, ready=True):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        log = (os.POSIX_SPAWN_OPEN, 2, str(self.data / "log"),
               os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.pid = os.posix_spawn(
            str(harness.TRIEN), ["remote", "--data", str(self.data)], dict(os.environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3), log])
        theirs.close()
        self.socket, self.buffer, self.answers = ours, b"", {}
        self.until(lambda: 0 in self.answers)
        status, text = self.answers.pop(0)[0]
        assert (status == "SIGNED") == ready, (status, text, self.log())
        return text.decode()

    def kill(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.socket.close()
        self.pid = None

    def stop(self):
        """Closes the door; the child's exit code."""
        self.socket.close()
        _, how = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(how)

    def log(self):
        return (self.data / "log").read_text()

    # ---- the wire ----

    def put(self, body):
        self.socket.sendall(struct.pack("<I", len(body)) + body)

    def sign(self, tag, key="rsa", digest_of=None, ticket=b"", deadline_ms=0, name="7/GXN-THU",
             unit=UNIT):
        text = [s.encode() for s in (f"key.{key}", unit, KIND)]
        self.put(struct.pack("<BQq", 1, tag, deadline_ms) +
                 b"".join(bytes([len(s)]) + s for s in text) +
                 (digest_of or digest(tag)) + bytes([len(name.encode())]) + name.encode() +
                 struct.pack("<H", len(ticket)) + ticket)

    def cancel(self, tag):
        self.put(struct.pack("<BQ", 2, tag))

    def read(self, seconds):
        """What came within that time, into answers; False: the child closed."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return True
        part = self.socket.recv(1 << 16)
        self.buffer += part
        while len(self.buffer) >= 4:
            n, = struct.unpack_from("<I", self.buffer)
            if len(self.buffer) < 4 + n:
                break
            tag, status, size = struct.unpack_from("<QBH", self.buffer, 4)
            body = self.buffer[15:4 + n]
            assert len(body) == size
            self.answers.setdefault(tag, []).append((STATUS[status], body))
            self.buffer = self.buffer[4 + n:]
        return part != b""

    def until(self, condition, seconds=WAIT_S):
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            assert left > 0, (f"waited {seconds} s; answers: {self.summary()}; log: "
                              f"{self.log()[-2000:]}")
            if not self.read(left):
                assert condition(), f"the child ended: {self.log()[-2000:]}"

    def summary(self):
        return {t: [s for s, _ in a] for t, a in sorted(self.answers.items())[:20]}

    def final(self, tag):
        """(status, bytes) of the item's last answer, or None."""
        last = [a for a in self.answers.get(tag, []) if a[0] != "LATER"]
        assert len(last) <= 1, f"{tag}: two last answers: {last}"
        return last[0] if last else None

    def finals(self, tags, seconds=WAIT_S):
        tags = list(tags)
        self.until(lambda: all(self.final(t) for t in tags), seconds)
        return {t: self.final(t)[0] for t in tags}

    def ticket(self, tag):
        """The newest, or None."""
        all_of = [b for s, b in self.answers.get(tag, []) if s == "LATER"]
        return all_of[-1] if all_of else None

    def all_signed(self, tags, key="rsa", seconds=WAIT_S):
        tags = list(tags)
        states = self.finals(tags, seconds)
        assert set(states.values()) == {"SIGNED"}, (states, self.log()[-2000:])
        return all(verifies(self.keys, key, digest(t), self.final(t)[1]) for t in tags)
