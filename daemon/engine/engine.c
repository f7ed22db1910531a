#include "daemon/engine/engine.h"
#include "daemon/util/log.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"
#include "daemon/machine/placement.h"
#include "shm/atomic.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define LOGIT_BYTES_MAX (64u << 20) /* of the logit rows of one step */
#define LOGIT_ROW_MIN   32u
#define RECENT_NS       10000000000ull /* a person reads an answer and asks again */
/* Addresses, most of them never touched, that the threads for texts will take: four times a stack, an arena, and work space. */
#define TEXT_ADDRESS     ((size_t)192 << 20)
#define KV_CONTEXTS_AUTO 4u /* a pool for this many full contexts unless the configuration says more */

static int open_team(struct engine *e, const struct engine_options *o, struct error *why)
{
	e->layout = *o->layout;
	return team_new(&e->team, &e->layout, why);
}

/* Rows and logit rows of a step from the configuration and the vocabulary. */
static void size_step(const struct engine_options *o, uint32_t *n_row, uint32_t *n_logit)
{
	uint32_t fit = LOGIT_BYTES_MAX / (vocab_size(o->vocab) * (uint32_t)sizeof(float));

	*n_row = o->config->batch_rows;
	*n_logit = min_u32(BATCH_SEQ_MAX, max_u32(fit, LOGIT_ROW_MIN));
}

uint32_t engine_default_ctx(const struct gguf *g)
{
	uint32_t n_train = 0, n_window = 0;
	struct gguf_str arch;
	char key[160];

	if (gguf_get_str(g, "general.architecture", &arch) == 0 && arch.n < 100) {
		snprintf(key, sizeof(key), "%.*s.context_length", (int)arch.n, arch.p);
		gguf_get_u32(g, key, &n_train);
		snprintf(key, sizeof(key), "%.*s.attention.sliding_window", (int)arch.n, arch.p);
		gguf_get_u32(g, key, &n_window);
	}
	if (n_window)
		n_train = min_u32(n_train, n_window);
	return n_train && n_train < CONFIG_CTX_AUTO ? n_train : CONFIG_CTX_AUTO;
}

static int open_forward(struct engine *e, const struct engine_options *o, struct error *why)
{
	const struct config_model *c = o->own;
	struct model_options mo = { .n_thread = (uint32_t)e->layout.n_worker, .n_ctx = c->n_ctx };
	int r;

	mo.kv_type = kvq_parse(c->kv_type);
	if (mo.kv_type == KVQ_TYPE_MAX)
		return error_set(why, -EINVAL, "kv-type: '%s' is none of f16, q8_0, f32", c->kv_type);
	size_step(o, &mo.n_row_max, &mo.n_logit_max);
	if (!mo.n_ctx)
		mo.n_ctx = engine_default_ctx(o->weights->gguf);
	r = model_open(&e->model, o->weights, o->kernels, &mo, why);
	if (r < 0)
		return r;
	/* A row past the table would be read for a token past it. Tables padded beyond the vocabulary are common and harmless. */
	if (vocab_size(o->vocab) > model_hparams(e->model)->n_vocab)
		return error_set(why, -EINVAL, "%s: %u tokens but an embedding of %u rows; convert the model again",
				 c->file, vocab_size(o->vocab), model_hparams(e->model)->n_vocab);
	e->n_ctx = model_n_ctx(e->model);
	r = batch_init(&e->batch, mo.n_row_max, mo.n_logit_max, model_hparams(e->model)->n_vocab);
	return r < 0 ? error_set(why, r, "no memory for a step of %u rows; lower --batch-rows", mo.n_row_max) : 0;
}

static size_t count_blocks(uint32_t n_position, uint32_t block_len)
{
	return (n_position + block_len - 1) / block_len;
}

struct kv_cost engine_kv_cost(const struct model *m)
{
	return (struct kv_cost){ model_kv_bytes(m), model_slot_bytes(m) };
}

size_t engine_blocks_wanted(const struct model *m, uint32_t n_ctx)
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
	struct kv_cost cost = engine_kv_cost(e->model);
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
	struct kv_cost cost = engine_kv_cost(e->model);
	int r = model_reserve_kv(e->model, &e->layout, n, kv_n_slot(&cost, n), e->kv_pool, why);

	for (uint32_t i = 0; r < 0 && i < NODE_MAX; i++)
		pool_unmap(&e->kv_pool[i]);
	return r;
}

static int refuse_least(const struct engine *e, size_t n_least, size_t available, struct error *why)
{
	struct kv_cost cost = engine_kv_cost(e->model);

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
	struct kv_cost cost = engine_kv_cost(e->model);
	uint32_t len = model_block_len(e->model);
	size_t n_context = count_blocks(e->n_ctx, len), available;
	size_t n_wanted = engine_blocks_wanted(e->model, e->n_ctx),
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
	struct kv_cost cost = engine_kv_cost(e->model);
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
	struct kv_cost cost = engine_kv_cost(e->model);
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

/* Blocks and slots of all nodes together take what the configuration gives. */
static int open_kv(struct engine *e, const struct engine_options *o, struct error *why)
{
	uint32_t n_node = model_n_node(e->model);
	struct kv_cost cost = engine_kv_cost(e->model);
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
	r = fill_start(&e->fill, &e->kv, e->model, e->kv_pool,
		       (uint32_t)count_blocks(e->n_ctx, model_block_len(e->model)), why);
	if (r < 0)
		return r;
	log_pool(e, o);
	return pool_check(e->kv_pool, n_node, "keys and values", why);
}

_Static_assert(KV_SLOT_MAX == BATCH_SEQ_MAX, "a slot for each sequence of a step");

uint32_t engine_state_positions(const struct model *m)
{
	size_t position = model_kv_bytes(m) / KV_BLOCK, slot = model_slot_bytes(m);

	if (!slot)
		return 0;
	return position ? (uint32_t)min_size((slot + position - 1) / position, UINT32_MAX / 4)
			: KV_SLOT_BLOCKS * KV_BLOCK;
}

static int open_stages(struct engine *e, const struct engine_options *o, struct error *why)
{
	const struct config *c = o->config;
	struct sched_options so = { .n_row = c->batch_rows,
				    .chunk = c->chunk,
				    .n_draft = o->own->n_draft,
				    .block_len = model_block_len(e->model),
				    .share = c->share,
				    .recent_ns = RECENT_NS,
				    .window = model_window(e->model),
				    .n_state = engine_state_positions(e->model) };
	struct spec_options spec = { o->own->n_draft, e->n_ctx, e->batch.n_row_max, so.block_len };
	struct sample_options sample = { vocab_size(o->vocab), e->batch.n_logit_max, &e->spec };
	int r;

	sched_init(&e->sched, &e->kv, &so);
	spec_init(&e->spec, &spec);
	emit_init(&e->emit, &e->queue->meter, model_hparams(e->model)->n_layer);
	r = sample_init(&e->sample, o->kernels, e->team, &sample);
	return r < 0 ? error_set(why, r, "no memory to sample from %u rows; lower --draft", e->batch.n_logit_max) : 0;
}

void engine_init(struct engine *e, struct intake *intake, struct queue *q, struct cores *cores)
{
	*e = (struct engine){ .intake = intake, .queue = q, .seat.cores = cores };
}

/* The leader may use it. */
static void let_in(struct engine *e)
{
	store_relaxed(&e->is_away, 0);
	store_release(&e->is_open, 1); /* pairs with leader_main */
}

/* It may not any more, and has seen it. */
static void keep_out(struct engine *e)
{
	store_release(&e->is_open, 0); /* pairs with leader_main */
	/* Its step may take long, and nobody waits for this. Pairs with engine_start and keep_watch. */
	while (load_acquire(&e->has_leader) && !load_acquire(&e->is_away)) {
		queue_ring(e->queue);
		watch_call(&e->intake->watch);
		(void)poll(NULL, 0, 1); /* not nanosleep, which the sandbox has no place for */
	}
}

int engine_open(struct engine *e, const struct engine_options *o, struct error *why)
{
	int r;

	r = open_team(e, o, why);
	placement_prefer(o->layout->node[0].os_node); /* work space lies with the leader */
	if (r == 0)
		r = open_forward(e, o, why);
	if (r == 0)
		r = open_kv(e, o, why);
	if (r == 0)
		r = open_stages(e, o, why);
	placement_prefer(-1);
	if (r < 0)
		engine_close(e);
	else
		let_in(e);
	return r;
}

void engine_close(struct engine *e)
{
	keep_out(e);
	fill_stop(&e->fill);
	sample_deinit(&e->sample);
	batch_deinit(&e->batch);
	e->model = model_close(e->model);
	kv_deinit(&e->kv);
	for (uint32_t i = 0; i < NODE_MAX; i++)
		pool_unmap(&e->kv_pool[i]);
	e->team = team_free(e->team);
	memset(&e->sched, 0, sizeof(*e) - offsetof(struct engine, sched));
}

void engine_limit_ctx(struct engine *e, uint32_t n_ctx)
{
	e->n_ctx = e->spec.o.n_ctx = n_ctx;
}

/* ---- the leader ---- */

static void pin_leader(const struct engine *e)
{
	cpu_set_t set;

	if (!e->layout.is_pinned)
		return;
	CPU_ZERO(&set);
	CPU_SET(e->layout.cpu[0], &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Without a model: entries of others' sessions are taken as always. */
static void keep_watch(struct engine *e)
{
	profile_attach(NULL);          /* it was the team's */
	store_release(&e->is_away, 1); /* pairs with keep_out */
	intake_drain(e->intake, e->queue);
	intake_park(e->intake, e->queue);
}

static void *leader_main(void *arg)
{
	struct engine *e = arg;

	pthread_setname_np(pthread_self(), "gyred-leader");
	placement_prefer(-1); /* do not inherit the memory policy of its creator */
	pin_leader(e);
	while (!load_acquire(&e->is_stopping)) /* pairs with engine_stop */
		if (load_acquire(&e->is_open)) /* pairs with let_in and keep_out */
			engine_step(e);
		else
			keep_watch(e);
	return NULL;
}

int engine_start(struct engine *e)
{
	int r = -pthread_create(&e->leader, NULL, leader_main, e);

	store_release(&e->has_leader, r == 0); /* pairs with engine_stop, keep_out, served_start and health_look */
	return r;
}

void engine_stop(struct engine *e)
{
	if (!load_acquire(&e->has_leader)) /* pairs with engine_start */
		return;
	store_release(&e->is_stopping, 1); /* pairs with leader_main */
	/* Wake the leader, in its queue or at the watch. */
	queue_ring(e->queue);
	watch_call(&e->intake->watch);
	pthread_join(e->leader, NULL);
	store_relaxed(&e->has_leader, 0);
}
