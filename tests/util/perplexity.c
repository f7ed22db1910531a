#include "tests/util/perplexity.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct run {
	struct model *m;
	struct team *t;
	const struct kernels *k;
	struct batch *b;
	uint32_t *block;
	void *kv, *state;
	double sum, sum2; /* of -log p, and its square */
	uint32_t n;
};

static int run_new(struct run *r, uint32_t n_ctx, uint32_t n_step)
{
	uint32_t n_block = (n_ctx + KV_BLOCK - 1) / KV_BLOCK;
	struct batch *b = r->b = calloc(1, sizeof(*b));

	r->block = calloc(n_block, sizeof(*r->block));
	r->kv = aligned_alloc(64, model_kv_bytes(r->m) * n_block);
	r->state = aligned_alloc(64, model_slot_bytes(r->m));
	if (!b || !r->block || !r->kv || !r->state)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_block; i++)
		r->block[i] = i;
	if (batch_init(b, n_step, n_step, model_hparams(r->m)->n_vocab) < 0)
		return -ENOMEM;
	model_set_kv(r->m, r->kv, n_block);
	model_set_states(r->m, r->state, 1);
	return 0;
}

static void run_free(struct run *r)
{
	if (r->b)
		batch_deinit(r->b);
	free(r->b);
	free(r->block);
	free(r->kv);
	free(r->state);
}

static void score(struct run *r, const float *logits, int32_t token)
{
	uint32_t n_vocab = model_hparams(r->m)->n_vocab;
	float max = r->k->max(logits, n_vocab);
	double nll;

	nll = log((double)r->k->sum_exp(logits, n_vocab, max)) - (double)(logits[token] - max);
	r->sum += nll;
	r->sum2 += nll * nll;
	r->n++;
}

/* Rows [at, at + n) of a window; a row predicts the token after it. */
static void step(struct run *r, const int32_t *token, uint32_t at, uint32_t n, uint32_t n_ctx, int32_t bos)
{
	struct batch *b = r->b;

	b->n_seq = 1;
	b->seq[0] = (struct batch_seq){ .block = r->block, .n_past = at, .n_row = n };
	b->n_row = n;
	b->n_logit = 0;
	for (uint32_t i = 0; i < n; i++) {
		b->token[i] = at + i == 0 && bos >= 0 ? bos : token[at + i];
		b->pos[i] = (int32_t)(at + i);
		b->row_seq[i] = 0;
		if (at + i >= n_ctx / 2 && at + i + 1 < n_ctx)
			b->logit_row[b->n_logit++] = i;
	}
	model_forward(r->m, r->t, b);
	for (uint32_t i = 0; i < b->n_logit; i++)
		score(r, b->logits + (size_t)i * b->logit_stride, token[at + b->logit_row[i] + 1]);
}

int perplexity_run(struct perplexity *p, struct model *m, struct team *t, const struct kernels *k, const int32_t *token,
		   uint32_t n_token, uint32_t n_ctx, uint32_t n_step, int32_t bos, struct error *e)
{
	struct run r = { .m = m, .t = t, .k = k };
	double variance;
	int err;

	if (n_ctx < 4 || n_ctx > model_n_ctx(m) || n_step < 1)
		return error_set(e, -EINVAL, "a window of %u tokens: 4..%u are possible", n_ctx, model_n_ctx(m));
	if (n_token < n_ctx)
		return error_set(e, -ENODATA, "the text has %u tokens: one window takes %u", n_token, n_ctx);
	err = run_new(&r, n_ctx, n_step);
	if (err < 0) {
		run_free(&r);
		return error_set(e, err, "no memory for a window of %u tokens; free some memory", n_ctx);
	}
	*p = (struct perplexity){ .n_window = n_token / n_ctx };
	for (uint32_t w = 0; w < p->n_window; w++)
		for (uint32_t at = 0; at < n_ctx; at += n_step)
			step(&r, token + (size_t)w * n_ctx, at, n_ctx - at < n_step ? n_ctx - at : n_step, n_ctx, bos);
	run_free(&r);
	p->n_scored = r.n;
	p->mean_nll = r.sum / r.n;
	p->ppl = exp(p->mean_nll);
	variance = r.sum2 / r.n - p->mean_nll * p->mean_nll;
	p->std_error = r.n > 1 && variance > 0 ? sqrt(variance / (r.n - 1)) : 0;
	return 0;
}
