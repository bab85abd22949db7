"""The load test: it proves what it claims, through kills, and sees what is wrong."""
import json
import os
import re
import subprocess
import sys
import threading

import pytest

import harness
import postgres
from clone import clone
from sample import case, send

LOAD = harness.BUILD / "loadtest" / "trien-load"
# Cases, seconds, kills, seconds without a database: short, and in the soak.
CASES, SECONDS, KILLS, AWAY = \
    (40000, 100, 20, 20) if os.environ.get("TRIEN_FULL") else (1200, 8, 2, 1)
SMALL_JOURNAL = ("--", "--journal-slots", "6", "--journal-segment-mb", "4")
CALLS = ("calls.batch.cases", "calls.stream.cases", "calls.case.cases", "calls.copy.cases", "lists",
         "downloads")


def load(folder, *args, workload="small", code=0):
    """Runs it; returns what it printed and its JSON."""
    report = folder / "report.json"
    done = subprocess.run([str(LOAD), workload, "--json", str(report), "--quiet", *map(str, args)],
                          capture_output=True, text=True, cwd=harness.ROOT,
                          timeout=100 + 10 * SECONDS)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, json.loads(report.read_text()) if report.exists() else {}


def left(folder):
    """Processes of an engine in that folder."""
    return subprocess.run(["pgrep", "-f", str(folder / "data")], capture_output=True,
                          text=True).stdout.split()


def test_kills_and_an_outage_and_the_proof_holds(tmp_path):
    html, hgrm, svg = tmp_path / "r.html", tmp_path / "r", tmp_path / "t.svg"
    said, r = load(tmp_path, "--start", "--data", tmp_path / "data", "--cases", CASES,
                   "--seconds", SECONDS, "--chaos", "--kills", KILLS, "--chaos-database",
                   f"date +%s%N >{tmp_path}/away", f"date +%s%N >{tmp_path}/back", "--away", 1,
                   "--verify", 0.1, "--html", html, "--hgrm", hgrm, "--svg", svg, *SMALL_JOURNAL)
    assert "it holds: loss = duplicates = gaps = 0" in said
    assert r["good"] == 1 and r["chaos.database_outages"] == 1
    assert KILLS / 2 <= r["chaos.kills"] <= KILLS
    assert r["proof.cases"] == r["cases"] == CASES
    assert r["proof.stored"] == r["proof.results"] == r["results"] >= CASES
    assert r["proof.numbers"] == r["proof.results"]
    assert [r[f"proof.{x}"] for x in ("lost", "duplicates", "gaps", "differences", "undecided",
                                      "rejected", "list_wrong", "files_bad",
                                      "resent_differ")] == [0] * 9
    assert all(r[k] > 0 for k in (*CALLS, "proof.listed", "proof.resent"))
    assert r["proof.files"] >= 0.09 * r["results"] and r["proof.file_bytes"] > 10_000_000
    # One case in five is a certified copy; of their files the originals were hashed.
    assert abs(r["calls.copy.cases"] / CASES - 0.2) < 0.06
    assert r["proof.attached"] > 0.05 * r["calls.copy.cases"]
    assert r["process.foreign.cpu_s"] > 0
    assert r["receipt.p50_ms"] >= r["receipt.raw.p50_ms"] > 0
    # Who had to wait for the engine's restart is seen in what is counted from the due time.
    assert r["receipt.max_ms"] > 100
    # Every result by the engine's clock; one case in ten by its holder's list, all over the run.
    assert r["stored.n"] == r["results"] and r["stored.p99_ms"] >= r["stored.p50_ms"] > 0
    assert r["visible.n"] >= 0.9 * min(500, CASES / 10) >= 100
    assert r["visible.p99_ms"] >= r["visible.p50_ms"] > r["receipt.raw.p50_ms"]
    assert r["host.flush_before_ms"] > 0 and r["host.flush_after_ms"] > 0
    for latency in "receipt", "receipt.raw":
        assert r[f"{latency}.p99_flushes"] == pytest.approx(
            r[f"{latency}.p99_ms"] / r["host.flush_ms"], rel=0.001)
    assert 10 < r["memory.engine_mb"] < 512
    assert r["cpu.engine_s"] > 0 and r["process.signer.cpu_s"] > 0 and r["written.bytes"] > 0
    away, back = ((tmp_path / x).read_text() for x in ("away", "back"))
    assert 0.9e9 < int(back) - int(away) < 20e9
    check_files(html.read_text(), hgrm, svg.read_text(), r)
    check_table(tmp_path, r)
    assert left(tmp_path) == []


@pytest.fixture
def servers():
    """Four of them, which keep what they say is on their disk."""
    made = [postgres.Cluster(durable=True) for _ in range(4)]
    try:
        yield [c.start() for c in made]
    finally:
        for c in made:
            c.remove()


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_kills_and_a_crash_of_one_of_four_servers(tmp_path, servers):
    """The engine is killed, and a server that holds a quarter of the lanes crashes meanwhile."""
    stores = [postgres.Store(c) for c in servers]
    for s in stores:
        s.init()
    where = [f"lanes={16 * i}-{16 * i + 15} {s.conninfos[0]}" for i, s in enumerate(stores)]
    said, r = load(tmp_path, "--start", "--data", tmp_path / "data", "--cases", CASES,
                   "--seconds", SECONDS, "--chaos", "--kills", KILLS, "--chaos-database",
                   *servers[2].outage(), "--away", 2, "--verify", 0.1, *SMALL_JOURNAL,
                   "--store", "postgres", *(w for one in where for w in ("--postgres", one)))
    assert "it holds: loss = duplicates = gaps = 0" in said
    assert r["good"] == 1 and r["chaos.database_outages"] == 1
    assert KILLS / 2 <= r["chaos.kills"] <= KILLS
    assert r["proof.stored"] == r["proof.results"] >= CASES
    assert sum(s.count("result") for s in stores) == r["proof.stored"]
    assert all(s.count("result") > 0 for s in stores)
    # With all that belongs to each: a kill is between the transactions of two servers, too.
    deep = subprocess.run([str(harness.TRIEN), "store", "check", "--deep", *where],
                          capture_output=True, text=True, timeout=60)
    assert deep.returncode == 0, deep.stdout
    crashes = servers[2].log_path.read_text().count("not properly shut down")
    assert crashes == 1 and left(tmp_path) == []


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_kills_and_a_crash_of_the_only_server(tmp_path):
    """All of the store is away while the engine is killed; the server is watched through it."""
    cluster = postgres.Cluster(durable=True)
    try:
        store = postgres.Store(cluster.start())
        store.init()
        said, r = load(tmp_path, "--start", "--data", tmp_path / "data", "--cases", CASES,
                       "--seconds", SECONDS, "--chaos", "--kills", KILLS, "--chaos-database",
                       *cluster.outage(), "--away", AWAY, "--process",
                       f"postgres={cluster.data}/postmaster.pid", *SMALL_JOURNAL, "--store",
                       "postgres", "--postgres", store.conninfos[0])
        assert "it holds: loss = duplicates = gaps = 0" in said
        assert r["good"] == r["chaos.database_outages"] == 1 and r["chaos.failed_commands"] == 0
        assert KILLS / 2 <= r["chaos.kills"] <= KILLS
        assert store.count("result") == r["proof.stored"] == r["proof.results"] >= CASES
        assert cluster.log_path.read_text().count("not properly shut down") == 1
        assert r["process.postgres.cpu_s"] > 0 and left(tmp_path) == []
    finally:
        cluster.remove()


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_run_load_has_a_server_of_its_own(tmp_path):
    """`--chaos` alone kills the engine and breaks the database; nothing is left."""
    copy = clone(tmp_path)
    done = subprocess.run(["./run", "load", "small", "--cases", "100", "--seconds", "2", "--chaos",
                           "--kills", "1", "--away", "1", "--store", "postgres", "--quiet",
                           *SMALL_JOURNAL], cwd=copy, capture_output=True, text=True, timeout=300)
    out = copy / "build" / "load"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    r = json.loads((out / "report.json").read_text())
    assert r["good"] == r["chaos.database_outages"] == 1 and r["chaos.failed_commands"] == 0
    assert r["proof.stored"] >= r["proof.cases"] == 100
    assert r["process.postgres.cpu_s"] > 0
    server = re.search(r"--postgres 'host=(\S+) dbname", r["command"])[1]
    assert left(copy / "build" / "load") == [] and not (out / "postgres.pid").exists()
    assert subprocess.run(["pgrep", "-f", server], capture_output=True, text=True).stdout == ""


def check_files(page, hgrm, svg, r):
    assert not re.search(r"<script|<link|src=|href=|url\(|@import", page)
    titles = re.findall(r'<text class="t"[^>]*>([^<]+)', page)
    assert {"Throughput", "Latency of receipts: small", "Time per stage", "Backlog", "CPU",
            "Memory (PSS)", "Bytes written"} <= set(titles)
    assert page.count("<polyline") > 15 and "trien-load small" in page
    assert svg.startswith("<svg") and svg.count("<polyline") == 3
    corrected = hgrm.with_suffix(".corrected.hgrm").read_text()
    rows = re.findall(r"^ +([\d.]+) ([01]\.\d+) +(\d+)", corrected, re.M)
    assert int(rows[-1][2]) == r["receipt.n"] == CASES
    assert abs(float(rows[-1][0]) - r["receipt.max_ms"]) < 0.01
    assert "#[Max     =" in hgrm.with_suffix(".raw.hgrm").read_text()


def check_table(folder, r):
    """README's: a row of medians with what it is of; – for what so few values do not say."""
    more = [r["receipt.p50_ms"] + d for d in (0, 2000, 4000)]
    paths = [folder / f"{i}.json" for i in range(4)]
    for path, p50 in zip(paths, more):
        path.write_text(json.dumps(r | {"receipt.p50_ms": p50}))
    peak = {k: v for k, v in r.items() if k != "visible.p99_ms"} | {
        "workload": "peak", "chaos.kills": 0, "memory.engine_growth": 1.07, "good": 0,
        **{f"half_peak.{k}": r[k] for k in r if re.match(
            r"(cases|results|results_per_s|(receipt|receipt.raw|stored|visible)\.\w+)$", k)},
        "half_peak.receipt.p99_flushes": 31}
    paths[3].write_text(json.dumps(peak))
    done = subprocess.run([sys.executable, "loadtest/table.py", *map(str, paths)],
                          cwd=harness.ROOT, capture_output=True, text=True)
    head, rule, *rows = done.stdout.split("\n\n")[0].splitlines()
    assert head.count("|") == rule.count("|") == 9 and [x.count("|") for x in rows] == [9] * 3
    cells = [c.strip() for c in rows[0].split("|")[1:-1]]
    assert cells[0].startswith("`small`") and cells[0].endswith(f"{r['chaos.kills']} kills")
    assert cells[1] == f"{CASES:,}, {r['results']:,}" and cells[6] == "0, 0, 0"
    assert cells[3].startswith(f"{more[1]:,.0f}, ")
    assert cells[5].endswith(f" ({r['visible.n']})") and "–" not in cells[5]
    assert rows[1].startswith("| `peak`, ") and f", – ({r['visible.n']}) |" in rows[1]
    assert rows[2].startswith("| `peak`, then half of its rate | ")
    assert "is 31 to 31 flushes" in done.stdout and "1.07 times" in done.stdout
    assert done.returncode == 1 and "3.json" in done.stderr


def test_a_number_that_is_not_ours_is_a_gap(tmp_path, engine):
    """Somebody else takes numbers meanwhile: to the proof they are missing."""
    engine.start()
    stubs = engine.stubs()
    stop, sent = threading.Event(), []

    def disturb():
        while not stop.wait(0.3):
            sent.append(send(stubs, [case()]).receipts[0])

    other = threading.Thread(target=disturb)
    other.start()
    try:
        said, r = load(tmp_path, "--data", engine.data, "--engine-pid", engine.process.pid,
                       "--cases", 200, "--seconds", 3, code=1)
    finally:
        stop.set()
        other.join()
    assert "IT DOES NOT HOLD" in said and re.search(r"gap: ubnd-\S+ \S+ has", said)
    assert 1 <= r["proof.gaps"] <= len(sent)
    assert r["proof.lost"] == r["proof.duplicates"] == 0 and r["good"] == 0


def test_a_merger_replaces_every_result_over_mtls(tmp_path):
    said, r = load(tmp_path, "--start", "--door", "mtls", "--data", tmp_path / "data", "--cases",
                150, "--seconds", 1, *SMALL_JOURNAL, workload="merger")
    assert (r["cases"], r["reissue.cases"], r["proof.stored"]) == (150, 150, 300)
    assert r["door"] == "mtls" and r["good"] == 1
    assert "(played: 150 instead of 800000 cases)" in said
    # The new results, too, are seen in their holders' lists.
    assert r["visible.n"] == r["reissue.visible.n"] == 15 and r["visible.probes_lost"] == 0
    # What so few do not say is not told.
    assert r["visible.p90_ms"] > 0 and "visible.p99_ms" not in r and "receipt.p999_ms" not in r
    assert re.search(r"visible in the citizen's list +15( +[\d.]+){2} +- +- +[\d.]+$", said, re.M)
    assert r["stored.n"] == r["reissue.stored.n"] == 150


def test_too_much_memory_and_too_much_cpu_fail_the_run(tmp_path, engine):
    engine.start()
    at = ("--data", engine.data, "--engine-pid", engine.process.pid)
    said, r = load(tmp_path, *at, "--cases", 50, "--seconds", 1, "--memory-mb", 5, code=1)
    assert "more than the 5 allowed" in said and "IT DOES NOT HOLD" in said
    assert r["good"] == 0 and r["memory.engine_mb"] > 5 and r["proof.lost"] == 0

    # What the workload itself must keep is asked for as long as nothing changes the workload.
    small = json.loads((harness.ROOT / "loadtest/workloads/small.json").read_text())
    small |= {"cases": 50, "schedule": {"shape": "constant", "seconds": 1}}
    small["must"] = {"receiptP99Flushes": 1e6, "generatorShare": 1e-6}
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(small))
    said, r = load(tmp_path, *at, workload=mine, code=1)
    assert re.search(r"must: the generator's CPU, .* at most 1e-06, is \S+: NOT KEPT$", said, re.M)
    assert re.search(r"must: p99 of receipts, .* was not measured$", said, re.M)
    assert r["good"] == r["musts.kept"] == r["proof.lost"] == 0
    said, r = load(tmp_path, *at, "--cases", 40, workload=mine)
    assert "not asked" in said and "NOT KEPT" not in said and r["good"] == r["musts.kept"] == 1


def test_a_bench_of_the_whole_engine_fails_where_a_bound_is_not_kept(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(harness.ROOT / "tests" / "bench"))
    import engine_bench as bench
    good = {**bench.LEAST, **bench.MOST}
    assert bench.judged(good, True, True)
    slow, large = good | {"engine.p256.ratio": 0.149}, good | {"engine.growth": 1.11}
    assert not bench.judged(slow, True, False) and bench.judged(slow, False, True)
    assert not bench.judged(large, False, True) and bench.judged(large, True, False)
    del good["engine.postgres.rsa2048.ratio"]
    assert not bench.judged(good, True, False)
    said = capsys.readouterr().out
    assert said.count("NOT KEPT") == 4 and said.count(": not measured") == 1


def test_wrong_words(tmp_path):
    for args in (["--door", "window"], ["--cases", "none"], ["--chaos"], ["--chaos-database", "x"],
                 ["--process", "7"], ["--process", "database=/no/pid/file"]):
        load(tmp_path, *args, code=2)
    load(tmp_path, workload="nowhere", code=2)
