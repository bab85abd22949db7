"""What the portal has again without a restart: files that changed, and processes that died. Who is
signed in stays so."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import time

import pytest

from authority import DAY, Authority, utc_now
from harness import ROOT, UNITS, Engine, modules, wait_for
from portals import Portal, sign_in, with_dev_provider
from sample import SIGNER, case, send
from test_portal_public import upload

pytest.importorskip("pyhanko")
import stamping                                                 # noqa: E402

pytestmark = [pytest.mark.timeout(300), pytest.mark.embedded]
NUMBER = "001099000777"
ME = {"name": "Người Có Giấy", "about": "công dân",
      "claims": {"citizen_id": NUMBER, "name": "Người Có Giấy"}}
AGAIN = "were read again"


class World:
    """An engine with one result, whose officer's certificate is of the test's own CA."""

    def __init__(self, folder):
        schemas = folder / "schemas"
        shutil.copytree(ROOT / "schemas", schemas)
        # Of an authority that stamps nothing here; another's root comes later.
        self.tsa = folder / "tsa"
        self.tsa.mkdir()
        stamping.Authority(self.tsa)
        self.engine = Engine(folder / "engine", schemas=schemas, tsa=self.tsa).prepare()
        self.ca = Authority(self.engine)
        self.cert = self.ca.issue(SIGNER[UNITS[0]], utc_now() + DAY)
        self.engine.start()
        self.result = self.issued()
        self.pdf = self.engine.download(self.engine.stubs(), self.result)[0]
        self.portal = with_dev_provider(folder / "portal", ME, data=self.engine.data,
                                        schemas=schemas, tsa=self.tsa).start()
        self.me = self.portal.browser()
        assert sign_in(self.me, ME["name"]).status == 303

    def issued(self):
        receipt, = send(self.engine.stubs(), [case(number=NUMBER)]).receipts
        self.engine.wait_stored(self.engine.stubs(), [receipt.result_id])
        return receipt.result_id

    def told(self, line, change):
        """Does it, and waits until the portal's log has the line once more."""
        before = self.portal.log().count(line)
        change()
        wait_for(lambda: self.portal.log().count(line) > before, 60)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("again"))
    yield w
    w.portal.kill()
    w.engine.kill()


def test_schemas(world):
    agencies = world.engine.schemas / "agencies"
    text = (agencies / f"{UNITS[0]}.json").read_text().replace("Lạc Xuân", "Đồng Mai")
    for old, new in ((UNITS[0], "ubnd-dong-mai"), ("H99.11", "H99.77"), ("00.11.H99", "00.77.H99"),
                     ("ubnd-dong-mai.pbm", f"{UNITS[0]}.pbm")):
        text = text.replace(old, new)
    world.told(AGAIN, lambda: (agencies / "ubnd-dong-mai.json").write_text(text))
    assert "phường Đồng Mai" in world.portal.browser().get("/verify").text
    world.told("schemas stay as they were",
               lambda: (agencies / "ubnd-dong-mai.json").write_text(text[:100]))
    assert "ubnd-dong-mai.json" in world.portal.log()
    assert "phường Đồng Mai" in world.portal.browser().get("/verify").text
    world.told(AGAIN, (agencies / "ubnd-dong-mai.json").unlink)
    assert "phường Đồng Mai" not in world.portal.browser().get("/verify").text
    world.told(AGAIN, lambda: world.portal.process.send_signal(signal.SIGHUP))
    assert world.result in world.me.get("/results").text


def test_a_revoked_key(world):
    good = 'class="note good"'
    assert good in upload(world.portal.browser(), world.pdf).text
    world.told(AGAIN, lambda: world.ca.revoke(world.cert))
    page = upload(world.portal.browser(), world.pdf).text
    assert good not in page and "REVOKED" in page
    world.told("certificates and revocation lists stay as they were",
               lambda: world.ca.write("own-ca.crl", b"-----BEGIN X509 CRL-----\nAAAA"))
    assert "REVOKED" in upload(world.portal.browser(), world.pdf).text
    world.ca.revoked = []
    world.told(AGAIN, world.ca.publish)
    assert good in upload(world.portal.browser(), world.pdf).text


def levels(world, pdf):
    """Of its signatures, as the engine says, the portal's page and its JSON; the stamps' trust."""
    q = modules()["audit"].VerifyDocumentRequest(document=pdf)
    a = world.engine.stubs().audit.VerifyDocument(q, timeout=20)
    page = upload(world.portal.browser(), pdf).text
    told = world.portal.browser().request("POST", "/api/v1/verify", body=pdf, headers={
        "Content-Type": "application/pdf"}).json()
    assert a.verdict == 1 and told["verdict"] == "TOTAL-PASSED"
    said = [a.signatures[0].level, *re.findall(r'class="code">\((B-\w+)\)', page)]
    assert [s["level"] for s in told["signatures"]] == said[1:]
    assert [s["level"] for s in told["report"]["signatures"]] == said[1:]
    stamps = [s.trusted for s in a.time_stamps]
    assert stamps == [s["trusted"] for s in told["time_stamps"]]
    assert all(s.authority == "TSA" and s.time.seconds and (s.trusted or s.why)
               for s in a.time_stamps)
    return said, stamps


def test_time_stamps(world, tmp_path, monkeypatch):
    """The roots of the authorities, of engine and portal, are one setting."""
    stamping.no_new_metadata(monkeypatch)
    authority = stamping.Authority(tmp_path)
    stamped = authority.stamped(world.pdf)
    assert levels(world, world.pdf) == ([1, "B-B", "B-B"], [])
    assert levels(world, stamped) == ([1, "B-B", "B-B"], [False])
    # Where nobody is trusted: no verdict, and it is what was issued all the same.
    (tmp_path / "none").mkdir()
    with Portal(tmp_path / "portal", data=world.engine.data, certs=tmp_path / "none") as p:
        told = p.browser().request("POST", "/api/v1/verify", body=stamped,
                                   headers={"Content-Type": "application/pdf"}).json()
        assert (told["verdict"], told["issued"], told["changed"]) == ("INDETERMINATE", True, False)
        changed = stamped.replace(b"/M(", b"/M)")
        told = p.browser().request("POST", "/api/v1/verify", body=changed,
                                   headers={"Content-Type": "application/pdf"}).json()
        assert (told["issued"], told["changed"]) == (False, True)
    root = world.tsa / "other.pem"
    world.told(AGAIN, lambda: root.write_bytes(authority.path.read_bytes()))
    world.engine.hup()
    assert levels(world, stamped) == ([2, "B-T", "B-T"], [True])
    assert "Có dấu thời gian: chữ ký" in upload(world.portal.browser(), stamped).text
    # What is no root ends no trust.
    (world.tsa / "tsa-root.pem").unlink()
    root.write_text("no certificate")
    world.engine.hup()
    assert levels(world, stamped)[0][0] == 2
    done = world.engine.trien("audit", "--data", world.engine.data, "--tsa", world.tsa, check=False)
    assert done.returncode == 66 and f"{world.tsa} has no" in done.stderr, done.stderr
    words = [*world.engine.command()[1:], "--check-config", "--tsa", "nowhere"]
    done = world.engine.trien(*words, check=False)
    assert done.returncode == 78 and "tsa = nowhere" in done.stderr, done.stderr
    world.told(AGAIN, lambda: root.write_bytes(authority.path.read_bytes()))


def children(pid):
    """{first word: pid} of those that live."""
    out = {}
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[1]) == pid and stat[0] != "Z":
                out[(entry / "cmdline").read_bytes().split(b"\0")[0].decode()] = int(entry.name)
    return out


def test_processes_that_died(world):
    """Whoever parses what others made: ended by the kernel when memory is short, for example."""
    other, away = b"%PDF-1.7\nof another", "ask again"
    starter, = children(world.portal.process.pid).values()
    for _ in range(2):
        picture = world.me.get(f"/results/{world.issued()}/preview.png")
        assert picture.status == 200 and picture.body.startswith(b"\x89PNG"), picture
        assert away not in upload(world.portal.browser(), other).text
        helpers = children(starter)
        assert len(helpers) == 2 and "foreign" in helpers
        for pid in helpers.values():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not children(starter))
    assert away not in upload(world.portal.browser(), other).text
    assert world.me.get("/results").status == 200


def test_a_new_secret(world):
    """As the engine makes one at a start, once the newest is a year old."""
    assert world.engine.stop() == 0
    folder, now = world.engine.data / "identity", int(time.time() * 1000)

    def add():
        made = folder / f"secret-{now - 1}.bin.tmp"
        made.write_bytes(os.urandom(16))
        made.rename(folder / f"secret-{now - 1}.bin")
        # What a crash in the making of another one leaves.
        (folder / f"secret-{now}.bin.tmp").write_bytes(b"half")
    world.told(AGAIN, add)
    world.engine.start()
    new = world.issued()
    for result in (new, world.result):
        assert world.portal.browser().get(f"/V/{result}").status == 200
        assert world.me.get(f"/results/{result}").status == 200
    assert new in world.me.get("/results").text
