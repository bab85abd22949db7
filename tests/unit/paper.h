/*
 * paper.h - a small hand-made document in the engine's own form, for the tests of sign and verify:
 * one page, a prefix layer, one or two signature fields, the second as an incremental update.
 */
#ifndef TESTS_PAPER_H
#define TESTS_PAPER_H

#include "batch.h"
#include "devkeys.h"
#include "sign/sign.h"
#include "signer/vault.h"

struct paper {
	struct item item;
	struct sha256 *prefix;		/* state over the prefix layer */
	struct kind kind;
	struct unit unit;
	struct signer signer;
	struct layer layer;
	uint8_t layer_bytes[1024];
	uint8_t body[16384];
	uint8_t values[DOC_SIGNATURES_MAX][SIGNATURE_BYTES_MAX];
};

/* signs_n 1: agency; 2: person, agency. unit and signer as in devkeys_add(). */
void paper_open(struct paper *p, const char *unit, const char *signer, uint8_t signs_n);
void paper_close(struct paper *p);
/* Lays the document out for the planned slots; text stands on its page. */
void paper_render(struct paper *p, const char *text);
/* plan, render, and for each slot prepare, sign, bind. The first status that is not ST_OK. */
enum status paper_sign(struct paper *p, struct sign_worker *w, const struct keyring *k,
		       struct vault *v, struct vault_hand *h, int64_t signed_ms);
/* The whole file; caller frees. */
uint8_t *paper_file(const struct paper *p, size_t *size);

/* Everything a test of sign or verify needs: keys, keyring, vault. */
struct desk {
	struct devkeys keys;
	struct keyring *ring;
	struct vault *vault;
	struct vault_hand *hand;
	struct sign_worker *worker;
};

/* Keys "seal" of unit "u" and "pen" of signer "s", of that algorithm. 0, or -1. */
int desk_open(struct desk *d, enum algorithm a);
void desk_close(struct desk *d);

#endif
