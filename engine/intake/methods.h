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
/* object.c */
void object_work(struct call *c, struct read_thread *r);

/* operate.c */
void link_work(struct call *c, struct read_thread *r);
void register_open_work(struct call *c, struct read_thread *r);
void register_close_work(struct call *c, struct read_thread *r);
void register_list_work(struct call *c, struct read_thread *r);
void held_list_work(struct call *c, struct read_thread *r);
void held_retry_work(struct call *c, struct read_thread *r);
void held_void_work(struct call *c, struct read_thread *r);
void status_work(struct call *c, struct read_thread *r);
void withdraw_work(struct call *c, struct read_thread *r);
void waiting_refuse_work(struct call *c, struct read_thread *r);
void operate_free(struct call *c);

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
