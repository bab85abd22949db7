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
	bool going;			/* nothing names it: nobody may begin to keep it */
};

/* That a result which is not stored yet names an original. */
struct name { struct name *next; uint64_t hash, sequence; };	/* hash: its first bytes */
#define NAME_LISTS 1024

struct objects {
	char dir[PATH_MAX];
	int fd, waiting;		/* the folders */
	atomic_uint open, fetching, names;	/* uploads, fetches; the last one's name */
	pthread_mutex_t lock;		/* keepings, and what they decide */
	struct keeping keepings[UPLOADS_MAX + FETCHES_MAX];	/* the last for fetches */
	pthread_mutex_t names_lock;	/* never held for a disk; inside the other */
	struct name *names_of[NAME_LISTS];	/* by hash */
	bool counted, names_lost;	/* all names are known; memory was short for one */
	uint64_t dirty[SHARDS / 64];	/* shards settled into since the last sync */
	bool shards_made;
};

/* Relative to o->waiting, and to o->fd. */
void waiting_name(char name[NAME_BYTES], const uint8_t sha256[SHA256_BYTES]);
void settled_name(char name[NAME_BYTES], const uint8_t sha256[SHA256_BYTES]);
void part_name(char name[NAME_BYTES], uint32_t number);
/* From here to objects_release() nobody removes it. ST_FULL; ST_AGAIN: it goes just now. */
enum status keeping_begin(struct objects *o, const uint8_t sha256[SHA256_BYTES],
			  bool fetch) must_use;
/* Is there one? unsure: what to say while not all are known. */
bool name_any(struct objects *o, const uint8_t sha256[SHA256_BYTES], bool unsure);
void names_free(struct objects *o);
/* ST_FULL: the disk is; ST_NOT_FOUND; ST_IO. */
enum status objects_failed(const struct objects *o, const char *act, struct error *e);

#endif
