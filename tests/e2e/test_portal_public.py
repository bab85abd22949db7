"""What anybody may do without signing in: verify a file, a print, a number; follow a case; see what
was shared. Nothing of a person is told, the wrong and the unknown are one answer, and what the
holder's log must have is not shown while the engine is away."""
import hashlib
import re
import urllib.parse
import uuid

import pytest

from harness import UNITS, store_of, wait_for
from portals import Portal
from test_portal_pages import World, numbered

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", params=["embedded", "postgres"])
def world(request, tmp_path_factory):
    w = World(tmp_path_factory.mktemp("public"), request.param)
    yield w
    w.portal.kill()
    w.engine.kill()


@pytest.fixture
def visitor(world):
    return world.portal.browser()


def upload(browser, pdf, **fields):
    boundary = uuid.uuid4().hex
    parts = b""
    for name, value in fields.items():
        parts += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
                  f'{value}\r\n').encode()
    parts += (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
              'Content-Type: application/pdf\r\n\r\n').encode() + pdf + \
        f"\r\n--{boundary}--\r\n".encode()
    return browser.request("POST", "/verify", body=parts, headers={
        "Content-Type": f"multipart/form-data; boundary={boundary}"})


def names(world):
    """Of all holders, and their numbers: none may be on a public page."""
    return [t for c in (world.first, world.second) for h in c.holders
            for t in (h.name, h.number) if t]


def tells_nobody(world, answer):
    for text in names(world):
        assert text not in answer.text, text


# ---- verify ----

def test_the_issued_file(world, visitor):
    pdf = world.engine.download(world.engine.stubs(), world.others)[0]
    page = upload(visitor, pdf)
    assert page.status == 200
    assert 'class="note good"' in page.text
    assert "TOTAL-PASSED" in page.text and hashlib.sha256(pdf).hexdigest() in page.text
    assert page.text.count("<li>") >= 3
    reads = world.signed_in("Người Hai").get("/reads").text
    assert re.search("kiểm tra", reads, re.I)


def test_a_changed_file(world, visitor):
    pdf = bytearray(world.engine.download(world.engine.stubs(), world.others)[0])
    pdf[len(pdf) // 2] ^= 1
    page = upload(visitor, bytes(pdf))
    assert page.status == 200 and 'class="note bad"' in page.text
    assert "TOTAL-PASSED" not in page.text.split("<h2>")[1]


@pytest.mark.parametrize("file", [b"%PDF-1.7\n", b"\x00" * 100000, b"GIF89a", b"%PDF-1.4\n" * 5000])
def test_what_is_no_document(visitor, file):
    page = upload(visitor, file)
    assert page.status == 200 and 'class="note good"' not in page.text


def test_no_file(visitor):
    assert upload(visitor, b"").status == 400
    assert visitor.request("POST", "/verify", body={"x": "1"}).status in (400, 413)
    assert visitor.request("POST", "/verify", body=b"--x", headers={
        "Content-Type": "multipart/form-data; boundary=x"}).status == 400


def test_a_file_of_elsewhere_is_not_posted(visitor):
    assert visitor.request("POST", "/verify", body={"x": "1"},
                           headers={"Origin": "https://elsewhere.example"}).status == 403


def test_by_id_and_hash_without_the_file(world, visitor):
    pdf = world.engine.download(world.engine.stubs(), world.others)[0]
    hashed = hashlib.sha256(pdf).hexdigest()
    raw = re.findall(rb"/ID\s*\[\s*<([0-9A-Fa-f]{32})>", pdf)[-1].decode()
    for name in (world.others, raw):
        said = visitor.get(f"/verify/lookup?id={name}&sha256={hashed}").json()
        assert said["known"] and said["same"] and said["result"]["life"] == "valid"
    said = visitor.get(f"/verify/lookup?id={world.others}&sha256={'0' * 64}").json()
    assert said == {"known": True, "same": False}
    said = visitor.get(f"/verify/lookup?id={'0' * 26}&sha256={hashed}").json()
    assert said == {"known": False, "same": False}
    for query in ("", "?id=1", f"?id={world.others}&sha256=zz", f"?sha256={hashed}"):
        assert visitor.get("/verify/lookup" + query).status == 400


# ---- the print ----

def test_the_print(world, visitor):
    result = world.stored[world.others]
    page = visitor.get(f"/V/{world.others}")
    assert page.status == 200
    assert result.number_text in page.text and "Còn hiệu lực" in page.text
    tells_nobody(world, page)
    assert visitor.get("/V/" + "0" * 26).status == 404
    assert visitor.get("/V/short").status == 404


# ---- by number ----

def by_number(visitor, unit, number, year):
    return visitor.get("/verify/number?" + urllib.parse.urlencode(
        {"unit": unit, "number": number, "year": year}))


def test_by_number(world, visitor):
    r = world.stored[world.others]
    for number in (r.number_text, str(r.number)):
        page = by_number(visitor, r.unit, number, r.register_year)
        assert page.status == 200 and r.number_text in page.text
        tells_nobody(world, page)
    for unit, number, year in ((r.unit, "999999", r.register_year), ("nobody", "1", "2026"),
                               (r.unit, r.number_text + "X", r.register_year),
                               (r.unit, str(r.number), "1999")):
        assert by_number(visitor, unit, number, year).status == 404
    for unit, number, year in ((r.unit, "", "2026"), (r.unit, "x7", "2026"), (r.unit, "7", "26"),
                               (r.unit, "1234567890", "2026")):
        assert by_number(visitor, unit, number, year).status == 400


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\"><img src=x>", "' onx='"])
def test_what_is_typed_is_text(visitor, text):
    quoted = urllib.parse.quote(text)
    for page in (visitor.get(f"/verify/number?unit={quoted}&number={quoted}&year={quoted}"),
                 visitor.request("POST", "/track", body={"code": text, "digits": text,
                                                         "unit": text})):
        assert page.status == 400
        assert text not in page.text


# ---- a case ----

def track(visitor, code, digits, unit=""):
    return visitor.request("POST", "/track", body={"code": code, "digits": digits, "unit": unit})


def test_a_case(world, visitor):
    assert visitor.get("/track").status == 200
    digits = numbered(world.second)[0].number[-4:]
    page = track(visitor, world.second.code, digits)
    assert page.status == 200 and "Đã cấp" in page.text
    tells_nobody(world, page)
    assert world.others not in page.text and world.stored[world.others].number_text not in page.text
    wrong = track(visitor, world.second.code, f"{(int(digits) + 1) % 10000:04}")
    unknown = track(visitor, world.second.code + "9", digits)
    assert wrong.status == unknown.status == 404
    assert wrong.text.replace(world.second.code, "") == \
        unknown.text.replace(world.second.code + "9", "")
    assert track(visitor, "X-1", digits).status == 400      # of which agency?
    assert track(visitor, world.second.code, "12345").status == 400
    assert track(visitor, world.second.code, digits, world.second.results[0].unit).status == 200


# ---- sharing ----

def share(citizen, result, kind="link", scope="data", seconds=180, views=1):
    return citizen.post(f"/results/{result}/shares", {
        "kind": kind, "scope": scope, "seconds": seconds, "views": views})


def token_of(page):
    return re.search(r'value="http://[^"]*/s/([0-9A-Z]+)"', page.text).group(1)


def test_a_link(world, visitor):
    citizen = world.signed_in()
    page = share(citizen, world.mine[0], views=2)
    assert page.status == 201 and "<svg" in page.text
    token = token_of(page)
    for path in (f"/s/{token}", f"/S/{token}"):
        asked = visitor.get(path)
        assert asked.status == 200
        tells_nobody(world, asked)
    for left in (1, 0):
        seen = visitor.request("POST", f"/s/{token}", body={})
        assert seen.status == 200 and world.stored[world.mine[0]].number_text in seen.text
        assert "/shared/file" not in seen.text
    assert visitor.request("POST", f"/s/{token}", body={}).status == 409
    assert visitor.get(f"/s/{token}").status == 409
    assert visitor.get("/s/" + "0" * 52).status == visitor.get("/s/x").status == 404
    # Noted before it was shown; a portal looks into the store every few milliseconds.
    wait_for(lambda: citizen.get("/reads").text.count("Xem qua chia sẻ") == 2)
    reads = citizen.get("/reads").text
    assert reads.count("<dt>Người xem được thấy</dt>") == 2
    assert "<dt>Mục đích</dt><dd>2</dd>" not in reads
    assert "Đã hết lượt xem" in citizen.get("/shares").text


def test_what_cannot_be_shown_is_not_used_up(world, visitor, tmp_path):
    """A portal whose store is away, beside an engine whose store is not."""
    token = token_of(share(world.signed_in(), world.mine[0], views=1))
    with Portal(tmp_path, data=world.engine.data, store="postgres",
                postgres="host=/nowhere dbname=none") as other:
        assert other.browser().get(f"/s/{token}").status == 200
        for _ in range(2):
            assert other.browser().request("POST", f"/s/{token}", body={}).status == 503
    assert visitor.request("POST", f"/s/{token}", body={}).status == 200


def test_scopes_and_the_file(world, visitor):
    citizen = world.signed_in()
    state = token_of(share(citizen, world.mine[1], scope="state"))
    seen = visitor.request("POST", f"/s/{state}", body={})
    assert seen.status == 200
    tells_nobody(world, seen)
    whole = token_of(share(citizen, world.mine[1], scope="file"))
    seen = visitor.request("POST", f"/s/{whole}", body={})
    form = dict(re.findall(r'name="(id|until|ticket)" value="([^"]+)"', seen.text))
    pdf = visitor.request("POST", "/shared/file", body=form)
    assert pdf.status == 200
    assert pdf.body == world.engine.download(world.engine.stubs(), world.mine[1])[0]
    # By the share: ended, it gives nothing more to whoever saw it before.
    more = token_of(share(citizen, world.mine[1], scope="file", views=2))
    seen = visitor.request("POST", f"/s/{more}", body={})
    later = dict(re.findall(r'name="(id|until|ticket)" value="([^"]+)"', seen.text))
    assert visitor.request("POST", "/shared/file", body=later).status == 200
    assert citizen.post(f"/shares/{later['id']}/revoke").status == 303
    gone = visitor.request("POST", "/shared/file", body=later)
    assert gone.status == 409 and "thu hồi" in gone.text
    for name, value in (("id", later["id"]), ("until", str(int(form["until"]) + 1)),
                        ("ticket", "0" * 64)):
        assert visitor.request("POST", "/shared/file", body={**form, name: value}).status == 409


def test_a_code(world, visitor):
    page = share(world.signed_in(), world.mine[2], kind="code")
    code = re.search(r'class="secret code">([^<]+)<', page.text).group(1)
    path = f"/V/{world.mine[2]}/code"
    wrong = visitor.request("POST", path, body={"code": "00000000"})
    assert wrong.status == 303 and "wrong" in wrong.location
    assert "không đúng" in visitor.get(wrong.location).text
    seen = visitor.request("POST", path, body={"code": code.lower()})
    assert seen.status == 200
    assert world.stored[world.mine[2]].number_text in seen.text


def test_a_share_is_ended(world, visitor):
    citizen = world.signed_in()
    token = token_of(share(citizen, world.mine[3], seconds=86400, views=10))
    ends = re.findall(r'action="(/shares/[^"]+/revoke)"', citizen.get("/shares").text)
    for path in ends:
        assert citizen.post(path).status == 303
    assert visitor.request("POST", f"/s/{token}", body={}).status == 409
    assert "Đã thu hồi" in citizen.get("/shares").text


def test_a_share_expires(world, visitor):
    token = token_of(share(world.signed_in(), world.mine[0], seconds=1))
    wait_for(lambda: visitor.get(f"/s/{token}").status == 409, every=0.5)
    assert "hết hạn" in visitor.get(f"/s/{token}").text


def test_shares_refused(world):
    citizen = world.signed_in()
    assert share(citizen, world.others).status == 404
    assert share(citizen, "0" * 26).status == share(citizen, "x").status == 404
    for wrong in ({"kind": "x"}, {"scope": "x"}, {"seconds": 0}, {"seconds": 10**9}, {"views": 0},
                  {"views": "a"}):
        assert share(citizen, world.mine[0], **wrong).status == 400
    assert citizen.request("POST", f"/results/{world.mine[0]}/shares",
                           body={"kind": "link"}).status == 403
    assert world.portal.browser().get("/shares").status == 303


# ---- limits ----

def test_looking_up_is_limited(world):
    visitor = world.portal.browser()
    serial = f"/verify/number?unit={UNITS[0]}&number=999999&year=2026"
    answers = [visitor.get(serial) for _ in range(40)]
    assert answers[0].status == 404 and answers[-1].status == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert world.portal.browser().get(serial).status == 404
    # At a counter all telephones have one address: what is on the print is no number to be tried.
    assert {visitor.get("/V/" + "0" * 26).status for _ in range(100)} == {404}


def test_whoever_types_wrong_digits_keeps_nobody_else_out(world):
    """Codes are serial: anybody knows one."""
    code, visitor = world.second.code, world.portal.browser()
    right = [h.number[-4:] for h in numbered(world.second)]
    wrong = [d for d in map("{:04}".format, range(20)) if d not in right]
    tried = [track(visitor, code, d) for d in wrong[:6]]
    assert [t.status for t in tried] == [404] * 5 + [429]
    wait = int(tried[-1].headers["Retry-After"])
    assert wait > 100 and f"sau {-(-wait // 60)} phút" in tried[-1].text
    # The right ones, too: else the answer would tell them.
    assert track(visitor, code, right[0]).status == 429
    assert track(world.portal.browser(), code, right[0]).status == 200
    assert track(visitor, code + "9", wrong[0]).status == 404


def test_the_digits_of_a_case_are_not_tried_from_many_addresses(world):
    code, holder = world.first.code, numbered(world.first)[0].number[-4:]
    wrong = f"{(int(holder) + 1) % 10000:04}"
    tried = [track(world.portal.browser(), code, wrong).status for _ in range(120)]
    assert 20 < tried.count(404) < 120 and set(tried[tried.index(429):]) == {429}
    locked = track(world.portal.browser(), code, holder)
    assert locked.status == 429 and int(locked.headers["Retry-After"]) > 100
    assert track(world.portal.browser(), code + "9", wrong).status == 404
    # Whoever signs in as its holder tries nothing.
    me = world.signed_in()
    assert me.post("/track", {"code": code, "digits": holder}).status == 200
    assert me.post("/track", {"code": code, "digits": wrong}).status == 429


def test_who_signs_in_again_is_the_same_person(world):
    """Otherwise each sign-in would give a new try at what is serial."""
    seen = []
    for _ in range(4):
        b = world.signed_in("Người Hai")
        seen += [b.get(f"/verify/number?unit={UNITS[0]}&number=999999&year=2026").status
                 for _ in range(15)]
    assert seen[0] == 404 and seen[-1] == 429


# ---- the engine is away; the last test ----

def test_without_the_engine(world, visitor):
    citizen = world.signed_in()
    token = token_of(share(citizen, world.mine[0]))
    pdf = world.engine.download(world.engine.stubs(), world.mine[0])[0]
    world.engine.stop()
    assert visitor.get(f"/V/{world.mine[0]}").status == 200
    assert 'class="note good"' in upload(visitor, pdf).text
    assert citizen.get(f"/results/{world.mine[0]}").status == 200
    for answer in (visitor.get(f"/s/{token}"), visitor.request("POST", f"/s/{token}", body={}),
                   share(citizen, world.mine[0]), citizen.get("/shares"),
                   track(visitor, world.second.code, "0000")):
        assert answer.status == 503
    world.engine.start(registers=False)
    wait_for(lambda: visitor.request("POST", f"/s/{token}", body={}).status == 200, every=0.5)
