#include "load/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define FLUSHES 101
#define FLUSH_BYTES 16384
#define FLUSH_ALIGN 4096

/* The value behind "key : value" in a file of /proc. */
static void find_line(const char *path, const char *key, char *out, size_t room)
{
	char line[512];
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *value = strchr(line, ':');

		if (strncmp(line, key, strlen(key)) != 0 || value == NULL)
			continue;
		value += 1 + strspn(value + 1, " \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(out, room, "%s", value);
		break;
	}
	if (f != NULL)
		fclose(f);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double host_flush_ms(const char *folder)
{
	static const uint8_t nothing[FLUSH_BYTES];
	double times[FLUSHES];
	char path[500];
	void *block = NULL;
	int fd, n = 0;

	snprintf(path, sizeof(path), "%s/.flush-%d", folder, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT | O_DSYNC, 0600);
	if (fd < 0)
		return 0;
	unlink(path);
	if (posix_memalign(&block, FLUSH_ALIGN, FLUSH_BYTES) != 0) {
		close(fd);
		return 0;
	}
	memcpy(block, nothing, FLUSH_BYTES);
	for (int i = 0; i < FLUSHES; i++)
		if (pwrite(fd, block, FLUSH_BYTES, (off_t)i * FLUSH_BYTES) != FLUSH_BYTES)
			break;
	for (; n < FLUSHES; n++) {
		double before = now_ms();

		if (pwrite(fd, block, FLUSH_BYTES, (off_t)n * FLUSH_BYTES) != FLUSH_BYTES)
			break;
		times[n] = now_ms() - before;
	}
	free(block);
	close(fd);
	qsort(times, (size_t)n, sizeof(times[0]), ascending);
	return n > 0 ? times[n / 2] : 0;
}

void host_look(struct host *h, const char *folder)
{
	struct utsname u;
	char memory[64];
	time_t now = time(NULL);
	struct tm utc;

	*h = (struct host){ .cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) };
	find_line("/proc/cpuinfo", "model name", h->cpu, sizeof(h->cpu));
	find_line("/proc/meminfo", "MemTotal", memory, sizeof(memory));
	h->memory_mb = strtoull(memory, NULL, 10) / 1024;
	if (uname(&u) == 0)
		snprintf(h->kernel, sizeof(h->kernel), "%s %.60s", u.sysname, u.release);
	gmtime_r(&now, &utc);
	strftime(h->time, sizeof(h->time), "%Y-%m-%dT%H:%M:%SZ", &utc);
	if (folder != NULL)
		h->flush_before_ms = host_flush_ms(folder);
}
