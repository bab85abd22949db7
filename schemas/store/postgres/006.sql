-- Version 6: originals that a case on its way names.

-- An engine that has, or is about to have, a case in its journal or waiting room which names that original
-- stands in `engines`. The row goes when a result that rests on the original is stored, in that
-- transaction; or when the last of the engines needs it no more: then its pieces go as well, but for those
-- that were there before the row was. A result rests on them, or they are older than this version.
CREATE TABLE claim (
	lane smallint NOT NULL,			-- as in object
	hash bytea NOT NULL,
	engines smallint[] NOT NULL,
	stays boolean NOT NULL,			-- its pieces were there
	PRIMARY KEY (lane, hash)
);

-- Before an engine relies on an original of which it brings the pieces next, in this transaction or a later
-- one. Two who claim and release the same wait for each other at the row. With the owner's rights: what a
-- writer could claim by itself, it could make go.
CREATE FUNCTION trien_claim(of_lane smallint, of_hash bytea, of_engine smallint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	LOOP
		INSERT INTO claim (lane, hash, engines, stays) VALUES (of_lane, of_hash, ARRAY[of_engine], false)
			ON CONFLICT (lane, hash) DO NOTHING;
		IF FOUND THEN
			-- From here on nobody takes them away, and nobody else brings them.
			PERFORM FROM object o WHERE o.lane = of_lane AND o.hash = of_hash AND o.n = 0;
			IF FOUND THEN
				UPDATE claim c SET stays = true WHERE c.lane = of_lane AND c.hash = of_hash;
			END IF;
			RETURN;
		END IF;
		UPDATE claim c SET engines = array_append(array_remove(c.engines, of_engine), of_engine)
			WHERE c.lane = of_lane AND c.hash = of_hash;
		EXIT WHEN FOUND;
		-- It went meanwhile: with its pieces, or because a result rests on them.
	END LOOP;
END
$$;

-- That engine needs these no more. Returns of how many the pieces went.
CREATE FUNCTION trien_release(of_lane smallint, hashes bytea[], of_engine smallint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	of_hash bytea;
	others smallint[];
	needed boolean;
	gone bigint := 0;
BEGIN
	FOREACH of_hash IN ARRAY hashes LOOP
		UPDATE claim c SET engines = array_remove(c.engines, of_engine)
			WHERE c.lane = of_lane AND c.hash = of_hash
			RETURNING c.engines, c.stays INTO others, needed;
		CONTINUE WHEN NOT FOUND OR cardinality(others) > 0;
		IF NOT needed THEN
			DELETE FROM object o WHERE o.lane = of_lane AND o.hash = of_hash;
			gone := gone + 1;
		END IF;
		DELETE FROM claim c WHERE c.lane = of_lane AND c.hash = of_hash;
	END LOOP;
	RETURN gone;
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
	PERFORM create_distributed_table('claim', 'lane', colocate_with => 'result');
END
$$;
