#include <assert.h>

#include "store/postgres/postgres.h"

static uint8_t lane_of(struct writer *w)
{
	uint8_t digest[SHA256_BYTES];

	assert(!w->bad);
	sha256_once(w->start, writer_size(w), digest);
	return lane_of_key(digest);
}

uint8_t pg_lane_register(struct slice unit, struct slice code)
{
	uint8_t buf[2 * CODE_BYTES_MAX + 8];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, 'R');
	write_blob(&w, unit);
	write_bytes(&w, code.p, code.n);
	return lane_of(&w);
}

uint8_t pg_lane_unit(struct slice unit)
{
	uint8_t buf[CODE_BYTES_MAX + 8];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, 'U');
	write_bytes(&w, unit.p, unit.n);
	return lane_of(&w);
}

int32_t pg_crc(uint8_t lane, uint64_t sequence, struct slice layers, struct slice record)
{
	uint8_t head[9];
	struct writer w = writer_of(head, sizeof(head));
	uint32_t crc;

	write_u8(&w, lane);
	write_u64(&w, sequence);
	crc = crc32c(0, head, sizeof(head));
	crc = crc32c(crc, layers.p, layers.n);
	return (int32_t)crc32c(crc, record.p, record.n);
}

enum pg_failure pg_failure_of(const char *sqlstate)
{
	/*
	 * 08 connection, 40 transaction undone, 53 resources, 57 operator, 55P03 lock, 58 disk: the
	 * server's state. 0A, 25, 26 plan or session gone, 42 table or right missing: the server
	 * must be set right first, no row is to blame.
	 */
	static const char *const again[] = { "08", "40", "53", "57", "55P03", "58", "0A", "25",
					     "26", "42" };

	/* Lost connections have none. */
	if (sqlstate == NULL || sqlstate[0] == '\0')
		return PG_RETRY;
	for (size_t i = 0; i < ARRAY_LEN(again); i++)
		if (strncmp(sqlstate, again[i], strlen(again[i])) == 0)
			return PG_RETRY;
	/* The only check of the schema is which month a row belongs to. */
	return strcmp(sqlstate, "23514") == 0 ? PG_PARTITION : PG_ROW;
}
