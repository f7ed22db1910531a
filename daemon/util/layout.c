#include "daemon/util/layout.h"

#include <errno.h>

/* The node of workers [begin, end), when they agree on one. */
static int os_node(const struct topology *t, int begin, int end)
{
	for (int i = begin + 1; i < end; i++)
		if (t->core[i].node != t->core[begin].node)
			return -1;
	return t->core[begin].node;
}

int layout_make(struct layout *l, const struct topology *t, int n_worker, int n_node, struct error *e)
{
	int first = 0;

	*l = (struct layout){ .n_worker = n_worker ? n_worker : (int)t->n_thread };
	l->n_node = n_node ? n_node : 1;
	if (l->n_node > NODE_MAX || l->n_node > l->n_worker)
		return error_set(e, -EINVAL, "%d nodes: 1..%d are possible with %d threads; lower --nodes", l->n_node,
				 l->n_worker < NODE_MAX ? l->n_worker : NODE_MAX, l->n_worker);
	l->is_pinned = l->n_worker <= (int)t->n_core;
	for (int i = 0; l->is_pinned && i < l->n_worker; i++)
		l->cpu[i] = t->core[i].cpu;
	for (int i = 0; i < l->n_node; i++) {
		int n = l->n_worker / l->n_node + (i < l->n_worker % l->n_node);

		l->node[i] =
			(struct layout_node){ n, l->is_pinned && t->n_node > 1 ? os_node(t, first, first + n) : -1 };
		first += n;
	}
	return 0;
}

struct layout layout_even(int n_worker, int n_node)
{
	struct layout l = { .n_worker = n_worker, .n_node = n_node };

	for (int i = 0; i < n_node; i++)
		l.node[i] = (struct layout_node){ n_worker / n_node + (i < n_worker % n_node), -1 };
	return l;
}
