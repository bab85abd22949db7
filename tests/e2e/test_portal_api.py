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
from harness import ROOT, modules
from portals import Portal
from sample import case, send

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
seen = set()            # (path of the description, status)


def pointer(*steps):
    return "urn:api#/" + "/".join(s.replace("~", "~0").replace("/", "~1") for s in steps)


def template_of(path):
    path = urllib.parse.urlsplit(path).path.removeprefix("/api/v1")
    for template in DOC["paths"]:
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            return template
    return None


def described(path, answer):
    """The answer is one that the description has."""
    template = template_of(path)
    assert template, path
    steps = ["paths", template, "get", "responses", str(answer.status)]
    response = DOC["paths"][template]["get"]["responses"].get(str(answer.status))
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
    seen.add((template, answer.status))
    return answer


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


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An engine with results of two citizens, a provider, a portal."""
    folder = tmp_path_factory.mktemp("api")
    engine = harness.Engine(folder / "e", algorithm="p256").prepare()
    try:
        engine.start()
        stubs = engine.stubs()
        receipts = send(stubs, [case(number=HA), case(number=HA), case(number=MINH)]).receipts
        engine.wait_stored(stubs, [r.result_id for r in receipts])
        with Provider() as p, Portal(
                folder, data=engine.data, schemas=engine.schemas, portal_oidc_issuer=p.issuer,
                portal_oidc_client="portal", portal_api_audience="api",
                portal_api_parties="wallet", **engine.store.settings() if engine.store else {}
                ) as portal:
            yield World(engine, stubs, p, portal, [r.result_id for r in receipts])
    finally:
        engine.kill()


class World:
    def __init__(self, engine, stubs, provider, portal, ids):
        self.engine, self.stubs, self.provider = engine, stubs, provider
        self.portal, self.ids = portal, ids

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
        with Portal(tmp_path / "b", portal_oidc_issuer=p.issuer, portal_oidc_client="portal",
                    portal_api_audience="api") as portal:
            p.answers = {"/keys": (500, {}, b"")}
            Api(portal, token).get("/me", 503)


def test_all_of_it_was_seen():
    """Runs last: the tests above met each path's good answer and what may be wrong with it."""
    if ("/openapi.json", 200) not in seen:
        pytest.skip("the other tests did not run")
    for path, item in DOC["paths"].items():
        for status in set(item["get"]["responses"]) & {"200", "404", "503"}:
            assert (path, int(status)) in seen, (path, status)
