#include "daemon/engine/room.h"

#include "daemon/machine/placement.h"
#include "daemon/util/log.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"

#include <errno.h>
#include <stdio.h>

/* Addresses, most of them never touched, that the threads for texts will take: four times a stack, an arena, and work space. */
#define TEXT_ADDRESS     ((size_t)192 << 20)
#define KV_CONTEXTS_AUTO 4u /* a pool for this many full contexts unless the configuration says more */

#define PREFIX_CONTEXTS 16u /* of models that have states alone: a piece takes 250 bytes */

_Static_assert(KV_SLOT_MAX == BATCH_SEQ_MAX, "a slot for each sequence of a step");

uint32_t room_state_positions(const struct model *m)
{
	size_t position = model_kv_bytes(m) / KV_BLOCK, slot = model_slot_bytes(m);

	if (!slot)
		return 0;
	return position ? (uint32_t)min_size((slot + position - 1) / position, UINT32_MAX / 4)
			: KV_SLOT_BLOCKS * KV_BLOCK;
}

static size_t count_blocks(uint32_t n_position, uint32_t block_len)
{
	return (n_position + block_len - 1) / block_len;
}

struct kv_cost room_cost(const struct model *m)
{
	return (struct kv_cost){ model_kv_bytes(m), model_slot_bytes(m) };
}

size_t room_blocks_wanted(const struct model *m, uint32_t n_ctx)
{
	const struct kv_cost cost = { 1, model_slot_bytes(m) };
	size_t n = KV_CONTEXTS_AUTO * count_blocks(n_ctx, KV_BLOCK);

	/* Of slots alone, as many as a model with blocks would have beside these. */
	return model_kv_bytes(m) || !cost.slot ? n : kv_n_slot(&cost, n);
}

/* What memory there is for the pool: on each node, on all, in the address space. Engines yet to come have their share of it. */
static uint32_t find_room(const struct engine *e, const struct engine_options *o, struct kv_room *room)
{
	uint32_t n = model_n_node(e->model), n_left = o->n_engine - o->index;
	struct kv_cost cost = room_cost(e->model);
	size_t address;

	for (uint32_t i = 0; i < n; i++)
		room[i] = (struct kv_room){ model_kv_block_bytes(e->model, i), model_state_bytes(e->model, i),
					    placement_available("", e->layout.node[i].os_node) / n_left };
	room[n] = (struct kv_room){ cost.block, cost.slot,
				    min_size(placement_available("", -1), pool_budget_left()) / n_left };
	address = memory_address_room();
	address -= min_size(address, TEXT_ADDRESS);
	room[n + 1] = (struct kv_room){ cost.block, cost.slot, address / n_left };
	return n + 2;
}

/* 0: it has them; else nothing is left. */
static int map_blocks(struct engine *e, size_t n, struct error *why)
{
	struct kv_cost cost = room_cost(e->model);
	int r = model_reserve_kv(e->model, &e->layout, n, kv_n_slot(&cost, n), e->kv_pool, why);

	for (uint32_t i = 0; r < 0 && i < NODE_MAX; i++)
		pool_unmap(&e->kv_pool[i]);
	return r;
}

static int refuse_least(const struct engine *e, size_t n_least, size_t available, struct error *why)
{
	struct kv_cost cost = room_cost(e->model);

	return error_set(why, -ENOMEM,
			 "kv: a pool of only %zu positions takes %.1f MiB and %zu MiB are to stay free, but beside the "
			 "weights %.1f MiB of memory are left (here, in the cgroup, and within ulimit -v and -d); "
			 "raise the limit "
			 "(MemoryMax=, docker --memory), free memory, or use a smaller model%s",
			 n_least * model_block_len(e->model), (double)kv_pool_bytes(&cost, n_least) / (1 << 20),
			 POOL_RESERVE >> 20, (double)available / (1 << 20),
			 model_n_node(e->model) > 1 ? " or fewer --nodes" : "");
}

/*
 * Nobody gave a size: four contexts, or what fits beside the weights, with a warning. Huge pages that are set aside count in no
 * figure of free memory, so the wish is tried before anything is computed.
 */
static int map_default(struct engine *e, const struct engine_options *o, size_t *n_block, struct error *why)
{
	struct kv_cost cost = room_cost(e->model);
	uint32_t len = model_block_len(e->model);
	size_t n_context = count_blocks(e->n_ctx, len), available;
	size_t n_wanted = room_blocks_wanted(e->model, e->n_ctx),
	       n_least = min_size(n_context, count_blocks(KV_FIT_LEAST, len));
	struct kv_room room[NODE_MAX + 2];
	uint32_t n_room = find_room(e, o, room);
	struct error cause;

	available = min_size(room[n_room - 2].available, room[n_room - 1].available);
	*n_block = kv_fit(n_wanted, n_context, &cost, &room[n_room - 1], 1, POOL_RESERVE);
	if (*n_block == n_wanted && map_blocks(e, *n_block, &cause) == 0)
		return 0;
	*n_block = kv_fit(n_wanted, n_context, &cost, room, n_room, POOL_RESERVE);
	while (*n_block >= n_least && map_blocks(e, *n_block, &cause) < 0)
		*n_block = *n_block / 4 * 3; /* a limit that nothing tells of */
	if (*n_block < n_least)
		return refuse_least(e, n_least, available, why);
	e->n_ctx = min_u32(e->n_ctx, (uint32_t)(*n_block * len));
	log_warn("kv: %.1f MiB, not the %.1f MiB of %u full contexts: beside the weights %.1f MiB of memory are left; "
		 "raise the "
		 "limit (MemoryMax=, docker --memory, ulimit -v and -d), free memory, or say --kv-type q8_0 or a "
		 "smaller --ctx",
		 (double)kv_pool_bytes(&cost, *n_block) / (1 << 20), (double)kv_pool_bytes(&cost, n_wanted) / (1 << 20),
		 KV_CONTEXTS_AUTO, (double)available / (1 << 20));
	return 0;
}

static int map_configured(struct engine *e, const struct engine_options *o, size_t *n_block, struct error *why)
{
	struct kv_cost cost = room_cost(e->model);
	struct error cause = { "" };
	int r;

	*n_block = kv_divide(&cost, o->own->kv_bytes);
	if (!*n_block)
		return error_set(why, -EINVAL, "kv-bytes: one block%s takes %zu bytes",
				 cost.slot ? " and the state of a sequence" : "", kv_pool_bytes(&cost, 1));
	r = map_blocks(e, *n_block, &cause);
	return r < 0 ? error_set(why, r, "%s; or lower --kv-bytes or --ctx", cause.text) : 0;
}

static void log_pool(const struct engine *e, const struct engine_options *o)
{
	struct kv_cost cost = room_cost(e->model);
	uint32_t n = e->kv.book->n_block;
	char blocks[96] = "", slots[64] = "";

	if (cost.block)
		snprintf(blocks, sizeof(blocks), "%u positions of %s in %u blocks, ", n * KV_BLOCK, o->own->kv_type, n);
	if (cost.slot)
		snprintf(slots, sizeof(slots), "%u states of %.1f MiB, ", e->kv.book->n_slot,
			 (double)cost.slot / (1 << 20));
	log_info("kv: %s%s%.1f MiB in %s; context %u", blocks, slots, (double)kv_pool_bytes(&cost, n) / (1 << 20),
		 pool_kind_name(pool_kind_least(e->kv_pool, model_n_node(e->model))), e->n_ctx);
}

/* Pieces that the prefix cache may have: of blocks, with as many in front of them that a window has let go; of states, contexts' worth. */
static uint32_t count_pieces(const struct engine *e)
{
	size_t n = e->kv.book->n_block, n_context = count_blocks(e->n_ctx, PREFIX_LEN);

	if (!model_kv_bytes(e->model))
		n = min_size(e->kv.book->n_slot, PREFIX_CONTEXTS) * n_context;
	return (uint32_t)(2 * n + n_context);
}

static int open_prefix(struct engine *e, const struct engine_options *o, struct error *why)
{
	int r;

	if (!o->config->prefix_cache)
		return 0;
	r = prefix_init(&e->prefix, &e->kv, count_pieces(e), e->queue->prefix, QUEUE_PREFIX_MAX);
	return r < 0 ? error_set(why, r, "no memory for the prefix cache's bookkeeping; say prefix-cache = 0") : 0;
}

/* Blocks and slots of all nodes together take what the configuration gives. */
int room_open(struct engine *e, const struct engine_options *o, struct error *why)
{
	uint32_t n_node = model_n_node(e->model);
	struct kv_cost cost = room_cost(e->model);
	struct kv_mem mem[NODE_MAX];
	size_t n_block;
	int r;

	r = o->own->kv_bytes ? map_configured(e, o, &n_block, why) : map_default(e, o, &n_block, why);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n_node; i++)
		mem[i] = model_kv_mem(e->model, i);
	r = kv_init(&e->kv, mem, n_node, n_block, kv_n_slot(&cost, n_block));
	if (r < 0)
		return error_set(why, r, "no memory for the KV pool's bookkeeping; lower --kv-bytes");
	r = open_prefix(e, o, why);
	if (r < 0)
		return r;
	r = fill_start(&e->fill, &e->kv, e->model, e->kv_pool,
		       (uint32_t)count_blocks(e->n_ctx, model_block_len(e->model)), why);
	if (r < 0)
		return r;
	log_pool(e, o);
	return pool_check(e->kv_pool, n_node, "keys and values", why);
}
