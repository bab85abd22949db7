"""`trien audit`: good stores are good; each damage is found and named; what was broken off
goes on."""
import html.parser
import json
import re
import shutil
import sqlite3
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
    assert sum(bars) == sum(d["results"] for d in row["issued"])
    for r in row["registers"]:
        assert f"<td>{r['unit']}</td><td>{r['code']}</td><td>{r['year']}</td>" in text
        assert f'<td class="n">{r["first"]}–{r["last"]}</td>' in text
    for f in row["findings"]:
        assert f["result"] in text


def test_part_of_it(engine):
    whole = report(engine)
    day = str(whole["issued"][-1]["day"])
    day = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    ten = report(engine, "--sample", 10)
    assert ten["results"]["looked"] == ten["results"]["good"] == 10
    # Which ones nobody knows before; those of a seed are always the same.
    again = report(engine, "--sample", 10, "--seed", ten["scope"]["seed"])
    assert ten == {**again, "ran": ten["ran"]}
    assert ten["scope"]["seed"] != report(engine, "--sample", 10)["scope"]["seed"]
    assert report(engine, "--sample", 1000)["results"]["looked"] == RESULTS + 1
    share = report(engine, "--sample", "40%")
    assert 5 <= share["results"]["looked"] < RESULTS and share["scope"]["sample"] == "40%"
    assert sum(d["results"] for d in share["issued"]) == share["results"]["looked"]
    today = report(engine, "--from", day)
    assert today["results"]["looked"] == whole["issued"][-1]["results"]
    before = report(engine, "--to", "2021-01-31")
    assert before["results"]["looked"] == 0 and before["registers"] == []
    for words in (["--sample", "some"], ["--sample", "101%"], ["--from", "31-12-2026"],
                  ["--seed", "x"], ["--sample", "3", "--seed", "two words"],
                  ["--jobs", "0"], ["--state"]):
        assert "trien audit" in audit(engine, *words, code=2).stderr
    for flag in "--html", "--report":       # told before anything is looked at
        nowhere = audit(engine, flag, engine.data / "none" / "audit", code=73)
        assert "cannot be written" in nowhere.stderr and nowhere.stdout == ""


def pending(engine):
    """A held number below the highest stored one is no fault, where its engine is asked."""
    path = engine.data / "certs" / "keys.json"
    good = path.read_text()
    doc = json.loads(good)
    for key in doc["keys"]:
        if key["role"] == "person" and key["unit"] == UNITS[0]:
            key["to"] = "2026-01-01"
    path.write_text(json.dumps(doc))
    engine.hup()
    stubs = engine.stubs()
    held = send(stubs, [case()]).receipts[0]
    m = harness.modules()
    harness.wait_for(lambda: stubs.operations.ListHeld(
        m["operations"].ListHeldRequest(page_size=9), timeout=20).held)
    path.write_text(good)
    engine.hup()
    engine.wait_stored(stubs, [send(stubs, [case()]).receipts[0].result_id])
    return held


def test_books(engine, tmp_path):
    number = pending(engine).number
    sock = f"unix:{engine.data}/engine.sock"
    for words in [], ["--connect", sock]:
        row = report(engine, *words)
        book = next(b for b in row["registers"] if b["unit"] == UNITS[0])
        assert row["findings"] == [] and row["ran"]["registersUnasked"] == []
        assert (book["pending"], book["last"]) == (1, number + 1)
    # Without it: that it is not known, and what to do.
    nowhere = f"unix:{tmp_path}/none"
    row = report(engine, "--listen", nowhere, "--html", tmp_path / "a.html", code=1)
    finding, = row["findings"]
    assert finding["fault"] == "BOOK" and "only the engine can tell" in finding["what"]
    assert finding["number"] == number and "--connect" in finding["todo"]
    assert len(row["ran"]["registersUnasked"]) == 2
    assert f"{UNITS[0]} XNTTHN" in (tmp_path / "a.html").read_text()
    done = audit(engine, "--connect", nowhere, code=1)
    assert "no engine was asked" in done.stdout and "is not asked about the" in done.stderr
    # It knows where a register began and ended, whatever the store has lost of it.
    if engine.audited:
        engine.audited.sql(f"DELETE FROM number_register WHERE unit = '{UNITS[0]}' AND "
                           f"number IN (1, {number + 1})")
        row = report(engine, code=1)
        assert {f["number"] for f in row["findings"] if f["fault"] == "BOOK"
                and "neither in the store nor pending" in f["what"]} == {1, number + 1}


def test_goes_on(engine, tmp_path):
    """Killed, or the last line torn: what is told in the end is the same."""
    more = [case(number=f"0010980{i:05d}") for i in range(480)]
    engine.wait_stored(engine.stubs(), [r.result_id for r in send(engine.stubs(), more).receipts])
    state = tmp_path / "state"
    want = same(report(engine))
    killed = subprocess.Popen(
        [str(harness.TRIEN), "audit", *(engine.audited.conninfos if engine.audited else []),
         "--data", str(engine.data), "--state", str(state), "--jobs", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    harness.wait_for(lambda: state.exists() and state.read_text().count("\n") > 2, every=0.001)
    killed.kill()
    killed.wait(20)
    assert same(report(engine, "--state", state)) == want
    lines = state.read_text().splitlines(keepends=True)
    pages = [json.loads(line)["begin"] for line in lines[1:]]
    assert len(pages) == len({tuple(p) for p in pages}) > 3
    state.write_text("".join(lines[:3]) + lines[3][:40])
    assert same(report(engine, "--state", state, "--jobs", 3)) == want
    assert state.read_text().startswith("".join(lines[:3]))
    assert len(state.read_text().splitlines()) == len(lines)
    # What was issued meanwhile is no fault.
    newer = send(engine.stubs(), [case(number="001098100000")]).receipts[0].result_id
    engine.wait_stored(engine.stubs(), [newer])
    assert report(engine, "--state", state)["findings"] == []
    # Another question is another audit, as is another store.
    assert "period or sample" in audit(engine, "--state", state, "--sample", 3, code=78).stderr
    if not engine.audited:
        engine.stop()
        shutil.copytree(engine.data, tmp_path / "copy",
                        ignore=shutil.ignore_patterns("*.sock"))
        other = audit(engine, "--data", tmp_path / "copy", "--state", state, code=78)
        assert "of another store" in other.stderr


def test_damages(engine, tmp_path):
    """One after the other; each is told, with the results that it hit."""
    assert engine.stop() == 0
    damage = OnPostgres(engine) if engine.audited else OnFiles(engine)
    known = set()
    for act in (damage.file, damage.event, damage.number, damage.other_number, damage.evidence):
        wanted = act()
        row = report(engine, "--html", tmp_path / "a.html", code=1)
        assert wanted <= found(row) and not wanted & known, (act, row["findings"])
        assert row["results"]["good"] < RESULTS + 1
        known |= found(row)
        assert all(f["what"] and f["todo"] for f in row["findings"])
        text = json.dumps(row, ensure_ascii=False)
        assert "Trần" not in text and "00109900" not in text
    page_is_whole((tmp_path / "a.html").read_text(), row)
    assert "What to do" in audit(engine, code=1).stdout


class OnPostgres:
    def __init__(self, engine):
        self.engine, self.sql = engine, engine.audited.sql

    def place(self, k):
        """Lane and sequence of a number, which are its result's."""
        r = self.engine.results[k]
        return self.sql("SELECT result_lane, sequence FROM number_register WHERE state = 1 AND "
                        f"unit = '{r.unit}' AND number = {r.number}")[0]

    def file(self):
        lane, sequence = self.place(3)
        self.sql("UPDATE result SET body = set_byte(body, 3000, get_byte(body, 3000) # 1) "
                 f"WHERE lane = {lane} AND sequence = {sequence}")
        return {(f, self.engine.ids[3]) for f in ("FILE", "SIGNATURE")}

    def event(self):
        self.sql("UPDATE event SET record = set_byte(record, 30, get_byte(record, 30) # 1) "
                 "WHERE kind = 4")
        return {("UNREADABLE", self.engine.ids[1])}

    def number(self):
        r = self.engine.results[2]
        self.sql(f"DELETE FROM number_register WHERE unit = '{r.unit}' AND "
                 f"number = {r.number}")
        return {("NUMBER", self.engine.ids[2]), ("BOOK", "")}

    def other_number(self):
        lane, sequence = self.place(3)
        r = self.engine.results[0]
        self.sql(f"UPDATE number_register SET result_lane = {lane}, sequence = {sequence} "
                 f"WHERE unit = '{r.unit}' AND number = {r.number}")
        return {("NUMBER", self.engine.ids[0])}

    def evidence(self):
        self.sql("DELETE FROM layer WHERE position('trien evidence'::bytea in bytes) = 1")
        return {("EVIDENCE", i) for i in self.engine.ids[4:]}


class OnFiles:
    def __init__(self, engine):
        self.engine, self.folder = engine, engine.data / "store"

    def flip(self, needle, shift=0):
        """A bit of the byte at its first place."""
        for path in sorted(self.folder.glob("*.seg")):
            at = path.read_bytes().find(needle)
            if at >= 0:
                with path.open("r+b") as f:
                    f.seek(at + shift)
                    byte = f.read(1)[0]
                    f.seek(at + shift)
                    f.write(bytes([byte ^ 1]))
                return
        raise AssertionError("not there")

    def index(self, text, *values):
        db = sqlite3.connect(self.folder / "index.db")
        with db:
            changed = db.execute(text, values).rowcount
        db.close()
        assert changed == 1

    def register(self, k):
        return ("register = (SELECT id FROM register WHERE unit = ?) AND number = ?",
                self.engine.results[k].unit, self.engine.results[k].number)

    def file(self):
        self.flip(self.engine.ids[3].encode())
        return {("UNREADABLE", self.engine.ids[3])}

    def event(self):
        self.flip("45/QĐ-UBND".encode())
        return {("UNREADABLE", self.engine.ids[1])}

    def number(self):
        where, *values = self.register(2)
        self.index(f"DELETE FROM number_register WHERE {where}", *values)
        return {("NUMBER", self.engine.ids[2]), ("BOOK", "")}

    def other_number(self):
        where, *values = self.register(0)
        self.index("UPDATE number_register SET position = (SELECT max(position) FROM "
                   f"number_register), sequence = sequence + 1 WHERE {where}", *values)
        return {("NUMBER", self.engine.ids[0])}

    def evidence(self):
        self.flip(b"trien evidence")
        return {("EVIDENCE", i) for i in self.engine.ids[4:]}
