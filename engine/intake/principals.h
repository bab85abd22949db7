/*
 * principals.h - who may call and what: a snapshot of principals.json, swapped by a reload.
 *
 * The file is described in schemas/README.md. Any thread may read a snapshot; quotas are counted in
 * it under a lock per principal and carried over by a reload.
 */
#ifndef TRIEN_INTAKE_PRINCIPALS_H
#define TRIEN_INTAKE_PRINCIPALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/status.h"
#include "limits.h"

#define PRINCIPALS_MAX 4096
#define PRINCIPAL_NAME_BYTES_MAX PRINCIPAL_BYTES_MAX

enum may {
	MAY_SUBMIT = 1,		/* Issuance for its units */
	MAY_READ = 2,		/* results of its units */
	MAY_REUSE = 4,		/* others' results in its own procedures */
	MAY_PORTAL = 8,		/* all results, for their holders */
	MAY_AUDIT = 16,		/* registers, held results */
	MAY_REGISTRY = 32,	/* registers, held results and holders of its units */
	MAY_SIGN = 64,		/* Signing, as its signers */
	MAY_ANY = 0
};

struct principals;
struct principal;

/*
 * before: the snapshot whose quota counts go on, or NULL. A missing file gives one principal
 * `operator`: the engine's own uid, all roles but `reuse`, all units. ST_INVALID with file,
 * line and reason.
 */
enum status principals_load(struct principals **out, const char *path,
			    const struct principals *before, struct error *e) must_use;
struct principals *principals_ref(struct principals *p);
/* NULL is allowed. */
void principals_unref(struct principals *p);

/* Borrowed from p; NULL: unknown. */
struct principal *principals_named(struct principals *p, struct slice name);
struct principal *principals_uid(struct principals *p, uid_t uid);

const char *principal_name(const struct principal *pr);
/* "registry or audit": any one of them. */
#define ROLES_TEXT_BYTES 80
void principal_roles(uint32_t any_of, char out[ROLES_TEXT_BYTES]);
bool principal_may(const struct principal *pr, uint32_t any_of);
bool principal_all_units(const struct principal *pr);
/* Is the unit one of its own? */
bool principal_unit(const struct principal *pr, struct slice unit);
/* May it act as this signer? */
bool principal_signer(const struct principal *pr, struct slice signer);
/* Code of its only signer; NULL: it has none, several, or may act as all. */
const char *principal_signer_only(const struct principal *pr);

/*
 * Takes `cases` from the rate quota. False: over the quota; *wait_ms is when it would do. A request
 * larger than the burst passes when the bucket is full, so that it passes at all.
 */
bool principal_cases(struct principal *pr, uint32_t cases, uint64_t now_ms, uint32_t *wait_ms);
/* One more submission at the same time; false: it has as many as it may. */
bool principal_enter(struct principal *pr);
void principal_leave(struct principal *pr);

#endif
