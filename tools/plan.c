/*
 * The layout that gyred would take on a host: the topology that the kernel shows, and the threads and nodes that follow. --root takes
 * another machine's tree of /proc and /sys.
 */
#include "tools/plan.h"

#include "daemon/machine/layout_text.h"

#include <errno.h>
#include <string.h>

static json_t *huge_json(const struct numa_huge *h)
{
	return json_pack("{s:I,s:I}", "total", (json_int_t)h->total, "free", (json_int_t)h->free);
}

static json_t *numa_node_json(const struct topology *t, int i)
{
	const struct numa_node *v = &t->numa.node[i];
	struct node_count c = layout_count_on(t, i);
	json_t *distances = json_array();

	for (int k = 0; k < t->numa.n; k++)
		json_array_append_new(distances, json_integer(t->numa.distance[i][k]));
	return json_pack("{s:i,s:i,s:i,s:i,s:i,s:I,s:I,s:b,s:i,s:o,s:o,s:o}", "node", v->id, "package", v->package,
			 "threads", c.n_cpu, "cores", c.n_core, "efficiency_cores", c.n_slow, "memory_bytes",
			 (json_int_t)v->mem_bytes, "free_bytes", (json_int_t)v->free_bytes, "is_allowed", v->is_allowed,
			 "memory_of", t->numa.node[v->home].id, "huge_2m", huge_json(&v->huge_2m), "huge_1g",
			 huge_json(&v->huge_1g), "distances", distances);
}

static json_t *topology_json(const struct topology *t)
{
	json_t *nodes = json_array(), *notes = json_array();
	char text[256];

	for (int i = 0; i < t->numa.n; i++)
		json_array_append_new(nodes, numa_node_json(t, i));
	for (int i = 0; layout_note_topology(t, i, text, sizeof(text)); i++)
		json_array_append_new(notes, json_string(text));
	return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:o,s:o}", "packages", (int)t->n_package, "hardware_threads",
			 (int)t->n_cpu, "cores", (int)t->n_core, "efficiency_cores", (int)t->n_slow, "offline",
			 (int)t->n_offline, "quota", (int)t->quota, "nodes", nodes, "notes", notes);
}

static json_t *layout_json(const struct layout *l)
{
	json_t *nodes = json_array();
	int first = 0;

	for (int i = 0; i < l->n_node; first += l->node[i++].n_worker) {
		json_t *cpus = json_array();

		for (int k = 0; l->is_pinned && k < l->node[i].n_worker; k++)
			json_array_append_new(cpus, json_integer(l->cpu[first + k]));
		json_array_append_new(nodes, json_pack("{s:i,s:i,s:o}", "threads", l->node[i].n_worker, "memory_node",
						       l->node[i].os_node, "cpus", cpus));
	}
	return json_pack("{s:i,s:b,s:s,s:s,s:o}", "threads", l->n_worker, "is_pinned", l->is_pinned, "why_threads",
			 l->why_worker, "why_nodes", l->why_node, "nodes", nodes);
}

static int nodes_with_cores(const struct topology *t)
{
	int n = 0;

	for (int i = 0; i < t->numa.n; i++)
		n += layout_count_on(t, i).n_core > 0;
	return n > 0 ? n : 1;
}

int plan_main(const struct args *a)
{
	static struct topology t;
	static struct layout l;
	const char *root = a->root ? a->root : "";
	struct error e;
	int r;

	if (!a->memory && !a->topology == !a->model)
		return fail(TOOL_USAGE, "say what to plan: --topology, -m FILE.gguf, or --memory FILE.gguf...");
	if (a->n_word && !a->memory)
		return fail(TOOL_USAGE, "%s: files stand behind --memory", a->word[0]);
	r = topology_read(&t, root, NULL);
	if (r == -ENOENT)
		return fail(TOOL_FAILED, "%s/sys/devices/system/cpu is missing: --root takes a copy of /proc and /sys",
			    root);
	if (r == -EINVAL)
		return fail(TOOL_FAILED,
			    "no CPU is left: the affinity mask (taskset) or cpuset allows none of those online");
	if (r < 0)
		return fail(TOOL_FAILED, "the CPUs cannot be read: %s", strerror(-r));
	if (layout_make(&l, &t, (int)a->n_thread, (int)a->n_node, &e) < 0)
		return fail(TOOL_FAILED, "%s", e.text);
	if (a->memory)
		return plan_memory(a, &l);
	if (a->model)
		return plan_model(a, &l, nodes_with_cores(&t));
	if (a->json)
		return print_json(json_pack("{s:o,s:o}", "topology", topology_json(&t), "layout", layout_json(&l)));
	layout_print_topology(stdout, &t);
	putchar('\n');
	layout_print(stdout, &l);
	return TOOL_OK;
}
