/*
 * build.h - one case while it is put together, and its line of JSON.
 *
 * The case is the engine's own struct case_view, so that a sample cannot hold what a case
 * cannot. All memory comes from the arena, which is reset for each case; texts given to setters
 * are copied into it. An arena that is spent is a mistake here and stops the program.
 */
#ifndef SAMPLE_BUILD_H
#define SAMPLE_BUILD_H

#include "case.h"
#include "sample/calendar.h"
#include "sample/json.h"
#include "sample/people.h"
#include "sample/procedures.h"

#define BUILD_ARENA_BYTES (4 * 1024 * 1024)
#define FACTS_LIST_MAX 32		/* reused results, data sources */

enum channel { CHANNEL_ONLINE, CHANNEL_COUNTER, CHANNEL_POST, CHANNEL_PROACTIVE };
enum delivery { DELIVERY_ELECTRONIC, DELIVERY_BY_HAND, DELIVERY_BY_POST };
enum fee { FEE_FREE, FEE_PAID_ONLINE, FEE_PAID_CASH, FEE_EXEMPT, FEE_DUE };

struct data_source { const char *database; int64_t read_ms; char reference[20]; };

/* trien.v1.Facts and Approval. */
struct facts {
	bool given;
	const struct procedure *procedure;
	enum channel channel;
	int64_t received_ms, due_ms, finished_ms;
	enum delivery delivery;
	enum fee fee;
	uint32_t reused_n, sources_n, extended_minutes;
	char reused[FACTS_LIST_MAX][24];
	struct data_source sources[FACTS_LIST_MAX];
	char drafter[32], approver[32];
	const char *approver_title;
	uint8_t shown[32];
};

struct build {
	struct random random;
	struct arena *arena;
	const struct office *office;
	uint64_t serial;		/* of the case, from 1; no other case of a run has it */
	struct case_view c;
	struct facts facts;
	bool decompose;			/* written as NFD */
	/* Whom the case is about, and who stands beside: spouse, mother, household's head. */
	struct person who, kin, father;
	bool child, fatherless;		/* who is a minor with kin (and father) as guardians */
};

/* An empty case of that office. The stream of chance is set. */
void build_start(struct build *b, struct arena *a, const struct office *o);

char *build_text(struct build *b, const char *fmt, ...) printf_like(2, 3);
void build_code(struct build *b, const char *fmt, ...) printf_like(2, 3);

/* A holder; CASE_HOLDERS_MAX at most. number "": none yet. Returned to be changed. */
struct holder *build_holder(struct build *b, enum holder_role role, enum id_kind kind,
			    const char *country, const char *number, const char *name);
struct holder *build_person(struct build *b, enum holder_role role, const struct person *p);

/* A result of that kind, the ordinal being how many of the kind there are before. */
struct case_result *build_result(struct build *b, const char *kind, const char *signer);

/* Setting a field again replaces its value. An empty text leaves it out. */
void set_text(struct build *b, struct case_result *r, const char *name, const char *text);
void set_number(struct build *b, struct case_result *r, const char *name, int64_t value,
		uint8_t decimals);
void set_date(struct build *b, struct case_result *r, const char *name, struct partial_date d);
/* The day of a time in Vietnam. */
void set_day(struct build *b, struct case_result *r, const char *name, int64_t ms);
/* Rows are added after; cells of the row in order. */
struct field *set_table(struct build *b, struct case_result *r, const char *name, uint16_t rows_max,
			uint8_t columns);
void add_row(struct build *b, struct field *table, const char *const *cells);

/* "1.234,5" */
const char *vietnamese_number(struct build *b, int64_t value, uint8_t decimals);
/* "05/03/1990", "1990" */
const char *vietnamese_date(struct build *b, struct partial_date d);

/* One line, with its LF: trien.v1.Case in proto3 JSON. */
void build_write(const struct build *b, struct json *j);

#endif
