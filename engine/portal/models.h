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

/* ---- what the engine is asked; false: answered ---- */

/* share.c: kind, scope, seconds and views of the form; what opens it is told here alone. */
bool share_make_model(struct request *q, const char *id, json_t **model) must_use;
/* The query's page. */
bool shares_model(struct request *q, json_t **model) must_use;
bool share_end_model(struct request *q, const char *share, json_t **model) must_use;
/*
 * shown.c: a view, by the form's token, or its result_id and code. look: 1: what it is, and nothing
 * of it is used up.
 */
bool share_use_model(struct request *q, json_t **model) must_use;
/* The file that a view gave, by the form's id, until and ticket: answered, errors too. */
void share_file(struct request *q);
/* track.c: code, digits and unit of the form. */
bool track_model(struct request *q, json_t **model) must_use;

/* ---- what anybody may know ---- */

/* seen.c: what the QR code of a print leads to. */
enum status seen_model(struct request *q, const char *id, json_t **model) must_use;
/* By the query's unit, number and year. ST_INVALID: one of them is none. */
enum status numbers_model(struct request *q, json_t **model) must_use;
/* By the query's id and sha256: answered in JSON, errors too. */
void seen_file(struct request *q);
/* verify.c: any file, looked into. ST_NOMEM. */
enum status verify_model(struct request *q, struct slice file, json_t **model) must_use;

#endif
