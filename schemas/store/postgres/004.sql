-- Version 4: counters count more than results (engine/counts.h). `results` is all that is issued.

-- What of a result counts, packed into a word (engine/store/counted.h) by the engine that stored it; it
-- follows from record. NULL: stored before version 4, with a record that was damaged then, and
-- counted as a result and nothing more. `trien store init` fills it for the others, and adds to the
-- counters what follows from it, in this file's transaction.
ALTER TABLE result ADD COLUMN facts bigint;

-- NULL stands for 0, so that a delta is no longer than what it says.
-- watermark: as before; below 0, a change that was told later: from what it says, never folded, so that
-- told again it meets itself.
ALTER TABLE counter
	ALTER COLUMN results DROP NOT NULL,
	-- of them, the first of their case
	ADD COLUMN cases bigint,
	-- of them, what replaces another one
	ADD COLUMN replacements bigint,
	-- of the others, by the time of the last signature: before the day when it was due
	ADD COLUMN early bigint,
	-- on that day, by the due time
	ADD COLUMN on_time bigint,
	-- after it; those without a deadline are in none of the three
	ADD COLUMN late bigint,
	-- the same of the first of their case alone
	ADD COLUMN cases_early bigint,
	ADD COLUMN cases_on_time bigint,
	ADD COLUMN cases_late bigint,
	-- how the case came in (trien.v1.Facts.channel)
	ADD COLUMN online bigint,
	ADD COLUMN at_counter bigint,
	ADD COLUMN by_post bigint,
	ADD COLUMN proactive bigint,
	-- how the applicant gets the result (Facts.delivery)
	ADD COLUMN electronic bigint,
	ADD COLUMN handed_over bigint,
	ADD COLUMN posted bigint,
	-- Facts.fee
	ADD COLUMN fee_free bigint,
	ADD COLUMN paid_online bigint,
	ADD COLUMN paid_cash bigint,
	ADD COLUMN fee_exempt bigint,
	ADD COLUMN fee_due bigint,
	-- of the results, those whose case used earlier results instead of papers
	ADD COLUMN reusing bigint,
	-- how many it used
	ADD COLUMN reused bigint,
	-- of the results, those whose case took data from databases
	ADD COLUMN sourced bigint,
	-- from how many
	ADD COLUMN sources bigint,
	-- of the results that replace none, those whose case says when it was received
	ADD COLUMN timed bigint,
	-- from then to the last signature, of all those together
	ADD COLUMN minutes bigint,
	-- taken by the engine, on that day, and stored or ended since
	ADD COLUMN accepted bigint,
	-- numbers voided on that day that had a result
	ADD COLUMN voided bigint,
	-- ended without a number on that day
	ADD COLUMN refused bigint,
	ADD COLUMN withdrawn bigint,
	ADD COLUMN timed_out bigint,
	-- numbers used outside of the engine, told on that day; kind is ''
	ADD COLUMN outside bigint,
	-- used in another agency's case, on that day: once a result, reader and case
	ADD COLUMN reuses bigint,
	-- of the results, replaced since, but for those that had been revoked: in the lane of the
	-- one that replaces it, which counts among replacements
	ADD COLUMN replaced bigint,
	-- corrigenda to them
	ADD COLUMN corrected bigint,
	-- revoked since
	ADD COLUMN revoked bigint;

-- Little-endian, for the records below.
CREATE FUNCTION trien_int8(record bytea, at int) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT bit_or(get_byte($1, $2 + i)::bigint << 8 * i) FROM generate_series(0, 7) AS i
$$;

-- Events that are there already. The watermark of each is made of its n and its result, as
-- engine/store/postgres/counting.c makes it: one act upon two results has one n.
INSERT INTO counter (lane, unit, kind, day, engine, watermark, results, corrected, revoked)
	SELECT e.lane, r.unit, r.kind,
		to_char(r.issued AT TIME ZONE 'UTC' + interval '7 hours', 'YYYYMMDD')::int,
		(e.sequence >> 14 & 255)::smallint, -((e.n # e.sequence) & 9223372036854775807) - 1, 0,
		nullif((e.kind = 2)::int, 0), nullif((e.kind = 4)::int, 0)
	FROM event e JOIN result r ON r.lane = e.lane AND r.sequence = e.sequence
	WHERE e.kind IN (2, 4);
INSERT INTO counter (lane, unit, kind, day, engine, watermark, results, reuses)
	SELECT e.lane, r.unit, r.kind,
		to_char(e.at AT TIME ZONE 'UTC' + interval '7 hours', 'YYYYMMDD')::int,
		(e.sequence >> 14 & 255)::smallint, max((e.n # e.sequence) & 9223372036854775807), 0, count(*)
	FROM event e JOIN result r ON r.lane = e.lane AND r.sequence = e.sequence
	WHERE e.kind = 16 GROUP BY e.lane, r.unit, r.kind, 4, 5;

-- Numbers used outside; the watermark as engine/store/postgres/counting.c makes it.
INSERT INTO counter (lane, unit, kind, day, engine, watermark, results, outside)
	SELECT lane, unit, '', to_char(at AT TIME ZONE 'UTC' + interval '7 hours', 'YYYYMMDD')::int, 0,
		-(('x' || left(encode(sha256(convert_to(register || '/' || year || '/' || number, 'UTF8')), 'hex'),
			16))::bit(64)::bigint & 9223372036854775807) - 1, 0, 1
	FROM number_register WHERE state = 3;

-- Ends: agency, kind, times and which end stand in the record (VOID in engine/store/stored.h).
DO $$
DECLARE
	gone record;
	r bytea;
	at int;
	n int;
	unit text;
	kind text;
	state int;
	ended bigint;
	accepted bigint;
	day int;
BEGIN
	FOR gone IN SELECT lane, sequence, record FROM voided LOOP
		r := gone.record;
		n := get_byte(r, 0);
		unit := convert_from(substr(r, 2, n), 'UTF8');
		at := 1 + n;
		at := at + 1 + get_byte(r, at) + 4 + 8 + 8;
		ended := trien_int8(r, at);
		at := at + 8 + 1;
		at := at + 2 + get_byte(r, at) + 256 * get_byte(r, at + 1);
		at := at + 2 + get_byte(r, at) + 256 * get_byte(r, at + 1);
		at := at + 1 + 1 + 16;
		n := get_byte(r, at);
		kind := convert_from(substr(r, at + 2, n), 'UTF8');
		at := at + 1 + n;
		at := at + 1 + get_byte(r, at);
		at := at + 1 + get_byte(r, at) + 2 + 2;
		accepted := trien_int8(r, at);
		at := at + 8 + 8;
		state := CASE WHEN at < length(r) THEN get_byte(r, at) ELSE 10 END;
		day := to_char(to_timestamp(ended / 1000) AT TIME ZONE 'UTC' + interval '7 hours', 'YYYYMMDD')::int;
		INSERT INTO counter (lane, unit, kind, day, engine, watermark, results, voided, refused, withdrawn,
			timed_out)
			VALUES (gone.lane, unit, kind, day, (gone.sequence >> 14 & 255)::smallint,
			-gone.sequence - 1, 0, nullif((state = 10)::int, 0), nullif((state = 7)::int, 0),
			nullif((state = 8)::int, 0), nullif((state = 9)::int, 0));
		IF accepted <> 0 THEN
			day := to_char(to_timestamp(accepted / 1000) AT TIME ZONE 'UTC' + interval '7 hours',
				'YYYYMMDD')::int;
		END IF;
		INSERT INTO counter (lane, unit, kind, day, engine, watermark, results, accepted)
			VALUES (gone.lane, unit, kind, day, (gone.sequence >> 14 & 255)::smallint,
			-(gone.sequence # (128::bigint << 14)) - 1, 0, 1);
	END LOOP;
END
$$;
DROP FUNCTION trien_int8(bytea, int);

-- As in version 2, over all counts, and of those deltas only that may go.
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
	FOR alike IN SELECT c.unit, c.kind, c.day FROM counter c
		WHERE c.lane = of_lane AND c.engine = of_engine AND c.watermark >= 0
		GROUP BY c.unit, c.kind, c.day HAVING count(*) > 1
	LOOP
		highest := 0;
		total := array_fill(0::bigint, ARRAY[37]);
		gone := 0;
		FOR delta IN DELETE FROM counter c
			WHERE c.lane = of_lane AND c.unit = alike.unit AND c.kind = alike.kind
			AND c.day = alike.day AND c.engine = of_engine AND c.watermark >= 0
			RETURNING c.watermark,
				ARRAY[c.results, c.cases, c.replacements, c.early, c.on_time, c.late,
				c.cases_early, c.cases_on_time, c.cases_late, c.online, c.at_counter, c.by_post, c.proactive, c.electronic,
				c.handed_over, c.posted, c.fee_free, c.paid_online, c.paid_cash,
				c.fee_exempt, c.fee_due, c.reusing, c.reused, c.sourced, c.sources,
				c.timed, c.minutes, c.accepted, c.voided, c.refused, c.withdrawn,
				c.timed_out, c.outside, c.reuses, c.replaced, c.corrected, c.revoked] AS counts
		LOOP
			highest := greatest(highest, delta.watermark);
			total := ARRAY(SELECT a + coalesce(b, 0) FROM unnest(total, delta.counts)
				WITH ORDINALITY AS v(a, b, i) ORDER BY i);
			gone := gone + 1;
		END LOOP;
		CONTINUE WHEN gone = 0;
		INSERT INTO counter (lane, unit, kind, day, engine, watermark,
				results, cases, replacements, early, on_time, late,
				cases_early, cases_on_time, cases_late, online, at_counter,
				by_post, proactive, electronic, handed_over, posted, fee_free, paid_online,
				paid_cash, fee_exempt, fee_due, reusing, reused, sourced, sources, timed,
				minutes, accepted, voided, refused, withdrawn, timed_out, outside, reuses,
				replaced, corrected, revoked)
			VALUES (of_lane, alike.unit, alike.kind, alike.day, of_engine, highest,
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
				nullif(total[35], 0), nullif(total[36], 0), nullif(total[37], 0));
		fewer := fewer + gone - 1;
	END LOOP;
	RETURN fewer;
END
$$;
