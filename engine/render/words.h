/*
 * words.h - values as a document prints them: dates, numbers, money, and both in Vietnamese words
 * (forms: catalogue.h, "Formats"). Pure; a writer that is too small goes bad.
 */
#ifndef TRIEN_RENDER_WORDS_H
#define TRIEN_RENDER_WORDS_H

#include "catalogue/catalogue.h"

/* format: RUN_DATE (or RUN_PLAIN), RUN_DATE_LONG, RUN_DATE_WORDS. Unknown parts are left out. */
void words_date(struct writer *w, struct partial_date d, enum run_format format);
/* format: RUN_PLAIN, RUN_NUMBER, RUN_MONEY, RUN_MONEY_WORDS; value / 10^decimals, with a comma. */
void words_number(struct writer *w, int64_t value, uint8_t decimals, enum run_format format);
/* NFC text in capitals: simple case mapping of each code point (Vietnamese needs no other). */
void words_upper(struct writer *w, struct slice text);
/* `ngày 24 tháng 11 năm 2026`: the date line (ND 30/2020 PL I: day and months 1, 2 with 0). */
void words_day(struct writer *w, uint32_t yyyymmdd);

#endif
