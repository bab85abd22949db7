"""The leaders' page: today's numbers as the engine counts them, for whom they are meant."""
import datetime
import json
import re
import shutil
import time
import xml.dom.minidom
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness
from portals import HA, LEADER, Browser, sign_in, with_dev_provider
from sample import UNITS, case, send

WARD = {"name": "Đỗ Vinh", "about": "lãnh đạo xã",
        "claims": {"name": "Đỗ Vinh", "roles": ["leader"], "units": [UNITS[1]]}}
NONE = {"name": "Vũ Không", "about": "lãnh đạo",
        "claims": {"name": "Vũ Không", "roles": ["leader"]}}


def due(c, days):
    c.facts.due_time.FromSeconds(int(time.time()) + days * 86400)
    c.facts.channel = 1
    return c


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Four results of one ward, one of them late; one of another."""
    folder = tmp_path_factory.mktemp("lead")
    engine = harness.Engine(folder / "e", algorithm="p256").prepare()
    try:
        engine.start()
        stubs = engine.stubs()
        receipts = send(stubs, [due(case(), 2), due(case(), 2), due(case(), -2), case(),
                                due(case(unit=UNITS[1]), 3)]).receipts
        engine.wait_stored(stubs, [r.result_id for r in receipts])
        with with_dev_provider(folder / "p", LEADER, WARD, NONE, HA, data=engine.data,
                               schemas=engine.schemas,
                               **engine.store.settings() if engine.store else {}) as portal:
            yield engine, stubs, portal
    finally:
        engine.kill()


def leader(portal, name=LEADER["name"]):
    browser = portal.browser()
    assert sign_in(browser, name).status == 303
    return browser


def pictures(text):
    """All of a page's SVG, each well-formed."""
    found = re.findall(r"<svg.*?</svg>", text, re.S)
    return [xml.dom.minidom.parseString(svg).documentElement for svg in found]


def labels(text):
    return [p.getAttribute("aria-label") for p in pictures(text) if p.getAttribute("aria-label")]


def test_numbers_are_the_engines(world):
    _, stubs, portal = world
    model = leader(portal).get("/api/v1/lead").json()
    m = harness.modules()
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).date()
    day = m["case"].Date(year=today.year, month=today.month, day=today.day)
    told = stubs.audit.GetStatistics(
        m["audit"].GetStatisticsRequest(**{"from": day, "to": day}, period=1, pending=True),
        timeout=20)
    total = model["total"]
    for name, value in total["numbers"].items():
        if not name.startswith("pending"):
            assert value == getattr(told.total, name), name
    assert total["numbers"]["results"] == 5 and total["numbers"]["late"] == 1
    assert total["numbers"]["pending"] == told.pending_total.pending
    for ours, theirs in (("on_time", told.rates.on_time), ("electronic", told.rates.e_results)):
        assert total[ours] == {"part": theirs.part, "whole": theirs.whole,
                               "per_10000": theirs.per_10000}
    by_unit = {a["code"]: a["numbers"]["results"] for w in model["wards"] for a in w["agencies"]}
    assert {u: n for u, n in by_unit.items() if n} == {UNITS[0]: 4, UNITS[1]: 1}
    assert set(by_unit) == {f.stem for f in (world[0].schemas / "agencies").glob("*.json")}


def test_page_has_pictures_that_say_what_they_show(world):
    browser = leader(world[2])
    page = browser.get("/lead")
    assert page.status == 200 and page.headers["Cache-Control"] == "no-store"
    assert 'Tỷ lệ đúng hạn 75 %: 3 trên 4 kết quả có hạn trả' in labels(page.text)
    assert all(p.getAttribute("role") == "img" or p.getAttribute("aria-hidden") == "true"
               for p in pictures(page.text))
    assert "phường Lạc Xuân" in page.text and "xã Suối Mây" in page.text
    assert " style=" not in page.text and "<style" not in page.text
    rects = [r for p in pictures(page.text) for r in p.getElementsByTagName("rect")]
    assert {"late", "early", "track"} <= {r.getAttribute("class") for r in rects}
    # By itself: without script by the page, with it by the script, and not where it is unwanted.
    assert '<noscript><meta http-equiv="refresh" content="60"></noscript>' in page.text
    assert browser.get("/assets/lead.js").status == 200 and "/assets/lead.js" in page.text
    still = browser.get("/lead?still=1").text
    assert "refresh" not in still and "lead.js" not in still
    browser.get("/language?to=en&back=/lead")
    assert "On time 75%: 3 of 4 results that had a due time" in labels(browser.get("/lead").text)


def test_whose_page_it_is(world):
    portal = world[2]
    ward = leader(portal, WARD["name"]).get("/lead").text
    assert "xã Suối Mây" in ward and "phường Lạc Xuân" not in ward
    assert "Tỷ lệ đúng hạn 100 %: 1 trên 1 kết quả có hạn trả" in labels(ward)
    nobody = leader(portal, NONE["name"]).get("/lead")
    assert nobody.status == 200 and "chưa được giao" in nobody.text and "Mây" not in nobody.text
    assert leader(portal, HA["name"]).get("/lead").status == 403
    out = portal.browser().get("/lead")
    assert out.status == 303 and out.location.startswith("/sign-in")


def test_one_ward(world):
    browser = leader(world[2])
    text = browser.get("/lead?ward=L%E1%BA%A1c%20Xu%C3%A2n").text
    assert "phường Lạc Xuân" in text and "Suối Mây" not in text
    there = leader(world[2], WARD["name"])
    assert there.get("/lead?ward=L%E1%BA%A1c%20Xu%C3%A2n").status == 404
    assert browser.get("/lead?ward=%3Cb%3E").status == 404


def test_a_province(world, tmp_path):
    """Too many agencies for one page: wards are drawn, and each by itself when it is chosen."""
    engine = world[0]
    schemas = tmp_path / "schemas"
    shutil.copytree(engine.schemas, schemas)
    like = json.loads((schemas / "agencies" / f"{UNITS[0]}.json").read_text())
    for i in range(310):
        code = f"xa-{i:03}"
        version = {**like["versions"][0], "name": f"UBND xã {i:03}", "place": f"Zế {i:03}"}
        version = {k: v for k, v in version.items() if k not in ("seal", "aliases", "org_code")}
        (schemas / "agencies" / f"{code}.json").write_text(
            json.dumps({"code": code, "versions": [version]}))
    with with_dev_provider(tmp_path / "p", LEADER, data=engine.data, schemas=schemas,
                           **engine.store.settings() if engine.store else {}) as portal:
        browser = leader(portal)
        page = browser.get("/lead").text
        links = re.findall(r'href="(/lead\?ward=[^"]+)"', page)
        assert len(links) == 300 and "quá nhiều địa bàn" in page
        assert "phường Lạc Xuân" not in page and "Đã ban hành 4:" in page
        one = browser.get(links[0].replace("&amp;", "&")).text
        assert "phường Lạc Xuân" in one and "Đã ban hành 4:" in one
        assert browser.get("/api/v1/lead").json()["agencies_n"] > 310


def test_link_that_signs_in(world):
    """Those of the demo: chosen before, and in place of whoever is signed in."""
    browser = world[2].browser()
    for place, name in ((0, LEADER["name"]), (3, HA["name"])):
        to = browser.get(f"/sign-in?as={place}&back=/help")
        assert to.status == 303
        back = Browser(to.location).get(to.location)
        assert back.status == 303
        done = browser.get(back.location)
        assert done.status == 303 and done.location == "/help"
        assert browser.get("/api/v1/me").json()["name"] == name


def test_engine_away_and_a_thousand_leaders(world):
    """The last test: many cost one call each some seconds, and the numbers stay when it goes."""
    engine, stubs, portal = world
    browser = leader(portal)
    before = browser.get("/api/v1/lead").json()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: browser.get("/api/v1/lead"), range(20)))
    assert {a.status for a in answers} == {200}
    assert len({json.dumps(a.json()["total"]) for a in answers}) == 1
    engine.kill()

    def without_it():
        told = browser.get("/api/v1/lead").json()
        return None if told["fresh"] else told

    stale = harness.wait_for(without_it, 60, 0.5)
    assert stale["total"] == before["total"] and stale["asked"]
    page = browser.get("/lead")
    assert page.status == 200 and "số liệu gần nhất, lấy lúc " + stale["asked"] in page.text


def test_engine_never_there(tmp_path):
    with with_dev_provider(tmp_path, LEADER) as portal:
        browser = leader(portal)
        page = browser.get("/lead")
        assert page.status == 503 and "Chưa lấy được số liệu" in page.text
        assert '<meta http-equiv="refresh"' in page.text and not pictures(page.text)
