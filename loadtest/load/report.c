#include "load/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

bool report_too_big(const struct run_report *r)
{
	return r->memory_max_mb > 0 && r->memory.peak_mb > (double)r->memory_max_mb;
}

double report_flushes(const struct run_report *r, const struct histogram *h, double share)
{
	double flush_ms = (r->host.flush_before_ms + r->host.flush_after_ms) / 2;

	return flush_ms > 0 && histogram_carries(h, share) ?
	       (double)histogram_at(h, share) / 1e3 / flush_ms : NAN;
}

/* A value that is NAN is above nothing. */
static struct must must_of(const struct run_report *r, const char *what, double value, double most)
{
	return (struct must){ what, value, most, !r->as_written || !(value > most) };
}

uint32_t report_musts(const struct run_report *r, struct must out[MUSTS_MAX])
{
	const struct workload *w = r->w;
	uint32_t n = 0;

	/* What is due at once waits in a queue: that says nothing of the journal. */
	for (uint32_t i = 0; w->must_p99_flushes > 0 && i < r->d->phases_n; i++)
		if (!r->d->phases[i].schedule.at_once)
			out[n++] = must_of(r, "p99 of receipts, in flushes of the journal",
					   report_flushes(r, r->d->phases[i].corrected, 0.99),
					   w->must_p99_flushes);
	if (w->must_generator_share > 0)
		out[n++] = must_of(r, "the generator's CPU, as a share of the engine's",
				   r->engine_s > 0 ? r->generator_s / r->engine_s : NAN,
				   w->must_generator_share);
	return n;
}

bool report_musts_kept(const struct run_report *r)
{
	struct must musts[MUSTS_MAX];
	uint32_t n = report_musts(r, musts);
	bool kept = true;

	for (uint32_t i = 0; i < n; i++)
		kept &= musts[i].kept;
	return kept;
}

void report_title(const struct run_report *r, char *out, size_t room)
{
	uint64_t played = r->w->schedule.cases, all = r->w->cases_of_file;

	if (played == all)
		snprintf(out, room, "%s", r->w->title);
	else
		snprintf(out, room, "%s (played: %" PRIu64 " instead of %" PRIu64 " cases)",
			 r->w->title, played, all);
}

static void latency_head(FILE *f)
{
	fprintf(f, "  %-34s %8s %10s %10s %10s %10s %10s\n", "ms", "n", "p50", "p90", "p99",
		"p99.9", "max");
}

static void latency_row(const struct measures *m, FILE *f, const char *title, const char *key)
{
	static const char *const columns[] = { "p50", "p90", "p99", "p999", "max" };
	char name[64];

	snprintf(name, sizeof(name), "%s.n", key);
	if (isnan(measure_of(m, name)))
		return;
	fprintf(f, "  %-34s %8.0f", title, measure_of(m, name));
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		snprintf(name, sizeof(name), "%s.%s_ms", key, columns[i]);
		/* So few values do not say it. */
		if (isnan(measure_of(m, name)))
			fprintf(f, " %10s", "-");
		else
			fprintf(f, " %10.1f", measure_of(m, name));
	}
	fputc('\n', f);
}

/* What is due at once waits in a queue: that says nothing of the journal. */
static void flushes_text(const struct measures *m, FILE *f, const struct phase *p,
			 const char *prefix)
{
	char key[80], raw[80];

	snprintf(key, sizeof(key), "%sreceipt.p99_flushes", prefix);
	snprintf(raw, sizeof(raw), "%sreceipt.raw.p99_flushes", prefix);
	if (!p->schedule.at_once)
		fprintf(f, "  p99 of receipts is %.0f times one flush of the journal; raw, %.0f "
			"times\n", measure_of(m, key), measure_of(m, raw));
}

static void stalls_text(const struct measures *m, FILE *f, const char *prefix)
{
	char share[80], longest[80];

	snprintf(share, sizeof(share), "%sstalled.share", prefix);
	snprintf(longest, sizeof(longest), "%sstalled.longest_ms", prefix);
	if (isnan(measure_of(m, share)))
		fprintf(f, "  whether the machine stood still is not known: that needs the right "
			"to real-time priority\n");
	else
		fprintf(f, "  the host took the cores away for %.1f %% of the time or more, "
			"%.0f ms at most\n", 100 * measure_of(m, share), measure_of(m, longest));
}

static void phase_text(const struct measures *m, FILE *f, const struct phase *p, const char *prefix)
{
	char key[80];

	snprintf(key, sizeof(key), "%sresults_per_s", prefix);
	fprintf(f, "\n%s: %" PRIu64 " cases, %" PRIu64 " results in %.1f s, %.0f results/s until "
		"stored\n", p->name, p->cases, p->results,
		(double)((p->stored_us > 0 ? p->stored_us : p->answered_us) - p->begin_us) / 1e6,
		measure_of(m, key));
	if (p->failed_rate > 0)
		fprintf(f, "the ramp failed at %.0f cases/s\n", p->failed_rate);
	latency_head(f);
	snprintf(key, sizeof(key), "%sreceipt", prefix);
	latency_row(m, f, "receipt, from when it was due", key);
	snprintf(key, sizeof(key), "%sreceipt.raw", prefix);
	latency_row(m, f, "receipt, raw: from when sent", key);
	snprintf(key, sizeof(key), "%sstored", prefix);
	latency_row(m, f, "stored, by the engine's clock", key);
	snprintf(key, sizeof(key), "%svisible", prefix);
	latency_row(m, f, "visible in the citizen's list", key);
	snprintf(key, sizeof(key), "%sreceipt.p99_flushes", prefix);
	if (!isnan(measure_of(m, key)))
		flushes_text(m, f, p, prefix);
	stalls_text(m, f, prefix);
	snprintf(key, sizeof(key), "%smemory.engine_mb", prefix);
	if (isnan(measure_of(m, key)))
		return;
	fprintf(f, "  memory of the engine (PSS of its processes): %.0f MB at most",
		measure_of(m, key));
	snprintf(key, sizeof(key), "%smemory.engine_growth", prefix);
	if (!isnan(measure_of(m, key)))
		fprintf(f, ", %.2f times as much in the later half as in the earlier",
			measure_of(m, key));
	fputc('\n', f);
}

static void reads_text(const struct run_report *r, const struct measures *m, FILE *f)
{
	const struct tally *t = &r->d->tally;

	if (t->lists + t->downloads > 0)
		fprintf(f, "\nreads, of the whole run\n");
	latency_row(m, f, "list, from when it was due", "list");
	latency_row(m, f, "list, raw", "list.raw");
	latency_row(m, f, "download, from when it was due", "download");
	latency_row(m, f, "download, raw", "download.raw");
	fprintf(f, "\nstages; from sent on by the engine's clock\n");
	latency_row(m, f, "due to sent", "stage.sent");
	latency_row(m, f, "sent to durable in the journal", "stage.accepted");
	latency_row(m, f, "durable to numbered", "stage.numbered");
	latency_row(m, f, "numbered to signed and stored", "stage.stored");
	fprintf(f, "\ncalls: SubmitBatch %" PRIu64 ", SubmitStream messages %" PRIu64
		", SubmitCase %" PRIu64 ", CertifyCopies %" PRIu64 ", lists %" PRIu64
		", downloads %" PRIu64 "\n",
		t->requests[CALL_BATCH], t->requests[CALL_STREAM], t->requests[CALL_CASE],
		t->requests[CALL_COPY], t->lists, t->downloads);
	fprintf(f, "refused and sent again: %" PRIu64 " calls, %" PRIu64 " cases, after %" PRIu64
		" ms as asked; broken off: %" PRIu64 "; reads that failed: %" PRIu64
		", too early: %" PRIu64 "\n", t->refused_calls, t->refused_cases, t->honoured_ms,
		t->broken_calls, t->lists_failed + t->downloads_failed, t->downloads_early);
}

static void costs_text(const struct run_report *r, const struct measures *m, FILE *f)
{
	const struct process_watch *w = r->watch;

	fprintf(f, "\n%-14s %12s %12s %14s\n", "process", "CPU s", "peak MB", "MB written");
	for (uint32_t i = 0; i < w->rows_n; i++)
		fprintf(f, "%-14s %12.2f %12.1f %14.1f\n", w->rows[i].name, w->rows[i].cpu_s,
			(double)w->rows[i].pss_peak_kb / 1024, (double)w->rows[i].written / 1e6);
	fprintf(f, "of the generator: load %.2f s, reading back %.2f s, verifying files %.2f s\n",
		r->generator_s, r->proof_s, r->check_s);
	if (r->engine_s > 0)
		fprintf(f, "the generator took %.1f %% of the engine's CPU\n",
			100 * r->generator_s / r->engine_s);
	if (r->chaos->kills + r->chaos->outages > 0)
		fprintf(f, "chaos: %u kills (all of it %u, engine %u, signer %u), %u outages of "
			"the database\n", r->chaos->kills, r->chaos->kills_whole,
			r->chaos->kills_engine, r->chaos->kills_signer, r->chaos->outages);
}

static void musts_text(const struct run_report *r, FILE *f)
{
	struct must musts[MUSTS_MAX];
	uint32_t n = report_musts(r, musts);

	for (uint32_t i = 0; i < n; i++) {
		const struct must *m = &musts[i];

		fprintf(f, "  must: %s: at most %.3g, ", m->what, m->most);
		if (isnan(m->value))
			fprintf(f, "was not measured\n");
		else
			fprintf(f, "is %.3g%s\n", m->value, !m->kept ? ": NOT KEPT" :
				r->as_written ? "" : "; not asked, as options change the workload");
	}
}

static void proof_text(const struct run_report *r, FILE *f)
{
	const struct proof *p = r->proof;

	fprintf(f, "\nproof: %" PRIu64 " results of %" PRIu64 " accepted cases, %" PRIu64
		" stored\n", p->results, p->cases, p->stored);
	fprintf(f, "  lost %" PRIu64 ", duplicates %" PRIu64 ", gaps %" PRIu64 ", differences %"
		PRIu64 ", undecided %" PRIu64 ", rejected %" PRIu64 "%s%s\n", p->lost,
		p->duplicates, p->gaps, p->differences, p->undecided, r->d->ledger.rejected,
		r->d->first_reject[0] != '\0' ? ": " : "", r->d->first_reject);
	fprintf(f, "  %" PRIu64 " numbers of %" PRIu64 " registers; %" PRIu64 " results in their "
		"holders' lists, %" PRIu64 " wrong; %" PRIu64 " files (%.0f MB) verified, %" PRIu64
		" bad; %" PRIu64 " sent again, %" PRIu64 " answered otherwise\n", p->numbers,
		p->registers, p->listed, p->list_missing + p->list_twice, p->files,
		(double)p->file_bytes / 1e6, p->files_bad, p->resent, p->resent_differ);
	if (r->d->tally.cases[CALL_COPY] > 0)
		fprintf(f, "  %" PRIu64 " certified copies; %" PRIu64 " of the files are such, and "
			"have the original attached that was sent\n",
			r->d->tally.cases[CALL_COPY], p->attached);
	for (uint32_t i = 0; i < p->examples_n; i++)
		fprintf(f, "  %s\n", p->examples[i]);
	if (report_too_big(r))
		fprintf(f, "  the engine took %.1f MB of memory, more than the %" PRIu64
			" allowed\n", r->memory.peak_mb, r->memory_max_mb);
	musts_text(r, f);
	if (!r->complete)
		fprintf(f, "  not all was decided and stored in time\n");
	fprintf(f, "%s\n", r->good ? "it holds: loss = duplicates = gaps = 0" : "IT DOES NOT HOLD");
}

void report_text(const struct run_report *r, const struct measures *m, FILE *f)
{
	static const char *const prefixes[DRIVE_PHASES_MAX] = { "", "half_peak." };

	char title[WORKLOAD_TEXT_MAX + 80];

	report_title(r, title, sizeof(title));
	fprintf(f, "%s: %s\n", r->w->name, title);
	fprintf(f, "%s\n%s, %u cores, %" PRIu64 " MB, %s; journal flush %.2f ms before, "
		"%.2f after; %s, %s, "
		"%u connections\n", r->command, r->host.cpu, r->host.cores, r->host.memory_mb,
		r->host.kernel, r->host.flush_before_ms, r->host.flush_after_ms, r->host.time,
		r->door, r->w->connections);
	for (uint32_t i = 0; i < r->d->phases_n; i++)
		phase_text(m, f, &r->d->phases[i], i > 0 && r->w->reissue ? "reissue." :
			   prefixes[i]);
	reads_text(r, m, f);
	costs_text(r, m, f);
	proof_text(r, f);
}

enum status report_json(const struct run_report *r, const struct measures *m, const char *path,
			struct error *e)
{
	json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "workload", r->w->name,
			      "title", r->w->title, "command", r->command, "time", r->host.time,
			      "cpu", r->host.cpu, "kernel", r->host.kernel, "door", r->door, "seed",
			      (json_int_t)r->seed, "run", (json_int_t)r->run);
	int rc;

	for (uint32_t i = 0; i < m->n; i++) {
		double v = m->of[i].value;

		json_object_set_new(j, m->of[i].key, v == floor(v) && fabs(v) < 1e15 ?
				    json_integer((json_int_t)v) : json_real(v));
	}
	rc = json_dump_file(j, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(j);
	return rc == 0 ? ST_OK : error_set(e, ST_IO, "%s cannot be written", path);
}

static enum status write_hgrm(const struct histogram *h, const char *path, const char *what,
			      struct error *e)
{
	char name[500];
	FILE *f;

	snprintf(name, sizeof(name), "%s.%s.hgrm", path, what);
	f = fopen(name, "we");
	if (f == NULL)
		return error_set(e, ST_IO, "%s: %s", name, strerror(errno));
	histogram_write(h, f);
	return fclose(f) == 0 ? ST_OK : error_set(e, ST_IO, "%s: %s", name, strerror(errno));
}

enum status report_hgrm(const struct run_report *r, const char *path, struct error *e)
{
	enum status st = write_hgrm(r->d->phases[0].corrected, path, "corrected", e);

	return st == ST_OK ? write_hgrm(r->d->phases[0].raw, path, "raw", e) : st;
}
