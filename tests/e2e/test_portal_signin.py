"""Signing in to the portal: the whole way with the built-in provider, and everything that a hostile
one, a stolen link or another's browser could try."""
import hmac
import json
import re
import threading
import time
import urllib.parse

import pytest

from fake_provider import NUMBER, Key, Provider, b64, tls_files
from harness import wait_for
from portals import HA, LEADER, MINH, NOBODY, Browser, Portal, sign_in, with_dev_provider

COOKIE, ATTEMPT = "trien", "trien-sign-in"


def who(browser):
    """The name on the page, "" for nobody."""
    page = browser.get("/")
    assert page.status == 200
    m = re.search(r"<span>([^<]*)</span>\s*<button", page.text)
    return m.group(1) if m else ""


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    with with_dev_provider(tmp_path_factory.mktemp("dev")) as portal:
        yield portal


@pytest.fixture(scope="module")
def provider():
    with Provider() as p:
        yield p


def at(folder, provider, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    return Portal(folder, portal_oidc_issuer=provider.issuer, portal_oidc_client="portal",
                  **settings)


@pytest.fixture(scope="module")
def portal(tmp_path_factory, provider):
    with at(tmp_path_factory.mktemp("portal"), provider) as p:
        yield p


@pytest.fixture
def good(provider):
    """The provider as it was, whatever a test makes of it."""
    yield provider
    provider.claims = {"citizen_id": NUMBER, "name": "Nguyễn Thị Hà"}
    provider.signed, provider.discovery, provider.answers, provider.hang = None, {}, {}, {}


# ---- the built-in provider ----

def test_a_citizen_signs_in_and_out(dev):
    b = dev.browser()
    assert who(b) == ""
    done = sign_in(b, back="/help")
    assert (done.status, done.location) == (303, "/help")
    assert "no-store" in done.headers["Cache-Control"]
    assert who(b) == HA["name"]
    line = b.set[COOKIE]
    for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in line
    assert "Secure" not in line and "Domain" not in line and "Max-Age" not in line
    assert re.fullmatch(r"[\w-]{43}", b.cookies[COOKIE])
    assert ATTEMPT not in b.cookies
    kept = dict(b.cookies)
    out = b.post("/sign-out")
    assert (out.status, out.location) == (303, "/")
    assert COOKIE not in b.cookies and who(b) == ""
    b.cookies = kept                    # a copy of it somewhere
    assert who(b) == ""
    assert HA["claims"]["citizen_id"] not in dev.log()


def test_each_sign_in_makes_a_new_session(dev):
    b = dev.browser()
    sign_in(b)
    first = b.cookies[COOKIE]
    # Whoever is signed in is not asked again; the return of a second tab renews the session.
    assert b.get("/sign-in?back=/help").location == "/help"
    other = dev.browser()
    other.cookies = {COOKIE: first, "language": "vi"}
    started = dev.browser()
    to = started.get("/sign-in").location
    b.cookies[ATTEMPT] = started.cookies[ATTEMPT]
    provider = Browser(to)
    link = re.search(r'href="(/choose\?person=1[^"]+)"', provider.get(to).text).group(1)
    done = b.get(provider.get(link.replace("&amp;", "&")).location)
    assert done.status == 303 and b.cookies[COOKIE] != first
    assert who(b) == MINH["name"] and who(other) == ""


def test_a_planted_session_cookie_is_not_taken_over(dev):
    b = dev.browser()
    b.cookies[COOKIE] = "A" * 43
    sign_in(b)
    assert b.cookies[COOKIE] != "A" * 43 and who(b) == HA["name"]


def test_sign_out_needs_the_forms_token(dev):
    b = dev.browser()
    sign_in(b)
    for form in ({"csrf": ""}, {"csrf": "x" * 43}):
        assert b.request("POST", "/sign-out", body=form).status == 403
    assert b.request("POST", "/sign-out", body={}).status == 403
    assert b.get("/sign-out").status == 405
    assert b.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert who(b) == HA["name"]


def test_who_has_neither_number_nor_role_is_turned_away(dev):
    b = dev.browser()
    done = sign_in(b, NOBODY["name"])
    assert done.status == 403 and COOKIE not in b.cookies and ATTEMPT not in b.cookies
    leader = dev.browser()
    assert sign_in(leader, LEADER["name"]).status == 303
    assert 'href="/lead"' in leader.get("/").text
    assert 'href="/lead"' not in b.get("/").text


@pytest.mark.parametrize("back", [
    "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil",
    "/\n/evil", "/\r\nX: evil", "javascript:alert(1)", "evil", "", "/../\\evil", "/é"])
def test_nobody_is_sent_elsewhere(dev, back):
    b = dev.browser()
    done = sign_in(b, back=back)
    assert done.status == 303 and done.headers.get_all("Location") == ["/"]
    assert "X" not in done.headers
    assert b.get("/sign-in?back=" + urllib.parse.quote(back, safe="")).location == "/"


def test_the_built_in_page_says_what_it_is_and_escapes(dev):
    b = dev.browser()
    to = b.get("/sign-in").location
    page = Browser(to).get(to)
    assert "thử nghiệm" in page.text and "<b>" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    b.get("/language?to=en&back=/")
    to = b.get("/sign-in").location
    assert "for tests only" in Browser(to).get(to).text
    sheet = Browser(to).get("/portal.css")
    assert sheet.status == 200 and b"--ink" in sheet.body


def test_the_built_in_provider_keeps_the_rules_too(dev):
    b = dev.browser()
    to = b.get("/sign-in").location
    provider = Browser(to)
    for old, new in (("sign-in%2Freturn", "evil"), ("trien-portal", "other"), ("S256", "plain"),
                     ("code_challenge=", "x="), ("response_type=code", "response_type=token"),
                     ("nonce=", "x="), ("state=", "x=")):
        changed = to.replace(old, new)
        assert changed != to and provider.get(changed).status == 400
        assert provider.get(changed.replace("/authorize", "/choose")).status == 400
    link = re.search(r'href="(/choose\?person=0[^"]+)"', provider.get(to).text).group(1)
    back = provider.get(link.replace("&amp;", "&")).location
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "client_id": "trien-portal",
            "redirect_uri": dev.url + "/sign-in/return", "code_verifier": "x" * 43}
    assert provider.request("POST", "/token", body=form).status == 400
    # The code is used up by that.
    assert b.get(back).status == 400
    # It says that it names itself: without that, the answer is another's.
    b = dev.browser()
    provider.get(b.get("/sign-in").location)
    back = provider.get(link.replace("&amp;", "&")).location
    assert "&iss=" in back and b.get(back.split("&iss=")[0]).status == 400
    assert provider.get(link.replace("person=0", "person=64").replace("&amp;", "&")).status == 400
    assert provider.get("/nothing").status == 404
    assert provider.request("PUT", "/token", body=b"x").status == 405
    cancel = provider.get(link.replace("person=0", "person=").replace("&amp;", "&"))
    assert "error=access_denied" in cancel.location
    assert b.get(cancel.location).status == 400     # that browser's attempt is over


def test_cancelled(dev):
    b = dev.browser()
    to = b.get("/sign-in").location
    page = Browser(to).get(to).text
    cancel = re.findall(r'href="(/choose\?client_id[^"]+)"', page)[0].replace("&amp;", "&")
    done = b.get(Browser(to).get(cancel).location)
    assert done.status == 403 and COOKIE not in b.cookies


@pytest.mark.parametrize("settings,word", [
    ({"portal_listen": "0.0.0.0:0"}, "portal_dev_provider"),
    ({"portal_listen": "[::]:0"}, "portal_dev_provider"),
    ({"portal_dev_provider": "0.0.0.0:0"}, "loopback"),
    ({"portal_dev_provider": "192.0.2.1:0"}, "loopback"),
    ({"portal_url": "https://portal.example"}, "portal_dev_provider"),
    ({"portal_url": "http://portal.example"}, "portal_dev_provider"),
    ({"portal_id_kind": "vneid"}, "portal_id_kind"),
    ({"portal_dev_people": ""}, "without portal_dev_people"),
    ({"portal_dev_people": "/none"}, "portal_dev_people = /none: unable to open"),
    ({"development": "false"}, "development"),
    ({"portal_oidc_issuer": "https://id.example", "portal_oidc_client": "p"}, "one of them"),
])
def test_the_built_in_provider_is_for_this_machine_only(tmp_path, settings, word):
    p = with_dev_provider(tmp_path / "p")
    p.settings.update(settings)
    code, text = p.check()
    assert code == 78 and word in text
    p.start(ready=False)
    assert p.process.wait(30) == 78


def test_people_that_are_none(tmp_path):
    p = with_dev_provider(tmp_path / "p")
    for text in ("", "[]", '{"people": []}', '{"people": [{"name": "x"}]}',
                 '{"people": [{"name": 1, "claims": {}}]}', '{"people": [1], "people": []}'):
        (p.folder / "people.json").write_text(text)
        p.start(ready=False)
        assert p.process.wait(30) == 78, text
        assert "portal_dev_people" in p.log()


# ---- another's provider ----

def begin(portal, back="/", **kw):
    b = portal.browser(**kw)
    to = b.get("/sign-in?back=" + urllib.parse.quote(back, safe=""))
    return b, to


def test_the_provider_is_asked_as_it_must_be(portal, good):
    b, to = begin(portal, "/help")
    assert to.status == 303
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(to.location).query))
    assert asked["scope"] == "openid profile" and asked["client_id"] == "portal"
    assert asked["redirect_uri"] == portal.url + "/sign-in/return" and asked["ui_locales"] == "vi"
    assert all(len(asked[k]) == 43 for k in ("state", "nonce", "code_challenge"))
    assert all(w in b.set[ATTEMPT] for w in ("HttpOnly", "SameSite=Lax", "Max-Age=600", "Path=/"))
    assert asked["state"] not in b.cookies[ATTEMPT]
    done = b.get(good.consent(to.location))
    assert (done.status, done.location) == (303, "/help")
    assert who(b) == "Nguyễn Thị Hà"
    form = [f for p, f, h in good.asked if p == "/token"][-1]
    assert form["client_id"] == "portal" and "client_secret" not in form


def test_a_link_of_another_browser_signs_nobody_in(portal, good):
    """Login CSRF: the attacker's own code and state, in the victim's browser."""
    attacker, to = begin(portal)
    link = good.consent(to.location)
    victim = portal.browser()
    assert victim.get(link).status == 400 and COOKIE not in victim.cookies
    victim, _ = begin(portal)
    assert victim.get(link).status == 400 and COOKIE not in victim.cookies
    assert attacker.get(link).status == 303
    # The same link again, in the same browser.
    attacker.cookies.pop(COOKIE)
    assert attacker.get(link).status == 400


def test_what_comes_back_is_looked_at(portal, good):
    for change in ({"state": None}, {"state": "x" * 43}, {"code": None}, {"code": ""},
                   {"iss": "https://evil.example"}, {"error": "access_denied", "code": None},
                   {"code": "c" * 2100}, {"code": "guessed"}):
        b, to = begin(portal)
        link = good.consent(to.location)
        parts = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query))
        parts.update(change)
        query = urllib.parse.urlencode({k: v for k, v in parts.items() if v is not None})
        done = b.get("/sign-in/return?" + query)
        assert done.status in (400, 403), (change, done)
        assert COOKIE not in b.cookies and ATTEMPT not in b.cookies


def none_token(claims):
    return b64(b'{"alg":"none"}') + "." + b64(json.dumps(claims).encode()) + "."


def hmac_token(secret):
    def make(claims):
        content = b64(b'{"alg":"HS256","kid":"k1"}') + "." + b64(json.dumps(claims).encode())
        return content + "." + b64(hmac.digest(secret(), content.encode(), "sha256"))
    return make


STRANGER, UNKNOWN, RS = Key("k1"), Key("k9"), Key("k1", "RS256")


def bad_tokens(p):
    jwk = json.dumps(p.keys[0]).encode()

    def forged(claims):
        head, body, sig = p.key.token(claims).split(".")
        other = json.dumps({**claims, "citizen_id": "001199000025"})
        return f"{head}.{b64(other.encode())}.{sig}"

    def altered(claims):
        token = p.key.token(claims)
        return token[:-10] + ("B" if token[-10] == "A" else "A") + token[-9:]

    return {
        "none": none_token,
        "hmac of the key": hmac_token(lambda: jwk),
        "hmac of nothing": hmac_token(lambda: b""),
        "another's key": STRANGER.token,
        "another's key under its own kid": UNKNOWN.token,
        "another algorithm": RS.token,
        "algorithm of another": lambda c: p.key.token(c, {"alg": "RS256"}),
        "key in the token": lambda c: STRANGER.token(c, {"jwk": STRANGER.jwk()}),
        "address of a key": lambda c: STRANGER.token(c, {"jku": p.url("/keys")}),
        "crit": lambda c: p.key.token(c, {"crit": ["exp"]}),
        "access token": lambda c: p.key.token(c, {"typ": "at+jwt"}),
        "other content": forged,
        "altered signature": altered,
        "no signature": lambda c: p.key.token(c).rsplit(".", 1)[0] + ".",
        "padding": lambda c: p.key.token(c) + "==",
        "line end": lambda c: p.key.token(c) + "\n",
        "four parts": lambda c: p.key.token(c) + ".x",
        "huge": lambda c: p.key.token({**c, "x": "y" * 20000}),
        "twice": lambda c: p.key.token(json.dumps(c)[:-1] + ', "citizen_id": "001199000025"}'),
        "no object": lambda c: p.key.token("[1]"),
        "empty": lambda c: "",
    }


BAD = sorted(bad_tokens(Provider()))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_signs_nobody_in(portal, good, name):
    good.signed = bad_tokens(good)[name]
    b, to = begin(portal)
    done = b.get(good.consent(to.location))
    assert done.status in (403, 503), done
    assert COOKIE not in b.cookies and who(b) == ""
    assert NUMBER not in portal.log() and "001199000025" not in portal.log()
    assert NUMBER not in done.text
    good.signed = None
    b, to = begin(portal)
    assert b.get(good.consent(to.location)).status == 303


@pytest.mark.parametrize("claims", [
    {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": ["portal", "other"]},
    {"aud": ["other"]}, {"aud": None}, {"azp": "other"}, {"nonce": "x"}, {"nonce": None},
    {"exp": 1}, {"exp": None}, {"exp": "never"}, {"exp": 99999999999}, {"iat": 1}, {"iat": None},
    {"iat": 99999999999}, {"nbf": 99999999999}, {"sub": None}, {"sub": ""},
    {"citizen_id": None}, {"citizen_id": "1"}, {"citizen_id": 1199000017},
    {"citizen_id": [NUMBER]}, {"events": {"logout": {}}}], ids=json.dumps)
def test_claims_that_are_not_for_us_now(portal, good, claims):
    good.claims = {**good.claims, **claims}
    b, to = begin(portal)
    done = b.get(good.consent(to.location))
    assert done.status == 403 and COOKIE not in b.cookies
    assert NUMBER not in portal.log()


def test_several_audiences_with_the_party(portal, good):
    good.claims = {**good.claims, "aud": ["portal", "other"], "azp": "portal"}
    b, to = begin(portal)
    assert b.get(good.consent(to.location)).status == 303


def test_a_new_key_is_fetched_when_it_is_met(tmp_path):
    with Provider() as p, at(tmp_path / "p", p) as portal:
        b, to = begin(portal)
        assert b.get(p.consent(to.location)).status == 303
        first, p.key = p.key, Key("k2", "RS256")
        p.keys = [p.key.jwk(), first.jwk()]
        b, to = begin(portal)
        assert b.get(p.consent(to.location)).status == 303
        # Tokens with kids that nobody has are no way to make us ask again and again.
        p.signed = Key("nobody").token
        for _ in range(8):
            b, to = begin(portal)
            assert b.get(p.consent(to.location)).status == 403
        assert sum(path == "/keys" for path, _, _ in p.asked) <= 4


def test_a_client_with_a_secret(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s:&é\n")
    secret.chmod(0o600)
    with Provider(Key("r", "RS256")) as p:
        p.secret = "s:&é"
        with at(tmp_path / "p", p, portal_oidc_secret_file=secret) as portal:
            b, to = begin(portal)
            assert b.get(p.consent(to.location)).status == 303
            p.secret = "changed"
            b, to = begin(portal)
            assert b.get(p.consent(to.location)).status == 503
            assert "invalid_client" in portal.log() and "s:&" not in portal.log()
        secret.chmod(0o644)
        q = at(tmp_path / "q", p, portal_oidc_secret_file=secret).start(ready=False)
        assert q.process.wait(30) == 78 and "chmod 600" in q.log()


def test_claims_have_the_names_that_are_configured(tmp_path):
    with Provider() as p, at(tmp_path / "p", p, portal_claim_number="/vn/id",
                             portal_claim_id_kind="/vn/kind", portal_claim_country="/vn/land",
                             portal_claim_name="full", portal_oidc_acr="loa2,loa3") as portal:
        p.claims = {"vn": {"id": "C1234567", "kind": "passport", "land": "LA"}, "full": "Somsak",
                    "acr": "loa3"}
        b, to = begin(portal)
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(to.location).query))
        assert asked["acr_values"] == "loa2 loa3"
        assert b.get(p.consent(to.location)).status == 303 and who(b) == "Somsak"
        p.claims["acr"] = "loa1"
        b, to = begin(portal)
        assert b.get(p.consent(to.location)).status == 403


def test_behind_https_the_cookies_are_the_hosts(tmp_path):
    with Provider() as p, at(tmp_path / "p", p, portal_url="https://portal.example") as portal:
        b, to = begin(portal)
        attempt, session = "__Host-" + ATTEMPT, "__Host-" + COOKIE
        assert "Secure" in b.set[attempt] and "Path=/" in b.set[attempt]
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(to.location).query))
        assert asked["redirect_uri"] == "https://portal.example/sign-in/return"
        assert b.get(p.consent(to.location)).status == 303
        assert "Secure" in b.set[session] and "Domain" not in b.set[session]
        assert who(b) == "Nguyễn Thị Hà"
        # A subdomain could set the other name.
        b.cookies = {COOKIE: b.cookies[session]}
        assert who(b) == ""


def test_a_provider_over_tls_is_who_its_ca_says(tmp_path):
    for name in ("good", "other", "elsewhere"):
        (tmp_path / name).mkdir()
    ca, *pair = tls_files(tmp_path / "good")
    other = tls_files(tmp_path / "other")[0]
    with Provider(tls=pair) as p:
        with at(tmp_path / "a", p, portal_oidc_ca=ca) as portal:
            b, to = begin(portal)
            assert to.status == 303 and b.get(p.consent(to.location)).status == 303
        # Signed by nobody whom we trust; named otherwise than it is called.
        for trusted in ({"portal_oidc_ca": other}, {}):
            with at(tmp_path / "b", p, **trusted) as portal:
                assert begin(portal)[1].status == 503
    ca, *pair = tls_files(tmp_path / "elsewhere", "elsewhere.example")
    with Provider(tls=pair) as p, at(tmp_path / "c", p, portal_oidc_ca=ca) as portal:
        assert begin(portal)[1].status == 503


# ---- a provider that is away, slow, or something else ----

@pytest.mark.parametrize("answer", [
    (500, {}, b"x"), (302, {"Location": "/elsewhere"}, b""), (200, {}, b"<html>"),
    (200, {}, b"{}"), (200, {}, b"x" * 200_000), (200, {}, b'{"id_token": 7}')],
    ids=["500", "302", "html", "empty", "huge", "number"])
def test_answers_that_are_none(portal, good, answer):
    b, to = begin(portal)
    link = good.consent(to.location)
    good.answers = {"/token": answer}
    done = b.get(link)
    assert done.status == 503 and COOKIE not in b.cookies
    assert not any(path == "/elsewhere" for path, _, _ in good.asked)


@pytest.mark.parametrize("wrong", [
    {"issuer": "https://evil.example"}, {"issuer": None}, {"token_endpoint": "http://192.0.2.1/"},
    {"token_endpoint": None}, {"authorization_endpoint": "javascript:alert(1)"},
    {"jwks_uri": "file:///etc/passwd"}, {"code_challenge_methods_supported": ["plain"]},
    {"id_token_signing_alg_values_supported": ["HS256"]}], ids=json.dumps)
def test_a_provider_that_is_something_else(tmp_path, wrong):
    with Provider() as p, at(tmp_path / "p", p) as portal:
        p.discovery = wrong
        b, to = begin(portal)
        assert to.status == 503 and ATTEMPT not in b.cookies
        p.discovery = {}
        b, to = begin(portal)
        assert to.status == 303 and b.get(p.consent(to.location)).status == 303


def test_a_hanging_provider_does_not_hold_the_portal(tmp_path):
    with Provider() as p, at(tmp_path / "p", p, portal_workers=4) as portal:
        ways = []
        for _ in range(6):
            b, to = begin(portal, timeout=60)
            ways.append((b, p.consent(to.location)))
        p.hang["/token"] = threading.Event()
        began, answers = time.monotonic(), []
        threads = [threading.Thread(target=lambda w=w: answers.append(w[0].get(w[1]).status))
                   for w in ways]
        for t in threads:
            t.start()
        wait_for(lambda: any(path == "/token" for path, _, _ in p.asked))
        for _ in range(20):             # pages that ask nobody go on, on the workers that are left
            assert portal.browser().get("/help").status == 200
        if time.monotonic() - began < 8:    # its time is not over: only half of them may wait
            assert sum(path == "/token" for path, _, _ in p.asked) <= 2
        p.hang["/token"].set()
        for t in threads:
            t.join(60)
        assert len(answers) == 6 and set(answers) <= {303, 503}


def test_a_provider_that_is_away_is_left_alone(tmp_path):
    with Provider() as p:
        issuer = p.issuer
    with Portal(tmp_path, portal_oidc_issuer=issuer, portal_oidc_client="portal") as portal:
        for _ in range(5):
            b, to = begin(portal)
            assert to.status == 503 and ATTEMPT not in b.cookies
        assert b.get("/help").status == 200
        assert "left alone" in portal.log()


@pytest.mark.parametrize("settings,word", [
    ({"portal_oidc_issuer": "http://id.example"}, "portal_oidc_issuer"),
    ({"portal_oidc_issuer": "https://id.example/?x=1"}, "portal_oidc_issuer"),
    ({"portal_oidc_issuer": "https://u:p@id.example"}, "portal_oidc_issuer"),
    ({"portal_oidc_client": ""}, "portal_oidc_client"),
    ({"portal_url": "http://ketqua.example"}, "portal_url"),
    ({"portal_listen": "0.0.0.0:0"}, "portal_url"),
    ({"portal_id_kind": "vneid"}, "portal_id_kind"),
    ({"portal_oidc_secret_file": "/none"}, "portal_oidc_secret_file = /none: cannot open"),
    ({"portal_oidc_ca": "/none"}, "portal_oidc_ca = /none: cannot open"),
    ({"portal_oidc_scope": "profile openidx"}, "openid")])
def test_settings_that_cannot_be(tmp_path, settings, word):
    p = Portal(tmp_path, portal_oidc_issuer="https://id.example", portal_oidc_client="p")
    assert p.check()[0] == 0
    p.settings.update(settings)
    code, text = p.check()
    assert code == 78 and word in text


def test_without_a_provider_nobody_signs_in(tmp_path):
    with Portal(tmp_path) as portal:
        b = portal.browser()
        assert b.get("/sign-in").status == 503 and b.get("/sign-in/return").status == 404
        assert portal.stop() == 0
