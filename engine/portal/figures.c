#include "portal/figures.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/log.h"
#include "portal/engineside.h"
#include "trien/v1/audit.pb-c.h"

#define PAGE_ROWS 2000
#define PAGES_MAX 100			/* agencies × kinds of one day */

struct figure_desk {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool asking;			/* one worker does, without the lock */
	struct figures *last;		/* NULL: none yet */
	int64_t again_ms;		/* not before */
	bool asked, answered;		/* ever; when it was asked last */
};

enum status figures_open(struct figure_desk **out)
{
	struct figure_desk *d = calloc(1, sizeof(*d));

	*out = d;
	if (d == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->done, NULL);
	return ST_OK;
}

static void figures_free(struct figures *f)
{
	if (f == NULL)
		return;
	free(f->rows);
	free(f);
}

void figures_close(struct figure_desk *d)
{
	if (d == NULL)
		return;
	figures_free(d->last);
	pthread_cond_destroy(&d->done);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* With the lock. */
static void let_go(struct figures *f)
{
	if (f != NULL && --f->held == 0)
		figures_free(f);
}

void figures_give(struct figure_desk *d, struct figures *f)
{
	pthread_mutex_lock(&d->lock);
	let_go(f);
	pthread_mutex_unlock(&d->lock);
}

/* ---- asking ---- */

static int by_unit(const void *a, const void *b)
{
	return strcmp(((const struct figure_row *)a)->unit, ((const struct figure_row *)b)->unit);
}

const struct figure_row *figures_of(const struct figures *f, const char *unit)
{
	struct figure_row wanted;
	size_t n = strlen(unit);

	if (n > CODE_BYTES_MAX)
		return NULL;
	memcpy(wanted.unit, unit, n + 1);
	return bsearch(&wanted, f->rows, f->n, sizeof(f->rows[0]), by_unit);
}

/* Its row, made where there is none; rows are not sorted yet. */
static struct figure_row *row_of(struct figures *f, const char *unit)
{
	struct figure_row *more;

	/* Rows of one agency stand together, mostly. */
	for (uint32_t i = f->n; i > 0; i--)
		if (strcmp(f->rows[i - 1].unit, unit) == 0)
			return &f->rows[i - 1];
	if (strlen(unit) > CODE_BYTES_MAX)
		return NULL;
	if ((f->n & (f->n - 1)) == 0) {
		more = realloc(f->rows, (f->n > 0 ? f->n * 2u : 1u) * sizeof(*more));
		if (more == NULL)
			return NULL;
		f->rows = more;
	}
	f->rows[f->n] = (struct figure_row){ .of = { 0 } };
	memcpy(f->rows[f->n].unit, unit, strlen(unit) + 1);
	return &f->rows[f->n++];
}

static bool counts_add(struct figures *f, const Trien__V1__StatisticsRow *r)
{
	const Trien__V1__Counts *c = r->counts;
	struct figure_row *row = row_of(f, r->unit);

	if (row == NULL || c == NULL)
		return c == NULL;
	row->of[FIGURE_RESULTS] += c->results;
	row->of[FIGURE_CASES] += c->cases;
	row->of[FIGURE_E_RESULTS] += c->e_results;
	row->of[FIGURE_SOLVED] += c->solved;
	row->of[FIGURE_EARLY] += c->early;
	row->of[FIGURE_ON_TIME] += c->on_time;
	row->of[FIGURE_LATE] += c->late;
	row->of[FIGURE_ONLINE] += c->online;
	row->of[FIGURE_CERTIFIED_COPIES] += c->certified_copies;
	row->of[FIGURE_REGISTER_COPIES] += c->register_copies;
	row->of[FIGURE_REUSES] += c->reuses;
	row->of[FIGURE_REVOKED] += c->revoked;
	return true;
}

static bool pending_add(struct figures *f, const Trien__V1__PendingRow *r)
{
	struct figure_row *row = row_of(f, r->unit);

	if (row == NULL || r->counts == NULL)
		return r->counts == NULL;
	row->of[FIGURE_PENDING] += r->counts->pending;
	row->of[FIGURE_PENDING_IN_TIME] += r->counts->in_time;
	row->of[FIGURE_PENDING_LATE] += r->counts->late;
	return true;
}

/* counts: they stand in the store, and all engines tell the same. */
static bool answer_add(struct figures *f, const Trien__V1__GetStatisticsResponse *a, bool counts)
{
	bool good = true;

	for (size_t i = 0; counts && good && i < a->n_rows; i++)
		good = counts_add(f, a->rows[i]);
	for (size_t i = 0; good && i < a->n_pending; i++)
		good = pending_add(f, a->pending[i]);
	return good;
}

/* Of engine `at`; but for the first one only what is pending there, which is on the first page. */
static enum status pages_ask(struct worker *w, uint32_t at, Trien__V1__GetStatisticsRequest *m,
			     struct figures *f, struct failure *why)
{
	char *token = strdup("");
	enum status st = token != NULL ? ST_OK : ST_NOMEM;

	for (uint32_t i = 0; st == ST_OK && token != NULL && i < (at == 0 ? PAGES_MAX : 1); i++) {
		Trien__V1__GetStatisticsResponse *a;

		m->page_token = token;
		a = (void *)engine_ask_one(w, at, AUDIT "GetStatistics", &m->base,
					   &trien__v1__get_statistics_response__descriptor, why);
		if (a == NULL) {
			st = ST_UNAVAILABLE;
			break;
		}
		st = answer_add(f, a, at == 0) ? ST_OK : ST_NOMEM;
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		trien__v1__get_statistics_response__free_unpacked(a, NULL);
	}
	free(token);
	return st;
}

static enum status ask(struct worker *w, int64_t now_ms, struct figures **out,
		       struct failure *why)
{
	Trien__V1__GetStatisticsRequest m = TRIEN__V1__GET_STATISTICS_REQUEST__INIT;
	Trien__V1__Date day = TRIEN__V1__DATE__INIT;
	struct figures *f = calloc(1, sizeof(*f));
	enum status st;

	*out = NULL;
	if (f == NULL)
		return ST_NOMEM;
	f->day = day_vietnam(now_ms);
	f->asked_ms = now_ms;
	f->held = 1;
	day.year = f->day / 10000;
	day.month = f->day / 100 % 100;
	day.day = f->day % 100;
	m.from = m.to = &day;
	m.period = TRIEN__V1__GET_STATISTICS_REQUEST__PERIOD__DAY;
	m.pending = true;
	st = ST_OK;
	for (uint32_t at = 0; st == ST_OK && at < engines_n(w); at++) {
		m.page_size = at == 0 ? PAGE_ROWS : 1;
		st = pages_ask(w, at, &m, f, why);
	}
	if (st != ST_OK) {
		figures_free(f);
		return st;
	}
	if (f->n > 1)
		qsort(f->rows, f->n, sizeof(f->rows[0]), by_unit);
	*out = f;
	return ST_OK;
}

/* With the lock, which is let go while the engine is asked. */
static void renew(struct figure_desk *d, struct worker *w, int64_t now_ms)
{
	struct failure why = { 0 };
	struct figures *f = NULL;
	enum status st;

	d->asking = true;
	pthread_mutex_unlock(&d->lock);
	st = ask(w, now_ms, &f, &why);
	pthread_mutex_lock(&d->lock);
	if (st != ST_OK && (d->answered || !d->asked))
		log_warn("portal", "leaders get no new numbers: GetStatistics: %d %s %s", why.code,
			 why.reason, why.en);
	d->asked = true;
	d->asking = false;
	d->answered = st == ST_OK;
	d->again_ms = now_ms + (st == ST_OK ? FIGURES_MS : FIGURES_AGAIN_MS);
	if (st == ST_OK) {
		let_go(d->last);
		d->last = f;
	}
	pthread_cond_broadcast(&d->done);
}

enum status figures_take(struct figure_desk *d, struct worker *w, int64_t now_ms,
			 struct figures **out, bool *fresh)
{
	pthread_mutex_lock(&d->lock);
	/* Who comes meanwhile has the last ones at once; the first ones are waited for. */
	while (d->asking && d->last == NULL)
		pthread_cond_wait(&d->done, &d->lock);
	if (!d->asking && (now_ms >= d->again_ms || d->again_ms > now_ms + FIGURES_MS))
		renew(d, w, now_ms);
	*out = d->last;
	*fresh = d->answered;
	if (d->last != NULL)
		d->last->held++;
	pthread_mutex_unlock(&d->lock);
	return *out != NULL ? ST_OK : ST_UNAVAILABLE;
}
