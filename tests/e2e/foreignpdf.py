"""PDFs that others made and signed: papers of plain producers, signed with pyHanko under a throw-
away authority; and what pyHanko says of each."""
import datetime
import io
import subprocess

from asn1crypto import keys, x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers, timestamps
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


class Authority:
    """A root, its list of revoked certificates, and whom it certifies; in `folder` as PEM."""

    def __init__(self, folder, curve=None):
        self.folder = folder
        self.curve = curve
        self.serial = 1
        self.key = self.new_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root of others")])
        self.cert = self.certify(self.name, self.key, ca=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "root.pem").write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))
        self.write_crl()

    def new_key(self):
        if self.curve is not None:
            return ec.generate_private_key(self.curve)
        return rsa.generate_private_key(65537, 2048)

    def certify(self, name, key, ca=False, eku=None, begin=NOW - 30 * DAY, end=NOW + 365 * DAY):
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        self.serial += 1
        b = x509.CertificateBuilder().subject_name(name).issuer_name(self.name)
        b = b.public_key(key.public_key()).serial_number(self.serial)
        b = b.not_valid_before(begin).not_valid_after(end)
        b = b.add_extension(x509.BasicConstraints(ca, None), True)
        b = b.add_extension(own, False).add_extension(issuer, False)
        b = b.add_extension(x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False,
                                          False), True)
        if eku is not None:
            b = b.add_extension(x509.ExtendedKeyUsage([eku]), True)
        return b.sign(self.key, hashes.SHA256())

    def write_crl(self, revoked=()):
        b = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        b = b.last_update(NOW - DAY).next_update(NOW + 30 * DAY)
        b = b.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self.key.public_key()), False).add_extension(x509.CRLNumber(1), False)
        for serial, when in revoked:
            b = b.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial)
                                          .revocation_date(when).build())
        self.crl = b.sign(self.key, hashes.SHA256())
        (self.folder / "root.crl").write_bytes(self.crl.public_bytes(serialization.Encoding.DER))

    def pair(self, common_name, **kw):
        key = self.new_key()
        cert = self.certify(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]),
                            key, **kw)
        return as_asn1(cert), keys.PrivateKeyInfo.load(key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))

    def signer(self, common_name, **kw):
        cert, key = self.pair(common_name, **kw)
        store = SimpleCertificateStore()
        store.register(as_asn1(self.cert))
        return signers.SimpleSigner(signing_cert=cert, signing_key=key, cert_registry=store)

    def stamper(self):
        cert, key = self.pair("Clock of others", eku=ExtendedKeyUsageOID.TIME_STAMPING)
        store = SimpleCertificateStore()
        store.register(as_asn1(self.cert))
        return timestamps.DummyTimeStamper(tsa_cert=cert, tsa_key=key, certs_to_embed=store)

    def context(self, **kw):
        crl = self.crl.public_bytes(serialization.Encoding.DER)
        return ValidationContext(trust_roots=[as_asn1(self.cert)], crls=[crl],
                                 allow_fetching=False, revocation_mode="require", **kw)


def as_asn1(cert):
    return asn1.Certificate.load(cert.public_bytes(serialization.Encoding.DER))


def plain_paper(words="Giay to cua noi khac", version="1.7", contents=b"4 0 R"):
    """One page, by a classic producer."""
    content = f"BT /F1 24 Tf 72 700 Td ({words}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents " + contents +
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Producer (Others) /Title (Paper) >>",
    ]
    out = b"%PDF-" + version.encode() + b"\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for number, o in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + o + b"\nendobj\n"
    at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % p for p in places)
    ident = b"<00112233445566778899aabbccddeeff>"
    out += (b"trailer\n<< /Size %d /Root 1 0 R /Info 6 0 R /ID [%s%s] >>\nstartxref\n%d\n%%%%EOF\n"
            % (len(objects) + 1, ident, ident, at))
    return out


def through_qpdf(paper, folder, *words):
    """As qpdf writes it: object streams, or linearized."""
    before, after = folder / "before.pdf", folder / "after.pdf"
    before.write_bytes(paper)
    subprocess.run(["qpdf", *words, before, after], check=True)
    return after.read_bytes()


def sign(paper, signer, name="Sig1", box=None, stamper=None, subfilter=SigSeedSubFilter.PADES,
         **kw):
    w = IncrementalPdfFileWriter(io.BytesIO(paper))
    spec = SigFieldSpec(name, box=box, on_page=0)
    meta = signers.PdfSignatureMetadata(field_name=name, subfilter=subfilter, md_algorithm="sha256",
                                        **kw)
    out = signers.PdfSigner(meta, signer, timestamper=stamper, new_field_spec=spec).sign_pdf(w)
    return out.getvalue()


def says_pyhanko(file, authority):
    """True: it would show each signature as good, and no change beyond what it allows."""
    try:
        reader = PdfFileReader(io.BytesIO(file), strict=True)
        found = reader.embedded_signatures
        good = len(reader.embedded_regular_signatures) > 0
        for s in found:
            if s.sig_object.get("/Type") == "/DocTimeStamp":
                t = validate_pdf_timestamp(s, authority.context())
                good &= t.intact and t.valid and t.trusted
            else:
                good &= validate_pdf_signature(s, authority.context()).bottom_line
        return good
    except Exception:       # whatever it stumbles over, it does not call it good
        return False


__all__ = ["DAY", "NOW", "Authority", "MDPPerm", "SigSeedSubFilter", "fields", "plain_paper",
           "says_pyhanko", "sign", "signers", "through_qpdf"]
