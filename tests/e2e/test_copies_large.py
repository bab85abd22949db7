"""Originals of the size that is allowed, and those that are looked at when their reader dies."""
import contextlib
import hashlib
import itertools
import os
import signal
import threading
import zlib

import grpc
import pytest

import harness
import originals
import portals
from copying import CHUNK, Paper, certify, chunks, copy_case, head
from harness import details
from originalimages import chunk as png_chunk
from test_uploads import memory

MB_MAX = 50         # original_mb_max where nothing is set


def padded(size):
    """A JPEG of so many bytes: what is too much stands in comments."""
    data, fill = originals.jpeg(), []
    left = size - len(data)
    while left > 0:
        n = min(left, 65537)
        n -= 4 if 0 < left - n < 4 else 0
        fill.append(b"\xff\xfe" + (n - 2).to_bytes(2, "big") + bytes(n - 4))
        left -= n
    return data[:2] + b"".join(fill) + data[2:]


@contextlib.contextmanager
def watched(engine):
    """The most memory that its processes have meanwhile: a list of one number, at the end. Without
    mapped files: whoever looks into an original has it mapped."""
    most, over = [memory(engine, "Pss_Anon")], threading.Event()

    def look():
        while not over.wait(0.01):
            most[0] = max(most[0], memory(engine, "Pss_Anon"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def test_the_bound_of_an_original(engine):
    engine.start()
    stubs = engine.stubs()
    # What a small one needs, gRPC's buffers and the threads' heaps, is there already.
    small = certify(stubs, copy_case(), padded(1 << 20))
    engine.wait_stored(stubs, [small.result_id])
    engine.download(stubs, small.result_id)
    before = memory(engine, "Pss_Anon")
    largest = padded(MB_MAX << 20)
    assert len(largest) == MB_MAX << 20
    c = copy_case()
    for sha256 in (None, b""):
        with pytest.raises(grpc.RpcError) as e:
            certify(stubs, c, largest + b"\0", sha256=sha256)
        d = details(e.value)
        assert (d["reason"], d["fields"]) == ("ORIGINAL_TOO_LARGE", ["original"])
        assert f"at most {MB_MAX << 20} bytes" in e.value.details()
    # One that says less than it brings is cut off there.
    with pytest.raises(grpc.RpcError) as e:
        stubs.issuance.CertifyCopy(itertools.chain(
            [head(c, largest, sha256=b"")], chunks(largest + b"\0")), timeout=60)
    assert details(e.value)["reason"] == "ORIGINAL_DIFFERS"
    with watched(engine) as most:
        receipt = certify(stubs, c, largest)
        assert receipt.number == 2
        engine.wait_stored(stubs, [receipt.result_id])
        pdf = engine.download(stubs, receipt.result_id)[0]
    # Received, hashed, looked at, stored and sent, it stands nowhere in memory.
    assert most[0] - before < MB_MAX << 19, (before, most)
    # Verified by its id, in memory once, however many ask.
    m = harness.modules()["audit"]
    with watched(engine) as most:
        asked = [stubs.audit.VerifyDocument.future(m.VerifyDocumentRequest(
            result_id=receipt.result_id), timeout=60) for _ in range(3)]
        for a in [a.result() for a in asked]:
            assert (a.verdict, a.why, a.file_size) == (m.TOTAL_PASSED, "", len(pdf))
            assert a.file_sha256 == hashlib.sha256(pdf).digest()
    assert most[0] - before < len(pdf) * 3 // 2, (before, most)
    me = {"name": "Trần Thị Bích Ngọc", "about": "công dân",
          "claims": {"citizen_id": c.holders[0].number, "name": "Trần Thị Bích Ngọc"}}
    with portals.with_dev_provider(engine.data.parent / "portal", me, data=engine.data) as p:
        holder = p.browser()
        assert portals.sign_in(holder, me["name"]).status == 303
        told = holder.get(f"/api/v1/results/{receipt.result_id}/report").json()
        assert (told["verdict"], "large" in told) == ("TOTAL-PASSED", False)
    assert hashlib.sha256(Paper(pdf).original()[1]).digest() == hashlib.sha256(largest).digest()
    assert engine.stop() == 0


def long_to_read():
    """A blank page of 300 MB, in 300 KB."""
    side, z = 10_000, zlib.compressobj(1)
    row = bytes(3 * side + 1) * 100
    data = b"".join([z.compress(row) for _ in range(side // 100)] + [z.flush()])
    size = side.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", size * 2 + b"\x08\x02\0\0\0") + \
        png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def test_a_reader_that_is_killed_costs_its_file_alone(engine):
    engine.start()
    stubs, data, foreign = engine.stubs(), originals.jpeg(), engine.children()["foreign"]
    m, gate = harness.modules()["issuance"], threading.Event()

    def slowly():
        """On its way meanwhile."""
        yield head(copy_case(), data)
        yield from chunks(data[:9])
        gate.wait(60)
        yield from chunks(data[9:])

    beside = stubs.issuance.CertifyCopy.future(slowly(), timeout=60)
    call = stubs.issuance.CertifyCopies.future(m.CertifyCopiesRequest(copies=[
        m.OriginalToCopy(case=copy_case(), original=one)
        for one in (data, long_to_read(), originals.jpeg(quality=50))]), timeout=60)

    def children():
        with open(f"/proc/{foreign}/task/{foreign}/children", encoding="ascii") as f:
            return [int(pid) for pid in f.read().split()]

    def reads_long():
        """A child that is there for longer than a small file's."""
        return [pid for pid in children() if cpu_ticks(pid) >= 5]

    pid, = harness.wait_for(reads_long, every=0.002)
    os.kill(pid, signal.SIGKILL)
    answer = call.result()
    assert [(r.index, r.reason, r.field) for r in answer.rejects] == \
        [(1, "ORIGINAL_TIMEOUT", "original")]
    assert [r.number for r in answer.receipts] == [1, 2]
    gate.set()
    assert beside.result().receipt.number == 3
    assert engine.children()["foreign"] == foreign
    # Nothing about that file is remembered: whoever sends it again has it read again.
    assert certify(stubs, copy_case(), long_to_read(), chunk=CHUNK).number == 4
    assert engine.stop() == 0


def cpu_ticks(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return int(f.read().rsplit(")", 1)[1].split()[11])
    except OSError:
        return 0
