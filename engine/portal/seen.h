/*
 * seen.h - what anybody may know of an issued result: who issued it, what kind, its number, its day
 * and whether it is in force. No name, no field, no file.
 */
#ifndef TRIEN_PORTAL_SEEN_H
#define TRIEN_PORTAL_SEEN_H

#include "portal/reading.h"
#include "trien/v1/repository.pb-c.h"

/* A stored result that no decision restricts, whoever holds it. As reading_result(). */
enum status seen_find(struct reading *r, const char *id, struct result_view *v) must_use;
/* {kind, unit, number, issued, year, life, badge, valid_until}, paper, paper_day of its life. */
json_t *seen_told(struct reading *r, const struct result_view *v, enum language in);
/* What the form of a look-up by number shows, with what the query says. */
json_t *seen_form(const struct request *q);
/*
 * The holder will see that somebody looked: told to the engine, where it is there. Public look-ups
 * show nothing of a person, so they are answered without it, too.
 */
void seen_record(struct request *q, const char *id, Trien__V1__Read__Call call);

#endif
