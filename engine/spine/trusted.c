#include "spine/trusted.h"

#include <stdio.h>

#include "base/log.h"

void trusted_read(struct spine *s)
{
	const char *certs = s->config->certs;
	struct roots *roots = NULL, *old;
	struct error e = { 0 };

	/* An engine whose certificates come without their root issues all the same. */
	if (roots_load(&roots, certs, certs, &e) != ST_OK)
		log_warn("verify", "no document can be verified here: %s", e.text);
	pthread_rwlock_wrlock(&s->roots_lock);
	old = s->roots;
	s->roots = roots;
	pthread_rwlock_unlock(&s->roots_lock);
	roots_free(old);
}

enum status trusted_verify(void *ctx, struct slice file, struct report *out)
{
	struct spine *s = ctx;
	enum status st = ST_OK;

	pthread_rwlock_rdlock(&s->roots_lock);
	if (s->roots != NULL)
		st = verify_document(s->roots, file, out);
	else
		verify_without_roots(file, out);
	pthread_rwlock_unlock(&s->roots_lock);
	return st;
}
