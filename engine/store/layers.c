#include "store/layers.h"

#include <stdlib.h>

static uint32_t *head_of(struct store_layers *l, const uint8_t *sha256)
{
	uint32_t h;

	memcpy(&h, sha256, sizeof(h));
	return &l->heads[h & (l->heads_n - 1)];
}

static void chain(struct store_layers *l)
{
	memset(l->heads, 0, l->heads_n * sizeof(*l->heads));
	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t *head = head_of(l, l->of[i].sha256);

		l->of[i].next = *head;
		*head = i + 1;
	}
}

static bool grow(struct store_layers *l)
{
	uint32_t room = l->room == 0 ? 64 : 2 * l->room;
	struct layer_entry *of = realloc(l->of, room * sizeof(*of));
	uint32_t *heads = calloc(2 * (size_t)room, sizeof(*heads));

	if (of != NULL)
		l->of = of;
	if (of == NULL || heads == NULL) {
		free(heads);
		return false;
	}
	free(l->heads);
	l->heads = heads;
	l->heads_n = 2 * room;
	l->room = room;
	chain(l);
	return true;
}

enum status layers_init(struct store_layers *l)
{
	*l = (struct store_layers){ 0 };
	pthread_mutex_init(&l->lock, NULL);
	return grow(l) ? ST_OK : ST_NOMEM;
}

void layers_free(struct store_layers *l)
{
	free(l->of);
	free(l->heads);
	pthread_mutex_destroy(&l->lock);
}

uint32_t layers_find(struct store_layers *l, const uint8_t sha256[SHA256_BYTES])
{
	uint32_t id;

	pthread_mutex_lock(&l->lock);
	id = *head_of(l, sha256);
	while (id != 0 && memcmp(l->of[id - 1].sha256, sha256, SHA256_BYTES) != 0)
		id = l->of[id - 1].next;
	pthread_mutex_unlock(&l->lock);
	return id;
}

uint32_t layers_add(struct store_layers *l, const uint8_t sha256[SHA256_BYTES], uint32_t size,
		    uint64_t position)
{
	uint32_t id = 0;

	pthread_mutex_lock(&l->lock);
	if (l->n < l->room || grow(l)) {
		struct layer_entry *e = &l->of[l->n];
		uint32_t *head = head_of(l, sha256);

		id = ++l->n;
		*e = (struct layer_entry){ .position = position, .size = size, .next = *head };
		memcpy(e->sha256, sha256, SHA256_BYTES);
		*head = id;
	}
	pthread_mutex_unlock(&l->lock);
	return id;
}

void layers_place(struct store_layers *l, uint32_t id, uint64_t position)
{
	pthread_mutex_lock(&l->lock);
	l->of[id - 1].position = position;
	pthread_mutex_unlock(&l->lock);
}

void layers_cut(struct store_layers *l, uint32_t n)
{
	pthread_mutex_lock(&l->lock);
	if (n < l->n) {
		l->n = n;
		chain(l);
	}
	pthread_mutex_unlock(&l->lock);
}

bool layers_get(struct store_layers *l, uint32_t id, struct layer_entry *out)
{
	bool found;

	pthread_mutex_lock(&l->lock);
	found = id != 0 && id <= l->n && l->of[id - 1].position != 0;
	if (found)
		*out = l->of[id - 1];
	pthread_mutex_unlock(&l->lock);
	return found;
}
