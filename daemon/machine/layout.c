/*
 * See layout.h. NUMA nodes that have cores are groups, by package and id. First it is decided which of them work, then how many
 * workers each has, and then groups are merged, or workers divided anew, until there are as many nodes as are wanted.
 */
#include "daemon/machine/layout.h"

#include "daemon/util/minmax.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A quarter of a node's cores draws all that its memory gives: a core reads 12-25 GB/s, and 8 (EPYC) to 20 (Xeon) of a node's 56-64
 * cores read as fast as its memory. Fewer threads than that gain nothing from the memory of another node, but wait for its barriers.
 */
#define CORES_PER_FILLING_THREAD 4

struct group {
	int node, package; /* ids of the kernel's; node -1: several */
	int n_core;        /* TIER_CORE of the topology */
	int n_fill;        /* threads that its memory keeps busy, at most n_core */
	int n_worker;
};

struct groups {
	int n;
	struct group v[NUMA_NODE_MAX];
};

static int cmp_group(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->package != y->package ? x->package - y->package : x->node - y->node;
}

static struct group *find_group(struct groups *g, const struct topology_core *c)
{
	for (int i = 0; i < g->n; i++)
		if (g->v[i].node == c->node)
			return &g->v[i];
	g->v[g->n] = (struct group){ .node = c->node, .package = c->package };
	return &g->v[g->n++];
}

static void list_groups(struct groups *g, const struct topology *t)
{
	g->n = 0;
	for (uint32_t i = 0; i < t->n_cpu; i++)
		find_group(g, &t->core[i])->n_core += t->core[i].tier == TIER_CORE;
	for (int i = 0; i < g->n; i++) {
		uint32_t n = 0;

		for (int k = 0; k < t->numa.n; k++)
			if (t->numa.node[t->numa.node[k].home].id == g->v[i].node)
				n += t->n_core_on[k];
		n = (n + CORES_PER_FILLING_THREAD - 1) / CORES_PER_FILLING_THREAD;
		g->v[i].n_fill = (int)min_u32(n, (uint32_t)g->v[i].n_core);
	}
	qsort(g->v, (size_t)g->n, sizeof(g->v[0]), cmp_group);
}

/* Sum of n_fill or n_core of the n groups from first on. */
static int sum_fill(const struct groups *g, int first, int n)
{
	int sum = 0;

	for (int i = first; i < first + n; i++)
		sum += g->v[i].n_fill;
	return sum;
}

static int sum_cores(const struct groups *g, int first, int n)
{
	int sum = 0;

	for (int i = first; i < first + n; i++)
		sum += g->v[i].n_core;
	return sum;
}

/* The run of n neighbours with the most cores. */
static int best_run(const struct groups *g, int n)
{
	int best = 0;

	for (int i = 1; i + n <= g->n; i++)
		if (sum_cores(g, i, n) > sum_cores(g, best, n))
			best = i;
	return best;
}

/* Keeps the fewest groups whose memory so many threads do not exhaust, but n_min if there are as many. */
static void keep_fewest(struct groups *g, int n_worker, int n_min)
{
	int n = 1, first;

	while (n < g->n && (n < n_min || sum_fill(g, best_run(g, n), n) < n_worker))
		n++;
	first = best_run(g, n);
	memmove(g->v, g->v + first, (size_t)n * sizeof(g->v[0]));
	g->n = n;
}

static int count_places(const struct topology *t, const struct group *g, int tier)
{
	int n = 0;

	for (uint32_t i = 0; i < t->n_cpu; i++)
		n += t->core[i].node == g->node && t->core[i].tier == tier;
	return n;
}

/* Tier by tier, each worker to the group that has the fewest of those with a place left. Groups without any go. */
static void share_workers(struct groups *g, const struct topology *t, int n_worker)
{
	int room[NUMA_NODE_MAX] = { 0 }, n = 0;

	for (int tier = 0; n_worker > 0; tier++) {
		for (int i = 0; i < g->n; i++)
			room[i] = g->v[i].n_worker + count_places(t, &g->v[i], tier);
		for (; n_worker > 0; n_worker--) {
			int least = -1;

			for (int i = 0; i < g->n; i++)
				if (g->v[i].n_worker < room[i] &&
				    (least < 0 || g->v[i].n_worker < g->v[least].n_worker))
					least = i;
			if (least < 0)
				break;
			g->v[least].n_worker++;
		}
	}
	for (int i = 0; i < g->n; i++)
		if (g->v[i].n_worker)
			g->v[n++] = g->v[i];
	g->n = n;
}

static int cmp_place(const void *a, const void *b)
{
	const struct topology_core *x = a, *y = b;

	return x->first != y->first ? x->first - y->first : x->cpu - y->cpu;
}

/*
 * The group's workers. Of more places than it needs in a tier it takes evenly spaced ones: neighbours share caches and links. Threads
 * of a core end up side by side.
 */
static void place_workers(int *cpu, const struct topology *t, const struct group *g)
{
	struct topology_core place[TOPOLOGY_CORE_MAX], tier_place[TOPOLOGY_CORE_MAX];
	int n = 0;

	for (int tier = 0; n < g->n_worker; tier++) {
		int n_tier = 0, n_take;

		for (uint32_t i = 0; i < t->n_cpu; i++)
			if (t->core[i].node == g->node && t->core[i].tier == tier)
				tier_place[n_tier++] = t->core[i];
		n_take = n_tier < g->n_worker - n ? n_tier : g->n_worker - n;
		for (int i = 0; i < n_take; i++)
			place[n++] = tier_place[i * n_tier / n_take];
	}
	qsort(place, (size_t)n, sizeof(place[0]), cmp_place);
	for (int i = 0; i < n; i++)
		cpu[i] = place[i].cpu;
}

/* Neighbours become one, until n are left: each of as many as the next, since the largest share holds the others up. */
static void merge_groups(struct groups *g, int n)
{
	for (int i = 0; i < n; i++) {
		int begin = i * g->n / n, end = (i + 1) * g->n / n;
		struct group one = g->v[begin];

		for (int k = begin + 1; k < end; k++) {
			one.n_worker += g->v[k].n_worker;
			one.node = -1;
		}
		g->v[i] = one;
	}
	g->n = n;
}

/* The node of workers [begin, begin + n), when they agree on one. */
static int common_node(const struct groups *g, int begin, int n)
{
	int first = 0;

	for (int i = 0; i < g->n; first += g->v[i++].n_worker)
		if (begin >= first && begin + n <= first + g->v[i].n_worker)
			return g->v[i].node;
	return -1;
}

/* Virtual nodes: the workers in order, divided evenly. */
static void divide_workers(struct layout *l, const struct groups *g)
{
	int first = 0;

	for (int i = 0; i < l->n_node; i++) {
		int n = l->n_worker / l->n_node + (i < l->n_worker % l->n_node);

		l->node[i] = (struct layout_node){ n, common_node(g, first, n) };
		first += n;
	}
}

/*
 * More than NODE_MAX are merged, equally many each: to eight, four or two of them if that can be, since a model goes in eight chunks
 * (daemon/team/plan.h) and the largest share holds the others up.
 */
static int default_nodes(int n_group)
{
	int n_each = (n_group + NODE_MAX - 1) / NODE_MAX;

	for (int n = NODE_MAX; n_group > NODE_MAX && n > 1; n /= 2)
		if (n_group % n == 0)
			return n;
	return (n_group + n_each - 1) / n_each;
}

static int count_memories(const struct topology *t)
{
	int n = 0;

	for (int i = 0; i < t->numa.n; i++)
		n += t->numa.node[i].has_memory && t->numa.node[i].is_allowed;
	return n;
}

static void say_workers(struct layout *l, const struct topology *t, bool is_default)
{
	const char *s = l->n_worker == 1 ? "" : "s";
	int n_more = l->n_worker - (int)(t->n_core + t->n_slow);
	size_t n = sizeof(l->why_worker);

	if (is_default)
		topology_why(t, l->why_worker, n);
	else if (!l->is_pinned)
		snprintf(l->why_worker, n,
			 "%d thread%s: asked for; not pinned, being more than the hardware threads (%u)", l->n_worker,
			 s, t->n_cpu);
	else if (n_more > 0)
		snprintf(l->why_worker, n, "%d thread%s: asked for; %d share a core with another", l->n_worker, s,
			 n_more);
	else if (l->n_worker > (int)t->n_core)
		snprintf(l->why_worker, n, "%d thread%s: asked for; %d on efficiency cores", l->n_worker, s,
			 l->n_worker - (int)t->n_core);
	else
		snprintf(l->why_worker, n, "%d thread%s: asked for", l->n_worker, s);
}

/* n_used of n_group NUMA nodes work. */
static void say_nodes(struct layout *l, int n_group, int n_used, bool is_default)
{
	const char *s = l->n_node == 1 ? "" : "s";
	size_t n = sizeof(l->why_node);

	if (!l->is_pinned)
		snprintf(l->why_node, n, "%d%s node%s: threads that are not pinned have no NUMA node", l->n_node,
			 l->n_node > 1 ? " virtual" : "", s);
	else if (l->n_node > n_used)
		snprintf(l->why_node, n, "%d virtual nodes: asked for; the threads are on %d NUMA node%s", l->n_node,
			 n_used, n_used == 1 ? "" : "s");
	else if (l->n_node < n_used)
		snprintf(l->why_node, n, "%d node%s: %s; neighbours among %d NUMA nodes are merged", l->n_node, s,
			 is_default ? "at most 8 share a model" : "asked for", n_used);
	else if (!is_default)
		snprintf(l->why_node, n, "%d node%s: asked for", l->n_node, s);
	else if (n_used < n_group)
		snprintf(l->why_node, n,
			 "%d node%s: %d of %d NUMA nodes, whose memory so few threads do not exhaust; barriers stay "
			 "near",
			 l->n_node, s, n_used, n_group);
	else if (n_group == 1)
		snprintf(l->why_node, n, "1 node: all threads use the memory of one NUMA node");
	else
		snprintf(l->why_node, n, "%d nodes: one for each NUMA node with cores and memory", l->n_node);
}

static int check(const struct layout *l, struct error *e)
{
	int n_max = l->n_worker < NODE_MAX ? l->n_worker : NODE_MAX;

	if (l->n_worker < 1 || l->n_worker > TOPOLOGY_CORE_MAX)
		return error_set(e, -EINVAL, "%d threads: 1 to %d are possible; change --threads", l->n_worker,
				 TOPOLOGY_CORE_MAX);
	if (l->n_node < 0 || l->n_node > NODE_MAX)
		return error_set(e, -EINVAL, "%d nodes: at most %d share a model; lower --nodes", l->n_node, NODE_MAX);
	if (l->n_node > n_max)
		return error_set(e, -EINVAL,
				 "%d nodes on %d thread%s: each needs one; lower --nodes or raise --threads", l->n_node,
				 l->n_worker, l->n_worker == 1 ? "" : "s");
	return 0;
}

int layout_make(struct layout *l, const struct topology *t, int n_worker, int n_node, struct error *e)
{
	struct groups g;
	int r, n_group, n_used, first = 0;

	*l = (struct layout){ .n_worker = n_worker ? n_worker : (int)t->n_thread, .n_node = n_node };
	r = check(l, e);
	if (r < 0)
		return r;
	list_groups(&g, t);
	n_group = g.n;
	l->is_pinned = l->n_worker <= (int)t->n_cpu;
	l->is_crowded = !l->is_pinned && t->n_cpu > 0;
	if (l->is_pinned) {
		keep_fewest(&g, l->n_worker, n_node);
		share_workers(&g, t, l->n_worker);
	} else {
		g.n = 0;
	}
	n_used = g.n;
	for (int i = 0; i < n_used; first += g.v[i++].n_worker)
		place_workers(l->cpu + first, t, &g.v[i]);
	l->n_node = n_node ? n_node : n_used ? default_nodes(n_used) : 1;
	if (n_used > l->n_node)
		merge_groups(&g, l->n_node);
	if (n_used >= l->n_node)
		for (int i = 0; i < l->n_node; i++)
			l->node[i] = (struct layout_node){ g.v[i].n_worker, g.v[i].node };
	else
		divide_workers(l, &g);
	for (int i = 0; i < l->n_node && count_memories(t) < 2; i++)
		l->node[i].os_node = -1;
	say_workers(l, t, !n_worker);
	say_nodes(l, n_group, n_used, !n_node);
	return 0;
}

struct layout layout_part(const struct layout *l, int first, int n)
{
	struct layout part = { .n_node = n, .is_pinned = l->is_pinned, .is_crowded = l->is_crowded };
	int worker = 0;

	for (int i = 0; i < first; i++)
		worker += l->node[i].n_worker;
	for (int i = 0; i < n; i++) {
		part.node[i] = l->node[first + i];
		part.n_worker += part.node[i].n_worker;
	}
	memcpy(part.cpu, l->cpu + worker, (size_t)part.n_worker * sizeof(part.cpu[0]));
	return part;
}
