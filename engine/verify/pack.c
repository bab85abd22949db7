/* The roots and the report as plain bytes, for the child that judges any PDF. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "verify/anypdf.h"
#include "verify/proof.h"

enum { PACKED_CERT = 1, PACKED_CRL, PACKED_TSA };

/* ---- roots: u8 what, u32 length, DER; as often as there are ---- */

static bool put(int fd, uint8_t what, unsigned char *der, int n)
{
	uint8_t head[5];
	struct writer w = writer_of(head, sizeof(head));
	bool ok = n > 0;

	write_u8(&w, what);
	write_u32(&w, (uint32_t)n);
	ok = ok && write(fd, head, sizeof(head)) == (ssize_t)sizeof(head);
	for (int done = 0; ok && done < n; ) {
		ssize_t k = write(fd, der + done, (size_t)(n - done));

		ok = k > 0 || (k < 0 && errno == EINTR);
		done += k > 0 ? (int)k : 0;
	}
	OPENSSL_free(der);
	return ok;
}

static bool put_certs(int fd, uint8_t what, STACK_OF(X509) *certs)
{
	bool ok = true;

	for (int i = 0; ok && i < sk_X509_num(certs); i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(sk_X509_value(certs, i), &der);

		ok = put(fd, what, der, n);
	}
	return ok;
}

enum status roots_pack(const struct roots *r, int *fd)
{
	STACK_OF(X509) *trusted = X509_STORE_get1_all_certs(r->store);
	STACK_OF(X509) *clocks = r->tsa != NULL ? X509_STORE_get1_all_certs(r->tsa) : NULL;
	bool ok = trusted != NULL;

	*fd = memfd_create("roots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ok = ok && *fd >= 0 && put_certs(*fd, PACKED_CERT, trusted) &&
	     put_certs(*fd, PACKED_CERT, r->others) && put_certs(*fd, PACKED_TSA, clocks);
	for (int i = 0; ok && i < sk_X509_CRL_num(r->crls); i++) {
		unsigned char *der = NULL;
		int n = i2d_X509_CRL(sk_X509_CRL_value(r->crls, i), &der);

		ok = put(*fd, PACKED_CRL, der, n);
	}
	sk_X509_pop_free(trusted, X509_free);
	sk_X509_pop_free(clocks, X509_free);
	if (ok && fcntl(*fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW |
			F_SEAL_SEAL) == 0)
		return ST_OK;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return ST_IO;
}

static bool take_cert(struct roots *r, struct slice der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	bool ok = x != NULL;

	/* As roots_load() sorted them. */
	if (ok && X509_self_signed(x, 1) == 1)
		ok = X509_STORE_add_cert(r->store, x) == 1;
	else if (ok)
		ok = X509_up_ref(x) == 1 && sk_X509_push(r->others, x) > 0;
	X509_free(x);
	return ok;
}

static bool take_clock(struct roots *r, struct slice der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	bool ok;

	if (r->tsa == NULL)
		r->tsa = X509_STORE_new();
	ok = x != NULL && r->tsa != NULL && X509_STORE_add_cert(r->tsa, x) == 1;
	X509_free(x);
	return ok;
}

enum status roots_unpack(struct roots **out, struct slice packed)
{
	struct roots *r = calloc(1, sizeof(*r));
	struct reader in = reader_of(packed);
	bool ok = r != NULL;

	if (!ok)
		return ST_NOMEM;
	r->store = X509_STORE_new();
	r->others = sk_X509_new_null();
	r->crls = sk_X509_CRL_new_null();
	ok = r->store != NULL && r->others != NULL && r->crls != NULL;
	while (ok && reader_left(&in) > 0) {
		uint8_t what = read_u8(&in);
		struct slice der = read_blob(&in);

		ok = !in.bad && (what == PACKED_CERT ? take_cert(r, der) :
				 what == PACKED_TSA ? take_clock(r, der) :
				 what == PACKED_CRL && roots_add_list(r, der) == ST_OK);
	}
	ERR_clear_error();
	if (!ok) {
		roots_free(r);
		return ST_CORRUPT;
	}
	*out = r;
	return ST_OK;
}

/* ---- report ---- */

static void pack_finding(struct writer *w, const struct finding *f)
{
	write_u8(w, f->verdict);
	write_u8(w, f->indication);
	write_bytes(w, f->why, sizeof(f->why));
}

void report_pack(const struct report *r, struct writer *w)
{
	pack_finding(w, &r->finding);
	write_u8(w, r->signatures_n);
	for (uint8_t i = 0; i < r->signatures_n; i++) {
		const struct signature_report *s = &r->signatures[i];

		pack_finding(w, &s->finding);
		write_bytes(w, s->subject, sizeof(s->subject));
		write_bytes(w, s->unit, sizeof(s->unit));
		write_bytes(w, s->algorithm, sizeof(s->algorithm));
		write_u64(w, (uint64_t)s->signed_ms);
		for (int k = 0; k < 4; k++)
			write_u64(w, s->range[k]);
		write_u8(w, s->certifies);
		write_bytes(w, s->cert_sha256, SHA256_BYTES);
	}
	write_u8(w, r->stamps_n);
	for (uint8_t i = 0; i < r->stamps_n; i++) {
		const struct stamp_report *t = &r->stamps[i];

		write_u64(w, (uint64_t)t->time_ms);
		for (int k = 0; k < 4; k++)
			write_u64(w, t->range[k]);
		write_u8(w, t->trusted);
		write_bytes(w, t->subject, sizeof(t->subject));
		write_bytes(w, t->why, sizeof(t->why));
	}
}

/* A text of its whole room, ended within it. */
static void unpack_text(struct reader *r, char *out, size_t n)
{
	struct slice s = read_bytes(r, n);

	if (!r->bad && memchr(s.p, '\0', n) == NULL)
		r->bad = true;
	if (!r->bad)
		memcpy(out, s.p, n);
}

static void unpack_finding(struct reader *r, struct finding *f)
{
	uint8_t verdict = read_u8(r), indication = read_u8(r);

	if (verdict > VERDICT_INDETERMINATE || indication >= IND_COUNT ||
	    (verdict == VERDICT_PASSED) != (indication == IND_NONE))
		r->bad = true;
	f->verdict = (enum verdict)verdict;
	f->indication = (enum indication)indication;
	unpack_text(r, f->why, sizeof(f->why));
}

static void unpack_stamp(struct reader *r, struct stamp_report *t)
{
	t->time_ms = (int64_t)read_u64(r);
	for (int k = 0; k < 4; k++)
		t->range[k] = read_u64(r);
	t->trusted = read_u8(r) != 0;
	unpack_text(r, t->subject, sizeof(t->subject));
	unpack_text(r, t->why, sizeof(t->why));
}

enum status report_unpack(struct report *out, struct slice packed)
{
	struct report r = { .own = false };
	struct reader in = reader_of(packed);

	unpack_finding(&in, &r.finding);
	r.signatures_n = read_u8(&in);
	if (r.signatures_n > VERIFY_SIGNATURES_MAX)
		return ST_CORRUPT;
	for (uint8_t i = 0; i < r.signatures_n; i++) {
		struct signature_report *s = &r.signatures[i];
		struct slice hash;

		unpack_finding(&in, &s->finding);
		unpack_text(&in, s->subject, sizeof(s->subject));
		unpack_text(&in, s->unit, sizeof(s->unit));
		unpack_text(&in, s->algorithm, sizeof(s->algorithm));
		s->signed_ms = (int64_t)read_u64(&in);
		for (int k = 0; k < 4; k++)
			s->range[k] = read_u64(&in);
		s->certifies = read_u8(&in) != 0;
		hash = read_bytes(&in, SHA256_BYTES);
		if (hash.p != NULL)
			memcpy(s->cert_sha256, hash.p, SHA256_BYTES);
	}
	r.stamps_n = read_u8(&in);
	if (r.stamps_n > VERIFY_STAMPS_MAX)
		return ST_CORRUPT;
	for (uint8_t i = 0; i < r.stamps_n; i++)
		unpack_stamp(&in, &r.stamps[i]);
	if (in.bad || reader_left(&in) > 0)
		return ST_CORRUPT;
	out->finding = r.finding;
	out->signatures_n = r.signatures_n;
	memcpy(out->signatures, r.signatures, sizeof(r.signatures));
	out->stamps_n = r.stamps_n;
	memcpy(out->stamps, r.stamps, sizeof(r.stamps));
	return ST_OK;
}
