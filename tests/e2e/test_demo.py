"""`./run demo` in a fresh copy: what a newcomer sees first."""
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

import harness
import portals
import postgres
from clone import clone, stop_left

KINDS = {f.stem for f in harness.kind_files()}


@pytest.fixture
def copy(tmp_path):
    folder = clone(tmp_path)
    yield folder
    stop_left(folder)


def demo(folder, *args):
    with (folder / "said").open("w+") as out:
        code = subprocess.run(["./run", "demo", *args], cwd=folder, stdout=out, stderr=out,
                              stdin=subprocess.DEVNULL, timeout=300).returncode
        out.seek(0)
        said = out.read()
    assert code == 0, said
    return said


def test_demo(copy):
    said = demo(copy)
    assert re.search(r"^cases +906$", said, re.M)
    assert re.search(r"^results +1,000 +repeated 0$", said, re.M)
    assert re.search(r"^stored +1,000 +held 0, not yet 0$", said, re.M)
    assert re.search(r"^seconds +[\d.]+ +[\d,]+ results/s$", said, re.M)
    assert re.search(r"^1,000 files, [\d,]+ bytes each", said, re.M)
    assert "1000 passed, 0 failed, 0 undetermined" in said
    assert "session " in said and "5 of 5 approved, 5 at their end" in said
    assert re.search(r"^  life +REPLACED$", said, re.M) and re.search(r"  REVOKED$", said, re.M)
    assert "45/QĐ-UBND" in said
    rows = re.findall(r"^(ubnd-\S+) +(\w+) +\d{4} +(\d+) +(\d+) +\d+ +0  open$", said, re.M)
    assert {r[0] for r in rows} == set(harness.UNITS)
    assert ("ubnd-lac-xuan", "XNTTHN", "4313") in [r[:3] for r in rows]

    # The portal, visited as by a browser.
    assert re.search(r"^citizen +7 papers of Lục Thị Niềm, [1-9]\d* times read by others$", said,
                     re.M)
    results = int(re.search(r"^leader +(\d+) results today$", said, re.M)[1])
    assert 0 < results < 1100

    data = copy / "build" / "demo"
    pdfs = list((data / "pdf").glob("*.pdf"))
    samples = list((data / "samples").glob("*.pdf"))
    assert (len(pdfs), len(samples)) == (1000, 10)
    assert len({s.name[:-len("-" + 26 * "X" + ".pdf")] for s in samples} & KINDS) == 10
    assert all(s.read_bytes().startswith(b"%PDF-") for s in samples)
    assert re.search(r"STORED  01/\d{4}-SCT/BS  build/demo/scan\.png", said)
    assert "01/BSSG-UBND" in said and len(list((data / "copies").glob("*.pdf"))) == 2
    for line in ("build/demo/pdf", "build/demo/samples", "build/demo/copies",
                 "build/demo/draft.pdf", "build/demo/replacement.pdf",
                 "build/demo/engine.log"):
        assert line in said
        assert (copy / line).exists()
    assert stop_left(copy, signal=0) == []
    assert "engine: stopped" in (data / "engine.log").read_text()
    assert not list(copy.glob("schemas/*/*.pbm"))    # nothing is made in the tree


def signed_in(said):
    """The printed links sign a browser in: a citizen with papers of every state, a leader."""
    links = re.findall(r"^  (http://127\.0\.0\.1:\d+)(/\S+)", said, re.M)
    assert [re.sub("^/s/[^/]+$", "/s/TOKEN", path) for _, path in links] == [
        "/sign-in?as=0&back=/results", "/sign-in?as=1&back=/lead", "/s/TOKEN", "/verify"]
    browser = portals.Browser(links[0][0])

    def follow(path):
        to = browser.get(path)
        back = portals.Browser(to.location).get(to.location)
        return browser.get(browser.get(back.location).location)

    listed = follow(links[0][1])
    assert listed.status == 200 and "Lục Thị Niềm" in listed.text
    papers = browser.get("/api/v1/results").json()["results"]
    assert {p["life"] for p in papers} == {"valid", "replaced", "revoked"}
    assert any(p["copy"] for p in papers) and any(p["role"] == "guardian" for p in papers)
    reads = browser.get("/api/v1/reads").json()["reads"]
    assert "Đăng ký kết hôn" in {r["purpose"] for r in reads}
    lead = follow(links[1][1])
    assert lead.status == 200 and "<svg" in lead.text
    for _, path in links[2:]:
        assert portals.Browser(links[0][0]).get(path).status == 200, path


def test_demo_keep_prints_what_works(copy):
    said = demo(copy, "--keep")
    signed_in(said)
    lines = [line.strip() for line in said.split("Try:\n", 1)[1].splitlines() if line.strip()]
    assert lines[0].startswith("export TRIEN_DATA=") and len(lines) >= 8
    assert re.match(r"kill \d+ ", lines[-1] + " ")
    assert stop_left(copy, signal=0) != []
    assert re.match(r"trien serve --data \S+ ", lines[-2])
    for line in lines[1:-2]:
        done = subprocess.run(["bash", "-c", f"{lines[0]}\n{line}"], cwd=copy, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), line
    refused = subprocess.run(["./run", "demo"], cwd=copy, capture_output=True, text=True,
                             timeout=120)
    assert refused.returncode == 1 and "still runs" in refused.stderr
    subprocess.run(["bash", "-c", lines[-1]], check=True)
    harness.wait_for(lambda: not stop_left(copy, signal=0), 30)
    again = subprocess.Popen(["bash", "-c", f"{lines[0]}\nexec {lines[-2]}"], cwd=copy,
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        said = subprocess.run(["bash", "-c", f"{lines[0]}\ntrien status --wait 30"], cwd=copy,
                              capture_output=True, text=True, timeout=60)
        assert said.returncode == 0, said.stdout + said.stderr
    finally:
        again.terminate()
        assert again.wait(30) == 0
    assert (copy / "paper.pdf").exists() and shlex.split(lines[-1])[0] == "kill"


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_demo_on_postgres_goes_on_until_it_is_stopped(copy):
    said = demo(copy, "--keep", "--store", "postgres")
    assert re.search(r"^stored +1,000 +held 0, not yet 0$", said, re.M)
    last = said.strip().splitlines()[-1].strip()
    assert re.match(r"kill \d+ \d+ ", last), last
    folder = re.search(r"on a socket in (\S+)$", said, re.M)[1]
    assert list(pathlib.Path(folder).glob(".s.PGSQL.*"))
    assert not list((copy / "build/demo/store").glob("*.seg"))
    subprocess.run(["bash", "-c", last], check=True)
    harness.wait_for(lambda: not stop_left(copy, signal=0) and
                     not list(pathlib.Path(folder).glob(".s.PGSQL.*")), 30)
    shutil.rmtree(folder, ignore_errors=True)
    wrong = subprocess.run(["./run", "demo", "--store", "oracle"], cwd=copy, capture_output=True,
                           text=True, timeout=60)
    assert wrong.returncode == 1 and "embedded|postgres" in wrong.stderr
