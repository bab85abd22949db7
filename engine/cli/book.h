/*
 * book.h - an official book read from an engine or from a saved listing, and what the acts of
 * `trien register` on years and books do with it.
 */
#ifndef TRIEN_CLI_BOOK_H
#define TRIEN_CLI_BOOK_H

#include "client/client.h"
#include "trien/v1/audit.pb-c.h"

/* What the words of `trien register` said. */
struct register_options {
	struct client_options engine;
	const char *unit, *code, *reason;
	const char *file, *output;	/* check: a saved listing; print: where to */
	const char *form;		/* print: "van-ban" or "chung-thuc"; NULL: as the kind */
	uint64_t next, year, count, number;
	uint64_t month;			/* print: only its numbers; 0: the whole year's */
	bool json, recipients;
};

struct book_name { const char *unit, *code; uint32_t year; };

/* Who reads: the head, where there is one, before the entries. Borrowed for the call. */
struct book_reader {
	void (*head)(void *ctx, const Trien__V1__Register *r);
	void (*entry)(void *ctx, const Trien__V1__RegisterEntry *e);
	void *ctx;
};

/* From the first number to the last. false: *f says why; what came before was told. */
bool book_read(struct client *c, const struct book_name *name, bool recipients, bool lives,
	       uint64_t timeout_s, const struct book_reader *to, struct failure *f);
/* The same from a file that `trien register list … --json` gave. Prints what is wrong. */
bool book_read_file(const char *path, const struct book_reader *to);

/*
 * All registers of o->unit (NULL: of all), o->code and o->year, each to one(); false ends the walk.
 * Returns 0 or an exit code; what failed is printed.
 */
int registers_each(const struct register_options *o, struct client *c,
		   bool (*one)(void *ctx, const Trien__V1__Register *r), void *ctx);

/* The acts; exit codes as in cli.h. */
int book_list(const struct register_options *o, struct client *c);
int book_check(const struct register_options *o, struct client *c);	/* c NULL: o->file */
int book_open_year(const struct register_options *o, struct client *c);
int book_close_year(const struct register_options *o, struct client *c);
/* bookprint.c: on paper, as PDF. */
int book_print(const struct register_options *o, struct client *c);

#endif
