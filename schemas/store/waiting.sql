-- The waiting room's index: where in DATA/waiting/*.seg the row and the record of a waiting result
-- stand, and what it is looked up by.
--
-- The segments are the truth; this file is derived from them. It may be deleted at any time while
-- the engine is stopped and is made again at the next start.

-- One row. frame, crc: the last frame that is applied; upto: where the next one goes.
CREATE TABLE place (
	id INTEGER PRIMARY KEY, format INTEGER NOT NULL, frame INTEGER NOT NULL, upto INTEGER NOT NULL,
	crc INTEGER NOT NULL
);

-- Kept with every change, so that nobody counts. bytes: of the records in the segments.
CREATE TABLE total (state INTEGER PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);

-- position, size: of the record in the log, as engine/base/frame.h says. due: Unix milliseconds, the
-- largest integer for a case without a deadline. expires: NULL for one that waits for ever. row:
-- engine/journal/waitrow.h.
CREATE TABLE waiting (
	sequence INTEGER PRIMARY KEY, position INTEGER NOT NULL, size INTEGER NOT NULL,
	state INTEGER NOT NULL, signer TEXT NOT NULL, priority INTEGER NOT NULL,
	due INTEGER NOT NULL, expires INTEGER, unit TEXT NOT NULL, kind TEXT NOT NULL,
	case_code TEXT NOT NULL, register TEXT NOT NULL, year INTEGER NOT NULL,
	number INTEGER NOT NULL, row BLOB NOT NULL, accepted INTEGER NOT NULL
);

-- By sequence within a state: an index ends with the row's key.
CREATE INDEX waiting_state ON waiting (state);
-- What a signer has to do, the most urgent first.
CREATE INDEX waiting_urgent ON waiting (state, signer, priority, due);
-- The same of all signers.
CREATE INDEX waiting_order ON waiting (state, priority, due);
CREATE INDEX waiting_case ON waiting (unit, case_code);
CREATE INDEX waiting_expiry ON waiting (state, expires) WHERE expires IS NOT NULL;
-- What an official book lacks until it is stored. number: 0 for one that has none yet.
CREATE INDEX waiting_number ON waiting (unit, register, year, number) WHERE number > 0;
-- How many of what wait, for statistics: read from the index alone.
CREATE INDEX waiting_pending ON waiting (unit, kind, due, accepted);
-- Which rows keep a segment.
CREATE INDEX waiting_position ON waiting (position);
