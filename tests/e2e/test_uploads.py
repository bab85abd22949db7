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


def test_uploads_are_bounded(shared, stubs):
    """256 at once, more are told to come again; what stands still holds its slot alone."""
    noise = io.BytesIO()
    Image.effect_noise((500, 500), 90).save(noise, "JPEG", quality=95)
    noise = noise.getvalue()
    assert len(noise) > 3 * CHUNK // 2
    gate = threading.Event()
    channels = [shared.new_channel() for _ in range(4)]
    stubs = [shared.stubs(c).issuance for c in channels]

    def slowly(i):
        data = noise[:2] + b"\xff\xfe\0\6%04d" % i + noise[2:]  # a comment: each is another
        yield head(copy_case(), data)
        yield from itertools.islice(chunks(data), 1)
        gate.wait(100)
        yield from itertools.islice(chunks(data), 1, None)

    def begin(i):
        return stubs[i % 4].CertifyCopy.future(slowly(i), timeout=100)

    def uploads():
        return len(list((shared.data / "store/objects/waiting").glob("*.part")))

    before = memory(shared)
    calls = [begin(i) for i in range(256)]
    harness.wait_for(lambda: uploads() == 256, 30)
    assert memory(shared) < 256 << 20, (before, memory(shared))
    d = refused(lambda: begin(256).result(timeout=20))
    assert d["reason"] == "BUSY" and d["retry_ms"]
    # Whoever goes away leaves nothing.
    for call in calls[200:]:
        call.cancel()
    harness.wait_for(lambda: uploads() == 200, 30)
    gate.set()
    receipts = [call.result(timeout=100).receipt for call in calls[:200]]
    assert len({r.number for r in receipts}) == 200 and uploads() == 0
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
    noise = io.BytesIO()
    Image.effect_noise((2200, 2200), 90).save(noise, "JPEG", quality=90)
    noise = noise.getvalue()
    whole = len(noise) // CHUNK     # messages without the last one
    assert 3_800_000 < len(noise) < 4_000_000
    at_last, memories = threading.Semaphore(0), []
    last, over = threading.Event(), threading.Event()

    def slowly(i):
        data = noise[:2] + b"\xff\xfe\0\6%04d" % i + noise[2:]  # a comment: each is another
        yield head(copy_case(), data)
        yield from itertools.islice(chunks(data), whole)
        at_last.release()
        last.wait(300)
        yield from itertools.islice(chunks(data), whole, None)

    with harness.Engine(tmp_path, original_mb_max=4) as e:
        def look():
            while not over.wait(0.1):
                memories.append(memory(e))

        e.prepare().start()
        channels = [e.new_channel() for _ in range(4)]
        stubs = [e.stubs(c) for c in channels]
        looking = threading.Thread(target=look)
        looking.start()
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
            over.set()
            looking.join()
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


def memory(shared):
    """Of its processes, and of those that look into files."""
    total = 0
    for pid in shared.children().values():
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            pids = [pid, *f.read().split()]
        for one in pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, StopIteration), \
                    open(f"/proc/{one}/smaps_rollup", encoding="ascii") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:")) << 10
    return total
