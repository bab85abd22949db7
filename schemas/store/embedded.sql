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

-- key: SHA-256 of (unit, case code), or of a result id that this result replaces, first 16 bytes.
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
-- every reader must know, or was handed to another signer; 0: reads by others, holdings added later.
CREATE TABLE event (
	sequence INTEGER NOT NULL, life INTEGER NOT NULL, position INTEGER NOT NULL,
	PRIMARY KEY (sequence, life, position)
) WITHOUT ROWID;

-- Results issued: deltas, only inserted, summed on read, folded at start.
CREATE TABLE counter (
	unit TEXT NOT NULL, kind TEXT NOT NULL, day INTEGER NOT NULL, engine INTEGER NOT NULL,
	watermark INTEGER NOT NULL, results INTEGER NOT NULL,
	PRIMARY KEY (unit, kind, day, engine, watermark)
) WITHOUT ROWID;

CREATE TABLE layer (
	id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, position INTEGER NOT NULL,
	size INTEGER NOT NULL
);
