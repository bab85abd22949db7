/*
 * page.h - pages as templates; the model is a jansson value. Logic stays in C, HTML in pages/.
 *
 *	{{name}}  {{a.b}}  {{.}}	a text or number of the model, escaped for HTML: there is no
 *					way to write one that is not
 *	{{u name}}			the same as one piece of a URL's path or query
 *	{{t key}}			a text of words/, whose {name} are of the model; escaped.
 *					key may hold one: {{t state.{state}}}
 *	{{#name}} … {{/name}}		for each of a list; once, and inside it, for an object; once
 *					for what is neither false, null, 0, "" nor missing
 *	{{^name}} … {{/name}}		where {{#name}} would write nothing
 *	{{>part}}			pages/part.html, with the model as it is here
 *	{{! … }}			a remark
 *
 * A name is looked up in the innermost value and then outwards. A line that holds nothing but one
 * of the last five leaves no line behind. A missing name writes nothing, a missing key stops the
 * page (a test looks for all of them).
 */
#ifndef TRIEN_PORTAL_PAGE_H
#define TRIEN_PORTAL_PAGE_H

#include <jansson.h>

#include "portal/text.h"
#include "portal/words.h"

struct pages;

/* words are borrowed. */
enum status pages_new(struct pages **out, const struct words *words) must_use;
void pages_free(struct pages *p);
/*
 * name: "home". The source is borrowed. ST_INVALID: `home: line 3: …`. One thread, before
 * pages_link().
 */
enum status pages_add(struct pages *p, const char *name, struct slice source,
		      struct error *e) must_use;
/* All are there: each part that one names exists, and none holds itself. */
enum status pages_link(struct pages *p, struct error *e) must_use;

/*
 * After pages_link(), any thread. ST_NOT_FOUND: no such page, or no such key of words/; *e names
 * it. ST_TOO_LARGE: beyond out's bound.
 */
enum status page_render(const struct pages *p, const char *name, enum language language,
		       const json_t *model, struct text *out, struct error *e) must_use;

#endif
