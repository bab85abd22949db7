#include "foreign/icc.h"

#include <math.h>

#include "base/status.h"

#define HEADER_BYTES 128
#define TAG_BYTES 12
#define XYZ_NEAR 0.1		/* Display P3 is 0.09 away, Adobe RGB 0.18 */
#define MIDDLE_MIN 0.13		/* what half of a sample's range shows: gamma 3 */
#define MIDDLE_MAX 0.32		/* and gamma 1.65; sRGB's own is 0.21 */

/* ICC.1:2010, 10.16: parameters of the function types 0 … 4, behind the type and its reserve. */
static const uint8_t parameters_n[] = { 1, 3, 4, 5, 7 };

static uint32_t big(struct slice s, size_t at, size_t width)
{
	uint32_t v = 0;

	for (size_t i = at; i < at + width && i < s.n; i++)
		v = v << 8 | s.p[i];
	return v;
}

/* s15Fixed16Number. */
static double fixed(struct slice s, size_t at)
{
	return (int32_t)big(s, at, 4) / 65536.0;
}

static bool stands(struct slice s, size_t at, const char *signature)
{
	return s.n >= at + 4 && memcmp(s.p + at, signature, 4) == 0;
}

/* An absent one is empty. */
static struct slice tag(struct slice profile, const char *signature)
{
	uint32_t n = big(profile, HEADER_BYTES, 4);

	for (uint32_t i = 0; i < n; i++) {
		size_t at = HEADER_BYTES + 4 + (size_t)i * TAG_BYTES, from, size;

		if (at + TAG_BYTES > profile.n)
			break;
		if (!stands(profile, at, signature))
			continue;
		from = big(profile, at + 4, 4);
		size = big(profile, at + 8, 4);
		return from <= profile.n && size <= profile.n - from ?
			slice_of(profile.p + from, size) : slice_of(NULL, 0);
	}
	return slice_of(NULL, 0);
}

/* ---- curves: what they make of one half ---- */

/* 10.5: none is a straight line, one is a gamma (u8Fixed8Number), more are a table. */
static bool of_table(struct slice curve, double *middle)
{
	uint32_t n = big(curve, 8, 4), k;
	double at;

	if (n == 0)
		*middle = 0.5;
	else if (n == 1)
		*middle = pow(0.5, big(curve, 12, 2) / 256.0);
	if (n < 2)
		return curve.n >= 12 + 2 * (size_t)n;
	if (n > (curve.n - 12) / 2)
		return false;
	at = (n - 1) / 2.0;
	k = (uint32_t)at;
	*middle = big(curve, 12 + 2 * (size_t)k, 2) / 65535.0;
	if (at > k)
		*middle = (*middle + big(curve, 14 + 2 * (size_t)k, 2) / 65535.0) / 2;
	return true;
}

/* 10.16, table 65. */
static bool of_function(struct slice curve, double *middle)
{
	double v[7] = { 1, 1, 0, 0, 0, 0, 0 };	/* g a b c d e f */
	uint32_t type = big(curve, 8, 2);

	if (type >= ARRAY_LEN(parameters_n) || curve.n < 12 + 4 * (size_t)parameters_n[type])
		return false;
	for (uint8_t i = 0; i < parameters_n[type]; i++)
		v[i] = fixed(curve, 12 + 4 * (size_t)i);
	if (type < 3)
		*middle = pow(v[1] * 0.5 + v[2], v[0]) + (type == 2 ? v[3] : 0);
	else if (0.5 >= v[4])
		*middle = pow(v[1] * 0.5 + v[2], v[0]) + v[5];
	else
		*middle = v[3] * 0.5 + v[6];
	return true;
}

static bool curve_is_near(struct slice curve)
{
	double middle;

	if (curve.n < 12)
		return false;
	if (stands(curve, 0, "curv") ? !of_table(curve, &middle) :
	    !stands(curve, 0, "para") || !of_function(curve, &middle))
		return false;
	return middle >= MIDDLE_MIN && middle <= MIDDLE_MAX;
}

/* ---- the profile ---- */

static bool xyz_is_near(struct slice t, const double want[3])
{
	if (t.n < 20 || !stands(t, 0, "XYZ "))
		return false;
	for (size_t i = 0; i < 3; i++)
		if (fabs(fixed(t, 8 + 4 * i) - want[i]) > XYZ_NEAR)
			return false;
	return true;
}

static bool matrix_is_near(struct slice profile)
{
	/* sRGB's primaries, adapted to D50. */
	static const struct { const char *xyz, *curve; double want[3]; } of[] = {
		{ "rXYZ", "rTRC", { 0.4361, 0.2225, 0.0139 } },
		{ "gXYZ", "gTRC", { 0.3851, 0.7169, 0.0971 } },
		{ "bXYZ", "bTRC", { 0.1431, 0.0606, 0.7141 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(of); i++)
		if (!xyz_is_near(tag(profile, of[i].xyz), of[i].want) ||
		    !curve_is_near(tag(profile, of[i].curve)))
			return false;
	return true;
}

bool icc_is_of(struct slice profile, uint8_t components)
{
	return stands(profile, 36, "acsp") &&
	       stands(profile, 16, components == 3 ? "RGB " : "GRAY");
}

bool icc_is_srgb(struct slice profile, uint8_t components)
{
	static const char *const classes[] = { "mntr", "scnr", "prtr", "spac" };
	static const char *const tables[] = { "A2B0", "A2B1", "A2B2" };
	bool known = false;

	if (profile.n < HEADER_BYTES + 4 || !icc_is_of(profile, components) ||
	    big(profile, 0, 4) > profile.n)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		known |= stands(profile, 12, classes[i]);
	if (!known)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (tag(profile, tables[i]).n > 0)
			return false;
	if (components == 1)
		return curve_is_near(tag(profile, "kTRC"));
	return stands(profile, 20, "XYZ ") && matrix_is_near(profile);
}
