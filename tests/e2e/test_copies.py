"""Certified copies through the whole engine: what comes in, what comes out, what is refused."""
import datetime
import hashlib
import io
import itertools
import json
import random
import subprocess

import grpc
import pytest
from PIL import Image

import harness
import originals
from copying import (APPROVED, APPROVED_REGISTER, CHUNK, REGISTER, Paper, certify, certify_all,
                     chunks, copy_case, head, issue_copy, refused, schemas_with_approval)
from harness import UNITS, caller
from sample import case, send, takes_over
from office import AWAITING, Signer, pdf_text
from test_life import REPLACED, VALID, correct, get, replacing, revoke


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    schemas = schemas_with_approval(folder / "schemas")
    takes_over(schemas, UNITS[0], UNITS[1])
    # An agency's own notation of the book: of electronic copies.
    path = schemas / "results" / f"{APPROVED}.json"
    path.write_text(path.read_text().replace("{yyyy}-SCT/BS", "{yyyy}-SCTĐT/BS"))
    e = harness.Engine(folder, schemas=schemas, original_mb_max=2)
    e.prepare().start()
    yield e
    assert e.stop() == 0, e.log()


def next_number(shared, code="SCT/BS"):
    return {(r.unit, r.code): r.next for r in shared.registers()}[(UNITS[0], code)]


def stored_paper(shared, stubs, receipt):
    shared.wait_stored(stubs, [receipt.result_id])
    return Paper(shared.download(stubs, receipt.result_id)[0])


# ---- one copy, looked at by others ----

SCANS = {"jpg": lambda: originals.jpeg(size=(500, 700), quality=95),
         "png": lambda: originals.png(2, 8, (300, 400)),
         "palette.png": lambda: originals.png(3, 4, (300, 400)),
         "scan.pdf": lambda: originals.scanned(3).bytes(),
         "text.pdf": lambda: dict((n, d) for n, d, _ in originals.wrapped_pdfs())["text.pdf"],
         "signed.pdf": lambda: originals.signed_by(originals.scanned().bytes(), certify=True)}


@pytest.mark.parametrize("name", SCANS)
def test_others_accept_it(shared, stubs, tmp_path, name):
    data = SCANS[name]()
    receipt = certify(stubs, copy_case(), data)
    paper = stored_paper(shared, stubs, receipt)
    path = tmp_path / "copy.pdf"
    path.write_bytes(paper.pdf)
    assert paper.original()[1] == data
    m = harness.modules()["repository"]
    said = stubs.repository.GetResult(m.GetResultRequest(result_id=receipt.result_id),
                                      timeout=20).original
    assert (said.size, said.sha256) == (len(data), hashlib.sha256(data).digest())
    assert said.shown == (len(paper.images()) > 0)
    assert trusted(shared, paper)
    run("qpdf", "--check", path)
    assert run("pdfsig", "-nocert", path).count("Signature is Valid") == 2
    run("mutool", "draw", "-q", "-r", "20", "-o", tmp_path / "page%d.png", path)
    shown = list(tmp_path.glob("page*.png"))
    assert len(shown) == len(paper.pages)
    shared.trien("verify", path, "--data", shared.data)
    text = " ".join(run("pdftotext", path, "-").split())
    for words in (receipt.number_text.split("/")[0], f"1/{receipt.number_text[-11:-7]}-SCT/BS",
                  "Bằng tốt nghiệp đại học", hashlib.sha256(data).hexdigest()):
        assert words in text, text


def run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trusted(shared, paper):
    from asn1crypto import crl, pem, x509
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    certs = shared.data / "certs"

    def der(path):
        data = path.read_bytes()
        return pem.unarmor(data)[2] if pem.detect(data) else data

    context = ValidationContext(
        trust_roots=[x509.Certificate.load(der(certs / "root.pem"))],
        crls=[crl.CertificateList.load(der(p)) for p in sorted(certs.glob("*.crl"))],
        allow_fetching=False, revocation_mode="require")
    signatures = paper.reader.embedded_regular_signatures
    return len(signatures) == 2 and all(
        validate_pdf_signature(s, context).bottom_line for s in signatures)


def test_pixels_are_the_same(shared, stubs, tmp_path):
    """Of what another program decodes from the copy."""
    palette = originals.made(originals.picture("P"), "PNG")
    for i, data in enumerate((originals.png(2, 8), originals.png(0, 8), palette,
                              originals.png(0, 1), originals.jpeg())):
        path = tmp_path / f"{i}.pdf"
        path.write_bytes(stored_paper(shared, stubs, certify(stubs, copy_case(), data)).pdf)
        run("pdfimages", "-png", "-f", "1", "-l", "1", path, tmp_path / f"image{i}")
        got = Image.open(tmp_path / f"image{i}-000.png").convert("RGB")
        was = Image.open(io.BytesIO(data)).convert("RGB")
        assert got.size == was.size and got.tobytes() == was.tobytes(), i


# ---- the corpus ----

def parts(*makers):
    return {name: (data, expected or {}) for maker in makers for name, data, expected in maker()}


def shown(name, data):
    """The coded image within a JPEG or PNG, as it must stand in the copy."""
    if name.endswith(".jpg"):
        return data
    out, at = b"", 8
    while at < len(data):
        n = int.from_bytes(data[at:at + 4], "big")
        out += data[at + 8:at + 8 + n] if data[at + 4:at + 8] == b"IDAT" else b""
        at += n + 12
    return out


def test_each_good_original_is_in_its_copy(shared, stubs):
    good = {n: (d, e) for n, (d, e) in parts(originals.jpegs, originals.pngs, originals.image_pdfs,
                                             originals.wrapped_pdfs).items()
            if "refused" not in e and len(d) < 100_000}
    receipts = {}
    for some in batched(good.items(), 25):
        answer = certify_all(stubs, [(copy_case(), data) for _, (data, _) in some])
        assert not answer.rejects and answer.accepted == len(some), answer.rejects
        receipts |= {r.result_id: name for (name, _), r in zip(some, answer.receipts)}
    shared.wait_stored(stubs, receipts)
    for result_id, name in receipts.items():
        data, expected = good[name]
        paper = Paper(shared.download(stubs, result_id)[0])
        attached, original = paper.original()
        assert original == data and attached.rsplit(".", 1)[1] == name.rsplit(".", 1)[1], name
        images = paper.images()
        if expected.get("wrapped") == "REBUILT":
            assert len(images) == expected["pages"] == len(paper.pages) - 1, name
            if not name.endswith(".pdf"):
                assert images[0].encoded_data == shown(name, data), name
        else:
            assert images == [], name
        said = paper.data()["original"]
        assert said["sha256"] == hashlib.sha256(data).hexdigest(), name


def batched(items, n):
    items = iter(items)
    while some := list(itertools.islice(items, n)):
        yield some


def test_each_bad_original_is_refused_with_its_reason(shared, stubs, tmp_path):
    # Bombs meet a limit that sanitized builds do not have; test_inspect.py has them.
    bad = {n: (d, e["refused"]) for n, (d, e) in
           parts(originals.jpegs, originals.pngs, originals.refused_pdfs).items()
           if "refused" in e and len(d) < 100_000 and not n.startswith("bomb")}
    locked = originals.by_qpdf(tmp_path, originals.scanned().bytes(), "--encrypt", "", "owner",
                               "256", "--")
    bad["locked.pdf"] = locked, "ORIGINAL_ENCRYPTED"
    assert len({reason for _, reason in bad.values()}) == 8
    first, good = next_number(shared), 0
    for some in batched(bad.items(), 30):
        pairs = [(copy_case(), data) for _, (data, _) in some]
        among = min(7, len(some))
        pairs.insert(among, (copy_case(), originals.jpeg()))
        answer = certify_all(stubs, pairs)
        good += 1
        assert answer.accepted == 1 == len(answer.receipts)
        rejects = {r.index: r for r in answer.rejects}
        assert set(rejects) == set(range(len(pairs))) - {among}
        for i, (name, (_, reason)) in enumerate(some):
            r = rejects[i + (i >= among)]
            assert (r.reason, r.field, r.retryable) == (reason, "original", False), (name, r)
            assert r.message_vi and r.message_en and r.case_code.startswith("SAO-")
    assert next_number(shared) == first + good


# ---- the same again, another one ----

def test_sent_again_it_is_the_same_copy(shared, stubs):
    data, c = originals.jpeg(), copy_case()
    first = certify(stubs, c, data)
    assert not first.duplicate and first.number_text.endswith("-SCT/BS")
    again = certify(stubs, c, data)
    assert again.duplicate and again.result_id == first.result_id
    # The header is enough where it names the bytes; without, they must come.
    assert stubs.issuance.CertifyCopy(iter([head(c, data)]), timeout=20).receipt.result_id == \
        first.result_id
    unnamed = certify(stubs, c, data, sha256=b"", chunk=100)
    assert unnamed.duplicate and unnamed.result_id == first.result_id
    other = originals.jpeg(quality=50)
    for call in (lambda: stubs.issuance.CertifyCopy(iter([head(c, other)]), timeout=20),
                 lambda: certify(stubs, c, other, sha256=b"")):
        d = refused(call)
        assert d["reason"] == "CASE_CONTENT_CONFLICT" and d["fields"] == ["header.case.results[0]"]
    answer = certify_all(stubs, [(c, data), (c, other)])
    assert answer.receipts[0].duplicate and answer.rejects[0].reason == "CASE_CONTENT_CONFLICT"


def test_one_original_may_have_many_copies(shared, stubs):
    data = originals.png(2, 8, (200, 200))
    receipts = [certify(stubs, copy_case(), data) for _ in range(3)]
    receipts += certify_all(stubs, [(copy_case(), data)] * 1 + [(copy_case(), data)]).receipts
    assert len({r.number for r in receipts}) == 5
    for r in receipts:
        assert stored_paper(shared, stubs, r).original()[1] == data


def test_a_copy_takes_the_place_of_another(shared, stubs):
    """Of the same original or of another, by each way of bringing it; what is wrong with one that
    is brought is told as of any other."""
    def replacing(old, data, how, revision=1):
        c = copy_case(old.case_code)
        c.results[0].replaces, c.results[0].revision = old.result_id, revision
        return how(c, data)

    data, other = originals.jpeg(), originals.scanned(2).bytes()
    for how in (lambda c, d: certify(stubs, c, d), lambda c, d: certify(stubs, c, d, sha256=b""),
                lambda c, d: certify_all(stubs, [(c, d)]).receipts[0]):
        old = certify(stubs, copy_case(), data)
        shared.wait_stored(stubs, [old.result_id])
        new = replacing(old, other, how)
        assert new.number == old.number + 1 and not new.duplicate
        paper = stored_paper(shared, stubs, new)
        assert paper.original()[1] == other and paper.data()["replaces"]["id"] == old.result_id
        assert get(stubs, old.result_id).replaced_by == new.result_id
        assert replacing(old, other, how).result_id == new.result_id
    d = refused(lambda: certify(stubs, copy_case(old.case_code), b"GIF89a"))
    assert d["reason"] == "CASE_CONTENT_CONFLICT"
    d = refused(lambda: replacing(new, b"GIF89a", lambda c, d: certify(stubs, c, d), revision=2))
    assert d["reason"] == "ORIGINAL_FORMAT"
    answer = replacing(new, data[:-9], lambda c, d: certify_all(stubs, [(c, d)]), revision=2)
    assert answer.rejects[0].reason == "ORIGINAL_DAMAGED"
    d = refused(lambda: replacing(old, data, lambda c, d: certify(stubs, c, d), revision=2))
    assert d["reason"] == "REPLACES_MISMATCH" and d["fields"] == ["header.case.results[0].replaces"]


# ---- headers and messages that are wrong ----

def test_what_is_wrong_is_refused_before_the_bytes(shared, stubs):
    m = harness.modules()
    data = originals.jpeg()
    two = copy_case()
    two.results.append(copy_case().results[0])
    two.results[1].ordinal = 1
    upload = m["issuance"].CertifyCopyRequest
    table = [
        ("RESULT_MISSING", [head(m["case"].Case(code="A", holders=copy_case().holders), data)]),
        ("MALFORMED", [upload(header=m["issuance"].CopyHeader(size=9))]),
        ("COPY_NOT_ALONE", [head(two, data)]),
        ("KIND_COPIES_OTHER", [head(case(), data)]),
        ("KIND_COPIES_OTHER", [head(copy_case(kind=REGISTER), data)]),
        ("FIELD_MISSING", [head(copy_case(ten_ban_chinh=None), data)]),
        ("ORIGINAL_EMPTY", [head(copy_case(), data, size=0)]),
        ("ORIGINAL_TOO_LARGE", [head(copy_case(), data, size=(2 << 20) + 1)]),
        ("ORIGINAL_TOO_LARGE", [head(copy_case(), data, size=1 << 40)]),
        ("ARGUMENT_INVALID", [head(copy_case(), data, sha256=b"x")]),
        ("ARGUMENT_MISSING", []),
        ("MALFORMED", list(chunks(data))),
        ("MALFORMED", [upload()]),
        ("MALFORMED", [head(copy_case(), data), head(copy_case(), data)]),
        ("MALFORMED", [head(copy_case(), data), upload(chunk=b"")]),
        ("ARGUMENT_INVALID", [head(copy_case(), b"x" * 70000), upload(chunk=b"x" * 70000)]),
        ("ORIGINAL_DIFFERS", [head(copy_case(), data)]),
        ("ORIGINAL_DIFFERS", [head(copy_case(), data), *list(chunks(data, 1000))[:-1]]),
        ("ORIGINAL_DIFFERS", [head(copy_case(), data), *chunks(data + b"x")]),
        ("ORIGINAL_DIFFERS", [head(copy_case(), data, sha256=bytes(32)), *chunks(data)]),
    ]
    first = next_number(shared)
    for reason, messages in table:
        d = refused(lambda: stubs.issuance.CertifyCopy(iter(messages), timeout=20))
        assert d["reason"] == reason and d["fields"], (reason, d)
    assert next_number(shared) == first
    # Still sending when it is refused.
    c = copy_case(ten_ban_chinh=None)
    d = refused(lambda: stubs.issuance.CertifyCopy(
        itertools.chain([head(c, b"x" * (2 << 20))], itertools.repeat(
            upload(chunk=b"x" * CHUNK), 32)), timeout=20))
    assert d["reason"] == "FIELD_MISSING"


def test_noise_is_refused(shared, stubs):
    """Messages with bytes changed: an answer each, and the engine lives on."""
    dice, data = random.Random(3), originals.jpeg()
    raw = {"CertifyCopy": [m.SerializeToString() for m in [head(copy_case(), data),
                                                           *chunks(data, 900)]]}
    m = harness.modules()["issuance"]
    raw["CertifyCopies"] = [m.CertifyCopiesRequest(copies=[
        m.OriginalToCopy(case=copy_case(), original=data)] * 2).SerializeToString()]
    raw["IssueCopy"] = [m.IssueCopyRequest(case=copy_case(kind=REGISTER),
                                           result_id="0" * 26).SerializeToString()]
    channel, answered = shared.channel(), 0
    for name, messages in raw.items():
        call = channel.stream_unary(f"/trien.v1.Issuance/{name}")
        for _ in range(60):
            noisy = [bytearray(one) for one in messages]
            for _ in range(dice.randrange(1, 5)):
                one = dice.choice(noisy[:2])
                one[dice.randrange(len(one))] = dice.randrange(256)
            if dice.random() < 0.3:
                del noisy[0][dice.randrange(len(noisy[0])):]
            try:
                call(map(bytes, noisy), timeout=20)
            except grpc.RpcError as e:
                assert e.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL,
                                        grpc.StatusCode.DEADLINE_EXCEEDED), e
                answered += 1
    assert answered > 60 and not certify(stubs, copy_case(), data).duplicate


def test_batches_and_other_calls(shared, stubs):
    m = harness.modules()["issuance"]
    d = refused(lambda: stubs.issuance.CertifyCopies(m.CertifyCopiesRequest(), timeout=20))
    assert d["reason"] == "ARGUMENT_MISSING"
    d = refused(lambda: certify_all(stubs, [(copy_case(), b"x")] * 33))
    assert d["reason"] == "TOO_MANY"
    reject = send(stubs, [copy_case()]).rejects[0]
    assert (reject.reason, reject.field) == ("ORIGINAL_MISSING", "results[0].kind")
    answer = stubs.issuance.CertifyCopies(m.CertifyCopiesRequest(copies=[
        m.OriginalToCopy(case=copy_case(), original=originals.jpeg(), sha256=bytes(32)),
        m.OriginalToCopy(case=copy_case(), original=originals.jpeg(), sha256=b"x"),
        m.OriginalToCopy(case=copy_case()), m.OriginalToCopy(original=b"x"),
        m.OriginalToCopy(case=case(), original=originals.jpeg())]), timeout=20)
    assert [(r.index, r.reason) for r in answer.rejects] == [
        (0, "ORIGINAL_DIFFERS"), (1, "FIELD_VALUE"), (2, "ORIGINAL_EMPTY"),
        (3, "CASE_CODE_INVALID"), (4, "KIND_COPIES_OTHER")]


def test_validate_only_keeps_nothing(shared, stubs):
    first, c, data = next_number(shared), copy_case(), originals.jpeg()
    answer = stubs.issuance.CertifyCopy(itertools.chain(
        [head(c, data, validate_only=True)], chunks(data)), timeout=20)
    assert not answer.HasField("receipt")
    d = refused(lambda: stubs.issuance.CertifyCopy(itertools.chain(
        [head(c, data[:-9], validate_only=True)], chunks(data[:-9])), timeout=20))
    assert d["reason"] == "ORIGINAL_DAMAGED" and d["fields"] == ["original"]
    both = certify_all(stubs, [(c, data), (copy_case(), b"GIF89a")], validate_only=True)
    assert both.accepted == 1 and not both.receipts
    assert both.rejects[0].reason == "ORIGINAL_FORMAT"
    assert next_number(shared) == first
    assert not certify(stubs, c, data).duplicate


# ---- copies from the register ----

@pytest.fixture(scope="module")
def source(shared):
    stubs = shared.stubs()
    receipt = send(stubs, [case()]).receipts[0]
    shared.wait_stored(stubs, [receipt.result_id])
    return receipt.result_id, shared.download(stubs, receipt.result_id)[0]


def test_a_copy_from_the_register(shared, stubs, tmp_path, source):
    c = copy_case(kind=REGISTER)
    receipt = issue_copy(stubs, c, source[0])
    assert receipt.number_text.endswith("/BSSG-UBND")
    paper = stored_paper(shared, stubs, receipt)
    assert trusted(shared, paper) and paper.original()[1] == source[1]
    path = tmp_path / "copy.pdf"
    path.write_bytes(paper.pdf)
    text = run("pdftotext", path, "-").casefold()
    # Another legal act than certifying: without the officer's statement.
    assert len(paper.pages) == 1 and "bản sao từ sổ gốc" in text and "chứng thực" not in text
    again = issue_copy(stubs, c, source[0].lower())
    assert again.duplicate and again.result_id == receipt.result_id
    # Of another result it is another copy.
    other = send(stubs, [case()]).receipts[0].result_id
    shared.wait_stored(stubs, [other])
    assert refused(lambda: issue_copy(stubs, c, other))["reason"] == "CASE_CONTENT_CONFLICT"


def test_a_copy_says_of_its_original_what_the_register_says(shared, stubs, source, tmp_path):
    got = stubs.repository.GetResult(
        harness.modules()["repository"].GetResultRequest(result_id=source[0]), timeout=20)
    day = datetime.datetime.fromtimestamp(
        got.issue_time.seconds, datetime.timezone(datetime.timedelta(hours=7)))
    kind = json.loads((harness.ROOT / "schemas/results" / f"{got.kind}.json").read_text())
    agency = json.loads((harness.ROOT / "schemas/agencies" / f"{got.unit}.json").read_text())
    true = {"ten_ban_chinh": kind["versions"][-1]["name"]["vi"],
            "so_ban_chinh": got.number_text, "ngay_cap": (day.year, day.month, day.day),
            "co_quan_cap": agency["versions"][-1]["name"]}
    # Whether the case says it or leaves it to the engine: the same copy.
    c = copy_case("TRUE-1", kind=REGISTER)
    receipt = issue_copy(stubs, c, source[0])
    again = issue_copy(stubs, copy_case("TRUE-1", kind=REGISTER, **true), source[0])
    assert again.duplicate and again.result_id == receipt.result_id
    path = tmp_path / "copy.pdf"
    path.write_bytes(stored_paper(shared, stubs, receipt).pdf)
    text = " ".join(run("pdftotext", path, "-").split())
    for words in (true["ten_ban_chinh"], got.number_text, f"{day:%d/%m/%Y}",
                  true["co_quan_cap"]):
        assert words in text
    for name, value in (("ten_ban_chinh", "Bằng tiến sĩ"), ("so_ban_chinh", "99999/QĐ-UBND"),
                        ("ngay_cap", (2019, 6, 30)), ("co_quan_cap", "Ủy ban nhân dân"),
                        ("nguoi_duoc_cap", "Một Người Khác")):
        why = refused(lambda: issue_copy(stubs, copy_case(kind=REGISTER, **{name: value}),
                                         source[0]))
        assert (why["reason"], why["fields"]) == \
            ("COPY_UNTRUE", [f"case.results[0].fields.{name}"])


def test_a_copy_names_its_source_and_what_corrected_it(shared, stubs, tmp_path):
    old = send(stubs, [case()]).receipts[0].result_id
    shared.wait_stored(stubs, [old])

    def copied(c):
        receipt = issue_copy(stubs, c, old)
        paper = stored_paper(shared, stubs, receipt)
        path = tmp_path / "copy.pdf"
        path.write_bytes(paper.pdf)
        return receipt, paper.data()["original"], " ".join(run("pdftotext", path, "-").split())

    c = copy_case(kind=REGISTER)
    before, data, text = copied(c)
    assert data["id"] == old and "corrected" not in data and "đính chính" not in text
    correct(stubs, get(stubs, old))
    after, data, text = copied(copy_case(kind=REGISTER))
    paper = get(stubs, old)
    day = datetime.date(paper.paper_date.year, paper.paper_date.month, paper.paper_date.day)
    assert (data["id"], data["corrected"]) == \
        (old, {"number": "12/ĐC-UBND", "date": f"{day}"})
    words = f"Bản chính đã được đính chính theo công văn số 12/ĐC-UBND ngày {day:%d} tháng "
    assert f"{words}{day.month if day.month > 2 else f'{day:%m}'} năm {day.year}." in text
    # What was copied before that is the same copy still.
    again = issue_copy(stubs, c, old)
    assert again.duplicate and again.result_id == before.result_id != after.result_id


def test_a_copy_from_the_register_replaces_another(shared, stubs, source):
    old = issue_copy(stubs, copy_case(kind=REGISTER), source[0])
    shared.wait_stored(stubs, [old.result_id])
    c = copy_case(old.case_code, kind=REGISTER, muc_dich="Xin học bổng")
    c.results[0].replaces, c.results[0].revision = old.result_id, 1
    new = issue_copy(stubs, c, source[0])
    data = stored_paper(shared, stubs, new).data()
    assert (data["replaces"]["id"], data["original"]["id"]) == (old.result_id, source[0])
    assert data["replaces"]["number"] == old.number_text != new.number_text
    was = get(stubs, old.result_id)
    assert (was.life, was.replaced_by) == (REPLACED, new.result_id)
    # The same again is the same copy; its place is taken for any other.
    assert issue_copy(stubs, c, source[0]).result_id == new.result_id
    c = copy_case(kind=REGISTER)
    c.results[0].replaces = old.result_id
    assert refused(lambda: issue_copy(stubs, c, source[0]))["reason"] == "REPLACES_MISMATCH"


def test_only_who_keeps_the_register_copies_from_it(shared, stubs, source):
    for reason, c, result_id in (
            ("COPY_NOT_OURS", copy_case(kind=REGISTER, unit=UNITS[1]), source[0]),
            ("RESULT_NOT_FOUND", copy_case(kind=REGISTER), "0" * 26),
            ("RESULT_NOT_FOUND", copy_case(kind=REGISTER), "x"),
            ("KIND_COPIES_OTHER", copy_case(), source[0]),
            ("KIND_COPIES_OTHER", case(), source[0])):
        assert refused(lambda: issue_copy(stubs, c, result_id))["reason"] == reason
    copied = certify(stubs, copy_case(), originals.jpeg()).result_id
    shared.wait_stored(stubs, [copied])
    assert refused(lambda: issue_copy(stubs, copy_case(kind=REGISTER), copied))["reason"] == \
        "COPY_OF_COPY"
    issue_copy(stubs, copy_case(kind=REGISTER), source[0], validate_only=True)


def test_a_successor_copies_from_its_predecessors_register(shared, stubs):
    old = send(stubs, [case(unit=UNITS[1])]).receipts[0].result_id
    shared.wait_stored(stubs, [old])
    with caller(shared, "submit", "read", units=[UNITS[0]]):
        receipt = issue_copy(stubs, copy_case(kind=REGISTER), old)
        paper = stored_paper(shared, stubs, receipt)
    assert paper.original()[1] == shared.download(stubs, old)[0]
    assert receipt.unit == UNITS[0] and receipt.number_text.endswith("/BSSG-UBND")


def test_a_stranger_learns_nothing(shared, stubs, source):
    """Whatever has become of a result, and whatever their case says: there is no such result."""
    m = harness.modules()["case"]
    gone, copied = send(stubs, [case()]).receipts[0].result_id, certify(
        stubs, copy_case(), originals.jpeg()).result_id
    waits = certify(stubs, copy_case(kind=APPROVED), originals.jpeg()).result_id
    shared.wait_stored(stubs, [gone, copied])
    revoke(stubs, get(stubs, gone))
    cases = [copy_case(kind=REGISTER, unit=UNITS[1]), copy_case(kind=REGISTER),
             m.Case(code="A", holders=copy_case().holders)]
    with caller(shared, "submit", "read", units=[UNITS[1]]):
        for c in cases:
            none = refused(lambda: issue_copy(stubs, c, "0" * 26))
            assert none["reason"] == "RESULT_NOT_FOUND"
            for result_id in (source[0], gone, copied, waits):
                assert refused(lambda: issue_copy(stubs, c, result_id)) == none
    # Who may see it learns what is wrong with it, or with the case.
    for result_id, c, reason in ((gone, cases[1], "COPY_OF_INVALID"),
                                 (gone, cases[0], "COPY_NOT_OURS"),
                                 (source[0], cases[2], "RESULT_MISSING"),
                                 (waits, cases[1], "RESULT_NOT_STORED")):
        assert refused(lambda: issue_copy(stubs, c, result_id))["reason"] == reason


def test_a_copy_is_the_same_one_after_its_source_was_revoked(shared, stubs):
    gone = send(stubs, [case()]).receipts[0].result_id
    shared.wait_stored(stubs, [gone])
    c = copy_case(kind=REGISTER)
    receipt = issue_copy(stubs, c, gone)
    shared.wait_stored(stubs, [receipt.result_id])
    revoke(stubs, get(stubs, gone))
    harness.wait_for(lambda: refused(lambda: issue_copy(
        stubs, copy_case(kind=REGISTER), gone))["reason"] == "COPY_OF_INVALID")
    again = issue_copy(stubs, c, gone)
    assert (again.result_id, again.duplicate) == (receipt.result_id, True)
    assert (again.number, again.accept_time) == (receipt.number, receipt.accept_time)


# ---- with an officer ----

def test_an_officer_sees_and_confirms_copies(shared, stubs, tmp_path):
    data, signer = originals.jpeg(), Signer(shared)
    receipts = [certify(stubs, copy_case(kind=APPROVED), data) for _ in range(2)]
    receipts += certify_all(stubs, [(copy_case(kind=APPROVED), originals.scanned(2).bytes())]
                            ).receipts
    ids = [r.result_id for r in receipts]
    assert all(r.state == AWAITING and r.number == 0 for r in receipts)
    harness.wait_for(lambda: {w.result_id for w in signer.waiting()} >= set(ids))
    shown = b"".join(p.chunk for p in signer.stub.PreviewWaiting(
        signer.m.PreviewWaitingRequest(result_id=ids[0]), timeout=20))
    assert Paper(shown).images()[0].encoded_data == data
    session = signer.open(ids)
    signer.confirm(session)
    got = shared.wait_stored(stubs, ids)
    numbers = [got[i].number for i in ids]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert Paper(shared.download(stubs, ids[2])[0]).original()[1] == originals.scanned(2).bytes()
    year = got[ids[0]].register_year
    assert got[ids[0]].number_text == f"{numbers[0]:02}/{year}-SCTĐT/BS"
    assert f"Số chứng thực: {numbers[0]:02}, quyển số: 01/{year}-SCTĐT/BS" in \
        " ".join(pdf_text(shared.download(stubs, ids[0])[0], tmp_path).split())


def test_a_copy_is_confirmed_of_what_is_in_force_then(shared, stubs):
    """Its original may be revoked or corrected while it waits; the others of its session go on."""
    sources = send(stubs, [case() for _ in range(4)]).receipts
    stored = shared.wait_stored(stubs, [r.result_id for r in sources])
    gone, old, corrected, good = (stored[r.result_id] for r in sources)
    correct(stubs, good)
    copies = [issue_copy(stubs, copy_case(kind=APPROVED_REGISTER), r.result_id).result_id
              for r in (gone, old, corrected, good)]
    signer = Signer(shared)
    harness.wait_for(lambda: {w.result_id for w in signer.waiting()} >= set(copies))
    session = signer.open(copies)
    revoke(stubs, gone)
    new = send(stubs, [replacing(old)]).receipts[0].result_id
    shared.wait_stored(stubs, [new])
    correct(stubs, corrected)
    assert signer.confirm(session).approved == 1
    told = {i: o.reason for i, o in signer.outcomes(session).items() if not o.approved}
    assert told == dict(zip(copies, ("COPY_OF_INVALID", "COPY_OF_INVALID", "COPY_OUTDATED")))
    shared.wait_stored(stubs, copies[3:])
    assert {w.result_id for w in signer.waiting()} >= set(copies[:3])
    for result_id in copies[:3]:
        signer.refuse(result_id, "Bản chính đã thay đổi")
    # What nothing names any more goes at once.
    waiting = shared.data / "store/objects/waiting"
    if shared.store is None:
        harness.wait_for(lambda: not {r.file_sha256.hex() for r in (gone, old, corrected)} &
                         {p.name for p in waiting.iterdir()})


def test_a_replacement_that_is_refused_frees_the_place(shared, stubs):
    """While it waits for its officer, nothing else may stand in that place."""
    signer = Signer(shared)

    def waits(c):
        result_id = certify(stubs, c, originals.jpeg()).result_id
        harness.wait_for(lambda: result_id in {w.result_id for w in signer.waiting()})
        return result_id

    def confirmed(result_id):
        signer.confirm(signer.open([result_id]))
        shared.wait_stored(stubs, [result_id])
        return result_id

    def replacing(old, **kw):
        c = copy_case(kind=APPROVED, **kw)
        c.results[0].replaces, c.results[0].revision = old, 1 if "code" in kw else 0
        return c

    old = confirmed(waits(copy_case("PLACE-1", kind=APPROVED)))
    first, other = replacing(old, code="PLACE-1"), replacing(old)
    gone = waits(first)
    assert refused(lambda: waits(other))["reason"] == "REPLACES_MISMATCH"
    assert get(stubs, old).life == VALID
    signer.refuse(gone, "Sai tên")
    new = confirmed(waits(other))
    was = get(stubs, old)
    assert (was.life, was.replaced_by) == (REPLACED, new)


# ---- the command line ----

def test_command_line(shared, stubs, tmp_path, source):
    from google.protobuf import json_format

    (tmp_path / "scan.jpg").write_bytes(originals.jpeg(size=(900, 900), quality=99))
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "case.json").write_text(json_format.MessageToJson(copy_case("CLI-1")))
    done = shared.trien("certify", tmp_path / "scan.jpg", "--case", tmp_path / "case.json",
                        "--wait", "--json", "--data", shared.data)
    receipt = json.loads(done.stdout.splitlines()[0])["receipt"]
    assert receipt["numberText"].endswith("-SCT/BS")
    assert Paper(shared.download(stubs, receipt["resultId"])[0]).original()[1] == \
        (tmp_path / "scan.jpg").read_bytes()
    lines = [{"file": "scan.jpg", "case": json_format.MessageToDict(copy_case("CLI-1"))},
             {"file": "bad.pdf", "case": json_format.MessageToDict(copy_case("CLI-2"))},
             {"file": "none.pdf", "case": json_format.MessageToDict(copy_case("CLI-3"))},
             {"file": "scan.jpg"},
             {"file": "scan.jpg", "case": json_format.MessageToDict(copy_case("CLI-4"))}]
    (tmp_path / "copies.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    done = shared.trien("certify", "--list", tmp_path / "copies.jsonl", "--json", "--data",
                        shared.data, check=False)
    assert done.returncode == 1
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[0]["receipt"]["duplicate"] and told[4]["receipt"]["resultId"]
    assert [t["reject"]["reason"] for t in told[1:4]] == ["ORIGINAL_DAMAGED", "LINE_INVALID",
                                                          "LINE_INVALID"]
    (tmp_path / "register.json").write_text(json_format.MessageToJson(copy_case(kind=REGISTER)))
    done = shared.trien("copy", source[0], "--case", tmp_path / "register.json", "--wait",
                        "--data", shared.data)
    assert "/BSSG-UBND" in done.stdout
