#include <stdlib.h>
#include <unistd.h>

#include "objects/inside.h"

/* Two of one beginning are taken for one, which stays the longer for it. */
static uint64_t beginning(const uint8_t sha256[SHA256_BYTES])
{
	uint64_t hash;

	memcpy(&hash, sha256, sizeof(hash));
	return hash;
}

/* Where it stands, or would. */
static struct name **place(struct objects *o, uint64_t hash, uint64_t sequence)
{
	struct name **at = &o->names_of[hash % NAME_LISTS];

	while (*at != NULL && ((*at)->hash != hash || (*at)->sequence != sequence))
		at = &(*at)->next;
	return at;
}

bool name_any(struct objects *o, const uint8_t sha256[SHA256_BYTES], bool unsure)
{
	uint64_t hash = beginning(sha256);
	const struct name *n;
	bool any;

	pthread_mutex_lock(&o->names_lock);
	for (n = o->names_of[hash % NAME_LISTS]; n != NULL && n->hash != hash; n = n->next)
		;
	any = o->counted && !o->names_lost ? n != NULL : unsure;
	pthread_mutex_unlock(&o->names_lock);
	return any;
}

void names_free(struct objects *o)
{
	for (size_t i = 0; i < NAME_LISTS; i++)
		while (o->names_of[i] != NULL) {
			struct name *next = o->names_of[i]->next;

			free(o->names_of[i]);
			o->names_of[i] = next;
		}
}

void objects_name(struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t sequence)
{
	uint64_t hash = beginning(sha256);
	struct name **at;

	pthread_mutex_lock(&o->names_lock);
	at = place(o, hash, sequence);
	if (*at == NULL && (*at = malloc(sizeof(**at))) != NULL)
		**at = (struct name){ .hash = hash, .sequence = sequence };
	o->names_lost |= *at == NULL;
	pthread_mutex_unlock(&o->names_lock);
}

void objects_unname(struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t sequence)
{
	struct name **at, *gone;

	pthread_mutex_lock(&o->names_lock);
	at = place(o, beginning(sha256), sequence);
	gone = *at;
	if (gone != NULL)
		*at = gone->next;
	pthread_mutex_unlock(&o->names_lock);
	free(gone);
}

void objects_counted(struct objects *o)
{
	pthread_mutex_lock(&o->names_lock);
	o->counted = true;
	pthread_mutex_unlock(&o->names_lock);
}

void objects_end(struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t sequence,
		 objects_gone_fn *gone, void *ctx)
{
	objects_unname(o, sha256, sequence);
	/* As one who keeps it, and is the last one then, or not. */
	if (keeping_begin(o, sha256, false) == ST_OK)
		objects_let_go(o, sha256, false, gone, ctx);
}
