"""One confirmation of a signing session, until all that it releases is stored.

    session_bench.py [--json FILE] [--documents 1000] [--runs 3] [--most RATIO]

ratio = time from ConfirmSession to the last stored result ÷ the time in which the same cores make
that many results' two signatures raw, measured before and after each run. RSA-2048, keys in the
signer process, embedded store, release check on; the client runs on the same cores. With --most it
fails where the median is more.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import engine_bench  # noqa: E402
import harness  # noqa: E402
from office import office_schemas
from sample import SIGNER, case, send  # noqa: E402

SIGNATURES = 2
BATCH = 200


def submit(stubs, documents):
    ids = []
    for first in range(0, documents, BATCH):
        answer = send(stubs, [case() for _ in range(min(BATCH, documents - first))])
        assert not answer.rejects, answer.rejects
        ids += [r.result_id for r in answer.receipts]
    return ids


def listed(stubs, signer, documents):
    """Until all of them stand in the waiting room."""
    m = harness.modules()["signing"]

    def all_there():
        n, token = 0, ""
        while True:
            page = stubs.signing.ListWaiting(m.ListWaitingRequest(
                signer=signer, page_size=200, page_token=token), timeout=20)
            n += len(page.waiting)
            token = page.next_page_token
            if not token:
                return n == documents

    harness.wait_for(all_there, 60)


def measure(folder, documents):
    m = harness.modules()["signing"]
    signer = SIGNER[harness.UNITS[0]]
    raw_before = engine_bench.raw_rate("rsa2048")
    with harness.Engine(folder / "e", schemas=office_schemas(folder / "schemas")) as e:
        e.prepare().start()
        stubs = e.stubs()
        ids = submit(stubs, documents)
        listed(stubs, signer, documents)
        begin = time.monotonic()
        s = stubs.signing.OpenSession(m.OpenSessionRequest(signer=signer, result_ids=ids),
                                      timeout=60)
        opened = time.monotonic()
        stubs.signing.ConfirmSession(m.ConfirmSessionRequest(
            session_id=s.session_id, manifest_sha256=s.manifest_sha256), timeout=60)
        confirmed = time.monotonic()
        stored = {o.result_id for o in stubs.signing.WatchSession(
            m.WatchSessionRequest(session_id=s.session_id), timeout=120) if o.state == 6}
        end = time.monotonic()
        assert len(stored) == documents, f"{len(stored)} of {documents} are stored"
    raw = (raw_before + engine_bench.raw_rate("rsa2048")) / 2
    return {"open_s": opened - begin, "confirm_s": confirmed - opened, "stored_s": end - opened,
            "raw_per_s": raw, "ratio": (end - opened) * raw / (SIGNATURES * documents)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json")
    p.add_argument("--documents", type=int, default=1000)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--most", type=float)
    args = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="trien-bench-") as folder:
        folder = pathlib.Path(folder)
        harness.load_protos(folder / "protos")
        print(f"{'one confirmation':<26} {'documents':>9} {'open s':>8} {'confirm s':>9} "
              f"{'stored s':>8} {'raw/s':>8} {'ratio':>6}")
        for run in range(args.runs):
            row = measure(folder / str(run), args.documents)
            rows.append(row)
            print(f"{'rsa2048':<26} {args.documents:>9} {row['open_s']:>8.2f} "
                  f"{row['confirm_s']:>9.3f} {row['stored_s']:>8.2f} {row['raw_per_s']:>8.0f} "
                  f"{row['ratio']:>6.2f}")
            sys.stdout.flush()
    ratio = statistics.median(r["ratio"] for r in rows)
    if args.json:
        out = {"session.rsa2048.ratio": ratio,
               "session.rsa2048.stored_s": statistics.median(r["stored_s"] for r in rows)}
        pathlib.Path(args.json).write_text(json.dumps(out, indent=1) + "\n")
    if args.most and ratio > args.most:
        sys.exit(f"session_bench: {ratio:.2f} times the raw time, at most {args.most:g}")


if __name__ == "__main__":
    main()
