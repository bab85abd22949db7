/*
 * models.h - what a page and its JSON under /api/v1/ both show: one function each, so that the rule
 * who sees what is one. Whom the session of *q names is looked for; a handler under /api/v1/ fills
 * that from a token. A model is the caller's. ST_NOT_FOUND: nothing of theirs.
 */
#ifndef TRIEN_PORTAL_MODELS_H
#define TRIEN_PORTAL_MODELS_H

#include "portal/reading.h"

/* mine.c: the list, by the query's year, unit, q, copies, hidden, page. */
enum status mine_model(struct request *q, json_t **model) must_use;
/* result.c: one result with its fields, history and signatures. */
enum status result_model(struct request *q, const char *id, json_t **model) must_use;
/* Its file, a certificate or list of args[1]: answered, errors too. */
void result_file(struct request *q);
void result_evidence(struct request *q);
/* result.c: the file of a stored result, id for its name, as the answer. */
enum status result_file_send(struct request *q, const struct result_view *v, const char *id)
	must_use;
/* report.c: is its file what was issued, by whom is it signed, is it in force. */
enum status report_model(struct request *q, const char *id, json_t **model) must_use;
/*
 * lead.c: today's numbers of the units that the session leads, by ward and agency. ST_UNAVAILABLE:
 * the engine did not tell any yet.
 */
enum status lead_model(struct request *q, json_t **model) must_use;
/* reads.c: who looked at whose papers; the query's before. */
enum status reads_model(struct request *q, json_t **model) must_use;

#endif
