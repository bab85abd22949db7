#include "load/attached.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES_MAX 200		/* of a stream: its dictionary */

static const uint8_t *find(struct slice in, const char *text)
{
	return memmem(in.p, in.n, text, strlen(text));
}

static struct slice behind(struct slice in, const uint8_t *at)
{
	return slice_of(at, (size_t)(in.p + in.n - at));
}

/* The data of a stream whose dictionary goes on here; empty: it is none of ours. */
static struct slice data_of(struct slice from)
{
	struct slice head = slice_of(from.p, from.n < HEAD_BYTES_MAX ? from.n : HEAD_BYTES_MAX);
	const uint8_t *data = find(head, ">>\nstream\n"), *length;
	uint64_t n = 0;

	if (data == NULL)
		return slice_of(from.p, 0);
	length = find(slice_of(head.p, (size_t)(data - head.p)), "/Length ");
	if (length == NULL)
		return slice_of(from.p, 0);
	for (length += strlen("/Length "); *length >= '0' && *length <= '9'; length++)
		n = 10 * n + (uint64_t)(*length - '0');
	from = behind(from, data + strlen(">>\nstream\n"));
	return slice_of(from.p, n <= from.n ? (size_t)n : 0);
}

struct slice attached_original(struct slice file)
{
	static const char key[] = "/Type/EmbeddedFile/Subtype/", own[] = "application#2Fjson";
	struct slice found = slice_of(file.p, 0), rest = file, data;
	const uint8_t *at;

	while ((at = find(rest, key)) != NULL) {
		rest = behind(rest, at + strlen(key));
		/* The result's own data are attached, too. */
		if (rest.n >= strlen(own) && memcmp(rest.p, own, strlen(own)) == 0)
			continue;
		data = data_of(rest);
		if (data.n == 0 || found.n > 0)
			return slice_of(file.p, 0);
		found = data;
		rest = behind(rest, data.p + data.n);
	}
	return found;
}
