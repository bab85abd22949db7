"""A citizen's pages, on both stores: their own results and nobody else's, the file bit for bit, the
report with its evidence, who read; with the engine away, too."""
import contextlib
import hashlib
import pathlib
import re
import struct
import unicodedata

import pytest

from harness import Engine, as_case, generated, modules, store_of, wait_for
from portals import sign_in, with_dev_provider


def person(holder, name):
    return {"name": name, "about": "công dân",
            "claims": {"citizen_id": holder.number, "name": name}}


def numbered(case):
    return [h for h in case.holders if h.id_kind == 1 and h.number]


class World:
    """An engine with results of two citizens, and a portal at which both can sign in."""

    def __init__(self, folder, which):
        self.store, settings = store_of(which)
        self.engine = Engine(folder / "engine", **settings).prepare().start()
        stubs = self.engine.stubs()
        m = modules()["issuance"]
        cases = [as_case(line) for line in generated(40, seed=7)]
        cases = [c for c in cases if len(c.results) == 1 and numbered(c)]
        self.first, self.second = cases[0], next(
            c for c in cases if numbered(c)[0].number != numbered(cases[0])[0].number)
        # The first citizen has three papers more than what the sample gives.
        more = []
        for i in range(3):
            copy = type(self.first)()
            copy.CopyFrom(self.first)
            copy.code = f"{self.first.code}.{i}"
            for r in copy.results:
                if r.given_number:
                    r.given_number += 1 + i
            more.append(copy)
        # Two of them the second one holds for the first: until long ago, and still.
        for copy, year in ((more[1], 2020), (more[2], 2090)):
            guardian = copy.holders.add()
            guardian.CopyFrom(numbered(self.second)[0])
            guardian.role = 4
            getattr(guardian, "from").year = 2010
            getattr(guardian, "from").month = getattr(guardian, "from").day = 1
            guardian.to.year, guardian.to.month, guardian.to.day = year, 1, 1
        answer = stubs.issuance.SubmitBatch(
            m.SubmitBatchRequest(cases=[self.first, self.second, *more]), timeout=60)
        assert not answer.rejects, answer.rejects
        self.ids = [r.result_id for r in answer.receipts]
        self.stored = self.engine.wait_stored(stubs, self.ids)
        self.mine, self.others = [self.ids[0], *self.ids[2:]], self.ids[1]
        self.ended, self.lasting = self.ids[3], self.ids[4]
        self.people = (person(numbered(self.first)[0], "Người Một"),
                       person(numbered(self.second)[0], "Người Hai"))
        self.portal = with_dev_provider(folder / "portal", *self.people, data=self.engine.data,
                                        **settings).start()

    def signed_in(self, name="Người Một"):
        b = self.portal.browser()
        done = sign_in(b, name)
        assert done.status == 303, done
        return b


@pytest.fixture(scope="module", params=["embedded", "postgres"])
def world(request, tmp_path_factory):
    w = World(tmp_path_factory.mktemp(request.param), request.param)
    yield w
    w.portal.kill()
    w.engine.kill()


def links(text):
    return re.findall(r'<a href="/results/([0-9A-Z]{26})"', text)


def test_the_list_is_ones_own(world):
    b = world.signed_in()
    page = b.get("/results")
    assert page.status == 200, page
    assert sorted(links(page.text)) == sorted(world.mine)
    assert world.others not in page.text
    assert world.stored[world.mine[0]].number_text in page.text
    assert page.headers["Cache-Control"] == "no-store"
    other = world.signed_in("Người Hai").get("/results")
    assert sorted(links(other.text)) == sorted([world.others, world.lasting])
    # No number of a person in the page's title or in a link.
    number = numbered(world.first)[0].number
    assert number not in re.search("<title>(.*?)</title>", page.text).group(1)
    assert not [x for x in re.findall('(?:href|src|action)="([^"]+)"', page.text) if number in x]


def test_the_list_is_searched(world):
    b = world.signed_in()
    stored = world.stored[world.mine[0]]
    assert links(b.get(f"/results?q={stored.number_text.split('/')[0]}%2F").text)
    # Without its marks, as people type; the page says what the kind is called.
    name = re.search(r'lang="vi">([^<]+)</a></h2>', b.get("/results").text).group(1)
    plain = name.lower().translate(str.maketrans("đ", "d"))
    plain = "".join(c for c in unicodedata.normalize("NFD", plain) if not unicodedata.combining(c))
    found = b.get("/results?q=" + plain.replace(" ", "+"))
    assert sorted(links(found.text)) == sorted(world.mine)
    assert links(b.get("/results?q=xyzzy").text) == []
    assert links(b.get("/results?year=1999").text) == []
    assert sorted(links(b.get(f"/results?unit={stored.unit}").text)) == sorted(world.mine)
    assert links(b.get("/results?copies=1").text) == []
    assert 'name="hidden"' not in b.get("/results?q=x").text
    assert 'name="hidden" value="1"' in b.get("/results?hidden=1&q=x").text
    evil = b.get("/results?q=%22%3E%3Cscript%3E")
    assert evil.status == 200 and "<script" not in evil.text


def test_one_result(world):
    b = world.signed_in()
    id = world.mine[0]
    page = b.get(f"/results/{id}")
    assert page.status == 200, page
    r = world.stored[id]
    for text in (r.number_text, r.case_code, id, r.file_sha256.hex()):
        assert text in page.text, text
    assert len(re.findall("Ký số", page.text)) == len(r.signatures)
    shown = [f for f in world.first.results[0].fields if f.WhichOneof("value") == "text"]
    assert any(f.text in page.text for f in shown)
    english = b.get("/language?to=en&back=/results/" + id)
    assert english.location == f"/results/{id}"
    page = b.get(english.location)
    assert 'lang="en"' in page.text and "Issued by" in page.text


def test_anothers_is_like_none(world):
    b = world.signed_in()
    never = "0" * 26
    for path in ("", "/file", "/report", "/evidence/" + "ab" * 32):
        his, none = b.get(f"/results/{world.others}{path}"), b.get(f"/results/{never}{path}")
        assert his.status == none.status == 404
        assert his.text.replace(world.others, "") == none.text.replace(never, ""), path
        assert [h for h in his.headers.items() if h[0] != "Date"] == \
            [h for h in none.headers.items() if h[0] != "Date"]
        # Without sign-in nothing is said at all.
        out = world.portal.browser().get(f"/results/{world.mine[0]}{path}")
        assert out.status == 303 and out.location.startswith("/sign-in?back=")


def test_the_file_is_what_was_issued(world):
    b = world.signed_in()
    for id in world.mine:
        r = world.stored[id]
        got = b.get(f"/results/{id}/file")
        assert got.status == 200 and got.headers["Content-Type"] == "application/pdf"
        assert len(got.body) == r.file_size
        assert hashlib.sha256(got.body).digest() == r.file_sha256
        assert re.fullmatch(r'attachment; filename="[\w.-]+\.pdf"',
                            got.headers["Content-Disposition"])


def test_the_report_and_its_evidence(world):
    b = world.signed_in()
    id = world.mine[0]
    page = b.get(f"/results/{id}/report")
    assert page.status == 200, page
    assert "TOTAL-PASSED" in page.text
    shas = re.findall(rf'href="/results/{id}/evidence/([0-9a-f]{{64}})"', page.text)
    assert {s.certificate_sha256.hex() for s in world.stored[id].signatures} <= set(shas)
    kinds = set()
    for sha in set(shas):
        got = b.get(f"/results/{id}/evidence/{sha}")
        assert got.status == 200 and hashlib.sha256(got.body).hexdigest() == sha
        kinds.add(got.headers["Content-Type"])
    assert kinds == {"application/pkix-cert", "application/pkix-crl"}
    # What is kept but not of this result's signatures is nobody's to fetch here.
    assert b.get(f"/results/{id}/evidence/{world.stored[id].file_sha256.hex()}").status == 404


def test_its_first_page_as_a_picture(world):
    if not pathlib.Path("/usr/bin/pdftoppm").exists():
        pytest.skip("pdftoppm is not there")
    b = world.signed_in()
    id = world.mine[0]
    alt = re.search(r'<img src="/results/\w+/preview.png" alt="([^"]+)"',
                    b.get(f"/results/{id}").text).group(1)
    assert world.stored[id].number_text in alt
    first = b.get(f"/results/{id}/preview.png")
    assert first.status == 200 and first.headers["Content-Type"] == "image/png", first
    assert first.body.startswith(b"\x89PNG\r\n") and len(first.body) > 10_000
    width, height = struct.unpack(">II", first.body[16:24])
    assert width == 826 and 1.3 < height / width < 1.5
    assert b.get(f"/results/{id}/preview.png").body == first.body
    other = b.get(f"/results/{world.others}/preview.png")
    assert other.status == 404


def test_pictures_are_drawn_apart(world):
    """The process that draws can open neither the store nor a socket, and dies with the portal."""
    if not pathlib.Path("/usr/bin/pdftoppm").exists():
        pytest.skip("pdftoppm is not there")
    starter, = children(world.portal.process.pid)
    apart = list(children(starter))
    assert len(apart) == 2      # the other one judges files that others made
    for pid in apart:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status


def children(pid):
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[1]) == pid and stat[0] != "Z":
                yield int(entry.name)


def test_a_holding_that_ended(world):
    """A guardian sees a child's paper as long as that holding lasts: here, and by the engine."""
    b = world.signed_in("Người Hai")
    assert world.lasting in links(b.get("/results").text)
    assert b.get(f"/results/{world.lasting}").status == 200
    assert world.ended not in b.get("/results").text
    assert b.get(f"/results/{world.ended}").status == 404
    assert b.get(f"/results/{world.ended}/file").status == 404
    m = modules()["repository"]
    second = numbered(world.second)[0]
    got = world.engine.stubs().repository.ListResults(m.ListResultsRequest(
        id_kind=1, country="VN", number=second.number, as_holder=True), timeout=20)
    listed = {h.result.result_id for h in got.holdings}
    assert world.lasting in listed and world.ended not in listed


def test_who_looked(world):
    b = world.signed_in()
    assert "can-bo-7" not in b.get("/reads").text
    m = modules()["repository"]
    stubs = world.engine.stubs()
    stubs.repository.GetResult(m.GetResultRequest(
        result_id=world.mine[0], purpose=m.Purpose(purpose="Xét <b>hồ sơ</b>", legal_basis="NĐ 1",
                                                   requester="can-bo-7")), timeout=20)
    wait_for(lambda: "can-bo-7" in b.get("/reads").text, 10)
    page = b.get("/reads").text
    assert "tester" in page and world.mine[0] in page
    assert "Xét &lt;b&gt;hồ sơ&lt;/b&gt;" in page
    # What is told one is told nobody else.
    other = world.signed_in("Người Hai").get("/reads").text
    assert "can-bo-7" not in other and world.mine[0] not in other and world.others in other


def test_who_looked_at_a_childs_paper(world):
    """That is told to the guardian as long as the paper is, here and by the engine."""
    m = modules()["repository"]
    stubs = world.engine.stubs()
    for id, requester in ((world.ended, "can-bo-8"), (world.lasting, "can-bo-9")):
        stubs.repository.GetResult(m.GetResultRequest(
            result_id=id, purpose=m.Purpose(purpose="x", requester=requester)), timeout=20)
    owner, guardian = world.signed_in(), world.signed_in("Người Hai")
    wait_for(lambda: "can-bo-9" in guardian.get("/reads").text, 10)
    assert "can-bo-8" in owner.get("/reads").text and "can-bo-9" in owner.get("/reads").text
    page = guardian.get("/reads").text
    assert "can-bo-8" not in page and world.ended not in page

    def told(case, **kw):
        person = numbered(case)[0]
        return stubs.repository.ListReads(m.ListReadsRequest(
            holder=m.Person(id_kind=1, country="VN", number=person.number), **kw), timeout=20)

    assert world.ended in str(told(world.first).reads)
    reads = told(world.second)
    assert world.lasting in str(reads) and world.ended not in str(reads)
    assert "can-bo-8" not in str(reads)
    # A page of one: what is left out does not end the list.
    seen, token = [], ""
    for _ in range(200):
        answer = told(world.second, page_size=1, page_token=token)
        seen += answer.reads
        token = answer.next_page_token
        if not token:
            break
    assert [str(r) for r in seen] == [str(r) for r in reads.reads]
    # By the result all of them are told.
    by_result = stubs.repository.ListReads(m.ListReadsRequest(result_id=world.ended), timeout=20)
    assert "can-bo-8" in str(by_result)


def test_with_the_engine_away(world):
    """The last one: reading goes on while the engine is away, but what is shared is not given: its
    holder may have ended that."""
    b = world.signed_in()
    page = b.post(f"/results/{world.mine[0]}/shares",
                  {"kind": "link", "scope": "file", "seconds": 600, "views": 1}).text
    token = re.search(r"/s/([0-9A-Z]{52})", page).group(1)
    seen = world.portal.browser().request("POST", f"/s/{token}", body={})
    ticket = dict(re.findall(r'name="(id|until|ticket)" value="([^"]+)"', seen.text))
    world.engine.stop()
    assert world.portal.browser().request("POST", "/shared/file", body=ticket).status == 503
    assert sorted(links(b.get("/results").text)) == sorted(world.mine)
    assert b.get(f"/results/{world.mine[0]}").status == 200
    got = b.get(f"/results/{world.mine[0]}/file")
    assert hashlib.sha256(got.body).digest() == world.stored[world.mine[0]].file_sha256
    assert numbered(world.first)[0].number not in world.portal.log()
