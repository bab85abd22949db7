"""Whatever dies: nothing acknowledged is lost, nothing is issued twice, no number changes."""
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import threading
import time

import grpc
import pytest

import harness
from sample import batch, case, send

KILLS = int(os.environ.get("TRIEN_KILLS", "50"))


class Load:
    """Case systems that never give up: what was answered, and what was sent."""

    def __init__(self, engine, rng):
        self.engine, self.rng = engine, rng
        self.sent, self.receipts = {}, {}
        self.stop = threading.Event()
        self.wrong = []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(2)]

    def run(self, thread):
        while not self.stop.is_set():
            cases = [case() for _ in range(40)]
            for c in cases:
                self.sent[c.code] = c
            self.submit(cases)

    def submit(self, cases):
        end = time.monotonic() + 60
        while not self.stop.is_set() and time.monotonic() < end:
            try:
                with grpc.insecure_channel(f"unix:{self.engine.data}/engine.sock", options=[
                        ("grpc.use_local_subchannel_pool", 1)]) as channel:
                    answer = send(self.engine.stubs(channel), cases, timeout=5)
                for r in answer.receipts:
                    self.keep(r)
                if answer.rejects:
                    self.wrong += [r for r in answer.rejects if not r.retryable]
                    time.sleep(0.05)
                    continue
                return
            except grpc.RpcError as e:
                if e.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                                    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED):
                    self.wrong.append(e)
                    return
                time.sleep(0.05)

    def keep(self, r):
        before = self.receipts.setdefault(r.case_code, r)
        if (before.result_id, before.number, before.number_text, before.issue_time) != (
                r.result_id, r.number, r.number_text, r.issue_time):
            self.wrong.append((before, r))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join()


def accepted(stubs, cases, seconds=60):
    """Receipts of all of them, sent again as long as the engine says that it is full."""
    end = time.monotonic() + seconds
    while True:
        answer = send(stubs, cases, timeout=30)
        if not answer.rejects:
            return answer.receipts
        assert all(r.retryable for r in answer.rejects), answer.rejects
        assert time.monotonic() < end, answer.rejects[0]
        time.sleep(0.1)


def check_promises(engine, load):
    """P1–P5 over everything that was ever sent."""
    stubs = engine.stubs()
    for chunk in (list(load.sent.values())[i:i + 100] for i in range(0, len(load.sent), 100)):
        for r in accepted(stubs, chunk):
            load.keep(r)
    assert not load.wrong, load.wrong[0]
    assert set(load.receipts) == set(load.sent)
    ids = [r.result_id for r in load.receipts.values()]
    assert len(set(ids)) == len(ids)
    stored = engine.wait_stored(stubs, ids, 120)
    numbers = sorted(r.number for r in stored.values())
    assert numbers == list(range(1, len(ids) + 1)), "gaps or doubles"
    by_number = sorted(stored.values(), key=lambda r: r.number)
    assert [r.sequence for r in by_number] == sorted(r.sequence for r in by_number)
    assert all(len(r.signatures) == 2 for r in stored.values())
    return stubs, ids


@pytest.mark.timeout(600)
def test_kill_loop(engine):
    rng = random.Random(int(os.environ.get("TRIEN_SEED", "20261124")))
    engine.start()
    with Load(engine, rng) as load:
        for i in range(KILLS):
            time.sleep(rng.uniform(0.02, 0.5))
            victim = rng.choice(("all", "engine", "engine", "signer"))
            if victim == "all":
                engine.kill()
                engine.start(ready=False)
            else:
                pid = engine.children().get(victim)
                if pid:
                    os.kill(pid, signal.SIGKILL)
            if i % 5 == 0:
                harness.wait_for(engine.is_ready, 40)
        harness.wait_for(engine.is_ready, 40)
        time.sleep(0.5)
    engine.kill()
    engine.start(registers=False)
    assert len(load.receipts) > KILLS
    stubs, ids = check_promises(engine, load)
    sample = rng.sample(ids, min(len(ids), 25))
    before = {i: engine.download(stubs, i)[0] for i in sample}
    assert engine.stop() == 0
    files = []
    for i, pdf in before.items():
        path = engine.folder / f"{i}.pdf"
        path.write_bytes(pdf)
        files.append(path)
    engine.trien("verify", "--trust", engine.data / "certs", *files)
    engine.trien("fsck", "--data", engine.data)
    engine.start(registers=False)
    stubs = engine.stubs()
    assert before == {i: engine.download(stubs, i)[0] for i in sample}


def issued(engine, n=40):
    stubs = engine.stubs()
    ids = [r.result_id for r in send(stubs, [case() for _ in range(n)]).receipts]
    engine.wait_stored(stubs, ids)
    return ids, {i: engine.download(stubs, i)[0] for i in ids}


@pytest.mark.embedded
def test_a_deleted_index_is_rebuilt(engine):
    engine.start()
    ids, files = issued(engine)
    listed = [(r.unit, r.code, r.next) for r in engine.registers()]
    assert engine.stop() == 0
    removed = [p for p in (engine.data / "store").iterdir()
               if p.suffix.startswith(".sqlite") or "index" in p.name]
    assert removed, list((engine.data / "store").iterdir())
    for p in removed:
        p.unlink()
    engine.start(registers=False)
    stubs = engine.stubs()
    assert files == {i: engine.download(stubs, i)[0] for i in ids}
    m = harness.modules()["repository"]
    page = stubs.repository.ListResults(m.ListResultsRequest(
        id_kind=1, number="001099000001", page_size=200), timeout=20)
    assert [h.result.result_id for h in page.holdings] == ids[::-1]
    assert listed == [(r.unit, r.code, r.next) for r in engine.registers()]


@pytest.mark.embedded
def test_a_damaged_index_is_not_believed(engine):
    engine.start()
    ids, files = issued(engine)
    assert engine.stop() == 0
    for p in (engine.data / "store").iterdir():
        if p.suffix.startswith(".sqlite") or "index" in p.name:
            data = bytearray(p.read_bytes())
            data[:4096] = os.urandom(min(4096, len(data)))
            p.write_bytes(data)
    engine.start(registers=False)
    stubs = engine.stubs()
    assert files == {i: engine.download(stubs, i)[0] for i in ids}


@pytest.mark.embedded
def test_a_flipped_bit_is_found_and_never_served(engine):
    engine.start()
    ids, files = issued(engine, 10)
    assert engine.stop() == 0
    segments = sorted((engine.data / "store").rglob("*.seg"))
    assert segments
    whole = bytearray(segments[0].read_bytes())
    at = whole.index("Bích Ngọc".encode())
    whole[at] ^= 0x10
    segments[0].write_bytes(whole)
    done = engine.trien("fsck", "--data", engine.data, check=False)
    assert done.returncode != 0, done.stdout
    engine.start(ready=False)
    harness.wait_for(lambda: "ready on" in engine.log() or engine.process.poll() is not None, 30)
    if engine.process.poll() is not None:
        assert "store" in engine.log()
        return
    stubs = engine.stubs()
    bad = 0
    for i in ids:
        try:
            assert engine.download(stubs, i)[0] == files[i]
        except grpc.RpcError as e:
            bad += 1
            assert harness.details(e)["reason"] in ("FILE_DAMAGED", "RESULT_NOT_FOUND")
    assert bad >= 1


def test_damage_in_the_middle_of_the_journal_stops_the_start(engine):
    engine.start()
    issued(engine, 40)
    engine.kill()
    slots = sorted((engine.data / "journal").iterdir(), key=lambda p: p.name)
    hit = 0
    for p in slots:
        if p.stat().st_size < 1 << 20:
            continue
        data = bytearray(p.read_bytes())
        at = data.find("Bích Ngọc".encode())
        if at > 0:
            data[at] ^= 0xff
            p.write_bytes(data)
            hit += 1
            break
    assert hit == 1
    engine.start(ready=False)
    assert engine.wait_end() == 65
    assert "journal" in engine.log() and "segment" in engine.log()


def test_a_full_disk_loses_nothing(engine):
    """The store's files may not grow any more: cases stay in the journal and go on later."""
    engine.start()
    ids, _ = issued(engine, 5)
    assert engine.stop() == 0
    limit = max(p.stat().st_size for p in engine.data.rglob("*") if p.is_file()) + 4096
    engine.start(registers=False, ready=False, limits={"fsize": limit})
    harness.wait_for(lambda: "ready on" in engine.log() or engine.process.poll() is not None, 30)
    cases = [case() for _ in range(300)]
    receipts = []
    try:
        for k in range(0, 300, 50):
            receipts += send(engine.stubs(), cases[k:k + 50]).receipts
    except (grpc.RpcError, IndexError):
        pass
    time.sleep(1)
    engine.kill()
    engine.start(registers=False)
    stubs = engine.stubs()
    answer = []
    for k in range(0, 300, 50):
        answer += send(stubs, cases[k:k + 50]).receipts
    again = {r.case_code: r for r in answer}
    assert all(again[r.case_code].result_id == r.result_id for r in receipts)
    stored = engine.wait_stored(stubs, [r.result_id for r in answer] + ids)
    assert sorted(r.number for r in stored.values()) == list(range(1, 306))


def test_no_room_for_the_journal(engine, tmp_path):
    """The pool is made at the start or not at all."""
    engine.start(ready=False, limits={"fsize": 1 << 20})
    assert engine.wait_end() != 0
    assert "journal" in engine.log()
    shutil.rmtree(engine.data / "journal", ignore_errors=True)
    engine.start(registers=False)


def test_sigterm_drains(engine):
    engine.start()
    stubs = engine.stubs()
    futures = [stubs.issuance.SubmitBatch.future(batch([case() for _ in range(50)]), timeout=30)
               for _ in range(10)]
    receipts = [r for f in futures for r in f.result().receipts]
    assert engine.stop() == 0
    assert "draining" in engine.log() and "stopped" in engine.log()
    engine.start(registers=False)
    assert len(engine.wait_stored(engine.stubs(), [r.result_id for r in receipts])) == 500


def test_the_plain_fallback_does_the_same(tmp_path):
    e = harness.Engine(tmp_path, io="posix")
    e.prepare().start()
    try:
        assert "ready on posix" in e.log()
        ids, files = issued(e)
        e.kill()
        e.start(registers=False)
        stubs = e.stubs()
        assert files == {i: e.download(stubs, i)[0] for i in ids}
    finally:
        e.kill()


def test_the_key_folder_is_out_of_the_engines_reach(engine):
    """The engine process has no way to open a private key (P6): it tries that at its start."""
    engine.start(registers=False)
    assert "cannot open the key folder" in engine.log()
    pid = engine.children()["engine"]
    with open(f"/proc/{pid}/status") as f:
        status = dict(line.split(":", 1) for line in f if ":" in line)
    assert status["NoNewPrivs"].strip() == "1"
    signer = engine.children()["signer"]
    with open(f"/proc/{signer}/status") as f:
        status = dict(line.split(":", 1) for line in f if ":" in line)
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    opened = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not [p for p in opened if "/keys/" in p]
    engine.stop()
    inside = engine.data / "certs" / "keys"
    (engine.data / "keys").rename(inside)
    engine.settings["keys"] = inside
    engine.start(ready=False)
    assert engine.wait_end() != 0 and "key folder" in engine.log()


def test_logs_hold_no_personal_data(engine):
    engine.start()
    secret = case(name="Nguyễn Bí Mật", number="001099123456", tinh_trang="Đang có vợ là bà Kín")
    bad = case(name="Lê Lộ Liễu", number="001099654321", gioi_tinh="Không")
    stubs = engine.stubs()
    answer = send(stubs, [secret, bad])
    engine.wait_stored(stubs, [answer.receipts[0].result_id])
    engine.stop()
    text = engine.log_path.read_text() + str(answer.rejects)
    for word in ("Bí Mật", "001099123456", "Kín", "Lộ Liễu", "001099654321"):
        assert word not in text.replace(bad.code, "")


def test_what_is_left_of_a_killed_engine_may_take_a_moment(engine):
    """A killed process's last threads keep its socket and its lock a little longer than its pid."""
    folder = engine.data / "journal"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock, socket.socket(socket.AF_UNIX) as door:
        fcntl.flock(lock, fcntl.LOCK_EX)
        door.bind(str(engine.data / "engine.sock"))
        door.listen()
        engine.start(ready=False)
        time.sleep(0.4)
        door.close()
        time.sleep(0.4)
        assert "ready on" not in engine.log()
    harness.wait_for(engine.is_ready, 40)
    engine.open_registers()
    assert send(engine.stubs(), [case()]).accepted == 1


def released(engine):
    """Up to where the journal was let go; it says so at each start, too."""
    return max(map(int, re.findall(r"released up to (\d+)", engine.log())), default=0)


def recycled(engine):
    """Cases until two more of the journal's segments came free; all of them stored."""
    stubs, sent = engine.stubs(), []
    before = harness.wait_for(lambda: released(engine))
    while released(engine) < before + (8 << 20):
        cases = [case() for _ in range(200)]
        sent += cases
        receipts = accepted(stubs, cases)
        engine.wait_stored(stubs, [r.result_id for r in receipts])
    return sent


def test_folders_that_do_not_belong_together_are_refused(engine, tmp_path):
    """A journal or a key index that is missing or older than the counters."""
    engine.start()
    sent = recycled(engine)
    assert engine.stop() == 0
    for name in ("journal", "keys-index"):
        shutil.copytree(engine.data / name, tmp_path / f"old-{name}")
    engine.start(registers=False)
    sent += recycled(engine)
    assert engine.stop() == 0
    for name, said in (("journal", "journal: it ends at"), ("keys-index", "keys-index: it knows")):
        good = tmp_path / f"good-{name}"
        (engine.data / name).rename(good)
        for instead in (None, tmp_path / f"old-{name}"):
            if instead:
                shutil.copytree(instead, engine.data / name)
            engine.start(ready=False)
            assert engine.wait_end() == 65 and said in engine.log(), engine.log()
            assert "restore all of one backup" in engine.log()
            shutil.rmtree(engine.data / name, ignore_errors=True)
        good.rename(engine.data / name)
    engine.start(registers=False)
    assert all(r.duplicate for c in (sent[:200], sent[-200:]) for r in accepted(engine.stubs(), c))
    assert engine.stop() == 0


def test_without_its_keys_no_segment_goes(engine):
    """The key run cannot be written: the engine ends, and the journal still knows what was."""
    engine.start()
    snapshot = engine.data / "counters" / "snapshot"
    harness.wait_for(lambda: released(engine) and snapshot.exists())
    first = snapshot.read_bytes()
    in_the_way = [engine.data / "keys-index" / f"keys-{0:016x}-{n << 22:016x}.run.tmp"
                  for n in range(1, 8)]
    for path in in_the_way:
        (path / "full").mkdir(parents=True)
    sent, known = {}, {}
    stubs, end = engine.stubs(), time.monotonic() + 60
    while engine.process.poll() is None and time.monotonic() < end:
        cases = [case() for _ in range(200)]
        sent.update({c.code: c for c in cases})
        try:
            known.update({r.case_code: r.result_id
                          for r in send(stubs, cases, timeout=20).receipts})
        except grpc.RpcError:
            break
    assert engine.wait_end() == 74 and "keys-index" in engine.log(), engine.log()[-2000:]
    assert released(engine) == 4 << 20 and snapshot.read_bytes() == first
    for path in in_the_way:
        shutil.rmtree(path)
    engine.start(registers=False)
    again = [sent[code] for code in known]
    for i in range(0, len(again), 200):
        for r in accepted(engine.stubs(), again[i:i + 200]):
            assert r.duplicate and r.result_id == known[r.case_code]
    assert len(known) > 1000 and engine.stop() == 0
