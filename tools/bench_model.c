/*
 * `gyre bench model`: prefill and decode of a model in this process, without rings or sampling. As llama-bench does: -p tokens
 * from an empty context as one prompt, then -n tokens one by one behind a context of -d tokens.
 */
#include "tools/tool.h"

#include "daemon/batch.h"
#include "daemon/kv/kv.h"
#include "daemon/model/model.h"
#include "daemon/util/topology.h"
#include "tools/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STEP_ROWS 512u /* rows of one step at most: gyred's own default */

struct bench {
	struct weights *weights;
	struct kernels kernels;
	struct team *team;
	struct model *model;
	struct batch batch;
	struct pool kv;
	struct request request;
	uint32_t n_ctx;
};

static int open_team(struct bench *b, const struct args *a, struct error *e)
{
	static struct topology t;
	static int cpu[TEAM_MAX];
	int n = a->n_thread ? (int)a->n_thread : cpu_default_threads(NULL, 0);
	bool is_pinned = topology_read(&t, "", NULL) == 0 && (uint32_t)n <= t.n_core;

	for (int i = 0; is_pinned && i < n; i++)
		cpu[i] = t.core[i].cpu;
	if (is_pinned)
		bench_pin(cpu[0]); /* worker 0 is us */
	return team_new(&b->team, n, is_pinned ? cpu : NULL, e);
}

static int open_sequence(struct bench *b, struct error *e)
{
	uint32_t n_vocab = model_hparams(b->model)->n_vocab, n_block = (b->n_ctx + KV_BLOCK - 1) / KV_BLOCK;
	struct request *r = &b->request;
	int code = pool_map(&b->kv, n_block * model_kv_block_bytes(b->model), "gyre-kv", e);

	if (code < 0)
		return code;
	model_set_kv(b->model, b->kv.base);
	r->op = GYRE_OP_GENERATE;
	r->token = calloc(b->n_ctx, sizeof(*r->token));
	r->block = calloc(n_block, sizeof(*r->block));
	if (!r->token || !r->block || batch_init(&b->batch, STEP_ROWS, 1, model_logit_stride(b->model)) < 0)
		return error_set(e, -ENOMEM, "no memory for %u positions; lower -p, -d or -n", b->n_ctx);
	for (uint32_t i = 0; i < b->n_ctx; i++)
		r->token[i] = (int32_t)((i * 7919ull + 13) % n_vocab); /* speed does not depend on which */
	for (uint32_t i = 0; i < n_block; i++)
		r->block[i] = i;
	return 0;
}

static int bench_open(struct bench *b, const struct args *a, struct error *e)
{
	struct model_options mo = { .n_row_max = STEP_ROWS, .n_logit_max = 1 };
	int r = open_team(b, a, e);

	b->n_ctx = a->n_prompt > a->n_depth + a->n_gen ? a->n_prompt : a->n_depth + a->n_gen;
	if (r == 0)
		r = weights_load(&b->weights, a->model, &(struct weights_options){ .n_thread = team_size(b->team) }, e);
	if (r < 0)
		return r;
	kernels_select(&b->kernels, ISA_MAX);
	mo.n_thread = (uint32_t)team_size(b->team);
	mo.n_ctx = b->n_ctx;
	r = model_open(&b->model, b->weights, &b->kernels, &mo, e);
	return r == 0 ? open_sequence(b, e) : r;
}

static void bench_close(struct bench *b)
{
	batch_deinit(&b->batch);
	model_close(b->model);
	pool_unmap(&b->kv);
	weights_free(b->weights);
	team_free(b->team);
	free(b->request.token);
	free(b->request.block);
}

/* Rows [n_past, n_past + n_row) of the sequence; logits of the last one if it ends at n_token. */
static void step(struct bench *b, uint32_t n_past, uint32_t n_row, uint32_t n_token)
{
	b->request.n_token = b->request.n_prompt = n_token;
	b->batch.n_seq = 1;
	b->batch.seq[0] = (struct batch_seq){ &b->request, b->request.block, n_past, 0, n_row, 0 };
	batch_layout(&b->batch);
	model_forward(b->model, b->team, &b->batch);
}

static double prefill_s(struct bench *b, uint32_t n)
{
	double begin = now_s();

	for (uint32_t i = 0; i < n; i += STEP_ROWS)
		step(b, i, n - i < STEP_ROWS ? n - i : STEP_ROWS, n);
	return now_s() - begin;
}

/* Behind `depth` positions, which a prefill has filled. */
static double decode_s(struct bench *b, uint32_t depth, uint32_t n)
{
	double begin = now_s();

	for (uint32_t i = 0; i < n; i++)
		step(b, depth + i, 1, depth + i + 1);
	return now_s() - begin;
}

/* Bytes of weights that one token reads: all but the embedding table, unless that is the output matrix too. */
static uint64_t bytes_per_token(const struct weights *w)
{
	const struct tensor *t = weights_find(w, "token_embd.weight");

	return t && weights_find(w, "output.weight") ? w->n_bytes - quant_packed_bytes(t->type, t->n_row, t->n_col)
						     : w->n_bytes;
}

struct figures {
	double pp_tps, tg_tps, read_gbps, pp_ms, tg_ms;
	uint64_t token_bytes;
};

static int measure(struct bench *b, const struct args *a, struct figures *f, struct error *e)
{
	double *pp = calloc(a->n_repeat, sizeof(*pp)), *tg = calloc(a->n_repeat, sizeof(*tg));

	if (!pp || !tg) {
		free(pp);
		free(tg);
		return error_set(e, -ENOMEM, "no memory for %u repetitions", a->n_repeat);
	}
	prefill_s(b, a->n_prompt > a->n_depth ? a->n_prompt : a->n_depth); /* fills the KV; warms caches and clocks */
	for (uint32_t i = 0; i < a->n_repeat; i++) {
		pp[i] = prefill_s(b, a->n_prompt);
		tg[i] = decode_s(b, a->n_depth, a->n_gen);
	}
	f->pp_ms = median(pp, a->n_repeat) * 1e3;
	f->tg_ms = median(tg, a->n_repeat) * 1e3 / a->n_gen;
	f->pp_tps = a->n_prompt * 1e3 / f->pp_ms;
	f->tg_tps = 1e3 / f->tg_ms;
	f->token_bytes = bytes_per_token(b->weights);
	f->read_gbps = bench_read_gbps(b->team, e);
	free(pp);
	free(tg);
	return f->read_gbps < 0 ? (int)f->read_gbps : 0;
}

static int print_figures(const struct bench *b, const struct args *a, const struct figures *f)
{
	double share = f->tg_tps * (double)f->token_bytes / (f->read_gbps * 1e9);

	if (a->json)
		return print_json(
			json_pack("{s:f,s:f,s:I,s:I,s:f,s:f,s:i,s:i,s:i,s:i,s:i,s:s,s:s,s:f}", "pp_tps", f->pp_tps,
				  "tg_tps", f->tg_tps, "weights_bytes", (json_int_t)b->weights->n_bytes, "token_bytes",
				  (json_int_t)f->token_bytes, "read_gbps", f->read_gbps, "decode_share", share,
				  "n_prompt", (int)a->n_prompt, "n_gen", (int)a->n_gen, "n_depth", (int)a->n_depth,
				  "threads", team_size(b->team), "repeat", (int)a->n_repeat, "isa", b->kernels.isa,
				  "pages", pool_kind_name(b->weights->pool.kind), "load_s", b->weights->seconds));
	printf("pp%u          %.1f tok/s\ntg%u@%u        %.1f tok/s\nweights_bytes  %llu\nread_gbps      %.2f GB/s\n"
	       "decode_share   %.3f of the read bandwidth\n(%d threads, %s, %s, medians of %u)\n",
	       a->n_prompt, f->pp_tps, a->n_gen, a->n_depth, f->tg_tps, (unsigned long long)b->weights->n_bytes,
	       f->read_gbps, share, team_size(b->team), b->kernels.isa, pool_kind_name(b->weights->pool.kind),
	       a->n_repeat);
	return TOOL_OK;
}

int bench_model_main(const struct args *given)
{
	static struct bench b;
	struct args a = *given;
	struct figures f = { 0 };
	struct error e = { "" };
	int r;

	if (!a.model)
		return fail(TOOL_USAGE, "bench model needs -m FILE.gguf");
	a.n_prompt = a.n_prompt ? a.n_prompt : 512;
	a.n_gen = a.n_gen ? a.n_gen : 128;
	a.n_repeat = a.n_repeat ? a.n_repeat : 5;
	r = bench_open(&b, &a, &e);
	if (r == 0)
		r = measure(&b, &a, &f, &e);
	r = r < 0 ? fail(TOOL_FAILED, "%s", e.text) : print_figures(&b, &a, &f);
	bench_close(&b);
	return r;
}
