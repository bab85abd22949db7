-- Version 2: counters are folded. Each night the engine asks, lane by lane, for its own.

-- Makes one row of the deltas of a lane and an engine that count the same: deletes them and inserts
-- their sum, under the highest of their watermarks, in the transaction that calls it. What it sums is
-- what it deleted itself, so two at once, or a delta that comes meanwhile, lose and double nothing.
-- With the owner's rights: the writer may not delete. Returns by how many rows there are fewer.
CREATE FUNCTION trien_fold(of_lane smallint, of_engine smallint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	alike record;
	delta record;
	highest bigint;
	total bigint;
	gone bigint;
	fewer bigint := 0;
BEGIN
	FOR alike IN SELECT c.unit, c.kind, c.day FROM counter c
		WHERE c.lane = of_lane AND c.engine = of_engine
		GROUP BY c.unit, c.kind, c.day HAVING count(*) > 1
	LOOP
		highest := 0;
		total := 0;
		gone := 0;
		FOR delta IN DELETE FROM counter c
			WHERE c.lane = of_lane AND c.unit = alike.unit AND c.kind = alike.kind
			AND c.day = alike.day AND c.engine = of_engine
			RETURNING c.watermark, c.results
		LOOP
			highest := greatest(highest, delta.watermark);
			total := total + delta.results;
			gone := gone + 1;
		END LOOP;
		CONTINUE WHEN gone = 0;
		INSERT INTO counter (lane, unit, kind, day, engine, watermark, results)
			VALUES (of_lane, alike.unit, alike.kind, alike.day, of_engine, highest, total);
		fewer := fewer + gone - 1;
	END LOOP;
	RETURN fewer;
END
$$;
