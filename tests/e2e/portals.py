"""A portal of a test's own, and browsers that visit it: each with its cookies and its address."""
import http.client
import itertools
import json
import os
import re
import subprocess
import urllib.parse

from harness import ROOT, TRIEN, wait_for

_addresses = itertools.count(1)


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body
        self.location = response.headers.get("Location")

    def __repr__(self):
        return f"{self.status} {self.location or self.body[:300]!r}"

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class Browser:
    """Keeps cookies as they are set; follows nothing by itself. Each comes from an address of its
    own, as the portal's proxy says."""

    def __init__(self, base, timeout=30):
        self.base = urllib.parse.urlsplit(base)
        self.timeout = timeout
        self.cookies = {}
        self.set = {}               # the Set-Cookie lines that were last, by name
        n = next(_addresses)
        self.address = f"198.18.{n // 250}.{n % 250 + 1}"

    def request(self, method, path, body=None, headers=()):
        if "://" in path:
            parts = urllib.parse.urlsplit(path)
            assert parts.netloc == self.base.netloc, path
            path = parts.path + ("?" + parts.query if parts.query else "")
        all_headers = {"X-Forwarded-For": self.address, **dict(headers)}
        if self.cookies:
            all_headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            all_headers["Content-Type"] = "application/x-www-form-urlencoded"
        c = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=self.timeout)
        try:
            c.request(method, path, body=body, headers=all_headers)
            response = c.getresponse()
            answer = Answer(response, response.read())
        finally:
            c.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            self.take(line)
        return answer

    def take(self, line):
        name, value = line.split(";")[0].split("=", 1)
        self.set[name] = line
        if value:
            self.cookies[name] = value
        else:
            self.cookies.pop(name, None)

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, form=None, **kw):
        """With the token of the form on the page, as a browser has it."""
        form = dict(form or {})
        if "csrf" not in form:
            m = re.search(r'name="csrf" value="([^"]+)"', self.get("/").text)
            if m:
                form["csrf"] = m.group(1)
        return self.request("POST", path, body=form, **kw)


class Portal:
    def __init__(self, folder, data=None, **settings):
        self.folder = folder
        self.data = data or folder / "data"
        self.log_path = folder / "portal.log"
        self.settings = {"portal_listen": "127.0.0.1:0", "portal_proxies": "127.0.0.1",
                         "development": "true", "schemas": str(ROOT / "schemas"), **settings}
        self.process = None

    def command(self, *more):
        args = [str(TRIEN), "portal", "--data", str(self.data)]
        for name, value in self.settings.items():
            for one in value if isinstance(value, list) else [value]:
                args += [f"--{name.replace('_', '-')}", str(one)]
        return args + list(more)

    def start(self, ready=True):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, env=os.environ,
                                        stdout=subprocess.DEVNULL, stderr=self.log_path.open("wb"))
        if ready:
            wait_for(self.is_ready, 40)
        return self

    def log(self):
        return self.log_path.read_text("utf-8", "replace")

    def is_ready(self):
        assert self.process.poll() is None, "the portal ended:\n" + self.log()
        return "ready on" in self.log()

    @property
    def url(self):
        return re.search(r"ready on (http://127\.0\.0\.1:\d+)", self.log()).group(1)

    def browser(self, **kw):
        return Browser(self.url, **kw)

    def check(self):
        """What --check-config says: (exit code, text)."""
        self.data.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(self.command("--check-config"), capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stderr

    def stop(self):
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(40)
        self.process = None
        return code

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(40)
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()


# ---- the built-in provider ----

HA = {"name": "Nguyễn Thị Hà", "about": "công dân",
      "claims": {"citizen_id": "001199000017", "name": "Nguyễn Thị Hà"}}
MINH = {"name": "Trần Văn Minh", "about": "công dân",
        "claims": {"citizen_id": "001199000025", "name": "Trần Văn Minh"}}
LEADER = {"name": "Lê Thu", "about": "lãnh đạo",
          "claims": {"name": "Lê Thu", "roles": ["leader"], "units": ["*"]}}
NOBODY = {"name": "Không số", "about": "<b>không</b> có số", "claims": {"name": "Không số"}}


def with_dev_provider(folder, *people, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "people.json"
    path.write_text(json.dumps({"people": list(people or (HA, MINH, LEADER, NOBODY))}))
    return Portal(folder, portal_dev_provider="127.0.0.1:0", portal_dev_people=path, **settings)


def sign_in(browser, name=HA["name"], back="/"):
    """The whole way by the built-in provider's page; the answer of /sign-in/return."""
    to = browser.get("/sign-in?back=" + urllib.parse.quote(back, safe=""))
    assert to.status == 303, to
    provider = Browser(to.location)
    page = provider.get(to.location)
    assert page.status == 200, page
    link = re.search(r'href="(/choose\?person=[^"]+)">' + re.escape(name) + "<", page.text)
    chosen = provider.get(link.group(1).replace("&amp;", "&"))
    assert chosen.status == 303, chosen
    return browser.get(chosen.location)
