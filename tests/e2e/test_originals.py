"""Where the originals of copies lie: what waits has them after a crash, what none names goes."""
import hashlib
import re
import time

import grpc
import pytest

import harness
import originals
import postgres
from copying import APPROVED, Paper, certify, copy_case, schemas_with_approval
from office import AWAITING, NUMBERED, Signer
from sample import UNITS
from test_held import held
from test_register_book import without_key


@pytest.fixture
def office(tmp_path):
    e = harness.Engine(tmp_path, schemas=schemas_with_approval(tmp_path / "schemas"))
    e.prepare().start()
    yield e
    e.stop()


def shown(signer, result_id):
    return b"".join(p.chunk for p in signer.stub.PreviewWaiting(
        signer.m.PreviewWaitingRequest(result_id=result_id), timeout=20))


@pytest.mark.embedded
def test_they_wait_with_their_cases(office, tmp_path):
    depot = office.data / "store" / "objects"
    data, other = originals.jpeg(), originals.scanned().bytes()
    name = hashlib.sha256(data).hexdigest()
    stubs = office.stubs()
    waits = certify(stubs, copy_case(kind=APPROVED), data)
    stored = certify(stubs, copy_case(), other)
    assert waits.state == AWAITING
    office.wait_stored(stubs, [stored.result_id])
    assert [f.name for f in (depot / "waiting").iterdir()] == [name]
    office.kill()
    for lost in "ab" * 32, "17.part":
        (depot / "waiting" / lost).write_bytes(b"of a case that never came to be")
    office.start(registers=False)
    # What no case names is gone; the others are where they were, in a backup, too.
    assert [f.name for f in (depot / "waiting").iterdir()] == [name]
    office.trien("backup", "--data", office.data, tmp_path / "backup")
    copied = {f.relative_to(tmp_path / "backup") for f in (tmp_path / "backup").rglob("*")}
    assert {f.relative_to(office.data) for f in depot.rglob("*") if f.is_file()} <= copied
    signer = Signer(office)
    harness.wait_for(lambda: [w.result_id for w in signer.waiting()] == [waits.result_id])
    assert Paper(shown(signer, waits.result_id)).images()[0].encoded_data == data
    # A damaged one is never shown or signed; the same bytes brought again heal it.
    (depot / "waiting" / name).write_bytes(data[:-1] + b"?")
    with pytest.raises(grpc.RpcError):
        shown(signer, waits.result_id)
    again = certify(office.stubs(), copy_case(), data)
    office.wait_stored(office.stubs(), [again.result_id])
    signer.confirm(signer.open([waits.result_id]))
    office.wait_stored(office.stubs(), [waits.result_id])
    assert Paper(office.download(office.stubs(), waits.result_id)[0]).original()[1] == data
    assert not list((depot / "waiting").iterdir())
    assert office.stop() == 0
    assert "all as it should be" in office.trien("fsck", "--data", office.data).stdout


@pytest.mark.embedded
def test_what_ends_without_a_result_goes(office):
    """At the next start, though the journal has their cases still."""
    depot = office.data / "store" / "objects" / "waiting"
    data = [originals.jpeg(quality=q) for q in (60, 70, 80)]
    stubs, signer = office.stubs(), Signer(office)
    ids = [certify(stubs, copy_case(kind=APPROVED), d).result_id for d in (*data, data[0])]
    harness.wait_for(lambda: len(signer.waiting()) == 4)
    for i in ids[:2]:
        signer.refuse(i, "Bản chính không rõ")
    harness.wait_for(lambda: len(signer.waiting()) == 2)
    office.kill()
    office.start(registers=False)
    assert {f.name for f in depot.iterdir()} == \
        {hashlib.sha256(data[i]).hexdigest() for i in (0, 2)}
    signer = Signer(office)
    signer.confirm(signer.open(ids[2:]))
    office.wait_stored(office.stubs(), ids[2:])
    for i, d in zip(ids[2:], (data[2], data[0])):
        assert Paper(office.download(office.stubs(), i)[0]).original()[1] == d
    assert not list(depot.iterdir())


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_servers_have_them_too(tmp_path):
    """What a machine lost is fetched: that is how another one goes on from a mirror."""
    store = postgres.Store()
    store.init()
    with harness.Engine(tmp_path, schemas=schemas_with_approval(tmp_path / "schemas"),
                        **store.settings()) as office:
        office.prepare().start()
        servers_have_them(office, store)


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_what_cannot_be_fetched_now_is_fetched_later(tmp_path):
    """A server that is away has lost nothing: no reason to hold what waits for its original."""
    cluster = postgres.Cluster().start()
    try:
        store = postgres.Store(cluster)
        store.init()
        with harness.Engine(tmp_path, schemas=schemas_with_approval(tmp_path / "schemas"),
                            **store.settings()) as office:
            office.prepare().start()
            fetched_later(office, cluster)
    finally:
        cluster.remove()


def fetched_later(office, cluster):
    depot = office.data / "store" / "objects" / "waiting"
    data, name = originals.jpeg(), hashlib.sha256(originals.jpeg()).hexdigest()
    stubs, signer = office.stubs(), Signer(office)
    drawn = certify(stubs, copy_case(kind=APPROVED), data).result_id
    good = without_key(office, UNITS[0])
    office.hup()
    ids = [certify(stubs, copy_case(), data).result_id for _ in range(3)]
    harness.wait_for(lambda: len(held(office)) == 3)
    cluster.stop()
    (depot / name).unlink()
    # Nothing is wrong with the document: come again.
    for act in (lambda: shown(signer, drawn), lambda: signer.open([drawn])):
        with pytest.raises(grpc.RpcError) as e:
            act()
        assert harness.details(e.value)["reason"] == "BUSY", e.value
    good()
    office.hup()
    office.trien("held", "retry", "--connect", f"unix:{office.data}/engine.sock")
    harness.wait_for(lambda: "an original cannot be had now" in office.log())
    time.sleep(2.5)
    m = harness.modules()["repository"]
    for i in ids:
        now = stubs.repository.GetResult(m.GetResultRequest(result_id=i), timeout=20)
        assert now.state == NUMBERED and not now.held_reason
    cluster.start()
    office.wait_stored(stubs, ids)
    for i in ids:
        assert Paper(office.download(stubs, i)[0]).original()[1] == data
    signer.confirm(signer.open([drawn]))
    office.wait_stored(stubs, [drawn])
    assert "OBJECT_MISSING" not in office.log()


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())
def test_a_server_has_what_cases_on_their_way_name(tmp_path):
    """A server gets an original when nothing is wrong with it and its case; and it goes with what
    named it."""
    store = postgres.Store()
    store.init()
    with harness.Engine(tmp_path, schemas=schemas_with_approval(tmp_path / "schemas"),
                        **store.settings()) as office:
        office.prepare().start(registers=False)
        stubs, data, signer = office.stubs(), originals.jpeg(), Signer(office)
        for case, original in ((copy_case(so_ban_chinh=None, ten_ban_chinh=None), data),
                               (copy_case(), data[:-200]), (copy_case(), data)):
            with pytest.raises(grpc.RpcError):
                certify(stubs, case, original)
        assert store.count("object") == 0
        office.open_registers()
        for last in (False, False, True):
            waits = certify(stubs, copy_case(kind=APPROVED), data).result_id
            harness.wait_for(lambda: [w.result_id for w in signer.waiting()] == [waits])
            assert store.count("object") == 1
            # What the guide tells an operator to do takes what nobody needs, and nothing else.
            store.sql(removal(data))
            assert store.count("object") == 1
            if last:
                store.sql("DELETE FROM claim;" + removal(data))
                assert store.count("object") == 0
            signer.refuse(waits, "Bản chính không rõ")
            harness.wait_for(lambda: not signer.waiting())
            harness.wait_for(lambda: store.count("object") + store.count("claim") == 0)
        copy = certify(stubs, copy_case(), data).result_id
        office.wait_stored(stubs, [copy])
        assert store.count("object") == 1
        store.sql(removal(data))
        assert store.count("object") == 1
        assert Paper(office.download(stubs, copy)[0]).original()[1] == data


def removal(data):
    guide = (harness.ROOT / "schemas/store/README.md").read_text()
    statement, = re.findall(r"DELETE FROM object o .*?;", guide, re.DOTALL)
    return statement.replace("0" * 64, hashlib.sha256(data).hexdigest())


def servers_have_them(office, store):
    depot = office.data / "store" / "objects" / "waiting"
    data = originals.jpeg(size=(1500, 1500), quality=95)
    stubs = office.stubs()
    ids = [certify(stubs, copy_case(kind=APPROVED), data).result_id for _ in range(2)]
    done = certify(stubs, copy_case(), originals.scanned().bytes()).result_id
    office.wait_stored(stubs, [done])
    harness.wait_for(lambda: len(list(depot.iterdir())) == 1)
    office.kill()
    for f in depot.iterdir():
        f.unlink()
    office.start(registers=False)
    stubs, signer = office.stubs(), Signer(office)
    harness.wait_for(lambda: {w.result_id for w in signer.waiting()} >= set(ids))
    assert Paper(shown(signer, ids[0])).images()[0].encoded_data == data
    signer.confirm(signer.open(ids))
    office.wait_stored(stubs, ids)
    for i in ids:
        assert Paper(office.download(stubs, i)[0]).original()[1] == data
    harness.wait_for(lambda: not list(depot.iterdir()))
    store.sql("UPDATE object SET bytes = set_byte(bytes, 9, 255 - get_byte(bytes, 9)) "
              "WHERE n = (SELECT max(n) FROM object)")
    deep = office.trien("store", "check", "--deep", *store.conninfos, "--postgres-distribution",
                        store.cluster.distribution, check=False)
    assert deep.returncode == 65 and "file does not match" in deep.stdout, deep.stdout
