#include "judging.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify/anypdf.h"

struct trust { struct roots *roots; int packed_fd; uint32_t packed_bytes; atomic_uint refs; };

struct judging {
	struct trust *trust;
	struct foreign *link;
	pthread_mutex_t lock;
	bool started;
};

/* ---- trust ---- */

/* roots are taken over, failed or not. */
static enum status trust_new(struct trust **out, struct roots *roots, struct error *e)
{
	struct trust *t = calloc(1, sizeof(*t));
	struct stat st;

	if (t == NULL) {
		roots_free(roots);
		return error_set(e, ST_NOMEM, "roots: out of memory");
	}
	*t = (struct trust){ .roots = roots, .packed_fd = -1 };
	atomic_init(&t->refs, 1);
	if (roots_pack(t->roots, &t->packed_fd) == ST_OK && fstat(t->packed_fd, &st) == 0 &&
	    st.st_size <= UINT32_MAX)
		t->packed_bytes = (uint32_t)st.st_size;
	if (t->packed_bytes == 0) {
		trust_unref(t);
		return error_set(e, ST_IO, "the roots cannot be packed");
	}
	*out = t;
	return ST_OK;
}

enum status trust_load(struct trust **out, const char *certs, const char *crls, const char *tsa,
		       struct error *e)
{
	struct roots *roots;
	enum status st = roots_load(&roots, certs, crls, e);

	if (st != ST_OK)
		return st;
	if (tsa[0] != '\0')
		st = roots_add_tsa(roots, tsa, e);
	if (st != ST_OK) {
		roots_free(roots);
		return st;
	}
	return trust_new(out, roots, e);
}

struct trust *trust_ref(struct trust *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void trust_unref(struct trust *t)
{
	if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	roots_free(t->roots);
	if (t->packed_fd >= 0)
		close(t->packed_fd);
	free(t);
}

/* ---- one file ---- */

static void undetermined(struct report *out, enum indication i, const char *why)
{
	out->finding = (struct finding){ VERDICT_INDETERMINATE, i, "" };
	snprintf(out->finding.why, sizeof(out->finding.why), "%s", why);
	out->signatures_n = 0;
	out->stamps_n = 0;
}

static bool write_all(int fd, struct slice s)
{
	for (size_t done = 0; done < s.n; ) {
		ssize_t n = write(fd, s.p + done, s.n - done);

		if (n <= 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void ended(const struct foreign_verdict *v, struct report *out)
{
	char why[sizeof(out->finding.why)];

	snprintf(why, sizeof(why), "the file could not be judged within its limits (%s: %s)",
		 reason_text(v->why)->name, v->detail);
	undetermined(out, IND_GENERIC, why);
}

static void judge_other(const struct trust *t, struct foreign *link, struct slice file, int fd,
			struct report *out)
{
	struct foreign_case c = { .fd = fd, .roots_fd = t->packed_fd, .size = (uint32_t)file.n,
				  .roots_size = t->packed_bytes };
	uint8_t answer[FOREIGN_JUDGEMENT_BYTES_MAX];
	struct foreign_verdict v;
	enum status st = ST_OK;
	size_t n = 0;

	if (fd < 0) {
		c.fd = memfd_create("document", MFD_CLOEXEC);
		st = c.fd >= 0 && write_all(c.fd, file) ? ST_OK : ST_IO;
	}
	if (st == ST_OK)
		st = foreign_judge(link, &c, answer, &n, &v);
	if (fd < 0 && c.fd >= 0)
		close(c.fd);
	if (st != ST_OK)
		undetermined(out, IND_TRY_LATER,
			     "the process that judges others' files is away or busy: ask again");
	else if (n == 0)
		ended(&v, out);
	else if (report_unpack(out, slice_of(answer, n)) != ST_OK)
		undetermined(out, IND_GENERIC, "the file could not be judged: an answer that is "
			     "none");
}

enum status judging_document(const struct trust *t, struct foreign *link, struct slice file, int fd,
			     struct report *out)
{
	enum status st = verify_document(t->roots, file, out);

	if (st != ST_OK || out->own || file.n > VERIFY_FILE_BYTES_MAX)
		return st;
	if (link != NULL)
		judge_other(t, link, file, fd, out);
	else if (out->finding.verdict == VERDICT_PASSED)
		undetermined(out, IND_GENERIC, "it was not issued by this system, and others' "
			     "files are not judged here");
	return ST_OK;
}

/* ---- with a process of one's own ---- */

enum status judging_open(struct judging **out, struct roots *roots, struct error *e)
{
	struct judging *j = calloc(1, sizeof(*j));
	enum status st;

	if (j == NULL) {
		roots_free(roots);
		return error_set(e, ST_NOMEM, "out of memory");
	}
	pthread_mutex_init(&j->lock, NULL);
	st = trust_new(&j->trust, roots, e);
	if (st == ST_OK)
		st = foreign_new(&j->link, -1, 0, e);
	if (st != ST_OK) {
		judging_close(j);
		return st;
	}
	*out = j;
	return ST_OK;
}

void judging_close(struct judging *j)
{
	if (j == NULL)
		return;
	foreign_free(j->link);
	trust_unref(j->trust);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

static bool start(struct judging *j, bool again)
{
	const struct foreign_words words = { "error", INSPECTION_CPU_S_MAX, NULL };
	struct error e = { 0 };

	pthread_mutex_lock(&j->lock);
	if (!j->started || again)
		j->started = foreign_start(j->link, &words, &e) == ST_OK;
	pthread_mutex_unlock(&j->lock);
	return j->started;
}

enum status judging_file(struct judging *j, struct verifier *v, struct slice file, int fd,
			 struct report *out)
{
	enum status st = v != NULL ? verifier_judge(v, file, out) :
				     verify_document(j->trust->roots, file, out);

	if (st != ST_OK || out->own || file.n > VERIFY_FILE_BYTES_MAX)
		return st;
	if (start(j, false))
		judge_other(j->trust, j->link, file, fd, out);
	/* It may have been gone. */
	if (out->finding.indication == IND_TRY_LATER && out->signatures_n == 0 && start(j, true))
		judge_other(j->trust, j->link, file, fd, out);
	if (!j->started)
		undetermined(out, IND_TRY_LATER, "the program that judges others' files could not "
			     "be started");
	return ST_OK;
}

/* ---- a file at a path ---- */

static bool copy(int from, int to, size_t n)
{
	while (n > 0) {
		ssize_t k = copy_file_range(from, NULL, to, NULL, n, 0);
		char bytes[64 * 1024];

		/* Not between these two file systems. */
		if (k < 0 && errno != EINTR) {
			k = read(from, bytes, n < sizeof(bytes) ? n : sizeof(bytes));
			if (k > 0 && !write_all(to, slice_of(bytes, (size_t)k)))
				return false;
		}
		if (k == 0 || (k < 0 && errno != EINTR))
			return false;
		n -= k > 0 ? (size_t)k : 0;
	}
	return true;
}

enum status judging_read(const char *path, struct slice *file, int *fd, struct error *e)
{
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *p = NULL;

	*fd = -1;
	if (from < 0)
		return error_set(e, ST_NOT_FOUND, "%s: %s", path, strerror(errno));
	if (fstat(from, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= VERIFY_FILE_BYTES_MAX) {
		*fd = memfd_create("document", MFD_CLOEXEC);
		if (*fd >= 0 && copy(from, *fd, (size_t)st.st_size))
			p = st.st_size == 0 ? (void *)"" :
			    mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, *fd, 0);
	}
	close(from);
	if (p == NULL || p == MAP_FAILED) {
		if (*fd >= 0)
			close(*fd);
		return error_set(e, ST_INVALID, "%s: no file of at most %u bytes", path,
				 VERIFY_FILE_BYTES_MAX);
	}
	*file = slice_of(p, (size_t)st.st_size);
	return ST_OK;
}

void judging_forget(struct slice file, int fd)
{
	if (file.n > 0)
		munmap((void *)file.p, file.n);
	close(fd);
}
