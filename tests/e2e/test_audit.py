"""`trien audit`: good stores are good; each damage is found and named; what was broken off
goes on."""
import html.parser
import json
import re
import signal
import subprocess

import pytest

import harness
from sample import UNITS, case, send
from test_life import correct, replacing, revoke

RESULTS = 40


def audit(engine, *words, code=0):
    store = engine.audited
    done = subprocess.run(
        [str(harness.TRIEN), "audit", *(store.conninfos if store else []), "--data",
         str(engine.data), *map(str, words)], capture_output=True, text=True, timeout=200)
    assert done.returncode == code, (done.returncode, done.stdout[-3000:], done.stderr)
    return done


def report(engine, *words, code=0):
    return json.loads(audit(engine, *words, "--json", code=code).stdout)


def same(row):
    return {k: v for k, v in row.items() if k != "ran"}


def found(row):
    return {(f["fault"], f["result"]) for f in row["findings"]}


@pytest.fixture(params=["embedded", "postgres"])
def engine(request, tmp_path):
    """Its results: two agencies'; one corrected, one revoked, one replaced."""
    store, settings = harness.store_of(request.param)
    e = harness.Engine(tmp_path, **settings)
    e.audited = store or e.store
    with e:
        e.prepare().start()
        stubs = e.stubs()
        cases = [case(number=f"0010990{i:05d}", unit=UNITS[i % 2]) for i in range(RESULTS)]
        e.ids = [r.result_id for r in send(stubs, cases).receipts]
        e.wait_stored(stubs, e.ids)
        e.results = [stubs.repository.GetResult(harness.modules()["repository"].GetResultRequest(
            result_id=i), timeout=20) for i in e.ids[:4]]
        correct(stubs, e.results[0])
        revoke(stubs, e.results[1])
        newer = send(stubs, [replacing(e.results[2])]).receipts[0].result_id
        e.wait_stored(stubs, [newer])
        e.ids.append(newer)
        yield e
    if store:
        store.remove()


def test_good(engine, tmp_path):
    page, file = tmp_path / "a.html", tmp_path / "a.json"
    row = report(engine, "--html", page, "--report", file)
    n = RESULTS + 1
    assert row["whole"] and row["findings"] == [] and row["faults"] == []
    assert (row["results"]["looked"], row["results"]["good"]) == (n, n)
    assert sum(d["results"] for d in row["issued"]) == n
    assert json.loads(file.read_text()) == row
    assert sum(r["issued"] for r in row["registers"]) == n and len(row["registers"]) == 2
    # Beside the engine and without it, with one thread and with many: the same.
    assert same(report(engine, "--jobs", 1)) == same(row)
    assert engine.stop() == 0
    assert same(report(engine, "--jobs", 7)) == same(row)
    page_is_whole(page.read_text(), row)
    out = audit(engine).stdout
    assert "41 results looked at, 41 good; 2 registers; 0 findings" in out


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.cells, self.tags, self.at, self.links = {}, [], None, []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.at = dict(attrs).get("id")
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href", "action")]

    def handle_data(self, data):
        if self.at:
            self.cells[self.at] = data
            self.at = None


def page_is_whole(text, row):
    """It needs nothing else, and says what the JSON says."""
    page = Page()
    page.feed(text)
    assert page.links == [] and "script" not in page.tags and page.tags.count("svg") >= 2
    assert not re.search(r"https?://|url\(|@import", text)
    assert {k: int(v) for k, v in page.cells.items()} == {
        "looked": row["results"]["looked"], "good": row["results"]["good"],
        "findings": row["findingsCount"], "bytes": row["results"]["bytes"]}
    bars = [int(m) for m in re.findall(r"<title>\d\d/\d\d/\d{4}: (\d+)</title>", text)]
    assert sum(bars) == row["results"]["looked"]
    for r in row["registers"]:
        assert f"<td>{r['unit']}</td><td>{r['code']}</td><td>{r['year']}</td>" in text
        assert f'<td class="n">{r["first"]}–{r["last"]}</td>' in text
    for f in row["findings"]:
        assert f["result"] in text
