#include "daemon/engine/engine.h"
#include "daemon/engine/room.h"
#include "daemon/util/log.h"
#include "daemon/util/minmax.h"
#include "daemon/machine/placement.h"
#include "daemon/sched/fair.h"
#include "shm/atomic.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define LOGIT_BYTES_MAX (64u << 20) /* of the logit rows of one step */
#define LOGIT_ROW_MIN   32u
#define RECENT_NS       10000000000ull /* a person reads an answer and asks again */

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
	uint32_t n = model_default_ctx(g);

	return n ? min_u32(n, CONFIG_CTX_AUTO) : CONFIG_CTX_AUTO;
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
	if (r == 0)
		r = batch_init_hidden(&e->batch, model_hparams(e->model)->n_embd);
	return r < 0 ? error_set(why, r, "no memory for a step of %u rows; lower --batch-rows", mo.n_row_max) : 0;
}

/* Of the step in hand, whose rows beyond those that are planned are guesses. */
static uint64_t step_ns(const void *of, uint32_t n_row)
{
	const struct engine *e = of;

	return fair_expect_ns(&e->sched, &e->batch, n_row - e->batch.n_row);
}

static int open_stages(struct engine *e, const struct engine_options *o, struct error *why)
{
	const struct config *c = o->config;
	struct sched_options so = { .n_row = c->batch_rows,
				    .n_draft = config_n_draft(o->own),
				    .block_len = model_block_len(e->model),
				    .gap_ns = c->gap_ms * 1000000ull,
				    .recent_ns = RECENT_NS,
				    .window = model_window(e->model),
				    .n_state = room_state_positions(e->model),
				    .prefix = c->prefix_cache ? &e->prefix : NULL,
				    .is_prefix_shared = c->share_prefixes };
	struct spec_options spec = { .n_draft = config_n_draft(o->own),
				     .n_least = o->own->draft_min,
				     .n_ctx = e->n_ctx,
				     .n_row = e->batch.n_row_max,
				     .block_len = so.block_len,
				     .cost = { step_ns, e } };
	struct sample_options sample = { vocab_size(o->vocab), e->batch.n_logit_max, &e->spec };
	int r;

	sched_init(&e->sched, &e->kv, &so);
	r = spec_init(&e->spec, &spec);
	if (r < 0)
		return error_set(why, r, "no memory to guess tokens with; give gyred --draft none");
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
		r = room_open(e, o, why);
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
	spec_deinit(&e->spec);
	batch_deinit(&e->batch);
	e->model = model_close(e->model);
	prefix_deinit(&e->prefix);
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
