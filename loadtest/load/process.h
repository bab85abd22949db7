/*
 * process.h - CPU, memory and written bytes of the processes under load, from /proc.
 *
 * Roots are pids; what they start is found again at each look, so that a process that was killed
 * keeps what it had used and its successor adds to it. Processes that go by one name are one row.
 * What "foreign" starts for each file ends too soon for that: its CPU is in that row when it has
 * ended, its memory in none.
 */
#ifndef LOAD_PROCESS_H
#define LOAD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define GENERATOR "generator"	/* the row of this process, apart from those under load */
#define PROCESS_ROWS_MAX 8
#define PROCESS_ROOTS_MAX 8
#define PROCESS_KNOWN_MAX 512
#define PROCESS_MARKS_MAX 1024

struct process_row {
	char name[32];
	double cpu_s;
	uint64_t pss_kb, pss_peak_kb;
	uint64_t written;		/* bytes sent to disks; 0 where /proc does not tell */
};

/* A look at one time, for plots. */
struct process_mark {
	double at_s;
	float cpu_s[PROCESS_ROWS_MAX];
	uint32_t pss_kb[PROCESS_ROWS_MAX];
	uint64_t written;		/* of all */
};

struct process_known {
	pid_t pid;
	uint64_t born;			/* a pid may come again */
	uint8_t row;
	bool alive;
	double cpu_s;
	uint64_t pss_kb, written;
	double cpu_before_s;		/* not counted */
	uint64_t written_before;
};

/* name "": each by its own. file: its first line is the pid, as it is now; NULL: it stays. */
struct process_root { pid_t pid; char name[32]; bool alone; const char *file; };

struct process_watch {
	struct process_row rows[PROCESS_ROWS_MAX];
	uint32_t rows_n;
	struct process_root roots[PROCESS_ROOTS_MAX];
	uint32_t roots_n;
	struct process_known known[PROCESS_KNOWN_MAX];
	uint32_t known_n;
	struct process_mark *marks;	/* PROCESS_MARKS_MAX */
	uint32_t marks_n;
	double mark_s;			/* between two */
};

/*
 * name NULL: each process is a row by its argv[0]; else all below the pid are that row. alone: what
 * it starts is not looked at.
 */
bool process_watch_root(struct process_watch *w, pid_t pid, const char *name, bool alone);
/* The same, by a pid file, which may name another process after a restart. file stays yours. */
bool process_watch_file(struct process_watch *w, const char *file, const char *name);
/* A root that came again under another pid. */
void process_new_root(struct process_watch *w, pid_t was, pid_t is);
/* memory: look at PSS too, which costs the kernel a walk. */
void process_look(struct process_watch *w, double at_s, bool memory);
/* What was used up to now does not count. */
void process_zero(struct process_watch *w);
/* CPU seconds of all rows, or of one; 0 where there is none. */
double process_cpu_s(const struct process_watch *w, const char *name);
/* Bytes by all but the generator. */
uint64_t process_written(const struct process_watch *w);
/* The first process below the root that goes by that name; 0: none. */
pid_t process_find(const struct process_watch *w, const char *name);
void process_free(struct process_watch *w);

#endif
