/* The bytes of a case as it goes out. */
#include "base/wire.h"
#include "limits.h"
#include "load/drive.h"

#define CASES_BYTES_MAX (1024 * 1024 - 64)
#define COPIES_BYTES_MAX (2 * 1024 * 1024 - 64)

static bool replaces(const struct drive *d, uint32_t place)
{
	return d->reissue_from > 0 && place >= d->reissue_from;
}

/* A merger's second phase is its first again. */
uint32_t submit_serial(const struct drive *d, uint32_t place)
{
	return replaces(d, place) ? place - (uint32_t)d->reissue_from : place;
}

bool submit_copies(const struct drive *d, uint32_t place)
{
	return stencil_copies(d->stencils, submit_serial(d, place));
}

size_t submit_room(enum call_kind kind)
{
	return kind == CALL_COPY ? COPIES_BYTES_MAX : CASES_BYTES_MAX;
}

uint32_t submit_cases_max(enum call_kind kind)
{
	return kind == CALL_CASE ? 1 : kind == CALL_COPY ? COPIES_MAX : DRIVE_CASES_MAX;
}

static size_t case_size(const struct drive *d, uint32_t place)
{
	return stencil_size(d->stencils, submit_serial(d, place), replaces(d, place));
}

static void case_write(const struct drive *d, uint32_t place, uint8_t *to)
{
	uint32_t serial = submit_serial(d, place);
	const struct load_result *before = &d->ledger.results[d->ledger.cases[serial].first];

	stencil_write(d->stencils, serial, replaces(d, place) ? before->id : NULL, to);
}

/* Tag and length of bytes within a message. */
static size_t head_size(size_t n)
{
	size_t size = 2;

	for (; n >= 0x80; n >>= 7)
		size++;
	return size;
}

size_t submit_size(const struct drive *d, uint32_t place)
{
	size_t n = case_size(d, place), original;

	if (!submit_copies(d, place))
		return n;
	original = stencil_original_size(d->stencils, submit_serial(d, place));
	return head_size(n) + n + head_size(original) + original;
}

static uint8_t *write_head(uint8_t *to, uint32_t number, size_t n)
{
	struct writer w = writer_of(to, head_size(n));

	put_varint(&w, number << 3 | WIRE_BYTES);
	put_varint(&w, n);
	return w.p;
}

void submit_write(const struct drive *d, uint32_t place, uint8_t *to)
{
	uint32_t serial = submit_serial(d, place);
	size_t n = case_size(d, place);

	if (!submit_copies(d, place)) {
		case_write(d, place, to);
		return;
	}
	to = write_head(to, 1, n);
	case_write(d, place, to);
	to = write_head(to + n, 2, stencil_original_size(d->stencils, serial));
	stencil_original(d->stencils, serial, to);
}
