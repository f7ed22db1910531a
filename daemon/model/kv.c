/* What a model's sequences keep, as the owner of its memory sees it: how many bytes, where they lie, which pages are there. */
#include "daemon/model/state.h"
#include "daemon/util/minmax.h"

#include <assert.h>
#include <stdio.h>

#define KV_PAGE ((size_t)2 << 20) /* of transparent huge pages */

uint32_t model_window(const struct model *m)
{
	uint32_t widest = 0;

	for (uint32_t i = 0; i < m->plan->n_node; i++)
		for (const struct kv_part *p = m->node[i].memory.part;
		     p < m->node[i].memory.part + m->node[i].memory.n_part; p++) {
			if (kv_is_paged(p) && !p->window)
				return 0;
			widest = max_u32(widest, p->window);
		}
	return widest;
}

size_t model_kv_block_bytes(const struct model *m, uint32_t node)
{
	return m->node[node].memory.block_bytes;
}

struct kv_mem model_kv_mem(const struct model *m, uint32_t node)
{
	return memory_of(&m->node[node]);
}

size_t model_kv_bytes(const struct model *m)
{
	size_t n = 0;

	for (uint32_t i = 0; i < m->plan->n_node; i++)
		n += model_kv_block_bytes(m, i);
	return n;
}

size_t model_state_bytes(const struct model *m, uint32_t node)
{
	return m->node[node].memory.slot_bytes;
}

size_t model_slot_bytes(const struct model *m)
{
	size_t n = 0;

	for (uint32_t i = 0; i < m->plan->n_node; i++)
		n += model_state_bytes(m, i);
	return n;
}

uint32_t model_block_len(const struct model *m)
{
	return model_kv_bytes(m) ? KV_BLOCK : m->n_ctx;
}

void model_set_kv(struct model *m, void *mem, size_t n_block)
{
	uint8_t *at = mem;

	assert((uintptr_t)mem % 64 == 0);
	m->n_kv_block = n_block;
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		m->node[i].memory.base = at;
		at += n_block * model_kv_block_bytes(m, i);
	}
}

void model_set_states(struct model *m, void *mem, size_t n_slot)
{
	uint8_t *at = mem;

	assert((uintptr_t)mem % 64 == 0);
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		m->node[i].memory.slot = at;
		at += n_slot * model_state_bytes(m, i);
	}
}

static int take_kv(struct model *m, const struct layout *l, size_t n_block, size_t n_slot, struct pool pool[NODE_MAX],
		   int (*take)(struct pool *p, size_t bytes, int os_node, const char *name, struct error *e),
		   struct error *e)
{
	m->n_kv_block = n_block;
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		size_t blocks = n_block * model_kv_block_bytes(m, i), slots = n_slot * model_state_bytes(m, i);
		char name[32];
		int r;

		snprintf(name, sizeof(name), m->plan->n_node > 1 ? "gyre-kv.%u" : "gyre-kv", i);
		r = take(&pool[i], blocks + slots, l->node[i].os_node, name, e);
		if (r < 0)
			return r;
		m->node[i].memory.base = pool[i].base;
		m->node[i].memory.slot = pool[i].base + blocks;
	}
	return 0;
}

int model_map_kv(struct model *m, const struct layout *l, size_t n_block, size_t n_slot, struct pool pool[NODE_MAX],
		 struct error *e)
{
	return take_kv(m, l, n_block, n_slot, pool, pool_map, e);
}

int model_reserve_kv(struct model *m, const struct layout *l, size_t n_block, size_t n_slot, struct pool pool[NODE_MAX],
		     struct error *e)
{
	int r = take_kv(m, l, n_block, n_slot, pool, pool_reserve, e);

	return r < 0 ? r : pool_suffice(pool, m->plan->n_node, "gyre-kv", e);
}

/* The next paged part of the node's from p on; NULL: none. */
static const struct kv_part *next_paged(const struct node *n, const struct kv_part *p)
{
	for (; p < n->memory.part + n->memory.n_part; p++)
		if (kv_is_paged(p))
			return p;
	return NULL;
}

size_t model_n_kv_part(const struct model *m)
{
	size_t n = 0;

	for (const struct node *node = m->node; node < m->node + m->plan->n_node; node++)
		for (const struct kv_part *p = node->memory.part; (p = next_paged(node, p)); p++)
			n++;
	return n;
}

uint32_t model_kv_page_blocks(const struct model *m)
{
	size_t least = KV_PAGE;

	for (const struct node *node = m->node; node < m->node + m->plan->n_node; node++)
		for (const struct kv_part *p = node->memory.part; (p = next_paged(node, p)); p++)
			least = min_size(least, p->bytes);
	return (uint32_t)((KV_PAGE + least - 1) / least);
}

/* The part with that number among those that model_n_kv_part counts. */
static const struct kv_part *find_paged(const struct model *m, size_t number, uint32_t *node)
{
	for (*node = 0;; ++*node)
		for (const struct kv_part *p = m->node[*node].memory.part; (p = next_paged(&m->node[*node], p)); p++)
			if (!number--)
				return p;
}

int model_populate_kv(const struct model *m, const struct pool pool[NODE_MAX], size_t part, uint32_t first,
		      uint32_t end)
{
	uint32_t i;
	const struct kv_part *p = find_paged(m, part, &i);
	const uint8_t *base = m->node[i].memory.base + p->before * m->n_kv_block;

	if (pool[i].is_present)
		return 0;
	return pool_populate(&pool[i], base + first * p->bytes, base + end * p->bytes);
}

int model_populate_slots(const struct model *m, const struct pool pool[NODE_MAX], uint32_t node, uint32_t first,
			 uint32_t end)
{
	const struct memory *l = &m->node[node].memory;

	if (pool[node].is_present || !l->slot_bytes)
		return 0;
	return pool_populate(&pool[node], l->slot + first * l->slot_bytes, l->slot + end * l->slot_bytes);
}
