#include "daemon/control/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t) == 0 ? (double)t.tv_sec + (double)t.tv_nsec * 1e-9 : NAN;
}

/* In clock ticks after the boot, the 20th word behind the program's name, which may have any bytes but ends with the last ')'. */
static double read_start(void)
{
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	unsigned long long ticks = 0;
	char text[1024];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return NAN;
	text[n] = 0;
	at = strrchr(text, ')');
	for (int i = 0; at && i < 20; i++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, " %llu", &ticks) != 1)
		return NAN;
	return seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void process_open(struct process *p)
{
	struct rlimit limit;

	p->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	p->fd_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->start_s = read_start();
	p->n_fd_max = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : NAN;
}

void process_close(struct process *p)
{
	if (p->statm_fd >= 0)
		close(p->statm_fd);
	if (p->fd_fd >= 0)
		close(p->fd_fd);
	p->statm_fd = p->fd_fd = -1;
}

/* As getdents64(2) gives them. */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* Without "." and "..". */
static double count_entries(int fd)
{
	_Alignas(8) char list[4096];
	uint32_t n = 0;
	long got = -1;
	int dir = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* the sandbox has no lseek */

	if (dir < 0)
		return NAN;
	while ((got = syscall(SYS_getdents64, dir, list, sizeof(list))) > 0)
		for (long at = 0; at < got; n++)
			at += ((const struct entry *)(list + at))->len;
	close(dir);
	return got < 0 || n < 3 ? NAN : n - 3; /* "dir" is one of them */
}

void process_read(const struct process *p, struct process_figures *f)
{
	double page = (double)sysconf(_SC_PAGESIZE);
	unsigned long long size, resident;
	char text[128] = "";

	*f = (struct process_figures){ NAN, NAN,       seconds(CLOCK_PROCESS_CPUTIME_ID), count_entries(p->fd_fd),
				       NAN, p->start_s };
	if (p->statm_fd >= 0 && pread(p->statm_fd, text, sizeof(text) - 1, 0) > 0 &&
	    sscanf(text, "%llu %llu", &size, &resident) == 2) {
		f->virtual_bytes = (double)size * page;
		f->resident_bytes = (double)resident * page;
	}
	f->n_fd_max = p->n_fd_max;
}
