"""Reading from a PostgreSQL store: at once, in progress, away, damaged; never wrong."""
import threading
import time

import grpc
import pytest

import harness
import postgres
from sample import case, send

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

STORED = 6


@pytest.fixture(scope="module")
def cluster():
    """One that its tests may stop; what it had confirmed it still has."""
    c = postgres.Cluster(durable=True).start()
    yield c
    c.remove()


@pytest.fixture(scope="module")
def engine(tmp_path_factory, cluster):
    """One for all of them; the last test ends it."""
    store = postgres.Store(cluster)
    store.init()
    # One reading thread has one connection: when it answers again, all do.
    with harness.Engine(tmp_path_factory.mktemp("engine"), reader_threads="1",
                        **store.settings()) as e:
        e.store = store
        e.prepare().start()
        yield e


def get(stubs, result_id, timeout=20):
    m = harness.modules()["repository"]
    return stubs.repository.GetResult(m.GetResultRequest(result_id=result_id), timeout=timeout)


def listed(stubs, number="001099000001"):
    m = harness.modules()["repository"]
    page = stubs.repository.ListResults(m.ListResultsRequest(id_kind=1, number=number,
                                                             page_size=200), timeout=20)
    return [h.result.result_id for h in page.holdings]


def refused(call):
    with pytest.raises(grpc.RpcError) as e:
        call()
    return e.value.code().name, harness.details(e.value)["reason"]


AWAY = ("UNAVAILABLE", "STORE_AWAY")


def wait_back(stubs, result_id):
    """Readers try again within a second of the server's return."""
    def answers():
        try:
            return get(stubs, result_id)
        except grpc.RpcError as e:
            assert e.code().name == "UNAVAILABLE", e
            return None

    harness.wait_for(answers, 20)


def test_found_at_once_and_before(engine):
    """From its receipt on a result is there: on its way, then stored; never unknown."""
    stubs = engine.stubs()
    m = harness.modules()["issuance"]
    ids, wrong, done = [], [], threading.Event()

    def look():
        while not done.is_set():
            for i in list(ids[-20:]):
                try:
                    r = get(stubs, i)
                    if r.state != STORED and not r.number_text:
                        wrong.append(r)
                except grpc.RpcError as e:
                    wrong.append(e)

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(25):
        number = f"0010990{len(ids):05d}"
        new = [r.result_id for r in send(stubs, [case(number=number) for _ in range(5)]).receipts]
        ids += new
        waiting = set(new)
        for change in stubs.issuance.WatchResults(m.WatchResultsRequest(result_ids=new),
                                                  timeout=20):
            if change.state != STORED:
                continue
            waiting.discard(change.result_id)
            # Told as stored: it can be read and downloaded in the same moment.
            assert get(stubs, change.result_id).state == STORED
            pdf, first = engine.download(stubs, change.result_id)
            assert len(pdf) == first.file_size
        assert not waiting
        assert sorted(listed(stubs, number)) == sorted(new)
    done.set()
    watcher.join()
    assert not wrong, wrong[0]


def test_away_is_not_unknown(engine, cluster):
    """While the database is down: what is accepted is in progress, with its number; what is stored
    is away; both are there when it is back."""
    stubs = engine.stubs()
    number = "001099111111"
    old = [r.result_id for r in send(stubs, [case(number=number) for _ in range(10)]).receipts]
    engine.wait_stored(stubs, old)
    files = {i: engine.download(stubs, i)[0] for i in old}
    code = case().code
    cluster.stop("immediate")
    try:
        for _ in range(3):
            new = send(stubs, [case(code=code, number=number)]).receipts[0]
            r = get(stubs, new.result_id)
            assert r.state not in (0, STORED) and r.number_text == new.number_text
            assert refused(lambda: get(stubs, old[0])) == AWAY
            assert refused(lambda: listed(stubs)) == AWAY
            assert refused(lambda: engine.download(stubs, old[1])) == AWAY
            # Nobody's id: whether it is one cannot be said now.
            assert refused(lambda: get(stubs, "0" * 26)) == AWAY
    finally:
        cluster.start()
    wait_back(stubs, old[0])
    engine.wait_stored(stubs, [*old, new.result_id])
    assert files == {i: engine.download(stubs, i)[0] for i in old}
    assert set(listed(stubs, number)) == {*old, new.result_id}
    assert refused(lambda: get(stubs, "0" * 26))[0] == "NOT_FOUND"


def test_a_server_that_hangs_is_away(engine, cluster):
    stubs = engine.stubs()
    ids = [r.result_id for r in send(stubs, [case() for _ in range(3)]).receipts]
    engine.wait_stored(stubs, ids)
    cluster.freeze()
    try:
        begin = time.monotonic()
        assert refused(lambda: get(stubs, ids[0])) == AWAY
        assert time.monotonic() - begin < 10
        new = send(stubs, [case()]).receipts[0]
        assert get(stubs, new.result_id).number_text == new.number_text
    finally:
        cluster.thaw()
    wait_back(stubs, ids[0])
    engine.wait_stored(stubs, [*ids, new.result_id])


def test_damage_is_told_and_never_served(engine):
    stubs = engine.stubs()
    number = "001099222222"
    ids = [r.result_id for r in send(stubs, [case(number=number) for _ in range(3)]).receipts]
    got = engine.wait_stored(stubs, ids)
    where = "WHERE sequence = %d" % got[ids[1]].sequence
    engine.store.sql("UPDATE result SET body = set_byte(body, 9, get_byte(body, 9) # 4) " + where)
    assert refused(lambda: engine.download(stubs, ids[1])) == ("DATA_LOSS", "FILE_DAMAGED")
    engine.store.sql("UPDATE result SET record = set_byte(record, 99, get_byte(record, 99) # 4) " +
                     where)
    assert refused(lambda: get(stubs, ids[1])) == ("DATA_LOSS", "FILE_DAMAGED")
    assert sorted(listed(stubs, number)) == sorted({ids[0], ids[2]})
    assert len(engine.download(stubs, ids[2])[0]) == got[ids[2]].file_size


def test_it_starts_with_its_own_tables_only(engine):
    """A schema that is missing or newer stops the start, and the reason says what to do."""
    assert engine.stop() == 0
    engine.store.sql(f"INSERT INTO trien_schema VALUES ({postgres.VERSION + 1}, now())")
    engine.start(ready=False)
    assert engine.wait_end() == 78
    assert f"version {postgres.VERSION + 1}, newer than this program knows ({postgres.VERSION})" \
        in engine.log()
    engine.store.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.start(ready=False)
    assert engine.wait_end() == 78
    assert "trien store init" in engine.log()
