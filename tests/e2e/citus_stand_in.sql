-- A stand-in for the extension Citus, for machines that have not got it. It distributes nothing: its
-- functions check what they are told against the rules that Citus documents, and note it. What it
-- cannot stand in for is how Citus plans and runs statements: those rules are in
-- tests/unit/pgstatements_test.c and test_lanes.py.
CREATE SCHEMA citus_stand_in;
CREATE TABLE citus_stand_in.node (name text, port int, coordinator bool, PRIMARY KEY (name, port));
CREATE TABLE citus_stand_in.noted (
	table_name regclass PRIMARY KEY,
	citus_table_type text NOT NULL,
	distribution_column text NOT NULL,
	colocation_id int NOT NULL,
	shard_count int NOT NULL
);
-- Citus has them there, for everybody.
SET allow_system_table_mods = on;
CREATE VIEW pg_catalog.citus_tables AS
	SELECT noted.* FROM citus_stand_in.noted JOIN pg_class ON oid = table_name;
CREATE VIEW pg_catalog.pg_dist_partition AS
	SELECT table_name AS logicalrelid, CASE citus_table_type WHEN 'reference' THEN 'n' ELSE 'h' END
		AS partmethod FROM citus_tables;
GRANT SELECT ON pg_catalog.citus_tables, pg_catalog.pg_dist_partition TO PUBLIC;
RESET allow_system_table_mods;

CREATE FUNCTION pg_catalog.citus_set_coordinator_host(host text, port int) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO citus_stand_in.node VALUES (host, port, true)
$$;

CREATE FUNCTION pg_catalog.citus_add_node(nodename text, nodeport int) RETURNS int
LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM citus_stand_in.node WHERE coordinator) THEN
		RAISE EXCEPTION 'cannot add a worker: the coordinator''s host is not set';
	END IF;
	INSERT INTO citus_stand_in.node VALUES (nodename, nodeport, false);
	RETURN (SELECT count(*) FROM citus_stand_in.node);
END
$$;

CREATE FUNCTION pg_catalog.citus_get_active_worker_nodes(OUT node_name text, OUT node_port bigint)
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT name, port FROM citus_stand_in.node WHERE NOT coordinator
$$;

CREATE FUNCTION citus_stand_in.suits(what regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM citus_get_active_worker_nodes()) THEN
		RAISE EXCEPTION 'no worker nodes are available for placing shards';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.citus_tables WHERE table_name = what) THEN
		RAISE EXCEPTION 'table % is already distributed', what;
	END IF;
	IF EXISTS (SELECT FROM pg_class WHERE oid = what AND relispartition) THEN
		RAISE EXCEPTION 'cannot distribute % which is a partition: its parent is', what;
	END IF;
	IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = what AND NOT tgisinternal) THEN
		RAISE EXCEPTION 'triggers are not supported on distributed table %', what;
	END IF;
	IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND what IN (conrelid, confrelid)) THEN
		RAISE EXCEPTION 'foreign keys of %: not all tables are distributed', what;
	END IF;
	IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = what AND c.relkind = 'p') THEN
		RAISE EXCEPTION 'distributing multi-level partitioned tables is not supported: %', what;
	END IF;
END
$$;

CREATE FUNCTION pg_catalog.create_distributed_table(table_name regclass, distribution_column text,
	distribution_type text DEFAULT 'hash', colocate_with text DEFAULT 'default',
	shard_count int DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	what ALIAS FOR $1;
	col ALIAS FOR $2;
	shards ALIAS FOR $5;
	number smallint;
	kind regtype;
	beside pg_catalog.citus_tables;
BEGIN
	PERFORM citus_stand_in.suits(what);
	SELECT attnum, atttypid INTO number, kind FROM pg_attribute
		WHERE attrelid = what AND attname = col AND NOT attisdropped;
	IF number IS NULL THEN
		RAISE EXCEPTION 'column % of % does not exist', col, what;
	END IF;
	IF distribution_type <> 'hash' THEN
		RAISE EXCEPTION 'only tables distributed by hash are looked at here';
	END IF;
	IF EXISTS (SELECT FROM pg_index WHERE indrelid = what AND indisunique
		AND NOT number = ANY (indkey::smallint[])) THEN
		RAISE EXCEPTION 'cannot create constraint on %: a unique key without the '
			'distribution column %', what, col;
	END IF;
	IF colocate_with IN ('default', 'none') THEN
		INSERT INTO citus_stand_in.noted SELECT what, 'distributed', col,
			coalesce(max(colocation_id), 0) + 1, coalesce(shards, 32)
			FROM pg_catalog.citus_tables;
		RETURN;
	END IF;
	IF shards IS NOT NULL THEN
		RAISE EXCEPTION 'shard_count cannot be given together with a table to colocate with';
	END IF;
	SELECT * INTO beside FROM pg_catalog.citus_tables t
		WHERE t.table_name = colocate_with::regclass AND citus_table_type = 'distributed';
	IF beside.table_name IS NULL THEN
		RAISE EXCEPTION 'table % is not distributed', colocate_with;
	END IF;
	IF kind <> (SELECT atttypid FROM pg_attribute WHERE attrelid = beside.table_name
		AND attname = beside.distribution_column) THEN
		RAISE EXCEPTION 'cannot colocate % and %: the types of their distribution columns '
			'differ', what, beside.table_name;
	END IF;
	INSERT INTO citus_stand_in.noted VALUES (what, 'distributed', col,
		beside.colocation_id, beside.shard_count);
END
$$;

CREATE FUNCTION pg_catalog.create_reference_table(table_name regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	what ALIAS FOR $1;
BEGIN
	PERFORM citus_stand_in.suits(what);
	-- Without one its rows could be neither changed nor copied to a new worker meanwhile.
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = what AND indisprimary) THEN
		RAISE EXCEPTION 'reference table % has no primary key', what;
	END IF;
	INSERT INTO citus_stand_in.noted VALUES (what, 'reference', '<none>', 0, 1);
END
$$;
