/* What the kernel itself says of gyred: where the pages of its pools lie and where its threads may run. */
#ifndef GYRE_TESTS_SYSTEM_NUMA_SEEN_H
#define GYRE_TESTS_SYSTEM_NUMA_SEEN_H

#include "tests/system/numa/gyred.h"

#include <dirent.h>
#include <stdint.h>

#define N_NODE    3 /* of the guest: 0 and 1 with two CPUs each, 2 with none */
#define N_CPU     4
#define SEEN_POOL 32

/* A pool of gyred's: a memfd that has its name or memory that is bound to a node. */
struct seen_pool {
	char line[256]; /* of /proc/PID/numa_maps, for messages */
	uint64_t bytes;
	uint64_t on[N_NODE]; /* bytes present on each node */
	int bound;           /* the one node that its policy allows; -1: none such */
};

/* bytes of the mapping that starts at `at`; 0: there is none. */
static inline uint64_t seen_length(pid_t pid, uint64_t at)
{
	char path[64], line[512];
	uint64_t length = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (!length && fgets(line, sizeof(line), f)) {
		char *end;
		uint64_t begin = strtoull(line, &end, 16);

		if (begin == at)
			length = strtoull(end + 1, NULL, 16) - begin;
	}
	fclose(f);
	return length;
}

static inline uint64_t seen_number(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* How many; the mappings of one memfd count as so many pools. */
static inline int seen_pools(struct seen_pool p[SEEN_POOL])
{
	char path[64], line[512];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)gyred_pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		const char *bind = strstr(line, " bind:");
		uint64_t page = seen_number(line, "kernelpagesize_kB=") * 1024;

		if (!bind && !strstr(line, "/memfd:gyre-weights") && !strstr(line, "/memfd:gyre-kv"))
			continue;
		assert_true(n < SEEN_POOL);
		p[n] = (struct seen_pool){ .bound = -1 };
		snprintf(p[n].line, sizeof(p[n].line), "%.255s", line);
		if (bind && (bind[7] == ' ' || bind[7] == '\n')) /* one digit: one node */
			p[n].bound = bind[6] - '0';
		p[n].bytes = seen_length(gyred_pid, strtoull(line, NULL, 16));
		for (int i = 0; i < N_NODE; i++) {
			char key[8];

			snprintf(key, sizeof(key), " N%d=", i);
			p[n].on[i] = seen_number(line, key) * page;
		}
		n++;
	}
	fclose(f);
	return n;
}

/* How many threads are pinned to each CPU; the others may move. */
static inline void seen_pinned(int n_pinned[N_CPU])
{
	char path[320], line[128];
	const struct dirent *d;
	DIR *dir;

	memset(n_pinned, 0, N_CPU * sizeof(n_pinned[0]));
	snprintf(path, sizeof(path), "/proc/%d/task", (int)gyred_pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)gyred_pid, d->d_name);
		f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		while (fgets(line, sizeof(line), f)) {
			int cpu, used = 0;

			if (sscanf(line, "Cpus_allowed_list:\t%d\n%n", &cpu, &used) == 1 && !line[used])
				n_pinned[cpu]++;
		}
		fclose(f);
	}
	closedir(dir);
}

#endif
