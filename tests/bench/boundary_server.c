#include "boundary_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/queue.h"
#include "intake/intake.h"
#include "render/font.h"

#define FONT "/usr/share/fonts/truetype/liberation2/LiberationSerif-Regular.ttf"
#define NOW_MS 1795492800000		/* 2026-11-24 */

/* What stands behind the intake: a catalogue, the font's glyphs, a thread in the spine's place. */
struct fake {
	struct catalogue *catalogue;
	struct codeset coverage;
	struct queue *queue;
	uint64_t sequence;
};

static enum status submit(void *ctx, struct submission *s)
{
	return queue_push(((struct fake *)ctx)->queue, s);
}

static struct catalogue *catalogue_of(void *ctx)
{
	return catalogue_ref(((struct fake *)ctx)->catalogue);
}

static const struct codeset *coverage_of(void *ctx)
{
	return &((struct fake *)ctx)->coverage;
}

static int64_t now_ms(void *ctx)
{
	return NOW_MS;
}

static enum status reader_open(void *ctx, void **reader, struct error *e)
{
	*reader = NULL;
	return ST_OK;
}

/* Receipts as full as the real ones. */
static void accept_result(struct fake *f, struct submitted_result *r)
{
	uint64_t n = ++f->sequence;

	r->receipt = (struct receipt){ .state = STATE_NUMBERED, .sequence = n << 16, .number = n,
				       .accepted_ms = NOW_MS, .issued_ms = NOW_MS };
	memcpy(r->receipt.result_id, &n, sizeof(n));
	memcpy(r->receipt.number_text, "4313/XNTTHN-UBND", 17);
}

static void *spine_main(void *arg)
{
	struct fake *f = arg;
	struct submission *s;

	while ((s = queue_wait(f->queue, -1)) != NULL) {
		for (uint32_t i = 0; i < s->cases_n; i++)
			for (uint8_t k = 0; k < s->cases[i].results_n; k++)
				accept_result(f, &s->cases[i].results[k]);
		intake_answer(s);
	}
	return NULL;
}

static void write_principals(const char *path)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return;
	fputs("{ \"principals\": [ { \"name\": \"" BOUNDARY_PRINCIPAL "\", "
	      "\"roles\": [\"submit\"], \"units\": [\"*\"], \"requests_max\": 64 } ] }", f);
	fclose(f);
}

static enum status load(struct fake *f, const char *schemas, struct error *e)
{
	const struct catalogue_config cfg = { .schemas = schemas };
	struct font *font;
	enum status st = catalogue_load(&f->catalogue, &cfg, e);

	if (st == ST_OK)
		st = font_open(&font, FONT, e);
	if (st != ST_OK)
		return st;
	font_coverage(font, &f->coverage);
	font_close(font);
	return queue_new(&f->queue, REQUESTS_IN_FLIGHT_MAX);
}

static enum status start(struct intake **in, struct fake *f, const char *data, struct error *e)
{
	static const char *const listen[] = { "127.0.0.1:0" };
	static char cert[300], key[300], ca[300], principals[300];
	const struct engine_ops ops = { .ctx = f, .submit = submit, .catalogue = catalogue_of,
					.coverage = coverage_of, .now_ms = now_ms,
					.reader_open = reader_open };
	const struct intake_config cfg = { .listen = listen, .listen_n = 1,
					   .principals = principals, .tls_cert = cert,
					   .tls_key = key, .tls_client_ca = ca };

	snprintf(cert, sizeof(cert), "%s/tls/server.pem", data);
	snprintf(key, sizeof(key), "%s/tls/server.key", data);
	snprintf(ca, sizeof(ca), "%s/tls/ca.pem", data);
	snprintf(principals, sizeof(principals), "%s/principals.json", data);
	write_principals(principals);
	return intake_start(in, &cfg, &ops, e);
}

static void serve(const char *data, const char *schemas, int control, int ready)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct intake *in;
	pthread_t spine;
	struct error e;
	enum status st = f == NULL ? ST_NOMEM : load(f, schemas, &e);
	uint16_t port;
	char end;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (st == ST_OK)
		st = start(&in, f, data, &e);
	if (st != ST_OK || pthread_create(&spine, NULL, spine_main, f) != 0) {
		fprintf(stderr, "boundary_bench: server: %s\n", e.text);
		_exit(1);
	}
	intake_set_serving(in, true);
	port = intake_port(in, 0);
	if (write(ready, &port, sizeof(port)) != sizeof(port) || read(control, &end, 1) != 0)
		_exit(1);
	(void)!intake_drain(in, 2000);
	queue_close(f->queue);
	pthread_join(spine, NULL);
	intake_stop(in);
	_exit(0);
}

enum status boundary_start(struct boundary_server *s, const char *data, const char *schemas,
			   struct error *e)
{
	int control[2], ready[2];

	if (pipe(control) != 0 || pipe(ready) != 0)
		return error_set(e, ST_IO, "pipe");
	s->pid = fork();
	if (s->pid == 0) {
		close(control[1]);
		close(ready[0]);
		serve(data, schemas, control[0], ready[1]);
	}
	close(control[0]);
	close(ready[1]);
	s->control = control[1];
	if (s->pid < 0 || read(ready[0], &s->port, sizeof(s->port)) != sizeof(s->port) ||
	    clock_getcpuclockid(s->pid, &s->cpu) != 0)
		return error_set(e, ST_IO, "the server did not start");
	close(ready[0]);
	return ST_OK;
}

void boundary_stop(struct boundary_server *s)
{
	close(s->control);
	waitpid(s->pid, NULL, 0);
}

double boundary_cpu_us(const struct boundary_server *s)
{
	struct timespec t;

	clock_gettime(s->cpu, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
