#include "facts.h"

#include "base/calendar.h"
#include "base/wire.h"

/* Fields of trien.v1.Facts. */
enum { PROCEDURE_CODE = 1, CHANNEL = 3, RECEIVED_TIME, DUE_TIME, DELIVERY = 7, FEE, REUSED_RESULTS,
       DATA_SOURCES, EXTENDED_MINUTES, PROCEDURE_FIELD, LATE_CAUSE, PAPERS, PAPERS_DIGITISED };

#define CALENDAR_END_S 253402300800ull	/* year 10000 */

static int64_t time_ms(struct slice timestamp)
{
	struct wire w = wire_of(timestamp);
	struct wire_field f;
	uint64_t seconds = 0, nanos = 0;

	while (wire_next(&w, &f)) {
		if (f.number == 1 && f.type == WIRE_VARINT)
			seconds = f.value;
		else if (f.number == 2 && f.type == WIRE_VARINT)
			nanos = f.value;
	}
	return seconds < CALENDAR_END_S && nanos < 1000000000 ?
	       (int64_t)(seconds * 1000 + nanos / 1000000) : 0;
}

static uint8_t known(uint64_t v, uint8_t end)
{
	return v < end ? (uint8_t)v : 0;
}

static void number_read(struct facts *out, const struct wire_field *f, uint32_t *extended)
{
	switch (f->number) {
	case CHANNEL:
		out->channel = known(f->value, CHANNELS);
		break;
	case DELIVERY:
		out->delivery = known(f->value, DELIVERIES);
		break;
	case FEE:
		out->fee = known(f->value, FEES);
		break;
	case EXTENDED_MINUTES:
		*extended = (uint32_t)f->value;
		break;
	case PAPERS:
		out->papers_n = (uint32_t)f->value;
		break;
	case PAPERS_DIGITISED:
		out->digitised_n = (uint32_t)f->value;
		break;
	}
}

/* Field 1 of trien.v1.DataSource. */
static bool of_population(struct slice source)
{
	struct wire w = wire_of(source);
	struct slice database = { NULL, 0 };
	struct wire_field f;

	while (wire_next(&w, &f))
		if (f.number == 1 && f.type == WIRE_BYTES)
			database = f.bytes;
	return slice_eq(database, slice_str(FACTS_POPULATION));
}

static void bytes_read(struct facts *out, const struct wire_field *f)
{
	switch (f->number) {
	case PROCEDURE_CODE:
		out->procedure = f->bytes;
		break;
	case RECEIVED_TIME:
		out->received_ms = time_ms(f->bytes);
		break;
	case DUE_TIME:
		out->due_ms = time_ms(f->bytes);
		break;
	case REUSED_RESULTS:
		out->reused_n++;
		break;
	case DATA_SOURCES:
		out->sources_n++;
		out->citizen_data |= of_population(f->bytes);
		break;
	case PROCEDURE_FIELD:
		out->field = f->bytes;
		break;
	case LATE_CAUSE:
		out->late_cause = f->bytes;
		break;
	}
}

void facts_read(struct facts *out, struct slice bytes)
{
	struct wire w = wire_of(bytes);
	struct wire_field f;
	uint32_t extended = 0;

	*out = (struct facts){ 0 };
	while (wire_next(&w, &f)) {
		if (f.type == WIRE_VARINT)
			number_read(out, &f, &extended);
		else if (f.type == WIRE_BYTES)
			bytes_read(out, &f);
	}
	if (out->due_ms != 0)
		out->due_ms += (int64_t)extended * 60000;
}

enum timeliness facts_timeliness(const struct facts *f, int64_t signed_ms)
{
	if (f->due_ms == 0)
		return TIMELINESS_NONE;
	if (signed_ms > f->due_ms)
		return TIMELINESS_LATE;
	return day_vietnam(signed_ms) < day_vietnam(f->due_ms) ? TIMELINESS_EARLY :
								 TIMELINESS_ON_TIME;
}
