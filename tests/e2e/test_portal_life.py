"""What became of a result, at each of the doors of the portal: restricted, hidden by its holder,
revoked, expired. Both stores; JSON as the pages."""
import hashlib
import re
import urllib.parse

import pytest

from harness import ROOT, Engine, store_of, wait_for
from portals import sign_in, with_dev_provider
from sample import case, over, send
from test_life import HIDDEN, RESTRICTED, SHOWN, get, revoke, show
from test_portal_public import share, token_of, upload

pytestmark = pytest.mark.timeout(300)
NUMBER = "001099000777"
ME = {"name": "Người Có Giấy", "about": "công dân",
      "claims": {"citizen_id": NUMBER, "name": "Người Có Giấy"}}
NEVER = "0" * 26


class World:
    def __init__(self, folder, which):
        _, settings = store_of(which)
        self.engine = Engine(folder / "engine", **settings).prepare().start()
        self.stubs = self.engine.stubs()
        receipts = send(self.stubs, [case(number=NUMBER), case(number=NUMBER), case(number=NUMBER),
                                     over(NUMBER)]).receipts
        ids = [r.result_id for r in receipts]
        self.stored = self.engine.wait_stored(self.stubs, ids)
        self.restricted, self.hidden, self.revoked, self.expired = ids
        self.portal = with_dev_provider(folder / "portal", ME, data=self.engine.data,
                                        **settings).start()

    def signed_in(self):
        b = self.portal.browser()
        assert sign_in(b, ME["name"]).status == 303
        return b

    def file(self, result):
        return self.engine.download(self.stubs, result)[0]


@pytest.fixture(scope="module", params=["embedded", "postgres"])
def world(request, tmp_path_factory):
    w = World(tmp_path_factory.mktemp(request.param), request.param)
    yield w
    w.portal.kill()
    w.engine.kill()


def by_number(browser, r):
    return browser.get("/verify/number?" + urllib.parse.urlencode(
        {"unit": r.unit, "number": r.number_text, "year": r.register_year}))


def test_restricted_is_as_if_it_were_not_there(world):
    result, pdf = world.restricted, world.file(world.restricted)
    r, hashed = world.stored[result], hashlib.sha256(pdf).hexdigest()
    me, visitor = world.signed_in(), world.portal.browser()
    link = token_of(share(me, result, seconds=3600, views=10, scope="file"))
    seen = visitor.request("POST", f"/s/{link}", body={})
    ticket = dict(re.findall(r'name="(id|until|ticket)" value="([^"]+)"', seen.text))
    assert visitor.request("POST", "/shared/file", body=ticket).body == pdf

    show(world.stubs, get(world.stubs, result), RESTRICTED)
    # A reader of the store may be some milliseconds behind.
    wait_for(lambda: result not in me.get("/results").text, 10)
    assert result not in me.get("/results?hidden=1").text
    assert result not in me.get("/api/v1/results").text
    for path in ("", "/file", "/report", "/preview.png",
                 f"/evidence/{r.signatures[0].certificate_sha256.hex()}"):
        for below in ("", "/api/v1"):
            mine, none = (me.get(f"{below}/results/{x}{path}") for x in (result, NEVER))
            assert mine.status == none.status == 404, path
            assert mine.text.replace(result, "") == none.text.replace(NEVER, "")
    assert share(me, result).status == share(me, NEVER).status == 404
    assert me.get("/reads").status == 200
    # What was shared before shows nothing, not even the file of a view from before.
    assert visitor.get(f"/s/{link}").status == 409
    assert visitor.request("POST", f"/s/{link}", body={}).status == 409
    assert visitor.request("POST", "/shared/file", body=ticket).status == 409
    for mine, none in ((visitor.get(f"/V/{result}"), visitor.get(f"/V/{NEVER}")),
                       (visitor.get(f"/api/v1/lookup/{result}"),
                        visitor.get(f"/api/v1/lookup/{NEVER}"))):
        assert mine.status == none.status == 404
        assert mine.text.replace(result, "") == none.text.replace(NEVER, "")
    assert by_number(visitor, r).status == 404
    assert visitor.get(f"/verify/lookup?id={result}&sha256={hashed}").json() == \
        {"known": False, "same": False}
    # Its signatures are as good as they were; the portal does not know it.
    page = upload(visitor, pdf)
    assert 'class="note good"' not in page.text and "Hệ thống không có kết quả này." in page.text

    show(world.stubs, get(world.stubs, result), SHOWN)
    wait_for(lambda: result in me.get("/results").text, 10)
    assert me.get(f"/results/{result}").status == 200
    assert visitor.get(f"/s/{link}").status == visitor.get(f"/V/{result}").status == 200
    assert 'class="note good"' in upload(world.portal.browser(), pdf).text


def test_hidden_by_its_holder(world):
    """For their own list, and shares; whoever has the print may still ask whether it is genuine."""
    result, me, visitor = world.hidden, world.signed_in(), world.portal.browser()
    link = token_of(share(me, result, seconds=3600, views=10))
    show(world.stubs, get(world.stubs, result), HIDDEN, number=NUMBER)
    wait_for(lambda: result not in me.get("/results").text, 10)
    assert result in me.get("/results?hidden=1").text
    assert me.get(f"/results/{result}").status == 200
    assert visitor.get(f"/s/{link}").status == 409
    assert visitor.request("POST", f"/s/{link}", body={}).status == 409
    refused = share(me, result)
    assert refused.status == 409 and "Nếu bạn đã ẩn nó" in refused.text
    assert visitor.get(f"/V/{result}").status == 200
    show(world.stubs, get(world.stubs, result), SHOWN, number=NUMBER)
    wait_for(lambda: result in me.get("/results").text, 10)
    assert visitor.get(f"/s/{link}").status == 200


def test_revoked(world):
    result, pdf = world.revoked, world.file(world.revoked)
    revoke(world.stubs, get(world.stubs, result), ground="Khai man nơi cư trú")
    me, visitor = world.signed_in(), world.portal.browser()
    link = token_of(share(me, result, views=2))
    wait_for(lambda: "Đã bị thu hồi" in me.get(f"/results/{result}").text, 10)
    mine = me.get(f"/results/{result}").text
    assert "Đã bị thu hồi" in mine and "Khai man nơi cư trú" in mine
    pages = [visitor.get(f"/V/{result}"), by_number(visitor, world.stored[result]),
             upload(visitor, pdf), visitor.request("POST", f"/s/{link}", body={})]
    for page in pages:
        assert page.status == 200 and 'class="note good"' not in page.text
        # Which paper, to whoever asks; why, to its holder.
        assert "45/QĐ-UBND" in page.text and "Khai man" not in page.text
    said = re.findall(r"<li>([^<]+)</li>", pages[2].text)
    assert re.fullmatch(r"Đã bị thu hồi theo quyết định số 45/QĐ-UBND ngày [\d/]{10}\.", said[2])
    assert "TOTAL-PASSED" in pages[2].text      # unchanged it is


def test_expired(world):
    """By the calendar: nobody wrote it down."""
    result, pdf = world.expired, world.file(world.expired)
    me, visitor = world.signed_in(), world.portal.browser()
    day = world.stored[result].valid_until
    day = f"{day.day:02}/{day.month:02}/{day.year}"
    for page in (me.get("/results"), me.get(f"/results/{result}"), visitor.get(f"/V/{result}"),
                 by_number(visitor, world.stored[result])):
        assert page.status == 200 and "Hết hiệu lực" in page.text, page
    assert me.get(f"/api/v1/results/{result}").json()["life"] == "expired"
    assert '"life":"expired"' in visitor.get(f"/api/v1/lookup/{result}").text
    page = upload(visitor, pdf).text
    assert f"Đã hết hiệu lực; ngày cuối cùng là {day}." in page
    assert 'class="note good"' not in page


def test_each_form_has_its_token(world):
    """What is posted with a session's cookie but without the session's token does nothing."""
    me = world.signed_in()
    source = "".join(p.read_text() for p in (ROOT / "engine" / "portal").glob("*.c"))
    posts = re.findall(r'\{ METHOD_POST, "([^"]+)"', source)
    assert {"/sign-out", "/verify", "/track", "/s/:token", "/V/:id/code", "/shared/file",
            "/results/:id/shares", "/shares/:id/revoke"} <= set(posts)
    for path in posts:
        path = re.sub(":[a-z]+", world.hidden, path)
        for form in ({}, {"csrf": "x" * 43}, {"csrf": ""}):
            refused = me.request("POST", path, body=form)
            assert refused.status == 403 and "Biểu mẫu không đến từ trang này" in refused.text, path
    for path in re.findall(r'\{ METHOD_POST, V1 "([^"]+)"', source):
        path = "/api/v1" + re.sub(":[a-z]+", world.hidden, path)
        for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; "
                     "boundary=x"):
            assert me.request("POST", path, body=b'{"kind": "link"}', headers={
                "Content-Type": kind}).status == 400, path
    assert me.get("/results").status == 200     # and nobody is signed out


def test_what_is_told_of_the_public(world):
    """Each look of this test stands where the holder sees it."""
    me, visitor = world.signed_in(), world.portal.browser()
    pdf = world.file(world.hidden)      # a read of its own

    def newest():
        rows = me.get("/api/v1/reads").json()["reads"][:3]
        return sorted(r["call"] for r in rows if [p["id"] for p in r["papers"]] == [world.hidden])

    assert visitor.get(f"/V/{world.hidden}").status == 200
    assert by_number(visitor, world.stored[world.hidden]).status == 200
    assert upload(visitor, pdf).status == 200
    wait_for(lambda: newest() == ["look_up", "look_up", "verify"], 20, 0.5)
