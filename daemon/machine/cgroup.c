/*
 * A line of /proc/self/cgroup is "0::/path" (v2) or "7:cpu,cpuacct:/path" (v1). Where that path lies in the file system is told by
 * /proc/self/mountinfo: a mount shows a hierarchy from some group of it on, its root. A container sees the host's path and a mount whose
 * root is its own group, or, in a namespace of its own, "/" and a root of "/". Folders that do not exist are passed over on the way
 * up to the mount point. Where no mountinfo can be read, the usual places are looked at.
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

#define GROUPS_BYTES 65536 /* of /proc/self/cgroup: a dozen paths of PATH_MAX at the worst */

/* True ends the way up. */
typedef bool visit_fn(void *arg, const char *root, const char *dir);

struct visit {
	const char *root, *controller;
	visit_fn *fn;
	void *arg;
};

/* From group up to the mount point. */
static bool visit_up(const struct visit *v, const char *mount, const char *group)
{
	size_t stop = strlen(mount);
	char dir[PATH_MAX], *slash;

	if (snprintf(dir, sizeof(dir), "%s%s", mount, strcmp(group, "/") ? group : "") >= (int)sizeof(dir))
		return false;
	for (;;) {
		if (v->fn(v->arg, v->root, dir))
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

/* ---- mounts ---- */

struct mount {
	char *root, *point, *type, *options; /* options: of the hierarchy, with a v1 one's controllers */
};

/* In place: "\040" is a space, as in all paths of mountinfo. */
static void unescape(char *s)
{
	char *to = s;

	for (unsigned int c; *s; to++) {
		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*to = (char)c;
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
}

/* "31 23 0:28 ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE OPTIONS" */
static bool parse_mount(struct mount *m, char *line)
{
	char *save = NULL, *word[6], *at;

	for (int i = 0; i < 6; i++)
		if (!(word[i] = strtok_r(i ? NULL : line, " \n", &save)))
			return false;
	while ((at = strtok_r(NULL, " \n", &save)) && strcmp(at, "-"))
		;
	m->root = word[3];
	m->point = word[4];
	m->type = strtok_r(NULL, " \n", &save);
	at = strtok_r(NULL, " \n", &save);
	m->options = at ? strtok_r(NULL, " \n", &save) : NULL;
	if (!m->type || !m->options)
		return false;
	unescape(m->root);
	unescape(m->point);
	return true;
}

static bool is_above(const char *root)
{
	while (!strncmp(root, "/..", 3))
		root += 3;
	return !*root;
}

/* The group below the mount's root; NULL: it is not there, so the mount shows others' groups. */
static const char *below_root(const char *group, const char *root)
{
	size_t n = strlen(root);

	if (is_above(
		    root)) /* it shows a group above our namespace: its own limits hold, the way to ours has no names */
		return "/";
	if (!strncmp(group, "/..", 3))
		return NULL;
	if (!strcmp(root, "/"))
		return group;
	if (strncmp(group, root, n) || (group[n] && group[n] != '/'))
		return NULL;
	return group[n] ? group + n : "/";
}

static bool visit_mount(const struct visit *v, const struct mount *m, const char *group, bool is_v2)
{
	const char *below = below_root(group, m->root);

	if (!below || strcmp(m->type, is_v2 ? "cgroup2" : "cgroup") || (!is_v2 && !has_name(m->options, v->controller)))
		return false;
	return visit_up(v, m->point, below);
}

static bool visit_usual(const struct visit *v, const char *group, bool is_v2)
{
	char mount[64] = "/sys/fs/cgroup";

	if (!is_v2)
		snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", v->controller);
	return visit_up(v, mount, group);
}

static bool visit_group(const struct visit *v, const char *group, bool is_v2)
{
	char path[PATH_MAX], *line = NULL;
	bool is_over = false;
	struct mount m;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", v->root);
	f = fopen(path, "re");
	if (!f)
		return visit_usual(v, group, is_v2);
	while (!is_over && getline(&line, &size, f) > 0)
		is_over = parse_mount(&m, line) && visit_mount(v, &m, group, is_v2);
	free(line);
	fclose(f);
	return is_over;
}

/* The folders of every hierarchy that may hold the controller. */
static void visit_groups(const char *root, const char *controller, visit_fn *fn, void *arg)
{
	const struct visit v = { root, controller, fn, arg };
	char *buf = malloc(GROUPS_BYTES), *save = NULL;

	if (!buf || readfile_str(buf, GROUPS_BYTES, root, "/proc/self/cgroup")) {
		free(buf);
		return;
	}
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		names++;
		if ((!*names || has_name(names, controller)) && visit_group(&v, group, !*names))
			break;
	}
	free(buf);
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
	const char *file[3]; /* v2, v1, v1 before it told what is effective */
	bool is_found;
};

/* The effective set is the intersection with the ancestors' already: the first one ends the way. */
static bool visit_list(void *arg, const char *root, const char *dir)
{
	struct find_list *f = arg;
	bool is_read = false;
	char list[8192];

	for (int i = 0; i < 3 && !is_read; i++)
		is_read = read_in(list, sizeof(list), root, dir, f->file[i]);
	if (!is_read)
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
	return find_list(
		(struct find_list){ cpus, { "cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus" }, false },
		root);
}

int cgroup_mems(cpu_set_t *mems, const char *root)
{
	return find_list(
		(struct find_list){ mems, { "cpuset.mems.effective", "cpuset.effective_mems", "cpuset.mems" }, false },
		root);
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

/* What files hold is as good as free. v1 counts the groups below in total_*. */
static uint64_t file_bytes(const char *stat)
{
	const char *total = stat_value(stat, "hierarchical_memory_limit") ? "total_" : "";
	char active[32], inactive[32];

	snprintf(active, sizeof(active), "%sactive_file", total);
	snprintf(inactive, sizeof(inactive), "%sinactive_file", total);
	return stat_value(stat, active) + stat_value(stat, inactive);
}

/*
 * Any ancestor's limit holds, as with a quota; past memory.high nobody is killed, but all crawl. v1 also tells of the limits of
 * ancestors that cannot be seen from here.
 */
static bool visit_memory(void *arg, const char *root, const char *dir)
{
	uint64_t limit = read_bytes(root, dir, "memory.max", "memory.limit_in_bytes"), above, used, *least = arg;
	char stat[16384] = "";

	limit = min_size(limit, read_bytes(root, dir, "memory.high", "memory.high"));
	used = read_bytes(root, dir, "memory.current", "memory.usage_in_bytes");
	(void)read_in(stat, sizeof(stat), root, dir, "memory.stat");
	above = stat_value(stat, "hierarchical_memory_limit");
	if (above)
		limit = min_size(limit, above);
	if (limit == UINT64_MAX || used == UINT64_MAX)
		return false;
	used -= min_size(file_bytes(stat), used);
	*least = min_size(limit - min_size(used, limit), *least);
	return false;
}

size_t cgroup_memory(const char *root)
{
	uint64_t least = SIZE_MAX;

	visit_groups(root, "memory", visit_memory, &least);
	return least;
}
