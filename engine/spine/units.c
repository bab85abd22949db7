#include "spine/units.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/log.h"
#include "io/file.h"
#include "spine/spine.h"

#define LOOK_EVERY_NS (10 * 1000000000ull)

struct owners {
	struct unit_owner *rows;
	uint32_t n, room;
	bool full;			/* no memory for all of them */
};

struct units {
	struct unit_owner *mine;	/* one "*": all */
	uint32_t n;
	pthread_mutex_t lock;		/* of `others`: readers ask, the spine replaces them */
	struct owners *others;		/* as last seen; our own stand there too */
	uint64_t seen_ns;
	bool looking;
};

static bool all(const struct units *u)
{
	return strcmp(u->mine[0].unit, OWNER_ALL) == 0;
}

static bool is_code(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] > '~' || p[i] == ',')
			return false;
	return n > 0;
}

static enum status add(struct units *u, const char *unit, size_t n, const struct config *c,
		       const char *address, struct error *e)
{
	struct unit_owner *o = &u->mine[u->n++];

	if (!is_code(unit, n) || n > CODE_BYTES_MAX)
		return error_set(e, ST_INVALID, "units = %s: codes of agencies, comma-separated",
				 c->units);
	snprintf(o->unit, sizeof(o->unit), "%.*s", (int)n, unit);
	snprintf(o->address, sizeof(o->address), "%s", address);
	o->engine = c->engine;
	return ST_OK;
}

enum status units_new(struct units **out, const struct config *c, struct error *e)
{
	const char *p = c->units[0] != '\0' ? c->units : OWNER_ALL;
	const char *address = c->address[0] != '\0' ? c->address : c->listen[0];
	struct units *u = calloc(1, sizeof(*u));
	uint32_t n = 1;
	enum status st = ST_OK;

	for (const char *k = p; *k != '\0'; k++)
		n += *k == ',';
	if (u != NULL)
		u->mine = calloc(n, sizeof(*u->mine));
	if (u == NULL || u->mine == NULL) {
		free(u);
		return ST_NOMEM;
	}
	pthread_mutex_init(&u->lock, NULL);
	/* A long path of a socket is no address for others. */
	if (c->address[0] == '\0' && strlen(address) > OWNER_ADDRESS_BYTES_MAX)
		address = "-";
	if (strlen(address) > OWNER_ADDRESS_BYTES_MAX || !is_code(address, strlen(address)))
		st = error_set(e, ST_INVALID, "address = %s: at most %u letters without spaces",
			       address, OWNER_ADDRESS_BYTES_MAX);
	while (st == ST_OK && u->n < n) {
		size_t length = strcspn(p, ",");

		st = add(u, p, length, c, address, e);
		p += length + (p[length] == ',');
	}
	if (st != ST_OK) {
		units_free(u);
		return st;
	}
	*out = u;
	return ST_OK;
}

static void owners_free(struct owners *o)
{
	if (o == NULL)
		return;
	free(o->rows);
	free(o);
}

void units_free(struct units *u)
{
	if (u == NULL)
		return;
	owners_free(u->others);
	pthread_mutex_destroy(&u->lock);
	free(u->mine);
	free(u);
}

static enum status word_make(const char *path, char out[OWNER_FOLDER_BYTES + 1], struct error *e)
{
	uint8_t random[OWNER_FOLDER_BYTES / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set(e, ST_INTERNAL, "no random bytes");
	hex_lower(out, random, sizeof(random));
	out[OWNER_FOLDER_BYTES] = '\0';
	return file_replace(path, slice_str(out), 0600, e);
}

enum status units_folder(struct units *u, const struct config *c, struct error *e)
{
	char path[PATH_MAX], word[OWNER_FOLDER_BYTES + 1];
	uint8_t *bytes = NULL;
	size_t n = 0;
	enum status st;

	snprintf(path, sizeof(path), "%s/catalogue/folder", c->data);
	st = file_read(path, OWNER_FOLDER_BYTES, &bytes, &n, e);
	if (st == ST_OK && n != OWNER_FOLDER_BYTES)
		st = error_set(e, ST_CORRUPT, "%s: %u letters are needed", path,
			       OWNER_FOLDER_BYTES);
	else if (st == ST_OK)
		snprintf(word, sizeof(word), "%.*s", OWNER_FOLDER_BYTES, (const char *)bytes);
	else if (st == ST_NOT_FOUND)
		st = word_make(path, word, e);
	free(bytes);
	for (uint32_t i = 0; i < u->n && st == ST_OK && !c->accept_behind; i++)
		memcpy(u->mine[i].folder, word, sizeof(word));
	return st;
}

static const struct unit_owner *find(const struct unit_owner *rows, uint32_t n, struct slice unit)
{
	const struct unit_owner *any = NULL;

	for (uint32_t i = 0; i < n; i++) {
		if (slice_eq(slice_str(rows[i].unit), unit))
			return &rows[i];
		if (strcmp(rows[i].unit, OWNER_ALL) == 0)
			any = &rows[i];
	}
	return any;
}

static void owner_say(const struct unit_owner *o, char owner[OWNER_TEXT_BYTES])
{
	snprintf(owner, OWNER_TEXT_BYTES, "engine %u at %s", o->engine, o->address);
}

bool units_elsewhere(struct units *u, struct slice unit, char owner[OWNER_TEXT_BYTES])
{
	const struct unit_owner *o = NULL;

	if (find(u->mine, u->n, unit) != NULL)
		return false;
	pthread_mutex_lock(&u->lock);
	if (u->others != NULL)
		o = find(u->others->rows, u->others->n, unit);
	if (o != NULL)
		owner_say(o, owner);
	pthread_mutex_unlock(&u->lock);
	return o != NULL;
}

bool units_mine(struct units *u, struct slice unit, char owner[OWNER_TEXT_BYTES])
{
	char whose[OWNER_TEXT_BYTES];

	if (find(u->mine, u->n, unit) != NULL)
		return true;
	if (!units_elsewhere(u, unit, whose))
		snprintf(whose, sizeof(whose), "no engine has published it");
	if (owner != NULL)
		memcpy(owner, whose, sizeof(whose));
	return false;
}

void units_engine(struct units *u, uint8_t engine, char owner[OWNER_TEXT_BYTES])
{
	bool known = false;

	pthread_mutex_lock(&u->lock);
	for (uint32_t i = 0; u->others != NULL && i < u->others->n && !known; i++) {
		known = u->others->rows[i].engine == engine;
		if (known)
			owner_say(&u->others->rows[i], owner);
	}
	pthread_mutex_unlock(&u->lock);
	if (!known)
		snprintf(owner, OWNER_TEXT_BYTES, "engine %u", engine);
}

bool units_refuse(struct spine *s, struct act *a)
{
	char owner[OWNER_TEXT_BYTES];

	if (units_mine(s->units, a->unit, owner))
		return false;
	a->refused = REASON_UNIT_ELSEWHERE;
	refuse_act(a, ST_PRECONDITION, owner);
	return true;
}

/* ---- what the store says ---- */

static void take(void *ctx, const struct unit_owner *row)
{
	struct owners *o = ctx;

	if (o->n == o->room) {
		uint32_t room = o->room == 0 ? 64 : 2 * o->room;
		struct unit_owner *rows = realloc(o->rows, room * sizeof(*rows));

		o->full |= rows == NULL;
		if (rows == NULL)
			return;
		o->rows = rows;
		o->room = room;
	}
	o->rows[o->n++] = *row;
}

enum status owners_load(struct owners **out, struct store *store, struct error *e)
{
	struct owners *o = calloc(1, sizeof(*o));
	enum status st = o != NULL ? store->ops->owners(store, take, o, e) : ST_NOMEM;

	if (st == ST_OK && o->full)
		st = ST_NOMEM;
	if (st != ST_OK) {
		owners_free(o);
		return st;
	}
	*out = o;
	return ST_OK;
}

enum status units_publish(struct spine *s, struct error *e)
{
	struct units *u = s->units;
	enum status st = s->store->ops->own(s->store, u->mine, u->n, e);

	if (st == ST_OK && !all(u))
		st = owners_load(&u->others, s->store, e);
	u->seen_ns = io_boot_ns();
	if (st == ST_OK && !all(u))
		log_info("units", "this is engine %u of %u agencies", s->config->engine, u->n);
	return st;
}

void units_tick(struct spine *s)
{
	struct units *u = s->units;
	struct job *j;

	if (all(u) || u->looking || s->stopping || io_boot_ns() - u->seen_ns < LOOK_EVERY_NS)
		return;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return;
	j->type = JOB_OWNERS;
	j->track = NO_TRACK;
	job_push(s, j);
	u->looking = true;
}

void units_seen(struct spine *s, struct job *j)
{
	struct units *u = s->units;

	u->looking = false;
	u->seen_ns = io_boot_ns();
	/* A store that is away is no news about others: what was seen before still holds. */
	if (j->status == ST_OK) {
		pthread_mutex_lock(&u->lock);
		owners_free(u->others);
		u->others = j->owners;
		pthread_mutex_unlock(&u->lock);
	}
	free(j);
}
