/* A model in this process, without rings or sampling: the steps that `gyre bench model` times. */
#ifndef GYRE_TOOLS_BENCH_RUN_H
#define GYRE_TOOLS_BENCH_RUN_H

#include "daemon/flow/batch.h"
#include "daemon/kv/kv.h"
#include "daemon/model/model.h"
#include "tools/bench.h"

#define STEP_ROWS 512u /* rows of one step at most: gyred's own default */

struct bench_run {
	struct weights *weights;
	struct kernels kernels;
	struct team *team;
	struct model *model;
	struct batch batch;
	struct pool kv[NODE_MAX];
	struct layout layout;
	struct request request; /* all sequences are this one's tokens; only their blocks differ */
	uint32_t *block;        /* [n_seq][n_block] */
	uint32_t n_seq, n_ctx, n_block;
};

struct bench_size {
	uint32_t n_ctx;         /* positions of the one long sequence */
	uint32_t n_seq, n_each; /* sequences side by side, and their positions */
	uint32_t n_thread, n_node;
	enum kvq_type kv_type;
	enum kernels_isa isa;
};

int bench_run_open(struct bench_run *b, const char *path, const struct bench_size *s, struct error *e);
void bench_run_close(struct bench_run *b);

/* Seconds of a prompt of n tokens in an empty context; logits of the last one. */
double bench_prefill_s(struct bench_run *b, uint32_t n);
/* Seconds of n_step tokens for each of n_seq sequences behind `depth` positions, whose KV may hold anything. */
double bench_decode_s(struct bench_run *b, uint32_t n_seq, uint32_t depth, uint32_t n_step);
/* Seconds of one step of a token and n_guess guesses behind it, with logits of all, behind `depth` positions. */
double bench_guess_s(struct bench_run *b, uint32_t depth, uint32_t n_guess);

/* Bytes that a step of one row behind `depth` positions reads: their keys and values, its state, and all weights but an embedding
 * table that is not the output matrix too, and experts that it does not take. */
uint64_t bench_step_bytes(const struct bench_run *b, uint32_t depth);
/* Multiply-adds with weights, of n_row rows of which n_logit have logits. */
double bench_step_macs(const struct bench_run *b, uint32_t n_row, uint32_t n_logit);

#endif
