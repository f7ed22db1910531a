#include "daemon/model/memory.h"

#include "daemon/model/hparams.h"
#include "daemon/model/state.h"

#include <errno.h>
#include <stdlib.h>

int memory_init(struct memory *l, uint32_t n_layer, struct error *e)
{
	*l = (struct memory){ .layer = calloc(n_layer, sizeof(*l->layer)),
			      .state = calloc(n_layer, sizeof(*l->state)) };
	return l->layer && l->state ? 0 : error_set(e, -ENOMEM, "no memory for %u layers; free some memory", n_layer);
}

void memory_deinit(struct memory *l)
{
	free(l->part);
	free(l->layer);
	free(l->state);
}

static int make_room(struct memory *l, size_t n, struct error *e)
{
	struct kv_part *more;

	if (l->n_part + n <= l->n_room)
		return 0;
	more = realloc(l->part, 2 * (l->n_part + n) * sizeof(*more));
	if (!more)
		return error_set(e, -ENOMEM, "no memory for a list of keys, values and states; free some memory");
	l->part = more;
	l->n_room = 2 * (l->n_part + n);
	return 0;
}

static void add(struct memory *l, struct kv_part part)
{
	size_t *sum = kv_is_paged(&part) ? &l->block_bytes : &l->slot_bytes;

	part.before = *sum;
	*sum += part.bytes;
	l->part[l->n_part++] = part;
}

static int add_heads(struct memory *l, uint32_t n_head, struct kv_part part, struct error *e)
{
	int r = make_room(l, 2 * (size_t)n_head, e);

	if (r < 0)
		return r;
	l->layer[part.layer] = l->n_part;
	for (uint32_t h = 0; h < n_head; h++) {
		part.kind = KV_KEYS;
		add(l, part);
		part.kind = KV_VALUES;
		add(l, part);
	}
	return 0;
}

int memory_add_heads(struct model *m, uint32_t layer, uint32_t window, struct error *e)
{
	enum head_shapes shape = hparams_shape(&m->hp, layer);
	uint32_t dim = hparams_heads(&m->hp, shape).head_dim;
	struct kv_part part = { .layer = layer,
				.dim = dim,
				.window = window < m->n_ctx ? window : 0,
				.bytes = kvq_bytes(m->kv_type, (int)dim) };
	int r = 0;

	for (uint32_t i = 0; i < m->plan->n_node && r == 0; i++)
		r = add_heads(&m->node[i].memory, m->node[i].heads[shape].n_head_kv, part, e);
	return r;
}

void memory_share_heads(struct model *m, uint32_t layer, uint32_t source)
{
	for (uint32_t i = 0; i < m->plan->n_node; i++)
		m->node[i].memory.layer[layer] = m->node[i].memory.layer[source];
}

int memory_add_state(struct model *m, uint32_t layer, uint32_t node, size_t bytes, struct error *e)
{
	struct memory *l = &m->node[node].memory;
	struct kv_part part = { .layer = layer, .kind = KV_STATE, .bytes = (bytes + 63) / 64 * 64 };
	int r = bytes ? make_room(l, 1, e) : 0;

	if (r < 0 || !bytes)
		return r;
	l->state[layer] = l->n_part;
	add(l, part);
	return 0;
}

const struct kv_part *memory_part(const struct node *n, uint32_t layer, uint32_t head_kv, bool is_v)
{
	return &n->memory.part[n->memory.layer[layer] + 2 * (size_t)head_kv + is_v];
}

void *memory_state(const struct node *n, uint32_t layer, uint32_t slot)
{
	const struct memory *l = &n->memory;

	return l->slot + slot * l->slot_bytes + l->part[l->state[layer]].before;
}

struct kv_mem memory_of(const struct node *n)
{
	const struct memory *l = &n->memory;

	return (struct kv_mem){ l->base, l->slot, l->part, l->n_part, l->slot_bytes };
}
