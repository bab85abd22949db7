"""PDFs that others made: good ones pass, as pyHanko says; nothing that was changed passes, and
none takes longer than its limits."""
import io
import json
import re
import subprocess
import zlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

import harness
from foreignpdf import (DAY, NOW, Authority, MDPPerm, SigSeedSubFilter, plain_paper, says_pyhanko,
                        sign, signers, through_qpdf)

TRIEN = harness.BUILD / "engine" / "trien"


def verdicts(authority, files, folder):
    """By name, one report each; the program is asked once."""
    paths = []
    for name, file in files.items():
        paths.append(folder / f"{name}.pdf")
        paths[-1].write_bytes(file)
    done = subprocess.run([TRIEN, "verify", "--json", "--trust", authority.folder, *paths],
                          capture_output=True, text=True)
    rows = json.loads(done.stdout)
    assert len(rows) == len(files), done.stderr
    return dict(zip(files, rows))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("others"))


@pytest.fixture(scope="module")
def good(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers")
    one, two, clock = authority.signer("Ky One"), authority.signer("Ky Two"), authority.stamper()
    paper = plain_paper()
    packed = through_qpdf(paper, folder, "--object-streams=generate")
    files = {
        "table": sign(paper, one),
        "visible": sign(paper, one, box=(10, 10, 100, 100)),
        "old": sign(plain_paper(version="1.4"), one),
        "streams": sign(packed, one),
        "linearized": sign(through_qpdf(paper, folder, "--linearize"), one),
        "linearized-streams": sign(through_qpdf(paper, folder, "--linearize",
                                                "--object-streams=generate"), one),
        "certified": sign(paper, one, certify=True, docmdp_permissions=MDPPerm.FILL_FORMS),
        "stamped": sign(paper, one, stamper=clock),
        "long-term": sign(paper, one, stamper=clock, validation_context=authority.context(),
                          embed_validation_info=True, use_pades_lta=True),
    }
    files["two"] = sign(files["table"], two, name="Sig2")
    files["two-visible"] = sign(files["visible"], two, name="Sig2", box=(200, 10, 300, 90))
    files["two-certified"] = sign(files["certified"], two, name="Sig2")
    files["two-streams"] = sign(files["streams"], two, name="Sig2")
    w = IncrementalPdfFileWriter(io.BytesIO(files["two"]))
    files["two-stamped"] = signers.PdfTimeStamper(clock).timestamp_pdf(
        w, "sha256", validation_context=authority.context()).getvalue()
    return files


def test_good_files_pass_as_with_pyhanko(authority, good, tmp_path):
    for name, row in verdicts(authority, good, tmp_path).items():
        assert says_pyhanko(good[name], authority), name
        assert (row["verdict"], row["form"]) == ("TOTAL-PASSED", "OTHER"), (name, row["why"])
        wanted = ["Ky One", "Ky Two"] if name.startswith("two") else ["Ky One"]
        assert [s["subject"] for s in row["signatures"]] == wanted
        assert "document" not in row and "Ky One" in row["sentences"]["en"][1]


def test_elliptic_curves(tmp_path):
    a = Authority(tmp_path / "curves", curve=ec.SECP384R1())
    row = verdicts(a, {"p384": sign(plain_paper(), a.signer("Ky"))}, tmp_path)["p384"]
    assert (row["verdict"], row["signatures"][0]["algorithm"]) == ("TOTAL-PASSED", "P-384")


# ---- what was changed ----

def last_xref(file):
    return int(re.findall(rb"startxref\s+(\d+)", file)[-1])


def revised(file, objects, extra=b"", between=b""):
    """With one more revision: these objects, under a classic table."""
    root, = set(re.findall(rb"/Root (\d+) 0 R", file))
    ident = re.findall(rb"/ID *(\[.*?\])", file, re.S)[-1]
    size = max([int(n) for n in re.findall(rb"/Size (\d+)", file)] + [n + 1 for n in objects])
    out, table = file, b""
    for number, body in sorted(objects.items()):
        out += between
        table += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    at = len(out)
    return out + (b"xref\n" + table + b"trailer\n<< /Size %d /Root %s 0 R /ID %s /Prev %d %s>>\n"
                  b"startxref\n%d\n%%%%EOF\n" % (size, root, ident, last_xref(file), extra, at))


def object_of(file, number):
    return re.findall(rb"(?:^|\n)%d 0 obj\s*(.*?)\s*endobj" % number, file, re.S)[-1]


def stream(content):
    return b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream"


PAINT = stream(b"BT /F1 24 Tf 72 700 Td (A million) Tj ET")


def changed(good, one):
    """Named by what was done to it."""
    file, certified = good["table"], good["certified"]
    page = object_of(file, 3)
    root = int(re.search(rb"/Root (\d+) 0 R", file).group(1))
    size = max(int(n) for n in re.findall(rb"/Size (\d+)", file))
    contents = re.search(rb"/Contents <([0-9a-fA-F]+)>", file)
    ranges = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)", file)
    assert b"/Annots [" in page
    hidden = plain_paper(contents=b"[4 0 R 99 0 R]")
    places = [file.index(b"Giay"), ranges.start(3), 5, len(file) - 8]
    flip = {f"flip-{at}": file[:at] + bytes([file[at] ^ 1]) + file[at + 1:] for at in places}
    return flip | {
        "behind": file + b"% more\n",
        "cut": file[:-20],
        "before": b"\n" + file,
        "content-replaced": revised(file, {4: PAINT}),
        "content-exchanged": revised(file, {3: page.replace(b"4 0 R", b"%d 0 R" % size),
                                            size: PAINT}),
        "annotation": revised(file, {3: page.replace(b"/Annots [", b"/Annots [%d 0 R " % size),
                                     size: b"<< /Type /Annot /Subtype /FreeText "
                                     b"/Rect [0 0 500 800] /Contents (x) >>"}),
        "layers": revised(file, {root: object_of(file, root)[:-2] + b" /OCProperties << >> >>"}),
        "font": revised(file, {5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"}),
        "pages": revised(file, {2: b"<< /Type /Pages /Kids [3 0 R 3 0 R] /Count 2 >>"}),
        "hidden-before": revised(sign(hidden, one), {99: PAINT}),
        "freed": revised(file, {}).replace(b"xref\ntrailer", b"xref\n4 1\n0000000000 00001 f \n"
                                           b"trailer"),
        "hybrid": revised(file, {size: b"null"}, extra=b"/XRefStm 15 "),
        "smuggled": revised(file, {size: b"null"}, between=b"4 0 obj\nnull\nendobj\n"),
        "range-widened": file.replace(ranges.group(0), ranges.group(0)[:-len(ranges.group(4))] +
                                      b"%d" % (int(ranges.group(4)) - 1)),
        "no-contents": file.replace(b"/Contents <", b"/Contentx <"),
        "padding": file[:contents.end(1) - 2] + b"01" + file[contents.end(1):],
        "half-digit": file[:contents.end(1) - 1] + b" " + file[contents.end(1):],
        "dss-and-content": revised(file, {4: PAINT, root: object_of(file, root)[:-2] +
                                          b" /DSS << >> >>"}),
        "two-then-content": revised(good["two"], {4: PAINT}),
        "stamped-then-content": revised(good["two-stamped"], {4: PAINT}),
        "sneaky": sign(certified, one, name="Sig9", box=(0, 0, 500, 800)),
        "rewritten": revised(file, {root: object_of(file, root)}),
        "left-lying": revised(file, {size: b"null"}),
        "unsigned": plain_paper(),
        "nothing": b"",
        "not-a-pdf": b"x" * 1000,
    }


def test_nothing_that_was_changed_passes(authority, good, tmp_path):
    one = authority.signer("Ky One")
    files = changed(good, one)
    rows = verdicts(authority, files, tmp_path)
    wrong = {n: r["verdict"] for n, r in rows.items() if r["verdict"] == "TOTAL-PASSED" or
             not r["why"]}
    assert not wrong
    # Where pyHanko sees no harm, neither did it above: these it refuses, too, or lets be.
    failed = {n for n, r in rows.items() if r["verdict"] == "TOTAL-FAILED"}
    assert {"behind", "cut", "content-replaced", "content-exchanged", "annotation", "layers",
            "font", "pages", "hidden-before", "freed", "smuggled", "range-widened", "padding",
            "sneaky", "rewritten", "left-lying", "two-then-content"} <= failed
    # Revisions that add nothing but evidence are what they were made of.
    root = int(re.search(rb"/Root (\d+) 0 R", good["table"]).group(1))
    harmless = {"dss": revised(good["table"], {root: object_of(good["table"], root)[:-2] +
                                               b" /DSS << >> >>"})}
    assert verdicts(authority, harmless, tmp_path)["dss"]["verdict"] == "TOTAL-PASSED"


def test_certificates(authority, tmp_path):
    paper = plain_paper()
    other = Authority(tmp_path / "other")
    late = authority.signer("Late", begin=NOW - 20 * DAY, end=NOW - 10 * DAY)
    early = authority.signer("Early", begin=NOW + 10 * DAY)
    gone = authority.signer("Gone")
    authority.write_crl([(gone.signing_cert.serial_number, NOW - DAY / 2)])
    rows = verdicts(authority, {
        "stranger": sign(paper, other.signer("Stranger")), "late": sign(paper, late),
        "early": sign(paper, early), "gone": sign(paper, gone),
        "plain-cms": sign(paper, authority.signer("Ky"),
                          subfilter=SigSeedSubFilter.ADOBE_PKCS7_DETACHED)}, tmp_path)
    authority.write_crl()
    assert {n: (r["verdict"], r["indication"]) for n, r in rows.items()} == {
        "stranger": ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND"),
        "late": ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE"),
        "early": ("TOTAL-FAILED", "NOT_YET_VALID"),
        "gone": ("TOTAL-FAILED", "REVOKED"),
        "plain-cms": ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")}


# ---- bombs ----

def packed(head, content):
    data = zlib.compress(content, 9)
    return b"<< %s /Filter /FlateDecode /Length %d >>\nstream\n" % (head, len(data)) + data + \
        b"\nendstream"


def slow(signer):
    """Whatever a revision may change has to be looked for in all that stands before it: sixty
    revisions of evidence behind two million references."""
    heavy = {7 + i: b"[" + b"3 0 R " * 1000 + b"]" for i in range(2000)}
    file = sign(revised(plain_paper(), heavy), signer)
    ident = re.findall(rb"/ID *(\[.*?\])", file[-2000:], re.S)[-1]
    size, = re.findall(rb"/Size (\d+)", file[-2000:])
    root, before = object_of(file, 1), last_xref(file[-2000:])
    out = [file]
    at = len(file)
    for i in range(60):
        body = b"1 0 obj\n" + root[:-2] + b" /DSS << /X %d >> >>\nendobj\n" % i
        xref = (b"xref\n1 1\n%010d 00000 n \ntrailer\n<< /Size %s /Root 1 0 R /ID %s /Prev %d >>\n"
                b"startxref\n%d\n%%%%EOF\n" % (at, size, ident, before, at + len(body)))
        before = at + len(body)
        at = before + len(xref)
        out.append(body + xref)
    return b"".join(out)


def test_bombs_cost_themselves_alone(authority, good, tmp_path):
    file = good["table"]
    deep = b"[" * 100_000 + b"]" * 100_000
    size = max(int(n) for n in re.findall(rb"/Size (\d+)", file))
    zeros = packed(b"/Type /ObjStm /N 1 /First 4", b"9 0 " + b"0" * (80 << 20))
    in_stream = revised(file, {size: zeros})
    at = in_stream.rindex(b"xref\n%d 1" % size)
    row = b"\1" + in_stream.rindex(b"%d 0 obj" % size).to_bytes(4, "big") + b"\0\0" + \
        b"\2" + size.to_bytes(4, "big") + b"\0\0"
    head = (b"/Type /XRef /Size %d /W [1 4 2] /Index [%d 2] /Root 1 0 R /Prev %d "
            % (size + 3, size, last_xref(file)))
    ident = re.findall(rb"/ID *(\[.*?\])", file, re.S)[-1]
    inflating = in_stream[:at] + b"%d 0 obj\n" % (size + 2) + \
        packed(head + b"/ID " + ident, row) + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % at
    files = {
        "inflating": inflating,
        "slow": slow(authority.signer("Ky")),
        "deep": revised(file, {4: deep}),
        "loop": revised(file, {2: b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"}),
        "prev-loop": file.replace(b"/Prev %d" % int(re.findall(rb"/Prev (\d+)", file)[-1]),
                                  b"/Prev %d" % last_xref(file)),
        "fields-loop": revised(plain_paper(), {
            1: object_of(plain_paper(), 1)[:-2] + b" /AcroForm << /Fields [7 0 R] >> >>",
            7: b"<< /T (x) /Kids [7 0 R] >>"}),
        "good": file,
    }
    rows = verdicts(authority, files, tmp_path)
    assert rows.pop("good")["verdict"] == "TOTAL-PASSED"
    for name, row in rows.items():
        assert row["verdict"] != "TOTAL-PASSED" and row["why"], name
    assert rows["slow"]["verdict"] == "INDETERMINATE"
    assert re.search(r"within its limits \(.*time\)", rows["slow"]["why"]), rows["slow"]
    assert "larger than" in rows["inflating"]["why"], rows["inflating"]["why"]
