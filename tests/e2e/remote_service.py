"""remote_service.py - a stand-in for a remote signing service, in the Cloud Signature Consortium's
form and as a plain hash array. It runs as a process of its own, so that it can be killed.

    remote_service.py FOLDER [PORT]

FOLDER holds tls.pem (certificate and key), and NAME.pem/NAME.key a signing key. It prints its port.
POST /control sets how it behaves, GET /control tells what it was asked; both are the tests' own.

How it behaves (all optional): "always": one fault for every call that signs; "next": faults for
the next of such calls; "poll": one for the answers to transactions (torn, halting);
"slow_s": seconds before an answer; "mute": no answer until it is false; "pending": transactions
wait until it is false; "confirm": authorize asks a person first; "tokens": False denies each token;
"auth": the mode of authorization that a CSC credential claims; "pin": status and error code for
one that is wrong; "pins": those of keys that have one of their own; "user": credentials are listed
for that userID only.
Faults: 401 403 429 500 503 400, hang, close, garbage, cut, wrong, foreign, truncated, reordered,
partly, twice, refuse, swap (a wrong signature for one digest only: "victim"), torn (the line breaks
in the middle of the answer), halting (it pauses there, until "halt" is false).

FOLDER/diary has a line for each thing that it did, and outlives it: digests "asked" for, what it
"made" of them, and whether that was "given" to the last byte; "half" an answer is out.
"""

import base64
import collections
import http.server
import json
import os
import pathlib
import socket
import ssl
import sys
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

CLIENT, SECRET = "trien-test", "a secret & more"
PIN = "246813"
SHA256 = utils.Prehashed(hashes.SHA256())


class Key:
    def __init__(self, path):
        self.key = serialization.load_pem_private_key(path.read_bytes(), None)
        self.cert = x509.load_pem_x509_certificate(path.with_suffix(".pem").read_bytes())
        self.rsa = isinstance(self.key, RSAPrivateKey)

    def sign(self, digest, raw=False):
        if self.rsa:
            return self.key.sign(digest, padding.PKCS1v15(), SHA256)
        der = self.key.sign(digest, ec.ECDSA(SHA256))
        while len(der) < 66:
            der = self.key.sign(digest, ec.ECDSA(SHA256))
        if not raw:
            return der
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def der64(self):
        return base64.b64encode(self.cert.public_bytes(serialization.Encoding.DER)).decode()


class Service:
    def __init__(self, folder):
        self.folder = folder
        self.keys = {p.stem: Key(p) for p in sorted(folder.glob("*.key")) if p.stem != "tls"}
        self.lock = threading.Lock()
        self.how = {}
        self.state = folder / "state.json"
        saved = json.loads(self.state.read_text()) if self.state.exists() else {}
        self.transactions = saved.get("transactions", {})
        self.handles = saved.get("handles", {})
        self.sads = {}
        self.tokens = set()
        self.calls = collections.Counter()
        self.asked = collections.Counter()
        self.sizes = []
        self.paths = set()
        self.now = self.most = 0
        self.diary = (folder / "diary").open("a")

    def note(self, **line):
        with self.lock:
            self.diary.write(json.dumps(line) + "\n")
            self.diary.flush()

    def save(self):
        part = self.state.with_suffix(".part")
        part.write_text(json.dumps({"transactions": self.transactions, "handles": self.handles}))
        os.replace(part, self.state)

    def pause(self, what):
        while self.how.get(what):
            time.sleep(0.01)

    def fault(self):
        with self.lock:
            if self.how.get("next"):
                return self.how["next"].pop(0)
            return self.how.get("always")

    def told(self):
        with self.lock:
            return {"calls": dict(self.calls), "asked": dict(self.asked), "sizes": self.sizes,
                    "paths": sorted(self.paths), "most": self.most}

    def signatures(self, key, digests, fault, raw):
        """As a list of bytes, None where there is none."""
        out = [key.sign(d, raw) for d in digests]
        if fault == "wrong":
            out = [key.sign(bytes(32), raw) for _ in digests]
        elif fault == "foreign":
            other = next(k for k in self.keys.values() if k is not key and k.rsa == key.rsa)
            out = [other.sign(d, raw) for d in digests]
        elif fault == "truncated":
            out = out[:len(out) // 2]
        elif fault == "reordered":
            out = out[1:] + out[:1]
        elif fault == "partly":
            out = [s if i % 2 else None for i, s in enumerate(out)]
        elif fault == "twice":
            out = out + out
        elif fault == "swap":
            victim = bytes.fromhex(self.how["victim"])
            out = [key.sign(bytes(32), raw) if d == victim else s
                   for d, s in zip(digests, out)]
        self.note(made={d.hex(): s.hex() for d, s in zip(digests, out) if s})
        return out


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service = None

    def log_message(self, *args):
        pass

    def say(self, status, body, headers=()):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def error(self, status, code):
        self.say(status, {"error": code, "error_description": "Nguyễn Văn Thử said no"})

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self):
        s = self.service
        if self.path == "/control":
            return self.say(200, s.told())
        with s.lock:
            s.paths.add(self.path)
            s.calls["status"] += 1
        return self.array_status(self.path.rsplit("/", 1)[1])

    def do_POST(self):
        s = self.service
        body = self.body()
        if self.path == "/control":
            with s.lock:
                s.how.update(json.loads(body))
            return self.say(200, {})
        with s.lock:
            s.paths.add(self.path)
            s.calls[self.path.rsplit("/", 1)[1]] += 1
            s.now += 1
            s.most = max(s.most, s.now)
        try:
            self.route(body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with s.lock:
                s.now -= 1
        return None

    def route(self, body):
        s = self.service
        if self.path == "/oauth2/token":
            return self.token(urllib.parse.parse_qs(body.decode()))
        if s.how.get("tokens") is not None or self.path.startswith("/csc/"):
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if bearer not in s.tokens or s.how.get("tokens") is False:
                return self.error(401, "invalid_token")
        data = json.loads(body)
        what = self.path.removeprefix("/csc/v2/")
        return {"credentials/list": self.csc_list, "credentials/info": self.csc_info,
                "credentials/authorize": self.csc_authorize,
                "credentials/authorizeCheck": self.csc_check,
                "signatures/signHash": self.csc_sign, "signatures/signPolling": self.csc_poll,
                "/sign": self.array_sign, "/later": self.array_later}[what](data)

    def token(self, form):
        s = self.service
        if form.get("client_id") != [CLIENT] or form.get("client_secret") != [SECRET] or \
                form.get("grant_type") != ["client_credentials"]:
            return self.error(401, "invalid_client")
        token = base64.b64encode(os.urandom(24)).decode()
        s.tokens.add(token)
        return self.say(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    # ---- what a fault does before there is an answer; True: it was answered ----

    def spoiled(self, fault):
        s = self.service
        if s.how.get("slow_s"):
            time.sleep(s.how["slow_s"])
        s.pause("mute")
        if fault == "hang":
            time.sleep(3600)
        if fault == "close":
            self.close_connection = True
            self.connection.close()
            return True
        if fault == "garbage":
            self.say(200, b"<html>not found</html>")
            return True
        if fault == "refuse":
            self.error(403, "access_denied")
            return True
        if fault in ("400", "401", "403", "429", "500", "503"):
            if fault == "401":
                s.tokens.clear()
            headers = [("Retry-After", "1")] if fault == "429" else []
            self.say(int(fault), {"error": "invalid_request"}, headers)
            return True
        return False

    def signed(self, body, fault, digests=()):
        text = json.dumps(body).encode()
        if fault == "cut":
            text = text[:len(text) // 2]
        if fault not in ("torn", "halting"):
            self.say(200, text)
        elif not self.said_by_halves(text, fault):
            return
        if fault != "cut":
            self.service.note(given=[d.hex() for d in digests])

    def said_by_halves(self, text, fault):
        """False: the line broke behind the first half."""
        half = len(text) // 2
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[:half])
        self.service.note(half=half)
        if fault == "torn":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return False
        self.service.pause("halt")
        self.wfile.write(text[half:])
        return True

    # ---- Cloud Signature Consortium ----

    def csc_list(self, data):
        if data.get("userID") != self.service.how.get("user"):
            return self.error(400, "invalid_request")
        return self.say(200, {"credentialIDs": [f"CRED/{n}" for n in self.service.keys]})

    def key_of(self, data):
        return self.service.keys[data["credentialID"].removeprefix("CRED/")]

    def csc_info(self, data):
        if data["credentialID"].removeprefix("CRED/") not in self.service.keys:
            return self.error(400, "invalid_request")
        key = self.key_of(data)
        algo = ["1.2.840.113549.1.1.1"] if key.rsa else ["1.2.840.10045.4.3.2"]
        return self.say(200, {
            "key": {"status": "enabled", "algo": algo, "len": 2048 if key.rsa else 256},
            "cert": {"status": "valid", "certificates": [key.der64()]},
            "auth": {"mode": self.service.how.get("auth", "explicit")}, "SCAL": "2",
            "multisign": self.service.how.get("multisign", 1000)})

    def csc_authorize(self, data):
        s = self.service
        pin = s.how.get("pins", {}).get(data["credentialID"].removeprefix("CRED/"), PIN)
        if data.get("authData") != [{"id": "PIN", "value": pin}]:
            return self.error(*s.how.get("pin", (400, "invalid_authentication_data")))
        assert data["numSignatures"] == len(data["hashes"])
        if s.how.get("confirm"):
            with s.lock:
                handle = base64.urlsafe_b64encode(os.urandom(12)).decode()
                s.handles[handle] = data["hashes"]
                s.asked.update(f"confirm {h}" for h in data["hashes"])
                s.save()
            return self.say(202, {"handle": handle})
        return self.sad(data["hashes"])

    def sad(self, hashes64):
        sad = base64.b64encode(os.urandom(24)).decode()
        self.service.sads[sad] = set(hashes64)
        self.say(200, {"SAD": sad, "expiresIn": 300})

    def csc_check(self, data):
        s = self.service
        if data["handle"] not in s.handles:
            return self.error(400, "invalid_request")
        if s.how.get("refused"):
            return self.error(403, "access_denied")
        if s.how.get("pending"):
            return self.say(202, {"handle": data["handle"]})
        return self.sad(s.handles[data["handle"]])

    def csc_sign(self, data):
        s = self.service
        allowed = s.sads.get(data.get("SAD"), set())
        if not set(data["hashes"]) <= allowed or \
                data["hashAlgorithmOID"] != "2.16.840.1.101.3.4.2.1":
            return self.error(400, "invalid_request")
        key = self.key_of(data)
        digests = [base64.b64decode(h) for h in data["hashes"]]
        fault = self.begin(digests)
        if self.spoiled(fault):
            return None
        out = [x and base64.b64encode(x).decode()
               for x in s.signatures(key, digests, fault, False)]
        if data["operationMode"] == "S":
            return self.signed({"signatures": out}, fault, digests)
        return self.say(200, {"responseID": self.keep(out)})

    def csc_poll(self, data):
        s = self.service
        if data["requestID"] not in s.transactions:
            return self.error(400, "invalid_request")
        if s.how.get("pending"):
            return self.error(202, "accepted_request")
        return self.signed({"signatures": s.transactions[data["requestID"]]},
                           s.how.get("poll"))

    def begin(self, digests):
        s = self.service
        with s.lock:
            s.asked.update(d.hex() for d in digests)
            s.sizes.append(len(digests))
        s.note(asked=[d.hex() for d in digests])
        return s.fault()

    def keep(self, out):
        s = self.service
        with s.lock:
            name = base64.b64encode(os.urandom(12)).decode()
            s.transactions[name] = out
            s.save()
        return name

    # ---- hash array ----

    def array_key(self, serial):
        return next(k for k in self.service.keys.values()
                    if k.cert.serial_number == int(serial, 16))

    def array_sign(self, data):
        """{"serial", "hashes": [base64…]} → {"signatures": [base64…]}, raw r‖s of ECDSA."""
        s = self.service
        if self.headers.get("X-Api-Key") != SECRET:
            return self.error(403, "key")
        digests = [base64.b64decode(h) for h in data["hashes"]]
        key = self.array_key(data["serial"])
        fault = self.begin(digests)
        if self.spoiled(fault):
            return None
        out = [x and base64.b64encode(x).decode()
               for x in s.signatures(key, digests, fault, True)]
        return self.signed({"signatures": out}, fault, digests)

    def array_later(self, data):
        """{"user", "password", "files": [{"doc_id", "hash" (hex), "title"}]} → a transaction."""
        s = self.service
        if data["password"] != SECRET:
            return self.error(403, "password")
        key = s.keys[data["user"].rsplit("/", 1)[1]]
        digests = [bytes.fromhex(f["hash"]) for f in data["files"]]
        fault = self.begin(digests)
        if self.spoiled(fault):
            return None
        out = [{"doc_id": f["doc_id"], "value": x and x.hex()} for f, x in
               zip(data["files"], s.signatures(key, digests, fault, True))]
        out.reverse()
        return self.say(200, {"code": 1, "data": {"transaction": self.keep(out)}})

    def array_status(self, name):
        s = self.service
        name = urllib.parse.unquote(name)
        if name not in s.transactions:
            return self.say(200, {"code": 9})
        if s.how.get("refused"):
            return self.say(200, {"code": 4})
        if s.how.get("pending"):
            return self.say(200, {"code": 1, "data": {"transaction": name}})
        return self.signed({"code": 0, "data": {"files": s.transactions[name]}},
                           s.how.get("poll"))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)


def main():
    folder = pathlib.Path(sys.argv[1])
    Handler.service = Service(folder)
    server = Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "tls.pem")
    # The handshake on the connection's own thread: one that stalls stops nobody.
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
