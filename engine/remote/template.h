/*
 * template.h - request bodies from a template: JSON whose texts may be words that are filled in.
 *
 * A word is a whole text, "$serial"; texts that only contain one stay as they are. Pure.
 */
#ifndef TRIEN_REMOTE_TEMPLATE_H
#define TRIEN_REMOTE_TEMPLATE_H

#include <jansson.h>

#include "base/bytes.h"

#define TEMPLATE_BODY "$hashes $serial $credential $certificate $count"
#define TEMPLATE_ITEM "$hash $id $name"
#define TEMPLATE_POLL "$transaction $credential $serial"

/* What a word becomes: `value` is borrowed and shared into the result. */
struct template_word { const char *word; json_t *value; };

/* The first text that begins with '$' and is not one of the words in `allowed`; NULL: none. */
const char *template_unknown(const json_t *v, const char *allowed);
/* A new value; NULL: out of memory. */
json_t *template_fill(const json_t *v, const struct template_word *words, size_t n);
/*
 * A URL with $transaction replaced by id, percent-encoded. false: it does not fit.
 */
bool template_url(char *out, size_t n, const char *url, const char *id);

#endif
