/*
 * json.h - JSON straight into a buffer: commas are put where they are due.
 *
 * The buffer holds JSON_BYTES_MAX; more is a mistake of the caller and stops the program.
 */
#ifndef SAMPLE_JSON_H
#define SAMPLE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define JSON_BYTES_MAX (2 * 1024 * 1024)

struct json {
	char *buf;			/* JSON_BYTES_MAX, the caller's */
	size_t n;
	bool decompose;			/* json_text() writes NFD, as macOS and iOS send it */
};

/* bracket: one of { [ } ]; key NULL: an element of a list. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
/* Text for people, from UTF-8 in NFC. */
void json_text(struct json *j, const char *key, struct slice text);
/* Codes, enum names, times: ASCII. */
void json_code(struct json *j, const char *key, const char *code);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_flag(struct json *j, const char *key, bool value);
/* Integers of 64 bits are texts in proto3 JSON. */
void json_int64(struct json *j, const char *key, int64_t value);
void json_uint64(struct json *j, const char *key, uint64_t value);

#endif
