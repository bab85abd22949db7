"""Originals of our own making, good and bad, each with the answer that it must get.

corpus(folder) → {name: (bytes, expected)}; `expected` is what `trien inspect --json` must say of
it, as far as it is given: {"refused": REASON} or {"wrapped": …, "pages": …, "images": [{…}]}.
"""

import io
import subprocess

from originalimages import *
from originalpdfs import *
from originalprofiles import profiles

# ---- PDFs of other programs ----

def by_qpdf(folder, data, *options):
    source, target = folder / "qpdf-in.pdf", folder / "qpdf-out.pdf"
    source.write_bytes(data)
    subprocess.run(["qpdf", *options, str(source), str(target)], check=True, timeout=60)
    return target.read_bytes()


def others_pdfs(folder):
    scan = scanned(3).bytes()
    rebuilt = {"wrapped": "REBUILT", "pages": 3}
    yield "linear.pdf", by_qpdf(folder, scan, "--linearize"), rebuilt
    yield "linear-packed.pdf", by_qpdf(folder, scan, "--linearize", "--object-streams=generate"), \
        rebuilt
    yield "qpdf-packed.pdf", by_qpdf(folder, scan, "--object-streams=generate"), rebuilt
    for name, words in {"user": ("secret", "owner"), "owner": ("", "owner")}.items():
        yield f"encrypted-{name}.pdf", by_qpdf(folder, scan, "--encrypt", *words, "256", "--"), {
            "refused": "ORIGINAL_ENCRYPTED"}
    yield "pillow.pdf", made(picture(), "PDF", resolution=100), {
        "wrapped": "REBUILT", "images": [{"page": [5760, 8640], "orientation": 1}]}
    signed = {"wrapped": "SIGNED", "images": [], "pages": 3}
    yield "signed.pdf", signed_by(scan, certify=False), signed
    yield "certified.pdf", signed_by(scan, certify=True), signed
    yield "signed-cut.pdf", signed_by(scan, certify=False)[:-200], {"refused": "ORIGINAL_DAMAGED"}


def signed_by(data, certify):
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another office")])
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(1).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256()))
    p12 = serialization.pkcs12.serialize_key_and_certificates(
        b"x", key, cert, None, serialization.BestAvailableEncryption(b"x"))
    signer = signers.SimpleSigner.load_pkcs12_data(p12, [], passphrase=b"x")
    out = io.BytesIO()
    signers.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(data)), signers.PdfSignatureMetadata(
        field_name="S", certify=certify, docmdp_permissions=fields.MDPPerm.NO_CHANGES),
        signer=signer, output=out)
    return out.getvalue()


def corpus(folder):
    made_so_far = {}
    for part in (jpegs(), pngs(), image_pdfs(), fax_pdfs(), updated_pdfs(), placed_pdfs(),
                 wrapped_pdfs(), profiles(), refused_pdfs(), others_pdfs(folder)):
        for name, data, expected in part:
            assert name not in made_so_far, name
            made_so_far[name] = (data, expected)
    return made_so_far
