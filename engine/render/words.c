#include "render/words.h"

#include <utf8proc.h>

static const char *const digit_words[10] = { "không", "một", "hai", "ba", "bốn",
					     "năm", "sáu", "bảy", "tám", "chín" };

/*
 * 0–999. `spoken`: a higher group stands before, so the hundreds are said even when they are none.
 * After a multiple of ten from twenty up, 1 and 4 are "mốt" and "tư"; after any ten, 5 is "lăm".
 */
static void write_group(struct writer *w, uint32_t group, bool spoken)
{
	uint32_t hundreds = group / 100, tens = group / 10 % 10, ones = group % 10;

	spoken = spoken || hundreds > 0;
	if (spoken) {
		write_str(w, digit_words[hundreds]);
		write_str(w, tens + ones > 0 ? " trăm " : " trăm");
	}
	if (tens == 0) {
		if (ones > 0 || !spoken) {
			write_str(w, spoken ? "linh " : "");
			write_str(w, digit_words[ones]);
		}
		return;
	}
	if (tens > 1)
		write_str(w, digit_words[tens]);
	write_str(w, tens > 1 ? " mươi" : "mười");
	if (ones == 0)
		return;
	write_str(w, " ");
	if (ones == 1 && tens > 1)
		write_str(w, "mốt");
	else if (ones == 4 && tens > 1)
		write_str(w, "tư");
	else
		write_str(w, ones == 5 ? "lăm" : digit_words[ones]);
}

/* Groups of a thousand, said in threes: "tỷ" is counted again beyond a thousand million tỷ. */
static void write_words(struct writer *w, uint64_t n, bool spoken)
{
	static const struct { uint32_t unit; const char *name; } groups[] = {
		{ 1000000, " triệu" }, { 1000, " nghìn" }, { 1, "" },
	};
	uint32_t rest = (uint32_t)(n % 1000000000);

	if (n >= 1000000000) {
		write_words(w, n / 1000000000, spoken);
		write_str(w, " tỷ");
		spoken = true;
		if (rest > 0)
			write_str(w, " ");
	}
	if (n == 0)
		write_str(w, digit_words[0]);
	for (size_t i = 0; i < ARRAY_LEN(groups) && rest > 0; i++) {
		uint32_t group = rest / groups[i].unit;

		rest %= groups[i].unit;
		if (group == 0)
			continue;
		write_group(w, group, spoken);
		write_str(w, groups[i].name);
		spoken = true;
		if (rest > 0)
			write_str(w, " ");
	}
}

/* All words here but "âm" begin with an ASCII letter. */
static void capital(struct writer *w, size_t at)
{
	if (!w->bad && at < writer_size(w) && w->start[at] >= 'a' && w->start[at] <= 'z')
		w->start[at] = (uint8_t)(w->start[at] - 'a' + 'A');
}

static void write_digits(struct writer *w, uint64_t n, int width_min)
{
	uint8_t text[24], *end = text + sizeof(text), *at = end;

	for (; n > 0 || end - at < width_min; n /= 10)
		*--at = (uint8_t)('0' + n % 10);
	write_bytes(w, at, (size_t)(end - at));
}

static void write_date_words(struct writer *w, struct partial_date d)
{
	size_t at = writer_size(w);

	if (d.day != 0) {
		write_str(w, "ngày ");
		write_words(w, d.day, false);
	}
	if (d.month != 0) {
		write_str(w, writer_size(w) > at ? ", tháng " : "tháng ");
		if (d.month == 4)	/* the fourth month's name is an ordinal */
			write_str(w, "tư");
		else
			write_words(w, d.month, false);
	}
	if (d.year != 0) {
		write_str(w, writer_size(w) > at ? ", năm " : "năm ");
		write_words(w, d.year, false);
	}
	capital(w, at);
}

static void write_date_long(struct writer *w, struct partial_date d)
{
	size_t at = writer_size(w);

	if (d.day != 0) {
		write_str(w, "ngày ");
		write_digits(w, d.day, 2);
	}
	if (d.month != 0) {
		write_str(w, writer_size(w) > at ? " tháng " : "tháng ");
		write_digits(w, d.month, d.month <= 2 ? 2 : 1);
	}
	if (d.year != 0) {
		write_str(w, writer_size(w) > at ? " năm " : "năm ");
		write_digits(w, d.year, 1);
	}
}

void words_date(struct writer *w, struct partial_date d, enum run_format format)
{
	size_t at = writer_size(w);

	if (format == RUN_DATE_WORDS) {
		write_date_words(w, d);
		return;
	}
	if (format == RUN_DATE_LONG) {
		write_date_long(w, d);
		return;
	}
	if (d.day != 0)
		write_digits(w, d.day, 2);
	if (d.month != 0) {
		write_str(w, writer_size(w) > at ? "/" : "");
		write_digits(w, d.month, 2);
	}
	if (d.year != 0) {
		write_str(w, writer_size(w) > at ? "/" : "");
		write_digits(w, d.year, 1);
	}
}

static void write_grouped(struct writer *w, uint64_t n)
{
	uint8_t text[32], *end = text + sizeof(text), *at = end;

	do {
		if ((end - at) % 4 == 3)
			*--at = '.';
		*--at = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	write_bytes(w, at, (size_t)(end - at));
}

/* The fraction is said digit by digit, its closing zeros left out; none: nothing. */
static void write_fraction_words(struct writer *w, uint64_t fraction, uint8_t decimals)
{
	uint8_t text[24];
	struct writer digits = writer_of(text, sizeof(text));

	while (decimals > 0 && fraction % 10 == 0) {
		fraction /= 10;
		decimals--;
	}
	if (decimals == 0)
		return;
	write_digits(&digits, fraction, decimals);
	write_str(w, " phẩy");
	for (const uint8_t *c = text; c < digits.p; c++) {
		write_str(w, " ");
		write_str(w, digit_words[*c - '0']);
	}
}

void words_number(struct writer *w, int64_t value, uint8_t decimals, enum run_format format)
{
	uint64_t n = value < 0 ? -(uint64_t)value : (uint64_t)value, unit = 1, whole, fraction;

	if (decimals > 18) {		/* 10^19 is beyond the values */
		w->bad = true;
		return;
	}
	for (uint8_t i = 0; i < decimals; i++)
		unit *= 10;
	whole = n / unit;
	fraction = n % unit;
	if (format == RUN_MONEY_WORDS) {
		size_t at = writer_size(w);

		write_str(w, value < 0 ? "Âm " : "");
		write_words(w, whole, false);
		write_fraction_words(w, fraction, decimals);
		write_str(w, " đồng");
		capital(w, at);
		return;
	}
	write_str(w, value < 0 ? "-" : "");
	if (format == RUN_PLAIN)
		write_digits(w, whole, 1);
	else
		write_grouped(w, whole);
	if (decimals > 0) {
		write_str(w, ",");
		write_digits(w, fraction, decimals);
	}
	if (format == RUN_MONEY)
		write_str(w, " đồng");
}

void words_upper(struct writer *w, struct slice text)
{
	while (text.n > 0) {
		int32_t cp = utf8_next(&text);
		uint8_t bytes[4];

		if (cp < 0) {
			w->bad = true;
			return;
		}
		write_bytes(w, bytes, utf8_put(bytes, (uint32_t)utf8proc_toupper(cp)));
	}
}

void words_day(struct writer *w, uint32_t yyyymmdd)
{
	write_date_long(w, (struct partial_date){ .year = (uint16_t)(yyyymmdd / 10000),
						  .month = (uint8_t)(yyyymmdd / 100 % 100),
						  .day = (uint8_t)(yyyymmdd % 100) });
}
