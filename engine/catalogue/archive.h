/*
 * archive.h - every version that was ever loaded, for ever: DATA/catalogue/.
 *
 *	<32 hex of the pin>.json	canonical JSON: a catalogue file of one version
 *	<64 hex of its SHA-256>.pbm	the seal or handwriting that it names
 *
 * Files are never changed: a name says its content, so what is read is checked against it.
 */
#ifndef TRIEN_CATALOGUE_ARCHIVE_H
#define TRIEN_CATALOGUE_ARCHIVE_H

#include "catalogue/read.h"

/* Durable when it returns. */
enum status archive_keep(const char *dir, const struct entry *e, struct error *err) must_use;
/* Reads a version back into the pool. ST_NOT_FOUND; ST_CORRUPT: it is not what the pin names. */
enum status archive_find(const char *dir, enum sort sort, const uint8_t pin[PIN_BYTES],
			 const struct catalogue *home, struct pool *pool, struct entry **out,
			 struct error *err) must_use;

#endif
