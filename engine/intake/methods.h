/*
 * methods.h - what the table of methods names, by the file it stands in. Contracts are those of
 * struct method (server.h); the services' are in proto/.
 */
#ifndef TRIEN_INTAKE_METHODS_H
#define TRIEN_INTAKE_METHODS_H

#include "intake/server.h"
#include "intake/submit.h"

/* health.c */
void health_check_run(struct call *c);
void health_watch_run(struct call *c);
void health_watch_sent(struct call *c, bool ok);
void health_watch_closed(struct call *c);
void health_watch_stop(struct call *c);
void health_watch_free(struct call *c);

/* reflection.c */
void reflection_begin(struct call *c);
void reflection_message(struct call *c, bool ok);
void reflection_sent(struct call *c, bool ok);
void reflection_stop(struct call *c);

/* watch.c */
void watch_run(struct call *c);
void watch_work(struct call *c, struct read_thread *r);
void watch_sent(struct call *c, bool ok);
void watch_closed(struct call *c);
void watch_stop(struct call *c);
void watch_free(struct call *c);

/* read.c */
void get_work(struct call *c, struct read_thread *r);
void batch_get_work(struct call *c, struct read_thread *r);
void list_work(struct call *c, struct read_thread *r);
/* Of methods that send bytes in chunks: the next is read when the one before has left, so a slow
 * client costs one chunk and no thread. c->state is one block of memory. */
void chunk_sent(struct call *c, bool ok);
void chunk_free(struct call *c);
/* download.c */
void download_work(struct call *c, struct read_thread *r);
/* reusable.c */
void find_reusable_work(struct call *c, struct read_thread *r);
/* readings.c */
void list_reads_work(struct call *c, struct read_thread *r);
/* whole.c */
void get_case_work(struct call *c, struct read_thread *r);
/* object.c */
void object_work(struct call *c, struct read_thread *r);

/* upload.c */
void upload_call_begin(struct call *c);
void upload_call_message(struct call *c, bool ok);
void upload_call_work(struct call *c, struct read_thread *r);
void upload_call_answer(struct submission *s);
void upload_call_stop(struct call *c);
void upload_call_tick(struct call *c);
void upload_call_free(struct call *c);
/* copies.c; the last three of IssueCopy, too */
void copies_run(struct call *c);
void copies_work(struct call *c, struct read_thread *r);
void copies_answer(struct submission *s);
bool copies_on_disk(const struct call *c);
void copies_free(struct call *c);
/* issuecopy.c */
void issuecopy_run(struct call *c);
void issuecopy_work(struct call *c, struct read_thread *r);
/* living.c */
void revoke_work(struct call *c, struct read_thread *r);
void correct_work(struct call *c, struct read_thread *r);
void visibility_work(struct call *c, struct read_thread *r);
/* shares.c */
void create_share_work(struct call *c, struct read_thread *r);
void list_shares_work(struct call *c, struct read_thread *r);
void revoke_share_work(struct call *c, struct read_thread *r);
/* useshare.c */
void use_share_work(struct call *c, struct read_thread *r);
void record_read_work(struct call *c, struct read_thread *r);
/* tracking.c */
void track_case_work(struct call *c, struct read_thread *r);
/* history.c */
void events_work(struct call *c, struct read_thread *r);

/* operate.c */
void link_work(struct call *c, struct read_thread *r);
void register_open_work(struct call *c, struct read_thread *r);
void register_list_work(struct call *c, struct read_thread *r);
void held_list_work(struct call *c, struct read_thread *r);
void held_retry_work(struct call *c, struct read_thread *r);
void held_void_work(struct call *c, struct read_thread *r);
void status_work(struct call *c, struct read_thread *r);
void withdraw_work(struct call *c, struct read_thread *r);
void waiting_refuse_work(struct call *c, struct read_thread *r);
/* operation.c */
void operate_free(struct call *c);

/* total.c */
void register_close_work(struct call *c, struct read_thread *r);
void register_close_free(struct call *c);

/* numbers.c */
void numbers_use_work(struct call *c, struct read_thread *r);
void number_void_work(struct call *c, struct read_thread *r);
void number_void_free(struct call *c);

/* book.c */
void book_work(struct call *c, struct read_thread *r);
void book_free(struct call *c);
/* verification.c */
void verification_work(struct call *c, struct read_thread *r);
/* statistics.c */
void statistics_work(struct call *c, struct read_thread *r);

/* waiting.c */
void waiting_list_work(struct call *c, struct read_thread *r);
/* previews.c */
void waiting_preview_work(struct call *c, struct read_thread *r);
void waiting_preview_free(struct call *c);

/* sessions.c */
void session_open_work(struct call *c, struct read_thread *r);
void session_open_free(struct call *c);
void session_get_work(struct call *c, struct read_thread *r);
void session_manifest_work(struct call *c, struct read_thread *r);
void session_confirm_work(struct call *c, struct read_thread *r);
void session_confirm_free(struct call *c);
void session_cancel_work(struct call *c, struct read_thread *r);

/* digests.c */
void digests_take_run(struct call *c);
void digests_take_work(struct call *c, struct read_thread *r);
void digests_take_closed(struct call *c);
void digests_take_free(struct call *c);
/* signatures.c */
void signatures_give_work(struct call *c, struct read_thread *r);
void signatures_give_free(struct call *c);

/* outcomes.c */
void session_watch_run(struct call *c);
void session_watch_work(struct call *c, struct read_thread *r);
void session_watch_sent(struct call *c, bool ok);
void session_watch_free(struct call *c);

#endif
