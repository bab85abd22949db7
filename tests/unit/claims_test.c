/* What a token says: for whom, when, and who. Each case is a good token with one thing changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "case.h"
#include "portal/claims.h"

#define NOW 1800000000

static const char *const parties[] = { "other-portal" };
static const char *const levels[] = { "loa-2", "loa-3" };

static struct claims_wanted wanted(void)
{
	return (struct claims_wanted){
		.issuer = "https://id.example", .audience = "portal", .nonce = "n0",
		.now_s = NOW, .age_s_max = TOKEN_AGE_S_MAX, .life_s_max = TOKEN_LIFE_S_MAX,
	};
}

static json_t *base(void)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "iss", "https://id.example", "aud", "portal",
			 "sub", "s-1", "nonce", "n0", "exp", (json_int_t)NOW + 300, "iat",
			 (json_int_t)NOW - 100);
}

/* The base with this member; JSON text, NULL: without it. */
static enum status with(const struct claims_wanted *w, const char *name, const char *value)
{
	json_t *j = base();
	enum status st;

	if (value == NULL)
		json_object_del(j, name);
	else
		json_object_set_new(j, name, json_loads(value, JSON_DECODE_ANY, NULL));
	st = claims_check(j, w, NULL);
	json_decref(j);
	return st;
}

static void one_thing_changed(void **state)
{
	static const struct { const char *name, *value; bool good; } rows[] = {
		{ "more", "1", true },
		{ "iss", NULL, false },
		{ "iss", "\"https://id.example/\"", false },
		{ "iss", "\"https://ID.example\"", false },
		{ "iss", "[\"https://id.example\"]", false },
		{ "aud", NULL, false },
		{ "aud", "\"portal2\"", false },
		{ "aud", "\"Portal\"", false },
		{ "aud", "[\"portal\"]", true },
		{ "aud", "[]", false },
		{ "aud", "[\"portal\",\"b\"]", false },	/* no azp */
		{ "aud", "[\"portal\",1]", false },
		{ "aud", "{\"portal\":1}", false },
		{ "azp", "\"portal\"", true },
		{ "azp", "\"other\"", false },
		{ "azp", "\"other-portal\"", false },
		{ "azp", "[\"portal\"]", false },
		{ "nonce", NULL, false },
		{ "nonce", "\"n1\"", false },
		{ "nonce", "\"\"", false },
		{ "nonce", "1", false },
		{ "sub", NULL, false },
		{ "sub", "\"\"", false },
		{ "sub", "7", false },
		{ "exp", NULL, false },
		{ "exp", "\"1800000300\"", false },
		{ "exp", "1799999941", true },		/* the skew */
		{ "exp", "1799999940", false },
		{ "exp", "1800000300.5", true },
		{ "exp", "1e300", false },
		{ "exp", "-1", false },
		{ "exp", "1800086300", true },
		{ "exp", "1800086301", false },		/* lives longer than a day */
		{ "iat", NULL, false },
		{ "iat", "1800000060", true },
		{ "iat", "1800000061", false },
		{ "iat", "1799999340", true },
		{ "iat", "1799999339", false },
		{ "iat", "true", false },
		{ "nbf", "1800000060", true },
		{ "nbf", "1800000061", false },
		{ "nbf", "\"0\"", false },
		{ "events", "{}", false },
	};
	struct claims_wanted w = wanted();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(with(&w, rows[i].name, rows[i].value),
				 rows[i].good ? ST_OK : ST_UNAUTHENTICATED);
}

static void several_audiences(void **state)
{
	struct claims_wanted w = wanted();
	json_t *j = base();

	json_object_set_new(j, "aud", json_pack("[s,s]", "portal", "b"));
	json_object_set_new(j, "azp", json_string("portal"));
	assert_int_equal(claims_check(j, &w, NULL), ST_OK);
	json_object_set_new(j, "azp", json_string("other-portal"));
	assert_int_equal(claims_check(j, &w, NULL), ST_UNAUTHENTICATED);
	w.parties = parties;
	w.parties_n = 1;
	assert_int_equal(claims_check(j, &w, NULL), ST_OK);
	json_object_set_new(j, "azp", json_string("b"));
	assert_int_equal(claims_check(j, &w, NULL), ST_UNAUTHENTICATED);
	json_object_set_new(j, "azp", json_string("portal"));
	for (int i = 2; i < 16; i++)
		json_array_append_new(json_object_get(j, "aud"), json_string("c"));
	assert_int_equal(claims_check(j, &w, NULL), ST_OK);
	json_array_append_new(json_object_get(j, "aud"), json_string("c"));
	assert_int_equal(claims_check(j, &w, NULL), ST_UNAUTHENTICATED);
	json_decref(j);
}

static void levels_and_no_nonce(void **state)
{
	struct claims_wanted w = wanted();

	w.nonce = NULL;
	assert_int_equal(with(&w, "nonce", NULL), ST_OK);
	w.acr = levels;
	w.acr_n = 2;
	assert_int_equal(with(&w, "acr", NULL), ST_UNAUTHENTICATED);
	assert_int_equal(with(&w, "acr", "\"loa-1\""), ST_UNAUTHENTICATED);
	assert_int_equal(with(&w, "acr", "\"loa-3\""), ST_OK);
}

/* ---- who ---- */

static struct claim_names names(void)
{
	return (struct claim_names){
		.number = "citizen", .id_kind = "", .country = "", .name = "name",
		.roles = "/realm/roles", .units = "units", .leader = "leader",
		.fixed_id_kind = "citizen",
	};
}

static enum status who(const char *claims, const struct claim_names *n, struct session *p)
{
	json_t *j = json_loads(claims, 0, NULL);
	enum status st;

	assert_non_null(j);
	st = claims_person(j, n, p, NULL);
	json_decref(j);
	return st;
}

static void a_citizen(void **state)
{
	struct claim_names n = names();
	struct session p;

	assert_int_equal(who("{\"citizen\":\"001199000017\",\"name\":\"Nguyễn Thị Hà\"}", &n, &p),
			 ST_OK);
	assert_int_equal(p.holder.id_kind, ID_CITIZEN);
	assert_string_equal(p.holder.country, "VN");
	assert_string_equal(p.holder.number, "001199000017");
	assert_string_equal(p.name, "Nguyễn Thị Hà");
	assert_int_equal(p.roles, ROLE_CITIZEN);
	/* Units without the role lead nothing. */
	assert_int_equal(who("{\"citizen\":\"001199000017\",\"units\":[\"*\"]}", &n, &p), ST_OK);
	assert_string_equal(p.units, "");
}

static void nobody(void **state)
{
	static const char *const bad[] = {
		"{}", "{\"citizen\":\"\"}", "{\"citizen\":1199000017}",
		"{\"citizen\":\"00119900001\"}", "{\"citizen\":\"0011990000177\"}",
		"{\"citizen\":\"00119900001a\"}", "{\"citizen\":\" 01199000017\"}",
		"{\"citizen\":[\"001199000017\"]}", "{\"Citizen\":\"001199000017\"}",
		"{\"citizen\":\"00000000000000000000000000000000000000000\"}",
		"{\"realm\":{\"roles\":\"staff\"}}", "{\"realm\":{\"roles\":7}}",
		"{\"realm\":{\"roles\":[[\"leader\"]]}}",
	};
	struct claim_names n = names();
	struct session p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(who(bad[i], &n, &p), ST_NOT_FOUND);
}

static void a_leader(void **state)
{
	struct claim_names n = names();
	struct session p;

	assert_int_equal(who("{\"realm\":{\"roles\":[\"staff\",\"leader\"]},\"units\":\"a  b \"}",
			     &n, &p), ST_OK);
	assert_int_equal(p.roles, ROLE_LEADER);
	assert_int_equal(p.holder.id_kind, ID_NONE);
	assert_string_equal(p.units, "a,b");
	assert_int_equal(who("{\"realm\":{\"roles\":\"leader\"},\"units\":[\"*\"],\"citizen\":"
			     "\"001199000017\"}", &n, &p), ST_OK);
	assert_int_equal(p.roles, ROLE_CITIZEN | ROLE_LEADER);
	assert_int_equal(p.holder.id_kind, ID_CITIZEN);
	assert_string_equal(p.units, "*");
	assert_int_equal(who("{\"realm\":{\"roles\":\"leader\"},\"units\":[\"\"]}", &n, &p),
			 ST_NOT_FOUND);
	assert_int_equal(who("{\"realm\":{\"roles\":\"leader\"},\"units\":[\"a,b\"]}", &n, &p),
			 ST_NOT_FOUND);
	/* The name of a role is the whole of it. */
	assert_int_equal(who("{\"realm\":{\"roles\":\"leaders\"}}", &n, &p), ST_NOT_FOUND);
	n.roles = "";
	assert_int_equal(who("{\"realm\":{\"roles\":\"leader\"},\"\":\"leader\"}", &n, &p),
			 ST_NOT_FOUND);
	n = names();
	n.leader = "";
	assert_int_equal(who("{\"realm\":{\"roles\":[\"\"]}}", &n, &p), ST_NOT_FOUND);
}

static void lists_end(void **state)
{
	struct claim_names n = names();
	json_t *j = json_object(), *units = json_array();
	struct session p;

	json_object_set_new(j, "realm", json_pack("{s:s}", "roles", "leader"));
	json_object_set_new(j, "units", units);
	for (size_t i = 0; i < sizeof(p.units) / 2; i++)
		json_array_append_new(units, json_string("u"));
	assert_int_equal(claims_person(j, &n, &p, NULL), ST_OK);
	assert_int_equal(strlen(p.units), sizeof(p.units) - 1);
	json_array_append_new(units, json_string("u"));
	assert_int_equal(claims_person(j, &n, &p, NULL), ST_NOT_FOUND);
	json_decref(j);
}

static void kinds_and_countries(void **state)
{
	struct claim_names n = names();
	struct session p;

	n.id_kind = "kind";
	n.country = "/paper~1a/land";
	assert_int_equal(who("{\"citizen\":\"C1234567\",\"kind\":\"passport\",\"paper/a\":"
			     "{\"land\":\"LA\"}}", &n, &p), ST_OK);
	assert_int_equal(p.holder.id_kind, ID_PASSPORT);
	assert_string_equal(p.holder.country, "LA");
	assert_int_equal(who("{\"citizen\":\"C1234567\",\"kind\":\"passport\"}", &n, &p),
			 ST_NOT_FOUND);
	assert_int_equal(who("{\"citizen\":\"c1234567\",\"kind\":\"passport\",\"paper/a\":"
			     "{\"land\":\"LA\"}}", &n, &p), ST_NOT_FOUND);
	/* Only Vietnam gives a Vietnamese citizen's number. */
	assert_int_equal(who("{\"citizen\":\"001199000017\",\"kind\":\"citizen\",\"paper/a\":"
			     "{\"land\":\"LA\"}}", &n, &p), ST_NOT_FOUND);
	assert_int_equal(who("{\"citizen\":\"001199000017\",\"kind\":\"CITIZEN\",\"paper/a\":"
			     "{\"land\":\"VN\"}}", &n, &p), ST_NOT_FOUND);
	assert_int_equal(who("{\"citizen\":\"001199000017\",\"kind\":\"citizen\",\"paper/a\":"
			     "{\"land\":\"VNM\"}}", &n, &p), ST_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thing_changed), cmocka_unit_test(several_audiences),
		cmocka_unit_test(levels_and_no_nonce), cmocka_unit_test(a_citizen),
		cmocka_unit_test(nobody), cmocka_unit_test(a_leader), cmocka_unit_test(lists_end),
		cmocka_unit_test(kinds_and_countries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
