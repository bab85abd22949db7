"""The system's Chromium at a portal: visitors with an address of their own, axe-core, pictures."""
import base64
import contextlib
import importlib.util
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import urllib.parse

import pytest
from PIL import Image

from harness import BUILD

CHROMIUM = pathlib.Path("/usr/bin/chromium")
PICTURES = BUILD / "test-output" / "portal"
PHONE = {"width": 320, "height": 640}
DESK = {"width": 1280, "height": 800}
_addresses = itertools.count(1)


def axe_script():
    """axe-core's text, of a Python package that brings it; None where it is not there."""
    found = importlib.util.find_spec("axe_playwright_python")
    path = found and pathlib.Path(found.origin).parent / "axe.min.js"
    return path.read_text("utf-8") if path and path.exists() else None


@contextlib.contextmanager
def chromium():
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not there")
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"],
                                    env={**os.environ, "LANGUAGE": "vi"})
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One browser window with cookies and an address of its own. What it asks of anybody but the
    portal and the sign-in page, and what its console says of errors, is kept in `complaints`."""

    def __init__(self, browser, portal, size=DESK, language="vi", script=True, **kw):
        n = next(_addresses)
        self.portal, self.script = portal, script
        self.context = browser.new_context(
            viewport=size, java_script_enabled=script, base_url=portal.url, locale="vi-VN",
            accept_downloads=True, reduced_motion="reduce",
            extra_http_headers={"X-Forwarded-For": f"198.19.{n // 250}.{n % 250 + 1}"}, **kw)
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("request", self.asked)
        self.page.on("pageerror", lambda e: self.complaints.append(f"script: {e}"))
        self.page.on("console", self.said)
        if language != "vi":
            self.page.goto(f"/language?to={language}&back=/help")

    def asked(self, request):
        parts = urllib.parse.urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws") and parts.hostname != "127.0.0.1":
            self.complaints.append(f"asked {request.url}")

    def said(self, message):
        # An answer of 404 and its like is told, too: those the tests look at themselves.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(f"console: {message.text}")

    def go(self, path):
        return self.page.goto(path)

    def sign_in(self, name):
        self.go("/sign-in?back=/results")
        self.page.get_by_role("link", name=name).click()
        self.page.wait_for_url("**/results")

    def verify(self, pdf):
        self.go("/verify")
        self.page.locator("#file").set_input_files(
            {"name": "a.pdf", "mimeType": "application/pdf", "buffer": pdf})
        self.page.locator("form[data-drop] button").click()
        self.page.locator(".sentences").wait_for()

    def drop(self, pdf):
        """As from the desktop onto the form."""
        self.page.evaluate("""text => {
            const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "a.pdf", {type: "application/pdf"}));
            document.querySelector("[data-drop]").dispatchEvent(
                new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""", base64.b64encode(pdf).decode())

    def track(self, code, digits):
        self.go("/track")
        self.page.locator("#code").fill(code)
        self.page.locator("#digits").fill(digits)
        self.page.locator("main button[type=submit]").click()
        self.page.wait_for_load_state()

    def share(self, id, kind, seconds="180", views="1", scope="data"):
        """Made on the result's page; the link that the page then shows."""
        self.go(f"/results/{id}")
        form = self.page.locator("form[action$='/shares']")
        self.page.locator("summary").click()
        form.locator(f"#share-{kind}").check()
        form.locator("#share-scope").select_option(scope)
        if form.locator(f"#share-seconds option[value='{seconds}']").count() == 0:
            form.locator("#share-seconds option").first.evaluate(
                "(o, value) => { o.value = value; }", seconds)
        form.locator("#share-seconds").select_option(seconds)
        form.locator("#share-views").select_option(views)
        form.locator("button").click()
        return self.page.locator("#link").input_value()

    def focused(self):
        return self.page.evaluate(
            "(document.activeElement.innerText || document.activeElement.value || '').trim()")

    def tab_to(self, text):
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if self.focused() == text:
                style = self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert style == "solid", text
                return
        raise AssertionError(f"no Tab comes to {text}")

    def overflow(self):
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def shot(self, name):
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def small_shot(self, name, height):
        """The top of the page in 96 colours, as README's pictures in tests/golden are."""
        picture = self.shot(name)
        with Image.open(picture) as whole:
            top = whole.convert("RGB").crop((0, 0, whole.width, min(height, whole.height)))
        top.quantize(96, dither=Image.Dither.NONE).save(picture, optimize=True)
        return picture

    def axe(self, source):
        """What axe-core finds, one line a finding."""
        self.page.evaluate(source)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [f"{v['id']} ({v['impact']}): {v['help']}: {n['html'][:160]}"
                for v in found["violations"] for n in v["nodes"]]

    def end(self):
        self.context.close()
        assert self.complaints == []


def qr_of(pdf, folder):
    """What the QR code of its first page says; the page's picture stays in folder/page.png."""
    if not shutil.which("pdftoppm") or not shutil.which("zbarimg"):
        pytest.skip("pdftoppm or zbarimg is not there")
    (folder / "a.pdf").write_bytes(pdf)
    subprocess.run(["pdftoppm", "-png", "-r", "150", "-singlefile", folder / "a.pdf",
                    folder / "page"], check=True, timeout=60)
    return subprocess.run(["zbarimg", "-q", "--raw", folder / "page.png"], check=True, timeout=60,
                          capture_output=True, text=True).stdout.strip()


def path_of(page):
    return re.sub(r"^https?://[^/]+", "", page.url)
