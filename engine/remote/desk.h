/*
 * desk.h - decides what is asked of which service, and when; gives each item its answer.
 *
 *	  submitted ──▶ waiting (one queue a key) ──▶ in a transaction ──▶ answered
 *	                   ▲        group: full or old     │ authorize ▶ check… ▶ sign ▶ poll…
 *	                   └── no answer, wrong: again ────┘
 *
 * Pure decisions: times are given, calls go out and answers come in through functions, so a test
 * needs neither clock nor network. One thread. Keys of a service take turns, and where there are
 * several none has the last free call. An item that was answered wrongly, or whose group was
 * refused as a request, is asked for alone from then on. A service that fails is left alone for a
 * growing time (jitter: half to all of it), then tried with one call; so is a key whose signer
 * does not answer, while others are answered or are not asked.
 *
 * A key is authorized for one group after the other: whoever confirms on a device has one question
 * there, and a PIN that is not the credential's any more is sent once. Then it is not sent again by
 * this desk, as each time brings the credential nearer to being locked.
 */
#ifndef TRIEN_REMOTE_DESK_H
#define TRIEN_REMOTE_DESK_H

#include "remote/api.h"
#include "remote/remote.h"
#include "remote/services.h"

struct moment { int64_t mono_ms, unix_ms; };

/* SILENT: there was no answer for the whole time of a try; NO_ANSWER: the line broke before. */
enum web_state { WEB_NOT_SENT, WEB_NO_ANSWER, WEB_SILENT, WEB_ANSWERED };

struct web_result {
	enum web_state state;
	long status;			/* WEB_ANSWERED */
	int64_t retry_after_ms;		/* as the service wishes; 0: it said nothing */
	struct slice body;
};

struct desk_outlets {
	void *ctx;
	/*
	 * Starts a call; the outcome comes to desk_take() with the same `call`, not from within.
	 * `bearer` NULL: none. Everything is borrowed for the time of this function only.
	 */
	enum status (*send)(void *ctx, void *call, const struct service *s,
			    const struct api_request *r, const char *bearer);
	void (*answer)(void *ctx, const struct remote_answer *a);
};

struct desk;

/*
 * Reads keys.json and the certificates of its remote keys. ST_INVALID: a key names no service.
 * services and outlets must outlive the desk; seed: of the jitter.
 */
enum status desk_new(struct desk **out, const struct services *services, const char *certs_dir,
		     const struct desk_outlets *outlets, uint32_t seed, struct error *e) must_use;
void desk_free(struct desk *d);
uint32_t desk_keys(const struct desk *d);
uint32_t desk_items(const struct desk *d);

/* ST_CORRUPT: the engine broke the protocol (a tag twice, a name that is no text). */
enum status desk_submit(struct desk *d, const struct remote_request *r,
			struct moment now) must_use;
/* An unknown tag was answered a moment ago: nothing happens. */
void desk_cancel(struct desk *d, uint64_t tag);
void desk_take(struct desk *d, void *call, const struct web_result *r, struct moment now);
/* Starts what is due; the monotonic time at which it wants to run again at the latest. */
int64_t desk_run(struct desk *d, struct moment now);

#endif
