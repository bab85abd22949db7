"""What others' tools say of our PDFs: pyHanko (the bar), veraPDF, pdfsig, qpdf, openssl, pdftotext,
zbarimg.

A tool that is not there is a skip, never a pass.
"""
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import unicodedata

import pytest

import drawn
import harness
from sample import KIND, case, send

ALGORITHMS = ("rsa2048", "rsa3072", "pss2048", "p256")
FULL = os.environ.get("TRIEN_FULL") == "1"     # ./run soak: every kind × every algorithm


def kinds():
    return [f.stem for f in harness.kind_files()]


def tool(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(name, *args, check=True):
    return subprocess.run([tool(name), *args], capture_output=True, text=True, check=check,
                          timeout=120)


class Issued:
    """One result a kind under one algorithm: its file on disk and its signers."""

    def __init__(self, folder, algorithm, names):
        self.engine = harness.Engine(folder, algorithm=algorithm)
        self.engine.prepare().start()
        stubs = self.engine.stubs()
        self.files, self.results, self.cases = {}, {}, {}
        for kind in names:
            c = harness.as_case(harness.generated(1, seed=11, mix=kind)[0])
            self.engine.open_for(c)
            answer = send(stubs, [c], timeout=30)
            assert not answer.rejects, (kind, answer.rejects)
            r = answer.receipts[0]
            self.results[kind] = self.engine.wait_stored(stubs, [r.result_id])[r.result_id]
            self.cases[kind] = c
            pdf, _ = self.engine.download(stubs, r.result_id)
            self.files[kind] = folder / f"{kind}.pdf"
            self.files[kind].write_bytes(pdf)
        assert self.engine.stop() == 0
        self.certs = self.engine.data / "certs"


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    made = {}

    def get(algorithm):
        if algorithm not in made:
            names = kinds() if algorithm == "rsa2048" or FULL else [KIND]
            made[algorithm] = Issued(tmp_path_factory.mktemp(algorithm), algorithm, names)
        return made[algorithm]

    return get


PAIRS = [("rsa2048", k) for k in kinds()] + [(a, k) for a in ALGORITHMS[1:]
                                              for k in (kinds() if FULL else [KIND])]
each = pytest.mark.parametrize("algorithm, kind", PAIRS)


def schema_of(kind):
    path = harness.ROOT / "schemas/results" / f"{kind}.json"
    return json.loads(path.read_text())["versions"][-1]


def signatures_of(kind):
    return schema_of(kind)["signs"]


@each
def test_pyhanko_strict(issued, algorithm, kind):
    pytest.importorskip("pyhanko")
    from asn1crypto import crl, pem, x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.diff_analysis import ModificationLevel
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko.sign.validation.status import SignatureCoverageLevel
    from pyhanko_certvalidator import ValidationContext

    def der(path):
        data = path.read_bytes()
        return pem.unarmor(data)[2] if pem.detect(data) else data

    i = issued(algorithm)
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(der(i.certs / "root.pem"))],
        crls=[crl.CertificateList.load(der(p)) for p in sorted(i.certs.glob("*.crl"))],
        allow_fetching=False, revocation_mode="require")
    reader = PdfFileReader(io.BytesIO(i.files[kind].read_bytes()), strict=True)
    signatures = reader.embedded_regular_signatures
    assert len(signatures) == len(signatures_of(kind))
    for n, s in enumerate(signatures):
        status = validate_pdf_signature(s, context)
        assert status.intact and status.valid and status.trusted, status.pretty_print_details()
        assert status.bottom_line, status.pretty_print_details()
        last = n == len(signatures) - 1
        assert status.coverage == (SignatureCoverageLevel.ENTIRE_FILE if last else
                                   SignatureCoverageLevel.ENTIRE_REVISION)
        assert status.modification_level in (ModificationLevel.NONE, ModificationLevel.FORM_FILLING,
                                             ModificationLevel.LTA_UPDATES)
        assert status.docmdp_ok is not False
        assert s.sig_object.raw_get("/SubFilter") == "/ETSI.CAdES.detached"
        attrs = {a["type"].native for a in s.signer_info["signed_attrs"]}
        assert attrs == {"content_type", "message_digest", "signing_certificate_v2"}


@each
def test_own_verifier_agrees(issued, algorithm, kind):
    i = issued(algorithm)
    done = i.engine.trien("verify", "--trust", i.certs, "--json", i.files[kind])
    assert json.loads(done.stdout)
    changed = i.files[kind].with_suffix(".changed.pdf")
    data = bytearray(i.files[kind].read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    assert i.engine.trien("verify", "--trust", i.certs, changed, check=False).returncode == 1
    changed.write_bytes(i.files[kind].read_bytes() + b"\n% more\n")
    assert i.engine.trien("verify", "--trust", i.certs, changed, check=False).returncode == 1


@each
def test_qpdf_check(issued, algorithm, kind):
    done = run("qpdf", "--check", issued(algorithm).files[kind], check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "WARNING" not in said, said


@each
def test_pdfsig_with_the_ca_trusted(issued, algorithm, kind, tmp_path):
    i = issued(algorithm)
    db = tmp_path / "nss"
    db.mkdir()
    run("certutil", "-N", "-d", f"sql:{db}", "--empty-password")
    run("certutil", "-A", "-d", f"sql:{db}", "-n", "root", "-t", "CT,C,C", "-i",
        i.certs / "root.pem")
    out = run("pdfsig", "-nssdir", f"sql:{db}", "-no-ocsp", i.files[kind]).stdout
    n = len(signatures_of(kind))
    assert out.count("Signature is Valid.") == n, out
    assert out.count("Certificate is Trusted.") == n, out
    assert out.count("Total document signed") == 1, out


@each
def test_openssl_over_the_signed_ranges(issued, algorithm, kind, tmp_path):
    i = issued(algorithm)
    data = i.files[kind].read_bytes()
    ranges = re.findall(rb"/ByteRange\s*\[\s*(\d+) (\d+) (\d+) (\d+)\s*\]", data)
    assert len(ranges) == len(signatures_of(kind))
    for n, r in enumerate(ranges):
        a, b, c, d = map(int, r)
        assert a == 0 and data[b:b + 1] == b"<" and data[c - 1:c] == b">"
        (tmp_path / f"{n}.content").write_bytes(data[:b] + data[c:c + d])
        (tmp_path / f"{n}.der").write_bytes(bytes.fromhex(data[b + 1:c - 1].decode()))
        done = run("openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER",
                   "-in", tmp_path / f"{n}.der", "-content", tmp_path / f"{n}.content",
                   "-CAfile", i.certs / "root.pem", "-purpose", "any", "-out", os.devnull,
                   check=False)
        assert done.returncode == 0, done.stderr


def text_of(path):
    return unicodedata.normalize("NFC", run("pdftotext", "-raw", "-enc", "UTF-8", path, "-").stdout)


def flat(text):
    return re.sub(r"\s+", "", text)


@each
def test_pdftotext_shows_every_value(issued, algorithm, kind):
    i = issued(algorithm)
    text = flat(text_of(i.files[kind])).upper()
    fields = {f["name"] for f in schema_of(kind)["fields"]}
    layout = json.dumps(schema_of(kind)["layout"], ensure_ascii=False)
    shown = 0
    for f in i.cases[kind].results[0].fields:
        if f.WhichOneof("value") == "text" and "{" + f.name + "}" in layout and f.name in fields:
            value = flat(unicodedata.normalize("NFC", f.text)).upper()
            assert value in text, (f.name, f.text)
            shown += 1
    assert shown >= 2
    assert flat(i.results[kind].number_text).upper() in text
    assert flat("BẢN THỬ – KHÔNG CÓ GIÁ TRỊ PHÁP LÝ") in text
    assert i.results[kind].result_id in text


def test_text_equals_input_for_hostile_values(shared):
    """Whatever a value holds, it is text: it ends no string, no stream, no object."""
    stubs = shared.stubs()
    values = [") Tj (", "endstream endobj", "%PDF-1.7 %%EOF", "(((\\)))", "<< /Type /Page >>",
              "'\"`´“”", "a\\nb \\101 \\", "trailer << /Root 1 0 R >> startxref",
              "{ho_ten} **đậm** __nghiêng__", "ĂÂĐÊÔƠƯ ăâđêôơư ẤẦẨẪẬ ỳỵỷỹ", "É Ñ ü ß Ø"]
    cases = [case(tinh_trang=v, muc_dich="Giá trị đặc biệt") for v in values]
    receipts = send(stubs, cases, timeout=30).receipts
    assert len(receipts) == len(values)
    shared.wait_stored(stubs, [r.result_id for r in receipts])
    for r, v in zip(receipts, values):
        path = shared.folder / f"{r.result_id}.pdf"
        path.write_bytes(shared.download(stubs, r.result_id)[0])
        assert flat(v) in flat(text_of(path)), v
        run("qpdf", "--check", path)
        assert shared.trien("verify", "--trust", shared.data / "certs", path)


def test_a_value_of_64_kb_flows_over_pages(tmp_path):
    schemas = tmp_path / "schemas"
    shutil.copytree(harness.ROOT / "schemas", schemas)
    path = schemas / "results" / f"{KIND}.json"
    doc = json.loads(path.read_text())
    for f in doc["versions"][0]["fields"]:
        if f["name"] == "tinh_trang":
            f["bytes_max"] = 65536
    path.write_text(json.dumps(doc, ensure_ascii=False))
    words = " ".join(f"từ{i}" for i in range(1, 9000))
    while len(words.encode()) > 65536:
        words = words[:-200]
    engine = harness.Engine(tmp_path / "e", schemas=schemas)
    engine.prepare().start()
    try:
        stubs = engine.stubs()
        r = send(stubs, [case(tinh_trang=words)], timeout=30).receipts[0]
        engine.wait_stored(stubs, [r.result_id])
        pdf = tmp_path / "long.pdf"
        pdf.write_bytes(engine.download(stubs, r.result_id)[0])
        text = text_of(pdf)
        found = re.findall(r"từ(\d+)", text)
        assert found == [str(i + 1) for i in range(len(words.split()))]
        pages = text.count("\f")
        assert pages > 10
        engine.trien("verify", "--trust", engine.data / "certs", pdf)
    finally:
        engine.kill()


@each
def test_the_qr_code_reads_as_the_address(issued, algorithm, kind, tmp_path):
    i = issued(algorithm)
    run("pdftoppm", "-r", "200", "-gray", "-png", i.files[kind], tmp_path / "page")
    found = []
    for page in sorted(tmp_path.glob("page*.png")):
        found += run("zbarimg", "-q", "--raw", page, check=False).stdout.split()
    assert found == [f"HTTPS://TRIEN.EXAMPLE/V/{i.results[kind].result_id}"]


@each
def test_the_attached_data_is_what_the_page_shows(issued, algorithm, kind, tmp_path):
    i = issued(algorithm)
    said = run("qpdf", "--json", "--json-key=attachments", i.files[kind]).stdout
    name, = json.loads(said)["attachments"]
    data = json.loads(run("qpdf", f"--show-attachment={name}", i.files[kind]).stdout)
    text = json.dumps(data, ensure_ascii=False)
    assert i.results[kind].result_id in text and i.results[kind].number_text in text
    for holder in i.cases[kind].holders:
        if holder.number and holder.number not in flat(text_of(i.files[kind])):
            assert holder.number not in text, "a personal datum that the page does not show"


def verapdf():
    jar = os.environ.get("TRIEN_VERAPDF")
    if not jar or not shutil.which("java") or not pathlib.Path(jar.split(":")[0]).exists():
        pytest.skip("veraPDF is not to be had here")
    return jar


def test_verapdf_says_pdf_a_3u(issued, tmp_path):
    verapdf()
    is_pdf_a_3u([*issued("rsa2048").files.values(), *drawn.drafts(tmp_path),
                 *(issued(a).files[KIND] for a in ALGORITHMS[1:])])


def is_pdf_a_3u(files):
    """All of them, in one run: veraPDF takes long to start."""
    jar = verapdf()
    done = subprocess.run(["java", "-cp", jar, "org.verapdf.apps.GreenfieldCliWrapper",
                           "--flavour", "3u", "--format", "text", *map(str, files)],
                          capture_output=True, text=True, timeout=600)
    lines = [l for l in done.stdout.splitlines() if l.startswith(("PASS", "FAIL"))]
    assert len(lines) == len(files), done.stdout + done.stderr
    assert all(l.startswith("PASS") for l in lines), done.stdout + done.stderr


def test_pictures_of_seal_and_hand_are_on_the_page(issued, tmp_path):
    """Red and blue ink where the signature block is; everything else is black."""
    i = issued("rsa2048")
    run("pdftoppm", "-r", "60", "-png", i.files[KIND], tmp_path / "p")
    Image = pytest.importorskip("PIL.Image")
    page = Image.open(sorted(tmp_path.glob("p*.png"))[0]).convert("RGB")
    colours = [page.getpixel((x, y)) for x in range(page.width) for y in range(page.height)]
    assert sum(r > 150 and g < 110 and b < 110 for r, g, b in colours) > 50, "no red"
    assert sum(b > 120 and r < 110 for r, g, b in colours) > 10, "no blue"
