"""What people do at the portal, in a real browser: a citizen's whole way, sharing, verifying; by
keyboard, on a small phone, without script, in both languages; axe-core finds nothing; a picture of
every page in test-output/portal."""
import hashlib
import json
import pathlib
import re

import pytest

import browsing
from browsing import DESK, PHONE, Visitor, path_of, qr_of
from copying import REGISTER, copy_case, issue_copy
from harness import Engine, as_case, generated, modules, wait_for
from portals import with_dev_provider
from test_life import revoke

pytestmark = pytest.mark.timeout(300)

HOTLINE, LEADER = "1022", "Lê Thu"
ALONE = ("xac-nhan-tinh-trang-hon-nhan", "quyet-dinh-huong-tro-cap-xa-hoi",
         "giay-chung-nhan-dang-ky-ho-kinh-doanh", "giay-tiep-nhan-ho-so", "giay-tiep-nhan-ho-so")


def hers():
    """The papers of one invented mother: her child's birth, and of each other kind one of hers."""
    lines = [json.loads(line) for line in generated(150, seed=7)]
    lines = [c for c in lines if len(c["results"]) == 1]
    birth = next(c for c in lines if c["results"][0]["kind"] == "trich-luc-khai-sinh" and
                 len(c["holders"]) == 3)
    mother = birth["holders"][1]
    for case in lines[1:]:      # all but the first one are in time
        case["facts"]["dueTime"] = "2099-01-01T00:00:00Z"
    papers = [birth]
    for kind in ALONE:
        case = next(c for c in lines if c["results"][0]["kind"] == kind)
        lines.remove(case)
        owner = next(h for h in case["holders"] if h["idKind"] == "CITIZEN")
        text = json.dumps(case).replace(json.dumps(owner["name"]), json.dumps(mother["name"]))
        papers.append(json.loads(text.replace(owner["number"], mother["number"])))
    return mother, papers


class Scene:
    """An engine with papers of one citizen in every state, and a portal at which she signs in."""

    def __init__(self, folder):
        self.engine = Engine(folder / "engine", algorithm="p256").prepare().start()
        self.stubs = self.engine.stubs()
        m = modules()
        self.mother, papers = hers()
        answer = self.stubs.issuance.SubmitBatch(m["issuance"].SubmitBatchRequest(
            cases=[as_case(json.dumps(p)) for p in papers]), timeout=60)
        assert not answer.rejects, answer.rejects
        self.ids = [r.result_id for r in answer.receipts]
        self.stored = self.engine.wait_stored(self.stubs, self.ids)
        self.case = papers[1]
        self.paper = self.stored[self.ids[1]]
        again = as_case(json.dumps(papers[2]))
        again.results[0].revision, again.results[0].replaces = 1, self.ids[2]
        copy = copy_case(kind=REGISTER, nguoi_yeu_cau=self.mother["name"])
        copy.holders[0].name, copy.holders[0].number = self.mother["name"], self.mother["number"]
        answer = self.stubs.issuance.SubmitBatch(
            m["issuance"].SubmitBatchRequest(cases=[again]), timeout=60)
        assert not answer.rejects, answer.rejects
        more = [answer.receipts[0].result_id,
                issue_copy(self.stubs, copy, self.ids[0]).result_id]
        self.stored.update(self.engine.wait_stored(self.stubs, more))
        revoke(self.stubs, self.stored[self.ids[4]])
        self.stubs.repository.GetResult(m["repository"].GetResultRequest(
            result_id=self.paper.result_id, purpose=m["repository"].Purpose(
                purpose="Giải quyết thủ tục đăng ký kết hôn", legal_basis="Luật Hộ tịch, Điều 18",
                requester="Công chức tư pháp - hộ tịch")), timeout=20)
        self.pdf = self.engine.download(self.stubs, self.paper.result_id)[0]
        self.name = self.mother["name"]
        self.portal = with_dev_provider(
            folder / "portal",
            {"name": self.name, "about": "Công dân, có giấy tờ của mình và của con",
             "claims": {"citizen_id": self.mother["number"], "name": self.name}},
            {"name": LEADER, "about": "Lãnh đạo, xem số liệu của mọi cơ quan",
             "claims": {"name": LEADER, "roles": ["leader"], "units": ["*"]}},
            data=self.engine.data, portal_hotline=HOTLINE).start()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    s = Scene(tmp_path_factory.mktemp("scene"))
    yield s
    s.portal.kill()
    s.engine.stop()


@pytest.fixture(scope="module")
def chromium():
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture
def visit(chromium, scene):
    """Makes visitors, and ends them."""
    made = []

    def one(**kw):
        made.append(Visitor(chromium, scene.portal, **kw))
        return made[-1]
    yield one
    for v in made:
        v.end()


# ---- every page ----

WIDE = ("home", "results", "result", "reads", "report", "verify", "verified", "shares", "lead")
# The same pages with other words in them.
ONCE = ("print-none", "number-none", "track-none", "verified-revoked", "results-none",
        "result-child", "result-replaced", "shared-code", "share-over")


class Gallery:
    """Looks at page after page in one language, on a small phone: with axe-core, and a picture."""

    def __init__(self, visit, language):
        self.visit, self.language = visit, language
        self.axe, self.wrong = browsing.axe_script(), []

    def visitor(self):
        return self.visit(size=PHONE, language=self.language)

    def look(self, v, name, path=None):
        if name in ONCE and self.language != "vi":
            return
        if path:
            v.go(path)
        page = v.page
        if page.locator("html").get_attribute("lang") != self.language:
            self.wrong.append(f"{name}: of another language")
        if v.overflow() > 0:
            self.wrong.append(f"{name}: {v.overflow()} px wider than a phone")
        v.shot(f"{name}-{self.language}-320")
        if self.axe:
            self.wrong += [f"{name}: {found}" for found in v.axe(self.axe)]
        # One language of the wide ones is enough to look at.
        if name in WIDE and self.language == "vi":
            page.set_viewport_size(DESK)
            v.shot(name)
            page.set_viewport_size(PHONE)


def look_in_public(scene, g):
    v, paper = g.visitor(), scene.paper
    for name, path in (("home", "/"), ("help", "/help"), ("none", "/nothing"), ("track", "/track"),
                       ("verify", "/verify"), ("print", f"/V/{paper.result_id}"),
                       ("print-none", "/V/" + "0" * 26),
                       ("number", f"/verify/number?unit={paper.unit}&number={paper.number}"
                                  f"&year={paper.register_year}"),
                       ("number-none", f"/verify/number?unit={paper.unit}&number=9999&year=2026")):
        g.look(v, name, path)
    v.verify(scene.pdf)
    g.look(v, "verified")
    v.verify(scene.pdf.replace(b"/Type", b"/Typo", 1))
    g.look(v, "verified-changed")
    v.verify(scene.engine.download(scene.stubs, scene.ids[4])[0])
    g.look(v, "verified-revoked")
    v.track(scene.case["code"], scene.mother["number"][-4:])
    g.look(v, "tracked")
    v.track(scene.case["code"], "0000")
    g.look(v, "track-none")


def look_at_what_leaders_see(scene, g):
    v = g.visitor()
    v.go("/sign-in?back=/lead")
    if g.language == "vi":      # the provider's page has one language
        g.look(v, "sign-in")
    v.page.get_by_role("link", name=LEADER).click()
    v.page.wait_for_url("**/lead")
    g.look(v, "lead")


def look_at_ones_own(scene, g):
    v, id = g.visitor(), scene.paper.result_id
    v.sign_in(scene.name)
    for name, path in (("results", "/results"), ("results-none", "/results?q=xyzzy"),
                       ("result", f"/results/{id}"), ("result-revoked", f"/results/{scene.ids[4]}"),
                       ("report", f"/results/{id}/report"), ("reads", "/reads")):
        g.look(v, name, path)
    g.look(v, "result-child", f"/results/{scene.ids[0]}")
    g.look(v, "result-replaced", f"/results/{scene.ids[2]}")
    v.share(id, "code")
    g.look(v, "shared-code")
    link = v.share(id, "link")
    g.look(v, "shared-link")
    other = g.visitor()
    g.look(other, "share", link)
    other.page.locator("main button[type=submit]").click()
    g.look(other, "shown")
    g.look(other, "share-over", link)
    g.look(v, "shares", "/shares")


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("look", [look_in_public, look_at_ones_own,
                                  look_at_what_leaders_see])
def test_every_page(scene, visit, language, look):
    g = Gallery(visit, language)
    look(scene, g)
    assert not g.wrong, "\n".join(g.wrong)


def test_pictures_of_readme(scene, visit):
    """Copied into tests/golden when the pages have changed."""
    v = visit(size={"width": 960, "height": 800})
    v.sign_in(scene.name)
    v.go(f"/results/{scene.paper.result_id}")
    v.page.locator("main img").evaluate("i => i.decode()")
    wide = v.small_shot("portal-result", 960)
    v = visit(size={"width": 360, "height": 780})
    v.verify(scene.pdf)
    small = v.small_shot("portal-verified", 780)
    for picture in (wide, small):
        assert 10_000 < picture.stat().st_size < 80_000, picture


def test_axe_is_there():
    """Without it the pages are looked at, but not by axe-core."""
    if browsing.axe_script() is None:
        pytest.skip("axe-core cannot be fetched")


# ---- what people do ----

def test_a_citizens_whole_way(scene, visit):
    v = visit(size=PHONE)
    page, paper = v.page, scene.paper
    v.go("/")
    page.locator("header").get_by_role("link", name="Đăng nhập").click()
    page.get_by_role("link", name=scene.name).click()
    page.locator("header").get_by_role("link", name="Giấy tờ của tôi").click()
    assert page.locator(".card").count() == len(scene.stored)
    page.get_by_label("Năm").select_option(str(paper.register_year))
    page.get_by_label("Cơ quan", exact=True).select_option(paper.unit)
    page.get_by_label("Tìm theo").fill(paper.number_text)
    page.get_by_role("button", name="Tìm").click()
    assert page.locator(".card").count() == 1
    page.locator(".card a").click()
    assert path_of(page) == f"/results/{paper.result_id}"
    picture = page.locator("main img")
    picture.scroll_into_view_if_needed()
    wait_for(lambda: picture.evaluate("i => i.complete && i.naturalWidth > 300"))
    with page.expect_download() as one:
        page.get_by_role("link", name="Tải tệp PDF").click()
    got = hashlib.sha256(pathlib.Path(one.value.path()).read_bytes()).hexdigest()
    assert got == paper.file_sha256.hex() and page.get_by_text(got).count() == 1
    page.get_by_role("link", name="Báo cáo kiểm tra").click()
    assert page.locator(".badge.good").inner_text() == "TOTAL-PASSED"
    with page.expect_download() as one:
        page.get_by_role("link", name="Tải về").first.click()
    assert pathlib.Path(one.value.path()).stat().st_size > 300
    page.get_by_role("link", name="Ai đã xem").click()
    assert page.get_by_text("Giải quyết thủ tục đăng ký kết hôn").count() == 1
    page.get_by_role("button", name="Đăng xuất").click()
    v.go("/results")
    assert page.get_by_role("heading", name="Đăng nhập thử").count() == 1


def test_sharing_and_its_end(scene, visit):
    v, other = visit(), visit(size=PHONE)
    v.sign_in(scene.name)
    link = v.share(scene.paper.result_id, "link", views="3", scope="file")
    other.go(link)
    # A glance at the link uses nothing up, and says nothing of the person.
    for _ in range(2):
        other.page.reload()
    assert scene.name not in other.page.content()
    other.page.get_by_role("button", name="Xem giấy tờ").click()
    assert other.page.get_by_text(scene.paper.number_text).count() >= 1
    with other.page.expect_download() as one:
        other.page.get_by_role("button", name="Tải tệp PDF đã ký").click()
    assert pathlib.Path(one.value.path()).read_bytes() == scene.pdf
    v.go("/shares")
    assert v.page.get_by_text("1/3 lần").count() == 1
    v.page.get_by_role("button", name="Thu hồi").first.click()
    other.go(link)
    assert other.page.get_by_text("đã thu hồi liên kết này").count() == 1
    v.go("/reads")
    assert v.page.get_by_text("Xem qua chia sẻ của bạn").count() >= 1


def test_a_share_expires(scene, visit):
    v, other = visit(), visit()
    v.sign_in(scene.name)
    # The page offers three minutes and more; one second is as good to the engine.
    link = v.share(scene.paper.result_id, "link", seconds="1")

    def over():
        other.go(link)
        return other.page.get_by_text("Liên kết đã hết hạn").count() == 1
    wait_for(over, every=0.2)
    assert other.page.get_by_role("button", name="Xem giấy tờ").count() == 0


def test_verify_by_drop(scene, visit):
    v = visit()
    page, asked = v.page, []
    page.on("request", lambda r: asked.append((r.method, path_of(r))))
    v.go("/verify")
    v.drop(scene.pdf)
    told = page.locator("[data-lookup]")
    told.wait_for(state="visible")
    assert "good" in told.get_attribute("class")
    # Only its id and hash went out, until the button is pressed.
    assert [m for m, _ in asked if m == "POST"] == []
    assert any(p.startswith("/verify/lookup?id=") for _, p in asked)
    page.get_by_role("button", name="Kiểm tra tệp").click()
    assert page.locator(".note.good li").count() == 3
    v.go("/verify")
    v.drop(scene.pdf.replace(b"/Type", b"/Typo", 1))
    told.wait_for(state="visible")
    assert "warn" in told.get_attribute("class")
    page.get_by_role("button", name="Kiểm tra tệp").click()
    assert page.locator(".note.bad").count() == 1


def test_the_file_chosen_last_is_spoken_of(scene, visit):
    """Whatever is answered late to the one before."""
    v = visit()
    page, held = v.page, []
    v.go("/verify")
    page.route("**/verify/lookup*",
               lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/verify/lookup*"):
        v.drop(scene.pdf.replace(b"/Type", b"/Typo", 1))
    told = page.locator("[data-lookup]")
    v.drop(scene.pdf)
    told.wait_for(state="visible")
    with page.expect_response("**/verify/lookup*"):
        held[0].continue_()
    page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    assert told.is_visible() and "good" in told.get_attribute("class")


def test_verify_a_print(scene, visit, tmp_path):
    """The QR code of the page of a paper, read from its picture; by camera, and by the browser."""
    url = qr_of(scene.pdf, tmp_path)
    path = re.sub(r"^https?://[^/]+", "", url, flags=re.I)
    assert path == f"/V/{scene.paper.result_id}"
    v = visit(size=PHONE)
    v.go(path)
    assert v.page.get_by_text(scene.paper.number_text).count() == 1
    assert scene.name not in v.page.content()
    # Chromium has no BarcodeDetector here: it is given one that reads what zbar read.
    v.page.add_init_script("window.BarcodeDetector = class { async detect() { "
                           f"return [{{ rawValue: {json.dumps(url)} }}]; }} }};")
    v.go("/verify")
    v.page.locator("#qr-picture").set_input_files(tmp_path / "page.png")
    v.page.wait_for_url("**" + path)


def test_a_print_with_the_holders_code(scene, visit):
    v, other = visit(), visit(size=PHONE)
    v.sign_in(scene.name)
    v.share(scene.paper.result_id, "code")
    code = v.page.locator(".secret").inner_text()
    other.go(f"/V/{scene.paper.result_id}")
    other.page.locator("#code").fill(code)
    other.page.get_by_role("button", name="Xem").click()
    assert other.page.get_by_text(scene.name).count() >= 1


def test_verify_by_number(scene, visit):
    v, r = visit(), scene.paper
    v.go("/verify")
    v.page.locator("#unit").select_option(r.unit)
    v.page.locator("#number").fill(r.number_text)
    v.page.locator("#year").fill(str(r.register_year))
    v.page.get_by_role("button", name="Tra cứu").click()
    assert v.page.locator(".badge.good").count() == 1
    assert v.page.get_by_text(r.number_text).count() >= 1


# ---- however they do it ----

def test_without_script(scene, visit):
    v = visit(script=False, size=PHONE)
    v.sign_in(scene.name)
    v.page.locator(".card a").first.click()
    assert v.page.get_by_role("link", name="Tải tệp PDF").count() == 1
    link = v.share(scene.paper.result_id, "link")
    v.go(link)
    v.page.get_by_role("button", name="Xem giấy tờ").click()
    assert v.page.get_by_text(scene.paper.number_text).count() >= 1
    v.verify(scene.pdf)
    assert v.page.locator(".note.good li").count() == 3
    v.track(scene.case["code"], scene.mother["number"][-4:])
    assert v.page.get_by_text("Đã cấp").count() >= 1


def test_by_keyboard(scene, visit):
    """To one's papers and to a share of one, with keys alone; where the focus is can be seen."""
    v = visit()
    v.go("/")
    v.page.keyboard.press("Tab")
    assert v.focused() == "Đến nội dung chính"
    v.page.keyboard.press("Enter")
    assert v.page.evaluate("document.activeElement.id") == "main"
    v.tab_to("Giấy tờ của tôi")
    v.page.keyboard.press("Enter")
    v.page.wait_for_url("**/authorize?**")
    v.tab_to(scene.name)
    v.page.keyboard.press("Enter")
    v.page.wait_for_url("**/results")
    v.page.locator(f'a[href="/results/{scene.paper.result_id}"]').focus()
    v.page.keyboard.press("Enter")
    v.page.wait_for_url("**/results/*")
    v.tab_to("Tạo liên kết hoặc mã xem")
    v.page.keyboard.press("Enter")
    v.page.keyboard.press("Tab")
    assert v.page.evaluate("document.activeElement.id") == "share-link"
    v.page.keyboard.press("ArrowDown")
    assert v.page.locator("#share-code").is_checked()
    v.tab_to("Tạo liên kết hoặc mã xem")
    v.page.keyboard.press("Enter")
    assert re.fullmatch("[0-9A-Z]{4}-[0-9A-Z]{4}", v.page.locator(".secret").inner_text())


def test_twice_as_large(scene, visit):
    """200 %: a window of 1,280 px shows 640; and letters twice as large in a narrow window."""
    v = visit(size={"width": 640, "height": 400}, device_scale_factor=2)
    v.sign_in(scene.name)
    for path in ("/", "/results", f"/results/{scene.paper.result_id}", "/verify", "/track"):
        v.go(path)
        assert v.overflow() <= 0, path
        v.page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert v.overflow() <= 0, path
