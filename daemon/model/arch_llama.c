/*
 * Llama (Touvron et al. 2023; Grouped-Query Attention of Llama 2 and 3): per layer
 *   x += Wo . attention(rope(Wq . n), rope(Wk . n), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),               n = rms_norm(x) * ffn_norm
 * and logits = Woutput . (rms_norm(x) * output_norm). Rotary pairs are (2i, 2i+1), as GGUF stores this architecture.
 *
 * Five barriers a layer: after qkv+rope+store, attention, o+residual, gate/up/silu, down+residual; four more when many
 * rows make it worth while to share the packing of activations. With several nodes the partial sums of o and of down are
 * exchanged as well: with more than two nodes at the price of one more barrier each, but for many rows, where who packs a row adds
 * it up.
 */
#include "daemon/model/arch.h"
#include "daemon/util/minmax.h"
#include "daemon/util/profile.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 64

#define LAYER(field) offsetof(struct layer, field)

/* A layer's tensors. */
static const struct {
	const char *name;
	size_t at; /* in struct layer */
	enum plan_axis axis;
} layer_tensor[] = {
	{ "attn_norm", LAYER(attn_norm), PLAN_COPY },       { "attn_q", LAYER(attn_q), PLAN_HEAD },
	{ "attn_k", LAYER(attn_k), PLAN_HEAD_KV },          { "attn_v", LAYER(attn_v), PLAN_HEAD_KV },
	{ "attn_output", LAYER(attn_output), PLAN_HEAD_K }, { "ffn_norm", LAYER(ffn_norm), PLAN_COPY },
	{ "ffn_gate", LAYER(ffn_gate), PLAN_FF },           { "ffn_up", LAYER(ffn_up), PLAN_FF },
	{ "ffn_down", LAYER(ffn_down), PLAN_FF_K },
};

#define N_LAYER_TENSOR (sizeof(layer_tensor) / sizeof(layer_tensor[0]))

/* "blk.7.attn_q.weight": what lies between the second and the third dot. */
static enum plan_axis llama_axis(const char *name, size_t n)
{
	const char *end = name + n, *dot = n > 4 && !memcmp(name, "blk.", 4) ? memchr(name + 4, '.', n - 4) : NULL;

	for (size_t i = 0; dot && i < N_LAYER_TENSOR; i++) {
		size_t len = strlen(layer_tensor[i].name);

		if ((size_t)(end - dot - 1) == len + strlen(".weight") && !memcmp(dot + 1, layer_tensor[i].name, len) &&
		    !memcmp(dot + 1 + len, ".weight", strlen(".weight")))
			return layer_tensor[i].axis;
	}
	return gguf_str_eq((struct gguf_str){ name, n }, "token_embd.weight") ||
			       gguf_str_eq((struct gguf_str){ name, n }, "output.weight")
		       ? PLAN_VOCAB
		       : PLAN_COPY;
}

static int layer_open(struct model *m, const struct weights *w, uint32_t i, struct error *e)
{
	for (size_t j = 0; j < N_LAYER_TENSOR; j++) {
		const struct tensor **t =
			(const struct tensor **)(void *)((uint8_t *)&m->layer[i] + layer_tensor[j].at);
		char name[NAME_BYTES];

		snprintf(name, sizeof(name), "blk.%u.%s.weight", i, layer_tensor[j].name);
		*t = layer_tensor[j].axis == PLAN_COPY ? tensor_vector(w, name, m->hp.n_embd, e)
						       : tensor_matrix(m, w, name, layer_tensor[j].axis, e);
		if (!*t)
			return -EINVAL;
	}
	return 0;
}

/* A tensor left over is a part of the model that this code would leave out: biases, adapters. */
static int check_unused(const struct model *m, const struct weights *w, size_t n_used, struct error *e)
{
	if (gguf_n_tensor(w->gguf) == n_used)
		return 0;
	return error_set(e, -ENOTSUP,
			 "the file has %zu tensors where a llama of %u layers has %zu: a variant (biases) "
			 "that gyre does not run",
			 gguf_n_tensor(w->gguf), m->hp.n_layer, n_used);
}

static int llama_open(struct model *m, const struct weights *w, struct error *e)
{
	const struct hparams *hp = &m->hp;
	const struct tensor *embd = weights_find(w, "token_embd.weight"), *freqs = weights_find(w, "rope_freqs.weight");
	bool is_tied = !weights_find(w, "output.weight");
	int r;

	if (!embd)
		return error_set(e, -EINVAL, "the file has no tensor token_embd.weight");
	m->hp.n_vocab = embd->n_row;
	m->token_embd = tensor_matrix(m, w, "token_embd.weight", PLAN_VOCAB, e);
	if (!m->token_embd)
		return -EINVAL;
	m->output_norm = tensor_vector(w, "output_norm.weight", hp->n_embd, e);
	if (!m->output_norm)
		return -EINVAL;
	m->output = is_tied ? m->token_embd : tensor_matrix(m, w, "output.weight", PLAN_VOCAB, e);
	if (!m->output)
		return -EINVAL;
	if (freqs && !tensor_vector(w, "rope_freqs.weight", hp->n_rot / 2, e))
		return -EINVAL;
	for (uint32_t i = 0; i < hp->n_layer; i++) {
		r = layer_open(m, w, i, e);
		if (r < 0)
			return r;
	}
	r = check_unused(m, w, hp->n_layer * N_LAYER_TENSOR + 2 + !is_tied + !!freqs, e);
	if (r < 0)
		return r;
	return rope_init(m, w->gguf, "llama", freqs ? freqs->part[0].data : NULL, e);
}

/* Where a token's row lies. */
static const struct tensor_part *embd_part(const struct model *m, uint32_t token)
{
	const struct tensor_part *part = m->token_embd->part;

	for (uint32_t i = 1; i < m->plan->n_node && token >= part->row0 + part->n_row; i++)
		part++;
	return part;
}

/* token_embd[token] -> x: each token by the node that has its row, or, where x is the worker's own, all of them. */
static void embed(struct model *m, int worker)
{
	const struct team_node *node = team_node(m->team, worker);
	const struct tensor_part *mine = &m->token_embd->part[node->index];
	const struct batch *b = m->batch;
	float *x = m->scratch[worker].x;
	int turn = node->first;

	for (uint32_t r = 0; r < b->n_row; r++) {
		const struct tensor_part *part = embd_part(m, (uint32_t)b->token[r]);

		if (x != m->x || (part == mine && turn == worker))
			quant_dequantize_row(m->token_embd->type, x + (size_t)r * m->x_stride, part->data,
					     (uint32_t)b->token[r] - part->row0, part->n_col);
		if (part == mine)
			turn = turn + 1 < node->first + node->n ? turn + 1 : node->first;
	}
	profile_lap(PROFILE_EMBED);
	if (x == m->x)
		team_barrier(m->team, worker);
}

/* Heads [begin, end) of the node's part of a projection; its first head goes to y. */
static void project(const struct model *m, const struct act *a, const struct tensor *w, int node, float *y,
		    size_t begin, size_t end)
{
	size_t panels = m->hp.head_dim / PANEL_ROWS;

	if (begin < end)
		linear_mul(m, a, w, &w->part[node], y, m->qkv_stride, begin * panels, end * panels);
}

static void rope_head(const struct model *m, float *x)
{
	const struct hparams *hp = &m->hp;

	for (uint32_t r = 0; r < m->batch->n_row; r++) {
		size_t at = (size_t)m->batch->pos[r] * (hp->n_rot / 2);

		m->k->rope(x + (size_t)r * m->qkv_stride, m->cos + at, m->sin + at, 1, (int)hp->head_dim,
			   (int)hp->n_rot, false);
	}
}

/*
 * The unit of work is a head: one of q, or k and v of a KV head together, since they are stored together and by whom they
 * were computed. Work is shared out in projections (a KV head counts two); a cut is rounded to whole units.
 */
static size_t head_cut(const struct node *n, size_t n_proj)
{
	return n_proj <= n->n_head ? n_proj : n->n_head + (n_proj - n->n_head + 1) / 2;
}

/* Units [begin, end) of the node's q, then of its k and v. */
static void project_heads(struct model *m, uint32_t layer, const struct act *a, int node, size_t begin, size_t end)
{
	const struct node *n = &m->node[node];
	const struct layer *l = &m->layer[layer];
	size_t dim = m->hp.head_dim, n_head = n->n_head;
	float *q = m->qkv + n->qkv0, *k = q + n_head * dim, *v = k + n->n_head_kv * dim;

	project(m, a, l->attn_q, node, q, begin, end < n_head ? end : n_head);
	for (size_t h = begin; h < end && h < n_head; h++)
		rope_head(m, q + h * dim);
	begin = begin > n_head ? begin - n_head : 0;
	end = end > n_head ? end - n_head : 0;
	project(m, a, l->attn_k, node, k, begin, end);
	project(m, a, l->attn_v, node, v, begin, end);
	for (size_t h = begin; h < end; h++) {
		rope_head(m, k + h * dim);
		attention_store(m, n, layer, (uint32_t)h, k + h * dim, v + h * dim);
	}
}

static void qkv(struct model *m, uint32_t layer, int worker)
{
	const struct node *n = model_node(m, worker);
	const struct layer *l = &m->layer[layer];
	int node = team_node(m->team, worker)->index;
	struct act_source src = { .x = m->scratch[worker].x,
				  .stride = m->x_stride,
				  .n_row = m->batch->n_row,
				  .n_col = m->hp.n_embd,
				  .norm = l->attn_norm->part[node].data };
	const struct act *a;
	struct share s;
	size_t begin, end;

	src.kinds = linear_kind(l->attn_q) | linear_kind(l->attn_k) | linear_kind(l->attn_v);
	a = linear_pack(m, worker, &src);
	linear_share(&s, m, worker, a, l->attn_q, m->hp.n_embd, n->n_head + 2 * (size_t)n->n_head_kv,
		     m->hp.head_dim / PANEL_ROWS);
	while (share_next(&s, &begin, &end))
		project_heads(m, layer, a, node, head_cut(n, begin), head_cut(n, end));
}

static void gate_up(struct model *m, uint32_t layer, int worker)
{
	const struct layer *l = &m->layer[layer];
	int node = team_node(m->team, worker)->index;
	const struct tensor_part *part = &l->ffn_gate->part[node];
	struct act_source src = { .x = m->scratch[worker].x,
				  .stride = m->x_stride,
				  .n_row = m->batch->n_row,
				  .n_col = m->hp.n_embd,
				  .norm = l->ffn_norm->part[node].data,
				  .kinds = linear_kind(l->ffn_gate) | linear_kind(l->ffn_up) };
	const struct act *a = linear_pack(m, worker, &src);
	float *gate = m->gate + part->row0, *up = m->up + part->row0;
	struct share s;
	size_t begin, end;

	linear_share(&s, m, worker, a, l->ffn_gate, m->hp.n_embd, (part->n_row + PANEL_ROWS - 1) / PANEL_ROWS, 1);
	while (share_next(&s, &begin, &end)) {
		size_t at = begin * PANEL_ROWS;

		linear_mul(m, a, l->ffn_gate, part, gate, m->ff_stride, begin, end);
		linear_mul(m, a, l->ffn_up, &l->ffn_up->part[node], up, m->ff_stride, begin, end);
		for (size_t r = 0; r < src.n_row; r++, at += m->ff_stride)
			m->k->silu_mul(gate + at, gate + at, up + at, (end - begin) * PANEL_ROWS);
	}
}

#define HEAD_RANGES 4 /* at once: 4 KiB of logits of a row */

_Static_assert(LOGIT_RANGE == PLAN_VOCAB_RANGE, "one node has the whole of a range");

/* Logits of ranges [begin, end) of the node's part of the vocabulary, and what sampling asks of each. */
static void head_ranges(const struct model *m, const struct act *a, const struct tensor_part *part, size_t begin,
			size_t end)
{
	const size_t panels = LOGIT_RANGE / PANEL_ROWS, n_panel = (part->n_row + PANEL_ROWS - 1) / PANEL_ROWS;
	const uint32_t range0 = part->row0 / LOGIT_RANGE;
	const struct batch *b = m->batch;

	linear_mul(m, a, m->output, part, b->logits + part->row0, b->logit_stride, begin * panels,
		   min_size(end * panels, n_panel));
	for (uint32_t r = 0; r < b->n_logit; r++)
		for (size_t i = range0 + begin; i < range0 + end; i++)
			batch_sum_range(&b->range[r * b->n_range + i], m->k,
					b->logits + (size_t)r * b->logit_stride + i * LOGIT_RANGE,
					logit_range_tokens(m->hp.n_vocab, (uint32_t)i));
}

/* Only the rows somebody asked for meet the vocabulary, which is the largest matrix of a small model. */
static void head(struct model *m, int worker)
{
	const struct batch *b = m->batch;
	int node = team_node(m->team, worker)->index;
	const struct tensor_part *part = &m->output->part[node];
	struct act_source src = { .x = m->scratch[worker].x,
				  .stride = m->x_stride,
				  .row = b->logit_row,
				  .n_row = b->n_logit,
				  .n_col = m->hp.n_embd,
				  .norm = m->output_norm->part[node].data,
				  .kinds = linear_kind(m->output) };
	const struct act *a;
	struct share s;
	size_t begin, end;

	if (b->n_logit == 0)
		return;
	a = linear_pack(m, worker, &src);
	linear_share(&s, m, worker, a, m->output, m->hp.n_embd, (part->n_row + LOGIT_RANGE - 1) / LOGIT_RANGE,
		     LOGIT_RANGE / PANEL_ROWS);
	while (share_next(&s, &begin, &end))
		for (size_t next; begin < end; begin = next) {
			next = min_size(begin + HEAD_RANGES, end);
			head_ranges(m, a, part, begin, next);
		}
}

static void finish(struct model *m, int worker, enum profile_part part)
{
	profile_lap(part);
	team_barrier(m->team, worker);
}

static void llama_forward(struct model *m, int worker)
{
	m->scratch[worker].pending = NULL; /* of a step that wanted no logits */
	embed(m, worker);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		qkv(m, i, worker);
		finish(m, worker, PROFILE_QKV);
		attention_run(m, i, worker);
		finish(m, worker, PROFILE_ATTENTION);
		linear_residual(m, worker, m->layer[i].attn_output, m->att, m->hp.n_head * m->hp.head_dim);
		finish(m, worker, PROFILE_OUTPUT);
		gate_up(m, i, worker);
		finish(m, worker, PROFILE_GATE_UP);
		linear_residual(m, worker, m->layer[i].ffn_down, m->gate, m->ff_stride);
		finish(m, worker, PROFILE_DOWN);
	}
	head(m, worker);
	profile_lap(PROFILE_HEAD);
}

const struct arch arch_llama = { .name = "llama", .axis = llama_axis, .open = llama_open, .forward = llama_forward };
