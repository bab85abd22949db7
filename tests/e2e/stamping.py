"""A throw-away time-stamp authority, and pyHanko adding its stamps and evidence to our files."""
import datetime
import io

import pytest

pytest.importorskip("pyhanko")

from asn1crypto import crl as asn1_crl, keys as asn1_keys, pem, x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.validation import add_validation_info, validate_pdf_signature, \
    validate_pdf_timestamp
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore


def der(path):
    data = path.read_bytes()
    return pem.unarmor(data)[2] if pem.detect(data) else data


def certificate(name, issuer, key, issuer_key, ca):
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False, False)
    b = x509.CertificateBuilder().subject_name(name).issuer_name(issuer) \
        .public_key(key.public_key()).serial_number(x509.random_serial_number()) \
        .not_valid_before(now - datetime.timedelta(days=1)) \
        .not_valid_after(now + datetime.timedelta(days=30)) \
        .add_extension(x509.BasicConstraints(ca, None), True).add_extension(usage, True) \
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False) \
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
            issuer_key.public_key()), False)
    if not ca:
        b = b.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
    made = b.sign(issuer_key, hashes.SHA256())
    return asn1_x509.Certificate.load(made.public_bytes(serialization.Encoding.DER))


class Authority:
    def __init__(self, folder):
        def named(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        root_key, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self.root = certificate(named("TSA root"), named("TSA root"), root_key, root_key, True)
        cert = certificate(named("TSA"), named("TSA root"), key, root_key, False)
        info = asn1_keys.PrivateKeyInfo.load(key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        store = SimpleCertificateStore()
        store.register(self.root)
        self.stamper = DummyTimeStamper(cert, info, certs_to_embed=store)
        self.path = folder / "tsa-root.pem"
        self.path.write_bytes(pem.armor("CERTIFICATE", self.root.dump()))

    def context(self, certs):
        return ValidationContext(
            trust_roots=[asn1_x509.Certificate.load(der(certs / "root.pem")), self.root],
            crls=[asn1_crl.CertificateList.load(der(p)) for p in sorted(certs.glob("*.crl"))],
            allow_fetching=False)

    def stamped(self, pdf):
        out = io.BytesIO()
        signers.PdfTimeStamper(self.stamper).timestamp_pdf(writer(pdf), "sha256", output=out)
        return out.getvalue()

    def with_evidence(self, pdf, certs):
        reader = PdfFileReader(io.BytesIO(pdf))
        for name in [s.field_name for s in reader.embedded_regular_signatures]:
            reader = PdfFileReader(io.BytesIO(pdf))
            s, = [s for s in reader.embedded_regular_signatures if s.field_name == name]
            out = io.BytesIO()
            add_validation_info(s, self.context(certs), skip_timestamp=True, output=out)
            pdf = out.getvalue()
        return pdf


def writer(pdf):
    return IncrementalPdfFileWriter(io.BytesIO(pdf))


def no_new_metadata(monkeypatch):
    """pyHanko writes the XMP anew, which has the title that a viewer shows: not for our files."""
    from pyhanko.pdf_utils.writer import BasePdfFileWriter
    monkeypatch.setattr(BasePdfFileWriter, "_update_meta", lambda self: None)


def pyhanko_passes(pdf, context):
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=True)
        signatures = reader.embedded_regular_signatures
        said = [validate_pdf_signature(s, context).bottom_line for s in signatures]
        for s in reader.embedded_timestamp_signatures:
            status = validate_pdf_timestamp(s, context)
            said.append(status.intact and status.valid and status.trusted)
        return bool(signatures) and all(said)
    except Exception:                                       # whatever a hostile file makes of it
        return False
