#include "store/evidenceset.h"

#include "document.h"

bool evidence_is_set(struct slice bytes)
{
	size_t n = sizeof(EVIDENCE_HEAD);	/* with the line's end for the NUL */

	return bytes.n > n && memcmp(bytes.p, EVIDENCE_HEAD "\n", n) == 0;
}

bool evidence_next(struct slice set, size_t *at, uint8_t sha256[SHA256_BYTES])
{
	size_t begin = *at;

	while (*at < set.n) {
		struct slice word = { set.p + begin, *at - begin };

		if (set.p[(*at)++] > ' ')
			continue;
		begin = *at;
		if (hex_read(sha256, SHA256_BYTES, word))
			return true;
	}
	return false;
}
