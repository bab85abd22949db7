"""On servers: originals that no case of any engine names are removed at a start, and no others."""
import hashlib
import time

import grpc
import pytest

import harness
import originals
import postgres
from copying import (APPROVED, Paper, certify, certify_all, copy_case,
                     schemas_with_approval)
from office import REFUSED, Signer
from sample import SIGNER, UNITS, case, send
from test_copies_kills import KILLS, Client, Copier, play
from test_engines import open_own
from test_life import get

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())


def deep(office, store):
    """What `trien store check --deep` says of a whole store."""
    done = office.trien("store", "check", "--deep", *store.conninfos, "--postgres-distribution",
                        store.cluster.distribution, check=False)
    assert done.returncode in (0, 3) and "DAMAGED" not in done.stdout, done.stdout + done.stderr
    return done.stdout


def kept(store):
    """SHA-256 of each original that the servers have."""
    return {row[0] for i in range(len(store.names))
            for row in store.sql("SELECT encode(hash, 'hex') FROM object WHERE n = 0", i)}


def again(office):
    assert office.stop() == 0
    office.start(registers=False)
    return office.stubs()


def awaited(office, stubs, data, unit=UNITS[0]):
    """A copy that waits for its officer."""
    i = certify(stubs, copy_case(kind=APPROVED, unit=unit), data).result_id
    signer = Signer(office, signer=SIGNER[unit])
    harness.wait_for(lambda: i in [w.result_id for w in signer.waiting()])
    return i


def refuse(office, *ids, unit=UNITS[0]):
    signer = Signer(office, signer=SIGNER[unit])
    for i in ids:
        signer.refuse(i, "Bản chính không rõ")
    harness.wait_for(lambda: not {w.result_id for w in signer.waiting()} & set(ids))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_what_comes_to_nothing_goes(tmp_path):
    store = postgres.Store(servers=2)
    store.init()
    with harness.Engine(tmp_path, schemas=schemas_with_approval(tmp_path / "schemas"),
                        **store.settings()) as office:
        office.prepare().start()
        stubs = office.stubs()
        scans = [originals.jpeg(quality=q) for q in (60, 70, 80)]
        first = copy_case()
        stored = certify(stubs, first, scans[0]).result_id
        office.wait_stored(stubs, [stored])
        # Brought once more for the same copy, nothing names it.
        assert certify_all(stubs, [(first, scans[0])]).receipts[0].duplicate
        assert store.count("claim") == 0
        gone = [awaited(office, stubs, data) for data in scans]
        waits = awaited(office, stubs, scans[1])
        assert store.count("claim") == 3
        refuse(office, *gone)
        # One is a result's, one waits still.
        harness.wait_for(lambda: store.count("claim") == 1)
        assert kept(store) == {digest(d) for d in scans[:2]}
        stubs = again(office)
        assert store.count("claim") == 1
        assert kept(store) == {digest(d) for d in scans[:2]}
        assert "1 originals are of cases that are on their way" in deep(office, store)
        # A store that went back in time is given what it lost.
        for i in range(2):
            store.sql(f"DELETE FROM object WHERE hash = '\\x{digest(scans[1])}'; "
                      "DELETE FROM claim", i)
        certify(stubs, copy_case(kind=APPROVED), scans[2])
        stubs = again(office)
        assert kept(store) == {digest(d) for d in scans}
        signer = Signer(office)
        signer.confirm(signer.open([waits]))
        office.wait_stored(stubs, [waits])
        for i, data in zip((stored, waits), scans):
            assert Paper(office.download(stubs, i)[0]).original()[1] == data
        # Nobody needs it, and nobody claims it: told, and left to an operator.
        for i in range(2):
            store.sql("DELETE FROM claim", i)
        told = deep(office, store)
        assert "spare: lane" in told and digest(scans[2]) in told
        assert digest(scans[0]) not in told and digest(scans[1]) not in told


def test_what_another_engine_needs_stays(tmp_path):
    """Two agencies, each with its engine, copy the same paper of the same person."""
    store = postgres.Store()
    store.init()
    schemas = schemas_with_approval(tmp_path / "schemas")
    data = originals.jpeg()
    with harness.Engine(tmp_path / "a", schemas=schemas, units=UNITS[0], engine=1,
                        **store.settings()) as a, \
            harness.Engine(tmp_path / "b", schemas=schemas, units=UNITS[1], engine=2,
                           **store.settings()) as b:
        waits = []
        for office, unit in ((a, UNITS[0]), (b, UNITS[1])):
            office.prepare().start(registers=False)
            open_own(office, unit)
            waits.append(awaited(office, office.stubs(), data, unit))
        assert store.sql("SELECT array_length(engines, 1) FROM claim") == [["2"]]
        refuse(a, waits[0])
        again(a)
        assert kept(store) == {digest(data)}
        assert store.sql("SELECT engines FROM claim") == [["{2}"]]
        refuse(b, waits[1], unit=UNITS[1])
        again(b)
        assert not kept(store) and store.count("claim") == 0
        # Brought anew, it is there; and stays with the result that rests on it.
        waits = [awaited(a, a.stubs(), data), awaited(b, b.stubs(), data, UNITS[1])]
        signer = Signer(b, signer=SIGNER[UNITS[1]])
        signer.confirm(signer.open([waits[1]]))
        b.wait_stored(b.stubs(), [waits[1]])
        refuse(a, waits[0])
        again(a)
        again(b)
        assert kept(store) == {digest(data)} and store.count("claim") == 0
        assert Paper(b.download(b.stubs(), waits[1])[0]).original()[1] == data


class Refuser(Client):
    """Brings copies that its officer refuses; an original is never brought twice."""

    def one(self, stubs, k):
        data = originals.png(2, 8, (60, 60 + k))
        c = copy_case(f"THOI-{self.n}-{k}", kind=APPROVED)
        receipt = certify(stubs, c, data, timeout=20)
        m = harness.modules()["signing"]
        try:
            stubs.signing.RefuseWaiting(m.RefuseWaitingRequest(
                result_id=receipt.result_id, reason="Bản chính không rõ"), timeout=20)
        except grpc.RpcError as e:
            if e.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise
            # Not waiting yet; or refused before a kill, and nobody was told.
            if get(stubs, receipt.result_id).state != REFUSED:
                time.sleep(0.02)
                return None
        return receipt, digest(data)


def test_kills_leave_what_is_needed_and_nothing_else(tmp_path):
    store = postgres.Store()
    store.init()
    with harness.Engine(tmp_path, schemas=schemas_with_approval(tmp_path / "schemas"),
                        **store.settings()) as office:
        office.prepare().start()
        stubs = office.stubs()
        first = send(stubs, [case()]).receipts[0].result_id
        office.wait_stored(stubs, [first])
        source = first, office.download(stubs, first)[0]
        clients = [Copier(office, 0, source), Copier(office, 1, source), Refuser(office, 2)]
        play(office, clients, KILLS, seed=23)
        stubs = office.stubs()
        answers = [a for c in clients[:2] for a in c.answers.values()]
        office.wait_stored(stubs, [receipt.result_id for receipt, _ in answers])
        stubs = again(office)
        assert kept(store) == {d for _, d in answers}
        assert store.count("claim") == 0
        told = deep(office, store)
        assert "spare" not in told and "all as it should be" in told
        for receipt, d in answers:
            paper = Paper(office.download(stubs, receipt.result_id)[0])
            assert digest(paper.original()[1]) == d
