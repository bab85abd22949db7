"""A certification authority of the test's own: certificates that end, are revoked, or replaced."""
import datetime
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc)


class Authority:
    """A root, which issues by itself, its list, and the keys that it certifies in an engine."""

    def __init__(self, engine, begin=None):
        self.engine, self.begin = engine, begin or utc_now() - DAY
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Own CA")])
        self.revoked = []
        cert = self.certificate(self.name, self.key.public_key(), self.begin + 3650 * DAY, ca=True)
        self.write("own-ca.pem", cert.public_bytes(serialization.Encoding.PEM))
        self.publish()

    def write(self, name, content, folder="certs"):
        path = self.engine.data / folder / name
        path.write_bytes(content)
        path.chmod(0o600 if folder == "keys" else 0o644)

    def certificate(self, subject, public, until, ca=False, unit=None):
        b = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name) \
            .public_key(public).serial_number(x509.random_serial_number()) \
            .not_valid_before(self.begin).not_valid_after(until) \
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True) \
            .add_extension(x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False,
                                         False), critical=True) \
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False) \
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                self.key.public_key()), critical=False)
        if unit:
            b = b.add_extension(x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"trien://unit/{unit}")]), critical=False)
        return b.sign(self.key, hashes.SHA256())

    def publish(self):
        b = x509.CertificateRevocationListBuilder().issuer_name(self.name) \
            .last_update(self.begin).next_update(self.begin + 3650 * DAY)
        for cert in self.revoked:
            b = b.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(
                cert.serial_number).revocation_date(self.begin).build())
        self.write("own-ca.crl", b.sign(self.key, hashes.SHA256())
                   .public_bytes(serialization.Encoding.PEM))

    def revoke(self, cert):
        self.revoked.append(cert)
        self.publish()

    def issue(self, signer, until, key_id=None, **policy):
        """A new key of that signer in place of the engine's own; `policy`: more of its entry."""
        path = self.engine.data / "certs" / "keys.json"
        doc = json.loads(path.read_text())
        old = next(k for k in doc["keys"] if k.get("signer") == signer)
        key_id = key_id or f"{signer}.own-{len(doc['keys'])}"
        key = ec.generate_private_key(ec.SECP256R1())
        cert = self.certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key_id)]),
                                key.public_key(), until, unit=old["unit"])
        self.write(f"{key_id}.pem", key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()), "keys")
        self.write(f"{key_id}.pem", cert.public_bytes(serialization.Encoding.PEM))
        new = {**old, "id": key_id, "algorithm": "p256", "key": f"{key_id}.pem",
               "certificate": f"{key_id}.pem", "chain": ["own-ca.pem"], **policy}
        new.pop("from", None)
        doc["keys"] = [k for k in doc["keys"] if k.get("signer") != signer] + [new]
        path.write_text(json.dumps(doc))
        return cert
