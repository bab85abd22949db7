"""No attack on a result passes, on either path of the verifier; every good file does, with pyHanko
of the same mind."""
import json

import pytest

import attacks
import harness
from sample import case, send

pytest.importorskip("pyhanko")
import stamping                                                 # noqa: E402


class Office:
    """Results of one engine and algorithm."""

    def __init__(self, folder, algorithm):
        self.algorithm = algorithm
        self.engine = harness.Engine(folder, algorithm=algorithm)
        self.engine.prepare().start()
        stubs = self.engine.stubs()
        ids = [r.result_id for r in send(stubs, [case() for _ in range(2)]).receipts]
        self.engine.wait_stored(stubs, ids)
        self.files = [self.engine.download(stubs, i)[0] for i in ids]
        assert self.engine.stop() == 0
        self.certs = self.engine.data / "certs"
        self.authority = stamping.Authority(folder)
        self.context = self.authority.context(self.certs)
        self.file = attacks.File(self.files[0], attacks.File(self.files[1], None))

    def verify(self, folder, files, tsa=True):
        """What the verifier says of each, in one run: {name: row}."""
        folder.mkdir(exist_ok=True)
        paths = []
        for name, data in files:
            paths.append(folder / f"{len(paths):03}-{name}.pdf")
            paths[-1].write_bytes(data)
        more = ["--tsa", self.authority.path] if tsa else []
        done = self.engine.trien("verify", "--trust", self.certs, *more, "--json", *paths,
                                 check=False)
        rows = json.loads(done.stdout)
        assert len(rows) == len(paths), done.stderr
        return {name: row for (name, _), row in zip(files, rows)}


@pytest.fixture(scope="module", params=["p256", "rsa2048"])
def office(request, tmp_path_factory):
    return Office(tmp_path_factory.mktemp(request.param), request.param)


def good_files(office):
    pdf = office.files[0]
    dss = office.authority.with_evidence(pdf, office.certs)
    stamped = office.authority.stamped(pdf)
    return {
        "issued": (pdf, "B-B"), "other": (office.files[1], "B-B"), "dss": (dss, "B-B"),
        "by hand": (attacks.plain(office.file), "B-B"), "stamped": (stamped, "B-T"),
        "dss, stamped": (office.authority.stamped(dss), "B-LTA"),
        "stamped, dss": (office.authority.with_evidence(stamped, office.certs), "B-LT"),
        "stamped twice": (office.authority.stamped(stamped), "B-T"),
    }


def test_good_files_pass_and_evidence_raises_the_level(office, tmp_path, monkeypatch):
    stamping.no_new_metadata(monkeypatch)
    good = good_files(office)
    rows = office.verify(tmp_path / "a", [(n, pdf) for n, (pdf, _) in good.items()])
    plain = office.verify(tmp_path / "b", [(n, pdf) for n, (pdf, _) in good.items()], tsa=False)
    for name, (pdf, level) in good.items():
        row = rows[name]
        assert row["verdict"] == "TOTAL-PASSED", (name, row["why"])
        assert [s["level"] for s in row["signatures"]] == [level] * 2, name
        assert all(s["trusted"] for s in row.get("timeStamps", ())), name
        assert stamping.pyhanko_passes(pdf, office.context), name
        # Nobody's time is believed unless somebody says whose: the verdict is the same.
        row = plain[name]
        assert row["verdict"] == "TOTAL-PASSED", (name, row["why"])
        assert [s["level"] for s in row["signatures"]] == ["B-B"] * 2, name
        assert all(not s["trusted"] and "no root for time stamps" in s["why"]
                   for s in row.get("timeStamps", ())), name
    assert [len(rows[n].get("timeStamps", ())) for n in good] == [0, 0, 0, 0, 1, 1, 1, 2]


def test_no_attack_passes(office, tmp_path, monkeypatch):
    stamping.no_new_metadata(monkeypatch)
    pdf = office.files[0]
    stamped = office.authority.stamped(pdf)
    files = [(n, make(office.file)) for n, make in attacks.ALL.items()]
    for n, make in attacks.STAMPED.items():
        files.append((n, make(stamped)))
        assert files[-1][1] != stamped, n
    files.append(("stamp of another file", pdf + office.authority.stamped(office.files[1])[
        len(office.files[1]):]))
    files.append(("content behind a stamp", office.file.update(
        {office.file.content: attacks.EVIL}, base=stamped)))
    assert all(data != pdf for _, data in files)
    # Each by itself, as far as that goes: nothing passed before, so nothing is remembered.
    alone = office.verify(tmp_path / "alone", files)
    # And behind files of the same template that passed: the quick path.
    good = [("good 1", pdf), ("good 2", office.files[1]), ("good 3", pdf)]
    quick = office.verify(tmp_path / "quick", good + files + [("good 4", pdf)])
    for name in ("good 1", "good 2", "good 3", "good 4"):
        assert quick[name]["verdict"] == "TOTAL-PASSED"
    through = [n for n, _ in files if "TOTAL-PASSED" in (alone[n]["verdict"], quick[n]["verdict"])]
    assert not through
    for n, _ in files:
        said = [{k: v for k, v in rows[n].items() if k != "file"} for rows in (alone, quick)]
        assert said[0] == said[1], n
    if office.algorithm != "p256":
        return                                  # pyHanko's mind on the files is the same
    # The test would be none if the attacks broke everything for everybody: some pass elsewhere.
    fooled = [n for n, data in files if stamping.pyhanko_passes(data, office.context)]
    assert {"hex_in_lower_case", "stripped_second_signature"} <= set(fooled), fooled


def test_a_value_that_anybody_can_make_is_another_file(office, tmp_path):
    """ECDSA's second value of a signature is as valid: the record of the file tells them apart."""
    if office.algorithm != "p256":
        pytest.skip("RSA has one value")
    from asn1crypto import algos
    order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551

    def change(info):
        si = info["content"]["signer_infos"][0]
        value = algos.DSASignature.load(si["signature"].native)
        si["signature"] = algos.DSASignature(
            {"r": value["r"].native, "s": order - value["s"].native}).dump()
        return info.dump(force=True)
    twin = office.file.with_cms(change)
    rows = office.verify(tmp_path / "twin", [("issued", office.files[0]), ("twin", twin)])
    assert rows["twin"]["verdict"] == "TOTAL-PASSED"
    assert rows["twin"]["fileSha256"] != rows["issued"]["fileSha256"]


def test_each_byte_of_a_stamped_file(office, tmp_path, monkeypatch):
    """What was issued stays as it is behind evidence; what a stamp covers cannot change, either."""
    stamping.no_new_metadata(monkeypatch)
    issued = office.files[0]
    pdf = office.authority.stamped(office.authority.with_evidence(issued, office.certs))
    start, end = attacks.re.search(rb"/Contents <[0-9a-fA-F]+>", pdf[-20000:]).span()
    start, end = start + len(pdf) - 20000, end + len(pdf) - 20000
    step = 1 if harness.os.environ.get("TRIEN_FULL") == "1" else 0
    places = [*range(0, len(issued), step or 9973), *range(len(issued), start, step or 97),
              *range(end, len(pdf), step or 13)]
    files = [(f"{at}", pdf[:at] + bytes([pdf[at] ^ 1]) + pdf[at + 1:]) for at in places]
    for n in range(0, len(files), 500):
        rows = office.verify(tmp_path / f"{n}", files[n:n + 500])
        assert not [at for at, row in rows.items() if row["verdict"] == "TOTAL-PASSED"]
    # Of the token, nobody signed the certificates: the rest is what it was where one passes.
    files = [(f"{at}", pdf[:at] + bytes([pdf[at] ^ 1]) + pdf[at + 1:])
             for at in range(start + 11, end - 1, step or 61)]
    rows = office.verify(tmp_path / "token", files)
    assert rows and not any(row["verdict"] == "INDETERMINATE" for row in rows.values())
    for at, data in files:
        if rows[at]["verdict"] == "TOTAL-PASSED":
            assert signed_part(data[start + 11:end - 1]) == signed_part(pdf[start + 11:end - 1]), at


def signed_part(digits):
    info = attacks.cms.ContentInfo.load(bytes.fromhex(digits.decode()))
    del info["content"]["certificates"]
    return info.dump(force=True)
