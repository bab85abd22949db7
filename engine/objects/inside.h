/*
 * inside.h - what the files of the depot share. Inside objects/ only.
 */
#ifndef TRIEN_OBJECTS_INSIDE_H
#define TRIEN_OBJECTS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "limits.h"
#include "objects/objects.h"

#define PART_SUFFIX ".part"		/* an upload, or a copy on its way */
#define NAME_BYTES (2 * SHA256_BYTES + 8)
#define SHARDS 256

/* Who keeps the same bytes at this moment. */
struct keeping {
	uint8_t sha256[SHA256_BYTES];
	uint32_t n;			/* 0: free */
	bool named;			/* by somebody, before or since */
};

struct objects {
	char dir[PATH_MAX];
	int fd, waiting;		/* the folders */
	atomic_uint open, fetching, names;	/* uploads, fetches; the last one's name */
	pthread_mutex_t lock;		/* keepings, and what they decide */
	struct keeping keepings[UPLOADS_MAX + FETCHES_MAX];	/* the last for fetches */
	uint64_t dirty[SHARDS / 64];	/* shards settled into since the last sync */
	bool shards_made;
};

/* Relative to o->waiting, and to o->fd. */
void waiting_name(char name[NAME_BYTES], const uint8_t sha256[SHA256_BYTES]);
void settled_name(char name[NAME_BYTES], const uint8_t sha256[SHA256_BYTES]);
void part_name(char name[NAME_BYTES], uint32_t number);
/* ST_FULL: the disk is; ST_NOT_FOUND; ST_IO. */
enum status objects_failed(const struct objects *o, const char *act, struct error *e);

#endif
