-- Version 5: originals of certified copies, in pieces.

-- A piece stands before the journal of any engine names the original; a result names it by its hash
-- (RESULT's section in engine/store/stored.h), and its file is read from here. Image and attachment of
-- a copy share it, as do copies of one original in a lane.
CREATE TABLE object (
	lane smallint NOT NULL,			-- of the result
	hash bytea NOT NULL,			-- SHA-256 of all pieces, one after the other
	n int NOT NULL,				-- from 0; each but the last has 1 MiB
	bytes bytea NOT NULL,
	PRIMARY KEY (lane, hash, n)
);
-- Coded already: nothing to compress.
ALTER TABLE object ALTER bytes SET STORAGE EXTERNAL;

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
	PERFORM create_distributed_table('object', 'lane', colocate_with => 'result');
END
$$;
