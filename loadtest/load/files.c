/* The files that the proof looks into, and the originals of copies. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/wire.h"
#include "load/attached.h"
#include "load/fetch.h"
#include "trien/v1/case.pb-c.h"

#define FILES_MIN 20

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

struct file { uint8_t *p; size_t n, max; };

static void take_chunk(void *owner, struct slice bytes)
{
	struct file *file = owner;
	struct wire w = wire_of(bytes);
	struct wire_field f;

	while (wire_next(&w, &f)) {
		if (f.number != 4 || file->n + f.bytes.n > VERIFY_FILE_BYTES_MAX)
			continue;
		while (file->n + f.bytes.n > file->max) {
			file->max = file->max > 0 ? 2 * file->max : 1 << 20;
			file->p = realloc(file->p, file->max);
			if (file->p == NULL)
				abort();
		}
		memcpy(file->p + file->n, f.bytes.p, f.bytes.n);
		file->n += f.bytes.n;
	}
}

static void restart_file(void *owner)
{
	((struct file *)owner)->n = 0;
}

/* The SHA-256 of the original that went out with that case. */
static void sent_original(const struct drive *d, uint32_t place, uint64_t *size,
			  uint8_t sha256[32])
{
	uint32_t serial = submit_serial(d, place);
	size_t n = stencil_original_size(d->stencils, serial);
	uint8_t *p = malloc(n);

	if (p == NULL)
		abort();
	stencil_original(d->stencils, serial, p);
	sha256_once(p, n, sha256);
	*size = n;
	free(p);
}

/* The original that is attached to a copy is the one that went out, byte for byte. */
static void check_attached(struct fetch *x, uint32_t result, const struct file *file)
{
	const struct ledger *l = &x->d->ledger;
	uint32_t place = ledger_case_of(l, result);
	struct slice attached;
	uint8_t sent[32], sha256[32];
	uint64_t size;

	if (l->cases[place].call != CALL_COPY)
		return;
	sent_original(x->d, place, &size, sent);
	attached = attached_original(slice_of(file->p, file->n));
	sha256_once(attached.p, attached.n, sha256);
	if (attached.n == size && memcmp(sha256, sent, sizeof(sent)) == 0) {
		x->proof->attached++;
		return;
	}
	x->proof->files_bad++;
	prove_example(x->proof, "file: %.26s has another original attached",
		      l->results[result].id);
}

static enum status check_file(struct fetch *x, uint32_t result, const struct file *file)
{
	const struct load_result *r = &x->d->ledger.results[result];
	int64_t before_us = cpu_us();
	struct report report = { .finding.verdict = VERDICT_PASSED };
	enum status st = ST_OK;
	uint8_t sha256[32];

	sha256_once(file->p, file->n, sha256);
	check_attached(x, result, file);
	if (x->roots != NULL)
		st = verify_document(x->roots, slice_of(file->p, file->n), &report);
	x->check_us += (uint64_t)(cpu_us() - before_us);
	x->proof->files++;
	x->proof->file_bytes += file->n;
	if (memcmp(sha256, r->found.sha256, sizeof(sha256)) != 0) {
		x->proof->files_bad++;
		prove_example(x->proof, "file: %.26s is not the one that was stored", r->id);
	} else if (report.finding.verdict != VERDICT_PASSED) {
		x->proof->files_bad++;
		prove_example(x->proof, "file: %.26s: %s %.90s", r->id,
			      verdict_name(report.finding.verdict), report.finding.why);
	}
	return st;
}

enum status fetch_files(struct fetch *x, double share, struct error *e)
{
	struct ledger *l = &x->d->ledger;
	double step = share * (double)l->results_n < FILES_MIN ?
		(double)l->results_n / FILES_MIN : 1 / share;
	struct file file = { 0 };
	struct ask a = { .take = take_chunk, .owner = &file };
	enum status st = ST_OK;

	if (step < 1)
		step = 1;
	for (double i = 0; i < (double)l->results_n && st == ST_OK && share > 0; i += step) {
		const struct load_result *r = &l->results[(uint64_t)i];
		uint8_t buf[STENCIL_ID_BYTES + 2];
		struct writer w = writer_of(buf, sizeof(buf));

		if (!r->is_found || r->found.state != TRIEN__V1__STATE__STORED)
			continue;
		put_slice(&w, 1, slice_of(r->id, STENCIL_ID_BYTES));
		st = fetch_call(x, RPC_SERVER_STREAM, REPOSITORY "DownloadResult",
				writer_slice(&w), &a, restart_file, e);
		if (st == ST_OK)
			st = check_file(x, (uint32_t)i, &file);
	}
	free(file.p);
	return st;
}
