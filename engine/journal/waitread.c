#include <stdlib.h>
#include <string.h>

#include "journal/waitindex.h"
#include "journal/waitrow.h"

/* A row that moves to another segment while it is read is looked up again. */
#define READ_ATTEMPTS 100

enum question { FIND, SPOT, AFTER, AFTER_ANY, LIST, LIST_ALL, CASE, EXPIRED, NUMBERS, SUMS,
		QUESTIONS };

/* Behind a page's last row; of one signer, or of all. */
#define LIST_SQL(signer) \
	"SELECT row FROM waiting WHERE state = ?1 " signer \
	"AND (priority, due, sequence) > (?3, ?4, ?5) AND due <= ?6 " \
	"AND (?7 IS NULL OR unit = ?7) AND (?8 IS NULL OR kind = ?8) " \
	"ORDER BY priority, due, sequence LIMIT ?9"

static const char *const question_sql[QUESTIONS] = {
	[FIND] = "SELECT row FROM waiting WHERE sequence = ?1",
	[SPOT] = "SELECT position, size FROM waiting WHERE sequence = ?1",
	[AFTER] = "SELECT row FROM waiting WHERE state = ?1 AND sequence > ?2 ORDER BY sequence "
		  "LIMIT ?3",
	[AFTER_ANY] = "SELECT row FROM waiting WHERE ?1 = 0 AND sequence > ?2 ORDER BY sequence "
		      "LIMIT ?3",
	[LIST] = LIST_SQL("AND signer = ?2 "),
	[LIST_ALL] = LIST_SQL("AND ?2 IS NULL "),
	[CASE] = "SELECT row FROM waiting WHERE unit = ?1 AND case_code = ?2 ORDER BY sequence "
		 "LIMIT ?3",
	[EXPIRED] = "SELECT row FROM waiting WHERE state = ?1 AND expires <= ?2 "
		    "AND (expires, sequence) > (?3, ?4) ORDER BY expires, sequence LIMIT ?5",
	[NUMBERS] = "SELECT row FROM waiting WHERE unit = ?1 AND register = ?2 AND year = ?3 "
		    "AND number > ?4 AND number > 0 ORDER BY number LIMIT ?5",
	/* due of one without a deadline is the largest integer */
	[SUMS] = "SELECT unit, kind, count(*), sum(due < ?1), sum(due = 9223372036854775807), "
		 "sum(accepted < ?2) FROM waiting GROUP BY unit, kind",
};

struct waiting_reader {
	const struct waiting *home;
	char path[PATH_MAX];
	sqlite3 *db;
	sqlite3_stmt *ask[QUESTIONS];
	struct waitlog_buffer record;
};

enum status waiting_reader_open(struct waiting_reader **out, const struct waiting *w,
				struct error *e)
{
	struct waiting_reader *r = calloc(1, sizeof(*r));
	enum status st;

	if (r == NULL)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	r->home = w;
	waitindex_path(r->path, waiting_dir(w));
	st = db_connect(&r->db, r->path, "PRAGMA query_only = 1; PRAGMA cache_size = -1024; "
			"PRAGMA temp_store = MEMORY;", e);
	for (int q = 0; q < QUESTIONS && st == ST_OK; q++)
		st = db_prepare(r->db, r->path, question_sql[q], &r->ask[q], e);
	if (st != ST_OK) {
		waiting_reader_close(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

void waiting_reader_close(struct waiting_reader *r)
{
	if (r == NULL)
		return;
	for (int q = 0; q < QUESTIONS; q++)
		sqlite3_finalize(r->ask[q]);
	sqlite3_close(r->db);
	free(r->record.p);
	free(r);
}

static enum status not_found(struct error *e)
{
	return error_set(e, ST_NOT_FOUND, "waiting room: no such result is held");
}

/* The rows that a bound statement gives. */
static enum status rows_take(struct waiting_reader *r, sqlite3_stmt *s, struct waiting_row *rows,
			     uint32_t max, uint32_t *n, struct error *e)
{
	enum status st = ST_OK;
	int rc = SQLITE_DONE;

	*n = 0;
	while (*n < max && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		const void *blob = sqlite3_column_blob(s, 0);
		struct reader in = reader_of(slice_of(blob, (size_t)sqlite3_column_bytes(s, 0)));

		waitrow_read(&in, WAITROW_VERSION, &rows[(*n)++]);
		if (in.bad)
			st = error_set(e, ST_CORRUPT, "%s: a row of no form", r->path);
		if (st != ST_OK)
			break;
	}
	if (st == ST_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
		st = db_failed(r->db, r->path, "read", e);
	sqlite3_reset(s);
	return st;
}

enum status waiting_find(struct waiting_reader *r, uint64_t sequence, struct waiting_row *out,
			 struct error *e)
{
	struct waiting_row row;
	uint32_t n;
	enum status st;

	sqlite3_bind_int64(r->ask[FIND], 1, (int64_t)sequence);
	st = rows_take(r, r->ask[FIND], &row, 1, &n, e);
	if (st == ST_OK && n == 0)
		return not_found(e);
	if (st == ST_OK)
		*out = row;
	return st;
}

enum status waiting_after(struct waiting_reader *r, enum state state, uint64_t sequence,
			  struct waiting_row *rows, uint32_t max, uint32_t *n, struct error *e)
{
	sqlite3_stmt *s = r->ask[state == 0 ? AFTER_ANY : AFTER];

	sqlite3_bind_int(s, 1, (int)state);
	sqlite3_bind_int64(s, 2, (int64_t)sequence);
	sqlite3_bind_int64(s, 3, max);
	return rows_take(r, s, rows, max, n, e);
}

enum status waiting_list(struct waiting_reader *r, const struct waiting_filter *f,
			 const struct waiting_place *after, struct waiting_row *rows, uint32_t max,
			 uint32_t *n, struct error *e)
{
	sqlite3_stmt *s = r->ask[f->signer != NULL ? LIST : LIST_ALL];
	int64_t due = after == NULL ? INT64_MIN : after->due_ms != 0 ? after->due_ms : INT64_MAX;

	sqlite3_bind_int(s, 1, (int)f->state);
	db_bind_text(s, 2, f->signer);
	sqlite3_bind_int(s, 3, after != NULL ? after->priority : -1);
	sqlite3_bind_int64(s, 4, due);
	sqlite3_bind_int64(s, 5, after != NULL ? (int64_t)after->sequence : 0);
	sqlite3_bind_int64(s, 6, f->due_before_ms != 0 ? f->due_before_ms - 1 : INT64_MAX);
	db_bind_text(s, 7, f->unit);
	db_bind_text(s, 8, f->kind);
	sqlite3_bind_int64(s, 9, max);
	return rows_take(r, s, rows, max, n, e);
}

enum status waiting_case(struct waiting_reader *r, struct slice unit, struct slice case_code,
			 struct waiting_row *rows, uint32_t max, uint32_t *n, struct error *e)
{
	sqlite3_stmt *s = r->ask[CASE];

	sqlite3_bind_text(s, 1, (const char *)unit.p, (int)unit.n, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, (const char *)case_code.p, (int)case_code.n, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, max);
	return rows_take(r, s, rows, max, n, e);
}

enum status waiting_expired(struct waiting_reader *r, enum state state, int64_t upto_ms,
			    int64_t after_ms, uint64_t after, struct waiting_row *rows,
			    uint32_t max, uint32_t *n, struct error *e)
{
	sqlite3_stmt *s = r->ask[EXPIRED];

	sqlite3_bind_int(s, 1, (int)state);
	sqlite3_bind_int64(s, 2, upto_ms);
	sqlite3_bind_int64(s, 3, after_ms);
	sqlite3_bind_int64(s, 4, (int64_t)after);
	sqlite3_bind_int64(s, 5, max);
	return rows_take(r, s, rows, max, n, e);
}

enum status waiting_numbers(struct waiting_reader *r, struct slice unit, struct slice code,
			    uint32_t year, uint64_t after, struct waiting_row *rows, uint32_t max,
			    uint32_t *n, struct error *e)
{
	sqlite3_stmt *s = r->ask[NUMBERS];

	sqlite3_bind_text(s, 1, (const char *)unit.p, (int)unit.n, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, (const char *)code.p, (int)code.n, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, year);
	sqlite3_bind_int64(s, 4, after > INT64_MAX ? INT64_MAX : (int64_t)after);
	sqlite3_bind_int64(s, 5, max);
	return rows_take(r, s, rows, max, n, e);
}

static struct slice text_of(sqlite3_stmt *s, int column)
{
	struct slice text = { sqlite3_column_text(s, column), 0 };

	text.n = (size_t)sqlite3_column_bytes(s, column);
	return text;
}

enum status waiting_sums(struct waiting_reader *r, int64_t now_ms, int64_t before_ms,
			 void (*one)(void *ctx, const struct waiting_sum *sum), void *ctx,
			 struct error *e)
{
	sqlite3_stmt *s = r->ask[SUMS];
	enum status st = ST_OK;
	int rc;

	sqlite3_bind_int64(s, 1, now_ms);
	sqlite3_bind_int64(s, 2, before_ms);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		const struct waiting_sum sum = {
			.unit = text_of(s, 0), .kind = text_of(s, 1),
			.rows = (uint64_t)sqlite3_column_int64(s, 2),
			.late = (uint64_t)sqlite3_column_int64(s, 3),
			.undated = (uint64_t)sqlite3_column_int64(s, 4),
			.earlier = (uint64_t)sqlite3_column_int64(s, 5),
		};

		one(ctx, &sum);
	}
	if (rc != SQLITE_DONE)
		st = db_failed(r->db, r->path, "read", e);
	sqlite3_reset(s);
	return st;
}

/* ---- records ---- */

static enum status spot(struct waiting_reader *r, uint64_t sequence, struct waitspot *out,
			struct error *e)
{
	sqlite3_stmt *s = r->ask[SPOT];
	enum status st = ST_OK;

	sqlite3_bind_int64(s, 1, (int64_t)sequence);
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		*out = (struct waitspot){ .sequence = sequence,
					  .position = (uint64_t)sqlite3_column_int64(s, 0),
					  .size = (uint32_t)sqlite3_column_int64(s, 1) };
		break;
	case SQLITE_DONE:
		st = not_found(e);
		break;
	default:
		st = db_failed(r->db, r->path, "read", e);
	}
	sqlite3_reset(s);
	return st;
}

enum status waiting_read(struct waiting_reader *r, uint64_t sequence, uint8_t *type, uint8_t *buf,
			 size_t size, size_t *n, struct error *e)
{
	const char *dir = waiting_dir(r->home);
	struct waitspot at = { 0 };
	struct frame_record rec;
	struct waiting_row row;
	struct reader in;
	enum status st = ST_NOT_FOUND;

	for (int i = 0; i < READ_ATTEMPTS && st == ST_NOT_FOUND; i++) {
		uint64_t before = at.position;

		st = spot(r, sequence, &at, e);
		if (st != ST_OK)
			return st;
		if (i > 0 && at.position == before)
			return error_set(e, ST_DAMAGED, "%s: the segment of a waiting result is "
					 "missing", dir);
		st = waitlog_read(dir, at.position, at.size, &r->record, &rec, e);
	}
	if (st != ST_OK)
		return st;
	in = reader_of(rec.payload);
	waitrow_read(&in, rec.version, &row);
	if (in.bad || row.sequence != sequence)
		return error_set(e, ST_CORRUPT, "waiting room: the record is another one's");
	*n = reader_left(&in);
	*type = row.record;
	if (*n > size)
		return error_set(e, ST_TOO_LARGE, "waiting room: a record of %zu bytes", *n);
	if (*n > 0)
		memcpy(buf, in.p, *n);
	return ST_OK;
}
