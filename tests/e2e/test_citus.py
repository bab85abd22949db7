"""The tables over the workers of Citus; where it is not installed, as the rules that it documents
want them: a stand-in for it checks what citus.sql asks for."""
import re
import subprocess

import pytest

import harness
import postgres

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing())

LANED = {"result", "holding", "locator", "voided", "event", "number_register", "counter",
         "reading", "object", "claim"}


@pytest.fixture(scope="module")
def cluster():
    c = postgres.Citus().start()
    yield c
    c.remove()


@pytest.fixture
def store(cluster):
    s = postgres.Store(cluster)
    yield s
    s.remove()


def test_every_table_has_its_place(store):
    store.init()
    rows = store.sql("SELECT table_name, citus_table_type, distribution_column, colocation_id "
                     "FROM citus_tables")
    rows = {r[0]: r[1:] for r in rows if not re.search(r"_\d{6}$", r[0])}
    laned = {t: r for t, r in rows.items() if r[0] == "distributed"}
    assert set(laned) == LANED
    assert all(r[1] == "lane" for r in laned.values())
    # Shards of one lane lie together.
    assert len({r[2] for r in laned.values()}) == 1
    assert {t for t, r in rows.items() if r[0] == "reference"} == {"layer", "unit_owner"}
    # The version and its lanes alone are the coordinator's.
    own = store.sql("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                    "AND relkind IN ('r', 'p') AND NOT relispartition")
    assert {r[0] for r in own} - set(rows) == {"trien_schema", "server_lane"}
    assert len(store.sql("SELECT * FROM citus_get_active_worker_nodes()")) == 2
    # Again it changes nothing.
    assert "the tables are there" in store.init().stdout


def test_without_the_extension_nothing_is_made():
    plain = postgres.Cluster().start()
    try:
        name = plain.database()
        done = subprocess.run([str(harness.TRIEN), "store", "init", plain.conninfo(name),
                               "--postgres-distribution", "citus"], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 78
        assert "cannot distribute the tables" in done.stderr
        assert "create_distributed_table" in done.stderr
        assert plain.sql(name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == \
            [["0"]]
    finally:
        plain.remove()


def test_tables_of_the_other_kind_are_refused(store):
    def told(what, distribution):
        done = subprocess.run([str(harness.TRIEN), "store", what, store.conninfos[0],
                               "--postgres-distribution", distribution], capture_output=True,
                              text=True, timeout=60)
        return done.returncode, done.stderr

    assert told("init", "plain")[0] == 0
    assert told("check", "plain")[0] == 0
    for what in ("check", "init"):
        code, why = told(what, "citus")
        assert code == 78 and "not distributed" in why, why
    store.sql("DROP TABLE result, holding, locator, event, voided, number_register, counter, "
              "reading, object, claim, layer, unit_owner, trien_schema, server_lane; "
              "DROP FUNCTION trien_months, trien_fold, trien_claim, trien_release")
    assert told("init", "citus")[0] == 0
    assert told("check", "citus")[0] == 0
    for what in ("check", "init"):
        code, why = told(what, "plain")
        assert code == 78 and "postgres_distribution = citus" in why, why


WRONG = {
    "a unique key": "CREATE TABLE t (id int PRIMARY KEY, lane smallint);"
                    "SELECT create_distributed_table('t', 'lane')",
    "column lain": "CREATE TABLE t (lane smallint); SELECT create_distributed_table('t', 'lain')",
    "differ": "CREATE TABLE t (lane int); SELECT create_distributed_table('t', 'lane', "
              "colocate_with => 'result')",
    "shard_count": "CREATE TABLE t (lane smallint); SELECT create_distributed_table('t', 'lane', "
                   "colocate_with => 'result', shard_count => 64)",
    "already distributed": "SELECT create_reference_table('layer')",
    "is a partition": "CREATE TABLE t PARTITION OF locator FOR VALUES FROM (1) TO (2);"
                      "SELECT create_distributed_table('t', 'lane')",
    "foreign keys": "CREATE TABLE t (lane smallint PRIMARY KEY, v int REFERENCES trien_schema);"
                    "SELECT create_distributed_table('t', 'lane')",
    "multi-level": "CREATE TABLE t (lane smallint, a int) PARTITION BY RANGE (a);"
                   "CREATE TABLE u PARTITION OF t FOR VALUES FROM (1) TO (9) PARTITION BY LIST (a);"
                   "SELECT create_distributed_table('t', 'lane')",
    "triggers": "CREATE TABLE t (lane smallint); CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW "
                "EXECUTE FUNCTION suppress_redundant_updates_trigger();"
                "SELECT create_distributed_table('t', 'lane')",
    "no primary key": "CREATE TABLE t (a int); SELECT create_reference_table('t')",
    "no worker": "DELETE FROM citus_stand_in.node; CREATE TABLE t (lane smallint);"
                 "SELECT create_distributed_table('t', 'lane')",
}


def test_the_stand_in_would_notice(store):
    if store.cluster.real:
        pytest.skip("Citus itself is here")
    store.init()
    for why, sql in WRONG.items():
        done = subprocess.run([str(store.cluster.bin / "psql"), "-X", "-q", "-v",
                               "ON_ERROR_STOP=1", "-1", "-d",
                               store.cluster.conninfo(store.names[0]), "-c", sql],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and why in done.stderr, (why, done.stderr)
