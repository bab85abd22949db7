/*
 * number.h - the form of an official number, `{n}/XNTTHN-{unit}`, and of its book's name,
 * `{v}/{yyyy}-SCT/BS`.
 */
#ifndef TRIEN_CATALOGUE_NUMBER_H
#define TRIEN_CATALOGUE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#define NUMBER_DIGITS_MAX 11		/* CodeNumber, ND 30/2020 PL VI */

/* NULL, or what is wrong with the form by itself: static text. volumes: {v} is allowed. */
const char *number_form_wrong(const char *form, bool volumes);
const char *number_book_wrong(const char *form);
/* Bytes of the longest number or name that a well-formed form gives with this notation. */
size_t number_form_bytes(const char *form, const char *notation);

#endif
