/*
 * See topology.h. What the kernel does not tell (no sysfs, a sandbox) falls back to one thread per allowed CPU: a daemon
 * that starts on a strange machine beats one that does not.
 */
#include "daemon/util/topology.h"

#include "daemon/util/readfile.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "0-3,8,10-11" -> bits. Unreadable text ends the list. */
static void parse_cpu_list(cpu_set_t *set, const char *s)
{
	CPU_ZERO(set);
	while (*s >= '0' && *s <= '9') {
		char *end;
		unsigned long first = strtoul(s, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long i = first; i <= last && i < CPU_SETSIZE; i++)
			CPU_SET(i, set);
		s = *end == ',' ? end + 1 : "";
	}
}

/* cpu is the lowest of its core's hardware threads that the mask allows. */
static bool is_core_leader(const char *root, int cpu, const cpu_set_t *mask)
{
	char path[128], list[1024];
	cpu_set_t siblings;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
	if (readfile_str(list, sizeof(list), root, path))
		return true;
	parse_cpu_list(&siblings, list);
	for (int i = 0; i < cpu; i++)
		if (CPU_ISSET(i, &siblings) && CPU_ISSET(i, mask))
			return false;
	return true;
}

/* Node of each CPU; 0 where nothing is known. Node ids may have gaps. */
static void read_nodes(uint16_t node_of[CPU_SETSIZE], const char *root)
{
	char path[128], list[4096];
	cpu_set_t nodes, cpus;

	memset(node_of, 0, CPU_SETSIZE * sizeof(*node_of));
	if (readfile_str(list, sizeof(list), root, "/sys/devices/system/node/online"))
		return;
	parse_cpu_list(&nodes, list);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &nodes))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", i);
		if (readfile_str(list, sizeof(list), root, path))
			continue;
		parse_cpu_list(&cpus, list);
		for (int c = 0; c < CPU_SETSIZE; c++)
			if (CPU_ISSET(c, &cpus))
				node_of[c] = (uint16_t)i;
	}
}

/* CPUs granted by one cgroup directory, or a large number. v2: "max 100000" or "200000 100000"; v1: two files. */
static uint64_t group_quota(const char *root, const char *dir)
{
	unsigned long long quota = 0, period = 0;
	char path[PATH_MAX], buf[64];
	uint64_t q1, p1;

	if (snprintf(path, sizeof(path), "%s/cpu.max", dir) < (int)sizeof(path) &&
	    !readfile_str(buf, sizeof(buf), root, path))
		return sscanf(buf, "%llu %llu", &quota, &period) == 2 && period ? quota / period : UINT64_MAX;
	if (snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir) >= (int)sizeof(path) ||
	    readfile_u64(&q1, root, path))
		return UINT64_MAX; /* "-1" means no quota */
	if (snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir) >= (int)sizeof(path) ||
	    readfile_u64(&p1, root, path))
		return UINT64_MAX;
	return p1 ? q1 / p1 : UINT64_MAX;
}

/* The smallest quota from group up to the mount point: any ancestor's limit holds. */
static uint64_t path_quota(const char *root, const char *mount, const char *group)
{
	char dir[PATH_MAX];
	uint64_t least = UINT64_MAX;
	size_t stop = strlen(mount);

	if (snprintf(dir, sizeof(dir), "%s%s", mount, strcmp(group, "/") ? group : "") >= (int)sizeof(dir))
		return least;
	for (;;) {
		uint64_t q = group_quota(root, dir);
		char *slash;

		if (q < least)
			least = q;
		slash = strrchr(dir, '/');
		if (strlen(dir) <= stop || !slash)
			return least;
		*slash = '\0';
	}
}

/* Whole CPUs the cgroup grants, at least 1; 0: no quota. Lines are "0::/path" (v2) and "7:cpu,cpuacct:/path" (v1). */
static uint32_t read_quota(const char *root)
{
	char buf[4096], *save = NULL;
	uint64_t least = UINT64_MAX, q;

	if (readfile_str(buf, sizeof(buf), root, "/proc/self/cgroup"))
		return 0;
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		names++;
		if (!*names)
			q = path_quota(root, "/sys/fs/cgroup", group);
		else if (!strcmp(names, "cpu") || !strncmp(names, "cpu,", 4) || strstr(names, ",cpu,") ||
			 strstr(names, "cpuacct,cpu"))
			q = path_quota(root, "/sys/fs/cgroup/cpu", group);
		else
			continue;
		if (q < least)
			least = q;
	}
	return least == UINT64_MAX ? 0 : least < 1 ? 1 : least > CPU_SETSIZE ? CPU_SETSIZE : (uint32_t)least;
}

static int cmp_core(const void *a, const void *b)
{
	const struct topology_core *x = a, *y = b;

	return x->node != y->node ? x->node - y->node : x->cpu - y->cpu;
}

static uint32_t count_nodes(const struct topology *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_core; i++)
		n += i == 0 || t->core[i].node != t->core[i - 1].node;
	return n;
}

int topology_read(struct topology *t, const char *root, const cpu_set_t *mask)
{
	uint16_t node_of[CPU_SETSIZE];
	cpu_set_t own;

	memset(t, 0, sizeof(*t));
	if (!mask) {
		if (sched_getaffinity(0, sizeof(own), &own))
			return -errno;
		mask = &own;
	}
	read_nodes(node_of, root);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, mask))
			continue;
		t->n_cpu++;
		if (is_core_leader(root, cpu, mask))
			t->core[t->n_core++] = (struct topology_core){ (uint16_t)cpu, node_of[cpu] };
	}
	if (!t->n_core)
		return -EINVAL;
	qsort(t->core, t->n_core, sizeof(t->core[0]), cmp_core);
	t->n_node = count_nodes(t);
	t->quota = read_quota(root);
	t->n_thread = t->quota && t->quota < t->n_core ? t->quota : t->n_core;
	return 0;
}

int cpu_default_threads(char *why, size_t n)
{
	struct topology t;
	int r = topology_read(&t, "", NULL);

	if (r) {
		snprintf(why, n, "1 thread: the CPU mask cannot be read (%s)", strerror(-r));
		return 1;
	}
	if (t.n_thread < t.n_core)
		snprintf(why, n, "%u threads: the cgroup's CPU quota, of %u physical cores", t.n_thread, t.n_core);
	else
		snprintf(why, n, "%u threads: physical cores in the affinity mask (%u hardware threads)", t.n_thread,
			 t.n_cpu);
	return (int)t.n_thread;
}
