"""Many uploads at a time: their number and their memory are bounded, and who stands still goes."""
import contextlib
import io
import itertools
import os
import signal
import threading

import pytest
from PIL import Image

import harness
import originals
from copying import CHUNK, chunks, copy_case, head, refused
from harness import details


def noise(side):
    """A JPEG that does not get any smaller."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).save(out, "JPEG", quality=90)
    return out.getvalue()


def numbered(jpeg, i):
    """Another one for each number: by a comment."""
    return jpeg[:2] + b"\xff\xfe\0\6%04d" % i + jpeg[2:]


@contextlib.contextmanager
def watched(engine):
    """Its memory, looked at again and again."""
    over, memories = threading.Event(), []

    def look():
        while not over.wait(0.1):
            memories.append(memory(engine))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield memories
    finally:
        over.set()
        looking.join()


def test_uploads_are_bounded(shared):
    """256 at once, more are told to come again. What they brought, more than 256 MB together, is on
    the disk and not in memory; what stands still holds its slot alone."""
    data, most = noise(1260), 17
    gate = threading.Event()
    assert len(data) > (most + 1) * CHUNK
    channels = [shared.new_channel() for _ in range(4)]
    stubs = [shared.stubs(c).issuance for c in channels]

    def slowly(i):
        mine = numbered(data, i)
        yield head(copy_case(), mine)
        yield from itertools.islice(chunks(mine), most)
        gate.wait(100)
        yield from itertools.islice(chunks(mine), most, None)

    def begin(i):
        return stubs[i % 4].CertifyCopy.future(slowly(i), timeout=100)

    def uploads():
        return list((shared.data / "store/objects/waiting").glob("*.part"))

    def all_brought():
        return [f.stat().st_size for f in uploads()] == [most * CHUNK] * 256

    with watched(shared) as memories:
        calls = [begin(i) for i in range(256)]
        harness.wait_for(lambda: all_brought() or any(c.done() for c in calls), 60)
        assert all_brought()
        assert memory(shared) < 256 << 20 < 256 * most * CHUNK, memory(shared)
        d = refused(lambda: begin(256).result(timeout=20))
        assert d["reason"] == "BUSY" and d["retry_ms"]
        # Whoever goes away leaves nothing.
        for call in calls[200:]:
            call.cancel()
        harness.wait_for(lambda: len(uploads()) == 200, 30)
        gate.set()
        receipts = [call.result(timeout=100).receipt for call in calls[:200]]
        shared.wait_stored(shared.stubs(channels[0]), [r.result_id for r in receipts], 60)
    assert len({r.number for r in receipts}) == 200 and not uploads()
    assert memories and max(memories) < 256 << 20, max(memories)
    for c in channels:
        c.close()


def test_calls_are_bounded(shared, stubs):
    """While nothing is looked at 64 calls wait, and no more; then each is answered."""
    m = harness.modules()["issuance"]
    data, foreign = originals.jpeg(), shared.children()["foreign"]
    os.kill(foreign, signal.SIGSTOP)
    try:
        calls = [stubs.issuance.CertifyCopies.future(m.CertifyCopiesRequest(copies=[
            m.OriginalToCopy(case=copy_case(), original=data)]), timeout=100) for _ in range(80)]
        harness.wait_for(lambda: sum(c.done() for c in calls) == 16)
    finally:
        os.kill(foreign, signal.SIGCONT)
    busy = [details(c.exception()) for c in calls if c.exception()]
    assert len(busy) == 16 and all(d["reason"] == "BUSY" and d["retry_ms"] for d in busy)
    receipts = [c.result().receipts[0] for c in calls if not c.exception()]
    assert len({r.number for r in receipts}) == 64


@pytest.mark.skipif(os.environ.get("TRIEN_FULL") != "1", reason="half a minute; in the soak")
def test_large_uploads_stay_within_256_mb(tmp_path):
    """200 of 3.9 MB: on their way together, all at their last message, then looked at and stored;
    the memory of all the engine's processes, looked at again and again."""
    data = noise(2200)
    whole = len(data) // CHUNK     # messages without the last one
    assert 3_800_000 < len(data) < 4_000_000
    at_last, last = threading.Semaphore(0), threading.Event()

    def slowly(i):
        mine = numbered(data, i)
        yield head(copy_case(), mine)
        yield from itertools.islice(chunks(mine), whole)
        at_last.release()
        last.wait(300)
        yield from itertools.islice(chunks(mine), whole, None)

    with harness.Engine(tmp_path, original_mb_max=4) as e:
        e.prepare().start()
        channels = [e.new_channel() for _ in range(4)]
        stubs = [e.stubs(c) for c in channels]
        with watched(e) as memories:
            try:
                calls = [stubs[i % 4].issuance.CertifyCopy.future(slowly(i), timeout=300)
                         for i in range(200)]
                assert all(at_last.acquire(timeout=200) for _ in calls)
                assert len(list((e.data / "store/objects/waiting").glob("*.part"))) == 200
                last.set()
                receipts = [call.result(timeout=300).receipt for call in calls]
                e.wait_stored(stubs[0], [r.result_id for r in receipts], 120)
            finally:
                last.set()
                for c in channels:
                    c.close()
        assert len({r.number for r in receipts}) == 200
        assert len(memories) > 20 and max(memories) < 256 << 20, max(memories)


@pytest.mark.skipif(os.environ.get("TRIEN_FULL") != "1", reason="half a minute; in the soak")
def test_who_stands_still_is_sent_away(shared, stubs):
    data, gate = originals.jpeg(), threading.Event()

    def never():
        yield head(copy_case(), data)
        gate.wait(100)

    d = refused(lambda: stubs.issuance.CertifyCopy(never(), timeout=100))
    gate.set()
    assert d["reason"] == "UPLOAD_TOO_SLOW" and d["code"] == "ABORTED"


def memory(shared, what="Pss"):
    """Of its processes, and of those that look into files. Pss_Anon: without mapped files."""
    total = 0
    for pid in shared.children().values():
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            pids = [pid, *f.read().split()]
        for one in pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                    open(f"/proc/{one}/smaps_rollup", encoding="ascii") as f:
                rows = dict(line.split()[:2] for line in f)
                total += int(rows[f"{what}:"]) << 10 if rows else 0
    return total
