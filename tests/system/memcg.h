/* A real memory cgroup of either version for a daemon under test, where one can be made. */
#ifndef GYRE_TESTS_SYSTEM_MEMCG_H
#define GYRE_TESTS_SYSTEM_MEMCG_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MEMCG_SKIP "skip: no memory cgroup can be made below /sys/fs/cgroup (needs root and a writable hierarchy)"

static struct {
	char dir[256]; /* "": there is none */
	bool is_v2;
} memcg;

static inline bool memcg_write(const char *dir, const char *file, const char *text)
{
	char path[512];
	bool is_done;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	is_done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return is_done;
}

static inline uint64_t memcg_read(const char *dir, const char *file)
{
	char path[512], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
	return strtoull(text, NULL, 10);
}

static inline void memcg_make(void)
{
	static const char *const parent[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup", NULL };

	for (int i = 0; parent[i] && !*memcg.dir; i++) {
		memcg.is_v2 = i == 1;
		if (memcg.is_v2)
			memcg_write(parent[i], "cgroup.subtree_control", "+memory");
		snprintf(memcg.dir, sizeof(memcg.dir), "%s/gyre-test-%d", parent[i], (int)getpid());
		if (mkdir(memcg.dir, 0755) == 0) {
			char path[512];

			snprintf(path, sizeof(path), "%s/%s", memcg.dir,
				 memcg.is_v2 ? "memory.max" : "memory.limit_in_bytes");
			if (access(path, W_OK) == 0)
				return;
			rmdir(memcg.dir);
		}
		*memcg.dir = 0;
	}
}

static inline void memcg_enter(void *arg)
{
	(void)arg;
	if (*memcg.dir && !memcg_write(memcg.dir, "cgroup.procs", "0"))
		_exit(126);
}

static inline uint64_t memcg_bytes(void)
{
	return memcg_read(memcg.dir, memcg.is_v2 ? "memory.current" : "memory.usage_in_bytes");
}

static inline void memcg_limit(uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	assert_true(memcg_write(memcg.dir, memcg.is_v2 ? "memory.max" : "memory.limit_in_bytes", text));
}

static inline void memcg_remove(void)
{
	if (*memcg.dir)
		rmdir(memcg.dir);
	*memcg.dir = 0;
}

#endif
