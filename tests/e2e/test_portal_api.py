"""/api/v1/ of the portal: every answer and every error is what openapi.json says, and nobody sees
by a token what they would not see on a page."""
import hashlib
import json
import re
import time
import urllib.parse

import jsonschema
import openapi_spec_validator
import pytest
import referencing
import referencing.jsonschema

import harness
from fake_provider import Key, Provider
from harness import ROOT, UNITS, modules
from portals import Portal
from sample import case, send
from test_life import HIDDEN, RESTRICTED, get, show

FILE = ROOT / "engine/portal/openapi.json"
DOC = json.loads(FILE.read_text())


def closed(node):
    """The description without its promise that members may be added: here each has to be told."""
    if isinstance(node, list):
        return [closed(n) for n in node]
    if not isinstance(node, dict):
        return node
    out = {k: closed(v) for k, v in node.items()}
    return {"additionalProperties": False, **out} if out.get("type") == "object" else out


REGISTRY = referencing.Registry().with_resource("urn:api", referencing.Resource(
    contents=closed(DOC), specification=referencing.jsonschema.DRAFT202012))
HA, MINH = "001199000017", "001199000025"
NOWHERE = "0" * 25 + "1"
NEW = {"kind": "link", "scope": "data", "seconds": 180, "views": 1}
seen = set()            # (method, path of the description, status)


def pointer(*steps):
    return "urn:api#/" + "/".join(s.replace("~", "~0").replace("/", "~1") for s in steps)


def template_of(path):
    path = urllib.parse.urlsplit(path).path.removeprefix("/api/v1")
    for template in sorted(DOC["paths"], key=lambda t: "{" in t):
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return template
    return None


def described(path, answer, method="get"):
    """The answer is one that the description has."""
    template = template_of(path)
    assert template, path
    steps = ["paths", template, method, "responses", str(answer.status)]
    response = DOC["paths"][template][method]["responses"].get(str(answer.status))
    assert response, f"{path}: {answer.status} is not described"
    if "$ref" in response:
        steps = response["$ref"].removeprefix("#/").split("/")
        response = DOC["components"]["responses"][steps[-1]]
    for name in response.get("headers", {}):
        jsonschema.Draft202012Validator(
            {"$ref": pointer(*steps, "headers", name, "schema")}, registry=REGISTRY).validate(
                answer.headers[name])
    kind = answer.headers["Content-Type"]
    assert kind in response["content"], f"{path}: {answer.status} as {kind}"
    if kind == "application/json":
        jsonschema.Draft202012Validator(
            {"$ref": pointer(*steps, "content", kind, "schema")},
            registry=REGISTRY).validate(answer.json())
    seen.add((method, template, answer.status))
    return answer


def asked_well(path, body):
    """What is said is what the description has."""
    content = DOC["paths"][template_of(path)]["post"]["requestBody"]["content"]
    jsonschema.Draft202012Validator(
        {"$ref": pointer("paths", template_of(path), "post", "requestBody", "content",
                         "application/json", "schema")}, registry=REGISTRY).validate(body)
    assert list(content) == ["application/json"]


class Api:
    def __init__(self, portal, token=None, browser=None):
        self.browser = browser or portal.browser()
        self.headers = {"Authorization": "Bearer " + token} if token else {}

    def get(self, path, status=200):
        path = "/api/v1" + path
        answer = described(path, self.browser.get(path, headers=self.headers))
        assert answer.status == status, (path, answer)
        return answer

    def json(self, path, status=200):
        return self.get(path, status).json()

    def post(self, path, body, status=200, kind="application/json", **headers):
        path = "/api/v1" + path
        if status < 300 and kind == "application/json":
            asked_well(path, body)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.browser.request("POST", path, body=data, headers={
            **self.headers, "Content-Type": kind, **headers})
        described(path, answer, "post")
        assert answer.status == status, (path, answer)
        return answer if answer.headers["Content-Type"] != "application/json" else answer.json()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An engine with results of two citizens, a provider, a portal."""
    folder = tmp_path_factory.mktemp("api")
    engine = harness.Engine(folder / "e", algorithm="p256").prepare()
    try:
        engine.start()
        stubs = engine.stubs()
        cases = [case(number=HA), case(number=HA), case(number=MINH)]
        receipts = send(stubs, cases).receipts
        engine.wait_stored(stubs, [r.result_id for r in receipts])
        with Provider() as p, Portal(
                folder, data=engine.data, schemas=engine.schemas, portal_oidc_issuer=p.issuer,
                portal_oidc_client="portal", portal_api_audience="api",
                portal_api_parties="wallet", **engine.store.settings() if engine.store else {}
                ) as portal:
            yield World(engine, stubs, p, portal, [r.result_id for r in receipts],
                        [c.code for c in cases])
    finally:
        engine.kill()


class World:
    def __init__(self, engine, stubs, provider, portal, ids, codes):
        self.engine, self.stubs, self.provider = engine, stubs, provider
        self.portal, self.ids, self.codes = portal, ids, codes

    def token(self, number=HA, **claims):
        now = int(time.time())
        all_claims = {"iss": self.provider.issuer, "aud": "api", "sub": "s", "iat": now - 60,
                      "exp": now + 600, "citizen_id": number, "name": "Hà", **claims}
        return self.provider.key.token({k: v for k, v in all_claims.items() if v is not None})

    def api(self, number=HA, **claims):
        return Api(self.portal, self.token(number, **claims))


def test_the_description_is_one_and_is_served(world):
    openapi_spec_validator.validate(DOC)
    assert Api(world.portal).get("/openapi.json").body == FILE.read_bytes()
    routes = re.findall(r'METHOD_(\w+), V1 "([^"]+)"', (ROOT / "engine/portal/api.c").read_text())
    assert {(m.lower(), re.sub(r":(\w+)", r"{\1}", path)) for m, path in routes} == \
        {(m, path) for path, item in DOC["paths"].items() for m in item}


def test_a_token_sees_what_the_session_sees(world):
    by_token = world.api()
    browser = world.portal.browser()
    to = browser.get("/sign-in").location
    world.provider.claims = {"citizen_id": HA, "name": "Hà"}
    assert browser.get(world.provider.consent(to)).status == 303
    by_session = Api(world.portal, browser=browser)
    assert by_token.json("/me") == by_session.json("/me") == \
        {"name": "Hà", "citizen": True, "leader": False, "units": []}
    listed = by_token.json("/results")
    assert listed == by_session.json("/results")
    assert {r["id"] for r in listed["results"]} == set(world.ids[:2]) and listed["n"] == 2
    for result_id in world.ids[:2]:
        assert by_token.json(f"/results/{result_id}") == by_session.json(f"/results/{result_id}")
    # Both: the token counts.
    both = Api(world.portal, world.token(MINH), browser)
    assert [r["id"] for r in both.json("/results")["results"]] == world.ids[2:]


def test_one_result_whole(world):
    api = world.api()
    one = api.json(f"/results/{world.ids[0]}")
    file = api.get(f"/results/{world.ids[0]}/file")
    assert file.body == world.engine.download(world.stubs, world.ids[0])[0]
    assert one["file_sha256"] == hashlib.sha256(file.body).hexdigest()
    assert len(file.body) == one["file_bytes"] and file.headers["Content-Type"] == "application/pdf"
    assert {"label", "name", "value"} <= set(one["fields"][0])
    assert [e["what"] for e in one["history"]][:3] == ["accepted", "issued", "signed"]
    report = api.json(f"/results/{world.ids[0]}/report")
    assert report["verdict"] == "TOTAL-PASSED" and report["passed"]
    schema = json.loads((ROOT / "schemas/verification-report.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report["report"])
    assert report["evidence"]
    for row in report["evidence"]:
        der = api.get(f"/results/{world.ids[0]}/evidence/{row['sha256']}")
        assert hashlib.sha256(der.body).hexdigest() == row["sha256"]
        assert der.headers["Content-Type"].endswith("crl" if row["list"] else "cert")
    api.get(f"/results/{world.ids[0]}/evidence/{'0' * 64}", 404)


def test_lists_are_asked_for(world):
    api = world.api()
    year = api.json("/results")["years"][0]["value"]
    assert api.json(f"/results?year={year}")["n"] == 2
    assert api.json("/results?year=1999")["n"] == 0
    unit = api.json("/results")["units"][0]["value"]
    assert api.json(f"/results?unit={unit}&q=hon%20nhan")["n"] == 2
    assert api.json("/results?q=khong-co")["results"] == []
    assert api.json("/results?copies=1&hidden=1&page=7")["at"] == 1


def test_who_looked(world):
    m = modules()["repository"]
    world.stubs.repository.GetResult(m.GetResultRequest(result_id=world.ids[0]), timeout=20)
    rows = harness.wait_for(lambda: world.api().json("/reads")["reads"])
    assert world.ids[0] in {p["id"] for r in rows for p in r["papers"]}
    assert not world.api("001199000033").json("/reads")["reads"]


@pytest.mark.parametrize("tail", ["", "/file", "/report", "/evidence/" + "0" * 64])
def test_anothers_result_is_one_that_does_not_exist(world, tail):
    minh = world.api(MINH)
    there = minh.get(f"/results/{world.ids[0]}{tail}", 404)
    for nowhere in (NOWHERE, "x", world.ids[0][:-1]):
        assert minh.get(f"/results/{nowhere}{tail}", 404).body == there.body
    world.api(MINH).get(f"/results/{world.ids[2]}", 200)


def bad_tokens(world):
    now = int(time.time())
    return {
        "portal's own": world.token(aud="portal"),
        "no audience": world.token(aud=None),
        "another party": world.token(azp="bank"),
        "two audiences": world.token(aud=["api", "bank"]),
        "another issuer": world.token(iss="https://evil.example"),
        "over": world.token(exp=now - 120, iat=now - 600),
        "not yet": world.token(nbf=now + 600),
        "for a year": world.token(exp=now + 365 * 86400),
        "nobody": world.token(None),
        "no number": world.token("17"),
        "logout": world.token(events={"x": {}}),
        "another's key": Key("k1").token(world.provider.usual_claims("api")),
        "unknown key": Key("k9").token(world.provider.usual_claims("api")),
        "access token": world.provider.key.token(world.provider.usual_claims("api"),
                                                 {"typ": "at+jwt"}),
        "none": "eyJhbGciOiJub25lIn0.e30.",
        "garbage": "x", "three": "a.b.c",
    }


def test_tokens_that_are_not_good(world):
    assert Api(world.portal).get("/me", 401).headers["WWW-Authenticate"] == "Bearer"
    for name, token in bad_tokens(world).items():
        for path in ("/me", "/results", f"/results/{world.ids[0]}/file"):
            answer = Api(world.portal, token).get(path, 401)
            assert "invalid_token" in answer.headers["WWW-Authenticate"], name
            assert answer.json()["error"]["code"] == "UNAUTHENTICATED"
    for header in ("Basic eDp4", "Bearer", "bearer", "Token " + world.token()):
        api = Api(world.portal)
        api.headers = {"Authorization": header}
        api.get("/me", 401)
    assert HA not in world.portal.log()


def test_tokens_that_are_good(world):
    for claims in ({"aud": ["api", "x"], "azp": "wallet"}, {"azp": "api"}, {"azp": "wallet"},
                   {"nonce": "whatever"}, {"aud": ["api"]}):
        assert world.api(**claims).json("/me")["citizen"]


def test_a_leader_has_no_papers_here(world):
    leader = world.api(None, roles=["leader"], units=["ubnd-lac-xuan", "ubnd-suoi-may"])
    assert leader.json("/me") == {"name": "Hà", "citizen": False, "leader": True,
                                  "units": ["ubnd-lac-xuan", "ubnd-suoi-may"]}
    for path in ("/results", f"/results/{world.ids[0]}", f"/results/{world.ids[0]}/file",
                 f"/results/{world.ids[0]}/report", "/reads"):
        assert leader.json(path, 403)["error"]["code"] == "PERMISSION_DENIED"


def test_a_leader_sees_the_units_of_their_token(world):
    one = world.api(None, roles=["leader"], units=["ubnd-lac-xuan"]).json("/lead")
    assert [(w["ward"], [a["code"] for a in w["agencies"]]) for w in one["wards"]] == \
        [("Lạc Xuân", ["ubnd-lac-xuan"])]
    assert one["fresh"] and one["total"]["numbers"]["results"] == 3
    every = world.api(None, roles=["leader"], units=["*"]).json("/lead")
    assert every["agencies_n"] == len(list((world.engine.schemas / "agencies").glob("*.json")))
    assert every["total"] == one["total"]
    nothing = world.api(None, roles=["leader"]).json("/lead")
    assert nothing["wards"] == [] and nothing["total"]["numbers"]["results"] == 0
    assert world.api().json("/lead", 403)["error"]["code"] == "PERMISSION_DENIED"


# ---- shares ----

def test_a_share_by_link(world):
    api, viewer = world.api(), Api(world.portal)
    made = api.post(f"/results/{world.ids[0]}/shares", {**NEW, "views": 3, "scope": "file"}, 201)
    assert made["link"].endswith("/s/" + made["token"]) and "code" not in made
    look = viewer.post("/shares/use", {"token": made["token"], "look": True})
    assert (look["left"], "seen" in look, "content" in look) == (3, False, False)
    shown = viewer.post("/shares/use", {"token": made["token"]})
    one = api.json(f"/results/{world.ids[0]}")
    assert (shown["left"], shown["seen"]["number"]) == (2, one["number"])
    assert shown["content"]["fields"] == one["fields"]
    file = viewer.post("/shares/file", shown["file"])
    assert hashlib.sha256(file.body).hexdigest() == one["file_sha256"]
    for wrong in ({"ticket": "0" * 64}, {"until": "1"}, {"id": world.ids[2]}):
        viewer.post("/shares/file", {**shown["file"], **wrong}, 409)
    # The page counts the same share.
    page = viewer.browser.request("POST", f"/s/{made['token']}", body={})
    assert page.status == 200 and one["number"] in page.text
    row = next(s for s in api.json("/shares")["shares"] if s["id"] == made["share"]["id"])
    assert (row["views"], row["state"], row["number_text"]) == (2, "open", one["number"])
    seen = next(r for r in api.json("/reads")["reads"] if r["call"] == "share")
    assert (seen["share"], seen["share_scope"]) == (row["id"], "file")
    assert (seen["purpose"], seen["case"]) == ("", "")
    ended = api.post(f"/shares/{row['id']}/revoke", {})
    assert api.post(f"/shares/{row['id']}/revoke", {}) == ended
    refused = viewer.post("/shares/use", {"token": made["token"]}, 409)
    assert refused["error"]["reason"] == "SHARE_REVOKED"


def test_a_share_by_code(world):
    api, viewer = world.api(), Api(world.portal)
    made = api.post(f"/results/{world.ids[0]}/shares", {**NEW, "kind": "code", "scope": "state"},
                    201)
    assert made["link"].endswith("/V/" + world.ids[0]) and "token" not in made
    by = {"result_id": world.ids[0], "code": made["code"]}
    wrong = ("0" if made["code"][0] != "0" else "1") + made["code"][1:]
    viewer.post("/shares/use", {**by, "code": wrong}, 404)
    shown = viewer.post("/shares/use", {**by, "code": made["code"].lower()})
    assert shown["seen"]["life"] == "valid" and not {"content", "file"} & set(shown)
    again = viewer.post("/shares/use", by, 409)
    assert again["error"]["reason"] == "SHARE_USED_UP"


def test_what_is_not_shown_is_not_shared(world):
    receipt, = send(world.stubs, [case(number=HA)]).receipts
    stored = world.engine.wait_stored(world.stubs, [receipt.result_id])[receipt.result_id]
    api, viewer = world.api(), Api(world.portal)
    made = api.post(f"/results/{stored.result_id}/shares", {**NEW, "scope": "file"}, 201)
    ticket = viewer.post("/shares/use", {"token": made["token"]})["file"]
    show(world.stubs, stored, HIDDEN, number=HA)
    api.post(f"/results/{stored.result_id}/shares", NEW, 409)
    show(world.stubs, get(world.stubs, stored.result_id), RESTRICTED)
    viewer.post("/shares/file", ticket, 409)
    viewer.get(f"/lookup/{stored.result_id}", 404)


def test_only_ones_own_are_shared(world):
    api = world.api(MINH)
    there = api.post(f"/results/{world.ids[0]}/shares", NEW, 404)
    for nowhere in (NOWHERE, "x"):
        assert api.post(f"/results/{nowhere}/shares", NEW, 404) == there
    made = world.api().post(f"/results/{world.ids[0]}/shares", NEW, 201)
    api.post(f"/shares/{made['share']['id']}/revoke", {}, 404)
    assert made["share"]["id"] not in {s["id"] for s in api.json("/shares")["shares"]}
    nobody, leader = Api(world.portal), world.api(None, roles=["leader"])
    for other, status in ((nobody, 401), (leader, 403)):
        other.get("/shares", status)
        other.post(f"/results/{world.ids[0]}/shares", NEW, status)
        other.post(f"/shares/{made['share']['id']}/revoke", {}, status)


@pytest.mark.parametrize("body", [
    {**NEW, "kind": "x"}, {**NEW, "scope": 2}, {**NEW, "seconds": 0}, {**NEW, "views": 1.5},
    {**NEW, "seconds": 10 ** 9}, {**NEW, "views": None}, {**NEW, "views": [1]}, {}, [], 7,
    b"", b"{", b'{"kind":"link","kind":"link","scope":"data","seconds":9,"views":1}',
    b'{"kind":"li\\u0000nk","scope":"data","seconds":9,"views":1}', b"\xff"])
def test_a_wrong_share(world, body):
    world.api().post(f"/results/{world.ids[0]}/shares", body, 400)


def test_a_page_of_others_cannot_post(world):
    """With the citizen's cookie, what a foreign page can make a browser send does nothing."""
    browser = world.portal.browser()
    to = browser.get("/sign-in").location
    world.provider.claims = {"citizen_id": HA, "name": "Hà"}
    assert browser.get(world.provider.consent(to)).status == 303
    api, path = Api(world.portal, browser=browser), f"/results/{world.ids[0]}/shares"
    before = api.json("/shares")["shares"]
    text = urllib.parse.urlencode(NEW).encode()
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        api.post(path, text, 400, kind)
    api.post(path, NEW, 400, "text/plain")
    api.post(path, NEW, 400, "application/json-x")
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "same-site"},
                    {"Sec-Fetch-Site": "cross-site", "Origin": "null"}):
        api.post(path, NEW, 403, **headers)
    assert api.json("/shares")["shares"] == before
    api.post(path, NEW, 201, **{"Sec-Fetch-Site": "same-origin"})
    # A token is no cookie: whoever has it may say where they are.
    world.api().post(path, NEW, 201, Origin="https://elsewhere.example")


# ---- what anybody may know ----

def test_look_ups(world):
    viewer = Api(world.portal)
    r = world.stubs.repository.GetResult(modules()["repository"].GetResultRequest(
        result_id=world.ids[2]), timeout=20)
    told = viewer.json(f"/lookup/{r.result_id}")
    assert (told["id"], told["seen"]["number"]) == (r.result_id, r.number_text)
    for number in (r.number_text, r.number):
        words = urllib.parse.urlencode({"unit": r.unit, "number": number,
                                        "year": r.register_year})
        assert told["seen"] in viewer.json("/lookup?" + words)["found"]
    viewer.get(f"/lookup?unit={r.unit}&number=999999&year={r.register_year}", 404)
    for words in ("", "?unit=x", f"?unit={r.unit}&number=x&year=2026",
                  f"?unit={r.unit}&number=1&year=26"):
        viewer.get("/lookup" + words, 400)
    assert viewer.get(f"/lookup/{NOWHERE}", 404).body == viewer.get("/lookup/x", 404).body
    by = f"/verify/lookup?id={r.result_id}&sha256="
    assert viewer.json(by + r.file_sha256.hex())["result"] == told["seen"]
    assert viewer.json(by + "0" * 64) == {"known": True, "same": False}
    viewer.get(by + "z" * 64, 400)
    holder = world.api(MINH)    # who sees it once it is stored
    harness.wait_for(lambda: {"look_up", "verify"} <=
                     {x["call"] for x in holder.json("/reads")["reads"]}, 20)
    # A token that is not good opens nothing, not even what is open.
    Api(world.portal, "x").get(f"/lookup/{r.result_id}", 401)


def test_a_file_is_verified(world, tmp_path, monkeypatch):
    viewer = Api(world.portal)
    pdf = world.engine.download(world.stubs, world.ids[2])[0]
    told = viewer.post("/verify", pdf, kind="application/pdf")
    assert (told["verdict"], told["issued"], told["good"]) == ("TOTAL-PASSED", True, True)
    schema = json.loads((ROOT / "schemas/verification-report.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(told["report"])
    assert told["report"]["standing"] == "ISSUED" and told["report"]["issued"]["life"] == "VALID"
    stamping = pytest.importorskip("stamping")
    stamping.no_new_metadata(monkeypatch)
    stamped = stamping.Authority(tmp_path).stamped(pdf)
    told = viewer.post("/verify", stamped, kind="application/pdf")
    assert (told["verdict"], told["issued"], told["good"], told["changed"]) == \
        ("TOTAL-PASSED", True, True, False)
    assert told["report"]["addedBytes"] == len(stamped) - len(pdf)
    bad = bytearray(pdf)
    bad[len(bad) // 2] ^= 1
    told = viewer.post("/verify", bytes(bad), kind="application/octet-stream")
    assert told["changed"] and not told["passed"]
    for body, kind in ((b"", "application/pdf"), (pdf, "text/plain"), (pdf, "application/json")):
        viewer.post("/verify", body, 400, kind)


def test_a_case_is_followed(world):
    viewer, code = Api(world.portal), world.codes[0]
    told = viewer.post("/track", {"code": code, "digits": HA[-4:], "unit": UNITS[0]})
    assert (told["total"], told["done"], told["results"][0]["state"]) == (1, True, "stored")
    assert HA not in str(told) and world.ids[0] not in str(told)
    wrong = viewer.post("/track", {"code": code, "digits": "9999", "unit": UNITS[0]}, 404)
    assert wrong == viewer.post("/track", {"code": code + "9", "digits": HA[-4:],
                                           "unit": UNITS[0]}, 404)
    for body, why in (({"code": "X-1", "digits": "0017"}, "ask_agency"),
                      ({"code": code, "digits": "17"}, "incomplete"), ({}, "incomplete")):
        assert viewer.post("/track", body, 400)["error"]["reason"] == why


def test_look_ups_are_few(world):
    """As on the pages: of an address, and of a citizen whatever token they have."""
    page = world.portal.browser()
    serial = f"unit={UNITS[0]}&number=999999&year=2026"
    assert [page.get("/verify/number?" + serial).status for _ in range(40)][-1] == 429
    Api(world.portal, browser=page).get("/lookup?" + serial, 429)
    number = "001199000033"
    for i in range(40):        # from an address of its own each time
        api = world.api(number, jti=str(i))
        answer = api.browser.get("/api/v1/lookup?" + serial, headers=api.headers)
    assert described("/api/v1/lookup", answer).status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    Api(world.portal).get("/lookup?" + serial, 404)


def test_errors_are_json_too(world):
    error = {"$ref": pointer("components", "schemas", "Error")}
    validator = jsonschema.Draft202012Validator(error, registry=REGISTRY)
    b, auth = world.portal.browser(), {"Authorization": "Bearer " + world.token()}
    for method, path, status in (("POST", "/api/v1/results", 405), ("GET", "/api/v1/nothing", 404),
                                 ("GET", "/api/v2/me", 404), ("DELETE", "/api/v1/me", 405),
                                 ("GET", "/api/v1/results?q=%zz", 400)):
        answer = b.request(method, path, headers=auth)
        assert answer.status == status, (path, answer)
        validator.validate(answer.json())
        assert answer.headers["Cache-Control"] and answer.headers["X-Content-Type-Options"]
    described("/api/v1/results", b.get("/api/v1/results?q=%zz", headers=auth))


def test_each_token_has_its_measure(world):
    token = world.token()
    for _ in range(400):        # from an address of its own each time
        b = world.portal.browser()
        answer = described("/api/v1/me", b.get("/api/v1/me", headers={"Authorization":
                                                                      "Bearer " + token}))
        if answer.status == 429:
            break
    assert answer.status == 429
    assert world.api().json("/me")


def test_what_is_away_says_so(tmp_path):
    with Provider() as p:
        token = p.key.token({**p.usual_claims("api"), "citizen_id": HA})
        with Portal(tmp_path / "a", portal_oidc_issuer=p.issuer, portal_oidc_client="portal",
                    portal_api_audience="api") as portal:
            # No store yet.
            Api(portal, token).get("/me")
            for path in ("/results", f"/results/{NOWHERE}", "/reads", f"/results/{NOWHERE}/file",
                         f"/results/{NOWHERE}/report", f"/results/{NOWHERE}/evidence/{'0' * 64}"):
                Api(portal, token).get(path, 503)
            leader = p.key.token({**p.usual_claims("api"), "roles": ["leader"]})
            Api(portal, leader).get("/lead", 503)
            api = Api(portal, token)
            for path in ("/shares", f"/lookup/{NOWHERE}", "/lookup?unit=x&number=1&year=2026",
                         f"/verify/lookup?id={NOWHERE}&sha256={'0' * 64}"):
                api.get(path, 503)
            api.post(f"/results/{NOWHERE}/shares", NEW, 503)
            api.post(f"/shares/{NOWHERE}{'0' * 16}/revoke", {}, 503)
            api.post("/shares/use", {"token": "0" * 52}, 503)
            api.post("/track", {"code": "x", "digits": "0000", "unit": "x"}, 503)
            told = api.post("/verify", b"%PDF-1.7\n", kind="application/pdf")
            assert not told["passed"] and not told["issued"]
        with Portal(tmp_path / "b", portal_oidc_issuer=p.issuer, portal_oidc_client="portal",
                    portal_api_audience="api") as portal:
            p.answers = {"/keys": (500, {}, b"")}
            Api(portal, token).get("/me", 503)


def test_all_of_it_was_seen():
    """Runs last: the tests above met each path's good answer and what may be wrong with it."""
    if ("get", "/openapi.json", 200) not in seen:
        pytest.skip("the other tests did not run")
    for path, item in DOC["paths"].items():
        for method, of in item.items():
            for status in set(of["responses"]) & {"200", "201", "404", "409", "503"}:
                # A share or the engine that goes between a view and its file; no memory.
                if (path, status) not in (("/shares/file", "404"), ("/shares/file", "503"),
                                          ("/verify", "503")):
                    assert (method, path, int(status)) in seen, (method, path, status)
