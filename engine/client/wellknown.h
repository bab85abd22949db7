/*
 * wellknown.h - scalar forms of proto3 JSON that need code of their own: whole numbers, base64,
 * Timestamp (RFC 3339) and Duration.
 */
#ifndef TRIEN_CLIENT_WELLKNOWN_H
#define TRIEN_CLIENT_WELLKNOWN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* A number without fraction, as number or text; no range but its own 65 bits. */
bool whole_read(const json_t *j, bool *negative, uint64_t *magnitude);

/* Either alphabet, padded or not. out holds at least (n / 4 + 1) * 3 bytes. */
bool base64_read(uint8_t *out, size_t *out_n, const char *text, size_t n);
/* Standard alphabet, padded, NUL-terminated; out holds (n + 2) / 3 * 4 + 1. */
void base64_write(char *out, const uint8_t *p, size_t n);

/* `2026-07-01T08:30:00.25+07:00`; years 1 to 9999, no leap seconds. */
bool timestamp_read(int64_t *seconds, int32_t *nanos, const char *text);
/* In UTC with 0, 3, 6 or 9 decimals. Outside the years 1 to 9999: "". */
#define TIMESTAMP_TEXT_BYTES 96
void timestamp_write(char out[TIMESTAMP_TEXT_BYTES], int64_t seconds, int32_t nanos);

/* `-1.5s`; within ±10,000 years. */
bool duration_read(int64_t *seconds, int32_t *nanos, const char *text);
void duration_write(char out[TIMESTAMP_TEXT_BYTES], int64_t seconds, int32_t nanos);

#endif
