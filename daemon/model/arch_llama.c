/*
 * Llama (Touvron et al. 2023; Grouped-Query Attention of Llama 2 and 3): per layer
 *   x += Wo . attention(rope(Wq . n), rope(Wk . n), Wv . n),  n = rms_norm(x) * attn_norm
 *   x += Wdown . (silu(Wgate . n) * (Wup . n)),               n = rms_norm(x) * ffn_norm
 * and logits = Woutput . (rms_norm(x) * output_norm). Rotary pairs are (2i, 2i+1), as GGUF stores this architecture.
 *
 * Five barriers a layer: after qkv+rope+store, attention, o+residual, gate/up/silu, down+residual; four more when many
 * rows make it worth while to share the packing of activations. Projections are cut by output: by whole heads, or panels.
 */
#include "daemon/model/arch.h"
#include "daemon/util/profile.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define NAME_BYTES 64

static int layer_open(struct model *m, const struct weights *w, uint32_t i, struct error *e)
{
	const struct hparams *hp = &m->hp;
	uint32_t n_q = hp->n_head * hp->head_dim, n_kv = hp->n_head_kv * hp->head_dim;
	struct layer *l = &m->layer[i];
	const struct {
		const char *name;
		const struct tensor **t;
		uint32_t n_row, n_col; /* n_row 0: a vector */
	} want[] = {
		{ "attn_norm", &l->attn_norm, 0, hp->n_embd },       { "attn_q", &l->attn_q, n_q, hp->n_embd },
		{ "attn_k", &l->attn_k, n_kv, hp->n_embd },          { "attn_v", &l->attn_v, n_kv, hp->n_embd },
		{ "attn_output", &l->attn_output, hp->n_embd, n_q }, { "ffn_norm", &l->ffn_norm, 0, hp->n_embd },
		{ "ffn_gate", &l->ffn_gate, hp->n_ff, hp->n_embd },  { "ffn_up", &l->ffn_up, hp->n_ff, hp->n_embd },
		{ "ffn_down", &l->ffn_down, hp->n_embd, hp->n_ff },
	};

	for (size_t j = 0; j < sizeof(want) / sizeof(want[0]); j++) {
		char name[NAME_BYTES];

		snprintf(name, sizeof(name), "blk.%u.%s.weight", i, want[j].name);
		*want[j].t = want[j].n_row ? tensor_matrix(m, w, name, want[j].n_row, want[j].n_col, e)
					   : tensor_vector(w, name, want[j].n_col, e);
		if (!*want[j].t)
			return -EINVAL;
	}
	return 0;
}

/* A tensor left over is a part of the model that this code would leave out: biases, experts, adapters. */
static int check_unused(const struct model *m, const struct weights *w, size_t n_used, struct error *e)
{
	if (gguf_n_tensor(w->gguf) == n_used)
		return 0;
	return error_set(e, -ENOTSUP,
			 "the file has %zu tensors where a llama of %u layers has %zu: a variant (biases, experts) "
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
	m->token_embd = tensor_matrix(m, w, "token_embd.weight", embd->n_row, hp->n_embd, e);
	if (!m->token_embd)
		return -EINVAL;
	m->output_norm = tensor_vector(w, "output_norm.weight", hp->n_embd, e);
	if (!m->output_norm)
		return -EINVAL;
	m->output = is_tied ? m->token_embd : tensor_matrix(m, w, "output.weight", hp->n_vocab, hp->n_embd, e);
	if (!m->output)
		return -EINVAL;
	if (freqs && !tensor_vector(w, "rope_freqs.weight", hp->n_rot / 2, e))
		return -EINVAL;
	for (uint32_t i = 0; i < hp->n_layer; i++) {
		r = layer_open(m, w, i, e);
		if (r < 0)
			return r;
	}
	r = check_unused(m, w, (size_t)hp->n_layer * 9 + 2 + !is_tied + !!freqs, e);
	if (r < 0)
		return r;
	return rope_init(m, w->gguf, "llama", freqs ? freqs->data : NULL, e);
}

/* token_embd[token] -> x */
static void embed(struct model *m, int worker)
{
	const struct batch *b = m->batch;
	uint32_t n_worker = (uint32_t)team_size(m->team);

	for (uint32_t r = (uint32_t)worker; r < b->n_row; r += n_worker)
		quant_dequantize_row(m->token_embd->type, m->x + (size_t)r * m->x_stride, m->token_embd->data,
				     (size_t)b->token[r], m->token_embd->n_col);
	profile_lap(PROFILE_EMBED);
	team_barrier(m->team, worker);
}

/* Heads [begin, end) of a projection, written at y. */
static void project(const struct model *m, const struct act *a, const struct tensor *w, float *y, size_t begin,
		    size_t end)
{
	size_t panels = m->hp.head_dim / PANEL_ROWS;

	if (begin < end)
		linear_mul(m, a, w, y, m->qkv_stride, begin * panels, end * panels);
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
static size_t head_cut(const struct hparams *hp, size_t n_proj)
{
	return n_proj <= hp->n_head ? n_proj : hp->n_head + (n_proj - hp->n_head + 1) / 2;
}

/* Units [begin, end) of q, then of k and v. */
static void project_heads(struct model *m, uint32_t layer, const struct act *a, size_t begin, size_t end)
{
	const struct layer *l = &m->layer[layer];
	size_t dim = m->hp.head_dim, n_head = m->hp.n_head;
	float *q = m->qkv, *k = q + n_head * dim, *v = k + m->hp.n_head_kv * dim;

	project(m, a, l->attn_q, q, begin, end < n_head ? end : n_head);
	for (size_t h = begin; h < end && h < n_head; h++)
		rope_head(m, q + h * dim);
	begin = begin > n_head ? begin - n_head : 0;
	end = end > n_head ? end - n_head : 0;
	project(m, a, l->attn_k, k, begin, end);
	project(m, a, l->attn_v, v, begin, end);
	for (size_t h = begin; h < end; h++) {
		rope_head(m, k + h * dim);
		attention_store(m, layer, (uint32_t)h, k + h * dim, v + h * dim);
	}
}

static void qkv(struct model *m, uint32_t layer, int worker)
{
	const struct hparams *hp = &m->hp;
	const struct layer *l = &m->layer[layer];
	struct act_source src = { .x = m->x,
				  .stride = m->x_stride,
				  .n_row = m->batch->n_row,
				  .n_col = hp->n_embd,
				  .norm = l->attn_norm->data };
	const struct act *a;
	struct share s;
	size_t begin, end;

	src.kinds = linear_kind(l->attn_q) | linear_kind(l->attn_k) | linear_kind(l->attn_v);
	a = linear_pack(m, worker, &src);
	linear_share(&s, m, worker, a, l->attn_q, hp->n_head + 2 * (size_t)hp->n_head_kv, hp->head_dim / PANEL_ROWS);
	while (share_next(&s, &begin, &end))
		project_heads(m, layer, a, head_cut(hp, begin), head_cut(hp, end));
}

/* x += W . src, cut by panels: a worker adds the columns that it computed. */
static void project_residual(struct model *m, const struct tensor *w, const struct act_source *src, int worker)
{
	const struct act *a = linear_pack(m, worker, src);
	struct share s;
	size_t begin, end;

	linear_share(&s, m, worker, a, w, m->x_stride / PANEL_ROWS, 1);
	while (share_next(&s, &begin, &end)) {
		size_t at = begin * PANEL_ROWS;

		linear_mul(m, a, w, m->y, m->x_stride, begin, end);
		for (size_t r = 0; r < src->n_row; r++, at += m->x_stride)
			m->k->add(m->x + at, m->y + at, (end - begin) * PANEL_ROWS);
	}
}

static void attention_output(struct model *m, uint32_t layer, int worker)
{
	const struct tensor *w = m->layer[layer].attn_output;
	struct act_source src = {
		.x = m->att, .stride = w->n_col, .n_row = m->batch->n_row, .n_col = w->n_col, .kinds = linear_kind(w)
	};

	project_residual(m, w, &src, worker);
}

static void gate_up(struct model *m, uint32_t layer, int worker)
{
	const struct layer *l = &m->layer[layer];
	struct act_source src = { .x = m->x,
				  .stride = m->x_stride,
				  .n_row = m->batch->n_row,
				  .n_col = m->hp.n_embd,
				  .norm = l->ffn_norm->data,
				  .kinds = linear_kind(l->ffn_gate) | linear_kind(l->ffn_up) };
	const struct act *a = linear_pack(m, worker, &src);
	struct share s;
	size_t begin, end;

	linear_share(&s, m, worker, a, l->ffn_gate, m->ff_stride / PANEL_ROWS, 1);
	while (share_next(&s, &begin, &end)) {
		size_t at = begin * PANEL_ROWS;

		linear_mul(m, a, l->ffn_gate, m->gate, m->ff_stride, begin, end);
		linear_mul(m, a, l->ffn_up, m->up, m->ff_stride, begin, end);
		for (size_t r = 0; r < src.n_row; r++, at += m->ff_stride)
			m->k->silu_mul(m->gate + at, m->gate + at, m->up + at, (end - begin) * PANEL_ROWS);
	}
}

static void down(struct model *m, uint32_t layer, int worker)
{
	const struct tensor *w = m->layer[layer].ffn_down;
	struct act_source src = { .x = m->gate,
				  .stride = m->ff_stride,
				  .n_row = m->batch->n_row,
				  .n_col = w->n_col,
				  .kinds = linear_kind(w) };

	project_residual(m, w, &src, worker);
}

/* Only the rows somebody asked for meet the vocabulary, which is the largest matrix of a small model. */
static void head(struct model *m, int worker)
{
	const struct batch *b = m->batch;
	struct act_source src = { .x = m->x,
				  .stride = m->x_stride,
				  .row = b->logit_row,
				  .n_row = b->n_logit,
				  .n_col = m->hp.n_embd,
				  .norm = m->output_norm->data,
				  .kinds = linear_kind(m->output) };
	const struct act *a;
	struct share s;
	size_t begin, end;

	if (b->n_logit == 0)
		return;
	a = linear_pack(m, worker, &src);
	linear_share(&s, m, worker, a, m->output, model_logit_stride(m) / PANEL_ROWS, 1);
	while (share_next(&s, &begin, &end))
		linear_mul(m, a, m->output, b->logits, b->logit_stride, begin, end);
}

static void finish(struct model *m, int worker, enum profile_part part)
{
	profile_lap(part);
	team_barrier(m->team, worker);
}

static void llama_forward(struct model *m, int worker)
{
	embed(m, worker);
	for (uint32_t i = 0; i < m->hp.n_layer; i++) {
		qkv(m, i, worker);
		finish(m, worker, PROFILE_QKV);
		attention_run(m, i, worker);
		finish(m, worker, PROFILE_ATTENTION);
		attention_output(m, i, worker);
		finish(m, worker, PROFILE_OUTPUT);
		gate_up(m, i, worker);
		finish(m, worker, PROFILE_GATE_UP);
		down(m, i, worker);
		finish(m, worker, PROFILE_DOWN);
	}
	head(m, worker);
	profile_lap(PROFILE_HEAD);
}

const struct arch arch_llama = { .name = "llama", .open = llama_open, .forward = llama_forward };
