#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/audit/audit.h"

/*
 * A line of JSON each: the scope, then each page that was looked at. What a kill tears is the last
 * line, which is not read: its page is looked at again.
 */
#define FORMAT 2

static json_t *first_line(const struct audit *a)
{
	const struct audit_scope *s = &a->scope;

	return json_pack("{s:i, s:s, s:s, s:I, s:i, s:i, s:I, s:s, s:s, s:I, s:O}", "audit", FORMAT,
			 "store", s->store, "roots", s->roots, "upto", (json_int_t)s->upto,
			 "from_day", (int)s->from_day, "to_day", (int)s->to_day, "sample",
			 (json_int_t)s->sample, "sample_text", s->sample_text, "seed", s->seed,
			 "begun_ms", (json_int_t)s->begun_ms, "counters", a->counters);
}

static json_t *sums_json(const struct audit_sums *s)
{
	return json_pack("[IIIIII]", (json_int_t)s->looked, (json_int_t)s->passed,
			 (json_int_t)s->bytes, (json_int_t)s->ended,
			 (json_int_t)s->without_evidence, (json_int_t)s->revoked_since);
}

static enum status line_write(struct audit *a, json_t *line)
{
	char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
	bool done = text != NULL && fprintf(a->state, "%s\n", text) > 0 && fflush(a->state) == 0;

	free(text);
	json_decref(line);
	return done ? ST_OK : ST_IO;
}

enum status audit_state_add(struct audit *a, const struct audit_page *p)
{
	if (a->state == NULL)
		return ST_OK;
	return line_write(a, json_pack(
		"{s:[iI], s:[iI], s:o, s:O, s:O, s:O}", "begin", (int)p->range.begin.lane,
		(json_int_t)p->range.begin.after, "end", (int)p->range.end.lane,
		(json_int_t)p->range.end.after, "sums", sums_json(&p->sums), "days", p->days,
		"findings", p->findings, "links", p->links));
}

/* ---- one that is gone on with ---- */

static enum status done_add(struct audit *a, struct audit_range r)
{
	if (a->done_n == a->done_room) {
		size_t room = a->done_room == 0 ? 256 : 2 * a->done_room;
		void *bigger = realloc(a->done, room * sizeof(*a->done));

		if (bigger == NULL)
			return ST_NOMEM;
		a->done = bigger;
		a->done_room = room;
	}
	a->done[a->done_n++] = r;
	return ST_OK;
}

static enum status page_read(struct audit *a, const json_t *line)
{
	struct audit_page p = { 0 };
	int begin, end;
	json_int_t from, to, s[6];
	enum status st;

	if (json_unpack((json_t *)line, "{s:[iI], s:[iI], s:[IIIIII], s:o, s:o, s:o}", "begin",
			&begin, &from, "end", &end, &to, "sums", &s[0], &s[1], &s[2], &s[3], &s[4],
			&s[5], "days", &p.days, "findings", &p.findings, "links", &p.links) != 0)
		return ST_OK;
	p.range = (struct audit_range){ { (uint32_t)begin, (uint64_t)from },
					{ (uint32_t)end, (uint64_t)to } };
	p.sums = (struct audit_sums){ (uint64_t)s[0], (uint64_t)s[1], (uint64_t)s[2],
				      (uint64_t)s[3], (uint64_t)s[4], (uint64_t)s[5] };
	st = done_add(a, p.range);
	return st == ST_OK ? audit_merge(a, &p) : st;
}

static bool same_asked(const struct audit_scope *s, uint32_t from_day, uint32_t to_day,
		       const char *sample, const char *seed)
{
	return from_day == s->from_day && to_day == s->to_day &&
	       strcmp(sample, s->sample_text) == 0 &&
	       (s->seed[0] == '\0' || strcmp(seed, s->seed) == 0);
}

/* Asked the same again: what was fixed when it began stays as it was. */
static enum status scope_read(struct audit *a, const json_t *line, const char *path,
			      struct error *e)
{
	struct audit_scope *s = &a->scope;
	const char *text = "", *seed = "", *store = "", *roots = "";
	int format = 0, from_day = 0, to_day = 0;
	json_int_t upto, sample, begun;
	json_t *counters = NULL;

	if (json_unpack((json_t *)line, "{s:i, s:s, s:s, s:I, s:i, s:i, s:I, s:s, s:s, s:I, s:o}",
			"audit", &format, "store", &store, "roots", &roots, "upto", &upto,
			"from_day", &from_day, "to_day", &to_day, "sample", &sample, "sample_text",
			&text, "seed", &seed, "begun_ms", &begun, "counters", &counters) != 0 ||
	    format != FORMAT || !json_is_object(counters) || strlen(seed) >= sizeof(s->seed))
		return error_set(e, ST_INVALID, "%s: not the state of an audit, or of another "
				 "version's; give another --state", path);
	if (!same_asked(s, (uint32_t)from_day, (uint32_t)to_day, text, seed))
		return error_set(e, ST_PRECONDITION, "%s: is of an audit of another period or "
				 "sample; ask the same, or give another --state", path);
	if (strcmp(store, s->store) != 0 || strcmp(roots, s->roots) != 0)
		return error_set(e, ST_PRECONDITION, "%s: is of an audit of another store or with "
				 "other roots; give another --state", path);
	s->upto = (uint64_t)upto;
	s->sample = (uint32_t)sample;
	memcpy(s->seed, seed, strlen(seed) + 1);
	s->begun_ms = begun;
	a->counters = json_incref(counters);
	return ST_OK;
}

static enum status lines_read(struct audit *a, FILE *f, const char *path, bool *any, off_t *whole,
			      struct error *e)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t n;
	enum status st = ST_OK;

	while (st == ST_OK && (n = getline(&text, &room, f)) > 0 && text[n - 1] == '\n') {
		json_t *line = json_loadb(text, (size_t)n, 0, NULL);

		if (line == NULL)
			break;
		st = *any ? page_read(a, line) : scope_read(a, line, path, e);
		*any = true;
		*whole += n;
		json_decref(line);
	}
	free(text);
	return st;
}

enum status audit_state_open(struct audit *a, const char *path, struct error *e)
{
	bool any = false;
	off_t whole = 0;
	enum status st = ST_OK;
	FILE *f;

	if (path == NULL)
		return ST_OK;
	f = fopen(path, "r+e");
	if (f == NULL && errno == ENOENT)
		f = fopen(path, "w+e");
	if (f == NULL)
		return error_set(e, ST_IO, "%s: %s", path, strerrordesc_np(errno));
	a->state = f;
	st = lines_read(a, f, path, &any, &whole, e);
	if (st == ST_OK && (fseeko(f, whole, SEEK_SET) != 0 || ftruncate(fileno(f), whole) != 0))
		st = error_set(e, ST_IO, "%s: %s", path, strerrordesc_np(errno));
	return st;
}

enum status audit_state_begin(struct audit *a, struct error *e)
{
	if (a->state == NULL || line_write(a, first_line(a)) == ST_OK)
		return ST_OK;
	return error_set(e, ST_IO, "the state file: %s", strerrordesc_np(errno));
}

void audit_state_close(struct audit *a)
{
	if (a->state != NULL)
		fclose(a->state);
	a->state = NULL;
}
