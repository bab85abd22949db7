/*
 * calendar.h - Vietnam time: UTC+7 without daylight saving, so pure arithmetic, no tz database.
 */
#ifndef TRIEN_BASE_CALENDAR_H
#define TRIEN_BASE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct civil { uint32_t year; uint8_t month, day, hour, minute, second; };

/* unix_ms: milliseconds since 1970 UTC. */
struct civil civil_vietnam(int64_t unix_ms);
/* yyyymmdd in Vietnam time. */
uint32_t day_vietnam(int64_t unix_ms);
/* Midnight, Vietnam time, of yyyymmdd. */
int64_t day_start_ms(uint32_t yyyymmdd);
bool date_exists(uint32_t year, uint8_t month, uint8_t day);

#endif
