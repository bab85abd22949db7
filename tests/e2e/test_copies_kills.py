"""kill -9 while copies are on their way (uploaded, looked at, journaled, signed, stored), and while
results, copies among them, are replaced, corrected and revoked."""
import concurrent.futures
import hashlib
import os
import random
import threading
import time

import grpc

import harness
import originals
from copying import REGISTER, Paper, certify, certify_all, copy_case, issue_copy
from sample import case, send
from test_life import CORRECTED, REPLACED, REVOKED, correct, events, get, revoke

KILLS = 30 if os.environ.get("TRIEN_FULL") == "1" else 3
CLIENTS = 4
STORED = 6


class Client(threading.Thread):
    """A case system that asks again until it is answered."""

    def __init__(self, engine, n):
        super().__init__()
        self.engine, self.n = engine, n
        self.answers, self.stop, self.asked, self.wrong = {}, False, False, []

    def one(self, stubs, k):
        """What is kept of the k-th; None: not yet."""
        raise NotImplementedError

    def ask(self, stubs):
        """What was sent is answered before the end."""
        while self.asked or not self.stop:
            self.asked = True
            answer = self.one(stubs, len(self.answers))
            if answer is not None:
                self.answers[len(self.answers)] = answer
                self.asked = False

    def run(self):
        while self.asked or not self.stop:
            try:
                with self.engine.new_channel(f"unix:{self.engine.data}/engine.sock") as channel:
                    self.ask(self.engine.stubs(channel))
            except grpc.RpcError as e:
                if e.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNKNOWN,
                                    grpc.StatusCode.DEADLINE_EXCEEDED):
                    self.wrong.append(e)
                    return
                time.sleep(0.05)
            except AssertionError as e:
                self.wrong.append(e)
                return


def one_of(answer):
    """The receipt of a batch of one; None where it is to come again."""
    if answer.receipts:
        return answer.receipts[0]
    assert answer.rejects[0].retryable, answer.rejects[0]
    return None


class Copier(Client):
    """Copies by every call."""

    def __init__(self, engine, n, source):
        super().__init__(engine, n)
        self.source = source
        self.files = [originals.jpeg(size=(900, 900), quality=90 + n),
                      originals.png(2, 8, (200, 100 + n)), originals.scanned(2 + n).bytes()]

    def one(self, stubs, k):
        c, data = copy_case(f"KILL-{self.n}-{k}"), self.files[k % 3]
        if k % 5 == 4:
            c, data = copy_case(f"KILL-{self.n}-{k}", kind=REGISTER), self.source[1]
            receipt = issue_copy(stubs, c, self.source[0], timeout=20)
        elif k % 5 == 3:
            receipt = one_of(certify_all(stubs, [(c, data)], timeout=20))
        else:
            receipt = certify(stubs, c, data, sha256=None if k % 2 else b"", timeout=20)
        return receipt and (receipt, hashlib.sha256(data).hexdigest())


class Registrar(Client):
    """Issues something, acts upon it once it is stored: all of it again until it is answered."""

    ACTS = ("replace", "revoke", "replace copy", "correct", "revoke copy")

    def __init__(self, engine, n):
        super().__init__(engine, n)
        self.scan = originals.jpeg(quality=60 + n)

    def issue(self, stubs, c):
        if c.results[0].kind == copy_case().results[0].kind:
            return certify(stubs, c, self.scan, timeout=20)
        return one_of(send(stubs, [c]))

    def one(self, stubs, k):
        act, make = self.ACTS[k % len(self.ACTS)], case
        if act.endswith("copy"):
            make = copy_case
        first = self.issue(stubs, make(f"LIFE-{self.n}-{k}"))
        old = first and get(stubs, first.result_id)
        if old is None or old.state != STORED:
            time.sleep(0.01)
            return None
        if not act.startswith("replace"):
            done = (revoke if act.startswith("revoke") else correct)(stubs, old)
            return act, (first,), old.file_sha256, done.etag
        c = make(old.case_code)
        c.results[0].replaces, c.results[0].revision = old.result_id, 1
        second = self.issue(stubs, c)
        return second and (act, (first, second), old.file_sha256, "")


def play(engine, clients, kills, seed):
    """Kills the engine again and again, each time once the clients have had some answers."""
    dice = random.Random(seed)

    def answered(n):
        done = sum(len(c.answers) for c in clients)
        harness.wait_for(lambda: sum(len(c.answers) for c in clients) >= done + n or
                         any(c.wrong for c in clients), 60)

    for c in clients:
        c.start()
    for _ in range(kills):
        answered(8)
        time.sleep(dice.random() / 20)
        engine.kill()
        engine.start(registers=False)
    answered(8)
    for c in clients:
        c.stop = True
    for c in clients:
        c.join()
        assert not c.wrong, c.wrong


def continuous(engine, receipts, codes):
    """In each of the registers the receipts have all numbers, each once."""
    for code in codes:
        row, = (r for r in engine.registers() if r.code == code and r.unit == harness.UNITS[0])
        numbers = sorted(r.number for r in receipts if code in r.number_text)
        assert numbers == list(range(1, row.next)), (numbers, row)


def clean(engine):
    """Whatever lies in the depot, or on servers, is named by a result: all of it is stored."""
    if not engine.store:
        harness.wait_for(lambda: not list((engine.data / "store/objects/waiting").glob("*")), 30)
        assert engine.stop() == 0
        engine.trien("fsck", "--data", engine.data)
        return
    # On servers, what was brought before a kill and is named by nothing goes at the next start.
    assert engine.stop() == 0
    engine.start(registers=False)
    assert engine.stop() == 0
    assert engine.store.count("claim") == 0
    told = engine.trien("store", "check", "--deep", *engine.store.conninfos,
                        "--postgres-distribution", engine.store.cluster.distribution).stdout
    assert "spare" not in told and "all as it should be" in told, told


def test_copies_survive_kills(engine):
    engine.settings["journal_slots"] = 4
    engine.start()
    stubs = engine.stubs()
    receipt = send(stubs, [case()]).receipts[0]
    engine.wait_stored(stubs, [receipt.result_id])
    source = receipt.result_id, engine.download(stubs, receipt.result_id)[0]
    clients = [Copier(engine, n, source) for n in range(CLIENTS)]
    play(engine, clients, KILLS, seed=7)
    whole(engine, clients)


def whole(engine, clients):
    """P1 to P5: each receipt stands, once, without gaps, and with its original's bytes."""
    stubs = engine.stubs()
    answers = [a for c in clients for a in c.answers.values()]
    given = {receipt.result_id: (receipt, digest) for receipt, digest in answers}
    assert len(given) == len(answers)
    got = engine.wait_stored(stubs, given)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        papers = dict(zip(given, pool.map(lambda i: Paper(engine.download(stubs, i)[0]), given)))
    for result_id, (receipt, digest) in given.items():
        assert got[result_id].number_text == receipt.number_text
        assert hashlib.sha256(papers[result_id].original()[1]).hexdigest() == digest
        assert len(papers[result_id].reader.embedded_regular_signatures) == 2
    continuous(engine, [receipt for receipt, _ in given.values()], ("SCT/BS", "BSSG"))
    clean(engine)


def test_lives_survive_kills(engine):
    engine.settings["journal_slots"] = 4
    engine.start()
    clients = [Registrar(engine, n) for n in range(CLIENTS)]
    play(engine, clients, KILLS, seed=11)
    answers = [a for c in clients for a in c.answers.values()]
    receipts = [r for _, given, _, _ in answers for r in given]
    assert {act for act, _, _, _ in answers} == set(Registrar.ACTS)
    assert len({r.result_id for r in receipts}) == len(receipts)
    stubs = engine.stubs()
    got = engine.wait_stored(stubs, [r.result_id for r in receipts])
    assert all(got[r.result_id].number_text == r.number_text for r in receipts)
    for act, given, sha256, etag in answers:
        lived(engine, stubs, act, [r.result_id for r in given], sha256, etag)
    continuous(engine, receipts, ("SCT/BS", "XNTTHN"))
    clean(engine)


def lived(engine, stubs, act, ids, sha256, etag):
    """One act, told once, and the file as it was."""
    life = {"replace": REPLACED, "revoke": REVOKED, "correct": CORRECTED}[act.split()[0]]
    now = get(stubs, ids[0])
    assert now.life == life and now.etag == (etag or now.etag)
    assert [e.kind for e in events(stubs, ids[0])] == [life]
    assert hashlib.sha256(engine.download(stubs, ids[0])[0]).digest() == now.file_sha256 == sha256
    if life == REPLACED:
        assert now.replaced_by == ids[1] and get(stubs, ids[1]).replaces == ids[0]
