"""Certified copies: cases for them, the calls, and what stands in a copy."""
import hashlib
import io
import itertools
import json
import shutil

import grpc
import pytest

import harness
import originals
from sample import SIGNER, UNITS

CERTIFIED, REGISTER = "ban-sao-chung-thuc-dien-tu", "ban-sao-tu-so-goc"
# As these, numbered when their officer confirms.
APPROVED, APPROVED_REGISTER = "ban-sao-cho-duyet", "ban-sao-so-goc-cho-duyet"
CHUNK = 65536
FIELDS = {"ten_ban_chinh": "Bằng tốt nghiệp đại học", "so_ban_chinh": "B 123456",
          "ngay_cap": (2019, 6, 30), "co_quan_cap": "Trường Đại học Tây Bắc",
          "nguoi_yeu_cau": "Trần Thị Bích Ngọc", "muc_dich": "Làm hồ sơ xin việc"}
TOLD = ("ten_ban_chinh", "so_ban_chinh", "ngay_cap", "co_quan_cap")  # by the register
_codes = itertools.count(1)


def copy_case(code=None, kind=CERTIFIED, unit=UNITS[0], **fields):
    m = harness.modules()["case"]
    c = m.Case(code=code or f"SAO-{next(_codes):06d}")
    c.holders.add(id_kind=m.Holder.CITIZEN, number="001099000001", name="Trần Thị Bích Ngọc",
                  role=m.Holder.OWNER)
    r = c.results.add(unit=unit, kind=kind, signer=SIGNER[unit])
    told = TOLD if kind in (REGISTER, APPROVED_REGISTER) else ()
    usual = {k: v for k, v in FIELDS.items() if k not in told}
    wanted = {k: v for k, v in {**usual, **fields}.items() if v is not None}
    for key, value in wanted.items():
        f = r.fields.add(name=key)
        if isinstance(value, tuple):
            f.date.CopyFrom(m.Date(year=value[0], month=value[1], day=value[2]))
        else:
            f.text = value
    return c


def schemas_with_approval(folder):
    """The shipped schemas, and for each kind of copies another one."""
    shutil.copytree(harness.ROOT / "schemas", folder)
    for kind, approved in ((CERTIFIED, APPROVED), (REGISTER, APPROVED_REGISTER)):
        doc = json.loads((folder / "results" / f"{kind}.json").read_text())
        doc["code"] = approved
        for version in doc["versions"]:
            version["numbered"] = "at_approval"
            version["approval"] = {"own_draft": True}
        (folder / "results" / f"{approved}.json").write_text(json.dumps(doc, ensure_ascii=False))
    return folder


# ---- the calls ----

def refused(call):
    """What it is refused with."""
    with pytest.raises(grpc.RpcError) as e:
        call()
    return harness.details(e.value)


def head(case, data, size=None, sha256=None, **kw):
    m = harness.modules()["issuance"]
    return m.CertifyCopyRequest(header=m.CopyHeader(
        case=case, size=len(data) if size is None else size,
        sha256=hashlib.sha256(data).digest() if sha256 is None else sha256, **kw))


def chunks(data, size=CHUNK):
    m = harness.modules()["issuance"]
    for i in range(0, len(data), size):
        yield m.CertifyCopyRequest(chunk=data[i:i + size])


def certify(stubs, case, data, chunk=CHUNK, timeout=60, **kw):
    """The receipt."""
    return stubs.issuance.CertifyCopy(itertools.chain([head(case, data, **kw)],
                                                      chunks(data, chunk)), timeout=timeout).receipt


def certify_all(stubs, pairs, timeout=60, **kw):
    m = harness.modules()["issuance"]
    return stubs.issuance.CertifyCopies(m.CertifyCopiesRequest(copies=[
        m.OriginalToCopy(case=case, original=data) for case, data in pairs], **kw), timeout=timeout)


def issue_copy(stubs, case, result_id, timeout=60, **kw):
    m = harness.modules()["issuance"]
    return stubs.issuance.IssueCopy(m.IssueCopyRequest(case=case, result_id=result_id, **kw),
                                    timeout=timeout).receipt


def by_each_call(stubs, source, kind=CERTIFIED):
    """A copy through each of the calls: {its id: what must be attached}; source: a stored result's
    id and bytes."""
    image, text = originals.jpeg(), dict((n, d) for n, d, _ in originals.wrapped_pdfs())["text.pdf"]
    receipts = [certify(stubs, copy_case(kind=kind), image)]
    both = certify_all(stubs, [(copy_case(kind=kind), text), (copy_case(kind=kind), image)])
    assert not both.rejects
    receipts += [*both.receipts, issue_copy(stubs, copy_case(kind=REGISTER), source[0])]
    return dict(zip((r.result_id for r in receipts), (image, text, image, source[1])))


def check_copies(engine, wanted, folder):
    """Each is stored, signed by officer and agency, and has its original: {its id: the result}."""
    stubs = engine.stubs()
    got = engine.wait_stored(stubs, wanted)
    folder.mkdir()
    for result_id, data in wanted.items():
        paper = Paper(engine.download(stubs, result_id)[0])
        assert paper.original()[1] == data
        assert len(paper.reader.embedded_regular_signatures) == len(got[result_id].signatures) == 2
        (folder / f"{result_id}.pdf").write_bytes(paper.pdf)
    engine.trien("verify", "--data", engine.data, *sorted(folder.glob("*.pdf")))
    return got


# ---- what stands in a copy ----

class Paper:
    """A copy as pyHanko reads it."""

    def __init__(self, pdf):
        from pyhanko.pdf_utils.reader import PdfFileReader

        self.pdf = pdf
        self.reader = PdfFileReader(io.BytesIO(pdf), strict=True)
        self.root = self.reader.root
        self.pages = [p.get_object() for p in self.root["/Pages"]["/Kids"]]

    def attachments(self):
        """{name: bytes}, with what each is to the document."""
        out = {}
        for spec in self.root["/AF"]:
            spec = spec.get_object()
            out[spec["/UF"]] = spec["/EF"]["/F"].data
        return out

    def original(self):
        """Name and bytes of what was copied, and what the data say of it."""
        (name, data), = ((n, d) for n, d in self.attachments().items() if n.startswith("ban-"))
        return name, data

    def data(self):
        (text,) = (d for n, d in self.attachments().items() if n.endswith(".json"))
        return json.loads(text)

    def images(self):
        """The stream of each page's image, of pages that show one."""
        out = []
        for page in self.pages:
            resources = page["/Resources"]
            objects = resources["/XObject"] if "/XObject" in resources else {}
            found = [objects[n] for n in objects if objects[n]["/Subtype"] == "/Image"]
            out += [f for f in found if "/ImageMask" not in f][:1]
        return out
