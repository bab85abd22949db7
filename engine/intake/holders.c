#include "intake/check.h"

static enum status take_country(struct check *x, struct holder *out, const struct raw_holder *raw)
{
	struct slice c = raw->country;

	x->at.member = "country";
	if (c.n == 0)
		c = slice_str("VN");
	if (!country_fits(c))
		return check_fail(x, REASON_HOLDER_INVALID, "two capital letters (ISO 3166-1)");
	if (!holder_country_fits(raw->id_kind, c))
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
	if (!holder_number_fits(raw->id_kind, raw->number))
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
