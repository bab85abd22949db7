"""The portal's door: headers, languages, what is refused and how, slow and many clients."""
import os
import re
import resource
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from harness import TRIEN, wait_for
from portals import Portal

PORTAL_MB_MAX = 256


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with Portal(tmp_path_factory.mktemp("portal"), portal_hotline="1900 0000") as p:
        yield p


def port(portal):
    return int(portal.url.rsplit(":", 1)[1])


def raw(portal, data, timeout=30):
    """What comes back for these bytes, until the other side closes."""
    with socket.create_connection(("127.0.0.1", port(portal)), timeout=timeout) as s:
        s.sendall(data)
        got = b""
        while part := s.recv(65536):
            got += part
            if b"\r\n\r\n" in got and b"onnection: close" not in got:
                break
        return got


def status_of(answer):
    m = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(m.group(1)) if m else None


def test_headers(portal):
    b = portal.browser()
    for path in ("/", "/help", "/none", "/assets/portal.css", "/health"):
        h = b.get(path).headers
        csp = h["Content-Security-Policy"]
        assert "default-src 'none'" in csp and "unsafe" not in csp
        for word in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert word in csp
        assert h["Referrer-Policy"] == "no-referrer"
        assert h["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in h
        kept = path.startswith("/assets")
        assert ("max-age" in h["Cache-Control"]) == kept
        assert ("no-store" in h["Cache-Control"]) != kept


def test_pages_are_whole(portal):
    b = portal.browser()
    for path in ("/", "/help", "/none"):
        page = b.get(path)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert len(page.body) < 60_000
        assert page.text.startswith("<!DOCTYPE html>") and page.text.endswith("</html>\n")
        assert "{{" not in page.text
        assert "1900 0000" in page.text
        assert "không có giá trị pháp lý" in page.text      # development
        # Nothing of others, nothing inline.
        assert not re.findall(r'(?:src|href|action)="(?!/)', page.text.replace('href="#main"', ""))
        for name in re.findall(r'"/assets/([^"]+)"', page.text):
            assert b.get("/assets/" + name).status == 200
    assert b.get("/assets/none.css").status == 404
    assert b.get("/assets/..%2Fwords%2Fvi.json").status == 404
    assert b.get("/health").json() == {"status": "SERVING"}


def test_head_has_no_body(portal):
    got = raw(portal, b"HEAD /help HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, body = got.split(b"\r\n\r\n", 1)
    assert status_of(got) == 200 and body == b"" and b"Content-Length: " in head


def test_languages(portal):
    b = portal.browser()
    assert '<html lang="vi">' in b.get("/").text
    done = b.get("/language?to=en&back=/help")
    assert (done.status, done.location) == (303, "/help")
    assert "SameSite=Lax" in b.set["language"]
    assert '<html lang="en">' in b.get("/help").text
    for back in ("//evil.example/", "https://evil.example/", "/\\evil.example", "",
                 "javascript:alert(1)", "/%0d%0aSet-Cookie:x"):
        done = b.get("/language?to=vi&back=" + urllib.parse.quote(back, safe="%"))
        assert done.location == "/", back
    assert b.get("/language?to=xx").status == 400
    assert "xx" not in b.cookies.values()


def test_another_language_of_the_same_page(portal):
    """What was asked goes along; of an answer to a form it is the page where that stood."""
    b = portal.browser()

    def again(answer):
        link = re.search(r'class="tongue" href="/language\?to=en&amp;back=([^"]*)"', answer.text)
        return urllib.parse.unquote(link.group(1))

    number = "/verify/number?unit=x&number=7%2FX&year=26"
    done = b.get("/language?to=vi&back=" + urllib.parse.quote(again(b.get(number)), safe=""))
    assert done.location == number
    assert again(b.get("/none?x=1")) == "/none"
    assert again(b.get("/help?" + "a" * 2000)) == "/help"
    for path, to in (("/track", "/track"), ("/verify", "/verify"), ("/shared/file", "/"),
                     (f"/V/{'0' * 26}/code", f"/V/{'0' * 26}"), ("/results/X/shares", "/results/X"),
                     ("/sign-out/x", "/")):
        assert again(b.request("POST", path, body={}, headers={"Sec-Fetch-Site": "cross-site"})) \
            == to, path
    assert again(b.get("/sign-in/return?code=secret&state=x")) == "/sign-in/return"
    got = raw(portal, b"GET /\xff\xfe?\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status_of(got) == 404 and b"back=%2F\"" in got


def test_what_is_not_there(portal):
    b = portal.browser()
    for path in ("/none", "/help/", "//", "/results/x/y/z", "/a" * 100, "/%00", "/%ff"):
        page = b.get(path)
        assert page.status == 404, path
        assert "Không tìm thấy" in page.text
    assert b.get("/help?a=%ff").status == 400
    assert b.get("/help?a=%00").status == 400


def test_other_methods(portal):
    b = portal.browser()
    for method in ("DELETE", "PUT", "OPTIONS", "TRACE", "PATCH", "POST"):
        got = b.request(method, "/help")
        assert (got.status, got.headers["Allow"]) == (405, "GET, HEAD"), method
    assert b.request("DELETE", "/none").status == 404


def test_too_large(portal):
    b = portal.browser()
    assert b.request("POST", "/sign-out", body=b"x" * 40_000).status == 413
    assert b.get("/help?" + "a" * 5000).status == 400
    # One that would send for ever is cut off, and said so before.
    head = b"POST /sign-out HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
    assert status_of(raw(portal, head)) == 413
    chunked = b"POST /sign-out HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" \
        b"Connection: close\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n"
    chunked += (b"1000\r\n" + b"y" * 4096 + b"\r\n") * 9 + b"0\r\n\r\n"
    assert status_of(raw(portal, chunked)) == 413
    headers = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 1000) for i in range(40))
    assert status_of(raw(portal, b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")) in \
        (None, 413, 431)


def test_two_lengths_are_none(portal):
    smuggled = b"POST /sign-out HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" \
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
    assert status_of(raw(portal, smuggled)) == 400
    for coding in (b"gzip", b"gzip, chunked", b"xchunked", b"identity"):
        assert status_of(raw(portal, b"POST /sign-out HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                             + coding + b"\r\nConnection: close\r\n\r\n")) == 400, coding
    assert status_of(raw(portal, b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n"
                                 b"Connection: close\r\n\r\n")) == 404


def test_a_form_of_others_is_refused(portal):
    b = portal.browser()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"},
                    {"Sec-Fetch-Site": "same-site"}):
        assert b.request("POST", "/sign-out", body={}, headers=headers).status == 403, headers
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": portal.url},
                    {"Origin": "null"}, {}):
        assert b.request("POST", "/sign-out", body={}, headers=headers).status == 303, headers


def test_too_often(portal):
    b, other = portal.browser(), portal.browser()
    seen = [b.get("/help").status for _ in range(200)]
    assert seen[0] == 200 and seen[-1] == 429
    refused = b.get("/help")
    assert int(refused.headers["Retry-After"]) >= 1
    assert "Quá nhiều" in refused.text
    assert other.get("/help").status == 200     # another address behind the same proxy


@pytest.mark.parametrize("width", [0, 300, 1023, 4000])
def test_who_asks_is_what_the_proxy_says(portal, width):
    """However much a client says before it: the proxy's own word is the last."""
    b = portal.browser()
    seen = []
    for i in range(160):
        mine = f"203.0.113.{i}"
        said = f"203.0.113.200,{mine:>{width - 14}}, " if width else ""
        seen.append(b.get("/help", headers={"X-Forwarded-For": said + b.address}).status)
    assert seen[0] == 200 and seen[-1] == 429


def test_its_settings(portal):
    def check(**settings):
        return Portal(portal.folder, **settings).check()

    assert check()[0] == 0
    for settings, what in (({"portal_listen": "localhost:1"}, "portal_listen"),
                           ({"portal_listen": "127.0.0.1:99999"}, "portal_listen"),
                           ({"portal_url": "ftp://x"}, "portal_url"),
                           ({"portal_url": "https://x/y"}, "portal_url"),
                           ({"portal_proxies": "proxy.example"}, "portal_proxies"),
                           ({"portal_language": "fr"}, "portal_language = fr: one of vi, en"),
                           ({"portal_workers": "0"}, "portal_workers")):
        code, text = check(**settings)
        assert code == 78 and what in text, settings


def test_a_data_folder_that_is_not_there(tmp_path):
    for more in ("--check-config",), ("--portal-listen", "127.0.0.1:0"):
        done = subprocess.run([TRIEN, "portal", "--data", tmp_path / "mistyped", *more],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 78 and "there is no such folder" in done.stderr, more


def test_begun_before_its_engine_it_says_what_to_do(tmp_path):
    with Portal(tmp_path) as p:
        for name in ("store", "identity"):
            assert f"{p.data}/{name} is not there: start the portal again" in p.log()


def ended(s):
    """Has the other side closed it? Never waits."""
    s.setblocking(False)
    try:
        return s.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_slow_clients(portal):
    """Headers that drip are cut off after a while, and nobody waits for them meanwhile."""
    dripping = []
    for _ in range(20):
        dripping.append(socket.create_connection(("127.0.0.1", port(portal)), timeout=60))
        dripping[-1].sendall(b"GET /help HTTP/1.1\r\n")

    def one_drop():
        for s in list(dripping):
            if ended(s):
                s.close()
                dripping.remove(s)
                continue
            try:
                s.send(b"X-Y: z\r\n")
            except OSError:
                continue
        return not dripping

    one_drop()
    assert len(dripping) == 20
    assert portal.browser().get("/help").status == 200
    # Seldom enough for the memory that headers may take to last longer than their time.
    wait_for(one_drop, 60, 1.0)


def test_many_of_one_address(tmp_path):
    """Without a proxy, one address has its share of connections."""
    with Portal(tmp_path, portal_proxies="127.0.0.2", portal_address_connections=8) as p:
        held = [socket.create_connection(("127.0.0.1", port(p)), timeout=30) for _ in range(30)]
        wait_for(lambda: sum(not ended(s) for s in held) <= 8, 20)
        assert sum(not ended(s) for s in held) == 8
        for s in held:
            s.close()

        def served():
            try:
                return p.browser().get("/health").status == 200
            except OSError:
                return False

        wait_for(served, 20, 0.2)


def memory_mb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1)) / 1024


def test_ten_thousand_idle(tmp_path):
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * count:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 1000), hard))
    held = []
    try:
        proxies = [f"127.0.0.{n}" for n in range(1, 6)]
        with Portal(tmp_path, portal_proxies=",".join(proxies)) as p:
            for i in range(count):
                # Loopback has as many addresses as one likes: ports are used up per pair.
                s = socket.socket()
                s.bind((proxies[1 + i % 4], 0))
                s.connect(("127.0.0.1", port(p)))
                held.append(s)
            wait_for(lambda: len(os.listdir(f"/proc/{p.process.pid}/fd")) > count, 40, 0.2)
            # Half of them have asked something before.
            for s in held[::2]:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.18.9.%d\r\n\r\n"
                          % (s.fileno() % 200))
            assert p.browser(timeout=60).get("/help").status == 200
            used = memory_mb(p.process.pid)
            assert used < PORTAL_MB_MAX, used
            assert sum(ended(s) for s in held[1::2]) == 0
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
