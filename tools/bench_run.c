#include "tools/bench_run.h"
#include "daemon/op/op.h"
#include "daemon/util/minmax.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>

/* The long sequence and the many lie in the same blocks: they never run in one step. */
static int open_sequences(struct bench_run *b, const struct bench_size *s, struct error *e)
{
	uint32_t n_vocab = model_hparams(b->model)->n_vocab, n_long = (b->n_ctx + KV_BLOCK - 1) / KV_BLOCK, n;
	struct request *r = &b->request;
	int code;

	b->n_seq = s->n_seq;
	b->n_block = (s->n_each + KV_BLOCK - 1) / KV_BLOCK;
	n = max_u32(n_long, b->n_seq * b->n_block);
	code = model_map_kv(b->model, &b->layout, n, max_u32(b->n_seq, 1), b->kv, e);
	if (code < 0)
		return code;
	r->op = &op_generate;
	r->token = calloc(b->n_ctx, sizeof(*r->token));
	b->block = calloc(n, sizeof(*b->block));
	if (!r->token || !b->block || batch_init(&b->batch, STEP_ROWS, max_u32(b->n_seq, 1), n_vocab) < 0)
		return error_set(e, -ENOMEM, "no memory for %u positions; lower -p, -d or -n", b->n_ctx);
	for (uint32_t i = 0; i < b->n_ctx; i++)
		r->token[i] = (int32_t)((i * 7919ull + 13) % n_vocab); /* speed does not depend on which */
	for (uint32_t i = 0; i < n; i++)
		b->block[i] = i;
	return 0;
}

int bench_run_open(struct bench_run *b, const char *path, const struct bench_size *s, struct error *e)
{
	struct model_options mo = { .n_row_max = STEP_ROWS, .n_logit_max = max_u32(s->n_seq, 1) };
	int r = bench_team(&b->team, &b->layout, s->n_thread, s->n_node, e);

	b->n_ctx = max_u32(s->n_ctx, s->n_each);
	if (r == 0)
		r = weights_load(&b->weights, path,
				 &(struct weights_options){
					 .plan = model_plan, .layout = &b->layout, .n_thread = team_size(b->team) },
				 e);
	if (r < 0)
		return r;
	kernels_select(&b->kernels, s->isa);
	mo.n_thread = (uint32_t)team_size(b->team);
	mo.n_ctx = b->n_ctx;
	mo.kv_type = s->kv_type;
	r = model_open(&b->model, b->weights, &b->kernels, &mo, e);
	return r == 0 ? open_sequences(b, s, e) : r;
}

void bench_run_close(struct bench_run *b)
{
	batch_deinit(&b->batch);
	model_close(b->model);
	for (uint32_t i = 0; i < NODE_MAX; i++)
		pool_unmap(&b->kv[i]);
	weights_free(b->weights);
	team_free(b->team);
	free(b->request.token);
	free(b->block);
}

/* Rows [n_past, n_past + n_row) of each of n_seq sequences; logits of the rows that reach n_token. */
static void step(struct bench_run *b, uint32_t n_seq, uint32_t n_past, uint32_t n_row, uint32_t n_token)
{
	b->request.kept.n_token = b->request.kept.n_prompt = n_token;
	b->batch.n_seq = n_seq;
	for (uint32_t i = 0; i < n_seq; i++)
		b->batch.seq[i] = (struct batch_seq){ .request = &b->request,
						      .block = b->block + (size_t)i * b->n_block,
						      .slot = i,
						      .n_past = n_past,
						      .n_row = n_row };
	batch_layout(&b->batch);
	model_forward(b->model, b->team, &b->batch);
}

double bench_prefill_s(struct bench_run *b, uint32_t n)
{
	double begin = now_s();

	for (uint32_t i = 0; i < n; i += STEP_ROWS)
		step(b, 1, i, n - i < STEP_ROWS ? n - i : STEP_ROWS, n);
	return now_s() - begin;
}

double bench_decode_s(struct bench_run *b, uint32_t n_seq, uint32_t depth, uint32_t n_step)
{
	double begin = now_s();

	for (uint32_t i = 0; i < n_step; i++)
		step(b, n_seq, depth + i, 1, depth + i + 1);
	return now_s() - begin;
}

double bench_guess_s(struct bench_run *b, uint32_t depth, uint32_t n_guess)
{
	double begin = now_s();

	step(b, 1, depth, 1 + n_guess, depth + 1);
	return now_s() - begin;
}

/* Of a tensor's matrices those that a row is multiplied with: all, or as many of the experts as a token takes; of the embedding, which
 * is looked up, none. */
static uint32_t n_used(const struct bench_run *b, const struct tensor *t)
{
	const struct weights *w = b->weights;

	if (t == weights_find(w, "token_embd.weight") && weights_find(w, "output.weight"))
		return 0;
	return t->n_expert > 1 ? model_hparams(b->model)->n_expert_used : 1;
}

uint64_t bench_step_bytes(const struct bench_run *b, uint32_t depth)
{
	const struct weights *w = b->weights;
	uint64_t n = (uint64_t)depth * model_kv_bytes(b->model) / KV_BLOCK + model_slot_bytes(b->model) + w->n_bytes;

	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		const struct tensor *t = &w->tensor[i];

		if (!t->is_vector)
			n -= (uint64_t)quant_packed_bytes(t->type, t->n_row, t->n_col) * (t->n_expert - n_used(b, t));
	}
	return n;
}

double bench_step_macs(const struct bench_run *b, uint32_t n_row, uint32_t n_logit)
{
	const struct weights *w = b->weights;
	const struct tensor *head = weights_find(w, "output.weight");
	double n = 0;

	head = head ? head : weights_find(w, "token_embd.weight");
	for (size_t i = 0; i < gguf_n_tensor(w->gguf); i++) {
		const struct tensor *t = &w->tensor[i];
		double macs = (double)t->n_row * t->n_col * n_used(b, t);

		if (!t->is_vector)
			n += macs * (t == head ? n_logit : n_row);
	}
	return n;
}
