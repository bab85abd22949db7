"""The mirrored journal: one side's folder may go, and the other one goes on as if nothing was."""
import datetime
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import grpc
import pytest

import harness
import originals
import postgres
from copying import REGISTER, certify, certify_all, copy_case, issue_copy
from sample import UNITS, case, send


class Mirror:
    """A `trien mirror` and its folder."""

    def __init__(self, folder, port=0, **settings):
        self.data = folder / "data"
        self.log_path = folder / "mirror.log"
        self.settings = {"journal_segment_mb": "4", "journal_slots": "6", **settings}
        self.port, self.process = port, None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, tries=20):
        mark = self.log_path.stat().st_size if self.log_path.exists() else 0
        words = [str(harness.TRIEN), "mirror", "--data", str(self.data), "--listen",
                 f"127.0.0.1:{self.port}"]
        for name, value in self.settings.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log_path.open("ab"),
                                        start_new_session=True)

        def port():
            text = self.log()[mark:]
            # Somebody's outgoing connection may have the number just now.
            if self.process.poll() == 75 and "already in use" in text and tries > 0:
                return -1
            assert self.process.poll() is None, self.log()
            return "ready" in text and int(re.findall(r"\(port (\d+)\)", text)[-1])
        got = harness.wait_for(port, 20)
        if got < 0:
            time.sleep(0.5)
            return self.start(tries - 1)
        self.port = got
        return self

    def log(self):
        return self.log_path.read_text("utf-8", "replace")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
        self.process = None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code, self.process = self.process.wait(20), None
        return code


class Load:
    """Submits new cases until told to stop; every receipt is kept."""

    def __init__(self, engine, threads=2, size=40, unit=UNITS[0]):
        self.engine, self.size, self.unit = engine, size, unit
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.cases, self.receipts, self.rejects = {}, {}, []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def run(self):
        try:
            stubs = self.engine.stubs()
            while not self.stop.is_set():
                cases = [case(unit=self.unit) for _ in range(self.size)]
                with self.lock:
                    self.cases.update({c.code: c for c in cases})
                answer = send(stubs, cases, timeout=30)
                with self.lock:
                    self.receipts.update({r.case_code: r for r in answer.receipts})
                    self.rejects += answer.rejects
        except (grpc.RpcError, ValueError):
            pass            # the engine is gone: that is the test

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive()
        # A killed engine may still say so; what it refused is sent again like all others.
        self.rejects = [r for r in self.rejects if r.reason != "STOPPING"]


def same(a, b):
    return (a.result_id, a.number, a.number_text, a.issue_time) == \
        (b.result_id, b.number, b.number_text, b.issue_time)


def again(engine, load):
    """All cases once more: what had a receipt has the same one, and registers are whole."""
    stubs, codes, got = engine.stubs(), list(load.cases), {}
    for i in range(0, len(codes), 400):
        answer = send(stubs, [load.cases[c] for c in codes[i:i + 400]], timeout=60)
        assert not answer.rejects, answer.rejects[0]
        got.update({r.case_code: r for r in answer.receipts})
    wrong = [c for c, r in load.receipts.items() if not same(r, got[c])]
    assert not wrong, (len(wrong), load.receipts[wrong[0]], got[wrong[0]])
    assert len({r.result_id for r in got.values()}) == len(got)
    assert sorted(r.number for r in got.values()) == list(range(1, len(got) + 1))
    row = next(r for r in engine.registers() if r.code == "XNTTHN" and r.unit == UNITS[0])
    assert row.next == len(got) + 1
    return stubs, got


class Pair:
    """An engine, its mirror, and one store beside both folders: a folder or PostgreSQL."""

    def __init__(self, folder, policy="wait", shared=True, mirror=None, store=None, **settings):
        self.folder, self.shared = folder, shared and store is None
        self.settings = store.settings() if store else {}
        self.mirror = Mirror(folder / "m", **(mirror or {})).start()
        self.engine = harness.Engine(folder / "e", mirror=f"127.0.0.1:{self.mirror.port}",
                                     mirror_policy=policy, mirror_timeout_ms=1000,
                                     witness=folder / "witness" / "numbers",
                                     **self.settings, **settings)
        self.engine.prepare()
        self.store = folder / "store"
        self.store.mkdir()
        if self.shared:
            (self.engine.data / "store").symlink_to(self.store)
        self.second = None

    def take_over(self, check=True):
        return self.engine.trien("takeover", "--data", self.mirror.data, "--journal-segment-mb", 4,
                                 "--journal-slots", 6, check=check)

    def engine_is_lost(self, folder, kept=("certs", "keys")):
        """Its machine is gone but for these; what goes on, not started."""
        self.engine.kill()
        gone = folder / "gone"
        shutil.move(self.engine.data, gone)
        for name in kept:
            shutil.copytree(gone / name, self.mirror.data / name)
        shutil.copy(gone / "principals.json", self.mirror.data)
        assert self.mirror.stop() == 0
        self.take_over()
        self.engine.data.mkdir()
        return self.go_on(start=False)

    def go_on(self, start=True):
        """An engine on the mirror's folder, with the first one's keys."""
        self.second = harness.Engine(self.folder / "m", witness=self.folder / "w2" / "numbers",
                                     **self.settings)
        for name in ("keys", "certs", "principals.json"):
            source, target = self.engine.data / name, self.mirror.data / name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy(source, target)
        if self.shared:
            store = self.mirror.data / "store"
            if store.exists():
                store.rmdir()
            store.symlink_to(self.store)
        return self.second.start(registers=False) if start else self.second

    def close(self):
        for pid in (self.mirror.process, ):
            if pid is not None:
                pid.send_signal(signal.SIGCONT)
        self.engine.kill()
        if self.second is not None:
            self.second.kill()
        self.mirror.kill()


@pytest.fixture
def pair(tmp_path):
    made = []

    def make(*args, **kw):
        made.append(Pair(tmp_path, *args, **kw))
        return made[-1]
    yield make
    for p in made:
        p.close()


def submitted(engine, n, per=200):
    stubs, receipts, cases = engine.stubs(), {}, {}
    for _ in range(n // per):
        some = [case() for _ in range(per)]
        cases.update({c.code: c for c in some})
        answer = send(stubs, some, timeout=60)
        assert not answer.rejects
        receipts.update({r.case_code: r for r in answer.receipts})
    return cases, receipts


def released(engine):
    return re.findall(r"released up to (\d+)", engine.log())


@pytest.mark.parametrize("where", ["embedded", "postgres"])
def test_the_whole_folder_of_the_engine_goes(pair, where):
    """Under load, after segments of last month were recycled on both sides."""
    store = None
    if where == "postgres":
        if postgres.missing():
            pytest.skip(postgres.missing())
        store = postgres.Store()
        store.init()
    p = pair(algorithm="p256", store=store)
    p.engine.start()
    load = Load(p.engine)
    harness.wait_for(lambda: len(released(p.engine)) >= 3 and
                     p.mirror.log().count("released up to") >= 3, 120)
    p.engine.kill()
    load.end()
    assert load.receipts and not load.rejects
    keys = {n: (p.engine.data / n) for n in ("keys", "certs", "principals.json")}
    kept = p.folder / "kept"
    kept.mkdir()
    for name, path in keys.items():
        if path.exists():
            path.rename(kept / name)
    shutil.rmtree(p.engine.data)
    p.engine.data.mkdir()
    for name in keys:
        if (kept / name).exists():
            (kept / name).rename(p.engine.data / name)
    p.go_on(start=False).start(ready=False)
    assert p.second.wait_end() == 78 and "is a mirror" in p.second.log()
    done = p.take_over()
    assert "epoch 65536" in done.stdout
    p.second.start(registers=False)
    stubs, got = again(p.second, load)
    p.second.wait_stored(stubs, [r.result_id for r in got.values()], 120)
    if store:
        assert store.count("result") == store.count("number_register") == len(got)
    more = send(stubs, [case()]).receipts[0]
    assert more.number == len(got) + 1


def test_the_whole_folder_of_the_mirror_goes(pair):
    p = pair(policy="degrade", algorithm="p256")
    p.engine.start()
    load = Load(p.engine)
    time.sleep(2)
    p.mirror.kill()
    shutil.rmtree(p.mirror.data)
    harness.wait_for(lambda: "going on alone" in p.engine.log(), 20)
    before = len(load.receipts)
    harness.wait_for(lambda: len(load.receipts) > before, 20)
    load.end()
    assert not load.rejects
    again(p.engine, load)


@pytest.mark.embedded
def test_no_copies_where_the_mirror_would_lack_the_originals(pair):
    """And it is said why, whichever way they are asked for."""
    p = pair()
    p.engine.start()
    stubs, data = p.engine.stubs(), originals.jpeg()
    receipt, = send(stubs, [case()]).receipts
    p.engine.wait_stored(stubs, [receipt.result_id])
    for ask in (lambda: certify(stubs, copy_case(), data),
                lambda: certify_all(stubs, [(copy_case(), data)]),
                lambda: issue_copy(stubs, copy_case(kind=REGISTER), receipt.result_id)):
        with pytest.raises(grpc.RpcError) as e:
            ask()
        d = harness.details(e.value)
        assert (d["code"], d["reason"]) == ("FAILED_PRECONDITION", "COPIES_NOT_MADE")
        assert "store = postgres" in e.value.details()


@pytest.mark.parametrize("io", ["uring", "posix"])
def test_wait_refuses_before_numbering_and_goes_on(pair, io):
    p = pair(algorithm="p256", io=io)
    p.engine.start()
    stubs = p.engine.stubs()
    cases, receipts = submitted(p.engine, 200)
    p.mirror.process.send_signal(signal.SIGSTOP)
    # What is numbered before it is known that the mirror is gone waits for it.
    waiting = case()
    future = stubs.issuance.SubmitBatch.future(
        harness.modules()["issuance"].SubmitBatchRequest(cases=[waiting]), timeout=60)
    harness.wait_for(lambda: "nothing is numbered until it is back" in p.engine.log(), 20)
    refused = case()
    answer = send(stubs, [refused])
    assert [(r.reason, r.retryable) for r in answer.rejects] == [("MIRROR_AWAY", True)]
    m = harness.modules()
    with pytest.raises(grpc.RpcError) as error:
        stubs.issuance.SubmitCase(m["issuance"].SubmitCaseRequest(case=refused), timeout=20)
    told = harness.details(error.value)
    assert told["reason"] == "MIRROR_AWAY" and told["retry_ms"] > 0
    with pytest.raises(grpc.RpcError) as error:
        stubs.operations.CloseRegister(m["operations"].CloseRegisterRequest(
            unit=UNITS[0], code="XNTTHN", reason="x"), timeout=20)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    status = stubs.operations.GetStatus(m["operations"].GetStatusRequest(), timeout=20)
    assert not status.numbering and "mirror" in status.numbering_reason
    assert not future.done()
    assert held(p.engine) == []
    p.mirror.process.send_signal(signal.SIGCONT)
    assert future.result().receipts[0].number == 201

    def taken():
        r = send(stubs, [refused])
        return r.receipts and r.receipts[0]
    assert harness.wait_for(taken, 20).number == 202


def greeting(engine=0, epoch=1, segment=4 << 20):
    """HELLO of somebody who knows the form (engine/mirror/channel.h)."""
    return struct.pack("<IBIIIIB", 18, 1, 1, engine, segment, epoch, 0)


def told(sock):
    """The types of the messages until the mirror hangs up."""
    data = b"".join(iter(lambda: sock.recv(4096), b""))
    types = []
    while data:
        n, kind = struct.unpack_from("<IB", data)
        types, data = types + [kind], data[4 + n:]
    return types


def test_whoever_knocks_at_the_mirror_is_not_the_engine(pair):
    """Health checks, port scans, who says nothing and who is no engine of ours cut nobody off."""
    p = pair(algorithm="p256", mirror={"mirror_timeout_ms": 1000})
    p.engine.start()

    def knock(say=b""):
        s = socket.create_connection(("127.0.0.1", p.mirror.port), timeout=20)
        s.sendall(say)
        return s
    begun = time.monotonic()
    silent = [knock() for _ in range(2)]
    other = knock(greeting(engine=9))
    assert told(other) == [4]                       # REFUSED, and time to read why
    for s in silent:
        assert told(s) == []
    assert time.monotonic() - begun > 0.9           # not before they had theirs
    for say in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\xff", b"\xff" * 4096):
        knock(say).close()
    many = [knock() for _ in range(12)]
    assert send(p.engine.stubs(), [case()]).receipts[0].number == 1
    assert "nothing is numbered" not in p.engine.log()
    assert p.mirror.log().count("goes on at") == 1
    # One that comes back finds a place among them.
    p.engine.kill()
    many += [knock() for _ in range(12)]
    p.engine.start(registers=False)
    assert send(p.engine.stubs(), [case()]).receipts[0].number == 2
    for s in many:
        s.close()


def test_degrade_goes_on_alone_and_catches_up(pair):
    p = pair(policy="degrade", algorithm="p256")
    p.engine.start()
    load = Load(p.engine)
    time.sleep(1)
    p.mirror.process.send_signal(signal.SIGSTOP)
    harness.wait_for(lambda: "going on alone" in p.engine.log(), 20)
    before = len(load.receipts)
    harness.wait_for(lambda: len(load.receipts) > before + 400, 30)
    m = harness.modules()["operations"]
    status = p.engine.stubs().operations.GetStatus(m.GetStatusRequest(), timeout=20)
    assert status.numbering and "mirror" in status.numbering_reason
    p.mirror.process.send_signal(signal.SIGCONT)
    # While arrivals go on, whatever is left of the machine.
    harness.wait_for(lambda: "has caught up" in p.engine.log(), 120)
    time.sleep(0.5)
    p.engine.kill()
    load.end()
    assert not load.rejects
    p.take_over()
    p.go_on()
    again(p.second, load)


def test_a_mirror_that_dies_again_and_again_misses_nothing(pair):
    p = pair(algorithm="p256")
    p.engine.start()
    load = Load(p.engine)
    for _ in range(4):
        time.sleep(0.7)
        p.mirror.kill()
        p.mirror.start()
    time.sleep(1)
    p.engine.kill()
    load.end()
    assert load.receipts and all(r.reason == "MIRROR_AWAY" for r in load.rejects)
    refused = {r.case_code for r in load.rejects}
    load.cases = {c: v for c, v in load.cases.items() if c not in refused}
    p.take_over()
    p.go_on()
    again(p.second, load)


def test_a_mirror_in_the_middle_begins_with_a_backup(pair):
    """Of a running engine; and one that lacks what is released is told so."""
    p = pair(algorithm="p256")
    target = p.engine.settings.pop("mirror")
    p.engine.start()
    load = Load(p.engine)
    harness.wait_for(lambda: len(released(p.engine)) >= 3, 60)
    load.end()
    copy = p.folder / "copy"
    p.engine.trien("backup", "--without-store", "--data", p.engine.data, copy)
    assert not (copy / "store").exists()
    assert p.engine.stop() == 0
    p.engine.settings.update(mirror=target, mirror_policy="degrade")
    p.engine.start(registers=False)
    assert "make it anew: trien backup --without-store" in p.engine.log()
    assert p.engine.stop() == 0
    assert p.mirror.stop() == 0
    shutil.rmtree(p.mirror.data)
    p.engine.trien("restore", copy, "--data", p.mirror.data)
    p.mirror.start()
    p.engine.settings["mirror_policy"] = "wait"
    p.engine.start(registers=False)
    more = Load(p.engine)
    time.sleep(1)
    p.engine.kill()
    more.end()
    assert not more.rejects
    shutil.rmtree(p.engine.data / "journal")
    p.take_over()
    p.go_on()
    more.cases.update(load.cases)
    more.receipts.update(load.receipts)
    again(p.second, more)


def test_a_mirror_whose_disk_fails_acknowledges_no_more(pair):
    p = pair(algorithm="p256")
    p.engine.start()
    load = Load(p.engine)
    time.sleep(0.5)
    subprocess.run(["prlimit", "--pid", str(p.mirror.process.pid), "--fsize=4096"], check=True)
    assert p.mirror.process.wait(30) == 74
    assert "Nothing more is acknowledged" in p.mirror.log()
    harness.wait_for(lambda: "nothing is numbered until it is back" in p.engine.log(), 20)
    p.mirror.start()
    before = len(load.receipts)
    harness.wait_for(lambda: len(load.receipts) > before, 20)
    p.engine.kill()
    load.end()
    refused = {r.case_code for r in load.rejects}
    load.cases = {c: v for c, v in load.cases.items() if c not in refused}
    p.take_over()
    p.go_on()
    again(p.second, load)


def test_the_old_engine_comes_back_and_is_fenced(pair):
    p = pair(shared=False, algorithm="p256")
    p.engine.start()
    cases, receipts = submitted(p.engine, 400)
    p.engine.kill()
    p.take_over()
    p.go_on()
    assert send(p.second.stubs(), [case()]).receipts[0].number == 401
    p.engine.start(ready=False)
    assert p.engine.wait_end() == 78
    assert "fenced" in p.engine.log() and "epoch 65536" in p.engine.log()
    # It remembers, though the mirror is out of reach.
    p.mirror.kill()
    p.engine.start(ready=False)
    assert p.engine.wait_end() == 78
    assert "is fenced" in p.engine.log()
    done = p.engine.trien("takeover", "--data", p.engine.data, check=False)
    assert done.returncode == 78 and "is fenced" in done.stderr


def test_a_running_engine_is_fenced_at_once(pair):
    p = pair(shared=False, algorithm="p256")
    p.engine.start()
    load = Load(p.engine)
    time.sleep(1)
    p.take_over()
    assert p.engine.wait_end() == 78
    load.end()
    assert "Nothing more is numbered or stored here" in p.engine.log()
    p.go_on()
    again(p.second, load)


def officer(data, present):
    """The officer of the first agency has a key, or has one no more."""
    path = data / "certs" / "keys.json"
    doc = json.loads(path.read_text())
    for key in doc["keys"]:
        if key["role"] == "person" and key["unit"] == UNITS[0]:
            key.pop("to", None)
            if not present:
                key["to"] = (datetime.date.today() - datetime.timedelta(days=3)).isoformat()
    path.write_text(json.dumps(doc))


def held(engine):
    request = harness.modules()["operations"].ListHeldRequest(page_size=200)
    return sorted(r.number_text for r in
                  engine.stubs().operations.ListHeld(request, timeout=20).held)


def test_held_results_go_with_the_mirror(pair):
    p = pair(algorithm="p256")
    officer(p.engine.data, False)
    p.engine.start()
    stubs = p.engine.stubs()
    # Two that leave the waiting room, one that is voided, four that stay.
    left = send(stubs, [case(), case()]).receipts
    harness.wait_for(lambda: len(held(p.engine)) == 2)
    officer(p.engine.data, True)
    p.engine.hup()
    sock = f"unix:{p.engine.data}/engine.sock"
    p.engine.trien("held", "retry", "--connect", sock)
    p.engine.wait_stored(stubs, [r.result_id for r in left])
    officer(p.engine.data, False)
    p.engine.hup()
    cases = [case() for _ in range(5)]
    receipts = send(stubs, cases).receipts
    harness.wait_for(lambda: len(held(p.engine)) == 5)
    p.engine.trien("held", "void", receipts[0].result_id, "--connect", sock, "--reason", "x")
    # Their segments are recycled on both sides: only the waiting rooms have them.
    load = Load(p.engine, unit=UNITS[1])
    harness.wait_for(lambda: len(released(p.engine)) >= 2 and
                     p.mirror.log().count("released up to") >= 2, 120)
    p.mirror.kill()
    p.mirror.start()
    time.sleep(1)
    p.engine.kill()
    load.end()
    shutil.rmtree(p.engine.data / "waiting")
    p.take_over()
    p.go_on()
    assert held(p.second) == sorted(r.number_text for r in receipts[1:])
    officer(p.second.data, True)
    p.second.hup()

    # Those that the start itself took up again may be on their way just now.
    def none_held():
        p.second.trien("held", "retry", "--connect", f"unix:{p.second.data}/engine.sock")
        return not held(p.second)
    harness.wait_for(none_held, 30, 0.3)
    stubs = p.second.stubs()
    p.second.wait_stored(stubs, [r.result_id for r in receipts[1:]], 60)
    answer = send(stubs, cases).receipts
    assert all(same(a, b) for a, b in zip(receipts, answer))
    m = harness.modules()["repository"]
    got = stubs.repository.GetResult(m.GetResultRequest(result_id=receipts[0].result_id),
                                     timeout=20)
    assert got.void_reason == "x"


def test_an_engine_of_a_dead_folder_is_taken_over(engine):
    engine.start()
    first = send(engine.stubs(), [case()]).receipts[0]
    alive = engine.trien("takeover", "--data", engine.data, "--journal-segment-mb", 4,
                         "--journal-slots", 6, check=False)
    assert alive.returncode == 75 and "alive" in alive.stderr
    engine.kill()
    done = engine.trien("takeover", "--data", engine.data, "--journal-segment-mb", 4,
                        "--journal-slots", 6)
    assert "epoch 65536" in done.stdout
    engine.start(registers=False)
    assert send(engine.stubs(), [case()]).receipts[0].number == first.number + 1


def certificates(folder):
    """A CA of the pair's own, and one certificate for each side."""
    folder.mkdir()

    def run(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
        2, "-subj", "/CN=pair", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    for name in ("here", "there"):
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
        (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1\n")
        run("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem", "-CAkey",
            folder / "ca.key", "-CAcreateserial", "-days", 2, "-extfile", folder / f"{name}.ext",
            "-out", folder / f"{name}.pem")
    return folder


def side(folder, name, ca=None):
    return {"mirror_cert": folder / f"{name}.pem", "mirror_key": folder / f"{name}.key",
            "mirror_ca": (ca or folder) / "ca.pem"}


def test_mutual_tls(pair, tmp_path):
    tls, other = certificates(tmp_path / "tls"), certificates(tmp_path / "other")
    p = pair(algorithm="p256", mirror=side(tls, "there"), **side(tls, "here"))
    p.engine.start()
    load = Load(p.engine)
    time.sleep(2)
    p.engine.kill()
    load.end()
    assert load.receipts and not load.rejects
    # Who has no certificate of the pair's CA is no engine of ours.
    p.engine.settings.update(side(other, "here", ca=tls), mirror_policy="degrade")
    p.engine.start()
    assert "going on alone" in p.engine.log()
    p.engine.kill()
    p.take_over()
    p.go_on()
    again(p.second, load)
