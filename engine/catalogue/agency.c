#include <string.h>

#include "catalogue/read.h"

#define ALIASES_MAX 32
#define KINDS_MAX 250
#define NOTATION_BYTES_MAX 30		/* CodeNotation, ND 30/2020 PL VI */

void unit_read(struct form *f, const json_t *v, const char *dir, struct unit *u,
	       struct picture *seal)
{
	static const char *const keys[] = { "from", "to", "name", "header", "superior", "notation",
		"place", "org_code", "aliases", "successor", "seal", NULL };
	size_t n;

	if (!form_keys(f, v, keys))
		return;
	u->name = form_text(f, v, "name", FORM_REQUIRED, NAME_BYTES_MAX);
	u->header = form_text(f, v, "header", FORM_LINES, NAME_BYTES_MAX);
	if (u->header == NULL)
		u->header = u->name;
	u->superior = form_text(f, v, "superior", FORM_LINES, NAME_BYTES_MAX);
	u->notation = form_text(f, v, "notation", FORM_REQUIRED, NOTATION_BYTES_MAX);
	u->place = form_text(f, v, "place", FORM_REQUIRED, NAME_BYTES_MAX);
	u->org_code = form_text(f, v, "org_code", FORM_ASCII, CODE_BYTES_MAX);
	u->aliases = form_texts(f, v, "aliases", FORM_ASCII, ALIASES_MAX, CODE_BYTES_MAX, &n);
	u->aliases_n = (uint8_t)n;
	u->successor = form_text(f, v, "successor", FORM_CODE, CODE_BYTES_MAX);
	if (u->successor != NULL && strcmp(u->successor, u->code) == 0)
		form_fail(f, "successor", "an agency cannot succeed itself");
	image_read(f, v, "seal", dir, seal);
	u->seal = seal->image;
}

static void check_authority(struct form *f, const struct signer *s)
{
	bool named = s->authority[0] != '\0';
	bool delegated = strcmp(s->authority, "TL") == 0 || strcmp(s->authority, "TUQ") == 0;

	if (named && s->authority_line[0] == '\0')
		form_fail(f, NULL, "\"authority_line\" is missing: it is printed for \"%s\"",
			  s->authority);
	if (!named && s->authority_line[0] != '\0')
		form_fail(f, "authority_line", "needs \"authority\"");
	if (delegated && s->delegation == NULL)
		form_fail(f, NULL, "\"delegation\" is missing: \"%s\" needs its paper",
			  s->authority);
}

void signer_read(struct form *f, const json_t *v, const char *dir, struct signer *s,
		 struct picture *hand)
{
	static const char *const keys[] = { "from", "to", "name", "unit", "title", "authority",
		"authority_line", "delegation", "kinds", "hand", NULL };
	static const char *const authorities[] = { "TM", "Q", "KT", "TL", "TUQ", NULL };
	int authority;
	size_t n;

	if (!form_keys(f, v, keys))
		return;
	s->name = form_text(f, v, "name", FORM_REQUIRED, NAME_BYTES_MAX);
	s->unit = form_text(f, v, "unit", FORM_REQUIRED | FORM_CODE, CODE_BYTES_MAX);
	s->title = form_text(f, v, "title", FORM_REQUIRED | FORM_LINES, NAME_BYTES_MAX);
	/* Absent: the index of the list's end. */
	authority = form_choice(f, v, "authority", authorities, ARRAY_LEN(authorities) - 1);
	s->authority = authorities[authority] != NULL ? authorities[authority] : "";
	s->authority_line = form_text(f, v, "authority_line", FORM_LINES, NAME_BYTES_MAX);
	if (s->authority_line == NULL)
		s->authority_line = "";
	s->delegation = form_text(f, v, "delegation", 0, NAME_BYTES_MAX);
	if (f->status == ST_OK)
		check_authority(f, s);
	s->kinds = form_texts(f, v, "kinds", FORM_CODE, KINDS_MAX, CODE_BYTES_MAX, &n);
	s->kinds_n = (uint8_t)n;
	image_read(f, v, "hand", dir, hand);
	s->hand = hand->image;
}
