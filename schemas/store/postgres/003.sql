-- Version 3: who read what, by whom it is about.

-- One row a call and person: what a call got of a holder's results, or that it looked whether there are
-- any. Not the holder's own calls. A person's rows are found by the person, newest first, whatever becomes
-- of the results.
CREATE TABLE reading (
	lane smallint NOT NULL,			-- of holder
	holder bytea NOT NULL,			-- as in holding
	stamp bigint NOT NULL,			-- when: made as a sequence is, by the engine that answered
	crc int NOT NULL,			-- with stamp in the place of sequence
	record bytea NOT NULL,			-- READ
	PRIMARY KEY (lane, holder, stamp)
) PARTITION BY RANGE (stamp);

-- Months of every table that is cut into them: those that later versions bring, too.
CREATE OR REPLACE FUNCTION trien_months(first date, months int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	parent text;
	part text;
	month timestamp;
	lowest bigint;
	behind bigint;
BEGIN
	FOR i IN 0 .. months - 1 LOOP
		month := date_trunc('month', first::timestamp) + make_interval(months => i);
		FOR parent IN SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
			WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname
		LOOP
			part := parent || to_char(month, '_YYYYMM');
			CONTINUE WHEN to_regclass(part) IS NOT NULL;
			-- Another engine may be making it: wait, and look again. Rows come and go meanwhile.
			EXECUTE format('LOCK TABLE ONLY %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
			CONTINUE WHEN to_regclass(part) IS NOT NULL;
			lowest := (extract(epoch FROM month)::bigint * 1000 - 1577836800000) << 22;
			behind := (extract(epoch FROM month + interval '1 month')::bigint * 1000
				- 1577836800000) << 22;
			-- 4080: a body leaves its row, a record stays in it as it is.
			EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (toast_tuple_target = 4080)',
				part, parent);
			EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
				parent, part, lowest, behind);
		END LOOP;
	END LOOP;
END
$$;

-- Over the workers, where the other tables are.
DO $$
BEGIN
	IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
		RETURN;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = 'public.result'::regclass) THEN
		RETURN;
	END IF;
	PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
	PERFORM create_distributed_table('reading', 'lane', colocate_with => 'result');
END
$$;
