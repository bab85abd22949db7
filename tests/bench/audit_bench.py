"""`trien audit` against the verifier by itself, both on all cores.

    audit_bench.py [--json FILE] [--results 5000] [--runs 5] [--least RATIO]

ratio = results a second of CPU of an audit (store read, hash, verdict, certificates, events,
numbers, registers, report; the start of the program, too) ÷ files a second of CPU that the verifier
alone judges, on the same documents and as many threads (judge_rate), turn by turn; the median.
Rates by the clock on the wall stand beside it: what else runs takes its part of these. Two
signatures, RSA-2048, embedded store, with its engine gone. With --least it fails where the median
is less.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402
from sample import case, send  # noqa: E402

BATCH = 200


def prepare(folder, results):
    """The data folder, and every document as a file."""
    files = folder / "files"
    files.mkdir()
    with harness.Engine(folder / "e") as e:
        e.prepare().start()
        stubs, ids = e.stubs(), []
        for first in range(0, results, BATCH):
            answer = send(stubs, [case() for _ in range(min(BATCH, results - first))])
            assert not answer.rejects, answer.rejects
            ids += [r.result_id for r in answer.receipts]
        e.wait_stored(stubs, ids)
        for i in ids:
            (files / f"{i}.pdf").write_bytes(e.download(stubs, i)[0])
        assert e.stop() == 0
        return e.data, sorted(map(str, files.iterdir()))


def audited(data, n):
    """Per second: by the clock, of CPU."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(harness.TRIEN), "audit", "--data", str(data)], stdout=subprocess.DEVNULL,
                   check=True, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return n / (time.monotonic() - begin), n / cpu


def judged(data, files):
    words = [str(harness.BUILD / "judge_rate"), str(os.cpu_count()), str(data / "certs"), *files]
    done = subprocess.run(words, capture_output=True, check=True, timeout=600)
    return tuple(map(float, done.stdout.split()))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json")
    p.add_argument("--results", type=int, default=5000)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--least", type=float)
    args = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="trien-bench-") as folder:
        folder = pathlib.Path(folder)
        harness.load_protos(folder / "protos")
        data, files = prepare(folder, args.results)
        judged(data, files), audited(data, len(files))
        print(f"{'audit':<14} {'verify/s':>9} {'audit/s':>9} {'verify/CPU s':>12} "
              f"{'audit/CPU s':>12} {'ratio':>6}")
        for _ in range(args.runs):
            before, own, after = judged(data, files), audited(data, len(files)), judged(data, files)
            verify = [(b + a) / 2 for b, a in zip(before, after)]
            rows.append({"ratio": own[1] / verify[1], "audit": own[0]})
            print(f"{'rsa2048.two':<14} {verify[0]:>9.0f} {own[0]:>9.0f} {verify[1]:>12.0f} "
                  f"{own[1]:>12.0f} {rows[-1]['ratio']:>6.2f}")
            sys.stdout.flush()
    ratio = statistics.median(r["ratio"] for r in rows)
    if args.json:
        out = {"audit.rsa2048.two.ratio": ratio,
               "audit.rsa2048.two.per_s": statistics.median(r["audit"] for r in rows)}
        pathlib.Path(args.json).write_text(json.dumps(out, indent=1) + "\n")
    if args.least and ratio < args.least:
        sys.exit(f"audit_bench: {ratio:.2f} of the verifier's rate, at least {args.least:g}")


if __name__ == "__main__":
    main()
