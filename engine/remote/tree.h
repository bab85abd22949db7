/*
 * tree.h - places in JSON that others wrote, and texts that stand for bytes. Pure.
 */
#ifndef TRIEN_REMOTE_TREE_H
#define TRIEN_REMOTE_TREE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"

/* "" or "/a/0/b" (RFC 6901). NULL is none. */
bool tree_is_pointer(const char *pointer);
/* Borrowed; NULL: nothing there. */
json_t *tree_at(json_t *root, const char *pointer);
/* Is v, a text or a whole number, one of the list? NULL list: no. */
bool tree_one_of(const json_t *v, const json_t *list);

/* Base64 with padding, new text; NULL: out of memory. */
json_t *tree_base64(const void *p, size_t n);
json_t *tree_hex(const void *p, size_t n);
/*
 * Decodes at most `max` bytes; -1: malformed or longer. Base64 may lack its padding, be of the URL
 * alphabet and hold line breaks, as services send it.
 */
long tree_base64_read(uint8_t *out, size_t max, const char *text);
long tree_hex_read(uint8_t *out, size_t max, const char *text);

#endif
