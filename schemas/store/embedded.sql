-- The embedded store's index: where in DATA/store/*.seg the record stands that answers a question.
--
-- The segments are the truth; this file is derived from them. It may be deleted at any time while
-- the engine is stopped and is made again at the next start. Every answer found through it is checked
-- against the record it points to, so a damaged index can lose an answer but never give a wrong one.
--
-- position: of a record in the log, as engine/base/frame.h says. The lane is no column: it stands in
-- the record, and a holder's is its key mod 64; on one machine nothing is routed by it.

-- format; watermark: everything before it is indexed; frame, crc: the last frame before it.
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- Stored results, and those whose number was voided.
CREATE TABLE result (sequence INTEGER PRIMARY KEY, position INTEGER NOT NULL);

-- What a person sees, newest first. holder: first 16 bytes of the SHA-256 of the identity.
CREATE TABLE holding (
	holder BLOB NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL,
	PRIMARY KEY (holder, sequence)
) WITHOUT ROWID;

-- key: SHA-256 of (unit, case code), of a result id that this result replaces, or of a result with who
-- reused it in which case; first 16 bytes.
CREATE TABLE locator (
	key BLOB NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL,
	PRIMARY KEY (key, sequence)
) WITHOUT ROWID;

CREATE TABLE register (
	id INTEGER PRIMARY KEY, unit TEXT NOT NULL, code TEXT NOT NULL, year INTEGER NOT NULL
);

-- The official book: issued, void and used-outside numbers; also the locator of a number.
CREATE TABLE number_register (
	register INTEGER NOT NULL, number INTEGER NOT NULL, sequence INTEGER NOT NULL,
	position INTEGER NOT NULL,
	PRIMARY KEY (register, number)
) WITHOUT ROWID;

-- What happened to a result; the position is its order. life = 1: it changed the result's life, which
-- every reader must know, or was handed to another signer; 0: reads by others; 2: holdings added later;
-- 3: its shares.
CREATE TABLE event (
	sequence INTEGER NOT NULL, life INTEGER NOT NULL, position INTEGER NOT NULL,
	PRIMARY KEY (sequence, life, position)
) WITHOUT ROWID;

-- Who read what, by whom it is about, newest first. holder: as in holding; stamp: when, made as a
-- sequence is.
CREATE TABLE reading (
	holder BLOB NOT NULL, stamp INTEGER NOT NULL, position INTEGER NOT NULL,
	PRIMARY KEY (holder, stamp, position)
) WITHOUT ROWID;

-- Statistics: deltas, only inserted, summed on read, folded at start. day: yyyymmdd in Vietnam; what
-- counts when, and what each is: engine/counts.h, and postgres/004.sql and 007.sql column by column.
CREATE TABLE counter (
	unit TEXT NOT NULL, kind TEXT NOT NULL, day INTEGER NOT NULL, engine INTEGER NOT NULL,
	watermark INTEGER NOT NULL, parts TEXT NOT NULL,
	results INTEGER NOT NULL, cases INTEGER NOT NULL, replacements INTEGER NOT NULL,
	early INTEGER NOT NULL, on_time INTEGER NOT NULL, late INTEGER NOT NULL,
	cases_early INTEGER NOT NULL, cases_on_time INTEGER NOT NULL, cases_late INTEGER NOT NULL,
	online INTEGER NOT NULL, at_counter INTEGER NOT NULL, by_post INTEGER NOT NULL,
	proactive INTEGER NOT NULL,
	electronic INTEGER NOT NULL, handed_over INTEGER NOT NULL, posted INTEGER NOT NULL,
	fee_free INTEGER NOT NULL, paid_online INTEGER NOT NULL, paid_cash INTEGER NOT NULL,
	fee_exempt INTEGER NOT NULL, fee_due INTEGER NOT NULL,
	reusing INTEGER NOT NULL, reused INTEGER NOT NULL,
	sourced INTEGER NOT NULL, sources INTEGER NOT NULL,
	timed INTEGER NOT NULL, minutes INTEGER NOT NULL,
	cases_reusing INTEGER NOT NULL, cases_citizen_data INTEGER NOT NULL,
	cases_with_papers INTEGER NOT NULL, cases_digitised INTEGER NOT NULL,
	papers INTEGER NOT NULL, papers_digitised INTEGER NOT NULL,
	accepted INTEGER NOT NULL, voided INTEGER NOT NULL, refused INTEGER NOT NULL,
	withdrawn INTEGER NOT NULL, timed_out INTEGER NOT NULL, outside INTEGER NOT NULL,
	reuses INTEGER NOT NULL, replaced INTEGER NOT NULL, corrected INTEGER NOT NULL,
	revoked INTEGER NOT NULL,
	PRIMARY KEY (unit, kind, day, engine, watermark, parts)
) WITHOUT ROWID;
-- What happened on some days, of all agencies: asked for every few seconds.
CREATE INDEX counter_day ON counter (day);

CREATE TABLE layer (
	id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, position INTEGER NOT NULL,
	size INTEGER NOT NULL
);
