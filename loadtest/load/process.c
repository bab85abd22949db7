#include "load/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK_S 0.4

/* A file of /proc/PID as text; false where it is gone or not ours to read. */
static bool read_proc(char *buf, size_t room, pid_t pid, const char *name)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, room - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at != NULL ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* One that starts another for each file: those end too soon to be looked at one by one. */
static bool has_brood(const char *row)
{
	return strcmp(row, "foreign") == 0;
}

/*
 * CPU, that of its children that have ended, and birth from /proc/PID/stat; the command's name may
 * hold anything but ends with ')'.
 */
static bool read_stat(pid_t pid, double *cpu_s, double *ended_s, uint64_t *born)
{
	char buf[1024], *at;
	unsigned long long user, system, start;
	long long ended_user, ended_system;
	double tick_s = 1 / (double)sysconf(_SC_CLK_TCK);
	char state;

	if (!read_proc(buf, sizeof(buf), pid, "stat") || (at = strrchr(buf, ')')) == NULL)
		return false;
	if (sscanf(at + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld "
		   "%*d %*d %*d %*d %llu", &state, &user, &system, &ended_user, &ended_system,
		   &start) != 6 || state == 'Z')
		return false;
	*cpu_s = (double)(user + system) * tick_s;
	*ended_s = (double)(ended_user + ended_system) * tick_s;
	*born = start;
	return true;
}

static uint8_t row_of(struct process_watch *w, const char *name)
{
	const char *base = strrchr(name, '/');

	name = base != NULL ? base + 1 : name;
	for (uint32_t i = 0; i < w->rows_n; i++)
		if (strcmp(w->rows[i].name, name) == 0)
			return (uint8_t)i;
	if (w->rows_n == PROCESS_ROWS_MAX)
		return PROCESS_ROWS_MAX - 1;
	snprintf(w->rows[w->rows_n].name, sizeof(w->rows[0].name), "%.31s", name);
	return (uint8_t)w->rows_n++;
}

/* Its name is read at each look: one that was just forked has its parent's until it executes. */
static struct process_known *known(struct process_watch *w, pid_t pid, uint64_t born,
				   const char *name)
{
	char words[256] = "";
	bool named = name != NULL || read_proc(words, sizeof(words), pid, "cmdline");
	uint32_t i = 0;

	while (i < w->known_n && (w->known[i].pid != pid || w->known[i].born != born))
		i++;
	if (i == w->known_n) {
		if (i == PROCESS_KNOWN_MAX || !named)
			return NULL;
		w->known[w->known_n++] = (struct process_known){ .pid = pid, .born = born };
	}
	if (named)
		w->known[i].row = row_of(w, name != NULL ? name : words);
	return &w->known[i];
}

/* The process and all below it. */
static void look_below(struct process_watch *w, pid_t pid, const char *name, bool alone,
		       bool memory)
{
	struct process_known *k;
	char buf[4096], path[64], *at = buf, *end;
	uint64_t born;
	double cpu_s, ended_s;
	bool brood;

	if (!read_stat(pid, &cpu_s, &ended_s, &born) || (k = known(w, pid, born, name)) == NULL)
		return;
	brood = has_brood(w->rows[k->row].name);
	k->alive = true;
	k->cpu_s = cpu_s + (brood ? ended_s : 0) - k->cpu_before_s;
	if (read_proc(buf, sizeof(buf), pid, "io"))
		k->written = number_after(buf, "\nwrite_bytes: ") - k->written_before;
	if (memory && read_proc(buf, sizeof(buf), pid, "smaps_rollup"))
		k->pss_kb = number_after(buf, "\nPss:");
	snprintf(path, sizeof(path), "task/%d/children", (int)pid);
	if (alone || brood || !read_proc(buf, sizeof(buf), pid, path))
		return;
	for (long child; (child = strtol(at, &end, 10)) > 0 && end != at; at = end)
		look_below(w, (pid_t)child, name, false, memory);
}

bool process_watch_root(struct process_watch *w, pid_t pid, const char *name, bool alone)
{
	struct process_root *r = &w->roots[w->roots_n];

	if (w->roots_n == PROCESS_ROOTS_MAX)
		return false;
	w->roots_n++;
	*r = (struct process_root){ .pid = pid, .alone = alone };
	if (name != NULL)
		snprintf(r->name, sizeof(r->name), "%s", name);
	if (w->marks == NULL) {
		w->marks = calloc(PROCESS_MARKS_MAX, sizeof(*w->marks));
		w->mark_s = MARK_S;
	}
	return w->marks != NULL;
}

static pid_t pid_of(const char *file)
{
	char line[32] = "";
	FILE *f = fopen(file, "re");
	bool read = f != NULL && fgets(line, sizeof(line), f) != NULL;

	if (f != NULL)
		fclose(f);
	return read ? (pid_t)atoi(line) : 0;
}

bool process_watch_file(struct process_watch *w, const char *file, const char *name)
{
	pid_t pid = pid_of(file);

	if (pid <= 0 || !process_watch_root(w, pid, name, false))
		return false;
	w->roots[w->roots_n - 1].file = file;
	return true;
}

void process_new_root(struct process_watch *w, pid_t was, pid_t is)
{
	for (uint32_t i = 0; i < w->roots_n; i++)
		if (w->roots[i].pid == was)
			w->roots[i].pid = is;
}

static void note_mark(struct process_watch *w, double at_s)
{
	struct process_mark *m;

	if (w->marks_n > 0 && at_s < w->marks[w->marks_n - 1].at_s + w->mark_s)
		return;
	if (w->marks_n == PROCESS_MARKS_MAX) {
		for (uint32_t i = 0; i < PROCESS_MARKS_MAX / 2; i++)
			w->marks[i] = w->marks[2 * i];
		w->marks_n = PROCESS_MARKS_MAX / 2;
		w->mark_s *= 2;
	}
	m = &w->marks[w->marks_n++];
	*m = (struct process_mark){ .at_s = at_s, .written = process_written(w) };
	for (uint32_t i = 0; i < w->rows_n; i++) {
		m->cpu_s[i] = (float)w->rows[i].cpu_s;
		m->pss_kb[i] = (uint32_t)w->rows[i].pss_kb;
	}
}

void process_look(struct process_watch *w, double at_s, bool memory)
{
	if (w->roots_n == 0)
		return;
	for (uint32_t i = 0; i < w->known_n; i++)
		w->known[i].alive = false;
	for (uint32_t i = 0; i < w->roots_n; i++) {
		struct process_root *r = &w->roots[i];

		if (r->file != NULL)
			r->pid = pid_of(r->file);
		if (r->pid > 0)
			look_below(w, r->pid, r->name[0] != '\0' ? r->name : NULL, r->alone,
				   memory);
	}
	for (uint32_t i = 0; i < w->rows_n; i++)
		w->rows[i].cpu_s = 0, w->rows[i].pss_kb = 0, w->rows[i].written = 0;
	for (uint32_t i = 0; i < w->known_n; i++) {
		struct process_row *row = &w->rows[w->known[i].row];

		row->cpu_s += w->known[i].cpu_s;
		row->written += w->known[i].written;
		row->pss_kb += w->known[i].alive ? w->known[i].pss_kb : 0;
	}
	for (uint32_t i = 0; i < w->rows_n; i++)
		if (w->rows[i].pss_kb > w->rows[i].pss_peak_kb)
			w->rows[i].pss_peak_kb = w->rows[i].pss_kb;
	note_mark(w, at_s);
}

void process_zero(struct process_watch *w)
{
	process_look(w, 0, true);
	for (uint32_t i = 0; i < w->known_n; i++) {
		struct process_known *k = &w->known[i];

		k->cpu_before_s += k->cpu_s;
		k->written_before += k->written;
	}
	w->marks_n = 0;
	process_look(w, 0, true);
}

double process_cpu_s(const struct process_watch *w, const char *name)
{
	double sum = 0;

	for (uint32_t i = 0; i < w->rows_n; i++)
		if (name == NULL || strcmp(name, w->rows[i].name) == 0)
			sum += w->rows[i].cpu_s;
	return sum;
}

uint64_t process_written(const struct process_watch *w)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < w->rows_n; i++)
		if (strcmp(w->rows[i].name, GENERATOR) != 0)
			sum += w->rows[i].written;
	return sum;
}

pid_t process_find(const struct process_watch *w, const char *name)
{
	for (uint32_t i = 0; i < w->known_n; i++)
		if (w->known[i].alive && strcmp(w->rows[w->known[i].row].name, name) == 0)
			return w->known[i].pid;
	return 0;
}

void process_free(struct process_watch *w)
{
	free(w->marks);
	w->marks = NULL;
}
