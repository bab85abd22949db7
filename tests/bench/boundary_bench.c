/*
 * boundary_bench.c - the gRPC boundary under mTLS: CPU of the server's process per case, from the
 * socket to the reply: TLS, HTTP/2, decode, authorise, schema, NFC and glyphs, canonical form,
 * digest and keys, hand-over, receipts. Storage and signing are not in it (DESIGN 10).
 *
 * boundary_bench [--json FILE] [--rounds N]
 *
 * Cases: those of loadtest/cases/demo.jsonl that are NFC: its marital-status certificates alone
 * (boundary.cases_per_cpu_s, which gates), and the whole mix with its tables and several holders.
 * Variants run turn by turn in one run.
 */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"
#include "base/wire.h"
#include "boundary_server.h"
#include "cli/caselines.h"
#include "intake/raw.h"
#include "signer/devca.h"
#include "tmpdir.h"

#define CHANNELS 2
#define OUTSTANDING 8
#define TURN_MS 400
#define ROUNDS_MAX 64
#define CASES_MAX 4096
#define BATCHES_MAX 64
#define ONE "marital status, 12 fields"
#define MIX "the mix of a one-stop unit"
#define ONE_KIND "xac-nhan-tinh-trang-hon-nhan"

struct corpus { uint32_t n; struct slice cases[CASES_MAX]; size_t bytes; };

struct variant {
	const char *name, *key;
	const struct corpus *corpus;
	uint32_t batch;
	grpc_slice requests[BATCHES_MAX];
	uint32_t requests_n;
	double rate[ROUNDS_MAX];	/* cases a CPU-second */
};

struct bench {
	struct boundary_server server;
	grpc_completion_queue *cq;
	grpc_channel *channels[CHANNELS];
	struct error e;
};

static void check(const struct bench *b, enum status st, const char *what)
{
	if (st == ST_OK)
		return;
	fprintf(stderr, "boundary_bench: %s: %s %s\n", what, status_name(st), b->e.text);
	exit(1);
}

/* ---- cases ---- */

static bool is_nfc(struct slice s, struct arena *a)
{
	struct raw_case raw;
	struct refusal why;
	struct slice nfc;

	arena_reset(a);
	if (raw_read(&raw, s, a, &why) != ST_OK)
		return false;
	for (uint32_t r = 0; r < raw.results_n; r++) {
		for (uint32_t i = 0; i < raw.results[r].fields_n; i++) {
			const struct raw_field *f = &raw.results[r].fields[i];

			/* As it came: nothing had to be composed. */
			if (f->type == FIELD_TEXT &&
			    (utf8_nfc(f->text, a, &nfc) != ST_OK || nfc.p != f->text.p))
				return false;
		}
	}
	return true;
}

static void corpus_add(struct corpus *c, struct slice s)
{
	if (c->n == CASES_MAX)
		return;
	c->cases[c->n++] = s;
	c->bytes += s.n;
}

static void read_cases(struct bench *b, struct corpus *mix, struct corpus *one)
{
	struct cases lines;
	struct arena scratch;
	Trien__V1__Case *c;
	enum status st;

	check(b, arena_init(&scratch, 8 << 20), "scratch");
	check(b, cases_open(&lines, SOURCE_DIR "/loadtest/cases/demo.jsonl", &b->e), "cases");
	while ((st = cases_next(&lines, &c, &b->e)) == ST_OK) {
		size_t n = trien__v1__case__get_packed_size(c);
		uint8_t *p = malloc(n);
		struct slice s = slice_of(p, n);

		trien__v1__case__pack(c, p);
		if (is_nfc(s, &scratch)) {
			corpus_add(mix, s);
			if (c->n_results == 1 && strcmp(c->results[0]->kind, ONE_KIND) == 0)
				corpus_add(one, s);
		}
		trien__v1__case__free_unpacked(c, NULL);
	}
	cases_close(&lines);
	arena_free(&scratch);
	check(b, st == ST_NOT_FOUND ? ST_OK : st, "cases");
}

/* Requests that go through the corpus in turn. */
static void make_requests(struct variant *v)
{
	uint32_t at = 0;

	v->requests_n = 2 * v->corpus->n / v->batch + 1;
	if (v->requests_n > BATCHES_MAX)
		v->requests_n = BATCHES_MAX;
	for (uint32_t i = 0; i < v->requests_n; i++) {
		uint8_t *buf = malloc(REQUEST_BYTES_MAX);
		struct writer w = writer_of(buf, REQUEST_BYTES_MAX);

		for (uint32_t k = 0; k < v->batch; k++)
			put_slice(&w, 1, v->corpus->cases[at++ % v->corpus->n]);
		v->requests[i] = grpc_slice_from_static_buffer(buf, writer_size(&w));
	}
}

/* ---- the client ---- */

static char *read_text(const char *dir, const char *name)
{
	char path[400];
	char *text = calloc(1, 65536);
	FILE *f;

	snprintf(path, sizeof(path), "%s/tls/%s", dir, name);
	f = fopen(path, "r");
	if (f == NULL || fread(text, 1, 65535, f) == 0)
		exit(1);
	fclose(f);
	return text;
}

static void connect_all(struct bench *b, const char *dir)
{
	grpc_ssl_pem_key_cert_pair pair = {
		read_text(dir, "client-" BOUNDARY_PRINCIPAL ".key"),
		read_text(dir, "client-" BOUNDARY_PRINCIPAL ".pem") };
	char target[64];

	snprintf(target, sizeof(target), "127.0.0.1:%u", b->server.port);
	b->cq = grpc_completion_queue_create_for_next(NULL);
	for (int i = 0; i < CHANNELS; i++) {
		grpc_arg arg = { .type = GRPC_ARG_INTEGER,
				 .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
				 .value.integer = 1 };
		grpc_channel_args args = { 1, &arg };
		grpc_channel_credentials *creds =
			grpc_ssl_credentials_create(read_text(dir, "ca.pem"), &pair, NULL, NULL);

		b->channels[i] = grpc_channel_create(target, creds, &args);
		grpc_channel_credentials_release(creds);
	}
}

struct call {
	grpc_call *grpc;
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *sent, *received;
	grpc_status_code code;
	grpc_slice message;
};

static void call_start(struct bench *b, struct call *c, int channel, grpc_slice request)
{
	grpc_op ops[6] = { { 0 } };

	*c = (struct call){ 0 };
	c->grpc = grpc_channel_create_call(
		b->channels[channel], NULL, GRPC_PROPAGATE_DEFAULTS, b->cq,
		grpc_slice_from_static_string("/trien.v1.Issuance/SubmitBatch"), NULL,
		gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
	c->sent = grpc_raw_byte_buffer_create(&request, 1);
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = c->sent;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
	ops[4].op = GRPC_OP_RECV_MESSAGE;
	ops[4].data.recv_message.recv_message = &c->received;
	ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[5].data.recv_status_on_client.trailing_metadata = &c->trailing;
	ops[5].data.recv_status_on_client.status = &c->code;
	ops[5].data.recv_status_on_client.status_details = &c->message;
	if (grpc_call_start_batch(c->grpc, ops, 6, c, NULL) != GRPC_CALL_OK)
		abort();
}

/* Cases taken, from the reply's last member; the first reject is told. */
static uint32_t accepted(grpc_byte_buffer *reply)
{
	grpc_byte_buffer_reader r;
	grpc_slice whole;
	struct wire_field f = { 0 };
	struct wire w;
	uint32_t n = 0;

	if (!grpc_byte_buffer_reader_init(&r, reply))
		return 0;
	whole = grpc_byte_buffer_reader_readall(&r);
	grpc_byte_buffer_reader_destroy(&r);
	w = wire_of(slice_of(GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole)));
	while (wire_next(&w, &f)) {
		if (f.number == 3)
			n = (uint32_t)f.value;
		if (f.number == 2 && n == 0) {
			fprintf(stderr, "boundary_bench: reject: %.*s\n", (int)f.bytes.n,
				f.bytes.p);
			break;
		}
	}
	grpc_slice_unref(whole);
	return n;
}

static void call_end(struct call *c, uint32_t cases)
{
	if (c->code != GRPC_STATUS_OK || c->received == NULL || accepted(c->received) != cases) {
		fprintf(stderr, "boundary_bench: call failed: %d %.*s\n", (int)c->code,
			(int)GRPC_SLICE_LENGTH(c->message), GRPC_SLICE_START_PTR(c->message));
		exit(1);
	}
	grpc_byte_buffer_destroy(c->sent);
	grpc_byte_buffer_destroy(c->received);
	grpc_metadata_array_destroy(&c->initial);
	grpc_metadata_array_destroy(&c->trailing);
	grpc_slice_unref(c->message);
	grpc_call_unref(c->grpc);
}

static double wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* One turn: cases a CPU-second of the server. */
static double turn(struct bench *b, struct variant *v, uint32_t turn_ms)
{
	struct call calls[OUTSTANDING];
	double end = wall_ms() + turn_ms, cpu = boundary_cpu_us(&b->server);
	uint64_t cases = 0;
	uint32_t next = 0, out = 0;

	for (; out < OUTSTANDING; out++)
		call_start(b, &calls[out], (int)(out % CHANNELS),
			   v->requests[next++ % v->requests_n]);
	while (out > 0) {
		grpc_event ev = grpc_completion_queue_next(
			b->cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
		struct call *c = ev.tag;

		call_end(c, v->batch);
		cases += v->batch;
		if (wall_ms() < end)
			call_start(b, c, (int)((c - calls) % CHANNELS),
				   v->requests[next++ % v->requests_n]);
		else
			out--;
	}
	return (double)cases / (boundary_cpu_us(&b->server) - cpu) * 1e6;
}

/* ---- report ---- */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(struct variant *v, uint32_t rounds, json_t *out)
{
	double median;
	char key[80];

	qsort(v->rate, rounds, sizeof(v->rate[0]), ascending);
	median = v->rate[rounds / 2];
	printf("%-34s %6u %8zu %12.0f %12.0f %10.2f\n", v->name, v->batch,
	       v->corpus->bytes / v->corpus->n, median, v->rate[rounds - 1 - rounds / 4],
	       1e6 / median);
	snprintf(key, sizeof(key), "boundary.%scases_per_cpu_s", v->key);
	json_object_set_new(out, key, json_real(median));
}

static void run(struct bench *b, struct variant *variants, size_t n, uint32_t rounds,
		const char *json)
{
	json_t *out = json_object();

	for (size_t i = 0; i < n; i++) {
		make_requests(&variants[i]);
		turn(b, &variants[i], 100);
	}
	for (uint32_t r = 0; r < rounds; r++)
		for (size_t i = 0; i < n; i++)
			variants[i].rate[r] = turn(b, &variants[i], TURN_MS);
	printf("%-34s %6s %8s %12s %12s %10s\n", "mTLS, server process", "batch", "B/case",
	       "cases/CPU-s", "best quarter", "us/case");
	for (size_t i = 0; i < n; i++)
		report(&variants[i], rounds, out);
	if (json != NULL && json_dump_file(out, json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0)
		fprintf(stderr, "boundary_bench: %s cannot be written\n", json);
	json_decref(out);
}

int main(int argc, char **argv)
{
	static struct corpus mix, one;
	static struct variant variants[] = {
		{ .name = ONE, .key = "", .corpus = &one, .batch = 100 },
		{ .name = ONE, .key = "batch250.", .corpus = &one, .batch = 250 },
		{ .name = MIX, .key = "mix.", .corpus = &mix, .batch = 100 },
		{ .name = MIX, .key = "mix.batch250.", .corpus = &mix, .batch = 250 },
	};
	const char *json = NULL;
	uint32_t rounds = 15;
	struct bench b = { 0 };
	struct devca_config cfg = { .algorithm = ALG_P256, .now_ms = (int64_t)time(NULL) * 1000,
				    .crl_days = 1 };
	struct devca *ca;
	struct tmpdir dir;
	char data[300];

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--json") == 0)
			json = argv[i + 1];
		else if (strcmp(argv[i], "--rounds") == 0)
			rounds = (uint32_t)atoi(argv[i + 1]);
	}
	if (rounds == 0 || rounds > ROUNDS_MAX || tmpdir_make(&dir) != 0) {
		fprintf(stderr, "boundary_bench [--json FILE] [--rounds 1…%d]\n", ROUNDS_MAX);
		return 2;
	}
	snprintf(data, sizeof(data), "%s/data", dir.path);
	cfg.data = data;
	check(&b, devca_new(&ca, &cfg, &b.e), "devca");
	check(&b, devca_server(ca, &b.e), "devca");
	check(&b, devca_client(ca, BOUNDARY_PRINCIPAL, &b.e), "devca");
	devca_free(ca);
	read_cases(&b, &mix, &one);
	check(&b, boundary_start(&b.server, data, SOURCE_DIR "/schemas", &b.e), "server");
	grpc_init();
	connect_all(&b, data);
	run(&b, variants, ARRAY_LEN(variants), rounds, json);
	for (int i = 0; i < CHANNELS; i++)
		grpc_channel_destroy(b.channels[i]);
	boundary_stop(&b.server);
	tmpdir_remove(&dir);
	return 0;
}
