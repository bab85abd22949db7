/*
 * full_disk.c - a disk that is full: loaded before a program (LD_PRELOAD), it refuses with ENOSPC
 * whatever would make a file longer. Only below the folder whose path stands in the file that
 * TRIEN_FULL_DISK names, and only as long as that file is there: room comes and goes while the
 * program runs. What a file has already, it may overwrite, as on a real disk.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The folder that is full, with no end of line; false: none. */
static bool full_folder(char out[PATH_MAX])
{
	const char *file = getenv("TRIEN_FULL_DISK");
	int fd = file != NULL ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, PATH_MAX - 1);
	close(fd);
	if (n <= 0)
		return false;
	out[n] = '\0';
	return true;
}

static bool lies_below(int fd, const char *folder)
{
	char link[40], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return strncmp(path, folder, strlen(folder)) == 0;
}

/* Would it end behind the file's present end? offset -1: where the descriptor stands. */
static bool refuses(int fd, off_t offset, size_t n)
{
	char folder[PATH_MAX];
	struct stat st;
	int before = errno;
	bool no = full_folder(folder) && lies_below(fd, folder) && fstat(fd, &st) == 0 &&
		  S_ISREG(st.st_mode);

	if (no && offset < 0)
		offset = lseek(fd, 0, SEEK_CUR);
	no = no && offset + (off_t)n > st.st_size;
	errno = no ? ENOSPC : before;
	return no;
}

static size_t length(const struct iovec *of, int n)
{
	size_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += of[i].iov_len;
	return bytes;
}

/* The function of that name behind ours. */
#define BEHIND(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
	return refuses(fd, -1, n) ? -1 : BEHIND(write)(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
	return refuses(fd, offset, n) ? -1 : BEHIND(pwrite)(fd, p, n, offset);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t offset)
{
	return refuses(fd, offset, n) ? -1 : BEHIND(pwrite64)(fd, p, n, offset);
}

ssize_t writev(int fd, const struct iovec *of, int n)
{
	return refuses(fd, -1, length(of, n)) ? -1 : BEHIND(writev)(fd, of, n);
}

ssize_t pwritev(int fd, const struct iovec *of, int n, off_t offset)
{
	return refuses(fd, offset, length(of, n)) ? -1 : BEHIND(pwritev)(fd, of, n, offset);
}

ssize_t pwritev64(int fd, const struct iovec *of, int n, off64_t offset)
{
	return refuses(fd, offset, length(of, n)) ? -1 : BEHIND(pwritev64)(fd, of, n, offset);
}

/* These answer with the error itself. */
int posix_fallocate(int fd, off_t offset, off_t n)
{
	return refuses(fd, offset, (size_t)n) ? ENOSPC : BEHIND(posix_fallocate)(fd, offset, n);
}

int posix_fallocate64(int fd, off64_t offset, off64_t n)
{
	return refuses(fd, offset, (size_t)n) ? ENOSPC : BEHIND(posix_fallocate64)(fd, offset, n);
}

int fallocate(int fd, int mode, off_t offset, off_t n)
{
	return refuses(fd, offset, (size_t)n) ? -1 : BEHIND(fallocate)(fd, mode, offset, n);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t n)
{
	return refuses(fd, offset, (size_t)n) ? -1 : BEHIND(fallocate64)(fd, mode, offset, n);
}
