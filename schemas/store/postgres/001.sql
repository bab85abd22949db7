-- The citizen data stores on PostgreSQL 15 or newer, version 1.
--
-- `trien store init` runs this file in one transaction. A version that has been applied is never edited:
-- the next change is 002.sql, and so on.
--
-- Rules that keep one server, several servers and Citus alike (README.md beside this folder):
--   every key begins with lane, every statement names it: 0–63, the first byte of a 16-byte key mod 64;
--   rows are inserted, found there already, and not changed; only a number that could not be issued
--   turns from pending to void;
--   no foreign keys, triggers, sequences, advisory locks; ids and times come from the engine.
--
-- sequence: milliseconds since 2020-01-01T00:00Z × 2^22 + engine × 2^14 + counter: unique over engines,
-- sorts by time (engine/identity.h). Tables that grow with the results are cut into months by it.
-- record: what the engine knows of the row, in its own form (engine/store/stored.h); crc: CRC-32C as a
-- signed number over lane (1 byte), sequence (8 bytes, little-endian), layers (where there are) and record.
-- A row that does not match its crc is never shown.

CREATE TABLE trien_schema (
	version int PRIMARY KEY,		-- of this folder's files
	applied timestamptz NOT NULL
);

-- Stored results. The file is a concatenation of parts, from layers and body; record says which.
CREATE TABLE result (
	lane smallint NOT NULL,			-- of the first holder's key
	sequence bigint NOT NULL,
	unit text COLLATE "C" NOT NULL,		-- code of the agency
	kind text COLLATE "C" NOT NULL,		-- code of the document kind
	issued timestamptz NOT NULL,
	case_digest bytea NOT NULL,		-- SHA-256 of the case's legal content: same content or not
	crc int NOT NULL,
	layers bytea NOT NULL,			-- SHA-256 of each shared layer, 32 bytes one after another;
						-- record names them from 1
	record bytea NOT NULL,			-- RESULT version 2, with the canonical case
	body bytea NOT NULL,			-- bytes that only this file has; covered by the file's digest,
						-- which stands in record
	PRIMARY KEY (lane, sequence)
) PARTITION BY RANGE (sequence);
-- Deflated or random bytes: nothing to compress.
ALTER TABLE result ALTER body SET STORAGE EXTERNAL;

-- What a person sees, newest first. More holders, more rows.
CREATE TABLE holding (
	lane smallint NOT NULL,			-- of holder
	holder bytea NOT NULL,			-- first 16 bytes of the SHA-256 of the identity
	sequence bigint NOT NULL,
	result_lane smallint NOT NULL,
	role smallint NOT NULL,			-- trien.v1.Holder.Role
	visibility smallint NOT NULL,
	valid_from int NOT NULL,		-- yyyymmdd; 0: open
	valid_to int NOT NULL,
	PRIMARY KEY (lane, holder, sequence)
) PARTITION BY RANGE (sequence);

-- Other ways to a result. key: first 16 bytes of the SHA-256 of (unit, case code), or of the id of a
-- result that this one replaces (engine/store/rows.h).
CREATE TABLE locator (
	lane smallint NOT NULL,			-- of key
	key bytea NOT NULL,
	sequence bigint NOT NULL,
	result_lane smallint NOT NULL,
	PRIMARY KEY (lane, key, sequence)
) PARTITION BY RANGE (sequence);

-- Results whose number was voided: they keep answering.
CREATE TABLE voided (
	lane smallint NOT NULL,
	sequence bigint NOT NULL,
	crc int NOT NULL,
	record bytea NOT NULL,			-- VOID version 2: when, why, by whom
	PRIMARY KEY (lane, sequence)
) PARTITION BY RANGE (sequence);

-- What happened to a stored result, append-only.
CREATE TABLE event (
	lane smallint NOT NULL,
	sequence bigint NOT NULL,
	n bigint NOT NULL,			-- a change told again is one: from the SHA-256 of what it says;
						-- a read is always one of its own
	kind smallint NOT NULL,			-- 0 a holder was added, 1 read by another agency,
						-- 2 corrected, 3 replaced, 4 revoked,
						-- 6 handed to another signer
	at timestamptz NOT NULL,
	crc int NOT NULL,
	record bytea NOT NULL,			-- EVENT, or LINK of kind 0
	PRIMARY KEY (lane, sequence, n)
) PARTITION BY RANGE (sequence);

-- The official book: one row a number that was ever given, projected from the journal. A number stands
-- here shortly before its result does.
CREATE TABLE number_register (
	lane smallint NOT NULL,			-- of the key of (unit, register)
	unit text COLLATE "C" NOT NULL,
	register text COLLATE "C" NOT NULL,
	year int NOT NULL,			-- in Vietnam's time
	number bigint NOT NULL,
	sequence bigint NOT NULL,		-- 0: it never had a result
	result_lane smallint NOT NULL,
	state smallint NOT NULL,		-- 1 issued, 2 void, 3 used outside of the engine
	at timestamptz NOT NULL,
	record bytea,				-- 2, 3: VOID version 2
	PRIMARY KEY (lane, unit, register, year, number)
);

-- Results stored, as deltas: only inserted, counted from the rows that a transaction really inserted,
-- summed on reading.
CREATE TABLE counter (
	lane smallint NOT NULL,			-- of one of the results that the delta counts
	unit text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	day int NOT NULL,			-- yyyymmdd of issue in Vietnam
	engine smallint NOT NULL,
	watermark bigint NOT NULL,		-- highest sequence that the delta counts
	results bigint NOT NULL,
	PRIMARY KEY (lane, unit, kind, day, engine, watermark)
);

-- Bytes that many results share (fonts, forms, certificates, evidence), each once a server.
CREATE TABLE layer (
	hash bytea PRIMARY KEY,			-- SHA-256 of bytes
	bytes bytea NOT NULL
);
ALTER TABLE layer ALTER bytes SET STORAGE EXTERNAL;

-- Which engine issues for a unit, and where it answers.
CREATE TABLE unit_owner (
	unit text COLLATE "C" PRIMARY KEY,
	engine smallint NOT NULL,
	address text NOT NULL
);

-- Makes the months from the one of `first` on, where they are missing. The engine calls it ahead of time;
-- with the owner's rights, so that the writer needs none over tables. A month begins at 00:00 UTC.
CREATE FUNCTION trien_months(first date, months int) RETURNS void
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
		FOREACH parent IN ARRAY ARRAY['result', 'holding', 'locator', 'voided', 'event'] LOOP
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
