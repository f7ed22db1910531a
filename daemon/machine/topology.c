/*
 * See topology.h. Where the kernel tells nothing (no sysfs, a sandbox) there is one thread per allowed CPU: a daemon
 * that starts on a strange machine beats one that does not.
 */
#include "daemon/machine/topology.h"

#include "daemon/machine/cgroup.h"
#include "daemon/util/cleanup.h"
#include "daemon/machine/cpulist.h"
#include "daemon/util/readfile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU_DIR "/sys/devices/system/cpu"

static int read_cpu_u64(uint64_t *v, const char *root, int cpu, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/%s", cpu, file);
	return readfile_u64(v, root, path);
}

/* Hardware threads of the same core; the CPU alone where nothing is said. */
static int read_siblings(cpu_set_t *set, const char *root, int cpu)
{
	char path[128];
	int r;

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/topology/thread_siblings_list", cpu);
	r = cpulist_read(set, root, path);
	CPU_SET(cpu, set);
	return r;
}

/*
 * Allowed or not. Without the list, a CPU that is off is one without a topology folder, where others have one. -ENOENT: neither.
 */
static int read_online(cpu_set_t *online, const char *root)
{
	cpu_set_t siblings;

	if (cpulist_read(online, root, CPU_DIR "/online") == 0 && CPU_COUNT(online))
		return 0;
	CPU_ZERO(online);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (!read_siblings(&siblings, root, cpu))
			CPU_SET(cpu, online);
	return CPU_COUNT(online) ? 0 : -ENOENT;
}

/* The list behind a name of /proc/self/status. */
static int read_status_list(cpu_set_t *set, const char *root, const char *name)
{
	char text[8192], *at;

	if (readfile_str(text, sizeof(text), root, "/proc/self/status"))
		return -ENOENT;
	at = strstr(text, name);
	cpulist_parse(set, at ? at + strlen(name) + strspn(at + strlen(name), " \t") : "");
	return CPU_COUNT(set) ? 0 : -ENOENT;
}

static void fill(cpu_set_t *set)
{
	memset(set, 0xff, sizeof(*set));
}

/* A set that would leave nothing is another's: a cgroup seen from outside its namespace, say. */
static void narrow(cpu_set_t *set, const cpu_set_t *by)
{
	cpu_set_t both;

	CPU_AND(&both, set, by);
	if (CPU_COUNT(&both))
		*set = both;
}

static int read_allowed(cpu_set_t *allowed, cpu_set_t *online, const char *root, const cpu_set_t *mask)
{
	int r = read_online(online, root);
	cpu_set_t cgroup;

	if (mask)
		*allowed = *mask;
	else if (!*root && sched_getaffinity(0, sizeof(*allowed), allowed))
		return -errno;
	else if (*root && r)
		return r;
	else if (*root && read_status_list(allowed, root, "Cpus_allowed_list:"))
		*allowed = *online;
	if (r)
		*online = *allowed;
	CPU_AND(allowed, allowed, online);
	if (!cgroup_cpus(&cgroup, root))
		narrow(allowed, &cgroup);
	return CPU_COUNT(allowed) ? 0 : -EINVAL;
}

static void read_mems(cpu_set_t *mems, const char *root)
{
	cpu_set_t more;

	if (read_status_list(mems, root, "Mems_allowed_list:"))
		fill(mems);
	if (!cgroup_mems(&more, root))
		narrow(mems, &more);
}

/*
 * Efficiency cores. The kernel names the two kinds of Intel's; else a core is slow whose capacity, or failing that highest
 * frequency, is under four fifths of the best. Favoured cores of one kind differ by less (4.6 and 4.8 GHz), kinds by more (3.9
 * and 5.0).
 */
static void find_slow(cpu_set_t *slow, const char *root, const cpu_set_t *allowed)
{
	static const char *const file[] = { "cpu_capacity", "cpufreq/cpuinfo_max_freq" };
	uint64_t speed[CPU_SETSIZE], best;
	cpu_set_t fast;

	CPU_ZERO(slow);
	if (!cpulist_read(&fast, root, "/sys/devices/cpu_core/cpus") &&
	    !cpulist_read(slow, root, "/sys/devices/cpu_atom/cpus")) {
		CPU_XOR(slow, allowed, &fast);
		CPU_AND(slow, slow, allowed);
	}
	for (size_t i = 0; i < sizeof(file) / sizeof(file[0]) && !CPU_COUNT(slow); i++) {
		best = 0;
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, allowed) || read_cpu_u64(&speed[cpu], root, cpu, file[i]))
				speed[cpu] = 0;
			best = speed[cpu] > best ? speed[cpu] : best;
		}
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (speed[cpu] && speed[cpu] < best / 5 * 4)
				CPU_SET(cpu, slow);
	}
	if (CPU_EQUAL(slow, allowed)) /* none but these: then they are the cores */
		CPU_ZERO(slow);
}

static void read_packages(struct topology *t, const char *root, const cpu_set_t *online, int16_t package[CPU_SETSIZE])
{
	cpu_set_t seen;

	CPU_ZERO(&seen);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		uint64_t id;

		package[cpu] = -1;
		if (!CPU_ISSET(cpu, online) || read_cpu_u64(&id, root, cpu, "topology/physical_package_id") ||
		    id > INT16_MAX)
			continue;
		package[cpu] = (int16_t)id;
		CPU_SET(id % CPU_SETSIZE, &seen);
	}
	t->n_package = CPU_COUNT(&seen) ? (uint32_t)CPU_COUNT(&seen) : 1;
}

/* The lowest of `siblings` in `of`, and how many of these come before cpu. */
static int first_of(const cpu_set_t *siblings, const cpu_set_t *of, int cpu, int *n_before)
{
	int first = cpu;

	*n_before = 0;
	for (int i = cpu - 1; i >= 0; i--) {
		if (!CPU_ISSET(i, siblings) || !CPU_ISSET(i, of))
			continue;
		first = i;
		++*n_before;
	}
	return first;
}

static int cmp_core(const void *a, const void *b)
{
	const struct topology_core *x = a, *y = b;

	return x->tier != y->tier ? x->tier - y->tier : x->node != y->node ? x->node - y->node : x->cpu - y->cpu;
}

static void list_cores(struct topology *t, const char *root, const cpu_set_t *online, const cpu_set_t *allowed)
{
	int16_t package[CPU_SETSIZE];
	cpu_set_t slow, siblings;

	find_slow(&slow, root, allowed);
	read_packages(t, root, online, package);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int n_before, on, first, tier;

		if (!CPU_ISSET(cpu, online))
			continue;
		read_siblings(&siblings, root, cpu);
		on = numa_of_cpu(&t->numa, cpu);
		first_of(&siblings, online, cpu, &n_before);
		t->n_core_on[on] += n_before == 0;
		if (!CPU_ISSET(cpu, allowed))
			continue;
		first = first_of(&siblings, allowed, cpu, &n_before);
		tier = n_before ? TIER_SIBLING + n_before - 1 : CPU_ISSET(cpu, &slow) ? TIER_SLOW : TIER_CORE;
		t->core[t->n_cpu++] = (struct topology_core){
			(uint16_t)cpu,  (uint16_t)t->numa.node[t->numa.node[on].home].id, (uint16_t)first, package[cpu],
			(uint16_t)tier,
		};
	}
	qsort(t->core, t->n_cpu, sizeof(t->core[0]), cmp_core);
}

static void count_cores(struct topology *t)
{
	for (uint32_t i = 0; i < t->n_cpu; i++) {
		t->n_core += t->core[i].tier == TIER_CORE;
		t->n_slow += t->core[i].tier == TIER_SLOW;
	}
}

static int read_all(struct topology *t, const char *root, const cpu_set_t *mask)
{
	cpu_set_t allowed, online, mems, present;
	int r = read_allowed(&allowed, &online, root, mask);

	if (r)
		return r;
	read_mems(&mems, root);
	numa_read(&t->numa, root, &online, &mems);
	list_cores(t, root, &online, &allowed);
	count_cores(t);
	t->n_online = (uint32_t)CPU_COUNT(&online);
	if (!cpulist_read(&present, root, CPU_DIR "/present")) {
		CPU_OR(&present, &present, &online);
		t->n_offline = (uint32_t)CPU_COUNT(&present) - t->n_online;
	}
	t->quota = cgroup_quota(root);
	t->n_thread = t->quota && t->quota < t->n_core ? t->quota : t->n_core;
	return 0;
}

int topology_read(struct topology *t, const char *root, const cpu_set_t *mask)
{
	memset(t, 0, offsetof(struct topology, numa));
	t->numa.n = 0;
	t->n_thread = 1;
	return read_all(t, root, mask);
}

void topology_why(const struct topology *t, char *why, size_t n)
{
	const char *s = t->n_thread == 1 ? "" : "s";

	if (!t->n_cpu)
		snprintf(why, n, "1 thread: the CPU mask cannot be read");
	else if (t->n_thread < t->n_core)
		snprintf(why, n, "%u thread%s: the cgroup's CPU quota, of %u physical cores", t->n_thread, s,
			 t->n_core);
	else if (t->n_slow)
		snprintf(why, n, "%u thread%s: performance cores; barriers would wait for the %u efficiency cores",
			 t->n_thread, s, t->n_slow);
	else
		snprintf(why, n, "%u thread%s: physical cores in the affinity mask (%u hardware threads)", t->n_thread,
			 s, t->n_cpu);
}

int topology_default_threads(void)
{
	_cleanup_free_ struct topology *t = malloc(sizeof(*t)); /* too large for a stack */

	if (!t)
		return 1;
	topology_read(t, "", NULL);
	return (int)t->n_thread;
}
