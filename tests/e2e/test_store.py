"""`trien store`: the tables of a PostgreSQL store, their versions, and who may do what."""
import json
import os
import re
import subprocess

import pytest

import harness
import originals
import postgres
from copying import Paper, certify, copy_case
from postgres import VERSION
from sample import case, send

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

TABLES = {"trien_schema", "result", "holding", "locator", "voided", "event", "number_register",
          "counter", "layer", "unit_owner", "reading", "object", "claim", "server_lane"}
MONTHLY = ("result", "holding", "locator", "voided", "event", "reading")


@pytest.fixture
def store():
    s = postgres.Store()
    yield s
    s.remove()


def run(*words):
    return subprocess.run([str(harness.TRIEN), "store", *words], capture_output=True, text=True,
                          timeout=60)


def tables(store):
    return {r[0] for r in store.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_init_makes_everything_once(store):
    assert not tables(store)
    told = store.init().stdout
    assert f"from version 0 to {VERSION}" in told
    have = tables(store)
    assert TABLES <= have - {t for t in have if t[-6:].isdigit()}
    # This month and the next two, of each table that grows.
    for parent in MONTHLY:
        assert sum(t.startswith(parent + "_") for t in have) == 3, parent
    again = store.init()
    assert f"are there, version {VERSION}" in again.stdout
    assert tables(store) == have
    assert store.sql("SELECT version FROM trien_schema ORDER BY 1") == \
        [[str(v + 1)] for v in range(VERSION)]
    checked = run("check", store.conninfos[0], "--json")
    assert checked.returncode == 0
    row = json.loads(checked.stdout)["servers"][0]
    assert row["version"] == VERSION and row["server"] == 1
    # The tests' own server is a fast one, and that is told.
    assert row["risk"] == \
        "fsync = off, full_page_writes = off, synchronous_commit = off"


def test_months_meet_and_a_sequence_finds_its_own(store):
    store.init()
    store.sql("SELECT trien_months('2026-02-28', 12); SELECT trien_months('2026-07-01', 1)")
    # 2026-03-01T00:00Z and one millisecond before it.
    first = (1772323200000 - 1577836800000) << 22
    for sequence in (first, first - 1):
        store.sql("INSERT INTO locator VALUES (0, '\\x00', %d, 0)" % sequence)
    rows = store.sql("SELECT tableoid::regclass, sequence FROM locator ORDER BY sequence")
    assert rows == [["locator_202602", str(first - 1)], ["locator_202603", str(first)]]


def test_check_says_what_to_do(store):
    missing = run("check", store.conninfos[0])
    assert missing.returncode == 78 and "trien store init" in missing.stderr
    store.init()
    store.sql(f"INSERT INTO trien_schema VALUES ({VERSION + 1}, now())")
    for words in ("check", "init"):
        newer = run(words, store.conninfos[0])
        assert newer.returncode == 78, newer.stderr
        assert f"version {VERSION + 1}, newer than this program knows ({VERSION})" in newer.stderr
    store.sql("DELETE FROM trien_schema")
    older = run("check", store.conninfos[0])
    assert older.returncode == 78 and "trien store init" in older.stderr


def test_tables_of_version_1_are_brought_up(store):
    """Their rows stay as they are."""
    sql = (harness.ROOT / "schemas/store/postgres/001.sql").read_text()
    store.sql("BEGIN;" + sql + "INSERT INTO trien_schema VALUES (1, now()); COMMIT;"
              "INSERT INTO counter SELECT 5, 'u', 'k', 20260102, 3, w, 2 FROM "
              "generate_series(1, 4) w")
    old = run("check", store.conninfos[0])
    assert old.returncode == 78 and f"version 1, this program needs {VERSION}" in old.stderr
    assert f"from version 1 to {VERSION}" in store.init().stdout
    assert store.sql("SELECT trien_fold(5::int2, 3::int2), trien_fold(5::int2, 3::int2)") == \
        [["3", "0"]]
    assert store.sql("SELECT lane, unit, kind, day, engine, watermark, results, cases, reuses "
                     "FROM counter") == [["5", "u", "k", "20260102", "3", "4", "8", "", ""]]


def test_a_server_that_is_away(tmp_path):
    away = run("check", f"host={tmp_path} dbname=none")
    assert away.returncode == 75 and "server 1" in away.stderr
    named = run("init", "host=db.example dbname=trien password=geheim")
    assert named.returncode == 78 and "hostaddr" in named.stderr
    assert "geheim" not in named.stderr
    assert run("init").returncode == 2
    assert run("drop", "host=/tmp").returncode == 2


def test_servers_come_from_the_settings(tmp_path):
    store = postgres.Store(servers=2)
    conf = tmp_path / "trien.conf"
    conf.write_text('store = postgres\npostgres = {"%s", "%s"}\n' % tuple(store.conninfos))
    assert run("check", "--data", str(tmp_path)).returncode == 78
    done = run("init", "--data", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "server 2" in done.stdout
    assert run("check", "--config", str(conf)).returncode == 0
    store.remove()


def as_user(store, name, text):
    """Whether that user may run it."""
    psql = store.cluster.bin / "psql"
    done = subprocess.run([str(psql), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", text,
                           f"host={store.cluster.folder} dbname={store.names[0]} user={name}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or "permission denied" in done.stderr or \
        "must be owner" in done.stderr, done.stderr
    return done.returncode == 0


def test_roles_have_what_they_need_and_no_more(store):
    store.init()
    store.sql("DROP ROLE IF EXISTS w1, r1, a1; CREATE ROLE w1 LOGIN IN ROLE trien_writer;"
              "CREATE ROLE r1 LOGIN IN ROLE trien_reader;"
              "CREATE ROLE a1 LOGIN IN ROLE trien_auditor")
    row = "INSERT INTO layer VALUES ('\\x%s', '\\x00')"
    assert as_user(store, "w1", row % "01")
    assert as_user(store, "w1", "SELECT trien_months('2031-05-01', 1)")
    assert as_user(store, "w1", "SELECT trien_fold(1::int2, 1::int2)")
    assert as_user(store, "w1", "SELECT trien_claim(1::int2, '\\x01', 1::int2)")
    assert as_user(store, "w1", "SELECT trien_release(1::int2, '{}', 1::int2)")
    assert as_user(store, "w1", "DELETE FROM claim")
    for denied in ("UPDATE result SET crc = 0", "DELETE FROM result", "TRUNCATE event",
                   "UPDATE number_register SET number = 1", "DROP TABLE layer",
                   "DELETE FROM counter", "UPDATE event SET kind = 0", "DELETE FROM event",
                   "DELETE FROM number_register", "DELETE FROM object", "UPDATE object SET n = 1",
                   "INSERT INTO claim VALUES (1, '\\x01', '{1}', false)",
                   "UPDATE claim SET stays = false", "DELETE FROM server_lane",
                   "CREATE TABLE x (a int)"):
        assert not as_user(store, "w1", denied), denied
    assert as_user(store, "r1", "SELECT record, body FROM result")
    assert as_user(store, "r1", "SELECT * FROM counter")
    for denied in (row % "02", "SELECT trien_months('2032-05-01', 1)",
                   "SELECT trien_fold(1::int2, 1::int2)",
                   "SELECT trien_release(1::int2, '{}', 1::int2)", "DELETE FROM claim",
                   "DELETE FROM holding"):
        assert not as_user(store, "r1", denied), denied
    for allowed in ("SELECT * FROM number_register", "SELECT sum(results) FROM counter",
                    "SELECT lane, sequence, case_digest FROM result", "SELECT * FROM event"):
        assert as_user(store, "a1", allowed), allowed
    for denied in ("SELECT record FROM result", "SELECT body FROM result",
                   "SELECT * FROM holding", "SELECT * FROM layer"):
        assert not as_user(store, "a1", denied), denied


def test_without_the_right_to_make_roles_the_sql_is_printed():
    """On a cluster of its own: roles belong to all databases."""
    cluster = postgres.Cluster().start()
    try:
        store = postgres.Store(cluster)
        store.sql("CREATE ROLE owner1 LOGIN; GRANT ALL ON DATABASE %s TO owner1;"
                  "GRANT ALL ON SCHEMA public TO owner1" % store.names[0])
        own = f"host={cluster.folder} dbname={store.names[0]} user=owner1"
        done = run("init", own)
        assert done.returncode == 3, done.stderr
        assert "CREATE ROLE" in done.stdout and "GRANT" in done.stdout
        sql = done.stdout[done.stdout.index("DO $$"):]
        store.sql(sql)
        assert store.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'trien\\_%'") == [["3"]]
        # Now the owner may go on alone.
        assert run("init", own).returncode == 0
    finally:
        cluster.remove()


def guide():
    """The guide's commands for moving lanes, as it prints them: copying; replication, its end;
    what the servers are told."""
    text = (harness.ROOT / "schemas/store/README.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)


def commands(old, new, text):
    """What they print."""
    env = {**os.environ, "FROM": old.conninfos[0], "TO": new.conninfos[0], "LOW": "32",
           "HIGH": "63", "PATH": f"{old.cluster.bin}:{os.environ['PATH']}",
           "PGOPTIONS": "-c client_min_messages=warning"}
    done = subprocess.run(["bash", "-ec", text], env=env, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_lanes_are_copied_to_a_new_server(tmp_path):
    """As the guide says: while the engine runs, and once more when it stands."""
    def copy():
        rows = re.findall(r"^(\w+): (\d+) there, (\d+) here$", commands(old, new, guide()[0]), re.M)
        assert len(rows) == 10 and all(a == b for _, a, b in rows), rows
        assert int(dict((t, a) for t, a, _ in rows)["result"]) > 0

    old, new = postgres.Store(), postgres.Store()
    lanes_move(tmp_path, old, new, copy, copy)


def test_lanes_are_replicated_to_a_new_server(tmp_path):
    """As the guide says: what comes meanwhile follows."""
    def begin():
        commands(old, new, guide()[1])
        harness.wait_for(lambda: new.sql("SELECT count(*) FROM pg_subscription_rel "
                                         "WHERE srsubstate <> 'r'") == [["0"]], 40)
        assert new.count("result") > 0

    old_cluster = postgres.Cluster(wal_level="logical").start()
    try:
        old, new = postgres.Store(old_cluster), postgres.Store()
        lanes_move(tmp_path, old, new, begin, lambda: commands(old, new, guide()[2]))
        assert old.sql("SELECT count(*) FROM pg_replication_slots") == [["0"]]
    finally:
        old_cluster.remove()


def lanes_move(tmp_path, old, new, while_it_runs, when_it_stands):
    old.init()
    new.init()
    settings = {"store": "postgres", "postgres": old.conninfos}
    with harness.Engine(tmp_path, **settings) as engine:
        engine.prepare().start()
        stubs = engine.stubs()
        cases = [case(number=f"0010990{i:05d}") for i in range(40)]
        first = [r.result_id for r in send(stubs, cases[:30]).receipts]
        copies = [copied(stubs, i) for i in range(6)]
        first += copies
        got = engine.wait_stored(stubs, first)
        # Some of them move, some stay.
        assert old.sql("SELECT DISTINCT lane > 31 FROM object ORDER BY 1") == [["f"], ["t"]]
        files = {i: engine.download(stubs, i)[0] for i in first}
        while_it_runs()
        ids = first + [r.result_id for r in send(stubs, cases[30:]).receipts]
        got.update(engine.wait_stored(stubs, ids))
        assert engine.stop() == 0
        when_it_stands()
        for table in (*MONTHLY, "number_register", "counter", "object", "claim"):
            rows = f"SELECT md5(t::text) FROM {table} t WHERE lane > 31 ORDER BY 1"
            assert old.sql(rows) == new.sql(rows), table
        moved = ["lanes=0-31 " + old.conninfos[0], "lanes=32-63 " + new.conninfos[0]]
        engine.settings["postgres"] = moved
        engine.start(ready=False)
        assert engine.wait_end() == 78
        assert "server 1: it keeps lanes 0-63, the list gives it lanes 0-31" in engine.log()
        commands(old, new, guide()[3])
        swapped = ["lanes=32-63 " + old.conninfos[0], "lanes=0-31 " + new.conninfos[0]]
        for words, given in ((old.conninfos, "0-63"), (swapped, "32-63")):
            wrong = run("check", *words)
            assert wrong.returncode == 78, wrong.stderr
            assert f"server 1: it keeps lanes 0-31, the list gives it lanes {given}" in wrong.stderr
        assert run("check", *moved).returncode == 0
        engine.start(registers=False)
        for table in ("result", "holding", "locator", "event", "voided", "number_register",
                      "counter", "reading", "object", "claim"):
            old.sql(f"DELETE FROM {table} WHERE lane > 31")
        stubs = engine.stubs()
        after = engine.wait_stored(stubs, ids)
        assert {i: r.SerializeToString() for i, r in after.items()} == \
            {i: r.SerializeToString() for i, r in got.items()}
        assert files == {i: engine.download(stubs, i)[0] for i in first}
        again = send(stubs, cases)
        assert [r.result_id for r in again.receipts] == [i for i in ids if i not in copies]
        assert [copied(stubs, i) for i in range(6)] == copies
        for i in copies:
            assert Paper(files[i]).original()[1] == originals.jpeg()
        new_ids = [r.result_id for r in send(stubs, [case() for _ in range(20)]).receipts]
        engine.wait_stored(stubs, new_ids)
        assert old.count("result") + new.count("result") == 66
        assert engine.stop() == 0


def copied(stubs, i):
    """A certified copy of a citizen's own; the same each time."""
    c = copy_case(code=f"SAO-DI-{i}")
    c.holders[0].number = f"0010995{i:05d}"
    return certify(stubs, c, originals.jpeg()).result_id


def test_events_are_only_added(store):
    """Nobody but their owner can change one, in no month; and no function does it for others."""
    store.init()
    months = [t for t in tables(store) if t.startswith("event_")]
    assert len(months) == 3
    for table in ["event", *months]:
        rights = store.sql("SELECT DISTINCT grantee, privilege_type FROM "
                           "information_schema.role_table_grants WHERE grantee <> 'trien' "
                           f"AND table_name = '{table}' ORDER BY 1, 2")
        assert all(may == "SELECT" or (who, may) == ("trien_writer", "INSERT")
                   for who, may in rights), rights
    bodies = store.sql("SELECT proname, regexp_replace(prosrc, '\\s+', ' ', 'g') FROM pg_proc "
                       "WHERE pronamespace = 'public'::regnamespace")
    assert {name for name, _ in bodies} == {"trien_months", "trien_fold", "trien_claim",
                                            "trien_release"}
    for _, body in bodies:
        changed = re.findall(r"\b(?:DELETE FROM|UPDATE|TRUNCATE|MERGE INTO)\s+(\w+)", body)
        assert set(changed) <= {"counter", "claim", "object", "EXCLUSIVE"}, body


def test_the_tables_keep_the_rules(store):
    """What a checker of statements cannot see: keys begin with the lane, no table needs another."""
    store.init()
    keys = store.sql("SELECT c.relname, a.attname FROM pg_constraint k JOIN pg_class c ON c.oid = "
                     "k.conrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = "
                     "k.conkey[1] WHERE k.contype = 'p' AND NOT c.relispartition "
                     "AND k.connamespace = 'public'::regnamespace")
    assert {t for t, first in keys if first != "lane"} == {"layer", "unit_owner", "trien_schema"}
    assert {t for t, _ in keys} == TABLES
    assert store.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'counter_day'::regclass "
                     "AND attnum = 1") == [["lane"]]
    for none in ("pg_trigger WHERE NOT tgisinternal",
                 "pg_constraint WHERE contype IN ('f', 'u', 'x') "
                 "AND connamespace = 'public'::regnamespace",
                 "pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace",
                 # counter_day: the statistics of some days do not read those of all.
                 "pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x "
                 "ON x.oid = i.indexrelid WHERE NOT indisprimary "
                 "AND c.relnamespace = 'public'::regnamespace AND x.relname <> 'counter_day'"):
        assert store.sql(f"SELECT count(*) FROM {none}") == [["0"]], none
