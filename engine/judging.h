/*
 * judging.h - one door to the verdict on a file, for the engine, the command line, the portal.
 *
 * A file of our own form is judged where it is (verify.h). Every other one, and all that is not
 * provably ours, is judged by a limited child of the process for foreign documents (anypdf.h,
 * foreign.h): one that crashes, hangs or bursts is INDETERMINATE, and no other file notices.
 */
#ifndef TRIEN_JUDGING_H
#define TRIEN_JUDGING_H

#include "foreign/foreign.h"
#include "verify/verify.h"

/* ---- with a link that one has ---- */

/* Roots, and the same as the child takes them; counted, since a judgement may take a while. */
struct trust;

/* As roots_load() and, but for "", roots_add_tsa(); one reference, the caller's. */
enum status trust_load(struct trust **out, const char *certs, const char *crls, const char *tsa,
		       struct error *e) must_use;
struct trust *trust_ref(struct trust *t);
/* NULL is allowed. */
void trust_unref(struct trust *t);

/*
 * Any thread that may wait: for less than 2 s, once it is its turn (foreign_judge()). fd: the
 * file's, borrowed, whose bytes nobody changes meanwhile; -1: they are copied once. link NULL:
 * what is not ours is INDETERMINATE. ST_NOMEM; *out is filled otherwise.
 */
enum status judging_document(const struct trust *t, struct foreign *link, struct slice file, int fd,
			     struct report *out) must_use;

/* ---- with a process of one's own ---- */

struct judging;

/*
 * roots are taken over, failed or not. The process is started with the first file that needs it,
 * and again if it is gone.
 */
enum status judging_open(struct judging **out, struct roots *roots, struct error *e) must_use;
/* NULL is allowed. */
void judging_close(struct judging *j);
/* Any thread, as judging_document(). v: the thread's own, for the same roots; NULL: none. */
enum status judging_file(struct judging *j, struct verifier *v, struct slice file, int fd,
			 struct report *out) must_use;
/*
 * The file at a path, copied once into memory of ours that nobody else can change;
 * judging_forget() gives it back. ST_NOT_FOUND; ST_INVALID: not a file of at most
 * VERIFY_FILE_BYTES_MAX.
 */
enum status judging_read(const char *path, struct slice *file, int *fd, struct error *e) must_use;
void judging_forget(struct slice file, int fd);

#endif
