-- Version 7: what results count is told apart by procedure, field, signer and cause, and counts say
-- what dossiers are (engine/counts.h, engine/store/counted.h).

-- papers: the second packed word; parts: joined, each behind a chr(31) but the first. Both follow from
-- record. NULL: stored before version 7, and counted without them: such counts stay as they are, and
-- lie in the row of no parts.
ALTER TABLE result
	ADD COLUMN papers int,
	ADD COLUMN parts text COLLATE "C";

ALTER TABLE counter
	-- of the results; '' for what is counted otherwise
	ADD COLUMN parts text COLLATE "C" NOT NULL DEFAULT '',
	-- of the cases: those that used earlier results instead of papers
	ADD COLUMN cases_reusing bigint,
	-- that took data from the national database of the population
	ADD COLUMN cases_citizen_data bigint,
	-- that say how many papers they have (trien.v1.Facts.papers)
	ADD COLUMN cases_with_papers bigint,
	-- of these, those that have all of them as data
	ADD COLUMN cases_digitised bigint,
	-- how many papers they have, and how many as data
	ADD COLUMN papers bigint,
	ADD COLUMN papers_digitised bigint;

-- What happened on some days, of all agencies: asked for every few seconds.
CREATE INDEX counter_day ON counter (lane, day);

-- As in version 4, over all counts, and those of the same parts.
CREATE OR REPLACE FUNCTION trien_fold(of_lane smallint, of_engine smallint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	alike record;
	delta record;
	highest bigint;
	total bigint[];
	gone bigint;
	fewer bigint := 0;
BEGIN
	FOR alike IN SELECT c.unit, c.kind, c.day, c.parts FROM counter c
		WHERE c.lane = of_lane AND c.engine = of_engine AND c.watermark >= 0
		GROUP BY c.unit, c.kind, c.day, c.parts HAVING count(*) > 1
	LOOP
		highest := 0;
		total := array_fill(0::bigint, ARRAY[43]);
		gone := 0;
		FOR delta IN DELETE FROM counter c
			WHERE c.lane = of_lane AND c.unit = alike.unit AND c.kind = alike.kind
			AND c.day = alike.day AND c.parts = alike.parts AND c.engine = of_engine AND c.watermark >= 0
			RETURNING c.watermark,
				ARRAY[c.results, c.cases, c.replacements, c.early, c.on_time, c.late,
				c.cases_early, c.cases_on_time, c.cases_late, c.online, c.at_counter, c.by_post, c.proactive, c.electronic,
				c.handed_over, c.posted, c.fee_free, c.paid_online, c.paid_cash,
				c.fee_exempt, c.fee_due, c.reusing, c.reused, c.sourced, c.sources,
				c.timed, c.minutes, c.cases_reusing, c.cases_citizen_data,
				c.cases_with_papers, c.cases_digitised, c.papers, c.papers_digitised, c.accepted, c.voided, c.refused, c.withdrawn,
				c.timed_out, c.outside, c.reuses, c.replaced, c.corrected, c.revoked] AS counts
		LOOP
			highest := greatest(highest, delta.watermark);
			total := ARRAY(SELECT a + coalesce(b, 0) FROM unnest(total, delta.counts)
				WITH ORDINALITY AS v(a, b, i) ORDER BY i);
			gone := gone + 1;
		END LOOP;
		CONTINUE WHEN gone = 0;
		INSERT INTO counter (lane, unit, kind, day, parts, engine, watermark,
				results, cases, replacements, early, on_time, late,
				cases_early, cases_on_time, cases_late, online, at_counter,
				by_post, proactive, electronic, handed_over, posted, fee_free, paid_online,
				paid_cash, fee_exempt, fee_due, reusing, reused, sourced, sources, timed,
				minutes, cases_reusing, cases_citizen_data, cases_with_papers,
				cases_digitised, papers, papers_digitised, accepted, voided, refused, withdrawn, timed_out, outside, reuses,
				replaced, corrected, revoked)
			VALUES (of_lane, alike.unit, alike.kind, alike.day, alike.parts, of_engine, highest,
				nullif(total[1], 0), nullif(total[2], 0), nullif(total[3], 0), nullif(total[4], 0),
				nullif(total[5], 0), nullif(total[6], 0), nullif(total[7], 0),
				nullif(total[8], 0), nullif(total[9], 0), nullif(total[10], 0),
				nullif(total[11], 0), nullif(total[12], 0), nullif(total[13], 0),
				nullif(total[14], 0), nullif(total[15], 0), nullif(total[16], 0),
				nullif(total[17], 0), nullif(total[18], 0), nullif(total[19], 0),
				nullif(total[20], 0), nullif(total[21], 0), nullif(total[22], 0),
				nullif(total[23], 0), nullif(total[24], 0), nullif(total[25], 0),
				nullif(total[26], 0), nullif(total[27], 0), nullif(total[28], 0),
				nullif(total[29], 0), nullif(total[30], 0), nullif(total[31], 0),
				nullif(total[32], 0), nullif(total[33], 0), nullif(total[34], 0),
				nullif(total[35], 0), nullif(total[36], 0), nullif(total[37], 0), nullif(total[38], 0), nullif(total[39], 0),
				nullif(total[40], 0), nullif(total[41], 0), nullif(total[42], 0),
				nullif(total[43], 0));
		fewer := fewer + gone - 1;
	END LOOP;
	RETURN fewer;
END
$$;
