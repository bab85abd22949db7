#include "intake/judge.h"

#include <stdio.h>

#include "base/utf8.h"
#include "base/wire.h"

enum { APPROVAL_DRAFTER = 1 };	/* field of trien.v1.Approval */

static bool signs_kind(const struct signer *s, const char *kind)
{
	for (uint8_t i = 0; i < s->kinds_n; i++)
		if (strcmp(s->kinds[i], kind) == 0)
			return true;
	return s->kinds_n == 0;
}

static struct slice drafter_of(struct slice approval)
{
	struct wire w = wire_of(approval);
	struct slice drafter = { NULL, 0 };
	struct wire_field f;

	while (wire_next(&w, &f))
		if (f.number == APPROVAL_DRAFTER && f.type == WIRE_BYTES)
			drafter = f.bytes;
	return drafter;
}

static bool own_draft(const struct judged *j, const struct waiting_paper *p)
{
	struct slice drafter = drafter_of(p->approval);

	return (j->principal.n > 0 && slice_eq(j->principal, slice_str(p->row.principal))) ||
	       (drafter.n > 0 && (slice_eq(drafter, j->principal) || slice_eq(drafter, j->signer)));
}

/* Today, for this agency and kind. before: a version of the signer's, or NULL. */
static enum reason in_office(const struct judged *j, const struct signer *before,
			     const struct waiting_paper *p)
{
	const struct signer *now = catalogue_signer(j->catalogue, j->signer, j->day);

	if (now == NULL)
		return before != NULL && signer_stands_in(before) ? REASON_DELEGATION_ENDED :
							     REASON_SIGNER_UNKNOWN;
	return strcmp(now->unit, p->unit->code) == 0 && signs_kind(now, p->kind->code) ?
	       REASON_NONE : REASON_SIGNER_NOT_ALLOWED;
}

enum reason judge(const struct judged *j, const struct waiting_paper *p)
{
	enum reason why;

	if (p->signer == NULL || !slice_eq(j->signer, slice_str(p->signer->code)))
		return REASON_SIGNER_NOT_ALLOWED;
	why = in_office(j, p->signer, p);
	if (why != REASON_NONE)
		return why;
	if (catalogue_unit(j->catalogue, slice_str(p->unit->code), j->day) == NULL)
		return REASON_UNIT_UNKNOWN;
	if (catalogue_kind(j->catalogue, slice_str(p->kind->code), j->day) == NULL)
		return REASON_KIND_NOT_EFFECTIVE;
	if (!p->kind->own_draft && own_draft(j, p))
		return REASON_OWN_DRAFT;
	return REASON_NONE;
}

static const struct signer *any_version(const struct catalogue *c, struct slice code)
{
	const struct signer *s;

	for (uint32_t i = 0; (s = catalogue_signer_at(c, i)) != NULL; i++)
		if (slice_eq(slice_str(s->code), code))
			return s;
	return NULL;
}

enum reason judge_successor(const struct judged *j, const struct waiting_paper *p)
{
	enum reason why = in_office(j, any_version(j->catalogue, j->signer), p);

	if (why != REASON_NONE)
		return why;
	if (catalogue_unit(j->catalogue, slice_str(p->unit->code), j->day) == NULL)
		return REASON_UNIT_UNKNOWN;
	return p->kind->numbered == NUMBERED_AT_APPROVAL && !p->kind->own_draft &&
	       own_draft(j, p) ? REASON_OWN_DRAFT : REASON_NONE;
}

/* Does the last character end here? */
static bool utf8_whole(const char *text, size_t n)
{
	struct slice rest = slice_of(text, n);

	while (rest.n > 0)
		if (utf8_next(&rest) < 0)
			return false;
	return true;
}

static int day_text(char out[16], uint32_t day)
{
	return day == 0 ? snprintf(out, 16, "…") :
	       snprintf(out, 16, "%04u-%02u-%02u", day / 10000 % 10000, day / 100 % 100, day % 100);
}

void judge_delegation(const struct judged *j, char out[DELEGATION_BYTES_MAX + 1])
{
	const struct signer *s = catalogue_signer(j->catalogue, j->signer, j->day);
	char from[16], to[16];
	size_t n;

	out[0] = '\0';
	if (s == NULL || !signer_stands_in(s))
		return;
	day_text(from, s->from);
	day_text(to, s->to);
	n = (size_t)snprintf(out, DELEGATION_BYTES_MAX + 1, "%s · %s – %s%s%s", s->authority, from,
			     to, s->delegation != NULL ? " · " : "",
			     s->delegation != NULL ? s->delegation : "");
	/* A paper with too long a name loses its end, at a character's bound. */
	for (n = n > DELEGATION_BYTES_MAX ? DELEGATION_BYTES_MAX : n;
	     n > 0 && !utf8_whole(out, n); n--)
		out[n - 1] = '\0';
}
