/*
 * facts.h - what statistics read in a case's facts (trien.v1.Facts, kept as it came): pure, without
 * building objects.
 *
 * A time that no calendar has counts as none; a choice that this program does not know as
 * unspecified.
 */
#ifndef TRIEN_FACTS_H
#define TRIEN_FACTS_H

#include "base/bytes.h"

/* In trien.v1.DataSource.database: the national database of the population. */
#define FACTS_POPULATION "CSDLQGDC"

/* Numbers as in trien.v1.Facts. */
enum facts_channel { CHANNEL_NONE, CHANNEL_ONLINE, CHANNEL_COUNTER, CHANNEL_POST,
		     CHANNEL_PROACTIVE, CHANNELS };
enum facts_delivery { DELIVERY_NONE, DELIVERY_ELECTRONIC, DELIVERY_HAND, DELIVERY_POST,
		      DELIVERIES };
enum facts_fee { FEE_NONE, FEE_FREE, FEE_PAID_ONLINE, FEE_PAID_CASH, FEE_EXEMPT, FEE_DUE, FEES };

/* Numbers as in trien.v1.Timeliness. */
enum timeliness { TIMELINESS_NONE, TIMELINESS_EARLY, TIMELINESS_ON_TIME, TIMELINESS_LATE };

struct facts {
	int64_t received_ms;		/* 0: not told */
	int64_t due_ms;			/* with what it was extended by; 0: no deadline */
	uint8_t channel, delivery, fee;
	uint32_t reused_n;		/* earlier results used instead of papers */
	uint32_t sources_n;		/* databases that data was taken from */
	bool citizen_data;		/* one of them is that of the population */
	uint32_t papers_n, digitised_n;	/* of the dossier, and those that it has as data */
	struct slice procedure, field, late_cause;	/* borrowed from the bytes; may be empty */
};

/* bytes: checked against the schema by intake; what cannot be read of others is left out. */
void facts_read(struct facts *out, struct slice bytes);

/*
 * By when the last signature was made: early before the day of the due time (Vietnam's calendar),
 * on time on that day up to the due time, late after it ("trước hạn", "đúng hạn", "quá hạn" of
 * report II.06, TT 01/2020/TT-VPCP). The signatures decide, not when somebody said it was done.
 */
enum timeliness facts_timeliness(const struct facts *f, int64_t signed_ms);

#endif
