#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "load/memory.h"
#include "load/report.h"

static void put(struct measures *m, double value, const char *fmt, ...) printf_like(3, 4);

static void put(struct measures *m, double value, const char *fmt, ...)
{
	struct measure *at = &m->of[m->n];
	va_list args;

	if (m->n == MEASURES_MAX || !isfinite(value))
		return;
	va_start(args, fmt);
	vsnprintf(at->key, sizeof(at->key), fmt, args);
	va_end(args);
	at->value = value;
	m->n++;
}

static void put_latency(struct measures *m, const struct histogram *h, const char *phase,
			const char *name)
{
	static const struct { const char *name; double share; } at[] = {
		{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 }, { "max", 1 },
	};

	if (h->n == 0)
		return;
	put(m, (double)h->n, "%s%s.n", phase, name);
	put(m, histogram_mean(h) / 1e3, "%s%s.mean_ms", phase, name);
	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		if (at[i].share == 1 || histogram_carries(h, at[i].share))
			put(m, (double)histogram_at(h, at[i].share) / 1e3, "%s%s.%s_ms", phase,
			    name, at[i].name);
}

static void put_phase(struct measures *m, const struct run_report *r, const struct phase *p,
		      const char *prefix)
{
	int64_t end_us = p->stored_us > 0 ? p->stored_us : p->answered_us;
	double long_s = (double)(end_us - p->begin_us) / 1e6;
	struct stall_sum stalls;
	struct memory memory;

	put(m, (double)p->cases, "%scases", prefix);
	put(m, (double)p->results, "%sresults", prefix);
	put(m, long_s, "%sseconds", prefix);
	put(m, (double)p->cases / long_s, "%scases_per_s", prefix);
	put(m, (double)p->results / long_s, "%sresults_per_s", prefix);
	put_latency(m, p->corrected, prefix, "receipt");
	put_latency(m, p->raw, prefix, "receipt.raw");
	put_latency(m, p->stored, prefix, "stored");
	put_latency(m, p->visible, prefix, "visible");
	put(m, report_flushes(r, p->corrected, 0.99), "%sreceipt.p99_flushes", prefix);
	put(m, report_flushes(r, p->raw, 0.99), "%sreceipt.raw.p99_flushes", prefix);
	stalls = stalls_between(r->stalls, r->d->begin_us + p->begin_us, r->d->begin_us + end_us);
	put(m, stalls.share, "%sstalled.share", prefix);
	put(m, stalls.longest_ms, "%sstalled.longest_ms", prefix);
	memory = memory_of(r->watch, (double)p->begin_us / 1e6, (double)end_us / 1e6);
	put(m, memory.peak_mb, "%smemory.engine_mb", prefix);
	put(m, memory.growth, "%smemory.engine_growth", prefix);
	if (p->failed_rate > 0)
		put(m, p->failed_rate, "%sramp.failed_at_cases_per_s", prefix);
}

static void put_tally(struct measures *m, const struct run_report *r)
{
	static const char *const calls[CALL_KINDS] = { "batch", "stream", "case", "copy" };
	const struct tally *t = &r->d->tally;

	for (int k = 0; k < CALL_KINDS; k++) {
		put(m, (double)t->requests[k], "calls.%s", calls[k]);
		put(m, (double)t->cases[k], "calls.%s.cases", calls[k]);
	}
	put(m, (double)t->refused_calls, "refused.calls");
	put(m, (double)t->refused_cases, "refused.cases");
	put(m, (double)t->honoured_ms, "refused.honoured_ms");
	put(m, (double)t->broken_calls, "broken.calls");
	put(m, (double)t->lists, "lists");
	put(m, (double)t->lists_failed, "lists.failed");
	put(m, (double)t->downloads, "downloads");
	put(m, (double)t->downloads_early, "downloads.early");
	put(m, (double)t->downloads_failed, "downloads.failed");
	put(m, (double)t->downloads_bad, "downloads.bad");
	put(m, (double)t->download_bytes, "downloads.bytes");
	put(m, (double)t->reads_left_out, "reads.left_out");
	put(m, (double)t->probes, "visible.probes");
	put(m, (double)t->probes_lost, "visible.probes_lost");
	put_latency(m, t->list, "", "list");
	put_latency(m, t->list_raw, "", "list.raw");
	put_latency(m, t->download, "", "download");
	put_latency(m, t->download_raw, "", "download.raw");
}

static void put_proof(struct measures *m, const struct proof *p, const struct ledger *l)
{
	put(m, (double)p->cases, "proof.cases");
	put(m, (double)p->results, "proof.results");
	put(m, (double)p->stored, "proof.stored");
	put(m, (double)p->lost, "proof.lost");
	put(m, (double)p->duplicates, "proof.duplicates");
	put(m, (double)p->gaps, "proof.gaps");
	put(m, (double)p->differences, "proof.differences");
	put(m, (double)p->undecided, "proof.undecided");
	put(m, (double)l->rejected, "proof.rejected");
	put(m, (double)p->held, "proof.held");
	put(m, (double)p->void_n, "proof.void");
	put(m, (double)p->registers, "proof.registers");
	put(m, (double)p->numbers, "proof.numbers");
	put(m, (double)p->listed, "proof.listed");
	put(m, (double)(p->list_missing + p->list_twice), "proof.list_wrong");
	put(m, (double)p->files, "proof.files");
	put(m, (double)p->files_bad, "proof.files_bad");
	put(m, (double)p->file_bytes, "proof.file_bytes");
	put(m, (double)p->attached, "proof.attached");
	put(m, (double)p->resent, "proof.resent");
	put(m, (double)p->resent_differ, "proof.resent_differ");
}

static void put_costs(struct measures *m, const struct run_report *r)
{
	const struct process_watch *w = r->watch;
	double peak_kb = 0;

	put(m, r->generator_s, "cpu.generator_s");
	put(m, r->check_s, "cpu.verification_s");
	put(m, r->proof_s, "cpu.proof_s");
	if (w->rows_n == 0)
		return;
	put(m, r->engine_s, "cpu.engine_s");
	if (r->engine_s > 0)
		put(m, r->generator_s / r->engine_s, "cpu.generator_share");
	for (uint32_t i = 0; i < w->rows_n; i++) {
		put(m, w->rows[i].cpu_s, "process.%s.cpu_s", w->rows[i].name);
		put(m, (double)w->rows[i].pss_peak_kb / 1024, "process.%s.peak_mb",
		    w->rows[i].name);
		put(m, (double)w->rows[i].written, "process.%s.written_bytes", w->rows[i].name);
	}
	for (uint32_t i = 0; i < w->marks_n; i++) {
		double sum = 0;

		for (uint32_t k = 0; k < w->rows_n; k++)
			if (strcmp(w->rows[k].name, GENERATOR) != 0)
				sum += w->marks[i].pss_kb[k];
		peak_kb = fmax(peak_kb, sum);
	}
	put(m, peak_kb / 1024, "memory.peak_mb");
	put(m, (double)r->written, "written.bytes");
	if (r->proof->stored > 0)
		put(m, (double)r->written / (double)r->proof->stored, "written.bytes_per_result");
}

/* A disk that others use is not the same a minute later: what is divided by is the mean of both. */
static void put_host(struct measures *m, const struct host *h)
{
	put(m, h->cores, "host.cores");
	put(m, h->flush_before_ms, "host.flush_before_ms");
	put(m, h->flush_after_ms, "host.flush_after_ms");
	put(m, (h->flush_before_ms + h->flush_after_ms) / 2, "host.flush_ms");
}

void measures_take(struct measures *m, const struct run_report *r)
{
	static const char *const stages[STAGES] = { "sent", "accepted", "numbered", "stored" };
	const struct chaos *c = r->chaos;

	m->n = 0;
	put(m, r->good, "good");
	put(m, report_musts_kept(r), "musts.kept");
	put(m, r->load_s, "load.seconds");
	put_host(m, &r->host);
	for (uint32_t i = 0; i < r->d->phases_n; i++)
		put_phase(m, r, &r->d->phases[i], i == 0 ? "" : r->w->reissue ? "reissue." :
			  "half_peak.");
	put_tally(m, r);
	for (int i = 0; i < STAGES; i++)
		put_latency(m, r->fetch->stage[i], "stage.", stages[i]);
	put_proof(m, r->proof, &r->d->ledger);
	put_costs(m, r);
	put(m, c->kills, "chaos.kills");
	put(m, c->outages, "chaos.database_outages");
	put(m, c->failed, "chaos.failed_commands");
}

double measure_of(const struct measures *m, const char *key)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (strcmp(m->of[i].key, key) == 0)
			return m->of[i].value;
	return NAN;
}
