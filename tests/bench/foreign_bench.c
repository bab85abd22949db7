/*
 * foreign_bench [--json FILE] - what it takes to look into an original: the parsers alone, and the
 * whole way through trien-foreign, with a fork for each file: the wait, and its processor time. A
 * JPEG of 300 KB; a PDF of ten such pages; the rows of a deflated page of 3 MB, which are inflated
 * and counted.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "foreign/foreign.h"
#include "foreign/look.h"
#include "limits.h"

#define JPEG_BYTES (300 * 1024)
#define PAGES 10
#define SIDE 1000			/* samples of the deflated page: RGB, 3 MB */
#define BYTES_MAX (8 * 1024 * 1024)
#define TURNS 101
#define ARENA_BYTES (32 * 1024 * 1024)

struct file { const char *name; uint8_t *p; size_t n; };

static void die(const char *what)
{
	fprintf(stderr, "foreign_bench: %s\n", what);
	exit(1);
}

static void put(struct file *f, const void *p, size_t n)
{
	if (f->n + n > BYTES_MAX)
		die("a file is too large");
	memcpy(f->p + f->n, p, n);
	f->n += n;
}

#define PUT(f, s) put(f, s, sizeof(s) - 1)

static void text(struct file *f, const char *fmt, uint64_t a, uint64_t b)
{
	char line[512];

	snprintf(line, sizeof(line), fmt, (unsigned long long)a, (unsigned long long)b);
	put(f, line, strlen(line));
}

static uint8_t noise(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint8_t)(seed >> 56);
}

/* Markers of an A4 page at 200 dpi, and noise in which 0xFF is as frequent as in coded data. */
static void jpeg(struct file *f)
{
	size_t end = f->n + JPEG_BYTES;

	PUT(f, "\xFF\xD8\xFF\xDB\x00\x04qq\xFF\xC4\x00\x04hh\xFF\xC0\x00\x11\x08\x09\x24\x06\x76"
	    "\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xFF\xDA\x00\x0C\x03\x01\x00\x02\x11\x03\x11"
	    "\x00\x3F\x00");
	while (f->n < end - 3) {
		uint8_t b[2] = { noise(), 0 };

		put(f, b, b[0] == 0xFF ? 2 : 1);
	}
	PUT(f, "\xFF\xD9");
}

/* Pages of one image each; image: writes its dictionary's rest and its data. */
static void pdf(struct file *f, uint32_t pages, const char *dict, void (*image)(struct file *f))
{
	uint64_t at[3 * PAGES + 3], start;
	uint32_t n = 0;

	PUT(f, "%PDF-1.7\n");
	at[++n] = f->n;
	PUT(f, "1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n");
	at[++n] = f->n;
	PUT(f, "2 0 obj\n<< /Type /Pages /Kids [");
	for (uint32_t i = 0; i < pages; i++)
		text(f, "%llu 0 R ", 3 + 3 * i, 0);
	text(f, "] /Count %llu >>\nendobj\n", pages, 0);
	for (uint32_t i = 0; i < pages; i++) {
		struct file data = { NULL, malloc(BYTES_MAX), 0 };

		if (data.p == NULL)
			die("memory");
		image(&data);
		at[++n] = f->n;
		text(f, "%llu 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] ", n, 0);
		text(f, "/Contents %llu 0 R ", n + 1, 0);
		text(f, "/Resources << /XObject << /I %llu 0 R >> >> >>\n", n + 2, 0);
		PUT(f, "endobj\n");
		at[++n] = f->n;
		text(f, "%llu 0 obj\n<< /Length 28 >>\nstream\n", n, 0);
		PUT(f, "q 595 0 0 842 0 0 cm /I Do Q\nendstream\nendobj\n");
		at[++n] = f->n;
		text(f, "%llu 0 obj\n<< /Subtype /Image /Length %llu ", n, data.n);
		put(f, dict, strlen(dict));
		PUT(f, " >>\nstream\n");
		put(f, data.p, data.n);
		PUT(f, "\nendstream\nendobj\n");
		free(data.p);
	}
	start = f->n;
	text(f, "xref\n0 %llu\n0000000000 65535 f \n", n + 1, 0);
	for (uint32_t i = 1; i <= n; i++)
		text(f, "%010llu 00000 n \n", at[i], 0);
	text(f, "trailer\n<< /Size %llu /Root 1 0 R >>\nstartxref\n%llu\n%%%%EOF\n", n + 1, start);
}

static void rows(struct file *f)
{
	size_t n = (size_t)SIDE * SIDE * 3;
	uLongf got = BYTES_MAX;
	uint8_t *raw = malloc(n);

	if (raw == NULL)
		die("memory");
	/* As a photograph does, it gives deflate little. */
	for (size_t i = 0; i < n; i++)
		raw[i] = noise();
	if (compress2(f->p, &got, raw, n, 6) != Z_OK)
		die("deflate");
	f->n = got;
	free(raw);
}

static double now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *turns, int n)
{
	qsort(turns, (size_t)n, sizeof(turns[0]), ascending);
	return turns[n / 2];
}

static double alone(const struct file *f, struct arena *a)
{
	double turns[TURNS];

	for (int t = 0; t < TURNS; t++) {
		struct original o;
		struct detail d;

		arena_reset(a);
		turns[t] = now_us(CLOCK_THREAD_CPUTIME_ID);
		if (look_at(slice_of(f->p, f->n), false, a, &o, &d) != REASON_NONE ||
		    o.wrapped != ORIGINAL_REBUILT)
			die(d.text);
		turns[t] = now_us(CLOCK_THREAD_CPUTIME_ID) - turns[t];
	}
	return median(turns, TURNS);
}

/* The program that the engine starts, and the link to it. */
static pid_t process(struct foreign *link)
{
	const struct foreign_words words = { "warn", INSPECTION_CPU_S_MAX, NULL };
	int pair[2], program = open(PROGRAM, O_PATH | O_CLOEXEC);
	pid_t pid;

	if (program < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		die(PROGRAM);
	pid = fork();
	if (pid == 0) {
		/* Away from where the socket goes. */
		foreign_program_exec(fcntl(program, F_DUPFD_CLOEXEC, FOREIGN_SOCKET + 1), pair[1],
				     &words);
		_exit(1);
	}
	close(program);
	close(pair[1]);
	foreign_set(link, pair[0]);
	return pid;
}

/* Processor time of a process that looks n times, from its start to its end; the median wait. */
static double looked_us(struct foreign *link, const struct file *f, struct arena *a, int n,
			double *wait_us)
{
	struct foreign_file file = { .fd = memfd_create("original", MFD_CLOEXEC),
				     .size = (uint32_t)f->n };
	double turns[TURNS];
	struct rusage use;
	pid_t pid = process(link);

	if (file.fd < 0 || write(file.fd, f->p, f->n) != (ssize_t)f->n)
		die("memfd");
	for (int t = 0; t < n; t++) {
		struct foreign_verdict v;
		struct original o;

		arena_reset(a);
		turns[t] = now_us(CLOCK_MONOTONIC);
		if (foreign_inspect(link, &file, a, &o, &v) != ST_OK || v.why != REASON_NONE)
			die("the process does not answer so");
		turns[t] = now_us(CLOCK_MONOTONIC) - turns[t];
	}
	close(file.fd);
	foreign_set(link, -1);
	if (wait4(pid, NULL, 0, &use) != pid)
		die("wait4");
	*wait_us = median(turns, n);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
	struct file files[] = { { "jpeg_300kb", malloc(BYTES_MAX), 0 },
				{ "pdf_10_pages", malloc(BYTES_MAX), 0 },
				{ "pdf_flate_3mb", malloc(BYTES_MAX), 0 } };
	const char *json = argc == 3 && strcmp(argv[1], "--json") == 0 ? argv[2] : NULL;
	json_t *all = json_object();
	struct foreign *link;
	struct arena a;

	if (foreign_new(&link, -1, 0, NULL) != ST_OK || arena_init(&a, ARENA_BYTES) != ST_OK)
		die("memory");
	jpeg(&files[0]);
	pdf(&files[1], PAGES, "/Width 1654 /Height 2340 /BitsPerComponent 8 /ColorSpace /DeviceRGB "
	    "/Filter /DCTDecode", jpeg);
	pdf(&files[2], 1, "/Width 1000 /Height 1000 /BitsPerComponent 8 /ColorSpace /DeviceRGB "
	    "/Filter /FlateDecode", rows);
	printf("%-32s %12s %12s %12s %12s\n", "a look into an original", "KB", "parsers, us",
	       "process, us", "its CPU, us");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const char *const names[] = { "us", "process_us", "process_cpu_us" };
		double us[] = { alone(&files[i], &a), 0, 0 }, one, start;

		start = looked_us(link, &files[i], &a, 1, &one);
		us[2] = (looked_us(link, &files[i], &a, TURNS, &us[1]) - start) / (TURNS - 1);
		printf("%-32s %12zu %12.0f %12.0f %12.0f\n", files[i].name, files[i].n / 1024,
		       us[0], us[1], us[2]);
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			char key[64];

			snprintf(key, sizeof(key), "foreign.%s_%s", files[i].name, names[k]);
			json_object_set_new(all, key, json_real(us[k]));
		}
	}
	if (json != NULL && json_dump_file(all, json, JSON_INDENT(2)) != 0)
		die("the file cannot be written");
	return 0;
}
