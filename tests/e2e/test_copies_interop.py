"""Signed copies of all forms of originals, as others' tools see them: veraPDF, qpdf, mutool,
pdfsig, pyHanko and zbar. test_copies.py has what is in them."""
import pytest

import drawn
import harness
import originals
from copying import CERTIFIED, REGISTER, Paper, certify, copy_case, issue_copy
from sample import case, send
from test_copies import trusted
from test_interop import is_pdf_a_3u, run, tool, verapdf


def originals_of_all_forms():
    """{name: bytes}: rebuilt from JPEG, each kind of PNG and of image in a PDF; and wrapped."""
    out = {f"jpeg, {name}": make() for name, make in drawn.JPEGS.items()}
    out |= {f"png, {name}": drawn.coded(make(), "PNG") for name, make in drawn.PNGS.items()}
    out["jpeg, turned"] = originals.jpeg(exif=originals.exif(6, 300))
    out["pdf, scans"] = drawn.scans()
    out["pdf, fax"] = drawn.fax(True)
    of_images = {n: d for n, d, _ in originals.image_pdfs()}
    out |= {f"pdf, {n}": of_images[n + ".pdf"] for n in ("rgb16", "rows", "palette", "bw-not")}
    profiles = {n: d for n, d, _ in originals.profiles()}
    out |= {n: profiles[n] for n in ("icc-library.pdf", "icc-grey.pdf", "icc-p3.jpg",
                                     "icc-other-adobe.pdf", "icc-srgb.png", "icc-adobe.png")}
    out["png, transparent"] = originals.png(6, 8, (30, 20))
    out["jpeg, cmyk"] = originals.jpeg("CMYK")
    out["pdf, text"] = {n: d for n, d, _ in originals.wrapped_pdfs()}["text.pdf"]
    for certify_it in (False, True):
        out[f"pdf, {'certified' if certify_it else 'signed'}"] = originals.signed_by(
            originals.scanned().bytes(), certify=certify_it)
    return out


class Copies:
    """One of each, and one from the register: their files on disk, by name."""

    def __init__(self, folder):
        self.engine = harness.Engine(folder)
        self.engine.prepare().start()
        stubs = self.engine.stubs()
        receipts = {n: certify(stubs, copy_case(kind=CERTIFIED), d)
                    for n, d in originals_of_all_forms().items()}
        result = send(stubs, [case()]).receipts[0]
        self.engine.wait_stored(stubs, [result.result_id])
        receipts["from the register"] = issue_copy(
            stubs, copy_case(kind=REGISTER), result.result_id)
        self.ids = {n: r.result_id for n, r in receipts.items()}
        self.engine.wait_stored(stubs, list(self.ids.values()))
        self.files = {}
        for i, (name, result_id) in enumerate(self.ids.items()):
            self.files[name] = folder / f"copy-{i}.pdf"
            self.files[name].write_bytes(self.engine.download(stubs, result_id)[0])
        assert self.engine.stop() == 0


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    return Copies(tmp_path_factory.mktemp("copies"))


def test_verapdf_says_pdf_a_3u(copies):
    verapdf()
    is_pdf_a_3u(copies.files.values())


def test_qpdf_and_mutool_have_nothing_to_say(copies, tmp_path):
    for name, path in copies.files.items():
        said = [run("qpdf", "--check", path, check=False),
                run("mutool", "draw", "-q", "-r", "30", "-o", tmp_path / "page%d.png", path)]
        text = said[0].stdout + "".join(p.stderr for p in said)
        assert said[0].returncode == 0 and "WARNING" not in text, (name, text)
        # So mutool of Debian is built.
        other = said[1].stderr.replace("warning: ICC support is not available\n", "")
        assert not other, (name, other)


def test_pdfsig_trusts_both_signatures(copies, tmp_path):
    run("certutil", "-N", "-d", f"sql:{tmp_path}", "--empty-password")
    run("certutil", "-A", "-d", f"sql:{tmp_path}", "-n", "root", "-t", "CT,C,C", "-i",
        copies.engine.data / "certs" / "root.pem")
    for name, path in copies.files.items():
        out = run("pdfsig", "-nssdir", f"sql:{tmp_path}", "-no-ocsp", path).stdout
        for words, n in (("Signature is Valid.", 2), ("Certificate is Trusted.", 2),
                         ("Total document signed", 1)):
            assert out.count(words) == n, (name, out)


def test_pyhanko_trusts_them(copies):
    for name, path in copies.files.items():
        assert trusted(copies.engine, Paper(path.read_bytes())), name


def test_the_qr_code_reads_as_the_address(copies, tmp_path):
    """As it is drawn, on the last page, behind those of the original."""
    tool("zbarimg")
    for name, path in copies.files.items():
        last = str(len(Paper(path.read_bytes()).pages))
        run("pdftoppm", "-r", "120", "-f", last, "-singlefile", "-gray", "-png", path,
            tmp_path / "page")
        read = run("zbarimg", "-q", "--raw", tmp_path / "page.png", check=False).stdout.split()
        assert read == [f"HTTPS://TRIEN.EXAMPLE/V/{copies.ids[name]}"], (name, read)
