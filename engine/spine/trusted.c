#include "spine/trusted.h"

#include <stdio.h>

#include "base/log.h"

void trusted_read(struct spine *s)
{
	const struct config *c = s->config;
	struct trust *trust = NULL, *old;
	struct error e = { 0 };

	/* An engine whose certificates come without their root issues all the same. */
	if (trust_load(&trust, c->certs, c->certs, c->tsa, &e) != ST_OK) {
		log_warn("verify", "%s: %s", s->trust != NULL ? "the roots that documents are "
			 "judged by stay as they were" : "no document can be verified here",
			 e.text);
		if (s->trust != NULL)
			return;
	}
	pthread_rwlock_wrlock(&s->roots_lock);
	old = s->trust;
	s->trust = trust;
	pthread_rwlock_unlock(&s->roots_lock);
	trust_unref(old);
}

enum status trusted_verify(void *ctx, struct slice file, struct report *out)
{
	struct spine *s = ctx;
	struct trust *trust;
	enum status st = ST_OK;

	/* Whoever reads them anew must not wait until a file is judged. */
	pthread_rwlock_rdlock(&s->roots_lock);
	trust = s->trust != NULL ? trust_ref(s->trust) : NULL;
	pthread_rwlock_unlock(&s->roots_lock);
	if (trust != NULL)
		st = judging_document(trust, s->foreign, file, -1, out);
	else
		st = verify_without_roots(file, out);
	trust_unref(trust);
	return st;
}
