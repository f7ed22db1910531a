#include "daemon/kv/prefix.h"
#include "daemon/util/counter.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int32_t *tokens(const struct prefix *p, uint32_t i)
{
	return p->token + (size_t)i * PREFIX_LEN;
}

/* ---- lists ---- */

static void idle_push(struct prefix *p, uint32_t i)
{
	struct prefix_node *n = &p->node[i];

	n->older = p->idle.youngest;
	n->younger = PREFIX_NONE;
	*(n->older == PREFIX_NONE ? &p->idle.oldest : &p->node[n->older].younger) = i;
	p->idle.youngest = i;
	n->is_idle = true;
	counter_set32(&p->n_idle, p->n_idle + 1);
}

static void idle_remove(struct prefix *p, uint32_t i)
{
	struct prefix_node *n = &p->node[i];

	*(n->older == PREFIX_NONE ? &p->idle.oldest : &p->node[n->older].younger) = n->younger;
	*(n->younger == PREFIX_NONE ? &p->idle.youngest : &p->node[n->younger].older) = n->older;
	n->is_idle = false;
	counter_set32(&p->n_idle, p->n_idle - 1);
}

static void state_push(struct prefix *p, uint32_t i)
{
	struct prefix_node *n = &p->node[i];

	n->slot_older = p->state.youngest;
	n->slot_younger = PREFIX_NONE;
	*(n->slot_older == PREFIX_NONE ? &p->state.oldest : &p->node[n->slot_older].slot_younger) = i;
	p->state.youngest = i;
}

static void state_remove(struct prefix *p, uint32_t i)
{
	struct prefix_node *n = &p->node[i];

	*(n->slot_older == PREFIX_NONE ? &p->state.oldest : &p->node[n->slot_older].slot_younger) = n->slot_younger;
	*(n->slot_younger == PREFIX_NONE ? &p->state.youngest : &p->node[n->slot_younger].slot_older) = n->slot_older;
}

/* ---- hashes ---- */

static uint64_t hash_of(const struct prefix *p, uint32_t i, uint64_t salt)
{
	return i == PREFIX_NONE ? hashchain_begin(salt) : p->node[i].hash;
}

static uint32_t *bucket(const struct prefix *p, uint64_t hash)
{
	return &p->head[hash & (p->n_bucket - 1)];
}

/* Of pieces behind the same parent that begin with the same PREFIX_RUN tokens; of shorter ones, with the same token. */
static uint32_t *near_bucket(const struct prefix *p, uint64_t parent, const int32_t *token, uint32_t n)
{
	uint64_t h = hashchain_add(hashchain_mix(parent, n < PREFIX_RUN), token, n < PREFIX_RUN ? 1 : PREFIX_RUN);

	return &p->head[p->n_bucket + (h & (p->n_bucket - 1))];
}

static void chain_in(struct prefix *p, uint32_t i)
{
	struct prefix_node *n = &p->node[i];
	uint32_t *near = near_bucket(p, hash_of(p, n->parent, n->salt), tokens(p, i), n->n_token);

	n->near_next = *near;
	*near = i;
	if (n->n_token < PREFIX_LEN)
		return;
	n->next = *bucket(p, n->hash);
	*bucket(p, n->hash) = i;
	if (p->seen)
		store_relaxed64(&p->seen[n->hash & (p->n_seen - 1)], n->hash);
}

static void chain_out(struct prefix *p, uint32_t i)
{
	struct prefix_node *n = &p->node[i];
	uint32_t *at = near_bucket(p, hash_of(p, n->parent, n->salt), tokens(p, i), n->n_token);

	while (*at != i)
		at = &p->node[*at].near_next;
	*at = n->near_next;
	if (n->n_token < PREFIX_LEN)
		return;
	for (at = bucket(p, n->hash); *at != i; at = &p->node[*at].next)
		;
	*at = n->next;
	if (p->seen && p->seen[n->hash & (p->n_seen - 1)] == n->hash)
		store_relaxed64(&p->seen[n->hash & (p->n_seen - 1)], 0);
}

static bool is_behind(const struct prefix *p, uint32_t i, uint32_t parent, uint64_t salt)
{
	return p->node[i].parent == parent && p->node[i].salt == salt;
}

static bool has_tokens(const struct prefix *p, uint32_t i, const int32_t *token, uint32_t n)
{
	return p->node[i].n_token == n && memcmp(tokens(p, i), token, n * sizeof(*token)) == 0;
}

static uint32_t common_run(const int32_t *a, const int32_t *b, uint32_t n)
{
	uint32_t i = 0;

	while (i < n && a[i] == b[i])
		i++;
	return i;
}

uint32_t prefix_find(const struct prefix *p, uint32_t parent, uint64_t salt, const int32_t *token)
{
	uint64_t hash = hashchain_add(hash_of(p, parent, salt), token, PREFIX_LEN);
	uint32_t i = *bucket(p, hash);

	for (uint32_t k = 0; i != PREFIX_NONE && k < PREFIX_CHAIN; i = p->node[i].next, k++)
		if (p->node[i].hash == hash && is_behind(p, i, parent, salt) && has_tokens(p, i, token, PREFIX_LEN))
			return i;
	return PREFIX_NONE;
}

/* How much of piece i is of use; 0: none. */
static uint32_t run_of(const struct prefix *p, uint32_t i, const int32_t *token, uint32_t n, bool want_state)
{
	const struct prefix_node *k = &p->node[i];
	uint32_t run = common_run(tokens(p, i), token, min_u32(k->n_token, n));

	if (want_state)
		return k->slot != PREFIX_NONE && run == k->n_token ? run : 0;
	return k->block != PREFIX_NONE && (run >= PREFIX_RUN || run == k->n_token) ? run : 0;
}

uint32_t prefix_find_near(const struct prefix *p, uint32_t parent, uint64_t salt, const int32_t *token, uint32_t n,
			  bool want_state, uint32_t *n_run)
{
	uint64_t hash = hash_of(p, parent, salt);
	uint32_t best = PREFIX_NONE;

	*n_run = 0;
	for (uint32_t of = n < PREFIX_RUN ? 1 : PREFIX_RUN; n && of; of = of == 1 ? 0 : 1) {
		uint32_t i = *near_bucket(p, hash, token, of);

		for (uint32_t k = 0; i != PREFIX_NONE && k < PREFIX_CHAIN; i = p->node[i].near_next, k++) {
			uint32_t run = is_behind(p, i, parent, salt) ? run_of(p, i, token, n, want_state) : 0;

			if (run <= *n_run)
				continue;
			*n_run = run;
			best = i;
		}
	}
	return best;
}

/* ---- pieces ---- */

static void put_block(struct prefix *p, uint32_t i)
{
	struct prefix_node *n = &p->node[i];

	if (n->is_idle)
		idle_remove(p, i);
	p->of_block[n->block] = PREFIX_NONE;
	kv_put(p->kv, KV_NOBODY, n->block);
	n->block = PREFIX_NONE;
	counter_set32(&p->n_block, p->n_block - 1);
}

static bool is_empty(const struct prefix_node *n)
{
	return n->block == PREFIX_NONE && n->slot == PREFIX_NONE && !n->n_child;
}

void prefix_trim(struct prefix *p, uint32_t i)
{
	while (i != PREFIX_NONE && is_empty(&p->node[i])) {
		struct prefix_node *n = &p->node[i];
		uint32_t parent = n->parent;

		chain_out(p, i);
		explicit_bzero(tokens(p, i), n->n_token * sizeof(p->token[0]));
		n->n_token = 0;
		n->generation++;
		n->next = p->free;
		p->free = i;
		p->n_used--;
		if (parent != PREFIX_NONE)
			p->node[parent].n_child--;
		i = parent;
	}
}

/* A free one. What is given up for it may not be what it is to stand behind: that has a child for the moment. */
static uint32_t take_node(struct prefix *p, uint32_t parent)
{
	uint32_t i;

	if (parent != PREFIX_NONE)
		p->node[parent].n_child++;
	while (p->free == PREFIX_NONE && (prefix_evict_block(p) || prefix_evict_slot(p)))
		;
	i = p->free;
	if (i == PREFIX_NONE) {
		if (parent != PREFIX_NONE)
			p->node[parent].n_child--;
		return PREFIX_NONE;
	}
	p->free = p->node[i].next;
	p->n_used++;
	return i;
}

/* A shorter piece with just these tokens. */
static uint32_t find_short(const struct prefix *p, uint32_t parent, uint64_t salt, const int32_t *token, uint32_t n)
{
	uint32_t i = *near_bucket(p, hash_of(p, parent, salt), token, n);

	for (uint32_t k = 0; i != PREFIX_NONE && k < PREFIX_CHAIN; i = p->node[i].near_next, k++)
		if (is_behind(p, i, parent, salt) && has_tokens(p, i, token, n))
			return i;
	return PREFIX_NONE;
}

uint32_t prefix_add(struct prefix *p, uint32_t parent, uint64_t salt, const int32_t *token, uint32_t n)
{
	uint32_t i = n == PREFIX_LEN ? prefix_find(p, parent, salt, token) : find_short(p, parent, salt, token, n);

	assert(n && n <= PREFIX_LEN);
	if (i != PREFIX_NONE)
		return i;
	i = take_node(p, parent);
	if (i == PREFIX_NONE)
		return i;
	p->node[i] = (struct prefix_node){ .hash = hashchain_add(hash_of(p, parent, salt), token, n),
					   .salt = salt,
					   .parent = parent,
					   .generation = p->node[i].generation,
					   .block = PREFIX_NONE,
					   .slot = PREFIX_NONE,
					   .n_token = n };
	memcpy(tokens(p, i), token, n * sizeof(*token));
	chain_in(p, i);
	return i;
}

/* ---- blocks and states ---- */

void prefix_set_block(struct prefix *p, uint32_t i, uint32_t block)
{
	assert(p->node[i].block == PREFIX_NONE && p->of_block[block] == PREFIX_NONE);
	(void)kv_get(p->kv, KV_NOBODY, block); /* never refused */
	p->node[i].block = block;
	p->of_block[block] = i;
	counter_set32(&p->n_block, p->n_block + 1);
	prefix_note_block(p, block);
}

void prefix_drop_block(struct prefix *p, uint32_t i)
{
	put_block(p, i);
	prefix_trim(p, i);
}

void prefix_note_block(struct prefix *p, uint32_t block)
{
	uint32_t i = p->of_block[block];
	bool is_idle;

	if (i == PREFIX_NONE)
		return;
	is_idle = kv_n_user_hold(p->kv, block) == 0;
	if (is_idle && !p->node[i].is_idle)
		idle_push(p, i);
	else if (!is_idle && p->node[i].is_idle)
		idle_remove(p, i);
}

void prefix_set_slot(struct prefix *p, uint32_t i, uint32_t slot, uint32_t n_replay)
{
	assert(p->node[i].slot == PREFIX_NONE);
	p->node[i].slot = slot;
	p->node[i].n_replay = n_replay;
	counter_set32(&p->n_slot, p->n_slot + 1);
	state_push(p, i);
}

void prefix_copy_slot(struct prefix *p, uint32_t i, uint32_t slot, uint32_t n_replay)
{
	uint32_t copy;
	int r;

	if (p->node[i].slot != PREFIX_NONE) {
		prefix_use_slot(p, i);
		return;
	}
	p->node[i].n_child++; /* it stays, whatever is given up for the copy */
	r = kv_slot_alloc(p->kv, &copy);
	if (r < 0 && prefix_evict_slot(p))
		r = kv_slot_alloc(p->kv, &copy);
	p->node[i].n_child--;
	if (r < 0)
		return;
	kv_slot_copy(p->kv, copy, slot);
	prefix_set_slot(p, i, copy, n_replay);
}

uint32_t prefix_take_slot(struct prefix *p, uint32_t i)
{
	uint32_t slot = p->node[i].slot;

	state_remove(p, i);
	p->node[i].slot = PREFIX_NONE;
	counter_set32(&p->n_slot, p->n_slot - 1);
	prefix_trim(p, i);
	return slot;
}

void prefix_use_slot(struct prefix *p, uint32_t i)
{
	state_remove(p, i);
	state_push(p, i);
}

bool prefix_evict_block(struct prefix *p)
{
	uint32_t i = p->idle.oldest;

	if (i == PREFIX_NONE)
		return false;
	prefix_drop_block(p, i);
	counter_add(&p->n_evicted, 1);
	return true;
}

bool prefix_evict_slot(struct prefix *p)
{
	if (p->state.oldest == PREFIX_NONE)
		return false;
	kv_slot_put(p->kv, prefix_take_slot(p, p->state.oldest));
	counter_add(&p->n_evicted, 1);
	return true;
}

/* ---- all of it ---- */

int prefix_init(struct prefix *p, struct kv *kv, uint32_t n_node, uint64_t *seen, uint32_t n_seen)
{
	uint32_t n_block = kv->book->n_block;

	*p = (struct prefix){ .kv = kv, .n_node = n_node, .n_bucket = 1, .seen = seen, .n_seen = n_seen };
	while (p->n_bucket < n_node)
		p->n_bucket *= 2;
	p->node = calloc(n_node, sizeof(*p->node));
	p->token = memory_undumped((size_t)n_node * PREFIX_LEN, sizeof(*p->token));
	p->of_block = malloc(n_block * sizeof(*p->of_block));
	p->head = malloc(2 * (size_t)p->n_bucket * sizeof(*p->head));
	if (!p->node || !p->token || !p->of_block || !p->head) {
		prefix_deinit(p);
		return -ENOMEM;
	}
	memset(p->of_block, 0xff, n_block * sizeof(*p->of_block));
	memset(p->head, 0xff, 2 * (size_t)p->n_bucket * sizeof(*p->head));
	p->idle = p->state = (struct prefix_list){ PREFIX_NONE, PREFIX_NONE };
	p->free = PREFIX_NONE;
	for (uint32_t i = n_node; i-- > 0; p->free = i)
		p->node[i].next = p->free;
	return 0;
}

void prefix_deinit(struct prefix *p)
{
	for (uint32_t i = 0; p->seen && i < p->n_seen; i++)
		store_relaxed64(&p->seen[i], 0);
	free(p->node);
	memory_undumped_free(p->token, (size_t)p->n_node * PREFIX_LEN, sizeof(*p->token));
	free(p->of_block);
	free(p->head);
	*p = (struct prefix){ 0 };
}

/* What piece i says of itself and of its parent. */
static bool is_sound(const struct prefix *p, uint32_t i)
{
	const struct prefix_node *n = &p->node[i];

	if (n->n_token > PREFIX_LEN || is_empty(n))
		return false;
	if (n->hash != hashchain_add(hash_of(p, n->parent, n->salt), tokens(p, i), n->n_token))
		return false;
	if (n->parent != PREFIX_NONE &&
	    (p->node[n->parent].n_token != PREFIX_LEN || p->node[n->parent].salt != n->salt))
		return false;
	if (n->block == PREFIX_NONE)
		return !n->is_idle;
	return p->of_block[n->block] == i && n->is_idle == (kv_n_user_hold(p->kv, n->block) == 0) &&
	       kv_n_hold(p->kv, n->block) > kv_n_user_hold(p->kv, n->block);
}

static uint32_t list_length(const struct prefix *p, bool is_state)
{
	uint32_t n = 0;

	for (uint32_t i = is_state ? p->state.oldest : p->idle.oldest; i != PREFIX_NONE && n <= p->n_node; n++)
		i = is_state ? p->node[i].slot_younger : p->node[i].younger;
	return n;
}

int prefix_check(const struct prefix *p)
{
	uint32_t n_used = 0, n_block = 0, n_slot = 0, n_idle = 0, n_child = 0, n_begin = 0, n_free = 0;

	for (uint32_t i = 0; i < p->n_node; i++) {
		const struct prefix_node *n = &p->node[i];

		if (!n->n_token)
			continue;
		if (!is_sound(p, i))
			return -EUCLEAN;
		n_used++;
		n_block += n->block != PREFIX_NONE;
		n_slot += n->slot != PREFIX_NONE;
		n_idle += n->is_idle;
		n_child += n->n_child;
		n_begin += n->parent == PREFIX_NONE;
	}
	for (uint32_t i = p->free; i != PREFIX_NONE && n_free <= p->n_node; i = p->node[i].next)
		n_free++;
	if (n_used != p->n_used || n_free != p->n_node - n_used || n_child != n_used - n_begin)
		return -EUCLEAN;
	if (n_block != p->n_block || n_slot != p->n_slot || n_idle != p->n_idle || n_idle != p->kv->book->n_idle)
		return -EUCLEAN;
	return list_length(p, false) == n_idle && list_length(p, true) == n_slot ? 0 : -EUCLEAN;
}
