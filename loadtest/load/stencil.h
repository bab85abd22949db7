/*
 * stencil.h - cases that are encoded ahead, with holes for what tells them apart.
 *
 * A few hundred cases of the sample library are encoded once. The case of a serial is a copy of one
 * of them with its own code, own personal numbers, own names, own given number and, where it takes
 * another's place, the id of that one: holes that keep their length, so that nothing around them
 * changes. The same serial of the same run is always the same bytes, so a case is never kept to be
 * sent again. A case of a certified copy comes with an original (scans.h). Read-only after
 * stencil_make(); any thread.
 */
#ifndef LOAD_STENCIL_H
#define LOAD_STENCIL_H

#include "base/bytes.h"
#include "base/status.h"
#include "load/workload.h"

#define STENCIL_CODE_BYTES 16		/* "L7K3Q9-000000012" */
#define STENCIL_RUN_BYTES 5
#define STENCIL_RUN_MAX (1u << 25)	/* five letters of Crockford's base32 */
#define STENCIL_ID_BYTES 26		/* of a result */
#define STENCIL_CITIZEN_BYTES 12
#define STENCIL_SERIALS_MAX (1u << 24)

struct stencils;

/* As many cases as sample; those whose bytes cannot be patched are left out. */
enum status stencil_make(struct stencils **out, const struct workload *w, uint64_t seed,
			 uint32_t run, struct error *e) must_use;
void stencil_free(struct stencils *s);

/* Bytes of that case, with or without one that it replaces. */
size_t stencil_size(const struct stencils *s, uint32_t serial, bool replaces);
/* Results that it asks for, 1 to 8. */
uint8_t stencil_results(const struct stencils *s, uint32_t serial);
/* Writes stencil_size() bytes; replaces: 26 characters, or NULL. */
void stencil_write(const struct stencils *s, uint32_t serial, const char *replaces, uint8_t *to);
/* Its code and a NUL. */
void stencil_code(const struct stencils *s, uint32_t serial, char out[STENCIL_CODE_BYTES + 1]);
/* The case of this run that has that code; false: none could. */
bool stencil_serial(const struct stencils *s, struct slice code, uint32_t *serial);
/* Does an original come with it, of which it is a certified copy? */
bool stencil_copies(const struct stencils *s, uint32_t serial);
/* Of such a case: bytes of its original, never those of another. */
size_t stencil_original_size(const struct stencils *s, uint32_t serial);
/* Writes stencil_original_size() bytes. */
void stencil_original(const struct stencils *s, uint32_t serial, uint8_t *to);
/* The agency that issues it. */
const char *stencil_unit(const struct stencils *s, uint32_t serial);
/* The first holder's personal number and a NUL; false: has none. */
bool stencil_citizen(const struct stencils *s, uint32_t serial,
		     char out[STENCIL_CITIZEN_BYTES + 1]);

#endif
