/* What others do meanwhile: lists, downloads, the way of some cases into the citizen's list. */
#include <grpc/status.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/wire.h"
#include "load/drive.h"
#include "trien/v1/case.pb-c.h"

#define READ_TIMEOUT_MS 30000
#define READS_OUT_MAX 4096		/* beyond, reads are left out, and that is told */
#define PROBES 500			/* of a phase, at most one of every PROBE_STEP_MIN cases */
#define PROBES_AT_ONCE 200		/* of one whose cases are all due at its start */
#define PROBE_STEP_MIN 10
#define PROBES_OUT_MAX 240		/* the engine has 256 watches for all its callers */
#define PROBE_AGAIN_US 500000
#define PROBE_TRIES_MAX 200
#define STATUS_EVERY_US 400000

enum read_kind { READ_LIST, READ_DOWNLOAD, READ_WATCH, READ_PROBE_LIST };

/* One call of a reader; a probe goes through several with one of these. */
struct read {
	struct read *next;
	struct drive *d;
	enum read_kind kind;
	uint32_t place;			/* probe: of the case */
	uint32_t tries;
	int64_t due_us, sent_us;
	bool found;
	struct sha256 *hash;
	uint64_t size, got;
	uint8_t sha256[32];
};

static const struct rpc_owner read_owner, status_owner;

static uint64_t below(struct drive *d, uint64_t n)
{
	/* xorshift64 (Marsaglia 2003) */
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random % n;
}

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

struct rpc_buffer reads_list_request(const char *citizen, const char *page_token)
{
	size_t room = 64 + strlen(page_token);
	struct rpc_buffer b = rpc_buffer(room);
	struct writer w = writer_of(b.p, room);

	put_number(&w, 1, TRIEN__V1__HOLDER__ID_KIND__CITIZEN);
	put_text(&w, 3, citizen);
	put_number(&w, 4, 200);
	put_text(&w, 5, page_token);
	put_number(&w, 6, 1);
	rpc_trim(&b, writer_size(&w));
	return b;
}

static struct rpc_buffer download_request(const char id[STENCIL_ID_BYTES])
{
	struct rpc_buffer b = rpc_buffer(STENCIL_ID_BYTES + 2);
	struct writer w = writer_of(b.p, STENCIL_ID_BYTES + 2);

	put_slice(&w, 1, slice_of(id, STENCIL_ID_BYTES));
	return b;
}

static struct rpc_buffer watch_request(const char id[STENCIL_ID_BYTES])
{
	struct rpc_buffer b = rpc_buffer(STENCIL_ID_BYTES + 2);
	struct writer w = writer_of(b.p, STENCIL_ID_BYTES + 2);

	put_slice(&w, 2, slice_of(id, STENCIL_ID_BYTES));
	return b;
}

static void start(struct read *r, enum read_kind kind, const char *citizen, const char *id)
{
	static const struct { enum rpc_form form; const char *method; } calls[] = {
		[READ_LIST] = { RPC_UNARY, REPOSITORY "ListResults" },
		[READ_DOWNLOAD] = { RPC_SERVER_STREAM, REPOSITORY "DownloadResult" },
		[READ_WATCH] = { RPC_SERVER_STREAM, ISSUANCE "WatchResults" },
		[READ_PROBE_LIST] = { RPC_UNARY, REPOSITORY "ListResults" },
	};
	struct rpc_buffer b;

	r->kind = kind;
	r->sent_us = drive_now(r->d);
	b = kind == READ_DOWNLOAD ? download_request(id) : kind == READ_WATCH ?
	    watch_request(id) : reads_list_request(citizen, "");
	rpc_start(r->d->rpc, calls[kind].form, r->d->connection++, calls[kind].method, &b,
		  READ_TIMEOUT_MS, &read_owner, r);
}

static struct read *read_new(struct drive *d, int64_t due_us)
{
	struct read *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->d = d;
	r->due_us = due_us;
	return r;
}

/* The first holder's number; a merger's second part has the people of its first. */
static bool citizen_of(const struct drive *d, uint32_t place, char out[STENCIL_CITIZEN_BYTES + 1])
{
	return stencil_citizen(d->stencils, submit_serial(d, place), out);
}

/* ---- with the cases ---- */

/* A case that was taken some time ago, if there is one: most of what is read is not new. */
static const struct load_case *earlier(struct drive *d, uint32_t *place)
{
	uint64_t behind = d->backlog + d->open_cases, n = d->ledger.cases_n;

	if (n <= behind)
		return NULL;
	for (int tries = 0; tries < 8; tries++) {
		*place = (uint32_t)below(d, n - behind);
		if (d->ledger.cases[*place].state == CASE_ACCEPTED)
			return &d->ledger.cases[*place];
	}
	return NULL;
}

static void one_list(struct drive *d, int64_t due_us)
{
	char citizen[STENCIL_CITIZEN_BYTES + 1];
	uint32_t place;

	if (earlier(d, &place) == NULL || !citizen_of(d, place, citizen))
		return;
	d->reads_out++;
	start(read_new(d, due_us), READ_LIST, citizen, NULL);
}

static void one_download(struct drive *d, int64_t due_us)
{
	uint32_t place;
	const struct load_case *c = earlier(d, &place);
	struct read *r;

	if (c == NULL)
		return;
	r = read_new(d, due_us);
	r->hash = sha256_new();
	sha256_start(r->hash);
	d->reads_out++;
	start(r, READ_DOWNLOAD, NULL, d->ledger.results[c->first].id);
}

void reads_due(struct drive *d, int64_t due_us)
{
	d->lists_due += d->w->lists;
	d->downloads_due += d->w->downloads;
	for (; d->lists_due >= 1; d->lists_due--)
		if (d->reads_out < READS_OUT_MAX)
			one_list(d, due_us);
		else
			d->tally.reads_left_out++;
	for (; d->downloads_due >= 1; d->downloads_due--)
		if (d->reads_out < READS_OUT_MAX)
			one_download(d, due_us);
		else
			d->tally.reads_left_out++;
}

/* ---- one citizen's way ---- */

/*
 * By its number alone: one that is chosen when it is answered would be chosen by how fast the
 * engine was. The first of each step whose holder has a number.
 */
static bool is_probed(const struct drive *d, uint32_t place)
{
	const struct phase *p = &d->phases[d->phases_n - 1];
	uint64_t step = p->schedule.cases / (p->schedule.at_once ? PROBES_AT_ONCE : PROBES) + 1;
	char citizen[STENCIL_CITIZEN_BYTES + 1];

	if (step < PROBE_STEP_MIN)
		step = PROBE_STEP_MIN;
	for (uint64_t i = place - (place - p->first) % step; i < place; i++)
		if (citizen_of(d, (uint32_t)i, citizen))
			return false;
	return citizen_of(d, place, citizen);
}

void reads_probe(struct drive *d, uint32_t place)
{
	const struct load_case *c = &d->ledger.cases[place];
	struct read *r;

	if (!is_probed(d, place))
		return;
	if (d->probes_out == PROBES_OUT_MAX) {
		d->tally.reads_left_out++;
		return;
	}
	d->probes_out++;
	d->tally.probes++;
	r = read_new(d, c->due_us);
	r->place = place;
	start(r, READ_WATCH, NULL, d->ledger.results[c->first].id);
}

static const char *probe_id(const struct read *r)
{
	return r->d->ledger.results[r->d->ledger.cases[r->place].first].id;
}

/* A WatchResultsResponse. */
static void take_change(struct read *r, struct slice bytes)
{
	struct wire w = wire_of(bytes);
	struct wire_field f;

	while (wire_next(&w, &f))
		if (f.number == 2 && f.value == TRIEN__V1__STATE__STORED)
			r->found = true;
}

/* A ListResultsResponse: is the probe's result in it? */
static void take_list(struct read *r, struct slice bytes)
{
	if (r->kind == READ_PROBE_LIST &&
	    memmem(bytes.p, bytes.n, probe_id(r), STENCIL_ID_BYTES) != NULL)
		r->found = true;
}

static void probe_over(struct read *r)
{
	struct drive *d = r->d;

	d->probes_out--;
	free(r);
}

static void probe_goes_on(struct read *r, const struct failure *f)
{
	struct drive *d = r->d;
	char citizen[STENCIL_CITIZEN_BYTES + 1] = "";
	bool found = r->found;

	if (r->kind == READ_PROBE_LIST && found) {
		histogram_record(d->phases[d->phases_n - 1].visible, drive_now(d) - r->due_us);
		probe_over(r);
		return;
	}
	/* An engine that was killed is asked again: a short while after, not at once. */
	if (f != NULL && (!failure_passing(f) || r->tries++ == PROBE_TRIES_MAX || d->ending)) {
		d->tally.probes_lost++;
		probe_over(r);
		return;
	}
	r->found = false;
	if (f != NULL) {
		r->sent_us = drive_now(d) + PROBE_AGAIN_US;
		r->next = d->later;
		d->later = r;
	} else if (found) {
		citizen_of(d, r->place, citizen);
		start(r, READ_PROBE_LIST, citizen, NULL);
	} else {
		/* Stored by the watch, not in the list: that is what the proof would call lost. */
		d->tally.probes_lost++;
		probe_over(r);
	}
}

void reads_again(struct drive *d, int64_t now_us)
{
	struct read **at = &d->later;

	while (*at != NULL) {
		struct read *r = *at;

		if (r->sent_us > now_us) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		start(r, READ_WATCH, NULL, probe_id(r));
	}
}

void reads_free(struct drive *d)
{
	while (d->later != NULL) {
		struct read *r = d->later;

		d->later = r->next;
		free(r);
	}
}

/* ---- files ---- */

/* A DownloadResultResponse. */
static void take_chunk(struct read *r, struct slice bytes)
{
	int64_t before_us = cpu_us();
	struct wire w = wire_of(bytes);
	struct wire_field f;

	while (wire_next(&w, &f)) {
		if (f.number == 1) {
			r->size = f.value;
		} else if (f.number == 2 && f.bytes.n == sizeof(r->sha256)) {
			memcpy(r->sha256, f.bytes.p, sizeof(r->sha256));
		} else if (f.number == 4) {
			sha256_add(r->hash, f.bytes.p, f.bytes.n);
			r->got += f.bytes.n;
		}
	}
	r->d->tally.check_us += (uint64_t)(cpu_us() - before_us);
}

static void download_ended(struct read *r, const struct failure *f)
{
	struct tally *t = &r->d->tally;
	uint8_t sha256[32];

	sha256_end(r->hash, sha256);
	sha256_free(r->hash);
	if (f != NULL && f->code == GRPC_STATUS_FAILED_PRECONDITION) {
		t->downloads_early++;
	} else if (f != NULL) {
		t->downloads_failed++;
	} else if (r->got != r->size || memcmp(sha256, r->sha256, sizeof(sha256)) != 0) {
		t->downloads_bad++;
	} else {
		t->downloads++;
		t->download_bytes += r->got;
		histogram_record(t->download, drive_now(r->d) - r->due_us);
		histogram_record(t->download_raw, drive_now(r->d) - r->sent_us);
	}
}

static void read_message(void *owner, struct slice bytes)
{
	struct read *r = owner;

	if (r->kind == READ_DOWNLOAD)
		take_chunk(r, bytes);
	else if (r->kind == READ_WATCH)
		take_change(r, bytes);
	else
		take_list(r, bytes);
}

static void read_ended(void *owner, const struct failure *f)
{
	struct read *r = owner;
	struct drive *d = r->d;

	if (r->kind == READ_WATCH || r->kind == READ_PROBE_LIST) {
		probe_goes_on(r, f);
		return;
	}
	if (r->kind == READ_DOWNLOAD) {
		download_ended(r, f);
	} else if (f != NULL) {
		d->tally.lists_failed++;
	} else {
		d->tally.lists++;
		histogram_record(d->tally.list, drive_now(d) - r->due_us);
		histogram_record(d->tally.list_raw, drive_now(d) - r->sent_us);
	}
	d->reads_out--;
	free(r);
}

static const struct rpc_owner read_owner = { read_message, read_ended };

/* ---- how far the engine is ---- */

static void status_message(void *owner, struct slice bytes)
{
	struct drive *d = owner;
	struct wire w = wire_of(bytes);
	struct wire_field f;

	d->backlog = 0;
	while (wire_next(&w, &f))
		if (f.number == 14)
			d->backlog = f.value;
}

static void status_ended(void *owner, const struct failure *f)
{
	struct drive *d = owner;

	d->status_out = false;
	d->up = f == NULL;
	if (f == NULL)
		d->status_us = drive_now(d);
}

static const struct rpc_owner status_owner = { status_message, status_ended };

void reads_status(struct drive *d, int64_t now_us)
{
	struct rpc_buffer b;

	if (d->status_out || now_us < d->status_next_us)
		return;
	b = rpc_buffer(0);
	d->status_out = true;
	d->status_next_us = now_us + STATUS_EVERY_US;
	d->status_asked_us = now_us;
	rpc_start(d->rpc, RPC_UNARY, 0, OPERATIONS "GetStatus", &b, 5000, &status_owner, d);
}
