"""What lets lanes lie on other servers, checked from a server's own log: with
postgres_distribution = citus a transaction touches one lane; on several servers each holds its own.

No Citus is needed: these are the rules under which a transaction on it has to do with one worker.
"""
import collections
import hashlib
import os
import re
import subprocess

import pytest

import harness
import originals
import postgres
from copying import Paper, certify, copy_case, issue_copy, REGISTER
from sample import UNITS, case, send

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

LANED = ("result", "holding", "locator", "voided", "event", "number_register", "counter",
         "reading", "object", "claim")


@pytest.fixture(scope="module")
def cluster():
    c = postgres.Citus(log_statement="'all'", log_parameter_max_length="4000",
                       log_error_verbosity="'default'").start()
    yield c
    c.remove()


def statements():
    """Names of all that the engine can send where its tables are distributed."""
    folder = harness.ROOT / "engine/store/postgres"
    text = "".join((folder / f).read_text() for f in ("statements.c", "writes.c"))
    # Those for looking over the whole are not the engine's.
    names = {name for name, rest in re.findall(r"\[PGW?_\w+\] = \{ \"(\w+)\"(.*?)\}", text, re.S)
             if not re.search(r",\s+PG_CHECKS, \w+\s*$", rest)}
    assert len(names) > 30
    # In their place go those that begin with lane_; the last asks all lanes at once.
    return names - {"numbers", "results", "numbers_there", "results_there", "newest",
                    "unclaim"}


def work(engine):
    """Everything that writes or reads: results, copies, a link, a purpose, lists, downloads."""
    stubs = engine.stubs()
    m = harness.modules()
    cases = [case(number=f"0010990{i:05d}", unit=UNITS[i % 2]) for i in range(60)]
    cases[0].holders.add(id_kind=1, number="001099900001", name="Hai", role=2)
    ids = [r.result_id for r in send(stubs, cases).receipts]
    # Sent again together with new ones: some are there already.
    more = [case(number=f"0010990{i:05d}") for i in range(10)]
    ids += [r.result_id for r in send(stubs, cases[:10] + more).receipts[10:]]
    got = engine.wait_stored(stubs, ids)
    issuance, repository = m["issuance"], m["repository"]
    stubs.issuance.LinkHolder(issuance.LinkHolderRequest(
        result_id=ids[3], reason="test",
        holder=m["case"].Holder(id_kind=1, number="001099900002", name="Ba", role=3)), timeout=20)
    copies = copied(engine, stubs, ids)
    for i in ids[:5]:
        assert len(engine.download(stubs, i)[0]) == got[i].file_size
    name = issuance.CaseName(unit=cases[1].results[0].unit, code=cases[1].code)
    assert [c.result_id for c in stubs.issuance.WatchResults(
        issuance.WatchResultsRequest(cases=[name]), timeout=20)] == [ids[1]]
    for number in ("001099000000", "001099900001", "001099900002"):
        page = stubs.repository.ListResults(repository.ListResultsRequest(
            id_kind=1, number=number, page_size=50), timeout=20)
        assert page.holdings, number
    assert stubs.audit.GetStatistics(m["audit"].GetStatisticsRequest(),
                                     timeout=20).total.results == len(ids) + len(copies)
    return ids + copies


def copied(engine, stubs, ids):
    """Copies of several citizens, so of several lanes: one as pages, one attached, one of ours."""
    scan, contract = originals.jpeg(), engine.download(stubs, ids[0])[0]
    cases = [copy_case() for _ in range(8)] + [copy_case(kind=REGISTER)]
    for i, c in enumerate(cases):
        c.holders[0].number = f"0010995{i:05d}"
    copies = [certify(stubs, c, data).result_id
              for c, data in zip(cases, 4 * [scan, contract])]
    copies.append(issue_copy(stubs, cases[-1], ids[2]).result_id)
    got = engine.wait_stored(stubs, copies)
    for i, data in zip(copies, 4 * [scan, contract] + [engine.download(stubs, ids[2])[0]]):
        file = engine.download(stubs, i)[0]
        assert hashlib.sha256(file).digest() == got[i].file_sha256
        assert Paper(file).original()[1] == data
    # All of it once more: a claim of nothing, until the next start.
    assert certify(stubs, cases[0], scan, sha256=b"").result_id == copies[0]
    return copies


def transactions(log):
    """{virtual transaction: [(name, text, first parameter)]} of what was executed."""
    out = collections.defaultdict(list)
    pattern = re.compile(r"^(\S+) (\d+) (\d+/\d+) \d+ LOG:  execute (\S+): (.*?)"
                         r"(?=^\S+ \d+ (?:\d+/\d+)? ?\d+ [A-Z]+:  )"
                         r"(?:\S+ \d+ \d+/\d+ \d+ DETAIL:  parameters: \$1 = '([^']*)')?",
                         re.M | re.S)
    for m in pattern.finditer(log):
        out[m[1], m[2], m[3]].append((m[4], m[5], m[6]))
    return out


def lanes_of(first):
    assert first is not None
    return {int(x) for x in re.findall(r"\d+", first.split("...")[0])}


def check(log):
    """Each transaction's lanes; those that are about none may not touch tables with lanes."""
    seen = collections.Counter()
    for where, statements in transactions(log).items():
        lanes = set()
        for name, text, first in statements:
            touched = {t for t in LANED if re.search(rf"\b(?:FROM|INTO|JOIN|UPDATE) {t}\b", text)}
            seen[name] += 1
            if touched or re.search("trien_(?:fold|claim|release)", text):
                lanes |= lanes_of(first)
        assert len(lanes) <= 1, f"{where}: lanes {lanes} in {[s[0] for s in statements]}"
    # None of them was overlooked; the log's last one may be cut off.
    assert sum(seen.values()) >= log.count(" LOG:  execute ") - 1 > 200, seen
    return seen


def contract(cluster):
    """The tests of every store's contract, over its tables."""
    cluster.database("t5")
    done = subprocess.run([str(harness.BUILD / "pgstore_test"), "citus"], capture_output=True,
                          text=True, timeout=200,
                          env={**os.environ, "TRIEN_POSTGRES": cluster.conninfo("t1")})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_transaction_stays_within_a_lane(tmp_path, cluster):
    store = postgres.Store(cluster)
    store.init()
    mark = cluster.log_path.stat().st_size
    contract(cluster)
    with cluster.log_path.open() as f:
        f.seek(mark)
        seen = check(f.read())
    with harness.Engine(tmp_path, **store.settings()) as engine:
        engine.prepare().start()
        mark = cluster.log_path.stat().st_size
        work(engine)
        assert engine.stop() == 0
        engine.start(registers=False)
        assert engine.stop() == 0
        assert engine.trien("audit", *store.conninfos, "--data", engine.data,
                            "--postgres-distribution", "citus").returncode == 0
    with cluster.log_path.open() as f:
        f.seek(mark)
        log = f.read()
    seen += check(log)
    # Each of them was seen, and no other, but what asks how the server is set.
    assert set(seen) - {"<unnamed>"} == statements()
    unnamed = re.findall(r"execute <unnamed>: (.*)", log)
    assert unnamed and all("FROM pg_catalog.pg_settings" in s for s in unnamed), unnamed
    # Nothing is begun or set by hand.
    said = re.findall(r"LOG:  statement: (.*)", log)
    assert all(s.startswith(("SELECT", "SHOW")) for s in said), said


def test_each_server_has_its_lanes_only(tmp_path):
    store = postgres.Store(servers=4)
    store.init()
    with harness.Engine(tmp_path, **store.settings()) as engine:
        engine.prepare().start()
        ids = work(engine)
        assert store.count("result") == len(ids) == 79
        for table in LANED:
            for i in range(4):
                strange = store.sql(f"SELECT count(*) FROM {table} WHERE lane NOT BETWEEN "
                                    f"{16 * i} AND {16 * i + 15}", i)
                assert strange == [["0"]], (table, i)
        # Cases are spread evenly enough that each server has some.
        assert all(int(store.sql("SELECT count(*) FROM result", i)[0][0]) > 0 for i in range(4))
        # So are originals, each where its copies are.
        assert sum(int(store.sql("SELECT count(*) FROM object", i)[0][0]) > 0
                   for i in range(4)) > 1
        deep = engine.trien("store", "check", "--deep", *engine.settings["postgres"])
        assert "all as it should be" in deep.stdout
        assert engine.stop() == 0
