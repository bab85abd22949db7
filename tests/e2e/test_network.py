"""The PostgreSQL store behind a network that fails: silent in both directions or in one, mute where
it should greet, cut in the middle of a start. Nothing closes the connection: time does."""
import os
import time

import pytest

import harness
import postgres
from outage import STORED, state_of, status, submit, wait_read, whole
from proxy import Proxy
from sample import case

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

# A statement gets a second, what hangs one and a half.
SETTINGS = {"postgres_timeout_ms": "1000", "reader_threads": "1", "algorithm": "p256"}
FULL = os.environ.get("TRIEN_FULL") == "1"


@pytest.fixture(scope="module")
def cluster():
    c = postgres.Cluster(durable=True).start()
    yield c
    c.remove()


@pytest.fixture
def proxy(cluster):
    p = Proxy(cluster.folder / ".s.PGSQL.5432")
    yield p
    p.close()


@pytest.fixture
def store(cluster, proxy):
    s = postgres.Store(cluster)
    s.init()
    s.conninfos = [proxy.conninfo(s.names[0])]
    return s


@pytest.fixture
def engine(tmp_path, store):
    with harness.Engine(tmp_path / "engine", **store.settings(), **SETTINGS).prepare() as e:
        yield e.start()


def get(stubs, result_id):
    m = harness.modules()["repository"]
    return stubs.repository.GetResult(m.GetResultRequest(result_id=result_id), timeout=15)


def test_black_hole(engine, proxy, store):
    stubs = engine.stubs()
    receipts = submit(stubs, 50)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    old = receipts[0].result_id
    assert state_of(stubs, old) == STORED
    proxy.hold()
    receipts += submit(stubs, 300)
    harness.wait_for(lambda: not status(engine).store_up, 10)
    begin = time.monotonic()
    # Stored cannot be read now, and says so in time; accepted is known without the store.
    assert state_of(stubs, old) is None
    assert time.monotonic() - begin < 10
    last = get(stubs, receipts[-1].result_id)
    assert last.number_text == receipts[-1].number_text and last.state != STORED
    receipts += submit(stubs, 50)
    assert store.count("result") == 50
    # What was held gets through: statements of connections given up, behind their end.
    proxy.release()
    wait_read(stubs, old)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    assert status(engine).store_up
    whole(store, receipts)
    log = engine.log()
    assert log.count("no answer in time") in range(1, 8) and log.count("takes results again") == 1


def test_answers_that_never_come(engine, proxy, store):
    """The server commits, and nobody hears of it: it is sent again, and stands there once."""
    stubs = engine.stubs()
    receipts = submit(stubs, 50)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    proxy.hold(answers_only=True)
    receipts += submit(stubs, 200)
    harness.wait_for(lambda: store.count("number_register") > 50, 10)
    harness.wait_for(lambda: not status(engine).store_up, 10)
    proxy.release()
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    whole(store, receipts)


def test_a_server_that_never_greets(engine, proxy, store):
    """It takes connections and says nothing: each is given up, and another one tried."""
    stubs = engine.stubs()
    receipts = submit(stubs, 50)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    proxy.hold()
    proxy.cut()
    receipts += submit(stubs, 100)
    calls = proxy.calls
    harness.wait_for(lambda: proxy.calls >= calls + 6, 15)
    assert not status(engine).store_up and engine.log().count("trying again") <= 2
    assert state_of(stubs, receipts[0].result_id) is None
    # The same at a start: it is waited for, and whoever ends the engine meanwhile is heard.
    engine.kill()
    engine.start(ready=False)
    harness.wait_for(lambda: "no answer in time; the engine waits for it" in engine.log(), 20)
    assert engine.stop() == 75
    engine.start(ready=False)
    proxy.release()
    harness.wait_for(engine.is_ready, 40)
    engine.wait_stored(engine.stubs(), [r.result_id for r in receipts])
    whole(store, receipts)


def test_the_other_host_when_one_hangs(tmp_path, cluster, proxy):
    """Two ways to one primary: libpq stays with a host that hangs, the engine does not."""
    store = postgres.Store(cluster)
    store.init()
    second = Proxy(cluster.folder / ".s.PGSQL.5432")
    conninfo = proxy.conninfo(store.names[0]).replace("hostaddr=127.0.0.1",
                                                      "hostaddr=127.0.0.1,127.0.0.1")
    conninfo = conninfo.replace(f"port={proxy.port}", f"port={proxy.port},{second.port}")
    e = harness.Engine(tmp_path / "engine", store="postgres", postgres=conninfo, **SETTINGS)
    try:
        with e.prepare().start():
            stubs = e.stubs()
            receipts = submit(stubs, 50)
            e.wait_stored(stubs, [r.result_id for r in receipts])
            assert state_of(stubs, receipts[0].result_id) == STORED
            proxy.hold()
            receipts += submit(stubs, 100)
            wait_read(stubs, receipts[0].result_id)
            e.wait_stored(stubs, [r.result_id for r in receipts])
            e.kill()
            e.start(registers=False)
            stubs = e.stubs()
            receipts += submit(stubs, 50)
            e.wait_stored(stubs, [r.result_id for r in receipts])
            whole(store, receipts)
    finally:
        second.close()


# Bind messages of these statements: what is known of a result, the registers' highest numbers lane
# by lane, the units' owners before and after.
MOMENTS = {"get": (1, 7, 30), "marks": (1, 40, 64), "owners": (1, 2)}


@pytest.mark.parametrize("word, nth", [(w, n) for w in MOMENTS
                                       for n in (MOMENTS[w] if FULL else MOMENTS[w][1:2])])
def test_server_dies_while_the_engine_starts(engine, cluster, proxy, store, word, nth):
    """After the store was opened, before the registers were compared: it is waited for."""
    stubs = engine.stubs()
    receipts = submit(stubs, 20)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    cluster.stop()
    receipts += submit(stubs, 30)
    engine.kill()
    cluster.start()
    proxy.cut_at(b"\0%s\0" % word.encode(), nth)
    engine.start(ready=False)
    harness.wait_for(lambda: "the engine waits for it" in engine.log())
    assert proxy.cuts == 1 and "ready on" not in engine.log()
    # As many tries as it may take, and one word of it, of who reads and of who acts.
    calls = proxy.calls
    harness.wait_for(lambda: proxy.calls >= calls + 12)
    proxy.pass_again()
    harness.wait_for(engine.is_ready, 40)
    stubs = engine.stubs()
    receipts += submit(stubs, 10)
    engine.wait_stored(stubs, [r.result_id for r in receipts])
    whole(store, receipts)
    assert "30 go on" in engine.log() and engine.log().count("the engine waits for it") == 1
    # Both had a connection: who acts has published whose agencies these are.
    assert engine.log().count("server 1 is away") <= 2


def test_a_start_that_waits_for_its_registers_can_be_ended(engine, proxy):
    engine.kill()
    proxy.cut_at(b"\0marks\0", 1)
    engine.start(ready=False)
    harness.wait_for(lambda: "the engine waits for it" in engine.log())
    assert engine.stop() == 75
