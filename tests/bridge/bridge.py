"""bridge.py - signs with a PKCS#11 token what waits for an officer: a reference for makers of
clients, and the bridge of the end-to-end tests.

    bridge.py --engine 127.0.0.1:8443 --module /usr/lib/softhsm/libsofthsm2.so --token LABEL
              --label KEY [--pin-file FILE] [--signer CODE] [--key-id ID] [--batch N]
              [--tls FOLDER] [--once]

It logs in once, takes digests (Signing.TakeDigests), has the token sign them and gives the
signatures (Signing.GiveSignatures), again and again, up to N (200) at once, page by page to the
end: what this token cannot sign hides nothing behind it. What was signed and could not be given,
since the line broke, is given first when the engine answers again: the token is not asked twice.
--certificate: signs only for the certificate in that file. --tls: ca.pem, client.pem and client.key
of the officer. --once: ends when nothing waits.
"""

import argparse
import atexit
import getpass
import hashlib
import importlib
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import grpc
import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import MGF, KeyType, Mechanism, ObjectClass

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
WAIT_S = 30
AGAIN_S = (0.2, 5.0)  # after a broken line: the first pause, and the longest
# DER of DigestInfo { sha256, NULL, digest } before the digest (RFC 8017, 9.2).
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def protocol():
    """The classes of signing.proto, made by the ordinary generator."""
    try:
        return [importlib.import_module(f"trien.v1.signing_pb2{end}") for end in ("", "_grpc")]
    except ModuleNotFoundError:
        from grpc_tools import protoc

        out = tempfile.mkdtemp(prefix="bridge-")
        atexit.register(shutil.rmtree, out, ignore_errors=True)
        known = pathlib.Path(importlib.import_module("grpc_tools").__file__).parent / "_proto"
        files = [f"trien/v1/{name}.proto" for name in ("case", "signing")]
        assert protoc.main(["protoc", f"-I{PROTO}", f"-I{known}", f"--python_out={out}",
                            f"--grpc_python_out={out}", *files]) == 0
        sys.path.insert(0, out)
        return protocol()


class Token:
    """A key in a token, logged in once."""

    def __init__(self, module, label, pin, key_label):
        self.session = pkcs11.lib(module).get_token(token_label=label).open(user_pin=pin)
        self.key = self.session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=key_label)
        self.rsa = self.key.key_type == KeyType.RSA
        self.signed = 0

    def sign(self, m, algorithm, digest):
        """The signature in the form that signing.proto asks for; None: not this key's algorithm."""
        if self.rsa != (algorithm != m.ECDSA_P256_SHA256):
            return None
        self.signed += 1
        if algorithm == m.RSA_PKCS1_SHA256:
            return bytes(self.key.sign(SHA256_INFO + digest, mechanism=Mechanism.RSA_PKCS))
        if algorithm == m.RSA_PSS_SHA256:
            return bytes(self.key.sign(digest, mechanism=Mechanism.RSA_PKCS_PSS,
                                       mechanism_param=(Mechanism.SHA256, MGF.SHA256, 32)))
        raw = bytes(self.key.sign(digest, mechanism=Mechanism.ECDSA))
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"),
                                    int.from_bytes(raw[half:], "big"))


class Bridge:
    def __init__(self, channel, token, signer="", key_id="", certificate=None, batch=200,
                 say=print):
        self.m, stubs = protocol()
        self.stub = stubs.SigningStub(channel)
        self.token, self.signer, self.key_id, self.batch = token, signer, key_id, batch
        self.certificate, self.say = certificate, say
        self.made = {}  # (result, slot, digest) → signature, until the engine has it
        self.wrong = set()  # and what it would not have: never signed again

    def take(self, wait_s, page_token):
        return self.stub.TakeDigests(self.m.TakeDigestsRequest(
            signer=self.signer, key_id=self.key_id, max_digests=self.batch, wait_seconds=wait_s,
            page_token=page_token), timeout=wait_s + 30)

    def sign(self, awaited):
        for a in awaited:
            key = (a.result_id, a.slot, a.digest)
            if self.certificate not in (None, a.certificate_sha256):
                self.say(f"{a.result_id} is for another certificate, of key {a.key_id}")
            elif len(a.digest) != 32:
                self.say(f"{a.result_id}: not a digest")
            elif key not in self.made and key not in self.wrong:
                value = self.token.sign(self.m, a.algorithm, a.digest)
                if value is None:
                    self.say(f"{a.result_id} needs an algorithm that this key does not have")
                else:
                    self.made[key] = value
                    self.say(f"{a.result_id} {a.number_text} ({a.kind}, {a.unit}) is signed")

    def give(self):
        """Everything that was made; what the engine has settled is forgotten."""
        given = list(self.made)[:self.batch]
        if not given:
            return 0
        answers = self.stub.GiveSignatures(self.m.GiveSignaturesRequest(given=[
            self.m.GivenSignature(result_id=r, slot=s, digest=d, signature=self.made[r, s, d])
            for r, s, d in given]), timeout=60).answers
        taken = 0
        for key, answer in zip(given, answers):
            if answer.outcome != self.m.SIGNATURE_NOT_NOW:
                del self.made[key]
            if answer.outcome == self.m.SIGNATURE_WRONG:
                self.wrong.add(key)
            if answer.outcome == self.m.SIGNATURE_TAKEN:
                taken += 1
            else:
                self.say(f"{key[0]} {self.m.SignatureOutcome.Name(answer.outcome)}: "
                         f"{answer.message_en}")
        return taken

    def round(self, wait_s=WAIT_S):
        """Gives what is left, takes, signs, gives; how many wait, and how many the engine took."""
        taken, waiting, token = self.give(), 0, ""
        while True:
            page = self.take(wait_s, token)
            self.sign(page.awaited)
            taken += self.give()
            waiting += len(page.awaited)
            wait_s, token = 0, page.next_page_token
            if not token:
                return waiting, taken

    def run(self, once=False):
        pause = AGAIN_S[0]
        while True:
            try:
                awaited, taken = self.round(0 if once else WAIT_S)
                if once and not taken:
                    return
                if taken or not awaited:
                    pause = AGAIN_S[0]
                    continue
                # What this token cannot sign, or the engine does not take, is no reason to hurry.
            except grpc.RpcError as e:
                if e.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                    grpc.StatusCode.DEADLINE_EXCEEDED,
                                    grpc.StatusCode.RESOURCE_EXHAUSTED):
                    raise
                self.say(f"the engine does not answer; again in {pause:.1f} s")
            time.sleep(pause)
            pause = min(2 * pause, AGAIN_S[1])


def connect(address, tls):
    if tls is None:
        return grpc.insecure_channel(address)
    ca, cert, key = ((tls / name).read_bytes() for name in ("ca.pem", "client.pem", "client.key"))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, cert))


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("engine", "module", "token", "label"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--pin-file", type=pathlib.Path)
    p.add_argument("--signer", default="")
    p.add_argument("--key-id", default="")
    p.add_argument("--batch", type=int, default=200)
    p.add_argument("--certificate", type=pathlib.Path)
    p.add_argument("--tls", type=pathlib.Path)
    p.add_argument("--once", action="store_true")
    args = p.parse_args()
    pin = args.pin_file.read_text().splitlines()[0] if args.pin_file else getpass.getpass("PIN: ")
    certificate = None
    if args.certificate:
        certificate = hashlib.sha256(
            x509.load_pem_x509_certificate(args.certificate.read_bytes())
            .public_bytes(serialization.Encoding.DER)).digest()
    token = Token(args.module, args.token, pin, args.label)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Bridge(connect(args.engine, args.tls), token, args.signer, args.key_id, certificate, args.batch,
           lambda text: print(text, flush=True)).run(args.once)


if __name__ == "__main__":
    main()
