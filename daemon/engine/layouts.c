#include "daemon/engine/layouts.h"
#include "daemon/util/log.h"
#include "daemon/weights/pool.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

_Static_assert(CONFIG_REPLICA_MAX == QUEUE_ENGINE_MAX, "an engine for each replica");

/* Nodes of all engines: as many as were asked for, or those of the machine if they can be divided evenly, or one each. */
static int make_layout(struct layout *l, const struct topology *t, const struct config *c, struct error *e)
{
	int n_engine = (int)c->n_replica, n_node = (int)c->n_node * n_engine;
	int n_thread = (int)(c->n_thread ? c->n_thread : t->n_thread), r;

	if (n_engine > 1 && (n_engine > n_thread || n_node > n_thread || n_node > NODE_MAX))
		return error_set(
			e, -EINVAL,
			"replicas: %d need as many threads, and those of several nodes as many nodes; there are %d "
			"threads, and %d nodes at most; lower --replicas or --nodes, or raise --threads",
			n_engine, n_thread, NODE_MAX);
	r = layout_make(l, t, (int)c->n_thread, n_node, e);
	if (r == 0 && l->n_node % n_engine)
		r = layout_make(l, t, (int)c->n_thread, n_engine, e);
	return r;
}

/* Some containers forbid a thread to choose its CPUs, even those that it has. */
static void relax_pinning(struct layout *l)
{
	cpu_set_t set;

	if (!l->is_pinned || sched_getaffinity(0, sizeof(set), &set) < 0 ||
	    sched_setaffinity(0, sizeof(set), &set) == 0)
		return;
	log_warn("threads cannot be pinned (sched_setaffinity: %s), which costs speed; %s", strerror(errno),
		 error_remedy(-errno));
	l->is_pinned = false;
}

int layouts_divide(struct layouts *l, const struct topology *t, const struct config *c, struct error *e)
{
	int r = make_layout(&l->all, t, c, e), n = l->all.n_node / (int)c->n_replica;

	for (int i = 0; r == 0 && i < (int)c->n_replica; i++)
		l->engine[i] = layout_part(&l->all, i * n, n);
	return r;
}

/* Each engine's part. */
static void divide(struct layouts *l, const struct config *c)
{
	int n_engine = (int)c->n_replica, n = l->all.n_node / n_engine;

	log_info("nodes: %d (%s)", l->all.n_node, l->all.why_node);
	for (int i = 0; i < n_engine; i++) {
		l->engine[i] = layout_part(&l->all, i * n, n);
		if (n_engine > 1)
			log_info("replica %d: %d threads on %d of the nodes", i, l->engine[i].n_worker, n);
		pool_relax(&l->engine[i]);
	}
}

int layouts_make(struct layouts *l, const struct config *c, struct error *e)
{
	static struct topology t; /* large */
	int r;

	(void)topology_read(&t, "", NULL); /* unread: no core to pin to */
	r = make_layout(&l->all, &t, c, e);
	if (r < 0)
		return r;
	relax_pinning(&l->all);
	log_info("threads: %d (%s)%s", l->all.n_worker, l->all.why_worker, l->all.is_pinned ? ", pinned" : "");
	divide(l, c);
	return 0;
}

bool layouts_shrink(struct layouts *l, const struct config *c, int code, const struct error *why)
{
	int n_engine = (int)c->n_replica, n = l->all.n_node / n_engine;
	static struct topology t; /* large */
	struct error e;

	if (c->n_node || (code != -E2BIG && code != -EPERM) || n == 1)
		return false;
	n = code == -EPERM ? 1 : n / 2;
	if (topology_read(&t, "", NULL) < 0 || layout_make(&l->all, &t, l->all.n_worker, n * n_engine, &e) < 0)
		return false;
	log_warn("%s; going on with %d node%s", why->text, n, n > 1 ? "s" : "");
	snprintf(l->all.why_node, sizeof(l->all.why_node), "%d node%s: more cannot be had", l->all.n_node,
		 l->all.n_node > 1 ? "s" : ""); /* nobody asked for them */
	relax_pinning(&l->all);
	divide(l, c);
	return true;
}

static bool is_same_memory(const struct layout *a, const struct layout *b)
{
	for (int i = 0; i < a->n_node; i++)
		if (a->node[i].os_node != b->node[i].os_node)
			return false;
	return true;
}

uint32_t layouts_weights_of(const struct layouts *l, uint32_t engine)
{
	for (uint32_t i = 0; i < engine; i++)
		if (is_same_memory(&l->engine[i], &l->engine[engine]))
			return i;
	return engine;
}
