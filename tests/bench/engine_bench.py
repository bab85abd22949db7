"""The whole engine: client, engine, signer (and database) together on the same cores.

    engine_bench.py [--json FILE] [--cases 1000,10000,100000] [--quick] [--least] [--most]

ratio = signatures per second ÷ what the same cores sign raw in the same run (before and after each
measurement). CPU comes from /proc, memory is the sum of PSS of the engine's processes, growth
compares the CPU cost per result of the last tenth with that of results 5,001–15,000. Requests are
encoded before the clock starts. The medians are told with what they must be; with --least it fails
where a ratio is below that, with --most where growth, memory or bytes are above, with either where
one was not measured.
"""
import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
import postgres  # noqa: E402

BATCH, IN_FLIGHT = 200, 6
PAGE = "xac-nhan-tinh-trang-hon-nhan"     # one page, 12 fields, two signatures
TICK = os.sysconf("SC_CLK_TCK")

# What DESIGN asks of the whole engine.
LEAST = {"engine.rsa2048.ratio": 0.75, "engine.p256.ratio": 0.15, "engine.p256.sampled_ratio": 0.33,
         "engine.postgres.rsa2048.ratio": 0.65, "engine.postgres.p256.ratio": 0.10}
MOST = {"engine.growth": 1.10, "engine.peak_memory_mb": 512, "result.rsa2048.bytes": 8.5 * 1024,
        "result.p256.bytes": 8 * 1024}


def raw_rate(algorithm, ms=1500):
    rawsign = harness.BUILD / "rawsign_bench"
    out = subprocess.run([str(rawsign), algorithm, str(os.cpu_count()), str(ms)],
                         capture_output=True, text=True, check=True, timeout=60).stdout
    return float(out)


def requests(cases, mix, first=0):
    """Encoded SubmitBatch requests, each case with its own code; `first` tells series apart."""
    m = harness.modules()["issuance"]
    lines = harness.generated(min(cases, 1000), seed=7, mix=mix)
    base = [(c, c.code) for c in map(harness.as_case, lines)]
    out, results, request = [], 0, m.SubmitBatchRequest()
    for k in range(-(-cases // len(base))):
        for c in itertools.islice(harness.series(base, first + k), cases - k * len(base)):
            results += len(c.results)
            request.cases.append(c)
            if len(request.cases) == BATCH:
                out.append(request.SerializeToString())
                request.Clear()
    if request.cases:
        out.append(request.SerializeToString())
    return out, results


def cpu_s(pid):
    """Of the process and of its children that have ended: a look into an original is one."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICK


def pss_mb(pids):
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def server_cpu_s(cluster):
    """Of all its processes, of those that ended too; it has no tick of its own."""
    head, total = cluster.pids()[0], 0
    for pid in cluster.pids():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(map(int, fields[11:15] if pid == head else fields[11:13]))
    return total / TICK


class Watch:
    """Samples what is stored, what it cost, and how much memory it takes."""

    def __init__(self, engine, stubs, base):
        self.stubs, self.engine = stubs, engine
        self.pids = {"supervisor": engine.process.pid, **engine.children()}
        self.request = harness.modules()["operations"].GetStatusRequest()
        self.samples, self.peak_mb, self.done = [], 0, threading.Event()
        self.base = base

    def stored(self):
        return self.stubs.operations.GetStatus(self.request, timeout=20).stored

    def cpu(self):
        return {name: cpu_s(pid) for name, pid in self.pids.items()}

    def until(self, results, seconds):
        end = time.monotonic() + seconds
        memory_due = 0
        while True:
            stored = self.stored() - self.base
            now = time.monotonic()
            self.samples.append((stored, now, sum(self.cpu().values())))
            if now >= memory_due:
                self.peak_mb = max(self.peak_mb, pss_mb(self.pids.values()))
                memory_due = now + 0.5
            if stored >= results:
                return
            assert now < end, f"{stored} of {results} are stored after {seconds} s"
            time.sleep(0.05)

    def cost(self, first, last):
        """CPU seconds a result between two counts, from the samples nearest to them."""
        a = min(self.samples, key=lambda s: abs(s[0] - first))
        b = min(self.samples, key=lambda s: abs(s[0] - last))
        return (b[2] - a[2]) / (b[0] - a[0]) if b[0] > a[0] else float("nan")


def store_bytes(engine, database=None):
    """Of the segments, without the room that is reserved ahead, and of the index."""
    if database:
        return int(database.sql("SELECT pg_database_size(current_database())")[0][0])
    store = engine.data / "store"
    total = sum(p.stat().st_size for p in store.glob("index*") if "shm" not in p.name)
    for segment in store.glob("*.seg"):
        with segment.open("rb") as f:
            for at in range(0, segment.stat().st_size, 1 << 20):
                block = f.read(1 << 20)
                if block.count(0) != len(block):
                    used = at + len(block.rstrip(b"\0"))
        total += used
    return total


def measure(folder, algorithm, cases, check_one_in=1, mix="one-stop", cluster=None):
    database = postgres.Store(cluster) if cluster else None
    if database:
        database.init()
    engine = harness.Engine(folder, algorithm=algorithm, journal_slots="16",
                            journal_segment_mb="64", check_one_in=str(check_one_in),
                            **(database.settings() if database else {}))
    engine.prepare().start()
    try:
        # First some that are not counted: templates, layers and connections are made by them.
        warm, warm_results = requests(500, mix, first=1000)
        encoded, results = requests(cases, mix)
        channel = engine.channel(f"unix:{engine.data}/engine.sock")
        stubs = engine.stubs(channel)
        submit = channel.unary_unary("/trien.v1.Issuance/SubmitBatch")
        feed(submit, warm)
        Watch(engine, stubs, 0).until(warm_results, 60)
        bytes_before = store_bytes(engine, database)
        watch = Watch(engine, stubs, warm_results)
        raw = [raw_rate(algorithm)]
        before, signatures = watch.cpu(), status(stubs).signatures
        server_before = server_cpu_s(cluster) if cluster else 0
        client_before = time.process_time()
        begin = time.monotonic()
        feeder = threading.Thread(target=feed, args=(submit, encoded))
        feeder.start()
        watch.until(results, 600)
        took = time.monotonic() - begin
        feeder.join()
        client = time.process_time() - client_before
        server = server_cpu_s(cluster) - server_before if cluster else 0
        after, signatures = watch.cpu(), status(stubs).signatures - signatures
        raw.append(raw_rate(algorithm))
        row = {"cases": cases, "results": results, "seconds": took, "results_per_s": results / took,
               "signatures_per_s": signatures / took, "raw_per_s": statistics.mean(raw),
               "ratio": signatures / took / statistics.mean(raw), "peak_memory_mb": watch.peak_mb,
               "cpu_ms_per_result": {k: 1000 * (after[k] - before[k]) / results for k in after},
               "client_ms_per_result": 1000 * client / results,
               "server_ms_per_result": 1000 * server / results,
               "bytes_per_result": (store_bytes(engine, database) - bytes_before) / results}
        if results > 30000:
            row["growth"] = watch.cost(results - 10000, results) / watch.cost(5000, 15000)
        return row
    finally:
        engine.kill()
        if database:
            database.remove()


def on_postgres(folder, runs, out):
    """The same with the results in PostgreSQL, on the same cores, as durable as in production."""
    if postgres.missing():
        print(f"on PostgreSQL: skipped, {postgres.missing()}")
        return
    # What a fresh server does once in its life is not part of it: its log's files are made, 16 MB
    # of zeros each, by the run that is not counted; after a checkpoint they are used again.
    cluster = postgres.Cluster(durable=True, shared_buffers="'256MB'", max_wal_size="'8GB'",
                               min_wal_size="'1GB'").start()
    try:
        for run in range(3):
            measure(folder / f"postgres-first-{run}", "p256", 20000, cluster=cluster)
        for algorithm in ("rsa2048", "p256"):
            rows = []
            for run in range(runs):
                cluster.sql("postgres", "CHECKPOINT")
                rows.append(measure(folder / f"postgres-{algorithm}-{run}", algorithm, 10000,
                                    cluster=cluster))
                show(f"{algorithm}, PostgreSQL", rows[-1])
            middle = sorted(rows, key=lambda r: r["ratio"])[len(rows) // 2]
            out[f"engine.postgres.{algorithm}.ratio"] = middle["ratio"]
            out[f"engine.postgres.{algorithm}.results_per_s"] = middle["results_per_s"]
    finally:
        cluster.remove()


def status(stubs):
    request = harness.modules()["operations"].GetStatusRequest()
    return stubs.operations.GetStatus(request, timeout=20)


def feed(submit, encoded):
    """Keeps a few requests on the way; a full engine is asked again, as a case system would."""
    import grpc

    flying = []

    def settle():
        body, future = flying.pop(0)
        while True:
            try:
                future.result()
                return
            except grpc.RpcError as e:
                if e.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                time.sleep(0.02)
                future = submit.future(body, timeout=60)

    for body in encoded:
        if len(flying) == IN_FLIGHT:
            settle()
        flying.append((body, submit.future(body, timeout=60)))
    while flying:
        settle()


def show(name, row):
    growth = row.get("growth", float("nan"))
    print(f"{name:<26} {row['cases']:>8} {row['results']:>8} {row['results_per_s']:>10.0f} "
          f"{row['signatures_per_s']:>10.0f} {row['raw_per_s']:>10.0f} {row['ratio']:>6.2f} "
          f"{row['bytes_per_result']:>8.0f} {row['peak_memory_mb']:>7.0f} {growth:>7.2f}")
    parts = {**row["cpu_ms_per_result"], "client": row["client_ms_per_result"],
             "server": row["server_ms_per_result"]}
    print(f"{'':<26} CPU seconds per 1,000 results: "
          + ", ".join(f"{k} {v:.3f}" for k, v in parts.items()))
    sys.stdout.flush()


def judged(out, least, most):
    """Tells each median with its bound; False: one that was asked for is not kept."""
    good = True
    for bounds, word, asked, sign in (LEAST, "at least", least, 1), (MOST, "at most", most, -1):
        for key, bound in bounds.items():
            value = out.get(key, float("nan"))
            kept = sign * value >= sign * bound
            good = good and (kept or not asked)
            why = "" if kept else ": not measured" if key not in out else ": NOT KEPT"
            print(f"{key:<32} {value:>10.3f}  ({word} {bound:g}){why}")
    return good


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json")
    p.add_argument("--cases", default="1000,10000,100000")
    p.add_argument("--quick", action="store_true", help="10,000 cases only, one run each")
    p.add_argument("--least", action="store_true", help="fail where a ratio is not reached")
    p.add_argument("--most", action="store_true", help="fail where growth, memory, bytes are more")
    args = p.parse_args()
    counts = [10000] if args.quick else [int(x) for x in args.cases.split(",")]
    out = {}
    with tempfile.TemporaryDirectory(prefix="trien-bench-") as folder:
        folder = pathlib.Path(folder)
        harness.load_protos(folder / "protos")
        print(f"{'whole engine':<26} {'cases':>8} {'results':>8} {'results/s':>10} {'sign/s':>10} "
              f"{'raw/s':>10} {'ratio':>6} {'B/result':>8} {'MB':>7} {'growth':>7}")
        runs = 1 if args.quick else 3
        for algorithm, key, one_in in (("rsa2048", "engine.rsa2048.ratio", 1),
                                       ("p256", "engine.p256.ratio", 1),
                                       ("p256", "engine.p256.sampled_ratio", 64)):
            rows = []
            for cases in counts:
                for run in range(runs if cases == 10000 else 1):
                    row = measure(folder / f"{key}-{cases}-{run}", algorithm, cases, one_in)
                    show(f"{algorithm}{' 1 in 64' if one_in > 1 else ''}", row)
                    rows.append(row)
            middle = sorted([r for r in rows if r["cases"] == 10000] or rows,
                            key=lambda r: r["ratio"])
            middle = middle[len(middle) // 2]
            out[key] = middle["ratio"]
            if one_in == 1:
                out[f"engine.{algorithm}.results_per_s"] = middle["results_per_s"]
                out[f"result.mix.{algorithm}.bytes"] = middle["bytes_per_result"]
                out.setdefault("engine.peak_memory_mb", 0)
                out["engine.peak_memory_mb"] = max(out["engine.peak_memory_mb"],
                                                   *(r["peak_memory_mb"] for r in rows))
            if one_in == 1:
                # The one-page document of DESIGN 10, alone.
                row = measure(folder / f"{key}-page", algorithm, 2000, mix=PAGE)
                show(f"{algorithm}, one page", row)
                out[f"result.{algorithm}.bytes"] = row["bytes_per_result"]
            grown = [r["growth"] for r in rows if "growth" in r]
            if grown:
                out["engine.growth"] = max(out.get("engine.growth", 0), *grown)
        on_postgres(folder, runs, out)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(out, indent=1) + "\n")
    if not judged(out, args.least, args.most):
        sys.exit("engine_bench: not kept")


if __name__ == "__main__":
    main()
