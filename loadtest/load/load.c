/* trien-load: a workload against an engine, and the proof of what became of it. */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "load/report.h"
#include "load/settings.h"

#define LOOK_US 400000
#define CHAOS_US 20000
#define MEMORY_US 4000000
#define LISTS_MAX 400
#define AGAIN_MAX 400
#define MALLOC_KEEP_BYTES (128 * 1024 * 1024)
#define STORED_MARKS 2048

struct load {
	struct settings set;
	struct workload w;
	struct server server;
	struct process_watch watch;
	struct stalls *stalls;
	struct chaos chaos;
	struct drive drive;
	struct rpc *rpc;
	struct stencils *stencils;
	struct proof proof;
	struct fetch fetch;
	struct roots *roots;
	int64_t look_us, memory_us, shown_us, chaos_us;
	bool complete, to_terminal, no_tick;
	double cpu_begin_s;
};

static volatile int stop_now;

static void on_signal(int signal_number)
{
	stop_now = 1;
}

/* Without what watching the cores takes. */
static double own_cpu_s(const struct load *x)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6 - stalls_cpu_s(x->stalls);
}

/* ---- while it runs ---- */

static void show(struct load *x, struct drive *d, int64_t now_us)
{
	const struct phase *p = &d->phases[d->phases_n - 1];
	double done = p->schedule.cases > 0 ?
		(double)(d->ledger.accepted - p->first) / (double)p->schedule.cases : 0;
	char bar[31];

	if (!x->to_terminal || now_us < x->shown_us + LOOK_US)
		return;
	x->shown_us = now_us;
	for (int i = 0; i < 30; i++)
		bar[i] = i < (int)(done * 30) ? '#' : '.';
	bar[30] = '\0';
	fprintf(stderr, "\r%s [%s] %3.0f %%  %" PRIu64 " cases, open %" PRIu64 ", backlog %" PRIu64
		", p99 %.0f ms%s   ", p->name, bar, done * 100, d->ledger.accepted, d->open_cases,
		d->backlog, (double)histogram_at(p->corrected, 0.99) / 1e3,
		d->up ? "" : ", engine away");
}

static void tick(void *owner, struct drive *d, int64_t now_us)
{
	struct load *x = owner;
	bool memory = now_us >= x->memory_us + MEMORY_US;

	if (now_us >= x->look_us + LOOK_US) {
		process_look(&x->watch, (double)now_us / 1e6, memory);
		x->look_us = now_us;
		x->memory_us = memory ? now_us : x->memory_us;
	}
	if (x->no_tick)
		return;
	if (now_us >= x->chaos_us + CHAOS_US) {
		chaos_some(&x->chaos, now_us);
		x->chaos_us = now_us;
	}
	if (d->phases_n > 0)
		show(x, d, now_us);
}

/* ---- the phases ---- */

static bool is_over(const struct load *x)
{
	return !x->complete || stop_now;
}

/* The merger: all of it again, each in place of the first; reused keys, other revisions. */
static void play_reissue(struct load *x)
{
	struct schedule_options o = x->w.schedule;

	x->drive.reissue_from = x->drive.ledger.cases_n;
	o.cases = x->drive.ledger.cases_n;
	x->complete = drive_phase(&x->drive, "re-issue", &o, (uint32_t)x->set.drain_s);
}

static void play_half_peak(struct load *x)
{
	const struct phase *p = &x->drive.phases[0];
	double peak = (double)p->cases / ((double)(p->stored_us - p->begin_us) / 1e6);
	struct schedule_options o = { .shape = SHAPE_CONSTANT, .poisson = true,
				      .seconds = x->w.half_peak_s, .seed = x->set.seed };

	o.cases = (uint64_t)(peak / 2 * o.seconds) + 1;
	x->complete = drive_phase(&x->drive, "half the peak", &o, (uint32_t)x->set.drain_s);
}

static void play_all(struct load *x)
{
	struct schedule_options o = x->w.schedule;
	struct schedule s;
	struct error e;

	o.seed = x->set.seed;
	if (schedule_init(&s, &o, &e) != ST_OK)
		abort();
	if (x->set.chaos || x->chaos.stop != NULL) {
		double long_s = s.long_s > 0 ? s.long_s : (double)s.cases / 1000 + 1;

		x->chaos.every_s = x->set.chaos ? long_s / (double)(x->set.kills + 1) : 0;
		if (x->chaos.every_s > 0 && x->chaos.every_s < 1.2)
			x->chaos.every_s = 1.2;
		chaos_begin(&x->chaos, drive_now(&x->drive), long_s);
	}
	schedule_free(&s);
	x->complete = drive_phase(&x->drive, x->w.name, &o, (uint32_t)x->set.drain_s);
	if (x->w.reissue && !is_over(x))
		play_reissue(x);
	else if (x->w.half_peak_s > 0 && !is_over(x))
		play_half_peak(x);
	chaos_end(&x->chaos);
	x->no_tick = true;
	if (x->to_terminal)
		fputc('\n', stderr);
}

/* ---- the proof ---- */

static enum status prove_all(struct load *x, struct error *e)
{
	struct fetch *f = &x->fetch;
	enum status st = ST_OK;

	x->drive.ending = true;
	submit_finish(&x->drive);
	if (x->chaos.kills + x->chaos.outages > 0)
		st = server_wait(&x->server, &x->set.engine, 60, e);
	if (st == ST_OK)
		st = fetch_again(f, AGAIN_MAX, e);
	if (st == ST_OK)
		st = fetch_registers(f, true, e);
	if (st == ST_OK)
		st = fetch_results(f, e);
	if (st == ST_OK) {
		prove_results(&x->drive.ledger, &x->proof);
		prove_numbers(&x->drive.ledger, &x->proof);
		st = fetch_lists(f, LISTS_MAX, e);
	}
	if (st == ST_OK)
		st = fetch_files(f, x->w.verify, e);
	return st;
}

static enum status report_all(struct load *x, struct run_report *r, struct error *e)
{
	struct measures m;
	enum status st = ST_OK;

	measures_take(&m, r);
	report_text(r, &m, stdout);
	if (x->set.json != NULL)
		st = report_json(r, &m, x->set.json, e);
	if (st == ST_OK && x->set.html != NULL)
		st = report_html(r, &m, x->set.html, e);
	if (st == ST_OK && x->set.hgrm != NULL)
		st = report_hgrm(r, x->set.hgrm, e);
	if (st == ST_OK && x->set.svg != NULL)
		st = report_svg(r, x->set.svg, e);
	return st;
}

static int tell(const struct load *x, const struct error *e)
{
	fprintf(stderr, "trien-load: %s\n", e->text);
	if (x->server.pid > 0 || x->set.start)
		fprintf(stderr, "trien-load: the engine's log is %s/engine.log\n", x->server.data);
	return 1;
}

static double engine_cpu_s(const struct process_watch *w)
{
	double sum = 0;

	for (uint32_t i = 0; i < w->rows_n; i++)
		sum += memory_is_engine(w->rows[i].name) ? w->rows[i].cpu_s : 0;
	return sum;
}

/* What the run was, in numbers; then the proof and the reports. */
static int conclude(struct load *x, struct host *host)
{
	const struct drive *d = &x->drive;
	const struct phase *last = &d->phases[d->phases_n - 1];
	struct run_report r = { .w = &x->w, .d = d, .proof = &x->proof, .watch = &x->watch,
				.chaos = &x->chaos, .fetch = &x->fetch, .host = *host,
				.stalls = x->stalls,
				.command = x->set.command, .door = x->set.door, .seed = x->set.seed,
				.run = (uint32_t)x->set.run, .complete = x->complete,
				.as_written = x->set.as_written };
	double check_s = (double)d->tally.check_us / 1e6, cpu_s;
	struct error e = { 0 };
	enum status st;

	x->fetch.mark_s = fmax(0.25, (double)drive_now(d) / 1e6 / (STORED_MARKS - 1));
	process_look(&x->watch, (double)drive_now(d) / 1e6, true);
	cpu_s = own_cpu_s(x);
	r.generator_s = cpu_s - x->cpu_begin_s - check_s;
	r.engine_s = engine_cpu_s(&x->watch);
	r.memory = memory_of(&x->watch, 0, (double)drive_now(d) / 1e6 + 1);
	r.memory_max_mb = x->set.memory_mb;
	r.written = process_written(&x->watch);
	if (host->flush_before_ms > 0)
		r.host.flush_after_ms = host_flush_ms(x->set.engine.data);
	cpu_s = own_cpu_s(x);
	r.load_s = (double)((last->stored_us > 0 ? last->stored_us : last->answered_us) -
			    d->phases[0].begin_us) / 1e6;
	if (d->fatal.code != 0) {
		failure_print("load", &d->fatal);
		return failure_exit(&d->fatal);
	}
	st = prove_all(x, &e);
	r.check_s = check_s + (double)x->fetch.check_us / 1e6;
	r.proof_s = own_cpu_s(x) - cpu_s - (double)x->fetch.check_us / 1e6;
	r.good = st == ST_OK && x->complete && prove_holds(&x->proof) && d->ledger.rejected == 0 &&
		 d->tally.downloads_bad == 0 && x->chaos.failed == 0 && !report_too_big(&r) &&
		 report_musts_kept(&r);
	if (st != ST_OK)
		tell(x, &e);
	st = report_all(x, &r, &e);
	if (st != ST_OK)
		return tell(x, &e);
	return r.good ? 0 : 1;
}

static enum status begin(struct load *x, struct error *e)
{
	enum status st = stencil_make(&x->stencils, &x->w, x->set.seed, (uint32_t)x->set.run, e);

	if (st == ST_OK && x->set.start)
		st = server_start(&x->server, &x->set.engine, e);
	if (st == ST_OK)
		st = rpc_open(&x->rpc, &x->set.engine, x->w.connections, e);
	if (st == ST_OK)
		st = drive_init(&x->drive, &x->w, x->stencils, x->rpc, x->set.seed, e);
	if (st != ST_OK)
		return st;
	x->drive.tick = tick;
	x->drive.tick_owner = x;
	x->drive.stop = &stop_now;
	if (x->server.pid > 0)
		process_watch_root(&x->watch, x->server.pid, NULL, false);
	else if (x->set.engine_pid > 0)
		process_watch_root(&x->watch, (pid_t)x->set.engine_pid, NULL, false);
	x->fetch = (struct fetch){ .d = &x->drive, .proof = &x->proof, .roots = x->roots,
				   .marks_n = STORED_MARKS };
	x->fetch.stored_per_mark = calloc(STORED_MARKS, sizeof(uint32_t));
	for (int i = 0; i < STAGES; i++)
		x->fetch.stage[i] = calloc(1, sizeof(struct histogram));
	st = fetch_registers(&x->fetch, false, e);
	process_zero(&x->watch);
	return st;
}

static void end(struct load *x)
{
	rpc_close(x->rpc);
	server_stop(&x->server);
	stalls_stop(x->stalls);
	drive_free(&x->drive);
	stencil_free(x->stencils);
	roots_free(x->roots);
	process_free(&x->watch);
	for (int i = 0; i < STAGES; i++)
		free(x->fetch.stage[i]);
	free(x->fetch.stored_per_mark);
}

static void set_up(struct load *x)
{
	struct settings *s = &x->set;

	x->server = (struct server){ .trien = s->trien, .data = s->engine.data,
				     .schemas = s->schemas, .algorithm = s->algorithm,
				     .door = s->door_of, .extra = s->extra,
				     .extra_n = s->extra_n };
	x->chaos = (struct chaos){ .server = &x->server, .watch = &x->watch,
				   .random = s->seed + 1, .kills_max = (uint32_t)s->kills,
				   .stop = s->stop, .start = s->start_again,
				   .away_s = (double)s->away_s, .next_kill_us = INT64_MAX,
				   .next_stop_us = INT64_MAX, .next_start_us = INT64_MAX };
	process_watch_root(&x->watch, getpid(), GENERATOR, true);
	if (s->run == 0)
		s->run = (uint64_t)time(NULL) % (STENCIL_RUN_MAX - 1) + 1;
	x->to_terminal = !s->quiet && isatty(STDERR_FILENO);
}

/* The process that the command line names, by its pid or by a file that holds it. */
static enum status watch_more(struct load *x, struct error *e)
{
	const struct settings *s = &x->set;
	bool good = true;

	if (s->process == NULL)
		return ST_OK;
	if (s->process_at[strspn(s->process_at, "0123456789")] == '\0')
		good = process_watch_root(&x->watch, atoi(s->process_at), s->process_name, false);
	else
		good = process_watch_file(&x->watch, s->process_at, s->process_name);
	return good ? ST_OK : error_set(e, ST_INVALID, "--process %s: no pid there", s->process);
}

/* Roots for the proof: those named, or those of an engine whose folder is here. */
static enum status take_roots(struct load *x, struct error *e)
{
	const char *trust = x->set.trust;
	char certs[500];
	enum status st = ST_OK;

	snprintf(certs, sizeof(certs), "%s/certs", x->set.engine.data);
	if (trust == NULL && access(certs, R_OK) == 0)
		trust = certs;
	if (trust != NULL && x->w.verify > 0)
		st = roots_load(&x->roots, trust, trust, e);
	x->fetch.roots = x->roots;
	return st;
}

int main(int argc, char **argv)
{
	static struct load x;
	struct error e = { 0 };
	struct host host;
	enum status st;
	int code = settings_read(&x.set, argc, argv);

	if (code >= 0)
		return code;
	/* Memory stays here between requests: giving it back and taking it again costs faults. */
	mallopt(M_TRIM_THRESHOLD, MALLOC_KEEP_BYTES);
	mallopt(M_MMAP_THRESHOLD, MALLOC_KEEP_BYTES);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	set_up(&x);
	st = watch_more(&x, &e);
	if (st == ST_OK)
		st = settings_apply(&x.set, &x.w, &e);
	if (st == ST_OK)
		st = begin(&x, &e);
	if (st == ST_OK)
		st = take_roots(&x, &e);
	/* Who has no right to it gets a report that says so. */
	if (st == ST_OK && stalls_start(&x.stalls, &e) != ST_OK)
		e = (struct error){ 0 };
	if (st == ST_OK) {
		host_look(&host, access(x.set.engine.data, W_OK) == 0 ? x.set.engine.data : NULL);
		/* The look at the disk is no part of the load. */
		x.cpu_begin_s = own_cpu_s(&x);
		play_all(&x);
		code = conclude(&x, &host);
	} else {
		fprintf(stderr, "trien-load: %s\n", e.text);
		code = st == ST_INVALID || st == ST_NOT_FOUND ? 2 : EX_UNAVAILABLE;
	}
	end(&x);
	return code;
}
