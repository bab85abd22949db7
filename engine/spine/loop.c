#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "intake/intake.h"
#include "spine/approval.h"
#include "spine/drafts.h"
#include "spine/elsewhere.h"
#include "spine/mirror.h"
#include "spine/noter.h"
#include "spine/originals.h"
#include "spine/spine.h"
#include "spine/track.h"
#include "spine/trusted.h"
#include "spine/units.h"

/* Every submission, act, batch and job there can be at once. */
#define INBOX_MAX 4096
#define IO_ENTRIES 64
#define TICK_MS 1000

void spine_fail(struct spine *s, const char *fmt, ...)
{
	va_list ap;

	if (s->failure.status != ST_OK)
		return;
	s->failure.status = ST_IO;
	va_start(ap, fmt);
	vsnprintf(s->failure.text, sizeof(s->failure.text), fmt, ap);
	va_end(ap);
}

enum status spine_post(struct spine *s, enum note kind, void *p)
{
	uintptr_t v = (uintptr_t)p;

	assert((v & NOTE_MASK) == 0);
	/* The other half is for what must come back: batches and jobs. */
	if ((kind == NOTE_SUBMISSION || kind == NOTE_ACT) &&
	    queue_count(s->inbox) >= INBOX_MAX / 2)
		return ST_FULL;
	return queue_push(s->inbox, (void *)(v | kind));
}

/* Workers and the store give a batch back. */
static void batch_back(void *ctx, struct batch *b)
{
	struct spine *s = ctx;
	enum status st = spine_post(s, b->stage == BATCH_STORING ? NOTE_STORED : NOTE_PRESSED, b);

	assert(st == ST_OK);
}

/* The first failed write of the store, too, is final: what waits stands in the journal. */
static void store_failed(void *ctx, const struct error *e)
{
	struct spine *s = ctx;

	s->store_failure = *e;
	atomic_store(&s->store_dead, true);
}

static int64_t wall_now(void *ctx)
{
	return io_wall_ms();
}

struct store_sink spine_sink(struct spine *s)
{
	return (struct store_sink){ .ctx = s, .done = batch_back, .failed = store_failed,
				    .now_ms = wall_now };
}

enum io_kind io_kind_of(const char *name)
{
	if (strcmp(name, "uring") == 0)
		return IO_URING;
	return strcmp(name, "posix") == 0 ? IO_POSIX : IO_AUTO;
}

enum status spine_new(struct spine **out, const struct config *c, int control_fd, struct error *e)
{
	struct spine *s = calloc(1, sizeof(*s));
	enum status st;

	if (s == NULL)
		return ST_NOMEM;
	s->config = c;
	s->control = control_fd;
	s->signer.link.fd = -1;
	s->remote.link.fd = -1;
	s->data_lock = -1;
	s->started_ms = io_wall_ms();
	if (asprintf(&s->archive, "%s/catalogue", c->data) < 0)
		s->archive = NULL;
	if (asprintf(&s->counters_dir, "%s/counters", c->data) < 0)
		s->counters_dir = NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_rwlock_init(&s->roots_lock, NULL);
	st = s->archive == NULL || s->counters_dir == NULL ? ST_NOMEM :
	     io_new(&s->io, io_kind_of(c->io), IO_ENTRIES, e);
	if (st == ST_OK)
		st = queue_new(&s->inbox, INBOX_MAX);
	if (st == ST_OK)
		st = inflight_new(&s->inflight);
	if (st == ST_OK)
		st = track_new(&s->track);
	if (st == ST_OK)
		st = units_new(&s->units, c, e);
	if (st == ST_OK)
		st = elsewhere_new(&s->elsewhere);
	if (st == ST_OK)
		st = foreign_new(&s->foreign, control_fd, 0, e);
	if (st == ST_OK)
		st = notify_new(&s->notify);
	if (st == ST_OK)
		st = batch_pool_new(&s->batches, c->batches);
	if (st == ST_OK)
		st = registers_new(&s->registers);
	if (st == ST_OK)
		s->record = malloc(JOURNAL_RECORD_BYTES_MAX);
	if (st == ST_OK && s->record == NULL)
		st = ST_NOMEM;
	if (st != ST_OK) {
		spine_free(s);
		return st;
	}
	*out = s;
	return ST_OK;
}

static void pendings_free(struct spine *s, struct pending *p)
{
	while (p != NULL) {
		struct pending *next = p->next;

		pending_free(s, p);
		p = next;
	}
}

static void backlog_free(struct spine *s)
{
	for (uint32_t i = 0; i < LINES_MAX; i++)
		for (uint32_t k = 0; k < PRIORITY_COUNT; k++)
			pendings_free(s, s->backlog.lines[i].first[k]);
	for (uint32_t k = 0; k < PRIORITY_COUNT; k++)
		pendings_free(s, s->backlog.aside.first[k]);
	pendings_free(s, s->backlog.later);
}

void spine_free(struct spine *s)
{
	if (s == NULL)
		return;
	noter_stop(s->noter);
	janitor_stop(s);
	/* First: these run io until theirs is back; what else completes finds its owner. */
	mirror_free(s);
	signing_stop(s);
	journal_close(s->journal);
	pipeline_free(s->pipeline);
	if (s->notify != NULL)
		notify_close(s->notify);
	notify_free(s->notify);
	backlog_free(s);
	approving_free(s);
	keyindex_close(s->keys);
	waiting_reader_close(s->rows);
	waiting_reader_close(s->spine_rows);
	waiting_close(s->waiting);
	registers_free(s->registers);
	if (s->store != NULL)
		s->store->ops->close(s->store);
	objects_close(s->objects);
	drafts_free(s->drafts);
	render_close(s->render);
	catalogue_unref(s->catalogue);
	keyring_unref(s->keyring);
	trust_unref(s->trust);
	identity_close(s->identity);
	batch_pool_free(s->batches);
	inflight_free(s->inflight);
	track_free(s->track);
	units_free(s->units);
	elsewhere_free(s);
	foreign_free(s->foreign);
	queue_free(s->inbox);
	io_free(s->io);
	pthread_mutex_destroy(&s->lock);
	pthread_rwlock_destroy(&s->roots_lock);
	free(s->record);
	free(s->archive);
	free(s->counters_dir);
	if (s->data_lock >= 0)
		close(s->data_lock);
	free(s);
}

enum status spine_start(struct spine *s, struct error *e)
{
	struct pipeline_config cfg = { .workers = s->config->workers, .render = s->render,
				       .store = s->store, .objects = s->objects,
				       .fetch = originals_fetch, .done = batch_back, .ctx = s };
	const struct drafts_config dc = { s->render, s->objects, originals_fetch, s };
	enum status st = pipeline_new(&s->pipeline, &cfg, e);

	if (st == ST_OK)
		st = drafts_new(&s->drafts, &dc);
	if (st == ST_OK)
		st = janitor_start(s, e);
	if (st == ST_OK)
		st = noter_start(&s->noter, s->store, (uint8_t)s->config->engine, e);
	if (st == ST_OK)
		st = signing_start(s);
	if (st == ST_OK && waiting_count(s->waiting, STATE_HELD) > 0) {
		/* The reason why something was held may be gone since. */
		struct job *j = calloc(1, sizeof(*j));

		st = j != NULL ? ST_OK : ST_NOMEM;
		if (j != NULL) {
			j->type = JOB_UNPARK;
			j->track = NO_TRACK;
			job_push(s, j);
		}
	}
	return st;
}

struct catalogue *spine_catalogue(struct spine *s)
{
	struct catalogue *c;

	pthread_mutex_lock(&s->lock);
	c = catalogue_ref(s->catalogue);
	pthread_mutex_unlock(&s->lock);
	return c;
}

struct keyring *spine_keyring(struct spine *s)
{
	struct keyring *k;

	pthread_mutex_lock(&s->lock);
	k = keyring_ref(s->keyring);
	pthread_mutex_unlock(&s->lock);
	return k;
}

static void changed(void *ctx, const char *line)
{
	log_warn("reload", "%s; a version that was in force stays as it is, a new one with its "
		 "own \"from\" belongs beside it", line);
}

enum status spine_reload(struct spine *s, bool certs, struct error *e)
{
	struct catalogue_config cc;
	struct keyring_config kc;
	struct catalogue *catalogue = NULL;
	struct keyring *keyring = NULL;
	enum status st;

	spine_sources(s, &cc, &kc);
	st = catalogue_load(&catalogue, &cc, e);
	if (st == ST_OK && certs)
		st = keyring_load(&keyring, &kc, e);
	if (st != ST_OK) {
		catalogue_unref(catalogue);
		return st;
	}
	catalogue_changed(s->catalogue, catalogue, changed, NULL);
	/* First: what loading it wrote goes ahead of any record that is accepted under it. */
	mirror_files_changed(s);
	pthread_mutex_lock(&s->lock);
	catalogue_unref(s->catalogue);
	s->catalogue = catalogue;
	if (certs) {
		keyring_unref(s->keyring);
		s->keyring = keyring;
	}
	pthread_mutex_unlock(&s->lock);
	trusted_read(s);
	/* What waits for a key that is not there any more finds another, or is told why not. */
	atomic_store(&s->elsewhere->outdated, true);
	return ST_OK;
}

static void take_note(struct spine *s, void *note)
{
	uintptr_t v = (uintptr_t)note;
	void *p = (void *)(v & ~(uintptr_t)NOTE_MASK);

	switch ((enum note)(v & NOTE_MASK)) {
	case NOTE_SUBMISSION:
		number_push(s, p);
		break;
	case NOTE_ACT:
		act_run(s, p);
		break;
	case NOTE_PRESSED:
		feed_pressed(s, p);
		break;
	case NOTE_STORED:
		feed_stored(s, p);
		break;
	case NOTE_JOB:
		job_finished(s, p);
		break;
	default:
		assert(!"a note of no kind");
	}
}

static void inbox_ready(struct io_op *op)
{
	struct spine *s = op->owner;

	queue_ack(s->inbox);
	s->inbox_polled = false;
}

static void gauges_set(struct spine *s)
{
	atomic_store_explicit(&s->gauges.backlog, backlog_count(s), memory_order_relaxed);
	atomic_store_explicit(&s->gauges.aside, s->backlog.aside.n, memory_order_relaxed);
	atomic_store_explicit(&s->gauges.batches, batch_in_flight(s->batches),
			      memory_order_relaxed);
	atomic_store_explicit(&s->gauges.slots_free, journal_slots_free(s->journal),
			      memory_order_relaxed);
	atomic_store_explicit(&s->gauges.signer_up, s->signer.link.ready, memory_order_relaxed);
	atomic_store_explicit(&s->gauges.remote_up, remote_is_well(s), memory_order_relaxed);
	atomic_store_explicit(&s->gauges.numbering,
			      s->numbering && !s->stopping && !mirror_refuses(s),
			      memory_order_relaxed);
	atomic_store_explicit(&s->gauges.mirror_up, mirror_why(s)[0] == '\0',
			      memory_order_relaxed);
}

/*
 * All that can be done without waiting. Journal writes start after everything was looked at, so
 * that what came together is written together.
 */
static void turn(struct spine *s)
{
	void *note;

	for (uint32_t i = 0; i < INBOX_MAX && (note = queue_pop(s->inbox)) != NULL; i++)
		take_note(s, note);
	retry_run(s);
	number_run(s);
	clerk_run(s);
	approving_run(s);
	expire_run(s);
	elsewhere_run(s);
	recycle_run(s);
	journal_pump(s->journal);
	mirror_run(s);
	awaiting_run(s);
	jobs_flush(s);
	answer_run(s);
	feed_run(s);
	signing_tick(s);
	units_tick(s);
	gauges_set(s);
}

/* Until a batch is due by its age. */
static uint32_t batch_wait_ms(const struct spine *s)
{
	uint64_t due_ns = feed_due_ns(s), now_ns = io_boot_ns(), ms;

	if (due_ns == UINT64_MAX)
		return TICK_MS;
	ms = due_ns <= now_ns ? 1 : (due_ns - now_ns) / 1000000 + 1;
	return ms < TICK_MS ? (uint32_t)ms : TICK_MS;
}

static uint32_t wait_ms(struct spine *s)
{
	uint32_t ms;

	if (s->inbox_polled == false) {
		s->inbox_op = (struct io_op){ .done = inbox_ready, .owner = s };
		io_poll(s->io, &s->inbox_op, queue_fd(s->inbox), POLLIN);
		s->inbox_polled = true;
	}
	if (!queue_arm(s->inbox))
		return 0;
	ms = batch_wait_ms(s);
	return s->parked_first != NULL && ms > PARKED_MS_MAX ? PARKED_MS_MAX : ms;
}

static void submission_refuse(struct submission *sub)
{
	for (uint32_t i = 0; i < sub->cases_n; i++)
		if (sub->cases[i].refusal.reason == REASON_NONE)
			refuse(&sub->cases[i].refusal, REASON_STOPPING, "", "%s", "");
	intake_answer(sub);
}

bool spine_settled(const struct spine *s)
{
	return s->number_first == NULL && s->answer_first == NULL && s->jobs_out == 0 &&
	       s->elsewhere->came_first == NULL && s->awaiting_first == NULL &&
	       backlog_count(s) == 0 && batch_in_flight(s->batches) == 0 &&
	       queue_count(s->inbox) == 0;
}

static bool ended(struct spine *s)
{
	if (journal_failed(s->journal, &s->failure))
		return true;
	if (s->failure.status == ST_OK && atomic_load(&s->store_dead))
		s->failure = s->store_failure;
	if (s->failure.status != ST_OK)
		return true;
	if (!atomic_load(&s->stop))
		return false;
	if (!s->stopping) {
		s->stopping = true;
		s->drain_until_ns = io_boot_ns() + s->config->drain_ms * 1000000ull;
	}
	return spine_settled(s) || io_boot_ns() >= s->drain_until_ns;
}

/* Nothing more is taken, and who came behind the last turn is told: a call waits for it. */
static void inbox_close(struct spine *s)
{
	void *note;

	queue_close(s->inbox);
	while ((note = queue_pop(s->inbox)) != NULL) {
		void *p = (void *)((uintptr_t)note & ~(uintptr_t)NOTE_MASK);

		if (((uintptr_t)note & NOTE_MASK) == NOTE_ACT)
			act_run(s, p);
		else
			submission_refuse(p);
	}
}

enum status spine_run(struct spine *s, struct error *e)
{
	while (!ended(s)) {
		uint32_t wait;

		turn(s);
		wait = wait_ms(s);
		io_run(s->io, s->stopping && wait > 10 ? 10 : wait);
	}
	*e = s->failure;
	if (s->failure.status == ST_OK && spine_settled(s))
		inbox_close(s);
	else if (s->failure.status == ST_OK)
		log_warn("spine", "%u cases wait in the journal for the next start",
			 backlog_count(s));
	return s->failure.status;
}
