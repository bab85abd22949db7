/*
 * journal_bench.c - the journal against fio: same folder, size of a write, depth and kind of write
 * (direct, dsync, into blocks written before), turn by turn in one run.
 *
 * journal_bench [--json FILE] [--dir FOLDER] [--rounds N]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include "base/frame.h"
#include "io/file.h"
#include "io/io.h"
#include "journal/journal.h"

#define RECORD_BYTES 3000u	/* a numbered case of one result, as the sample cases have it */
#define POOL_BYTES (256u * 1024 * 1024)
#define TURN_MS 300u	/* short turns, many of them: what else the machine does hits both */
#define ROUNDS_MAX 51

struct bench {
	char dir[256], file[300];
	struct io *io;
	struct error e;
};

struct sample { double batches_s, cpu_us; };

static void check(struct bench *b, enum status st, const char *what)
{
	if (st == ST_OK)
		return;
	fprintf(stderr, "journal_bench: %s: %s %s\n", what, status_name(st), b->e.text);
	exit(1);
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static enum status none(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
			struct error *e)
{
	return ST_OK;
}

static uint32_t batch_bytes(uint32_t records)
{
	return (uint32_t)frame_padded(FRAME_HEADER_BYTES +
				      records * (FRAME_RECORD_BYTES + RECORD_BYTES));
}

/* Last positions of the batches, in order; `first` is the oldest not yet acknowledged. */
#define FLIGHT_MAX (2 * JOURNAL_DEPTH_MAX + 1)
struct flight { uint64_t ends[FLIGHT_MAX]; uint32_t first, end; };

/* One batch, one write: the next is begun only when the last has left. false: no room just now. */
static bool batch_add(struct bench *b, struct journal *j, struct flight *f, uint32_t records,
		      const uint8_t *record)
{
	uint64_t pos = 0;

	if (journal_end(j) % FRAME_BLOCK_BYTES != FRAME_HEADER_BYTES)
		return false;
	for (uint32_t i = 0; i < records; i++) {
		struct slice payload = slice_of(record, RECORD_BYTES);
		enum status st;

		/* A batch that crosses into the next segment takes two buffers. */
		while ((st = journal_append(j, 2, payload, &pos)) == ST_FULL) {
			if (i == 0)
				return false;
			journal_pump(j);
			io_run(b->io, 100);
		}
		check(b, st, "append");
	}
	f->ends[f->end++ % FLIGHT_MAX] = pos;
	journal_pump(j);
	return true;
}

static void acknowledge(struct bench *b, struct journal *j, struct flight *f)
{
	uint64_t durable = journal_durable(j);

	while (f->first != f->end && f->ends[f->first % FLIGHT_MAX] < durable)
		f->first++;
	journal_release(j, durable);
	if (journal_failed(j, &b->e))
		check(b, b->e.status, "write");
}

static struct sample journal_turn(struct bench *b, uint32_t records, uint32_t depth)
{
	struct journal_config cfg = { .dir = b->dir, .segment_bytes = POOL_BYTES / 4, .slots = 4,
				      .depth = depth };
	struct journal *j;
	struct flight f = { .first = 0 };
	uint8_t record[RECORD_BYTES];
	uint64_t begin, now;
	double cpu, s;
	uint32_t done;

	for (uint32_t i = 0; i < sizeof(record); i++)
		record[i] = (uint8_t)(i * 131);
	check(b, journal_open(&j, b->io, &cfg, 0, none, NULL, &b->e), "open");
	journal_release(j, journal_durable(j));
	cpu = cpu_s();
	begin = io_boot_ns();
	do {
		while (batch_add(b, j, &f, records, record))
			;
		journal_pump(j);
		io_run(b->io, 100);
		journal_pump(j);
		io_run(b->io, 0);	/* on its way before the next batch is built */
		acknowledge(b, j, &f);
		now = io_boot_ns();
	} while (now - begin < TURN_MS * 1000000ull);
	done = f.first;
	s = (double)(now - begin) / 1e9;
	cpu = cpu_s() - cpu;
	journal_close(j);
	return (struct sample){ done / s, cpu * 1e6 / done };
}

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* false: fio is not here, or gave no figure. */
static bool fio_turn(struct bench *b, uint32_t records, uint32_t depth, struct sample *out)
{
	char command[800];
	FILE *p;
	json_t *root, *job, *w;

	snprintf(command, sizeof(command), "fio --output-format=json --name=journal --filename=%s "
		 "--size=%u --bs=%u --rw=write --direct=1 --sync=dsync --ioengine=io_uring "
		 "--iodepth=%u --time_based --runtime=%ums --fallocate=none 2>/dev/null",
		 b->file, POOL_BYTES, batch_bytes(records), depth, TURN_MS);
	p = popen(command, "r");
	root = p != NULL ? json_loadf(p, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	if (p != NULL)
		pclose(p);
	job = json_array_get(json_object_get(root, "jobs"), 0);
	w = json_object_get(job, "write");
	*out = (struct sample){ .batches_s = number(w, "iops") };
	if (out->batches_s > 0)
		out->cpu_us = (number(job, "usr_cpu") + number(job, "sys_cpu")) * 1e4 /
			      out->batches_s;
	json_decref(root);
	return out->batches_s > 0;
}

/* As the journal's pool: written once, so that later writes find their blocks. */
static void file_fill(struct bench *b)
{
	static const uint8_t zeros[1024 * 1024];
	FILE *f = fopen(b->file, "w");

	for (uint32_t i = 0; f != NULL && i < POOL_BYTES / sizeof(zeros); i++)
		if (fwrite(zeros, 1, sizeof(zeros), f) != sizeof(zeros))
			break;
	if (f == NULL || fflush(f) != 0 || fsync(fileno(f)) != 0 || fclose(f) != 0) {
		perror(b->file);
		exit(1);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* One row; the ratio, or 0 without fio. */
static double row(struct bench *b, uint32_t records, uint32_t depth, uint32_t rounds)
{
	double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX], cpu[ROUNDS_MAX];
	double m;

	for (uint32_t i = 0; i < rounds; i++) {
		struct sample j, f;

		/* Each goes first in every other round. */
		if (i % 2 == 0)
			j = journal_turn(b, records, depth);
		if (!fio_turn(b, records, depth, &f))
			return 0;
		if (i % 2 != 0)
			j = journal_turn(b, records, depth);
		ours[i] = j.batches_s;
		cpu[i] = j.cpu_us;
		theirs[i] = f.batches_s;
		ratio[i] = j.batches_s / f.batches_s;
	}
	m = median(ours, rounds);
	printf("%8u %9u %6u %10.0f %11.0f %8.0f %10.0f %7.2f\n", records, batch_bytes(records),
	       depth, m, m * records, median(cpu, rounds), median(theirs, rounds),
	       median(ratio, rounds));
	fflush(stdout);
	return median(ratio, rounds);
}

static void files_remove(struct bench *b)
{
	char path[300];

	unlink(b->file);
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/slot-%04d", b->dir, i);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/lock", b->dir);
	unlink(path);
	rmdir(b->dir);
}

static void measure(struct bench *b, uint32_t rounds, const char *json)
{
	static const uint32_t sizes[] = { 1, 16, 128 };
	double worst = 0;
	json_t *out = json_object();

	printf("journal: records of %u bytes, %s, direct dsync; medians of %u rounds\n",
	       RECORD_BYTES, io_name(b->io), rounds);
	printf("%8s %9s %6s %10s %11s %8s %10s %7s\n", "records", "bytes", "depth", "batches/s",
	       "records/s", "CPU µs", "fio/s", "ratio");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		double ratio = row(b, sizes[i], JOURNAL_DEPTH_MAX, rounds);

		if (ratio == 0) {
			printf("fio cannot be run here: skipped\n");
			break;
		}
		if (worst == 0 || ratio < worst)
			worst = ratio;
	}
	printf("journal.fio_ratio %.2f (the least of them; must be 0.85)\n", worst);
	if (worst > 0)
		json_object_set_new(out, "journal.fio_ratio", json_real(worst));
	if (json != NULL && json_dump_file(out, json, JSON_INDENT(1) | JSON_REAL_PRECISION(4)) != 0)
		fprintf(stderr, "journal_bench: cannot write %s\n", json);
	json_decref(out);
}

int main(int argc, char **argv)
{
	const char *json = NULL, *base = getenv("TMPDIR");
	uint32_t rounds = 11;
	struct bench b = { .io = NULL };

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--json") == 0)
			json = argv[i + 1];
		else if (strcmp(argv[i], "--dir") == 0)
			base = argv[i + 1];
		else if (strcmp(argv[i], "--rounds") == 0)
			rounds = (uint32_t)atoi(argv[i + 1]);
	}
	if (rounds < 3 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "journal_bench: 3 to %d rounds\n", ROUNDS_MAX);
		return 2;
	}
	snprintf(b.dir, sizeof(b.dir), "%s/trien-bench-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(b.dir) == NULL) {
		perror(b.dir);
		return 1;
	}
	snprintf(b.file, sizeof(b.file), "%s/fio", b.dir);
	check(&b, io_new(&b.io, IO_AUTO, 16, &b.e), "io");
	file_fill(&b);
	measure(&b, rounds, json);
	io_free(b.io);
	files_remove(&b);
	return 0;
}
