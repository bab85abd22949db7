"""Certified copies: what one costs, by what it is made of.

    copies_bench.py [--json FILE] [--copies 400] [--algorithm p256]

A JPEG of 300 KB and a PDF of 3 MB (its pages scans), each copy of another original. Rows:

    transport    sent, hashed, written, and then refused: it is not what was declared
    + looked at  validated only: the limited child has read it
    certified    numbered, rendered, signed twice, stored: the whole
    again        the same copies: their headers alone are sent
    hash, disk, sign    alone, of a plain program: SHA-256, a durable file, two signatures

ms are CPU milliseconds a copy of the engine's processes; the client is Python, and its cost beside.
"""
import argparse
import concurrent.futures
import hashlib
import io
import itertools
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import copying  # noqa: E402
import engine_bench  # noqa: E402
import harness  # noqa: E402
import originals  # noqa: E402

IN_FLIGHT = 8


def noise(size, quality=90):
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise(size, 80).save(out, "JPEG", quality=quality, dpi=(150, 150))
    return out.getvalue()


def jpeg_of(data):
    """Series of JPEGs that differ in a comment."""
    return lambda i: data[:2] + b"\xff\xfe\0\x0a%08d" % i + data[2:]


def pdf_of(data):
    """Series of PDFs that differ in the comment behind their first line."""
    mark = data.index(b"%mark")
    return lambda i: data[:mark] + b"%%%08d" % i + data[mark + 9:]


def make_pdf():
    """3 MB of scanned pages."""
    page = noise((840, 1180))
    p = originals.Pdf()
    for _ in range(-(-3_000_000 // len(page))):
        p.scan(originals.JPEG_DICT.replace(b"/Width 80", b"/Width 840").replace(
            b"/Height 120", b"/Height 1180").replace(b"/DeviceRGB", b"/DeviceGray"), page)
    return p.bytes(head=b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n%mark4567\n")


class Bench:
    def __init__(self, folder, algorithm):
        self.engine = harness.Engine(folder, algorithm=algorithm).prepare().start()
        self.channel = self.engine.channel(f"unix:{self.engine.data}/engine.sock")
        self.stubs = self.engine.stubs(self.channel)
        self.codes = itertools.count(1)

    def each(self, files, call):
        """Calls for all, a few at a time: (seconds, {process: CPU s}, the client's CPU s)."""
        pids = {"supervisor": self.engine.process.pid, **self.engine.children()}
        before = {n: engine_bench.cpu_s(p) for n, p in pids.items()}
        client, begin = time.process_time(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as pool:
            got = list(pool.map(call, files))
        if got[0]:
            self.engine.wait_stored(self.stubs, got, 300)
        took = time.monotonic() - begin
        after = {n: engine_bench.cpu_s(p) for n, p in pids.items()}
        return {"per_s": len(files) / took, "client_ms": 1e3 * (time.process_time() - client) /
                len(files), "cpu_ms": {n: 1e3 * (after[n] - before[n]) / len(files) for n in after}}

    def differs(self, one):
        import grpc

        case, data = one
        try:
            copying.certify(self.stubs, case, data, sha256=bytes(32))
        except grpc.RpcError as e:
            assert harness.details(e)["reason"] == "ORIGINAL_DIFFERS", e
        else:
            raise AssertionError("a copy with another SHA-256 was taken")

    def validated(self, one):
        case, data = one
        copying.certify(self.stubs, case, data, validate_only=True)

    def certified(self, one):
        case, data = one
        return copying.certify(self.stubs, case, data).result_id

    def again(self, one):
        case, data = one
        self.stubs.issuance.CertifyCopy(iter([copying.head(case, data)]), timeout=60)


def alone(folder, data, algorithm):
    """Of a plain program, one thread: ms of hash, durable file, two signatures."""
    def median(act, n=20):
        times = []
        for i in range(n):
            begin = time.monotonic()
            act(i)
            times.append(time.monotonic() - begin)
        return 1e3 * statistics.median(times)

    def write(i):
        fd = os.open(folder / f"alone{i}", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, data)
        os.fdatasync(fd)
        os.close(fd)

    cores = os.cpu_count()
    return {"hash_ms": median(lambda i: hashlib.sha256(data).digest()), "disk_ms": median(write),
            "sign_ms": 2e3 * cores / engine_bench.raw_rate(algorithm)}


def measure(bench, name, series, copies, algorithm, folder):
    files = [(copying.copy_case(f"SAO-{next(bench.codes):06d}"), series(i)) for i in range(copies)]
    size = len(files[0][1])
    out = {"bytes": size, **alone(folder, files[0][1], algorithm)}
    print(f"{name}, {size:,} bytes; alone: SHA-256 {out['hash_ms']:.2f} ms, durable file "
          f"{out['disk_ms']:.2f} ms, two signatures {out['sign_ms']:.2f} ms")
    bench.each([(copying.copy_case(f"WARM-{name}-{i}"), series(10**6 + i)) for i in range(20)],
               bench.certified)
    for row, call in (("transport", bench.differs), ("+ looked at", bench.validated),
                      ("certified", bench.certified), ("again", bench.again)):
        got = bench.each(files, call)
        out[row] = got
        parts = ", ".join(f"{n} {v:.2f}" for n, v in got["cpu_ms"].items() if v >= 0.005)
        print(f"  {row:<12} {got['per_s']:>8.0f} /s   ms: {parts}; client {got['client_ms']:.2f}")
        sys.stdout.flush()
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--json")
    p.add_argument("--copies", type=int, default=400)
    p.add_argument("--algorithm", default="p256")
    args = p.parse_args()
    out = {}
    with tempfile.TemporaryDirectory(prefix="trien-bench-") as folder:
        folder = pathlib.Path(folder)
        harness.load_protos(folder / "protos")
        bench = Bench(folder / "engine", args.algorithm)
        print("certified copies")
        try:
            for name, series, copies in (
                    ("jpeg", jpeg_of(noise((650, 600))), args.copies),
                    ("pdf", pdf_of(make_pdf()), max(20, args.copies // 8))):
                row = measure(bench, name, series, copies, args.algorithm, folder)
                out[f"copies.{name}.per_s"] = row["certified"]["per_s"]
                out[f"copies.{name}.engine_ms"] = row["certified"]["cpu_ms"]["engine"]
                out[f"copies.{name}.transport_ms"] = row["transport"]["cpu_ms"]["engine"]
                out[f"copies.{name}.foreign_ms"] = row["+ looked at"]["cpu_ms"].get("foreign", 0)
        finally:
            bench.engine.kill()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
