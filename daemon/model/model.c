#include "daemon/model/arch.h"
#include "daemon/model/attention.h"
#include "daemon/model/fault.h"
#include "daemon/model/hparams.h"
#include "daemon/model/residual.h"
#include "daemon/model/scratch.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_MAX   65536u
#define LOGIT_MAX 65536u

/* The window that the file speaks of and the architecture does not obey: 0 is none. */
static uint32_t unseen_window(const struct arch *arch, const struct hparams *hp)
{
	return arch->has_window ? 0 : hp->n_window;
}

static uint32_t default_ctx(const struct arch *arch, const struct hparams *hp)
{
	uint32_t n_window = unseen_window(arch, hp);

	return n_window && n_window < hp->n_ctx_train ? n_window : hp->n_ctx_train;
}

uint32_t model_default_ctx(const struct gguf *g)
{
	struct hparams hp = { 0 };
	const struct arch *arch;
	struct error e;

	return arch_read(&arch, &hp, g, &e) < 0 ? 0 : default_ctx(arch, &hp);
}

static int options_read(struct model *m, const struct model_options *o, struct error *e)
{
	uint32_t n_window = unseen_window(m->arch, &m->hp);

	if (o->n_row_max < 1 || o->n_row_max > ROW_MAX || o->n_logit_max < 1 || o->n_logit_max > LOGIT_MAX)
		return error_set(e, -EINVAL, "%u rows and %u logit rows a step: 1..%u are possible", o->n_row_max,
				 o->n_logit_max, ROW_MAX);
	if (o->n_thread < 1 || o->n_thread > TEAM_MAX)
		return error_set(e, -EINVAL, "%u threads: 1..%d are possible", o->n_thread, TEAM_MAX);
	if (o->kv_type >= KVQ_TYPE_MAX)
		return error_set(e, -EINVAL, "no KV type %d", (int)o->kv_type);
	if (o->n_ctx > m->hp.n_ctx_train)
		return error_set(e, -EINVAL, "a context of %u: the model was trained for %u; lower --ctx", o->n_ctx,
				 m->hp.n_ctx_train);
	if (n_window && o->n_ctx > n_window)
		return error_set(e, -ENOTSUP,
				 "a context of %u: past %u positions some layers of this model attend to a sliding "
				 "window, and the file does not say which; lower --ctx to %u",
				 o->n_ctx, n_window, n_window);
	m->n_row_max = max_u32(o->n_row_max, o->n_logit_max);
	m->n_logit_max = o->n_logit_max;
	m->n_thread = o->n_thread;
	m->kv_type = o->kv_type;
	m->n_ctx = o->n_ctx ? o->n_ctx : default_ctx(m->arch, &m->hp);
	return 0;
}

static bool has_shape(const struct model *m, enum head_shapes shape)
{
	return shape == HEADS_LAYERS || m->hp.window_heads.head_dim;
}

/* Which columns of m->qkv and m->att are whose, where heads have one shape. */
static void heads_lay_out(struct model *m, enum head_shapes shape)
{
	struct head_shape h = hparams_heads(&m->hp, shape);
	uint32_t at = 0;

	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		const struct plan_node *p = &m->plan->node[i];
		struct plan_range kv = shape == HEADS_LAYERS ? p->head_kv : p->head_kv_2;
		struct node_heads *n = &m->node[i].heads[shape];

		n->n_head = p->head.end - p->head.begin;
		n->n_head_kv = kv.end - kv.begin;
		n->head0 = p->head.begin;
		n->qkv0 = at;
		n->att0 = p->head.begin * h.head_dim;
		at += (n->n_head + 2 * n->n_head_kv) * h.head_dim;
		n->gate0 = at;
		at += m->arch->has_q_gate ? n->n_head * h.head_dim : 0;
	}
	m->qkv_stride = max_u32(m->qkv_stride, at);
	m->att_stride = max_u32(m->att_stride, h.n_head * h.head_dim);
}

static int nodes_lay_out(struct model *m, struct error *e)
{
	int r = 0;

	for (int shape = 0; shape < HEAD_SHAPES; shape++)
		if (has_shape(m, shape))
			heads_lay_out(m, shape);
	for (uint32_t i = 0; i < m->plan->n_node && r == 0; i++)
		r = memory_init(&m->node[i].memory, m->hp.n_layer, e);
	return r;
}

/* Every tensor of the file has its place in the architecture's layers, or in none. */
static int open_tensors(struct model *m, const struct weights *w, struct error *e)
{
	struct tensors t;
	int r;

	m->layer = calloc(m->hp.n_layer, m->arch->pass->layer_bytes);
	if (!m->layer)
		return error_set(e, -ENOMEM, "no memory for %u layers; free some memory", m->hp.n_layer);
	r = tensors_init(&t, m, w, e);
	if (r < 0)
		return r;
	r = m->arch->pass->open(&t, e);
	if (r == 0)
		r = tensors_check_unused(&t, e);
	tensors_deinit(&t);
	return r;
}

static int open_all(struct model *m, const struct weights *w, const struct model_options *o, struct error *e)
{
	int r = arch_read(&m->arch, &m->hp, w->gguf, e);

	if (r < 0)
		return r;
	r = options_read(m, o, e);
	if (r < 0)
		return r;
	m->plan = &w->plan;
	r = nodes_lay_out(m, e);
	if (r < 0)
		return r;
	r = open_tensors(m, w, e);
	if (r < 0)
		return r;
	m->x_stride = state_pad(m->hp.n_embd);
	m->ff_stride = state_pad(max_u32(max_u32(m->hp.n_ff, m->hp.n_ff_shared), m->hp.n_per_layer));
	m->per_layer.stride = state_pad(m->hp.n_layer * m->hp.n_per_layer);
	m->reduce.k = m->k;
	m->reduce.scale = m->hp.residual_scale;
	m->reduce.stride = m->x_stride;
	m->n_sum = max_u32(max_u32(m->plan->head.n_partial, m->plan->ff.n_partial), m->plan->row.n_partial);
	m->n_chunk_max = (m->n_ctx + ATTN_CHUNK - 1) / ATTN_CHUNK;
	if (!scratch_new(m))
		return error_set(e, -ENOMEM, "no memory for the work space of %u rows: lower the rows of a step",
				 m->n_row_max);
	return 0;
}

int model_open(struct model **mp, const struct weights *w, const struct kernels *k, const struct model_options *o,
	       struct error *e)
{
	struct model *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return error_set(e, -ENOMEM, "no memory for a model; free some memory");
	m->k = k;
	r = open_all(m, w, o, e);
	if (r < 0) {
		model_close(m);
		return r;
	}
	*mp = m;
	return 0;
}

int model_check(const struct weights *w, struct error *e)
{
	const struct model_options o = { .n_row_max = 1, .n_logit_max = 1, .n_thread = 1, .n_ctx = 1 };
	struct model *m = NULL;
	struct kernels k;
	int r;

	kernels_select(&k, ISA_MAX);
	r = model_open(&m, w, &k, &o, e);
	model_close(m);
	return r;
}

struct model *model_close(struct model *m)
{
	if (!m)
		return NULL;
	scratch_free(m);
	for (uint32_t i = 0; i < NODE_MAX; i++)
		memory_deinit(&m->node[i].memory);
	free(m->layer);
	free(m->temperature);
	for (int i = 0; i < ROPE_TABLES; i++)
		rope_deinit(&m->rope[i]);
	free(m);
	return NULL;
}

const struct hparams *model_hparams(const struct model *m)
{
	return &m->hp;
}

const char *const *model_laps(const struct model *m)
{
	return m->arch->pass->lap;
}

uint32_t model_n_ctx(const struct model *m)
{
	return m->n_ctx;
}

uint32_t model_n_node(const struct model *m)
{
	return m->plan->n_node;
}

static void forward(void *arg, int worker)
{
	struct model *m = arg;
	const struct team_node *team = team_node(m->team, worker);
	struct seat s = { m, worker, team, &m->node[team->index], &m->scratch[worker] };

	residual_start(&s);
	share_run(m->share, worker, m->n_run);
	m->arch->pass->forward(&s);
}

void model_forward(struct model *m, struct team *t, struct batch *b)
{
	assert(m->node[0].memory.base || !m->node[0].memory.block_bytes);
	assert(m->node[0].memory.slot || !m->node[0].memory.slot_bytes);
	assert((uint32_t)team_n_node(t) == m->plan->n_node && b->n_row <= m->n_row_max && b->n_logit <= m->n_logit_max);
	assert(b->logit_stride == state_pad(m->hp.n_vocab) && (uint32_t)team_size(t) <= m->n_thread);
	if (b->n_row == 0)
		return;
	m->team = t;
	m->batch = b;
	m->n_run++;
	attention_plan(m);
	team_run(t, forward, m);
	fault_find(m, b);
	profile_rows(b->n_row);
}
