/*
 * A line of /proc/self/cgroup is "0::/path" (v2) or "7:cpu,cpuacct:/path" (v1). In a container the path may be the host's and the
 * mount the container's own: folders that do not exist are passed over on the way up to the mount point.
 */
#include "daemon/machine/cgroup.h"

#include "daemon/machine/cpulist.h"
#include "daemon/util/minmax.h"
#include "daemon/util/readfile.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True ends the way up. */
typedef bool visit_fn(void *arg, const char *root, const char *dir);

/* From group up to the mount point. */
static bool visit_up(const char *root, const char *mount, const char *group, visit_fn *visit, void *arg)
{
	size_t stop = strlen(mount);
	char dir[PATH_MAX], *slash;

	if (snprintf(dir, sizeof(dir), "%s%s", mount, strcmp(group, "/") ? group : "") >= (int)sizeof(dir))
		return false;
	for (;;) {
		if (visit(arg, root, dir))
			return true;
		slash = strrchr(dir, '/');
		if (strlen(dir) <= stop || !slash)
			return false;
		*slash = '\0';
	}
}

/* name is one of "a,b,c". */
static bool has_name(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (!strncmp(at, name, n) && (at[n] == ',' || !at[n]))
			return true;
	return false;
}

/* The folders of every hierarchy that may hold the controller. */
static void visit_groups(const char *root, const char *controller, visit_fn *visit, void *arg)
{
	char buf[4096], mount[64], *save = NULL;

	if (readfile_str(buf, sizeof(buf), root, "/proc/self/cgroup"))
		return;
	snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", controller);
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		names++;
		if (*names && !has_name(names, controller))
			continue;
		if (visit_up(root, *names ? mount : "/sys/fs/cgroup", group, visit, arg))
			return;
	}
}

/* False: no such file, or one of another form. */
static bool read_in(char *buf, size_t n, const char *root, const char *dir, const char *file)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, file) < (int)sizeof(path) &&
	       !readfile_str(buf, n, root, path);
}

/* CPUs granted by one folder. v2: "max 100000" or "200000 100000"; v1: two files, "-1" for no quota. */
static uint64_t folder_quota(const char *root, const char *dir)
{
	unsigned long long quota = 0, period = 0;
	char buf[64], more[64];

	if (read_in(buf, sizeof(buf), root, dir, "cpu.max"))
		return sscanf(buf, "%llu %llu", &quota, &period) == 2 && period ? quota / period : UINT64_MAX;
	if (!read_in(buf, sizeof(buf), root, dir, "cpu.cfs_quota_us") || *buf == '-' ||
	    !read_in(more, sizeof(more), root, dir, "cpu.cfs_period_us"))
		return UINT64_MAX;
	return sscanf(buf, "%llu", &quota) == 1 && sscanf(more, "%llu", &period) == 1 && period ? quota / period
												: UINT64_MAX;
}

/* Any ancestor's limit holds: the way goes on to the top. */
static bool visit_quota(void *arg, const char *root, const char *dir)
{
	uint64_t *least = arg, q = folder_quota(root, dir);

	*least = q < *least ? q : *least;
	return false;
}

uint32_t cgroup_quota(const char *root)
{
	uint64_t least = UINT64_MAX;

	visit_groups(root, "cpu", visit_quota, &least);
	return least == UINT64_MAX ? 0 : least < 1 ? 1 : least > CPU_SETSIZE ? CPU_SETSIZE : (uint32_t)least;
}

struct find_list {
	cpu_set_t *set;
	const char *v2, *v1;
	bool is_found;
};

/* The effective set is the intersection with the ancestors' already: the first one ends the way. */
static bool visit_list(void *arg, const char *root, const char *dir)
{
	struct find_list *f = arg;
	char list[8192];

	if (!read_in(list, sizeof(list), root, dir, f->v2) && !read_in(list, sizeof(list), root, dir, f->v1))
		return false;
	cpulist_parse(f->set, list);
	f->is_found = CPU_COUNT(f->set) > 0;
	return f->is_found;
}

static int find_list(struct find_list f, const char *root)
{
	CPU_ZERO(f.set);
	visit_groups(root, "cpuset", visit_list, &f);
	return f.is_found ? 0 : -ENOENT;
}

int cgroup_cpus(cpu_set_t *cpus, const char *root)
{
	return find_list((struct find_list){ cpus, "cpuset.cpus.effective", "cpuset.effective_cpus", false }, root);
}

int cgroup_mems(cpu_set_t *mems, const char *root)
{
	return find_list((struct find_list){ mems, "cpuset.mems.effective", "cpuset.effective_mems", false }, root);
}

/* The number in a file of either version; UINT64_MAX: "max", or no such file. */
static uint64_t read_bytes(const char *root, const char *dir, const char *v2, const char *v1)
{
	unsigned long long n;
	char buf[64];

	if (!read_in(buf, sizeof(buf), root, dir, v2) && !read_in(buf, sizeof(buf), root, dir, v1))
		return UINT64_MAX;
	return sscanf(buf, "%llu", &n) == 1 ? n : UINT64_MAX;
}

/* The number behind a name at the beginning of a line; 0: none. */
static uint64_t stat_value(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!strncmp(at, name, n) && at[n] == ' ')
			return strtoull(at + n, NULL, 10);
	return 0;
}

/* Any ancestor's limit holds, as with a quota. v1 counts the groups below in total_*. */
static bool visit_memory(void *arg, const char *root, const char *dir)
{
	uint64_t limit = read_bytes(root, dir, "memory.max", "memory.limit_in_bytes"), used, *least = arg;
	char stat[8192];

	used = read_bytes(root, dir, "memory.current", "memory.usage_in_bytes");
	if (limit == UINT64_MAX || used == UINT64_MAX)
		return false;
	if (read_in(stat, sizeof(stat), root, dir, "memory.stat")) {
		const char *total = stat_value(stat, "hierarchical_memory_limit") ? "total_" : "";
		char name[2][32];

		snprintf(name[0], sizeof(name[0]), "%sactive_file", total);
		snprintf(name[1], sizeof(name[1]), "%sinactive_file", total);
		for (int i = 0; i < 2; i++)
			used -= min_size(stat_value(stat, name[i]), used);
	}
	*least = min_size(limit - min_size(used, limit), *least);
	return false;
}

size_t cgroup_memory(const char *root)
{
	uint64_t least = SIZE_MAX;

	visit_groups(root, "memory", visit_memory, &least);
	return least;
}
