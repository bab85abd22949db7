#include <grpc/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/hash.h"
#include "cli/cli.h"
#include "cli/sign.h"
#include "client/protojson.h"

#define TRIES_MAX 20			/* of a call that may be repeated */
#define WAIT_MS 500

/* ---- opening ---- */

struct chosen { char **ids; size_t n; };

static void choose(void *owner, const Trien__V1__Waiting *w)
{
	struct chosen *c = owner;

	if (c->n < SESSION_ITEMS_MAX)
		c->ids[c->n++] = strdup(w->result_id);
}

static void print_warnings(const Trien__V1__Session *a)
{
	for (size_t i = 0; i < a->n_warnings; i++)
		fprintf(stderr, "warning: %u of %u documents cannot be signed%s: %s %s\n",
			a->warnings[i]->items, a->items,
			a->warnings[i]->later ? " any more when the session ends" : "",
			a->warnings[i]->reason, a->warnings[i]->message_en);
}

/* The new session; NULL: *code says why. */
static Trien__V1__Session *open_session(struct sign *s, char **ids, int n, int *code)
{
	Trien__V1__OpenSessionRequest q = TRIEN__V1__OPEN_SESSION_REQUEST__INIT;
	struct chosen all = { .ids = calloc(SESSION_ITEMS_MAX, sizeof(char *)) };
	Trien__V1__Session *a = NULL;
	struct failure f = { 0 };

	*code = all.ids == NULL ? EX_OSERR : s->all ? sign_each(s, choose, &all) : 0;
	q.signer = (char *)s->signer;
	q.result_ids = s->all ? all.ids : ids;
	q.n_result_ids = s->all ? all.n : (size_t)n;
	q.ttl_seconds = (uint32_t)s->ttl_s;
	if (*code == 0 && q.n_result_ids == 0) {
		fprintf(stderr, "nothing waits\n");
	} else if (*code == 0) {
		a = (void *)client_call(s->client, SIGNING "OpenSession", &q.base,
					&trien__v1__session__descriptor, &f);
		if (a == NULL)
			*code = sign_failed(&f);
		else
			print_warnings(a);
	}
	for (size_t i = 0; i < all.n; i++)
		free(all.ids[i]);
	free(all.ids);
	return a;
}

/* ---- the manifest ---- */

static bool put_item(struct session *s, uint32_t i, const Trien__V1__ManifestItem *m)
{
	struct session_item *item = &s->items[i];

	if (!id_read(item->result_id, slice_str(m->result_id)) ||
	    m->case_sha256.len != SHA256_BYTES || m->preview_sha256.len != SHA256_BYTES ||
	    strlen(m->unit) > CODE_BYTES_MAX || strlen(m->kind) > CODE_BYTES_MAX)
		return false;
	memcpy(item->case_sha256, m->case_sha256.data, SHA256_BYTES);
	memcpy(item->preview_sha256, m->preview_sha256.data, SHA256_BYTES);
	memcpy(item->unit, m->unit, strlen(m->unit));
	memcpy(item->kind, m->kind, strlen(m->kind));
	return true;
}

/* Made here again from what is shown: the hash is of that and of nothing else. */
static bool manifest_holds(const Trien__V1__Session *a, const Trien__V1__Manifest *m)
{
	size_t room = MANIFEST_BYTES_MAX((uint32_t)m->n_items);
	uint8_t *bytes = malloc(room), digest[SHA256_BYTES];
	struct session *s = session_new((uint32_t)m->n_items);
	struct writer w = writer_of(bytes, bytes != NULL ? room : 0);
	bool ok = bytes != NULL && s != NULL && strlen(a->signer) <= CODE_BYTES_MAX &&
		  id_read(s->id, slice_str(a->session_id));

	for (uint32_t i = 0; ok && i < s->items_n; i++)
		ok = put_item(s, i, m->items[i]);
	if (ok) {
		memcpy(s->signer, a->signer, strlen(a->signer));
		session_manifest(s, &w);
		sha256_once(bytes, writer_size(&w), digest);
		ok = !w.bad && slice_eq(writer_slice(&w),
					slice_of(m->canonical.data, m->canonical.len)) &&
		     slice_eq(slice_of(digest, SHA256_BYTES),
			      slice_of(m->manifest_sha256.data, m->manifest_sha256.len));
	}
	session_free(s);
	free(bytes);
	return ok;
}

static Trien__V1__Manifest *get_manifest(struct sign *s, const Trien__V1__Session *a, int *code)
{
	Trien__V1__GetManifestRequest q = TRIEN__V1__GET_MANIFEST_REQUEST__INIT;
	Trien__V1__Manifest *m;
	struct failure f;

	q.session_id = a->session_id;
	m = (void *)client_call(s->client, SIGNING "GetManifest", &q.base,
				&trien__v1__manifest__descriptor, &f);
	if (m == NULL) {
		*code = sign_failed(&f);
		return NULL;
	}
	if (manifest_holds(a, m))
		return m;
	fprintf(stderr, "trien sign: the manifest's hash is not that of what it lists\n");
	*code = EX_DATAERR;
	trien__v1__manifest__free_unpacked(m, NULL);
	return NULL;
}

static void hash_text(char out[2 * SHA256_BYTES + 1], const Trien__V1__Manifest *m)
{
	hex_lower(out, m->manifest_sha256.data, SHA256_BYTES);
	out[2 * SHA256_BYTES] = '\0';
}

static void print_manifest(const Trien__V1__Session *a, const Trien__V1__Manifest *m)
{
	char hash[2 * SHA256_BYTES + 1];

	hash_text(hash, m);
	for (size_t i = 0; i < m->n_items; i++) {
		printf("%4zu  ", i + 1);
		sign_print(m->items[i]->result_id, m->items[i]->kind, m->items[i]->waiting);
	}
	printf("session %s, signer %s, %zu documents\nmanifest SHA-256 %s\n", a->session_id,
	       a->signer, m->n_items, hash);
}

int sign_open(struct sign *s, char **ids, int n)
{
	int code = 0;
	Trien__V1__Session *a = open_session(s, ids, n, &code);
	Trien__V1__Manifest *m = a != NULL ? get_manifest(s, a, &code) : NULL;

	if (m != NULL && s->json)
		json_print(protojson_write(&a->base));
	else if (m != NULL)
		print_manifest(a, m);
	if (m != NULL)
		trien__v1__manifest__free_unpacked(m, NULL);
	if (a != NULL)
		trien__v1__session__free_unpacked(a, NULL);
	return code;
}

/* ---- outcomes ---- */

struct following {
	struct sign *s;
	const char *session, *signer;
	bool hinted;
	uint64_t cursor;
	json_t *outcomes;		/* --json */
	/* One a document: its last state, and whether it was approved. */
	uint8_t state[SESSION_ITEMS_MAX];
	bool told[SESSION_ITEMS_MAX], approved[SESSION_ITEMS_MAX];
	uint32_t items_n;
};

static void take_outcome(struct following *f, const Trien__V1__WatchSessionResponse *m)
{
	const ProtobufCEnumValue *state =
		protobuf_c_enum_descriptor_get_value(&trien__v1__state__descriptor, m->state);

	f->cursor = m->cursor;
	if (m->index < SESSION_ITEMS_MAX) {
		f->state[m->index] = (uint8_t)m->state;
		f->approved[m->index] = m->approved;
		f->told[m->index] = true;
	}
	if (f->outcomes != NULL) {
		json_array_append_new(f->outcomes, protojson_write(&m->base));
		return;
	}
	printf("%4u  %s  %-18s  %s%s%s%s\n", m->index + 1, m->result_id,
	       m->approved ? state != NULL ? state->name : "?" : "NOT APPROVED", m->number_text,
	       m->reason, m->reason[0] != '\0' ? ": " : "", m->message_en);
	fflush(stdout);
}

/* Nothing moves by itself any more: stored, void, not approved, or held. */
static bool at_rest(const struct following *f)
{
	for (uint32_t i = 0; i < f->items_n; i++)
		if (!f->told[i] ||
		    (f->approved[i] && f->state[i] != TRIEN__V1__STATE__STORED &&
		     f->state[i] != TRIEN__V1__STATE__VOID &&
		     f->state[i] != TRIEN__V1__STATE__HELD))
			return false;
	return f->items_n > 0;
}

static uint32_t unsigned_n(const struct following *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->items_n; i++)
		n += f->told[i] && f->approved[i] &&
		     f->state[i] == TRIEN__V1__STATE__AWAITING_SIGNATURE;
	return n;
}

#define HINT_S 5

/* Who waits for a token on his own desk should know it. Once: a bridge shows the rest. */
static void hint(struct following *f)
{
	Trien__V1__TakeDigestsRequest q = TRIEN__V1__TAKE_DIGESTS_REQUEST__INIT;
	Trien__V1__TakeDigestsResponse *a;
	struct failure why;

	q.signer = (char *)f->signer;
	q.max_digests = 1;
	q.wait_seconds = HINT_S;	/* the state is told before the digest can be had */
	f->hinted = true;
	a = (void *)client_call(f->s->client, SIGNING "TakeDigests", &q.base,
				&trien__v1__take_digests_response__descriptor, &why);
	if (a == NULL)
		return;
	if (a->n_awaited > 0)
		fprintf(stderr, "documents=%u wait for key %s: start the signer's bridge\n",
			unsigned_n(f), a->awaited[0]->key_id);
	trien__v1__take_digests_response__free_unpacked(a, NULL);
}

/* All that does not rest waits for a signature. */
static bool only_signatures_left(const struct following *f)
{
	for (uint32_t i = 0; i < f->items_n; i++)
		if (!f->told[i] ||
		    (f->approved[i] && (f->state[i] == TRIEN__V1__STATE__ACCEPTED ||
					f->state[i] == TRIEN__V1__STATE__AWAITING_APPROVAL ||
					f->state[i] == TRIEN__V1__STATE__NUMBERED)))
			return false;
	return unsigned_n(f) > 0;
}

static int verdict(const struct following *f)
{
	int code = 0;

	for (uint32_t i = 0; i < f->items_n; i++) {
		if (f->told[i] && (!f->approved[i] || f->state[i] == TRIEN__V1__STATE__VOID))
			return 1;
		if (!f->told[i] || f->state[i] != TRIEN__V1__STATE__STORED)
			code = 3;
	}
	return code;
}

/* One line until it breaks or ends. True: that was the end. */
static bool follow_line(struct following *f, struct failure *why)
{
	Trien__V1__WatchSessionRequest q = TRIEN__V1__WATCH_SESSION_REQUEST__INIT;
	Trien__V1__WatchSessionResponse *m;
	struct client_stream *in;
	bool rest = false;

	q.session_id = (char *)f->session;
	q.cursor = f->cursor;
	*why = (struct failure){ 0 };
	in = client_stream_open(f->s->client, SIGNING "WatchSession", &q.base, 0);
	while (!rest &&
	       (m = (void *)client_stream_read(in, &trien__v1__watch_session_response__descriptor,
					       why)) != NULL) {
		take_outcome(f, m);
		trien__v1__watch_session_response__free_unpacked(m, NULL);
		rest = at_rest(f);
		if (!f->hinted && only_signatures_left(f))
			hint(f);
	}
	client_stream_close(in);
	return rest || why->code == 0;
}

/* 0: until the end; else *why is told. */
static int follow(struct following *f)
{
	struct failure why;
	uint32_t tries = 0;

	while (!follow_line(f, &why)) {
		if (!failure_passing(&why) || ++tries == TRIES_MAX)
			return sign_failed(&why);
		usleep((why.retry_ms > 0 ? why.retry_ms : WAIT_MS) * 1000);
	}
	return 0;
}

static Trien__V1__Session *get_session(struct sign *s, const char *id, int *code)
{
	Trien__V1__GetSessionRequest q = TRIEN__V1__GET_SESSION_REQUEST__INIT;
	Trien__V1__Session *a;
	struct failure f;

	q.session_id = (char *)id;
	a = (void *)client_call(s->client, SIGNING "GetSession", &q.base,
				&trien__v1__session__descriptor, &f);
	if (a == NULL)
		*code = sign_failed(&f);
	return a;
}

/* Follows, and prints the session as it is then. */
static int follow_all(struct sign *s, const Trien__V1__Session *of)
{
	struct following *f = calloc(1, sizeof(*f));
	Trien__V1__Session *a;
	int code = EX_OSERR;

	if (f == NULL)
		return code;
	*f = (struct following){ .s = s, .session = of->session_id, .signer = of->signer,
				 .cursor = s->cursor,
				 .items_n = of->items < SESSION_ITEMS_MAX ? of->items :
					    SESSION_ITEMS_MAX,
				 .outcomes = s->json ? json_array() : NULL };
	code = follow(f);
	a = code == 0 ? get_session(s, of->session_id, &code) : NULL;
	if (a != NULL && s->json)
		json_print(json_pack("{s:o, s:O}", "session", protojson_write(&a->base),
				     "outcomes", f->outcomes));
	else if (a != NULL)
		printf("%u of %u approved, %u at their end\n", a->approved, a->items, a->settled);
	if (a != NULL && s->cursor == 0)
		code = verdict(f);
	if (a != NULL)
		trien__v1__session__free_unpacked(a, NULL);
	json_decref(f->outcomes);
	free(f);
	return code;
}

int sign_watch(struct sign *s, const char *session)
{
	int code = 0;
	Trien__V1__Session *a = get_session(s, session, &code);

	if (a == NULL)
		return code;
	code = follow_all(s, a);
	trien__v1__session__free_unpacked(a, NULL);
	return code;
}

/* ---- confirming ---- */

static bool agreed(const struct sign *s, const Trien__V1__Manifest *m, int *code)
{
	char hash[2 * SHA256_BYTES + 1], answer[16] = "";

	hash_text(hash, m);
	if (s->sha256 != NULL && strcmp(s->sha256, hash) != 0) {
		fprintf(stderr, "trien sign: the manifest is %s\n", hash);
		*code = 1;
		return false;
	}
	if (s->yes)
		return true;
	fprintf(stderr, "Confirm %zu documents? (yes) ", m->n_items);
	if (fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "yes\n") == 0)
		return true;
	fprintf(stderr, "not confirmed; the session stays open\n");
	*code = 1;
	return false;
}

/* May be repeated: the same hash gets the same answer. */
static bool confirm_once(struct sign *s, const Trien__V1__Session *a, const Trien__V1__Manifest *m,
			 int *code)
{
	Trien__V1__ConfirmSessionRequest q = TRIEN__V1__CONFIRM_SESSION_REQUEST__INIT;
	Trien__V1__Session *after = NULL;
	struct failure f = { 0 };

	q.session_id = a->session_id;
	q.manifest_sha256 = m->manifest_sha256;
	for (uint32_t tries = 0; after == NULL && tries < TRIES_MAX; tries++) {
		if (tries > 0 && !failure_passing(&f))
			break;
		if (tries > 0)
			usleep((f.retry_ms > 0 ? f.retry_ms : WAIT_MS) * 1000);
		after = (void *)client_call(s->client, SIGNING "ConfirmSession", &q.base,
					    &trien__v1__session__descriptor, &f);
	}
	if (after == NULL) {
		*code = sign_failed(&f);
		return false;
	}
	trien__v1__session__free_unpacked(after, NULL);
	return true;
}

int sign_confirm(struct sign *s, char **ids, int n)
{
	int code = 0;
	Trien__V1__Session *a = s->session != NULL ? get_session(s, s->session, &code) :
				open_session(s, ids, n, &code);
	Trien__V1__Manifest *m = a != NULL ? get_manifest(s, a, &code) : NULL;

	if (m != NULL && !s->json)
		print_manifest(a, m);
	if (m != NULL && agreed(s, m, &code) && confirm_once(s, a, m, &code))
		code = follow_all(s, a);
	if (m != NULL)
		trien__v1__manifest__free_unpacked(m, NULL);
	if (a != NULL)
		trien__v1__session__free_unpacked(a, NULL);
	return code;
}

int sign_cancel(struct sign *s, const char *session)
{
	Trien__V1__CancelSessionRequest q = TRIEN__V1__CANCEL_SESSION_REQUEST__INIT;
	Trien__V1__Session *a;
	struct failure f;

	q.session_id = (char *)session;
	a = (void *)client_call(s->client, SIGNING "CancelSession", &q.base,
				&trien__v1__session__descriptor, &f);
	if (a == NULL)
		return sign_failed(&f);
	if (s->json)
		json_print(protojson_write(&a->base));
	else
		printf("%s is cancelled\n", a->session_id);
	trien__v1__session__free_unpacked(a, NULL);
	return 0;
}
