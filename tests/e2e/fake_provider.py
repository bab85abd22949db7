"""An OpenID provider of a test's own: good unless it is told to be bad. It shares no code with the
engine: tokens are made with `cryptography`."""
import base64
import datetime
import hashlib
import http.server
import json
import ssl
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

NUMBER = "001199000017"


def tls_files(folder, host="localhost"):
    """(CA, certificate, key): files of a server's own authority."""
    now = datetime.datetime.now(datetime.timezone.utc)
    pair = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    name = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("CA", host)]
    paths = [folder / n for n in ("ca.pem", "server.pem", "server.key")]
    for i, ca in enumerate((True, False)):
        cert = x509.CertificateBuilder().subject_name(name[i]).issuer_name(name[0]) \
            .public_key(pair[i].public_key()).serial_number(x509.random_serial_number()) \
            .not_valid_before(now - datetime.timedelta(days=1)) \
            .not_valid_after(now + datetime.timedelta(days=9)) \
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True) \
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False) \
            .sign(pair[0], hashes.SHA256())
        paths[i].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(pair[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    return paths


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n, width):
    return b64(n.to_bytes(width, "big"))


class Key:
    def __init__(self, kid="k1", kind="ES256"):
        self.kid, self.kind = kid, kind
        self.private = (ec.generate_private_key(ec.SECP256R1()) if kind == "ES256" else
                        rsa.generate_private_key(65537, 2048))

    def jwk(self):
        n = self.private.public_key().public_numbers()
        if self.kind == "ES256":
            return {"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig",
                    "x": number(n.x, 32), "y": number(n.y, 32)}
        return {"kty": "RSA", "kid": self.kid, "n": number(n.n, 256), "e": "AQAB"}

    def sign(self, data):
        if self.kind == "RS256":
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, claims, header=None):
        head = {"alg": self.kind, "kid": self.kid, **(header or {})}
        text = claims if isinstance(claims, str) else json.dumps(claims)
        content = b64(json.dumps(head).encode()) + "." + b64(text.encode())
        return content + "." + b64(self.sign(content.encode()))


class Provider:
    """with Provider() as p: p.issuer; members say how it is wrong. tls: certificate, key."""

    def __init__(self, key=None, tls=None):
        self.key, self.tls = key or Key(), tls
        self.keys = [self.key.jwk()]
        self.discovery = {}             # in place of the usual members; None: taken out
        self.claims = {"citizen_id": NUMBER, "name": "Nguyễn Thị Hà"}   # None: taken out
        self.signed = None              # claims → token, in place of the key's
        self.answers = {}               # path → (status, headers, bytes), in place of ours
        self.hang = {}                  # path → Event that it waits for
        self.asked = []                 # (path, form, headers)
        self.secret = None
        self.requests = {}              # code → what /authorize was asked with

    def __enter__(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                provider.answer(self, None)

            def do_POST(self):
                n = int(self.headers.get("Content-Length", 0))
                provider.answer(self, dict(urllib.parse.parse_qsl(self.rfile.read(n).decode())))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None   # who asked has gone, or did not trust us
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realm"
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.issuer = f"https://localhost:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        for event in self.hang.values():
            event.set()
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return self.issuer.removesuffix("/realm") + path

    def answer(self, h, form):
        path = urllib.parse.urlsplit(h.path).path
        self.asked.append((path, form, dict(h.headers)))
        if path in self.hang:
            self.hang[path].wait(60)
        status, headers, body = self.answers.get(path) or self.usual(path, form, h.headers)
        try:
            h.send_response(status)
            for name, value in headers.items():
                h.send_header(name, value)
            h.send_header("Content-Length", str(len(body)))
            h.end_headers()
            h.wfile.write(body)
        except OSError:
            pass                        # who asked has gone

    def usual(self, path, form, headers):
        if path == "/realm/.well-known/openid-configuration":
            return self.json(200, self.document())
        if path == "/keys":
            return self.json(200, {"keys": self.keys})
        if path == "/token":
            return self.exchange(form, headers)
        return self.json(404, {})

    @staticmethod
    def json(status, value):
        return status, {"Content-Type": "application/json"}, json.dumps(value).encode()

    def document(self):
        usual = {"issuer": self.issuer, "authorization_endpoint": self.url("/authorize"),
                 "token_endpoint": self.url("/token"), "jwks_uri": self.url("/keys"),
                 "code_challenge_methods_supported": ["S256"]}
        return {k: v for k, v in {**usual, **self.discovery}.items() if v is not None}

    def exchange(self, form, headers):
        asked = self.requests.pop(form.get("code"), None)
        verifier = form.get("code_verifier", "").encode()
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri") or \
                b64(hashlib.sha256(verifier).digest()) != asked["code_challenge"]:
            return self.json(400, {"error": "invalid_grant"})
        if self.secret is not None:
            want = f"{asked['client_id']}:{urllib.parse.quote(self.secret, safe='')}".encode()
            if headers.get("Authorization") != "Basic " + base64.b64encode(want).decode():
                return self.json(401, {"error": "invalid_client"})
        claims = self.usual_claims(asked["client_id"], asked["nonce"])
        token = self.signed(claims) if self.signed else self.key.token(claims)
        return self.json(200, {"id_token": token, "access_token": "x", "token_type": "Bearer"})

    def usual_claims(self, audience, nonce=None):
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": audience, "sub": "s-1", "iat": now, "exp": now + 300}
        if nonce is not None:
            usual["nonce"] = nonce
        return {k: v for k, v in {**usual, **self.claims}.items() if v is not None}

    def consent(self, location):
        """What the person's browser does at the provider: the way back, as a path of the portal."""
        parts = urllib.parse.urlsplit(location)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == self.url("/authorize")
        asked = dict(urllib.parse.parse_qsl(parts.query))
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        code = f"c{len(self.requests)}-{time.monotonic_ns()}"
        self.requests[code] = asked
        back = urllib.parse.urlsplit(asked["redirect_uri"])
        return back.path + "?" + urllib.parse.urlencode({"code": code, "state": asked["state"]})
