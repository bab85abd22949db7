/*
 * counted_sql.h - what stored results count, as SQL over their packed words (store/counted.h): for
 * what is stored, and for what an earlier version stored. Inside store/postgres only.
 */
#ifndef TRIEN_STORE_POSTGRES_COUNTED_SQL_H
#define TRIEN_STORE_POSTGRES_COUNTED_SQL_H

#include "counts.h"

/* Of `stored`, with the names that the list of counts uses. */
#define COUNTED_DATED \
	"dated AS (SELECT lane, sequence, unit, kind, parts, facts AS f, papers AS g," \
	" (issued AT TIME ZONE 'UTC' + interval '7 hours')::date AS day," \
	" (sequence >> 14 & 255)::smallint AS engine, (facts >> 49 & 4095)::int AS days" \
	" FROM stored)"

#define COUNTED_NAME(name, column, sql) ", " #column
/* NULL stands for 0: most counts are, and take no room then. */
#define COUNTED_ALL(name, column, sql) ", nullif(" sql ", 0)"
#define COUNTED_NONE(name, column, sql) ", NULL"

/*
 * What is accepted on another day has a row of its own there; so has what is replaced, with a
 * watermark that no other row has (counting.c), below 0. count: of each; mark: the watermark; old:
 * rows of `stored`, each with old_unit and old_day.
 */
#define COUNTED(count, mark, old) \
	"INSERT INTO counter (lane, unit, kind, day, engine, watermark" \
	COUNTS_OF_RESULTS(COUNTED_NAME) ", accepted, replaced, parts)" \
	" SELECT min(lane), unit, kind, to_char(day, 'YYYYMMDD')::int, engine, " mark \
	COUNTS_OF_RESULTS(count) ", nullif(count(*) FILTER (WHERE days = 0), 0), NULL::bigint," \
	" parts FROM dated GROUP BY unit, kind, parts, day, engine" \
	" UNION ALL SELECT min(lane), unit, kind, to_char(day - days, 'YYYYMMDD')::int, engine, " \
	mark COUNTS_OF_RESULTS(COUNTED_NONE) ", count(*), NULL, parts" \
	" FROM dated WHERE days > 0 GROUP BY unit, kind, parts, day - days, engine" \
	" UNION ALL SELECT lane, old_unit, kind, old_day, (sequence >> 14 & 255)::smallint," \
	" -(sequence # (128::bigint << 14)) - 1" COUNTS_OF_RESULTS(COUNTED_NONE) ", NULL, 1, ''" \
	" FROM " old " WHERE old_day > 0"

#endif
