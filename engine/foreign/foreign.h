/*
 * foreign.h - the process that looks into files that others made, and its client side.
 *
 * An original that is to be copied may be hostile. It is parsed in a child of a child: the
 * program `trien-foreign` holds no key, reads no file and reaches no network; for each file it
 * forks a process that is limited in memory, processor time and system calls, and sees nothing but
 * this file. One that crashes, hangs or bursts costs its item alone.
 *
 * That program is small, since a fork of it is most of what a look costs; it lies beside `trien`.
 *
 *	engine ──SOCK_SEQPACKET──▶ trien-foreign ──fork──▶ one for each file
 *	   ◀───────────── answer, on a socket of its own ─────────┘
 *
 * Two jobs: to look at an original, and to judge a PDF's signatures (verify/anypdf.h), which needs
 * roots to trust. What a judgement is made of is plain bytes here.
 *
 * Request, little-endian: u32 bytes of the file, u8 job, u32 bytes of the roots; with two
 * descriptors: the file, open to be read only, and one end of a SOCK_SEQPACKET pair; of a judgement
 * a third one, the roots. The answer is one message on the pair:
 *	u8 1, original (original.h)	it may be copied
 *	u8 2, u16 reason, detail	it may not; detail: at most 63 bytes of ours
 *	u8 3, judgement			as the judge gives it
 * Where the child could not answer the process answers in its place: ORIGINAL_TIMEOUT where it had
 * to be ended or met a limit, ORIGINAL_DAMAGED where it crashed (an assert of ours is one). An end
 * without an answer says nothing of the file, which may be tried again: the process is gone, and
 * the supervisor starts another one, or the system had no room for a child.
 */
#ifndef TRIEN_FOREIGN_H
#define TRIEN_FOREIGN_H

#include "base/arena.h"
#include "original.h"
#include "reason.h"

#define FOREIGN_DETAIL_BYTES 64
#define FOREIGN_REQUEST_BYTES 9
#define FOREIGN_JUDGEMENT_BYTES_MAX (16 * 1024)
#define FOREIGN_ANSWER_BYTES_MAX (144 * 1024)

/* ---- client side ---- */

struct foreign;			/* the engine's link; outlives the processes at its other end */

/*
 * control: a socket to the supervisor, borrowed; 'F' goes to it where the process does not answer.
 * -1: none. patience_ms: when that is so; 0: somewhat more than a file may take.
 */
enum status foreign_new(struct foreign **out, int control, uint32_t patience_ms,
			struct error *e) must_use;
/* Nobody is in a call of it. NULL is allowed. */
void foreign_free(struct foreign *f);
/* A new process, whose socket is f's from now on. Any thread. */
void foreign_set(struct foreign *f, int fd);
/* Has the process ended, or was it given up? For who starts another by itself. Any thread. */
bool foreign_gone(struct foreign *f);

/* What is known of a file before anyone looks into it. */
struct foreign_file {
	int fd;			/* borrowed; open for reading at least; at any offset */
	uint32_t size;
	uint8_t sha256[SHA256_BYTES];
	bool own;		/* a result of ours: ORIGINAL_OWN, not taken apart */
};

struct foreign_verdict {
	enum reason why;		/* REASON_NONE: it may be copied, and *out is filled */
	char detail[FOREIGN_DETAIL_BYTES];	/* "PDF: wrong offset, byte 4711" */
};

/*
 * Any thread that may wait: at most INSPECTIONS_MAX files at once, each for INSPECTION_MS_MAX;
 * others wait for their turn as long. Slices and arrays of *out are of a, which should have
 * 256 KB. ST_OK with a verdict, good or bad. ST_UNAVAILABLE: the process is away, come again
 * (ORIGINAL_READER_AWAY); ST_TOO_LARGE: the arena is spent; ST_IO: no descriptors.
 */
enum status foreign_inspect(struct foreign *f, const struct foreign_file *file, struct arena *a,
			    struct original *out, struct foreign_verdict *verdict) must_use;

/* A file that is to be judged, and the roots as roots_pack() has them; both borrowed. */
struct foreign_case { int fd, roots_fd; uint32_t size, roots_size; };

/*
 * Any thread that may wait: at most JUDGEMENTS_MAX files at once, each for JUDGEMENT_MS_MAX; others
 * wait for their turn as long. ST_OK: *n bytes in out, whose room it was; or *n is 0, and *v says
 * what became of the child. ST_UNAVAILABLE, ST_IO: as foreign_inspect().
 */
enum status foreign_judge(struct foreign *f, const struct foreign_case *c,
			  uint8_t out[FOREIGN_JUDGEMENT_BYTES_MAX], size_t *n,
			  struct foreign_verdict *v) must_use;

/* ---- program.c: to start it ---- */

/* Raised with any change of request, answer or words: a mixed installation then says so. */
#define FOREIGN_FORM "2"
#define FOREIGN_SOCKET 3		/* its door */

struct foreign_words {
	const char *log_level;		/* "info" */
	uint32_t cpu_s;			/* of one file; at most INSPECTION_CPU_S_MAX */
	const char *whose;		/* the data folder; NULL: nobody's */
};

/*
 * The program that lies beside the one that runs, as a descriptor that the caller closes: started
 * again after another version was installed it is still this one. ST_PRECONDITION: it is missing,
 * or may not be executed; *e says where.
 */
enum status foreign_program_open(int *program, struct error *e) must_use;
/* In a child that has just been forked; returns only where it failed. socket: its end of a pair. */
void foreign_program_exec(int program, int socket, const struct foreign_words *w);
/* Of a program without a supervisor: started, and f's from now on. It ends with the caller. */
enum status foreign_start(struct foreign *f, const struct foreign_words *w,
			  struct error *e) must_use;

/* ---- the process ---- */

/* What a child does with its file: look_at(); tests have others. */
typedef enum reason foreign_look(struct slice file, bool own, struct arena *a,
				 struct original *out, char detail[FOREIGN_DETAIL_BYTES]);

/* A judgement's bytes, in out; 0: there is none. any_document(), by main.c; tests have others. */
typedef size_t foreign_judgement(struct slice file, struct slice roots, uint8_t *out, size_t max);

struct foreign_config {
	int socket;			/* the only door */
	uint32_t cpu_s, wall_ms;	/* of one look; 0: as limits.h, as of judgements always */
	uint64_t work_bytes;		/* beside the file's own; 0: as limits.h */
	foreign_look *look;		/* NULL: look_at() */
	foreign_judgement *judge;	/* NULL: nothing is judged here */
	void (*prepare)(void);		/* before it shuts itself in; NULL: nothing to do */
};

/* Runs until the socket closes; returns the process's exit code. Calling thread only. */
int foreign_run(const struct foreign_config *c);

/* ---- codec.c ---- */

enum foreign_job { FOREIGN_LOOK, FOREIGN_LOOK_OWN, FOREIGN_JUDGE, FOREIGN_JOBS };

void foreign_write(struct writer *w, const struct original *o, const struct foreign_verdict *v);
/* Slices of *out lie in message. ST_CORRUPT: no answer of the form above, or of another file. */
enum status foreign_read(struct slice message, const struct foreign_file *file, struct arena *a,
			 struct original *out, struct foreign_verdict *v) must_use;
/* A judgement behind its first byte; none: *v says why. ST_CORRUPT. */
enum status foreign_judgement_read(struct slice message, struct slice *judgement,
				   struct foreign_verdict *v) must_use;
void foreign_judgement_write(struct writer *w, struct slice judgement);

#endif
