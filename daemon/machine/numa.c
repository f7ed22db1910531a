/* See numa.h. Files below /sys/devices/system/node; where these are missing, /proc/meminfo and /sys/kernel/mm. */
#include "daemon/machine/numa.h"

#include "daemon/machine/cpulist.h"
#include "daemon/util/readfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_DIR "/sys/devices/system/node"

static bool read_memory(struct numa_node *v, const char *root, const char *path)
{
	char text[4096];

	if (readfile_str(text, sizeof(text), root, path))
		return false;
	v->mem_bytes = readfile_meminfo(text, "MemTotal:");
	v->free_bytes = readfile_meminfo(text, "MemFree:");
	return true;
}

static void read_huge(struct numa_huge *h, const char *root, const char *dir, unsigned int kib)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/hugepages-%ukB/nr_hugepages", dir, kib);
	if (readfile_u64(&h->total, root, path))
		h->total = 0;
	snprintf(path, sizeof(path), "%s/hugepages-%ukB/free_hugepages", dir, kib);
	if (readfile_u64(&h->free, root, path))
		h->free = 0;
}

static int read_package(const char *root, const cpu_set_t *cpus)
{
	char path[128];
	uint64_t id;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, cpus))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
		return readfile_u64(&id, root, path) || id > INT16_MAX ? -1 : (int)id;
	}
	return -1;
}

static void read_node(struct numa_node *v, const char *root, const cpu_set_t *online)
{
	char path[128];

	snprintf(path, sizeof(path), NODE_DIR "/node%d/cpulist", v->id);
	cpulist_read(&v->cpus, root, path);
	CPU_AND(&v->cpus, &v->cpus, online);
	v->package = read_package(root, &v->cpus);
	snprintf(path, sizeof(path), NODE_DIR "/node%d/meminfo", v->id);
	/* An unreadable file stands for the usual case. */
	v->has_memory = !read_memory(v, root, path) || v->mem_bytes > 0;
	snprintf(path, sizeof(path), NODE_DIR "/node%d/hugepages", v->id);
	read_huge(&v->huge_2m, root, path, 2048);
	read_huge(&v->huge_1g, root, path, 1048576);
}

/* A number for each online node, in their order, whatever the gaps between their ids. */
static void read_distances(struct numa *m, const char *root, int from)
{
	char path[128], text[4096], *at = text, *end; /* the kernel says no more than a page */

	memset(m->distance[from], 0, (size_t)m->n);
	snprintf(path, sizeof(path), NODE_DIR "/node%d/distance", m->node[from].id);
	if (readfile_str(text, sizeof(text), root, path))
		return;
	for (int to = 0; to < m->n; to++, at = end) {
		unsigned long d = strtoul(at, &end, 10);

		if (end == at)
			return;
		m->distance[from][to] = d < 255 ? (uint8_t)d : 255;
	}
}

static void read_whole(struct numa *m, const char *root, const cpu_set_t *online)
{
	struct numa_node *v = &m->node[0];

	m->n = 1;
	*v = (struct numa_node){ .cpus = *online };
	v->package = read_package(root, online);
	v->has_memory = true;
	read_memory(v, root, "/proc/meminfo");
	read_huge(&v->huge_2m, root, "/sys/kernel/mm/hugepages", 2048);
	read_huge(&v->huge_1g, root, "/sys/kernel/mm/hugepages", 1048576);
}

static int apart(const struct numa *m, int from, int to)
{
	return m->distance[from][to] ? m->distance[from][to] : 255;
}

static bool gives_memory(const struct numa_node *v, bool is_with_cpus)
{
	return v->has_memory && v->is_allowed && (!is_with_cpus || CPU_COUNT(&v->cpus));
}

/* The nearest node with memory for us, -1: none. Of several, the one that fewest CPUs use so far. */
static int nearest(const struct numa *m, int from, bool is_with_cpus, const int n_user[NUMA_NODE_MAX])
{
	int best = -1;

	for (int i = 0; i < m->n; i++) {
		if (!gives_memory(&m->node[i], is_with_cpus))
			continue;
		if (best < 0 || apart(m, from, i) < apart(m, from, best) ||
		    (apart(m, from, i) == apart(m, from, best) && n_user[i] < n_user[best]))
			best = i;
	}
	return best;
}

static void find_homes(struct numa *m)
{
	int n_user[NUMA_NODE_MAX] = { 0 };

	for (int i = 0; i < m->n; i++) {
		m->node[i].home = i;
		n_user[i] = gives_memory(&m->node[i], true) ? CPU_COUNT(&m->node[i].cpus) : 0;
	}
	for (int i = 0; i < m->n; i++) {
		int near;

		if (gives_memory(&m->node[i], true))
			continue;
		near = nearest(m, i, true, n_user);
		if (near < 0)
			near = nearest(m, i, false, n_user);
		m->node[i].home = near < 0 ? i : near;
		n_user[m->node[i].home] += CPU_COUNT(&m->node[i].cpus);
	}
}

void numa_read(struct numa *m, const char *root, const cpu_set_t *online, const cpu_set_t *mems)
{
	cpu_set_t ids;

	m->n = 0;
	cpulist_read(&ids, root, NODE_DIR "/online");
	for (int id = 0; id < CPU_SETSIZE && m->n < NUMA_NODE_MAX; id++) {
		if (!CPU_ISSET(id, &ids))
			continue;
		m->node[m->n] = (struct numa_node){ .id = id };
		read_node(&m->node[m->n++], root, online);
	}
	if (!m->n)
		read_whole(m, root, online);
	for (int i = 0; i < m->n; i++) {
		m->node[i].is_allowed = !mems || CPU_ISSET(m->node[i].id, mems);
		read_distances(m, root, i);
	}
	find_homes(m);
}

int numa_of_cpu(const struct numa *m, int cpu)
{
	for (int i = 0; i < m->n; i++)
		if (CPU_ISSET(cpu, &m->node[i].cpus))
			return i;
	return 0;
}

int numa_index(const struct numa *m, int id)
{
	for (int i = 0; i < m->n; i++)
		if (m->node[i].id == id)
			return i;
	return -1;
}
