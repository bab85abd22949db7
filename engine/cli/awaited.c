#include <grpc/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/submit.h"
#include "client/protojson.h"

#define WATCH_MAX 512			/* ids of one watch */
#define AGAIN_MS 300
#define AWAY_MS_MAX 60000		/* an engine that does not answer for longer is given up */

static bool is_end(Trien__V1__State s)
{
	return s == TRIEN__V1__STATE__STORED || s == TRIEN__V1__STATE__VOID ||
	       s == TRIEN__V1__STATE__REFUSED || s == TRIEN__V1__STATE__WITHDRAWN ||
	       s == TRIEN__V1__STATE__TIMED_OUT;
}

static void count(struct awaited *a, Trien__V1__State s)
{
	a->stored += s == TRIEN__V1__STATE__STORED;
	a->held += s == TRIEN__V1__STATE__HELD;
	a->ended += is_end(s) && s != TRIEN__V1__STATE__STORED;
}

void awaited_add(struct awaited *a, const Trien__V1__Receipt *r)
{
	if (is_end(r->state) || strlen(r->result_id) != sizeof(a->ids[0]) - 1) {
		count(a, r->state);
		return;
	}
	if (a->n == a->room) {
		a->room = a->room == 0 ? 1024 : 2 * a->room;
		a->ids = realloc(a->ids, a->room * sizeof(a->ids[0]));
		if (a->ids == NULL)
			abort();
	}
	memcpy(a->ids[a->n++], r->result_id, sizeof(a->ids[0]));
}

void awaited_keep(struct awaited *a, const Trien__V1__Receipt *r, const char *of)
{
	struct awaited_row *row;

	a->rows = realloc(a->rows, (a->rows_n + 1) * sizeof(*a->rows));
	if (a->rows == NULL)
		abort();
	row = &a->rows[a->rows_n++];
	*row = (struct awaited_row){ .number = strdup(r->number_text), .of = strdup(of),
				     .state = r->state, .duplicate = r->duplicate != 0 };
	if (row->number == NULL || row->of == NULL)
		abort();
	snprintf(row->id, sizeof(row->id), "%s", r->result_id);
}

/* A number may be new, too: it is given when a person has confirmed. */
static void keep_up(struct awaited *a, const Trien__V1__WatchResultsResponse *m)
{
	for (uint64_t i = 0; i < a->rows_n; i++) {
		struct awaited_row *row = &a->rows[i];

		if (strcmp(row->id, m->result_id) != 0)
			continue;
		row->state = m->state;
		free(row->number);
		row->number = strdup(m->number_text);
		if (row->number == NULL)
			abort();
		return;
	}
}

void awaited_line(const char *id, Trien__V1__State state, const char *number, bool duplicate,
		  const char *of)
{
	const ProtobufCEnumValue *v =
		protobuf_c_enum_descriptor_get_value(&trien__v1__state__descriptor, state);

	printf("%s  %s  %s%s  %s\n", id, v != NULL ? v->name : "?",
	       number[0] != '\0' ? number : "without a number yet",
	       duplicate ? ", issued before" : "", of);
}

void awaited_show(const struct awaited *a)
{
	for (uint64_t i = 0; i < a->rows_n; i++)
		awaited_line(a->rows[i].id, a->rows[i].state, a->rows[i].number,
			     a->rows[i].duplicate, a->rows[i].of);
}

/* One of the last n is no longer awaited: the last takes its place. */
static bool drop(struct awaited *a, size_t *n, const char *id)
{
	for (uint64_t i = a->n - *n; i < a->n; i++) {
		if (strcmp(a->ids[i], id) != 0)
			continue;
		memmove(a->ids[i], a->ids[a->n - 1], sizeof(a->ids[0]));
		a->n--;
		(*n)--;
		return true;
	}
	return false;
}

static void take(struct awaited *a, size_t *n, const Trien__V1__WatchResultsResponse *m, FILE *out,
		 struct progress *p)
{
	bool held = m->state == TRIEN__V1__STATE__HELD;

	keep_up(a, m);
	if ((!held && !is_end(m->state)) || !drop(a, n, m->result_id))
		return;
	count(a, m->state);
	if (!held)
		return;
	progress_clear(p);
	if (out != NULL)
		json_print_line(out, json_pack("{s:o}", "held", protojson_write(&m->base)));
	else
		fprintf(stderr, "held: case %s, %s, %s: %s\n", m->case_code, m->kind,
			m->number_text, m->held_reason);
}

/* Watches the last of them until none of these is left, or it breaks off. */
static void watch(struct awaited *a, struct client *c, uint64_t seconds, FILE *out, uint64_t total,
		  struct progress *p, struct failure *f)
{
	Trien__V1__WatchResultsRequest q = TRIEN__V1__WATCH_RESULTS_REQUEST__INIT;
	size_t n = a->n < WATCH_MAX ? a->n : WATCH_MAX;
	Trien__V1__WatchResultsResponse *m;
	struct client_stream *s;
	char *ids[WATCH_MAX];

	for (size_t i = 0; i < n; i++)
		ids[i] = a->ids[a->n - n + i];
	q.n_result_ids = n;
	q.result_ids = ids;
	s = client_stream_open(c, ISSUANCE "WatchResults", &q.base, seconds);
	*f = (struct failure){ 0 };
	while (n > 0 && (m = (void *)client_stream_read(s,
			&trien__v1__watch_results_response__descriptor, f)) != NULL) {
		take(a, &n, m, out, p);
		trien__v1__watch_results_response__free_unpacked(m, NULL);
		progress_show(p, total - a->n, total - a->n, total);
	}
	client_stream_close(s);
}

bool awaited_all(struct awaited *a, struct client *c, uint64_t seconds, FILE *out,
		 struct failure *f)
{
	int64_t moved_ms = progress_now_ms(), left_ms = 0;
	int64_t end_ms = moved_ms + (int64_t)seconds * 1000;
	uint64_t total = a->n;
	struct progress p;
	bool good = true;

	progress_start(&p, "stored");
	while (a->n > 0 && good) {
		uint64_t before = a->n;

		left_ms = seconds == 0 ? 0 : end_ms - progress_now_ms();
		if (seconds != 0 && left_ms <= 0)
			break;
		watch(a, c, (uint64_t)(left_ms + 999) / 1000, out, total, &p, f);
		if (a->n < before) {
			moved_ms = progress_now_ms();
			continue;
		}
		good = f->code == GRPC_STATUS_OK || (failure_passing(f) &&
						     progress_now_ms() - moved_ms < AWAY_MS_MAX);
		usleep(AGAIN_MS * 1000);
	}
	progress_clear(&p);
	return a->n == 0;
}

void awaited_free(struct awaited *a)
{
	for (uint64_t i = 0; i < a->rows_n; i++) {
		free(a->rows[i].number);
		free(a->rows[i].of);
	}
	free(a->rows);
	free(a->ids);
	*a = (struct awaited){ 0 };
}
