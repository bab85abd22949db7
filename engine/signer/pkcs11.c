#include "signer/pkcs11.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "signer/certs.h"

#define TRIES 4
#define DOWN_NS_MIN 1000000000ull
#define DOWN_NS_MAX (30 * DOWN_NS_MIN)
/* A key that the token has not, or not the right one, is looked for again after this. */
#define KEY_AGAIN_NS DOWN_NS_MAX

static const uint32_t pause_ms[TRIES] = { 0, 0, 750, 2250 };

struct module {
	const char *path;
	void *library;
	CK_FUNCTION_LIST *f;
	/* read: calls on tokens; write: start over. life, up: under it */
	pthread_rwlock_t lock;
	uint64_t life;
	bool up;
};

struct pkcs11_modules { uint32_t n; struct module of[TOKENS_MAX]; };

struct key {
	const struct key_policy *policy;
	X509 *cert;
	CK_OBJECT_HANDLE object;
	uint64_t life;			/* in which object was found and proved */
	uint64_t again_ns;		/* not before; 0: at once */
};

struct pkcs11 {
	atomic_bool expected;		/* pkcs11_connect_late() is not through with it */
	const struct token_policy *policy;
	struct module *module;
	struct pin pin;
	pthread_mutex_t lock;		/* all below; held while the module's is held for reading */
	pthread_cond_t returned;
	uint64_t life;			/* in which the token was found and logged in */
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE idle[TOKEN_SESSIONS_MAX];
	uint32_t idle_n, open_n, limit;
	bool denied;
	uint64_t down_until_ns, down_ns;
	uint32_t keys_n;
	struct key *keys;
};

struct pkcs11_hand { struct pkcs11 *token; char why[160]; };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- modules ---- */

enum status pkcs11_modules_new(struct pkcs11_modules **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? ST_OK : ST_NOMEM;
}

void pkcs11_modules_free(struct pkcs11_modules *m)
{
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->of[i].up)
			m->of[i].f->C_Finalize(NULL);
		dlclose(m->of[i].library);
		pthread_rwlock_destroy(&m->of[i].lock);
	}
	free(m);
}

static enum status module_get(struct module **out, struct pkcs11_modules *all, const char *path,
			      struct error *e)
{
	struct module *m = &all->of[all->n];
	pthread_rwlockattr_t attr;
	enum status st;

	for (uint32_t i = 0; i < all->n; i++) {
		if (strcmp(all->of[i].path, path) == 0) {
			*out = &all->of[i];
			return ST_OK;
		}
	}
	st = p11_load(&m->library, &m->f, path, e);
	if (st != ST_OK)
		return st;
	/* Threads that sign without a pause must not keep out the one that starts over. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&m->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	m->path = path;
	m->life = 1;
	all->n++;
	*out = m;
	return ST_OK;
}

/* Unless somebody else has since the call that failed. */
static void start_over(struct module *m, uint64_t failed_life)
{
	pthread_rwlock_wrlock(&m->lock);
	if (m->life == failed_life) {
		if (m->up)
			m->f->C_Finalize(NULL);
		m->up = p11_initialize(m->f) == CKR_OK;
		m->life++;
	}
	pthread_rwlock_unlock(&m->lock);
}

/* ---- a token ---- */

enum status pkcs11_open(struct pkcs11 **out, struct pkcs11_modules *m, const struct token_policy *p,
			const struct pin *pin, struct error *e)
{
	struct pkcs11 *t = calloc(1, sizeof(*t));
	enum status st;

	if (t == NULL)
		return error_set(e, ST_NOMEM, "token '%s': out of memory", p->name);
	st = module_get(&t->module, m, p->module, e);
	if (st != ST_OK) {
		free(t);
		return st;
	}
	t->policy = p;
	t->pin = *pin;
	t->limit = p->sessions != 0 ? p->sessions : TOKEN_SESSIONS;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->returned, NULL);
	*out = t;
	return ST_OK;
}

void pkcs11_close(struct pkcs11 *t)
{
	if (t == NULL)
		return;
	if (t->module->up && t->life == t->module->life)
		t->module->f->C_CloseAllSessions(t->slot);
	for (uint32_t i = 0; i < t->keys_n; i++)
		X509_free(t->keys[i].cert);
	free(t->keys);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->returned);
	pin_wipe(&t->pin);
	free(t);
}

enum status pkcs11_add(struct pkcs11 *t, const struct key_policy *k, X509 *cert, uint32_t *key)
{
	struct key *more = realloc(t->keys, (t->keys_n + 1) * sizeof(*more));

	if (more == NULL)
		return ST_NOMEM;
	t->keys = more;
	X509_up_ref(cert);
	t->keys[t->keys_n] = (struct key){ .policy = k, .cert = cert };
	*key = t->keys_n++;
	return ST_OK;
}

uint32_t pkcs11_sessions(const struct pkcs11 *t)
{
	return t->limit;
}

static enum status explain(char *why, size_t n, enum status st, const struct pkcs11 *t,
			   const char *what, CK_RV rv)
{
	char number[32];

	snprintf(why, n, "token '%s': %s: %s", t->policy->name, what, p11_reason(rv, number));
	return st;
}

/* The limits that a token states; 0 and ~0 state none. */
static void limit_lower(struct pkcs11 *t, const CK_TOKEN_INFO *info)
{
	CK_ULONG max = info->ulMaxSessionCount;

	if (max != CK_EFFECTIVELY_INFINITE && max != CK_UNAVAILABLE_INFORMATION && max < t->limit)
		t->limit = (uint32_t)max;
}

/* The first session carries the login; it is the pool's first, as some tokens allow one only. */
static enum status token_ready(struct pkcs11 *t, char *why, size_t n)
{
	CK_FUNCTION_LIST *f = t->module->f;
	CK_SESSION_HANDLE s;
	CK_TOKEN_INFO info;
	CK_RV rv;

	if (t->life == t->module->life)
		return ST_OK;
	rv = p11_find_token(f, t->policy->label, t->policy->slot, &t->slot, &info);
	if (rv != CKR_OK)
		return explain(why, n, ST_UNAVAILABLE, t, "not found", rv);
	limit_lower(t, &info);
	rv = f->C_OpenSession(t->slot, CKF_SERIAL_SESSION, NULL, NULL, &s);
	if (rv != CKR_OK)
		return explain(why, n, ST_UNAVAILABLE, t, "session", rv);
	rv = p11_login(f, s, &info, &t->pin);
	if (rv != CKR_OK) {
		f->C_CloseSession(s);
		if (!p11_pin_refused(rv))
			return explain(why, n, ST_UNAVAILABLE, t, "login", rv);
		t->denied = true;
		log_error("signer", "token '%s' refuses the PIN; it is not tried again, or the "
			  "token would be locked: mend the PIN file, log in once with the "
			  "token's own tool, then start again", t->policy->name);
		return explain(why, n, ST_DENIED, t, "login", rv);
	}
	t->idle[0] = s;
	t->idle_n = t->open_n = 1;
	t->life = t->module->life;
	return ST_OK;
}

/* Under t->lock, which is let go while all are out. */
static CK_RV session_take(struct pkcs11 *t, CK_SESSION_HANDLE *s)
{
	CK_RV rv;

	for (;;) {
		if (t->idle_n > 0) {
			*s = t->idle[--t->idle_n];
			return CKR_OK;
		}
		if (t->open_n < t->limit) {
			rv = t->module->f->C_OpenSession(t->slot, CKF_SERIAL_SESSION, NULL, NULL,
							 s);
			if (rv == CKR_OK)
				t->open_n++;
			if (rv != CKR_SESSION_COUNT || t->open_n == 0)
				return rv;
			/* Fewer than it says, or others hold some: with what we have, then. */
			t->limit = t->open_n;
		}
		pthread_cond_wait(&t->returned, &t->lock);
	}
}

static void session_give(struct pkcs11 *t, CK_SESSION_HANDLE s)
{
	t->idle[t->idle_n++] = s;
	pthread_cond_signal(&t->returned);
}

static bool proves(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, const struct key *k,
		   CK_OBJECT_HANDLE object, CK_RV *rv)
{
	const struct algorithm_info *info = algorithm_info(k->policy->algorithm);
	uint8_t digest[32] = "probe of a key before its use", value[SIGNATURE_BYTES_MAX];
	EVP_PKEY_CTX *v = algorithm_context(info, X509_get0_pubkey(k->cert), false);
	uint16_t size;
	bool good;

	*rv = p11_sign(f, s, object, k->policy->algorithm, digest, value, &size);
	good = *rv == CKR_OK && v != NULL &&
		EVP_PKEY_verify(v, value, size, digest, sizeof(digest)) == 1;
	EVP_PKEY_CTX_free(v);
	openssl_reason();
	return good;
}

/* In a new life of the module nothing is taken for granted: not the handle, not the key behind. */
static enum status key_ready(struct pkcs11 *t, struct key *k, CK_SESSION_HANDLE s, char *why,
			     size_t n)
{
	CK_FUNCTION_LIST *f = t->module->f;
	CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
	CK_RV rv;

	if (k->life == t->life)
		return ST_OK;
	rv = p11_find_key(f, s, k->policy, &object);
	if (rv == CKR_KEY_HANDLE_INVALID) {
		snprintf(why, n, "key '%s': token '%s' has no such private key, or several",
			 k->policy->id, t->policy->name);
		return ST_NOT_FOUND;
	}
	if (rv != CKR_OK)
		return explain(why, n, ST_UNAVAILABLE, t, "search", rv);
	if (!proves(f, s, k, object, &rv)) {
		if (rv != CKR_OK)
			return explain(why, n, ST_UNAVAILABLE, t, "trial signature", rv);
		snprintf(why, n, "key '%s': a trial signature of token '%s' does not verify with "
			 "the certificate", k->policy->id, t->policy->name);
		return ST_INVALID;
	}
	k->object = object;
	k->life = t->life;
	return ST_OK;
}

/* Logged in, with a session in hand. */
static enum status first_session(struct pkcs11 *t, CK_SESSION_HANDLE *s, char *why, size_t n)
{
	enum status st = t->module->up ? token_ready(t, why, n) :
		explain(why, n, ST_UNAVAILABLE, t, "C_Initialize", CKR_GENERAL_ERROR);

	if (st == ST_OK && session_take(t, s) != CKR_OK)
		st = explain(why, n, ST_UNAVAILABLE, t, "session", CKR_SESSION_COUNT);
	return st;
}

enum status pkcs11_connect(struct pkcs11 *t, struct error *e)
{
	CK_SESSION_HANDLE s = CK_INVALID_HANDLE;
	char why[256] = "";
	enum status st;

	if (!t->module->up)
		start_over(t->module, t->module->life);
	st = first_session(t, &s, why, sizeof(why));
	for (uint32_t i = 0; st == ST_OK && i < t->keys_n; i++)
		st = key_ready(t, &t->keys[i], s, why, sizeof(why));
	if (s != CK_INVALID_HANDLE)
		session_give(t, s);
	return st == ST_OK ? ST_OK : error_set(e, st, "%s", why);
}

void pkcs11_expect(struct pkcs11 *t)
{
	atomic_store(&t->expected, true);
}

/* The token is there; only this key has to wait. */
static void left_out(struct key *k, const char *why)
{
	log_error("signer", "ALARM: %s; this key alone cannot sign", why);
	k->again_ns = now_ns() + KEY_AGAIN_NS;
}

static void module_start(struct module *m)
{
	uint64_t life;
	bool up;

	pthread_rwlock_rdlock(&m->lock);
	life = m->life;
	up = m->up;
	pthread_rwlock_unlock(&m->lock);
	if (!up)
		start_over(m, life);
}

void pkcs11_connect_late(struct pkcs11 *t)
{
	CK_SESSION_HANDLE s = CK_INVALID_HANDLE;
	char why[256] = "";
	enum status st;

	module_start(t->module);
	pthread_rwlock_rdlock(&t->module->lock);
	pthread_mutex_lock(&t->lock);
	st = first_session(t, &s, why, sizeof(why));
	for (uint32_t i = 0; (st == ST_OK || st == ST_NOT_FOUND || st == ST_INVALID) &&
	     i < t->keys_n; i++) {
		st = key_ready(t, &t->keys[i], s, why, sizeof(why));
		if (st == ST_NOT_FOUND || st == ST_INVALID)
			left_out(&t->keys[i], why);
	}
	if (s != CK_INVALID_HANDLE)
		session_give(t, s);
	pthread_mutex_unlock(&t->lock);
	pthread_rwlock_unlock(&t->module->lock);
	if (st == ST_UNAVAILABLE || st == ST_DENIED)
		log_error("signer", "%s; its keys cannot sign", why);
	atomic_store(&t->expected, false);
}

/* ---- signing ---- */

enum status pkcs11_hand_new(struct pkcs11_hand **out, struct pkcs11 *t)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return ST_NOMEM;
	(*out)->token = t;
	return ST_OK;
}

void pkcs11_hand_free(struct pkcs11_hand *h)
{
	free(h);
}

const char *pkcs11_why(const struct pkcs11_hand *h)
{
	return h->why;
}

/* What starting over cannot mend. */
static bool is_for_good(CK_RV rv)
{
	return rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID ||
		rv == CKR_KEY_TYPE_INCONSISTENT || rv == CKR_KEY_FUNCTION_NOT_PERMITTED;
}

/* A session and a proved key, or why not. Under both locks. */
static enum status prepare(struct pkcs11_hand *h, struct key *k, CK_SESSION_HANDLE *s)
{
	struct pkcs11 *t = h->token;
	enum status st;
	CK_RV rv;

	st = token_ready(t, h->why, sizeof(h->why));
	if (st != ST_OK)
		return st;
	rv = session_take(t, s);
	if (rv != CKR_OK)
		return explain(h->why, sizeof(h->why), ST_UNAVAILABLE, t, "session", rv);
	st = key_ready(t, k, *s, h->why, sizeof(h->why));
	if (st == ST_OK)
		return ST_OK;
	session_give(t, *s);
	if (st != ST_UNAVAILABLE) {
		left_out(k, h->why);
		return ST_AGAIN;
	}
	return st;
}

/* Is there any use in a call now? ST_OK: yes. */
static enum status look(struct pkcs11_hand *h, const struct key *k)
{
	struct pkcs11 *t = h->token;

	if (t->denied)
		return explain(h->why, sizeof(h->why), ST_DENIED, t, "login", CKR_PIN_INCORRECT);
	if (t->down_until_ns != 0 && now_ns() < t->down_until_ns)
		return explain(h->why, sizeof(h->why), ST_AGAIN, t, "down",
			       CKR_TOKEN_NOT_PRESENT);
	if (k->again_ns != 0 && now_ns() < k->again_ns) {
		snprintf(h->why, sizeof(h->why), "key '%s': not in order in token '%s'",
			 k->policy->id, t->policy->name);
		return ST_AGAIN;
	}
	return ST_OK;
}

/* One try. ST_UNAVAILABLE: start over and try again; ST_AGAIN: do not. */
static enum status attempt(struct pkcs11_hand *h, struct key *k, const uint8_t digest[32],
			   uint8_t *out, uint16_t *size, uint64_t *life)
{
	struct pkcs11 *t = h->token;
	struct module *m = t->module;
	CK_SESSION_HANDLE s = CK_INVALID_HANDLE;
	CK_OBJECT_HANDLE object;
	enum status st;
	CK_RV rv;

	pthread_rwlock_rdlock(&m->lock);
	*life = m->life;
	pthread_mutex_lock(&t->lock);
	st = look(h, k);
	if (st == ST_OK)
		st = m->up ? prepare(h, k, &s) : explain(h->why, sizeof(h->why), ST_UNAVAILABLE, t,
							 "C_Initialize", CKR_GENERAL_ERROR);
	object = k->object;
	pthread_mutex_unlock(&t->lock);
	if (st == ST_OK) {
		rv = p11_sign(m->f, s, object, k->policy->algorithm, digest, out, size);
		if (rv != CKR_OK)
			st = explain(h->why, sizeof(h->why), is_for_good(rv) ? ST_INTERNAL :
				     ST_UNAVAILABLE, t, "signing", rv);
		pthread_mutex_lock(&t->lock);
		session_give(t, s);
		if (rv == CKR_OK)
			t->down_until_ns = t->down_ns = 0;
		pthread_mutex_unlock(&t->lock);
	}
	pthread_rwlock_unlock(&m->lock);
	return st;
}

static void mark_down(struct pkcs11 *t, const char *why)
{
	pthread_mutex_lock(&t->lock);
	/* Others that failed in the same moment have said so. */
	if (t->denied || now_ns() < t->down_until_ns) {
		pthread_mutex_unlock(&t->lock);
		return;
	}
	t->down_ns = t->down_ns == 0 ? DOWN_NS_MIN : t->down_ns < DOWN_NS_MAX / 2 ?
		2 * t->down_ns : DOWN_NS_MAX;
	t->down_until_ns = now_ns() + t->down_ns;
	log_error("signer", "%s; tried again in %llu s", why,
		  (unsigned long long)(t->down_ns / 1000000000u));
	pthread_mutex_unlock(&t->lock);
}

enum status pkcs11_sign(struct pkcs11_hand *h, uint32_t key, const uint8_t digest[32],
			uint8_t out[SIGNATURE_BYTES_MAX], uint16_t *size)
{
	struct pkcs11 *t = h->token;
	/* Once down, one try a call: whoever asks first finds out, and does not wait for it. */
	uint32_t tries;
	enum status st = ST_UNAVAILABLE;

	/* Nobody waits beside it for a token that may never answer. */
	if (atomic_load(&t->expected)) {
		snprintf(h->why, sizeof(h->why), "token '%s': has not answered yet",
			 t->policy->name);
		return ST_UNAVAILABLE;
	}
	pthread_mutex_lock(&t->lock);
	tries = t->down_ns != 0 ? 2 : TRIES;
	pthread_mutex_unlock(&t->lock);
	for (uint32_t i = 0; i < tries; i++) {
		uint64_t life;

		if (pause_ms[i] != 0 && tries == TRIES)
			nanosleep(&(struct timespec){ pause_ms[i] / 1000,
						      pause_ms[i] % 1000 * 1000000L }, NULL);
		st = attempt(h, &t->keys[key], digest, out, size, &life);
		if (st == ST_OK || st == ST_INTERNAL || st == ST_DENIED)
			return st;
		if (st == ST_AGAIN)
			return ST_UNAVAILABLE;
		if (i == 0)
			log_warn("signer", "%s; starting over", h->why);
		start_over(t->module, life);
	}
	mark_down(t, h->why);
	return ST_UNAVAILABLE;
}
