#include "intake/check.h"

#define COUNTRY_BYTES 2

static bool digits(struct slice s, size_t from, size_t n)
{
	if (s.n < from + n)
		return false;
	for (size_t i = from; i < from + n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

/* The forms of numbers that Vietnam gives; of others only the characters are known. Capitals, so
 * that a number has one spelling and one key. */
static bool number_fits(uint32_t kind, struct slice s)
{
	switch (kind) {
	case ID_CITIZEN:
		return s.n == 12 && digits(s, 0, 12);
	case ID_OLD_CITIZEN:
		return s.n == 9 && digits(s, 0, 9);
	case ID_ENTERPRISE:
	case ID_TAX:
		/* Since 2025 a household's or person's tax code is the personal number. */
		return (s.n == 10 && digits(s, 0, 10)) || (s.n == 12 && digits(s, 0, 12)) ||
		       (s.n == 14 && digits(s, 0, 10) && s.p[10] == '-' && digits(s, 11, 3));
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z'))
			return false;
	}
	return s.n <= CODE_BYTES_MAX;
}

static enum status take_country(struct check *x, struct holder *out, const struct raw_holder *raw)
{
	struct slice c = raw->country;

	x->at.member = "country";
	if (c.n == 0)
		c = slice_str("VN");
	if (c.n != COUNTRY_BYTES || c.p[0] < 'A' || c.p[0] > 'Z' || c.p[1] < 'A' || c.p[1] > 'Z')
		return check_fail(x, REASON_HOLDER_INVALID, "two capital letters (ISO 3166-1)");
	if (raw->id_kind != ID_PASSPORT && raw->id_kind != ID_OTHER && memcmp(c.p, "VN", 2) != 0)
		return check_fail(x, REASON_HOLDER_INVALID, "numbers of this kind are given by VN");
	out->country = c;
	return ST_OK;
}

static enum status take_identity(struct check *x, struct holder *out, const struct raw_holder *raw)
{
	x->at.member = "id_kind";
	if (raw->id_kind > ID_OTHER)
		return check_fail(x, REASON_HOLDER_INVALID, "not an IdKind");
	out->id_kind = (uint8_t)raw->id_kind;
	x->at.member = "number";
	if ((raw->id_kind == ID_NONE) != (raw->number.n == 0))
		return check_fail(x, REASON_HOLDER_INVALID, "number and id_kind go together");
	if (raw->id_kind == ID_NONE)
		return ST_OK;
	if (!number_fits(raw->id_kind, raw->number))
		return check_fail(x, REASON_HOLDER_INVALID, "not the form of such a number");
	out->number = raw->number;
	return take_country(x, out, raw);
}

enum status check_holder(struct check *x, struct holder *out, const struct raw_holder *raw)
{
	enum status st;

	*out = (struct holder){ .role = (uint8_t)raw->role,
				.visibility = (uint8_t)raw->visibility };
	st = take_identity(x, out, raw);
	if (st != ST_OK)
		return st;
	x->at.member = "name";
	st = check_text(x, &out->name, raw->name, NAME_BYTES_MAX, false);
	if (st == ST_OK && check_blank(out->name))
		st = check_fail(x, REASON_HOLDER_INVALID, "empty");
	if (st != ST_OK)
		return st;
	x->at.member = "role";
	if (raw->role > HOLDER_OTHER)
		return check_fail(x, REASON_HOLDER_INVALID, "not a Role");
	if (raw->role == 0)
		out->role = HOLDER_OWNER;
	x->at.member = "visibility";
	if (raw->visibility > 2)
		return check_fail(x, REASON_HOLDER_INVALID, "not a Visibility");
	if (raw->visibility == 0)
		out->visibility = 1;
	x->at.member = "from";
	st = check_day(x, &out->from, &raw->from);
	x->at.member = "to";
	if (st == ST_OK)
		st = check_day(x, &out->to, &raw->to);
	if (st == ST_OK && out->to != 0 && out->to < out->from)
		st = check_fail(x, REASON_HOLDER_INVALID, "before from");
	return st;
}

static bool same_holder(const struct holder *a, const struct holder *b)
{
	return a->number.n > 0 && a->id_kind == b->id_kind && slice_eq(a->number, b->number) &&
	       slice_eq(a->country, b->country);
}

enum status check_holders(struct check *x, struct case_view *c, const struct raw_case *raw)
{
	enum status st = ST_OK;

	x->at = (struct place){ .member = "holders" };
	if (raw->holders_n == 0)
		return check_fail(x, REASON_HOLDER_MISSING, "%s", "");
	c->holders = arena_take(x->scratch, raw->holders_n * sizeof(*c->holders));
	if (c->holders == NULL)
		return check_spent(x);
	for (uint32_t i = 0; i < raw->holders_n && st == ST_OK; i++) {
		x->at = (struct place){ .list = "holders", .index = i };
		st = check_holder(x, &c->holders[i], &raw->holders[i]);
		for (uint32_t k = 0; k < i && st == ST_OK; k++) {
			x->at.member = "number";
			if (same_holder(&c->holders[k], &c->holders[i]))
				st = check_fail(x, REASON_HOLDER_INVALID, "the same as holders[%u]",
						k);
		}
	}
	if (st == ST_OK && c->holders[0].role > HOLDER_CHILD) {
		x->at = (struct place){ .list = "holders", .member = "role" };
		st = check_fail(x, REASON_HOLDER_INVALID,
				"the first one is whom the result is about");
	}
	c->holders_n = (uint8_t)raw->holders_n;
	return st;
}
