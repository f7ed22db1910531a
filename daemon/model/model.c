#include "daemon/model/arch.h"
#include "daemon/util/memory.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_MAX   65536u
#define LOGIT_MAX 65536u

static uint32_t pad(uint32_t n)
{
	return (n + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
}

static bool partial_new(const struct model *m, struct partial *p)
{
	size_t n = (size_t)m->n_chunk_max * ATTN_TILE;

	p->o = memory_array(n * m->hp.head_dim, sizeof(*p->o));
	p->m = memory_array(n, sizeof(*p->m));
	p->l = memory_array(n, sizeof(*p->l));
	return p->o && p->m && p->l;
}

static void partial_free(struct partial *p)
{
	free(p->o);
	free(p->m);
	free(p->l);
}

/* Kinds that some product of this model wants. Block-quantized kinds never meet a width they do not divide. */
static bool tiles_new(uint8_t *tile[ACT_KIND_MAX], const struct model *m, uint32_t n_tile)
{
	uint32_t n_col = max_u32(max_u32(m->hp.n_embd, m->hp.n_ff), m->hp.n_head * m->hp.head_dim);

	n_col = (n_col + 255) / 256 * 256;
	for (int kind = 0; kind < ACT_KIND_MAX; kind++) {
		size_t bytes = act_tile_bytes((enum act_kind)kind, ACT_TILE, n_col);

		tile[kind] = memory_array(n_tile, (bytes + 63) / 64 * 64);
		if (!tile[kind])
			return false;
	}
	return true;
}

static bool worker_scratch_new(const struct model *m, struct scratch *s)
{
	s->norm = memory_array((size_t)ACT_TILE * m->x_stride, sizeof(float));
	s->attn = memory_array(ATTN_SCRATCH, sizeof(float));
	s->merge = memory_array((size_t)2 * m->n_chunk_max, sizeof(float));
	if (reduce_is_own(m->plan->n_node, 1))
		s->own_x = memory_array((size_t)ACT_TILE * m->x_stride, sizeof(float));
	return (s->own_x || !reduce_is_own(m->plan->n_node, 1)) && s->norm && s->attn && s->merge &&
	       partial_new(m, &s->partial) && tiles_new(s->tile_mem, m, 1);
}

static bool scratch_new(struct model *m)
{
	size_t n_row = m->n_row_max;

	m->x = memory_array(n_row * m->x_stride, sizeof(float));
	m->qkv = memory_array(n_row * m->qkv_stride, sizeof(float));
	m->att = memory_array(n_row * m->hp.n_head * m->hp.head_dim, sizeof(float));
	m->gate = memory_array(n_row * m->ff_stride, sizeof(float));
	m->up = memory_array(n_row * m->ff_stride, sizeof(float));
	m->group = memory_array(n_row, sizeof(*m->group));
	m->partial = memory_array((size_t)SPLIT_ITEMS * m->n_thread, sizeof(*m->partial));
	m->scratch = memory_array(m->n_thread, sizeof(*m->scratch));
	m->share = memory_array(m->n_thread, sizeof(*m->share));
	if (!m->x || !m->qkv || !m->att || !m->gate || !m->up || !m->group || !m->partial || !m->scratch || !m->share)
		return false;
	for (uint32_t i = 0; i < m->n_sum; i++) {
		m->reduce.sum[i] = memory_array(n_row * m->x_stride, sizeof(float));
		if (!m->reduce.sum[i])
			return false;
	}
	for (uint32_t i = 0; i < m->plan->n_node; i++)
		if (!attention_sets(m, &m->node[i], &m->plan->node[i]) ||
		    !tiles_new(m->node[i].tile_mem, m, (m->n_row_max + ACT_TILE - 1) / ACT_TILE))
			return false;
	for (uint32_t i = 0; i < SPLIT_ITEMS * m->n_thread; i++)
		if (!partial_new(m, &m->partial[i]))
			return false;
	for (uint32_t i = 0; i < m->n_thread; i++)
		if (!worker_scratch_new(m, &m->scratch[i]))
			return false;
	return true;
}

static void scratch_free(struct model *m)
{
	for (uint32_t i = 0; m->partial && i < SPLIT_ITEMS * m->n_thread; i++)
		partial_free(&m->partial[i]);
	for (uint32_t i = 0; m->scratch && i < m->n_thread; i++) {
		struct scratch *s = &m->scratch[i];

		partial_free(&s->partial);
		free(s->own_x);
		free(s->norm);
		free(s->attn);
		free(s->merge);
		for (int kind = 0; kind < ACT_KIND_MAX; kind++)
			free(s->tile_mem[kind]);
	}
	for (uint32_t i = 0; i < NODE_MAX; i++) {
		for (int kind = 0; kind < ACT_KIND_MAX; kind++)
			free(m->node[i].tile_mem[kind]);
		free(m->node[i].set);
	}
	for (uint32_t i = 0; i < PLAN_CHUNK_MAX; i++)
		free(m->reduce.sum[i]);
	free(m->x);
	free(m->qkv);
	free(m->att);
	free(m->gate);
	free(m->up);
	free(m->group);
	free(m->partial);
	free(m->scratch);
	free(m->share);
}

static int arch_read(const struct arch **arch, struct hparams *hp, const struct gguf *g, struct error *e)
{
	struct gguf_str name;

	if (gguf_get_str(g, "general.architecture", &name) < 0)
		return error_set(e, -EINVAL, "the file does not say its architecture (general.architecture)");
	*arch = arch_find(name.p, name.n);
	if (!*arch)
		return error_set(e, -ENOTSUP, "architecture \"%.*s\" is not one that gyre runs (try a llama model)",
				 (int)(name.n < 40 ? name.n : 40), name.p);
	return hparams_read(hp, g, (*arch)->name, e);
}

/* A router, or experts as one tensor or each as its own: "blk.0.ffn_gate_inp.weight", "..ffn_up_exps..", "..ffn_up.3.weight". */
static bool is_of_experts(const struct gguf_tensor *t)
{
	char name[GGUF_NAME_MAX + 1];
	unsigned layer, expert;

	snprintf(name, sizeof(name), "%.*s", (int)t->name.n, t->name.p);
	return strstr(name, ".ffn_gate_inp.") || strstr(name, "_exps.") ||
	       sscanf(name, "blk.%u.ffn_%*[a-z].%u.", &layer, &expert) == 2;
}

/* A part of a model has a part of its tensors. */
static int check_whole(const struct gguf *g, struct error *e)
{
	uint32_t n = 0, no = 0;

	if (gguf_get_u32(g, "split.count", &n) < 0 || n <= 1)
		return 0;
	gguf_get_u32(g, "split.no", &no);
	return error_set(
		e, -ENOTSUP,
		"the file is part %llu of %u of a split model, which is not supported yet; join the parts first "
		"(llama-gguf-split --merge FIRST-PART WHOLE.gguf)",
		(unsigned long long)no + 1, n);
}

int model_plan(struct plan *p, const struct gguf *g, uint32_t n_node, struct error *e)
{
	const struct arch *arch;
	struct hparams hp = { 0 };
	struct plan_shape s = { .head_block = 1, .ff_block = 1, .n_vocab = 1 };
	int r = check_whole(g, e);

	if (r == 0)
		r = arch_read(&arch, &hp, g, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < gguf_n_tensor(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		const struct quant_info *q = quant_info(t->type);
		enum plan_axis axis = arch->axis(t->name.p, t->name.n);

		if (is_of_experts(t))
			return error_set(e, -ENOTSUP,
					 "tensor %.*s: a mixture of experts, which is not supported yet; use a dense "
					 "model",
					 (int)t->name.n, t->name.p);
		if (axis == PLAN_HEAD_K && q)
			s.head_block = max_u32(s.head_block, q->block_len);
		if (axis == PLAN_FF_K && q)
			s.ff_block = max_u32(s.ff_block, q->block_len);
		if (axis == PLAN_VOCAB && t->ne[1] <= INT32_MAX)
			s.n_vocab = (uint32_t)t->ne[1];
	}
	s.n_embd = hp.n_embd;
	s.n_head = hp.n_head;
	s.n_head_kv = hp.n_head_kv;
	s.head_dim = hp.head_dim;
	s.n_ff = hp.n_ff;
	r = plan_make(p, &s, n_node, e);
	p->axis = arch->axis;
	return r;
}

static int options_read(struct model *m, const struct model_options *o, struct error *e)
{
	if (o->n_row_max < 1 || o->n_row_max > ROW_MAX || o->n_logit_max < 1 || o->n_logit_max > LOGIT_MAX)
		return error_set(e, -EINVAL, "%u rows and %u logit rows a step: 1..%u are possible", o->n_row_max,
				 o->n_logit_max, ROW_MAX);
	if (o->n_thread < 1 || o->n_thread > TEAM_MAX)
		return error_set(e, -EINVAL, "%u threads: 1..%d are possible", o->n_thread, TEAM_MAX);
	if (o->kv_type >= KV_TYPE_MAX)
		return error_set(e, -EINVAL, "no KV type %d", (int)o->kv_type);
	if (o->n_ctx > m->hp.n_ctx_train)
		return error_set(e, -EINVAL, "a context of %u: the model was trained for %u; lower --ctx", o->n_ctx,
				 m->hp.n_ctx_train);
	if (m->hp.n_window && o->n_ctx > m->hp.n_window)
		return error_set(e, -ENOTSUP,
				 "a context of %u: past %u positions this model attends to a sliding window, which is "
				 "not supported yet; lower --ctx to %u",
				 o->n_ctx, m->hp.n_window, m->hp.n_window);
	m->n_row_max = max_u32(o->n_row_max, o->n_logit_max);
	m->n_logit_max = o->n_logit_max;
	m->n_thread = o->n_thread;
	m->kv_type = o->kv_type;
	m->n_ctx = o->n_ctx                                               ? o->n_ctx
		   : m->hp.n_window && m->hp.n_window < m->hp.n_ctx_train ? m->hp.n_window
									  : m->hp.n_ctx_train;
	return 0;
}

/* Which columns of m->qkv and m->att are whose. */
static void nodes_lay_out(struct model *m)
{
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		const struct plan_node *p = &m->plan->node[i];
		struct node *n = &m->node[i];

		n->n_head = p->head.end - p->head.begin;
		n->n_head_kv = p->head_kv.end - p->head_kv.begin;
		n->qkv0 = m->qkv_stride;
		n->att0 = p->head.begin * m->hp.head_dim;
		m->qkv_stride += (n->n_head + 2 * n->n_head_kv) * m->hp.head_dim;
	}
}

static int open_all(struct model *m, const struct weights *w, const struct model_options *o, struct error *e)
{
	int r = arch_read(&m->arch, &m->hp, w->gguf, e);

	if (r < 0)
		return r;
	r = options_read(m, o, e);
	if (r < 0)
		return r;
	m->layer = calloc(m->hp.n_layer, sizeof(*m->layer));
	if (!m->layer)
		return error_set(e, -ENOMEM, "no memory for %u layers; free some memory", m->hp.n_layer);
	r = m->arch->open(m, w, e);
	if (r < 0)
		return r;
	m->x_stride = pad(m->hp.n_embd);
	m->ff_stride = pad(m->hp.n_ff);
	m->plan = &w->plan;
	m->reduce.k = m->k;
	m->reduce.stride = m->x_stride;
	m->n_sum = max_u32(m->plan->head.n_partial, m->plan->ff.n_partial);
	nodes_lay_out(m);
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

struct model *model_close(struct model *m)
{
	if (!m)
		return NULL;
	scratch_free(m);
	free(m->layer);
	free(m->cos);
	free(m->sin);
	free(m);
	return NULL;
}

const struct hparams *model_hparams(const struct model *m)
{
	return &m->hp;
}

uint32_t model_n_ctx(const struct model *m)
{
	return m->n_ctx;
}

uint32_t model_n_node(const struct model *m)
{
	return m->plan->n_node;
}

size_t model_kv_block_bytes(const struct model *m, uint32_t node)
{
	struct kv_mem kv = attention_kv(m, &m->node[node]);

	return kv.n_part * kv.part_bytes;
}

struct kv_mem model_kv_mem(const struct model *m, uint32_t node)
{
	return attention_kv(m, &m->node[node]);
}

size_t model_kv_bytes(const struct model *m)
{
	size_t n = 0;

	for (uint32_t i = 0; i < m->plan->n_node; i++)
		n += model_kv_block_bytes(m, i);
	return n;
}

void model_set_kv(struct model *m, void *mem, size_t n_block)
{
	uint8_t *at = mem;

	assert((uintptr_t)mem % 64 == 0);
	m->n_kv_block = n_block;
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		m->node[i].kv = at;
		at += n_block * model_kv_block_bytes(m, i);
	}
}

int model_map_kv(struct model *m, const struct layout *l, size_t n_block, struct pool pool[NODE_MAX], struct error *e)
{
	m->n_kv_block = n_block;
	for (uint32_t i = 0; i < m->plan->n_node; i++) {
		char name[32];
		int r;

		snprintf(name, sizeof(name), m->plan->n_node > 1 ? "gyre-kv.%u" : "gyre-kv", i);
		r = pool_map(&pool[i], n_block * model_kv_block_bytes(m, i), l->node[i].os_node, name, e);
		if (r < 0)
			return r;
		m->node[i].kv = pool[i].base;
	}
	return 0;
}

struct node *model_node(struct model *m, int worker)
{
	return &m->node[team_node(m->team, worker)->index];
}

static void forward(void *arg, int worker)
{
	struct model *m = arg;
	struct scratch *s = &m->scratch[worker];

	s->x = reduce_is_own(m->plan->n_node, m->batch->n_row) ? s->own_x : m->x;
	share_run(m->share, worker, m->n_run);
	m->arch->forward(m, worker);
}

void model_forward(struct model *m, struct team *t, struct batch *b)
{
	assert(m->node[0].kv && (uint32_t)team_n_node(t) == m->plan->n_node && b->n_row <= m->n_row_max &&
	       b->n_logit <= m->n_logit_max);
	assert(b->logit_stride == pad(m->hp.n_vocab) && (uint32_t)team_size(t) <= m->n_thread);
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
