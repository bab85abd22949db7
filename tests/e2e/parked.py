"""What waits, in each state: a folder of kinds, cases that come to wait, and what they cost."""
import contextlib
import json
import math
import pathlib
import re
import shutil
import sqlite3
import time

import harness
from remote_rig import AWAITING_SIGNATURE, HELD
from sample import KIND, UNITS, case, send
from test_approval import AWAITING

WAITS_KIND = "xac-nhan-cho-ky"
FEW = 1200              # more than a service is asked for at once (ASKED_SERVICE_MAX)
BATCH = 250
# Records of more than 3 KB: one that stays in memory is seen soon.
LONG = {"noi_cu_tru": "Số 7, đường Hoa Ban, " * 21, "tinh_trang": "Chưa đăng ký kết hôn; " * 34,
        "muc_dich": "Làm thủ tục kết hôn; " * 20, "giay_to": "Căn cước công dân " * 12}


# ---- what n more rows may cost, beside a FEW that wait already ----

def started_bytes(n):
    """After a start: nothing, beyond what an allocator and SQLite's caches do as they like."""
    return math.inf if harness.sanitized() else (3 << 20) + 8 * n


def lived_bytes(n):
    """In the life that parked them: its tables, caches and the keys of the journal's live segments
    grow to their bounds; a row is more than 3 KB."""
    return math.inf if harness.sanitized() else (4 << 20) + 400 * n


def start_s(n):
    return 1 + n * 20e-6


# ---- parking ----

def schemas_of_both(folder):
    """The shipped kinds, and one of them once more, numbered at its approval."""
    shutil.copytree(harness.ROOT / "schemas", folder)
    doc = json.loads((folder / "results" / f"{KIND}.json").read_text())
    doc["code"] = WAITS_KIND
    for version in doc["versions"]:
        version["numbered"], version["approval"] = "at_approval", {"own_draft": True}
        version["number"]["register"] = "CHOKY"
    (folder / "results" / f"{WAITS_KIND}.json").write_text(json.dumps(doc, ensure_ascii=False))
    return folder


def unapproved(unit=UNITS[1]):
    c = case(unit=unit, **LONG)
    c.results[0].kind = WAITS_KIND
    return c


def unsigned():
    return case(**LONG)


def rows(engine):
    """In the waiting room, by state."""
    with contextlib.closing(sqlite3.connect(f"file:{engine.data}/waiting/index.db?mode=ro",
                                            uri=True, timeout=20)) as db:
        return dict(db.execute("SELECT state, rows FROM total WHERE rows > 0"))


@contextlib.contextmanager
def damaged(engine, code):
    """A bit of each copy that the waiting room has of this case's code, until it is left."""
    hit = []
    for path in (engine.data / "waiting").glob("*.seg"):
        for found in re.finditer(re.escape(code.encode()), path.read_bytes()):
            hit.append((path, found.start()))
    assert hit
    for path, at in hit:
        flip(path, at)
    yield
    for path, at in hit:
        flip(path, at)


def flip(path, at):
    with path.open("r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def status(engine):
    m = harness.modules()["operations"]
    return engine.stubs().operations.GetStatus(m.GetStatusRequest(), timeout=20)


def memory(engine, what="VmRSS"):
    """Of the engine's process, in bytes. RssAnon is without the pages of mapped files: the index of
    every key that was ever accepted."""
    text = pathlib.Path(f"/proc/{engine.children()['engine']}/status").read_text()
    return int(text.split(f"{what}:")[1].split()[0]) * 1024


def on_disk(engine):
    return sum(p.stat().st_size for p in (engine.data / "waiting").iterdir())


def resident(engine, what="VmRSS"):
    """Of an engine that has been at rest for a while."""
    time.sleep(5)
    least = memory(engine, what)
    for _ in range(8):
        time.sleep(0.25)
        least = min(least, memory(engine, what))
    return least


def start_timed(engine):
    begun = time.monotonic()
    engine.start(registers=False)
    return time.monotonic() - begun


def held_tried(engine, n):
    """A start tries each held one once."""
    harness.wait_for(lambda: engine.metrics()["results_parked_total"] >= n, 180, 0.1)


class Parked:
    """Receipts of what waits: for a service's signature, for approval, for a missing key."""

    def __init__(self, patience_s):
        self.patience_s = patience_s
        self.unsigned, self.unapproved, self.held = [], [], []

    def more(self, engine, receipts, make, n):
        stubs, end = engine.stubs(), len(receipts) + n
        while len(receipts) < end:
            answer = send(stubs, [make() for _ in range(min(BATCH, end - len(receipts)))],
                          timeout=120)
            assert not answer.rejects, answer.rejects[0]
            receipts += answer.receipts
        self.settled(engine)

    def settled(self, engine):
        """Each has a row, of its state, and nothing is on its way."""
        want = {AWAITING: len(self.unapproved), AWAITING_SIGNATURE: len(self.unsigned),
                HELD: len(self.held)}
        want = {state: n for state, n in want.items() if n}
        harness.wait_for(lambda: rows(engine) == want and status(engine).in_flight == 0,
                         self.patience_s, 0.2)

    def ids(self):
        return [r.result_id for r in self.unsigned + self.unapproved + self.held]

    def evenly(self, n):
        """Of each, at most so many."""
        some = Parked(self.patience_s)
        for name in ("unsigned", "unapproved", "held"):
            of = getattr(self, name)
            setattr(some, name, of[::-(-len(of) // n)])
        return some
