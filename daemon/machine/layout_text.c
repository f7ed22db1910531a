#include "daemon/machine/layout_text.h"

#include "daemon/machine/cpulist.h"

#include <stdarg.h>
#include <string.h>

#define CPUS_MAX 96 /* characters of a list of CPUs in a table */

struct node_count layout_count_on(const struct topology *t, int i)
{
	struct node_count c = { 0 };

	for (uint32_t k = 0; k < t->n_cpu; k++) {
		if (numa_of_cpu(&t->numa, t->core[k].cpu) != i)
			continue;
		c.n_cpu++;
		c.n_core += t->core[k].tier == TIER_CORE;
		c.n_slow += t->core[k].tier == TIER_SLOW;
	}
	return c;
}

/* CPUs of the workers of a layout's node, as "0-3,8". Returns s. */
static char *list_cpus(char *s, size_t n, const struct layout *l, int node)
{
	cpu_set_t set;
	int first = 0;

	CPU_ZERO(&set);
	for (int i = 0; i < node; i++)
		first += l->node[i].n_worker;
	for (int i = 0; l->is_pinned && i < l->node[node].n_worker; i++)
		CPU_SET(l->cpu[first + i], &set);
	return cpulist_format(s, n, &set);
}

/* Where notes go: the one that is asked for is kept, the others are only counted. */
struct notes {
	int n, wanted;
	char *text;
	size_t bytes;
};

static void note(struct notes *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct notes *o, const char *fmt, ...)
{
	va_list ap;

	if (o->n++ != o->wanted)
		return;
	va_start(ap, fmt);
	vsnprintf(o->text, o->bytes, fmt, ap);
	va_end(ap);
}

static void note_home(struct notes *o, const struct numa *m, int i)
{
	const struct numa_node *v = &m->node[i];
	const char *why = v->has_memory ? "its memory is not allowed (cpuset.mems)" : "no memory";

	if (v->home != i)
		note(o, "node %d: %s; its cores use node %d's and count with it", v->id, why, m->node[v->home].id);
	else if (!v->has_memory || !v->is_allowed)
		note(o, "node %d: %s, and no other node has any", v->id, why);
}

static bool is_home(const struct numa *m, int i)
{
	for (int k = 0; k < m->n; k++)
		if (CPU_COUNT(&m->node[k].cpus) && m->node[k].home == i)
			return true;
	return false;
}

/* Nodes without CPUs in one line: those whose memory threads use, or the others. */
static void note_memory_only(struct notes *o, const struct numa *m, bool is_used)
{
	char list[128];
	cpu_set_t ids;

	CPU_ZERO(&ids);
	for (int i = 0; i < m->n; i++)
		if (!CPU_COUNT(&m->node[i].cpus) && is_home(m, i) == is_used)
			CPU_SET(m->node[i].id, &ids);
	if (!CPU_COUNT(&ids))
		return;
	note(o, "node%s %s: memory without CPUs (HBM, CXL, or they are offline)%s", CPU_COUNT(&ids) > 1 ? "s" : "",
	     cpulist_format(list, sizeof(list), &ids),
	     is_used ? ", used as no other is allowed" : ": not used, unless cpuset.mems allows no other");
}

/* Nodes with CPUs in the package. */
static int count_in_package(const struct numa *m, int package)
{
	int n = 0;

	for (int i = 0; i < m->n; i++)
		n += CPU_COUNT(&m->node[i].cpus) > 0 && m->node[i].package == package;
	return n;
}

/* Sub-NUMA clusters, by their first node. */
static void note_package(struct notes *o, const struct numa *m, int first)
{
	int package = m->node[first].package, n = count_in_package(m, package);
	char list[128];
	cpu_set_t ids;

	if (package < 0 || n < 2)
		return;
	CPU_ZERO(&ids);
	for (int i = 0; i < m->n; i++) {
		if (!CPU_COUNT(&m->node[i].cpus) || m->node[i].package != package)
			continue;
		if (i < first)
			return;
		CPU_SET(m->node[i].id, &ids);
	}
	note(o, "package %d: %d nodes (%s) share its memory controllers out: SNC, NPS or L3 as NUMA", package, n,
	     cpulist_format(list, sizeof(list), &ids));
}

bool layout_note_topology(const struct topology *t, int i, char *text, size_t n)
{
	struct notes o = { 0, i, text, n };

	if (t->n_offline)
		note(&o, "hardware threads offline: %u", t->n_offline);
	if (t->n_cpu < t->n_online)
		note(&o, "hardware threads allowed: %u of %u online (affinity mask, cpuset)", t->n_cpu, t->n_online);
	if (t->quota)
		note(&o, "CPU quota of the cgroup: %u", t->quota);
	if (t->n_slow)
		note(&o, "efficiency cores: %u, used only by --threads over %u", t->n_slow, t->n_core);
	for (int k = 0; k < t->numa.n; k++)
		if (layout_count_on(t, k).n_cpu)
			note_home(&o, &t->numa, k);
	note_memory_only(&o, &t->numa, true);
	note_memory_only(&o, &t->numa, false);
	for (int k = 0; k < t->numa.n; k++)
		note_package(&o, &t->numa, k);
	return o.n > i;
}

static void print_node(FILE *f, const struct topology *t, int i)
{
	const struct numa_node *v = &t->numa.node[i];
	struct node_count c = layout_count_on(t, i);
	char package[16] = "-", huge_2m[48], huge_1g[48];

	if (v->package >= 0)
		snprintf(package, sizeof(package), "%d", v->package);
	snprintf(huge_2m, sizeof(huge_2m), "%llu/%llu", (unsigned long long)v->huge_2m.free,
		 (unsigned long long)v->huge_2m.total);
	snprintf(huge_1g, sizeof(huge_1g), "%llu/%llu", (unsigned long long)v->huge_1g.free,
		 (unsigned long long)v->huge_1g.total);
	fprintf(f, "%4d %8s %6d %8d %9.1f %9.1f %13s %13s ", v->id, package, c.n_core + c.n_slow, c.n_cpu,
		(double)v->mem_bytes / (1 << 30), (double)v->free_bytes / (1 << 30), huge_2m, huge_1g);
	for (int k = 0; k < t->numa.n; k++)
		fprintf(f, " %d", t->numa.distance[i][k]);
	fputc('\n', f);
}

void layout_print_topology(FILE *f, const struct topology *t)
{
	char text[256];

	fprintf(f, "packages %u, NUMA nodes %d; to use: cores %u, hardware threads %u\n\n", t->n_package, t->numa.n,
		t->n_core + t->n_slow, t->n_cpu);
	fprintf(f, "%4s %8s %6s %8s %9s %9s %13s %13s  %s\n", "node", "package", "cores", "threads", "GiB", "free",
		"2M free/all", "1G free/all", "distances");
	for (int i = 0; i < t->numa.n; i++)
		print_node(f, t, i);
	for (int i = 0; layout_note_topology(t, i, text, sizeof(text)); i++)
		fprintf(f, "%s%s\n", i ? "" : "\n", text);
}

void layout_print(FILE *f, const struct layout *l)
{
	char cpus[CPUS_MAX], memory[24];

	fprintf(f, "%s\n%s\n\n%4s %8s %9s  %s\n", l->why_worker, l->why_node, "node", "threads", "memory", "CPUs");
	for (int i = 0; i < l->n_node; i++) {
		snprintf(memory, sizeof(memory), l->node[i].os_node < 0 ? "anywhere" : "node %d", l->node[i].os_node);
		fprintf(f, "%4d %8d %9s  %s\n", i, l->node[i].n_worker, memory,
			l->is_pinned ? list_cpus(cpus, sizeof(cpus), l, i) : "any");
	}
}
